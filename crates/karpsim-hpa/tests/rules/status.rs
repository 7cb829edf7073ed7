//! What stands in the status.

use crate::world::{World, queue, resource, windows};
use karpsim_hpa::{ConditionType, SECOND, Scale, ScaleError, SelectorError};
use serde_json::{Value, json};

fn status(world: &World) -> Value {
    serde_json::to_value(world.hpa.status()).expect("a status is JSON")
}

#[test]
fn a_status_is_written_in_the_form_of_autoscaling_v2() {
    let mut metric = queue();
    metric["external"]["metric"]["selector"] = json!({
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [{"key": "c", "operator": "Exists"}],
    });
    let mut world = World::new(2, &json!({"metrics": [metric]}));
    world.sync_queue(0, 90);
    let selector = json!({
        "matchLabels": {"a": "1", "b": "2"},
        "matchExpressions": [{"key": "c", "operator": "Exists"}],
    });
    let found = "the HPA was able to successfully calculate a replica count from external metric \
        queue(&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{\
        LabelSelectorRequirement{Key:c,Operator:Exists,Values:[],},},})";
    let expected = json!({
        "currentReplicas": 2,
        "desiredReplicas": 3,
        "currentMetrics": [{"type": "External", "external": {
            "metric": {"name": "queue", "selector": selector}, "current": {"averageValue": "45"}}}],
        "conditions": [
            {"type": "AbleToScale", "status": "True", "reason": "SucceededRescale",
                "message": "the HPA controller was able to update the target scale to 3"},
            {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": found},
            {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange",
                "message": "the desired count is within the acceptable range"},
        ],
    });
    assert_eq!(status(&world), expected);
}

#[test]
fn memory_is_written_in_powers_of_1024() {
    let target = json!({"type": "AverageValue", "averageValue": "64Mi"});
    let mut world = World::new(1, &json!({"metrics": [resource("memory", &target)]}));
    world.pods = vec![crate::world::ready_pod("a", 0)];
    world.answers.samples = vec![("a", Some(67_108_864_000), 0)];
    world.sync(0);
    assert_eq!(status(&world)["currentMetrics"][0]["resource"]["current"], json!({"averageValue": "64Mi"}));
}

#[test]
fn a_condition_keeps_the_time_of_its_last_change_of_status() {
    let mut world = World::new(1, &json!({"metrics": [queue()], "behavior": windows(0, 0)}));
    let times = |world: &World| {
        let conditions = world.hpa.status().conditions.iter();
        conditions.map(|condition| condition.last_transition / SECOND).collect::<Vec<_>>()
    };
    world.sync_queue(0, 30);
    assert_eq!(times(&world), [0, 0, 0]);
    world.sync_queue(15, 60);
    assert_eq!(times(&world), [0, 0, 0]);
    world.answers.external.clear();
    world.sync(30);
    assert_eq!(times(&world), [0, 30, 0]);
    // Above the largest number of replicas.
    world.sync_queue(45, 30_000);
    assert_eq!(times(&world), [0, 45, 45]);
}

#[test]
fn without_a_scale_only_able_to_scale_changes() {
    let mut world = World::new(2, &json!({"metrics": [queue()]}));
    world.sync_queue(0, 90);
    let before = status(&world);
    let error = ScaleError::NotFound {
        reference: "Deployment/default/web".to_owned(),
        message: "deployments.apps \"web\" not found".to_owned(),
    };
    let outcome = world.hpa.sync_without_scale(15 * SECOND, error);
    assert_eq!(outcome.rescale, None);
    let said = outcome.error.expect("an error").to_string();
    let expected =
        "failed to query scale subresource for Deployment/default/web: deployments.apps \"web\" not found";
    assert_eq!(said, expected);
    assert_eq!(world.condition(ConditionType::AbleToScale), "False FailedGetScale");
    let after = status(&world);
    assert_eq!(after["currentMetrics"], before["currentMetrics"]);
    assert_eq!(after["conditions"][1], before["conditions"][1]);
}

#[test]
fn without_knowing_the_pods_nothing_is_calculated() {
    let mut world = World::new(2, &json!({"metrics": [queue()]}));
    world.sync_queue(0, 60);
    let mut sync = |now: i64, error: SelectorError| {
        let scale = Scale { selector: Err(error), ..Scale::settled(2) };
        let outcome = world.hpa.sync(now * SECOND, &scale, &[], &world.answers);
        (world.condition(ConditionType::ScalingActive), outcome.error.expect("an error").to_string())
    };
    let prefix =
        "failed to compute desired number of replicas based on listed metrics for Deployment/default/web: ";
    let (condition, said) = sync(15, SelectorError::Missing);
    assert_eq!(condition, "False InvalidSelector");
    assert_eq!(said, format!("{prefix}selector is required"));
    let autoscalers = vec!["default/web".to_owned(), "default/other".to_owned()];
    let (condition, said) =
        sync(30, SelectorError::Ambiguous { selector: "app=web".to_owned(), autoscalers });
    assert_eq!(condition, "False AmbiguousSelector");
    let expected = "pods by selector app=web are controlled by multiple HPAs: [default/web default/other]";
    assert_eq!(said, format!("{prefix}{expected}"));
    assert!(world.hpa.status().current_metrics.is_empty());
}
