//! Laws of decisions, over small random scenarios.

mod random;
mod small;

use karpsim::scenario::Scenario;
use karpsim_validator::{Decided, violations};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed};
use random::{Plan, plan, shuffled};
use serde_json::{Value, json};

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        max_shrink_iters: 2_000,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(14),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn scenario(text: &Value) -> Scenario {
    karpsim_testkit::scenario(&text.to_string())
}

/// The decision as text.
fn decided(text: &Value) -> String {
    serde_json::to_string(&karpsim::provision(&scenario(text))).expect("a decision is JSON")
}

fn of(plan: &Plan) -> Value {
    small::scenario(&plan.options(), &small::catalogue(1.0), &plan.objects(), &plan.memory())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_decision_is_feasible(plan in plan()) {
        let text = of(&plan);
        let decision: Decided = serde_json::from_str(&decided(&text)).expect("the form of the recordings");
        let found = violations(&scenario(&text), &decision);
        prop_assert!(found.is_empty(), "{found:#?}\nscenario: {text}\ndecision: {}", decided(&text));
    }

    #[test]
    fn the_order_of_objects_plays_no_part(plan in plan(), seed in any::<u64>()) {
        let mut text = of(&plan);
        let before = decided(&text);
        prop_assert_eq!(&decided(&text), &before, "the same twice");
        text["objects"] = Value::Array(shuffled(plan.objects(), seed));
        prop_assert_eq!(decided(&text), before, "{}", text);
    }

    #[test]
    fn a_node_pool_that_is_not_ready_changes_nothing(plan in plan()) {
        let mut text = of(&plan);
        let before = decided(&text);
        let taint = json!({"taints": [{"key": "soft", "effect": "PreferNoSchedule"}]});
        let unready = small::node_pool("0-first", &json!({"team": "red"}), taint, &json!({"weight": 100}), false);
        text["objects"].as_array_mut().expect("a list").push(unready);
        // Without any usable NodePool nothing is decided; with one, this one is not looked at.
        prop_assert_eq!(decided(&text), before, "{}", text);
    }

    #[test]
    fn doubled_prices_change_no_launch(plan in plan()) {
        let mut text = of(&plan);
        let before: Value = serde_json::from_str(&decided(&text)).expect("JSON");
        text["catalogue"] = small::catalogue(2.0);
        let mut after: Value = serde_json::from_str(&decided(&text)).expect("JSON");
        for claim in after["newNodeClaims"].as_array_mut().expect("a list") {
            let price = claim["launch"]["price"].as_f64().expect("a price");
            claim["launch"]["price"] = json!(price / 2.0);
        }
        prop_assert_eq!(after, before, "{}", text);
    }
}

/// The generator is of use only if its scenarios are decided in many ways.
#[test]
fn the_scenarios_are_not_all_alike() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let mut seen = [0usize; 6];
    for _ in 0..400 {
        let plan = plan().new_tree(&mut runner).expect("a plan").current();
        let decision: Decided = serde_json::from_str(&decided(&of(&plan))).expect("a decision");
        seen[0] += usize::from(!decision.new_node_claims.is_empty());
        seen[1] += usize::from(decision.new_node_claims.len() > 2);
        seen[2] += usize::from(!decision.existing_nodes.is_empty());
        seen[3] += usize::from(!decision.pod_errors.is_empty());
        seen[4] += usize::from(decision.new_node_claims.iter().any(|claim| claim.pods.len() > 3));
        let spot = |claim: &karpsim_validator::DecidedClaim| {
            claim.launch.as_ref().is_some_and(|launch| launch.capacity_type == "spot")
        };
        seen[5] += usize::from(decision.new_node_claims.iter().any(spot));
    }
    println!("launches, several, standing nodes, errors, many pods, spot: {seen:?} of 400");
    assert!(seen.iter().all(|count| *count > 40), "{seen:?}");
}
