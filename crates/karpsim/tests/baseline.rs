//! What Karpenter v1.14.1 itself decided on the scenarios for measuring: how many nodes it launched for how many pods, and
//! how many it removed for how many new ones.

mod measured;

use karpsim::decision::Method;
use karpsim::scenario::PreferencePolicy;
use karpsim::{disrupt, provision};

#[test]
fn as_many_nodes_are_launched() {
    for (name, nodes) in [
        ("diverse-500", 100),
        ("diverse-1000", 200),
        ("diverse-2000", 400),
        ("diverse-5000", 1_000),
        ("diverse-10000", 2_000),
        ("preference-4000", 4_000),
    ] {
        let decision = provision(&measured::scenario(name));
        assert_eq!((decision.new_node_claims.len(), decision.pod_errors.len()), (nodes, 0), "{name}");
    }
}

#[test]
fn fewer_nodes_are_launched_if_preferences_are_ignored() {
    let mut scenario = measured::scenario("preference-4000");
    scenario.options.preference_policy = Some(PreferencePolicy::Ignore);
    assert_eq!(provision(&scenario).new_node_claims.len(), 21);
}

#[test]
fn as_many_nodes_are_removed_and_replaced() {
    use Method::{MultiNodeConsolidation, SingleNodeConsolidation};
    for (name, method, removed, launched) in [
        ("consolidate-200", MultiNodeConsolidation, 2, 1),
        ("consolidate-200", SingleNodeConsolidation, 1, 1),
        ("consolidate-500", MultiNodeConsolidation, 12, 1),
        ("consolidate-500", SingleNodeConsolidation, 1, 1),
        ("consolidate-200-fragmented", MultiNodeConsolidation, 101, 1),
        ("consolidate-500-fragmented", MultiNodeConsolidation, 94, 1),
        ("consolidate-500-fragmented", SingleNodeConsolidation, 1, 0),
    ] {
        let commands = disrupt(&measured::scenario(name), &[method]).commands;
        let found: Vec<(usize, usize)> =
            commands.iter().map(|it| (it.candidates.len(), it.replacements.len())).collect();
        assert_eq!(found, [(removed, launched)], "{name}, {method:?}");
    }
}
