//! Which pods count, and as what.

use crate::world::{World, cpu, ready_pod, requesting, resource, sessions, started_pod};
use karpsim_hpa::ConditionStatus::{False, True, Unknown};
use karpsim_hpa::{Pod, PodPhase, SECOND};
use serde_json::{Value, json};

type Sample = (&'static str, Option<i64>, i64);

/// What one metric asks for, of so many replicas, at second 0.
fn asked(metric: &Value, replicas: i32, pods: &[Pod<'static>], samples: &[Sample]) -> Result<i32, String> {
    asked_with(metric, replicas, pods, samples, 0)
}

fn asked_with(
    metric: &Value,
    replicas: i32,
    pods: &[Pod<'static>],
    samples: &[Sample],
    window: i64,
) -> Result<i32, String> {
    let rules = json!({"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1000, "periodSeconds": 1}]});
    let mut world = World::new(
        replicas,
        &json!({"metrics": [metric], "behavior": {"scaleUp": rules, "scaleDown": rules}}),
    );
    world.pods = pods.to_vec();
    world.answers.samples = samples.to_vec();
    world.answers.window = window;
    let outcome = world.sync(0);
    outcome.error.map_or(Ok(outcome.replicas), |error| {
        let said = error.to_string();
        Err(said.rsplit(": ").next().unwrap_or_default().to_owned())
    })
}

fn in_phase(name: &'static str, phase: PodPhase) -> Pod<'static> {
    Pod { phase, ..ready_pod(name, 0) }
}

#[test]
fn failed_and_deleting_pods_are_left_out_and_succeeded_ones_are_not() {
    let of = |pod, samples: &[Sample]| asked(&sessions(), 2, &[ready_pod("a", 0), pod], samples);
    let deleting = Pod { is_deleting: true, ..ready_pod("b", 0) };
    // Where the other has no sample, it is on target: 6 and 10 are 8 a pod.
    let missing = [("a", Some(6000), 0)];
    for (pod, alone) in [
        (ready_pod("b", 0), false),
        (in_phase("b", PodPhase::Succeeded), false),
        (in_phase("b", PodPhase::Unknown), false),
        (in_phase("b", PodPhase::Failed), true),
        (deleting, true),
    ] {
        assert_eq!(of(pod, &missing), Ok(if alone { 1 } else { 2 }), "{pod:?}");
    }
    let busier = [("a", Some(25_000), 0), ("b", Some(10_000), 0)];
    assert_eq!(of(in_phase("b", PodPhase::Succeeded), &busier), Ok(4));
    assert_eq!(of(in_phase("b", PodPhase::Failed), &busier), Ok(3));
}

#[test]
fn pods_without_a_sample_count_as_idle_upwards_and_as_on_target_downwards() {
    let pods = [ready_pod("a", 0), ready_pod("b", 0)];
    let of = |milli| asked(&sessions(), 2, &pods, &[("a", Some(milli), 0)]);
    assert_eq!(of(50_000), Ok(5));
    // 19 and 0 are below 10 a pod: the direction would turn.
    assert_eq!(of(19_000), Ok(2));
    // 22 and 0 are 11 a pod, within the tolerance.
    assert_eq!(of(22_000), Ok(2));
    // 1 and 10 are 5.5 a pod.
    assert_eq!(of(1000), Ok(2));
    assert_eq!(asked(&sessions(), 9, &pods, &[("a", Some(1000), 0)]), Ok(2));
}

#[test]
fn of_utilization_a_missing_pod_uses_its_request_or_more_if_more_is_the_target() {
    let pods = [ready_pod("a", 0), ready_pod("b", 0)];
    let of = |percent: i32, milli| {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        asked(&resource("cpu", &target), 2, &pods, &[("a", Some(milli), 0)])
    };
    // 10 % and 100 % are 55 %, the target 80 %: ⌈55 / 80 × 2⌉.
    assert_eq!(of(80, 10), Ok(2));
    // With 50 % they would be above it: the direction would turn.
    assert_eq!(of(50, 10), Ok(2));
    // 10 % and 300 % are 155 % of 300 %; with 100 % it would be 1 replica.
    assert_eq!(of(300, 10), Ok(2));
}

#[test]
fn pending_pods_count_as_idle_and_only_upwards() {
    let pods = [ready_pod("a", 0), in_phase("b", PodPhase::Pending)];
    let of = |milli| asked(&sessions(), 2, &pods, &[("a", Some(milli), 0), ("b", Some(90_000), 0)]);
    assert_eq!(of(50_000), Ok(5));
    assert_eq!(of(15_000), Ok(2));
    assert_eq!(of(5000), Ok(1));
}

#[test]
fn more_pods_than_replicas_turn_no_direction() {
    let pods = [ready_pod("a", 0), ready_pod("b", 0), ready_pod("c", 0), in_phase("d", PodPhase::Pending)];
    let samples = [("a", Some(20_000), 0), ("b", Some(20_000), 0), ("c", Some(20_000), 0)];
    // 15 a pod of 4 ask for 6.
    assert_eq!(asked(&sessions(), 4, &pods, &samples), Ok(6));
    assert_eq!(asked(&sessions(), 8, &pods, &samples), Ok(8));
    // Without starting or missing pods nothing keeps the direction: 60 of 10 ask for 6.
    assert_eq!(asked(&sessions(), 8, &pods[..3], &samples), Ok(6));
}

#[test]
fn only_of_cpu_it_matters_whether_a_pod_is_ready() {
    let pods = [ready_pod("a", 0), started_pod("b", -10, Some((False, -10)))];
    let samples = [("a", Some(40), 0), ("b", Some(400), 0)];
    assert_eq!(asked(&cpu(), 2, &pods, &samples), Ok(1));
    let memory = |milli: &str| resource("memory", &json!({"type": "AverageValue", "averageValue": milli}));
    assert_eq!(asked(&memory("50m"), 2, &pods, &samples), Ok(9));
    let usage = resource("cpu", &json!({"type": "AverageValue", "averageValue": "50m"}));
    assert_eq!(asked(&usage, 2, &pods, &samples), Ok(1));
}

/// Whether a pod's cpu sample counts: it alone asks for more.
fn counts(pod: Pod<'static>, sample_age: i64, window: i64) -> bool {
    let samples = [("a", Some(100), sample_age)];
    match asked_with(&cpu(), 1, &[pod], &samples, window) {
        Ok(replicas) => replicas == 2,
        Err(said) => {
            assert_eq!(said, "did not receive metrics for targeted pods (pods might be unready)");
            false
        }
    }
}

#[test]
fn a_cpu_sample_needs_a_start_time_and_a_readiness() {
    assert!(counts(ready_pod("a", 0), 0, 60));
    assert!(!counts(started_pod("a", -3600, None), 0, 60));
    assert!(!counts(Pod { started_at: None, ..ready_pod("a", 0) }, 0, 60));
    // Nobody knows whether it is ready: that is not unready.
    assert!(counts(started_pod("a", -3600, Some((Unknown, -3600))), 0, 60));
}

#[test]
fn in_the_initialization_period_a_whole_window_must_have_passed_since_it_became_ready() {
    assert!(counts(started_pod("a", -299, Some((True, -60))), 0, 60));
    assert!(!counts(started_pod("a", -299, Some((True, -59))), 0, 60));
    assert!(!counts(started_pod("a", -299, Some((True, -60))), 1, 60));
    assert!(!counts(started_pod("a", -299, Some((False, -200))), 0, 60));
    // The period is over: every sample counts.
    assert!(counts(started_pod("a", -300, Some((True, -59))), 0, 60));
}

#[test]
fn after_it_only_a_pod_that_never_was_ready_does_not_count() {
    assert!(!counts(started_pod("a", -300, Some((False, -271))), 0, 60));
    assert!(counts(started_pod("a", -300, Some((False, -270))), 0, 60));
    assert!(counts(started_pod("a", -300, Some((True, -271))), 0, 60));
}

#[test]
fn both_periods_can_be_set() {
    let mut world = World::with_options(1, &json!({"metrics": [cpu()]}), |options| {
        options.cpu_initialization_period = 20 * SECOND;
        options.initial_readiness_delay = 5 * SECOND;
    });
    world.pods = vec![started_pod("a", -20, Some((False, -15)))];
    world.answers.samples = vec![("a", Some(100), 0)];
    assert_eq!(world.sync(0).replicas, 2);
}

#[test]
fn every_pod_must_have_requests_also_one_that_does_not_count() {
    let bare: &'static _ = Box::leak(Box::new(
        serde_json::from_value(json!({"containers": [{"name": "app"}]})).expect("a pod spec"),
    ));
    let failed = Pod { spec: bare, ..in_phase("b", PodPhase::Failed) };
    let samples = [("a", Some(100), 0)];
    assert_eq!(
        asked(&cpu(), 1, &[ready_pod("a", 0), failed], &samples),
        Err("missing request for cpu in container app of Pod b".to_owned())
    );
    let usage = resource("cpu", &json!({"type": "AverageValue", "averageValue": "50m"}));
    assert_eq!(asked(&usage, 1, &[ready_pod("a", 0), failed], &samples), Ok(2));
}

#[test]
fn requests_of_nothing_cannot_be_used() {
    let idle = Pod { spec: requesting("0"), ..ready_pod("a", 0) };
    let samples = [("a", Some(100), 0)];
    assert_eq!(asked(&cpu(), 1, &[idle], &samples), Err("no metrics returned matched known pods".to_owned()));
}

#[test]
fn a_pod_that_is_listed_without_the_resource_has_no_sample() {
    let pods = [ready_pod("a", 0), ready_pod("b", 0)];
    let samples = [("a", Some(250), 0), ("b", None, 0)];
    assert_eq!(asked(&cpu(), 2, &pods, &samples), Ok(5));
    assert_eq!(
        asked(&cpu(), 2, &pods, &[("a", None, 0)]),
        Err("did not receive metrics for targeted pods (pods might be unready)".to_owned())
    );
    assert_eq!(asked(&cpu(), 2, &pods, &[]), Err("no metrics returned from resource metrics API".to_owned()));
    assert_eq!(
        asked(&cpu(), 2, &[], &samples),
        Err("no pods returned by selector while calculating replica count".to_owned())
    );
}
