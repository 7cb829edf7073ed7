//! Running clusters: what could be saved by moving pods and removing nodes.

mod corpus;

use corpus::steps::Steps;
use corpus::{running, small, types};
use karpsim::model::core::Pod;
use karpsim::model::meta::Condition;
use karpsim::scenario::Scenario;
use karpsim_optimum::{Aim, Limits, OptimizationProblem, Optimum, Rearrangement, Status, nanos};
use karpsim_testkit::Recordings;
use karpsim_validator::{Decided, violations};
use std::sync::Arc;
use std::time::Duration;

/// Four nodes of 8 cores at 0.35; two have two pods of 2 cores each, two have one. A node of 2 cores costs 0.10.
fn cluster() -> Scenario {
    let catalogue = types::catalogue(&[
        types::instance_type("t.small", "2000m", "4Gi", &[("a", 0.1)]),
        types::instance_type("t.large", "8000m", "16Gi", &[("a", 0.35)]),
    ]);
    let mut objects = vec![small::node_pool("default", &[])];
    for (name, pods) in [("n1", 2), ("n2", 2), ("n3", 1), ("n4", 1)] {
        objects.extend(running::node(name, "t.large", "8000m", "16Gi"));
        objects.extend((0..pods).map(|at| running::pod(&format!("{name}-pod-{at}"), name, "2000m")));
    }
    let text = small::scenario(&catalogue, &objects).replace("\"provisioning\"", "\"disruption\"");
    karpsim_testkit::scenario(&text)
}

fn rearranged(evictions_max: Option<usize>, removals_max: Option<usize>) -> (Optimum, usize, usize) {
    let scenario = cluster();
    let aim = Aim::Rearrangement { evictions_max, removals_max };
    let optimum = Optimum::solve(
        &OptimizationProblem { aim, ..OptimizationProblem::new(&scenario) },
        &Limits::default(),
    );
    assert_eq!(optimum.status, Status::Optimal);
    assert_eq!(optimum.unplaced, 0);
    let of = optimum.rearrangement.clone().expect("a rearrangement was asked for");
    assert_eq!((of.cost_now, of.removable), (nanos(1.4), 4));
    (optimum, of.evicted.len(), of.removed.len())
}

#[test]
fn a_cluster_is_rearranged_at_will() {
    // Four pods on a large node and two on small ones: 0.35 + 2 × 0.10; six small ones would cost 0.60, two large 0.70.
    let (optimum, evicted, removed) = rearranged(None, None);
    assert_eq!((optimum.cost, evicted, removed), (nanos(0.55), 4, 3));
    assert!(optimum.cost <= optimum.karpenter_cost);
    assert_eq!(optimum.decision.new_node_claims.len(), 2);
    assert!(
        optimum.difference.starts_with("three nodes removed, two t.small launched"),
        "{}",
        optimum.difference
    );
}

#[test]
fn evictions_are_limited() {
    for (most, cost) in [(0, 1.4), (1, 1.05), (2, 0.7), (3, 0.7), (4, 0.55)] {
        let (optimum, evicted, _) = rearranged(Some(most), None);
        assert_eq!(optimum.cost, nanos(cost), "at most {most} evictions");
        assert!(evicted <= most, "{evicted} of {most}");
    }
}

#[test]
fn removed_nodes_are_limited() {
    for (most, cost) in [(0, 1.4), (1, 1.05), (2, 0.7), (3, 0.55)] {
        let (optimum, _, removed) = rearranged(None, Some(most));
        assert_eq!(optimum.cost, nanos(cost), "at most {most} removed nodes");
        assert!(removed <= most, "{removed} of {most}");
    }
}

#[test]
fn what_a_scenario_asks_for_follows_from_its_kind() {
    let scenario = cluster();
    assert_eq!(
        OptimizationProblem::new(&scenario).aim,
        Aim::Rearrangement { evictions_max: None, removals_max: None }
    );
}

/// The cluster once nodes are gone and their pods wait.
fn once_done(scenario: &Scenario, rearranged: &Rearrangement) -> Scenario {
    let mut after = scenario.clone();
    let removed = |name: &str| rearranged.removed.iter().any(|removed| *removed == name);
    after.objects.nodes.retain(|node| !removed(&node.metadata.name));
    after.objects.node_claims.retain(|claim| !removed(&claim.status.node_name));
    for pod in &mut after.objects.pods {
        let name = format!("{}/{}", pod.metadata.namespace, pod.metadata.name);
        if rearranged.evicted.iter().any(|evicted| *evicted == name) {
            let mut waiting = Pod::clone(pod);
            waiting.spec.node_name = "".into();
            waiting.status.phase = "Pending".into();
            waiting.status.nominated_node_name = "".into();
            waiting.status.conditions = vec![Condition {
                kind: "PodScheduled".into(),
                status: "False".into(),
                reason: "Unschedulable".into(),
                ..Condition::default()
            }];
            *pod = Arc::new(waiting);
        }
    }
    // What is bound to a node goes with it: pods of DaemonSets.
    after.objects.pods.retain(|pod| !removed(&pod.spec.node_name));
    after
}

#[test]
fn recorded_clusters_are_rearranged_by_the_rules_and_never_cost_more() {
    let (mut count, mut cheaper, mut optimal) = (0, 0, 0);
    for recording in Recordings::read("disruption").first_of_each(2) {
        let scenario = recording.scenario();
        let name = &scenario.name;
        let watch = Steps::default();
        let limits = Limits { time: Some(Duration::from_millis(400)), watch: &watch, ..Limits::default() };
        for evictions_max in [None, Some(2)] {
            let aim = Aim::Rearrangement { evictions_max, removals_max: None };
            let optimum =
                Optimum::solve(&OptimizationProblem { aim, ..OptimizationProblem::new(&scenario) }, &limits);
            let of = optimum.rearrangement.clone().expect("a rearrangement was asked for");
            assert!(optimum.bound <= optimum.cost, "{name}");
            assert!(optimum.cost <= of.cost_now, "{name}: {} of {}", optimum.cost, of.cost_now);
            assert!(evictions_max.is_none_or(|most| of.evicted.len() <= most), "{name}: {:?}", of.evicted);
            let text = serde_json::to_string(&optimum.decision).expect("a decision is JSON");
            let decided: Decided = serde_json::from_str(&text).expect("the form of the recordings");
            let found = violations(&once_done(&scenario, &of), &decided);
            assert!(found.is_empty(), "{name}: {found:#?}");
            count += 1;
            cheaper += usize::from(optimum.cost < of.cost_now);
            optimal += usize::from(optimum.status == Status::Optimal);
        }
    }
    println!("{optimal} of {count} proven optimal, {cheaper} cheaper than now");
    assert!(count >= 2 * 70, "{count}");
    assert!(cheaper * 3 > count, "{cheaper} of {count}");
    assert!(optimal * 2 > count, "{optimal} of {count}");
}
