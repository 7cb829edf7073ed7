//! How fast the replicas may change, and between which bounds.

use crate::world::{World, queue, spec};
use karpsim_hpa::ConditionType::ScalingLimited;
use karpsim_hpa::{RescaleReason, SECOND};
use serde_json::{Value, json};

/// Behavior without windows, with these rules.
fn behavior(up: &Value, down: &Value) -> Value {
    let with_window = |rules: &Value| {
        let mut rules = rules.clone();
        rules["stabilizationWindowSeconds"] = 0.into();
        rules
    };
    json!({"scaleUp": with_window(up), "scaleDown": with_window(down)})
}

fn policies(select: &str, list: &[(&str, i32, i32)]) -> Value {
    let list = list
        .iter()
        .map(|(kind, value, seconds)| json!({"type": kind, "value": value, "periodSeconds": seconds}));
    json!({"selectPolicy": select, "policies": list.collect::<Vec<_>>()})
}

fn world(replicas: i32, up: &Value, down: &Value) -> World {
    World::new(replicas, &json!({"metrics": [queue()], "behavior": behavior(up, down)}))
}

#[test]
fn without_a_behavior_a_sync_allows_four_or_twice_as_many() {
    for (replicas, allowed) in [(1, 4), (2, 4), (3, 6), (20, 40)] {
        let mut world = World::new(replicas, &json!({"metrics": [queue()]}));
        assert_eq!(world.sync_queue(0, 30_000), allowed);
        assert_eq!(world.condition(ScalingLimited), "True ScaleUpLimit");
    }
    let mut world = World::new(60, &json!({"metrics": [queue()]}));
    assert_eq!(world.sync_queue(0, 30_000), 100);
    assert_eq!(world.condition(ScalingLimited), "True TooManyReplicas");
}

#[test]
fn percent_is_rounded_up_upwards_and_down_downwards() {
    let up = policies("Max", &[("Percent", 10, 60)]);
    assert_eq!(world(3, &up, &json!({})).sync_queue(0, 3000), 4);
    let down = policies("Max", &[("Percent", 10, 60)]);
    let mut world = world(3, &json!({}), &down);
    assert_eq!(world.sync_queue(0, 30), 2);
    assert_eq!(world.condition(ScalingLimited), "True ScaleDownLimit");
}

#[test]
fn max_allows_the_largest_change_min_the_smallest_and_disabled_none() {
    let list = [("Pods", 3, 60), ("Percent", 100, 60)];
    for (select, up, down) in [("Max", 20, 1), ("Min", 13, 7), ("Disabled", 10, 10)] {
        let rules = policies(select, &list);
        assert_eq!(world(10, &rules, &json!({})).sync_queue(0, 3000), up, "{select}");
        assert_eq!(world(10, &json!({}), &rules).sync_queue(0, 30), down, "{select}");
    }
}

#[test]
fn a_change_as_old_as_the_period_does_not_count() {
    let up = policies("Max", &[("Pods", 2, 60)]);
    let mut world = world(4, &up, &json!({}));
    assert_eq!(world.sync_queue(0, 3000), 6);
    assert_eq!(world.sync_queue(15, 3000), 6);
    assert_eq!(world.condition(ScalingLimited), "True ScaleUpLimit");
    assert_eq!(world.sync_queue(59, 3000), 6);
    assert_eq!(world.sync_queue(60, 3000), 8);
}

#[test]
fn what_was_removed_in_the_period_may_be_added_again() {
    let up = policies("Max", &[("Pods", 1, 60)]);
    let down = policies("Max", &[("Pods", 4, 60)]);
    let mut world = world(10, &up, &down);
    assert_eq!(world.sync_queue(0, 180), 6);
    // The period began with 10.
    assert_eq!(world.sync_queue(15, 3000), 11);
    assert_eq!(world.sync_queue(30, 3000), 11);
}

