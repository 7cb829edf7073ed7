//! The generated inputs are what their names say.

use karpsim::decision::{Decision, Method};
use karpsim_benches::{clusters, files, pods};

fn commands(text: &str, method: Method) -> Vec<karpsim::decision::Command> {
    karpsim::disrupt(&files::scenario(text), &[method]).commands
}

#[test]
fn diverse_pods_all_find_a_place() {
    let text = pods::diverse(203, 1);
    let Decision::Provisioning(decision) = karpsim::decide(&files::scenario(&text)) else {
        panic!("provisioning")
    };
    assert!(decision.pod_errors.is_empty(), "{:?}", decision.pod_errors);
    let placed: usize = decision.new_node_claims.iter().map(|claim| claim.pods.len()).sum();
    assert_eq!(placed, 203);
    // A fifth of the pods stay away from each other, so there are as many nodes at least.
    assert!(decision.new_node_claims.len() >= 40, "{}", decision.new_node_claims.len());
}

#[test]
fn no_node_of_a_full_cluster_can_go_alone() {
    let text = clusters::full(30, 1);
    assert_eq!(commands(&text, Method::SingleNodeConsolidation), []);
}

#[test]
fn half_empty_clusters_have_much_to_consolidate() {
    let text = clusters::half_empty(30, 1);
    let found = commands(&text, Method::MultiNodeConsolidation);
    assert_eq!(found.len(), 1);
    assert!(found[0].candidates.len() > 5, "{:?}", found[0].candidates);
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    assert_eq!(pods::diverse(20, 7), pods::diverse(20, 7));
    assert_ne!(pods::diverse(20, 7), pods::diverse(20, 8));
    assert_eq!(clusters::full(5, 7), clusters::full(5, 7));
}
