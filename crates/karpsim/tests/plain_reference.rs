//! The fast decisions against the plain ones.

mod data;
mod measured;
mod plain;

use karpsim::api::Scenario;
use karpsim::decision::Method;
use plain::cluster::Cluster;
use plain::launch::Provisioned;
use plain::random::{Size, moment};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed};

/// What the fast way decides, in the form of the plain one.
fn fast(scenario: &Scenario) -> Provisioned {
    let decision = karpsim::provision(scenario);
    Provisioned {
        new_node_claims: decision.new_node_claims,
        filled: decision.existing_nodes.into_iter().map(|node| (node.name, node.pods)).collect(),
        failed: decision.pod_errors.into_keys().collect(),
        ignored: decision.ignored_pods.into_iter().collect(),
    }
}

fn plain(scenario: &Scenario) -> Provisioned {
    plain::launch::provision(&Cluster::new(scenario))
}

#[test]
fn two_thousand_diverse_pods_go_where_they_plainly_go() {
    let scenario = measured::scenario("diverse-2000");
    let decided = fast(&scenario);
    assert_eq!(decided.new_node_claims.len(), 400);
    assert!(decided == plain(&scenario), "diverse-2000");
}

#[test]
fn two_hundred_nodes_are_consolidated_as_they_plainly_are() {
    let scenario = measured::scenario("consolidate-200");
    for method in [Method::MultiNodeConsolidation, Method::SingleNodeConsolidation] {
        let commands = karpsim::disrupt(&scenario, &[method]).commands;
        assert_eq!(commands.len(), 1, "{method:?}");
        assert_eq!(commands, plain::disruption::consolidate(&Cluster::new(&scenario), method), "{method:?}");
    }
}


#[test]
fn recorded() {
    let text = data::text("conformance/provisioning.jsonl");
    let mut counts = (0, 0);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = value["scenario"]["name"].as_str().unwrap().to_owned();
        let scenario = measured::read(&value["scenario"].to_string());
        let start = std::time::Instant::now();
        let (a, b) = (fast(&scenario), plain(&scenario));
        counts.0 += 1;
        if a != b { counts.1 += 1; println!("DIFFERS {name}"); if counts.1 < 4 { println!("fast {a:?}\nplain {b:?}"); } }
        if start.elapsed().as_secs() > 3 { println!("slow {name} {:?}", start.elapsed()); }
    }
    println!("{counts:?}");
}
#[test]
fn recorded_d() {
    let text = data::text("conformance/disruption.jsonl");
    let mut counts = (0, 0, 0);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = value["scenario"]["name"].as_str().unwrap().to_owned();
        let scenario = measured::read(&value["scenario"].to_string());
        if scenario.objects.node_pools.iter().any(|p| p.spec.disruption.consolidation_policy == Some(karpsim::api::karpenter::ConsolidationPolicy::Balanced)) { counts.2 += 1; continue }
        let start = std::time::Instant::now();
        counts.0 += 1;
        for method in [Method::MultiNodeConsolidation, Method::SingleNodeConsolidation] {
        let commands = karpsim::disrupt(&scenario, &[method]).commands;
        let b = plain::disruption::consolidate(&Cluster::new(&scenario), method);
        if commands != b { counts.1 += 1; println!("DIFFERS {name}"); if counts.1 < 4 { println!("fast {commands:?}\nplain {b:?}"); } }
        }
        if start.elapsed().as_secs() > 3 { println!("slow {name} {:?}", start.elapsed()); }
    }
    println!("{counts:?}");
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: std::env::var("CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(cases),
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(std::env::var("SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(11)),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

const SMALL: Size = Size { types: 5, nodes: 4, kinds: 4, of_a_kind: 5 };

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn pods_go_where_they_plainly_go(text in moment("provisioning", SMALL)) {
        let scenario = measured::read(&text);
        prop_assert_eq!(fast(&scenario), plain(&scenario));
    }
}

const LARGE: Size = Size { types: 8, nodes: 6, kinds: 6, of_a_kind: 70 };

proptest! {
    #![proptest_config(config(30))]

    #[test]
    fn many_pods_go_where_they_plainly_go(text in moment("provisioning", LARGE)) {
        let scenario = measured::read(&text);
        prop_assert_eq!(fast(&scenario), plain(&scenario));
    }
}

const STANDING: Size = Size { types: 6, nodes: 12, kinds: 1, of_a_kind: 2 };

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn nodes_are_consolidated_as_they_plainly_are(text in moment("disruption", STANDING)) {
        let scenario = measured::read(&text);
        for method in [Method::MultiNodeConsolidation, Method::SingleNodeConsolidation] {
            let commands = karpsim::disrupt(&scenario, &[method]).commands;
            let plainly = plain::disruption::consolidate(&Cluster::new(&scenario), method);
            prop_assert_eq!(commands, plainly);
        }
    }

    #[test]
    fn stats(text in moment("disruption", STANDING)) {
        let scenario = measured::read(&text);
        let c = Cluster::new(&scenario);
        print!("N{} ", c.nodes.len());
        for method in [Method::MultiNodeConsolidation, Method::SingleNodeConsolidation] {
            for k in karpsim::disrupt(&scenario, &[method]).commands { print!("{:?}{}-{} ", method, k.candidates.len(), k.replacements.len()); }
        }
        println!();
    }
    #[test]
    fn statp(text in moment("provisioning", SMALL)) {
        let scenario = measured::read(&text);
        let d = plain(&scenario);
        println!("new{} filled{} failed{} ignored{} pools{}", d.new_node_claims.len(), d.filled.len(), d.failed.len(), d.ignored.len(), Cluster::new(&scenario).pools.iter().filter(|it| !it.options.is_empty()).count());
    }
}