#[test]
fn a_change_to_a_bound_counts_in_later_periods() {
    let down = policies("Max", &[("Pods", 5, 60)]);
    let fields = json!({"metrics": [queue()], "maxReplicas": 20, "behavior": behavior(&json!({}), &down)});
    let mut world = World::new(23, &fields);
    assert_eq!(world.sync_queue(0, 30), 20);
    assert_eq!(world.sync_queue(15, 30), 18);
}

#[test]
fn of_changes_that_somebody_else_made_nothing_is_known() {
    let down = policies("Max", &[("Pods", 2, 60)]);
    let mut world = world(10, &json!({}), &down);
    assert_eq!(world.sync_queue(0, 30), 8);
    // The period seems to have begun with 14, so 12 would be allowed: nothing is removed, and nothing added.
    world.replicas = 12;
    assert_eq!(world.sync_queue(15, 30), 12);
    world.replicas = 3;
    assert_eq!(world.sync_queue(30, 30), 3);
}

#[test]
fn without_a_behavior_changes_are_not_remembered() {
    let limited = policies("Max", &[("Pods", 2, 600)]);
    let mut world = World::with_options(10, &json!({"metrics": [queue()]}), |options| {
        options.downscale_stabilization = 0;
    });
    assert_eq!(world.sync_queue(0, 30), 10);
    assert_eq!(world.sync_queue(15, 150), 5);
    let fields = json!({"metrics": [queue()], "behavior": behavior(&json!({}), &limited)});
    world.hpa.set_spec(spec(&fields));
    assert_eq!(world.sync_queue(30, 30), 3);
}

#[test]
fn a_change_that_outlived_a_period_counts_again_when_the_period_grows() {
    let rules = |seconds| {
        let down = policies("Max", &[("Pods", 2, seconds)]);
        json!({"metrics": [queue()], "behavior": behavior(&json!({}), &down)})
    };
    let mut world = World::new(20, &rules(15));
    assert_eq!(world.sync_queue(0, 30), 18);
    world.hpa.set_spec(spec(&rules(600)));
    assert_eq!(world.sync_queue(30, 30), 18);
    world.hpa.set_spec(spec(&rules(15)));
    // Overwrites the change at 0 s, which is outdated now.
    assert_eq!(world.sync_queue(45, 30), 16);
    world.hpa.set_spec(spec(&rules(600)));
    assert_eq!(world.sync_queue(60, 30), 16);
    assert_eq!(world.sync_queue(644, 30), 16);
    assert_eq!(world.sync_queue(645, 30), 14);
}

#[test]
fn where_the_least_is_more_than_the_most_the_scale_swings() {
    let mut world = World::new(8, &json!({"metrics": [queue()], "minReplicas": 4, "maxReplicas": 1}));
    assert_eq!([0, 15, 30].map(|now| world.sync_queue(now, 60)), [1, 4, 1]);
}

#[test]
fn a_change_says_why() {
    let fields = json!({"metrics": [queue()], "minReplicas": 2, "maxReplicas": 50});
    let mut world = World::with_options(1, &fields, |options| options.downscale_stabilization = 20 * SECOND);
    let mut reason = |now, replicas: Option<i32>, items: i64| {
        world.replicas = replicas.unwrap_or(world.replicas);
        world.answers.external = vec![items * 1000];
        world.sync(now).rescale.map(|rescale| (rescale.to, rescale.reason.to_string()))
    };
    let says = |to: i32, why: &str| Some((to, why.to_owned()));
    assert_eq!(reason(0, None, 90), says(2, &RescaleReason::BelowMinReplicas.to_string()));
    assert_eq!(reason(15, None, 90), says(3, "external metric queue(nil) above target"));
    assert_eq!(reason(30, Some(70), 90), says(50, &RescaleReason::AboveMaxReplicas.to_string()));
    assert_eq!(reason(60, None, 120), says(4, &RescaleReason::AllBelowTarget.to_string()));
    // The metric asks for the 2 that are there, but 4 of before count.
    assert_eq!(reason(75, Some(2), 60), says(4, ""));
    assert_eq!(reason(90, None, 120), None);
}
