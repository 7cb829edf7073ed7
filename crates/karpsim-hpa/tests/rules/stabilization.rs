//! How recent recommendations hold back later ones.

use crate::world::{World, queue, spec, windows};
use karpsim_hpa::{ConditionType, SECOND};
use serde_json::json;

#[test]
fn the_first_sync_notes_what_is_there_so_nothing_is_removed_for_one_window() {
    let mut world = World::new(10, &json!({"metrics": [queue()]}));
    for now in (0..=300).step_by(15) {
        assert_eq!(world.sync_queue(now, 30), 10, "after {now} s");
        assert_eq!(world.condition(ConditionType::AbleToScale), "True ScaleDownStabilized");
    }
    assert_eq!(world.sync_queue(315, 30), 1);
}

#[test]
fn without_a_behavior_a_high_recommendation_counts_upwards_too() {
    let mut world = World::new(1, &json!({"metrics": [queue()]}));
    assert_eq!(world.sync_queue(0, 300), 4);
    // Only 60 items are left, but the 10 replicas of before still count.
    assert_eq!(world.sync_queue(15, 60), 8);
    assert_eq!(world.sync_queue(30, 60), 10);
}

#[test]
fn with_a_behavior_a_high_recommendation_only_keeps() {
    let mut world = World::new(1, &json!({"metrics": [queue()], "behavior": {}}));
    assert_eq!(world.sync_queue(0, 300), 5);
    assert_eq!(world.sync_queue(15, 60), 5);
}

#[test]
fn a_recommendation_as_old_as_the_window_counts_only_without_a_behavior() {
    for (behavior, replicas) in [(json!(null), 10), (windows(0, 60), 1)] {
        let mut world =
            World::with_options(10, &json!({"metrics": [queue()], "behavior": behavior}), |options| {
                options.downscale_stabilization = 60 * SECOND;
            });
        assert_eq!(world.sync_queue(0, 300), 10);
        assert_eq!(world.sync_queue(59, 30), 10);
        assert_eq!(world.sync_queue(60, 30), replicas, "{behavior}");
    }
}

#[test]
fn upwards_the_lowest_recommendation_of_the_window_counts() {
    let mut world = World::new(2, &json!({"metrics": [queue()], "behavior": windows(60, 0)}));
    assert_eq!(world.sync_queue(0, 60), 2);
    assert_eq!(world.sync_queue(15, 150), 2);
    assert_eq!(world.condition(ConditionType::AbleToScale), "True ScaleUpStabilized");
    assert_eq!(world.sync_queue(30, 300), 2);
    // The 2 of the start are outdated; 5 is the lowest left.
    assert_eq!(world.sync_queue(60, 300), 5);
}

#[test]
fn a_sync_that_fails_notes_nothing() {
    let mut world = World::new(10, &json!({"metrics": [queue()], "behavior": windows(0, 60)}));
    world.sync_queue(0, 300);
    world.answers.external.clear();
    assert!(world.sync(30).error.is_some());
    assert_eq!(world.sync_queue(60, 30), 1);
}

#[test]
fn a_scale_outside_its_bounds_is_set_at_once_and_notes_nothing() {
    let fields =
        json!({"metrics": [queue()], "minReplicas": 2, "maxReplicas": 6, "behavior": windows(0, 60)});
    let mut world = World::new(6, &fields);
    assert_eq!(world.sync_queue(0, 30), 6);
    world.replicas = 50;
    assert_eq!(world.sync_queue(45, 300), 6);
    assert_eq!(world.condition(ConditionType::AbleToScale), "True SucceededRescale");
    assert!(world.hpa.status().current_metrics.is_empty());
    // Had the sync before noted 10, nothing could be removed yet.
    assert_eq!(world.sync_queue(60, 30), 2);
    world.replicas = 1;
    assert_eq!(world.sync_queue(61, 300), 2);
}

#[test]
fn after_an_edit_recommendations_that_were_not_overwritten_count_again() {
    let mut world = World::new(10, &json!({"metrics": [queue()], "behavior": windows(0, 15)}));
    world.sync_queue(0, 300);
    assert_eq!(world.sync_queue(15, 60), 2);
    world.hpa.set_spec(spec(&json!({"metrics": [queue()], "behavior": windows(0, 300)})));
    // The 10 of the start: the sync at 15 s found them as old as the window, not older, and left them in the list.
    assert_eq!(world.sync_queue(30, 60), 2);
    world.replicas = 5;
    assert_eq!(world.sync_queue(45, 60), 5);
}

#[test]
fn a_window_of_the_controller_counts_in_whole_seconds_with_a_behavior() {
    let fields = json!({"metrics": [queue()], "behavior": {"scaleUp": {}}});
    let mut world = World::with_options(10, &fields, |options| {
        options.downscale_stabilization = 60 * SECOND + SECOND / 2;
    });
    world.sync_queue(0, 300);
    assert_eq!(world.sync_queue(60, 30), 1);
}
