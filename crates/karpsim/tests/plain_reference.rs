//! The fast decisions against the plain ones.

mod data;
mod measured;
mod plain;

use karpsim::api::Scenario;
use karpsim::decision::Method;
use plain::cluster::Cluster;
use plain::launch::Provisioned;

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

/// Every recorded scenario whose name begins with `PLAIN`.
#[test]
fn recorded() {
    let which = std::env::var("PLAIN").unwrap_or_default();
    let text = data::text("conformance/provisioning.jsonl");
    let mut counts = (0, 0);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = value["scenario"]["name"].as_str().unwrap().to_owned();
        if !name.starts_with(&which) { continue }
        let scenario = measured::read(&value["scenario"].to_string());
        let start = std::time::Instant::now();
        let (a, b) = (fast(&scenario), plain(&scenario));
        counts.0 += 1;
        if a != b { counts.1 += 1; println!("DIFFERS {name}"); if counts.1 < 4 { println!("fast {a:?}\nplain {b:?}"); } }
        if start.elapsed().as_secs() > 3 { println!("slow {name} {:?}", start.elapsed()); }
    }
    println!("{counts:?}");
}
