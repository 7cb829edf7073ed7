//! Running clusters: what could be saved by moving pods and removing nodes.

mod corpus;

use corpus::{Corpus, running, small, types};
use karpsim_optimum::{Aim, Limits, Optimum, Problem, Status, nanos};

/// Four nodes of 8 cores at 0.35; two have two pods of 2 cores each, two have one. A node of 2 cores costs 0.10.
fn cluster() -> karpsim::api::Scenario {
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
    Corpus::default().scenario(&text)
}

fn rearranged(evictions_max: Option<usize>, removals_max: Option<usize>) -> (Optimum, usize, usize) {
    let scenario = cluster();
    let aim = Aim::Rearrangement { evictions_max, removals_max };
    let optimum = Optimum::solve(&Problem { aim, ..Problem::new(&scenario) }, &Limits::default());
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
    assert!(optimum.difference.starts_with("three nodes go, two t.small come"), "{}", optimum.difference);
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
    assert_eq!(Problem::new(&scenario).aim, Aim::Rearrangement { evictions_max: None, removals_max: None });
}
