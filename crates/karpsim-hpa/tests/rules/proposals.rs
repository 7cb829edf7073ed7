//! What single metrics ask for, and several together.

use crate::world::{World, cpu, external, object, queue, ready_pod, resource, sessions, started_pod};
use karpsim_hpa::ConditionType::{ScalingActive, ScalingLimited};
use karpsim_hpa::{ConditionStatus, MetricValue, SECOND};
use serde_json::{Value, json};

fn current(world: &World) -> Vec<Option<MetricValue>> {
    let metrics = &world.hpa.status().current_metrics;
    metrics.iter().map(|metric| metric.as_ref().map(|metric| metric.current)).collect()
}

/// Without windows, so that every sync does what the metrics ask for.
fn at_once(replicas: i32, metrics: &[Value]) -> World {
    let rules = json!({"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 10_000, "periodSeconds": 1}]});
    let behavior = json!({"scaleUp": rules, "scaleDown": rules});
    World::new(replicas, &json!({"metrics": metrics, "maxReplicas": 5000, "behavior": behavior}))
}

#[test]
fn both_ends_of_the_tolerance_change_nothing() {
    for (items, replicas) in [(269, 9), (270, 10), (330, 10), (331, 12)] {
        assert_eq!(at_once(10, &[queue()]).sync_queue(0, items), replicas, "{items} items");
    }
}

#[test]
fn the_tolerance_of_one_direction_leaves_the_others() {
    let rules = json!({"stabilizationWindowSeconds": 0, "tolerance": "0.5"});
    let fields = json!({"metrics": [queue()], "behavior": {"scaleUp": rules, "scaleDown": {"stabilizationWindowSeconds": 0}}});
    for (items, replicas) in [(450, 10), (451, 16), (270, 10), (269, 9)] {
        assert_eq!(World::new(10, &fields).sync_queue(0, items), replicas, "{items} items");
    }
}

#[test]
fn an_average_of_all_asks_for_the_sum_over_the_target_and_the_status_only_for_the_tolerance() {
    let mut world = at_once(10, &[queue()]);
    world.status_replicas = Some(4);
    assert_eq!(world.sync_queue(0, 290), 10);
    assert_eq!(current(&world), [Some(MetricValue::AverageValue { milli: 72_500 })]);
    // Within the tolerance of the 4 of the status, so 4 are proposed.
    assert_eq!(world.sync_queue(15, 125), 4);
}

#[test]
fn with_no_replica_in_the_status_every_average_is_out_of_tolerance() {
    let mut world = at_once(3, &[queue()]);
    world.status_replicas = Some(0);
    assert_eq!(world.sync_queue(0, 60), 2);
    assert_eq!(current(&world), [Some(MetricValue::AverageValue { milli: i64::MIN })]);
}

#[test]
fn a_value_of_all_asks_for_the_ratio_times_the_pods_that_are_ready() {
    for metric in
        [external(&json!({"type": "Value", "value": "30"})), object(&json!({"type": "Value", "value": "30"}))]
    {
        let mut world = at_once(4, &[metric]);
        let mut deleting = ready_pod("d", 0);
        deleting.is_deleting = true;
        world.pods = vec![
            ready_pod("a", 0),
            deleting,
            started_pod("b", 0, Some((ConditionStatus::False, 0))),
            started_pod("c", 0, Some((ConditionStatus::Unknown, 0))),
        ];
        (world.answers.object, world.answers.external) = (Some(90_000), vec![60_000, 30_000]);
        assert_eq!(world.sync(0).replicas, 6);
        assert_eq!(current(&world), [Some(MetricValue::Value { milli: 90_000 })]);
    }
}

#[test]
fn a_value_of_all_needs_pods_only_outside_the_tolerance() {
    let mut world = at_once(4, &[external(&json!({"type": "Value", "value": "30"}))]);
    assert_eq!(world.sync_queue(0, 33), 4);
    assert_eq!(world.condition(ScalingActive), "True ValidMetricFound");
    world.answers.external = vec![60_000];
    let error = world.sync(15).error.expect("no pods").to_string();
    let expected = "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: \
        invalid metrics (1 invalid out of 1), first error is: failed to get queue external metric value: failed to get \
        external metric queue: unable to calculate ready pods: no pods returned by selector while calculating replica count";
    assert_eq!(error, expected);
}

#[test]
fn sums_that_cannot_be_held_are_the_largest_integer() {
    let mut world = at_once(4, &[queue()]);
    world.answers.external = vec![i64::MAX, 1];
    assert_eq!(world.sync(0).replicas, 5000);
    assert_eq!(current(&world), [Some(MetricValue::AverageValue { milli: i64::MAX })]);
    // Whatever is below nothing on the way counts as such a sum, too.
    world.answers.external = vec![-1, 5];
    world.replicas = 4;
    assert_eq!(world.sync(15).replicas, 5000);

    let mut world = at_once(4, &[external(&json!({"type": "Value", "value": "30"}))]);
    world.pods = vec![ready_pod("a", 0)];
    world.answers.external = vec![i64::MAX, 1];
    assert_eq!(world.sync(0).replicas, 5000);
    assert_eq!(current(&world), [Some(MetricValue::Value { milli: i64::MAX })]);
    world.answers.external = vec![-5000, 35_000];
    assert_eq!(world.sync(15).replicas, 5000);
    assert_eq!(current(&world), [Some(MetricValue::Value { milli: 30_000 })]);
}

#[test]
fn a_proposal_that_cannot_be_held_is_below_nothing() {
    // Of a value of all the largest number is taken, of the average of an object the smallest.
    let mut world = at_once(4, &[object(&json!({"type": "AverageValue", "averageValue": "1m"}))]);
    world.answers.object = Some(i64::MAX);
    assert_eq!(world.sync(0).replicas, 1);
    assert_eq!(world.condition(ScalingLimited), "True TooFewReplicas");
}

#[test]
fn usage_of_a_resource_is_compared_in_whole_percent_of_all_requests() {
    let mut world = at_once(2, &[cpu()]);
    world.pods = vec![ready_pod("a", 0), ready_pod("b", 0)];
    // 55.5 % are 55: a ratio of 1.1, within the tolerance.
    world.answers.samples = vec![("a", Some(111), 0), ("b", Some(0), 0)];
    assert_eq!(world.sync(0).replicas, 2);
    assert_eq!(current(&world), [Some(MetricValue::AverageUtilization { percent: 55, milli: 55 })]);
    world.answers.samples = vec![("a", Some(112), 0), ("b", Some(0), 0)];
    assert_eq!(world.sync(15).replicas, 3);
}

#[test]
fn samples_of_pods_that_the_selector_does_not_find_count_as_an_average_and_not_as_utilization() {
    let samples = vec![("a", Some(50), 0), ("gone", Some(150), 0)];
    let mut world = at_once(1, &[cpu()]);
    world.pods = vec![ready_pod("a", 0)];
    world.answers.samples = samples.clone();
    assert_eq!(world.sync(0).replicas, 1);
    assert_eq!(current(&world), [Some(MetricValue::AverageUtilization { percent: 50, milli: 50 })]);

    let mut world = at_once(1, &[resource("cpu", &json!({"type": "AverageValue", "averageValue": "50m"}))]);
    world.pods = vec![ready_pod("a", 0)];
    world.answers.samples = samples;
    assert_eq!(world.sync(0).replicas, 2);
    assert_eq!(current(&world), [Some(MetricValue::AverageValue { milli: 100 })]);
}

#[test]
fn the_greatest_proposal_counts() {
    let mut world = at_once(4, &[queue(), sessions()]);
    world.pods = vec![ready_pod("a", 0), ready_pod("b", 0)];
    world.answers.samples = vec![("a", Some(30_000), 0), ("b", Some(30_000), 0)];
    assert_eq!(world.sync_queue(0, 150), 6);
    assert_eq!(world.sync_queue(15, 300), 10);
}

#[test]
fn metrics_that_fail_let_the_others_add_or_keep_but_not_remove() {
    let fields = [object(&json!({"type": "Value", "value": "5"})), queue()];
    for (items, replicas, error) in [
        (
            300,
            10,
            "invalid metrics (1 invalid out of 2), first error is: failed to get object metric value: ",
        ),
        (120, 4, "invalid metrics (1 invalid out of 2), first error is: failed to get object metric value: "),
        (
            30,
            4,
            "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: ",
        ),
    ] {
        let mut world = at_once(4, &fields);
        world.answers.external = vec![items * 1000];
        let outcome = world.sync(0);
        assert_eq!(outcome.replicas, replicas, "{items} items");
        let said = outcome.error.expect("an error").to_string();
        assert!(said.starts_with(error), "{said}");
        let active = if replicas * 30 > i32::try_from(items).expect("few items") {
            "False FailedGetObjectMetric"
        } else {
            "True ValidMetricFound"
        };
        assert_eq!(world.condition(ScalingActive), active, "{items} items");
        assert_eq!(current(&world)[0], None);
        assert!(current(&world)[1].is_some());
    }
}

#[test]
fn a_metric_fails_on_a_selector_that_cannot_be_used() {
    let mut metric = queue();
    metric["external"]["metric"]["selector"] =
        json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In"}]});
    let mut world = at_once(4, &[metric]);
    world.answers.external = vec![30_000];
    let error = world.sync(0).error.expect("an error").to_string();
    assert!(
        error.ends_with(
            "failed to get queue external metric: values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"
        ),
        "{error}"
    );
}

#[test]
fn a_target_without_an_amount_fails() {
    let mut world = at_once(4, &[object(&json!({"type": "Utilization", "value": "5"}))]);
    world.answers.object = Some(1);
    let error = world.sync(0).error.expect("an error").to_string();
    let expected = "first error is: failed to get object metric value: invalid object metric source: neither a value target \
        nor an average value target was set";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn a_target_at_0_is_left_alone_until_somebody_sets_another_number() {
    let mut world = at_once(0, &[queue()]);
    assert_eq!(world.sync_queue(0, 3000), 0);
    assert_eq!(world.condition(ScalingActive), "False ScalingDisabled");
    world.replicas = 1;
    assert_eq!(world.sync_queue(15, 60), 2);
}

#[test]
fn with_the_gate_a_target_that_the_autoscaler_took_to_0_comes_back() {
    let value = json!({"type": "Value", "value": "30"});
    let fields = json!({"metrics": [external(&value)], "minReplicas": 0, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}});
    let mut world = World::with_options(1, &fields, |options| options.scale_to_zero = true);
    world.pods = vec![ready_pod("a", 0)];
    assert_eq!(world.sync_queue(0, 0), 0);
    world.pods.clear();
    assert_eq!(world.sync_queue(15, 0), 0);
    assert_eq!(world.condition(ScalingActive), "True ValidMetricFound");
    // Times no pods, and without a tolerance.
    assert_eq!(world.sync_queue(30, 31), 2);
    // What somebody else takes to 0 stays there.
    world.replicas = 0;
    assert_eq!(world.sync_queue(45, 300), 0);
    assert_eq!(world.condition(ScalingActive), "False ScalingDisabled");
}

#[test]
fn an_answer_that_lists_nothing_is_none() {
    let mut world = at_once(2, &[queue(), cpu(), sessions()]);
    world.pods = vec![ready_pod("a", 0)];
    let error = world.sync(0).error.expect("an error").to_string();
    assert!(error.contains("(3 invalid out of 3)"), "{error}");
    assert!(error.ends_with("default/queue/nil: no metrics returned from external metrics API"), "{error}");
    assert_eq!(world.hpa.status().last_scale_time, None);
    world.answers.external = vec![300_000];
    world.sync(15);
    assert_eq!(world.hpa.status().last_scale_time, Some(15 * SECOND));
}
