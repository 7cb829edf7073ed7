//! The fast decisions against the plain ones of `plain`: on random clusters, on what was recorded, and on large ones.
//!
//! A random cluster on which they differ is shrunk, and printed as a scenario that `karpsim decide` takes.

mod measured;
mod plain;

use karpsim::decision::{Command, Method};
use karpsim::scenario::Scenario;
use karpsim::version::KarpenterVersion;
use karpsim_testkit::Recordings;
use plain::cluster::Cluster;
use plain::launch::Provisioned;
use plain::random::{Moment, Size, moment};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, RngSeed, TestRunner};

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

const CONSOLIDATION: [Method; 2] = [Method::MultiNodeConsolidation, Method::SingleNodeConsolidation];

/// What both methods do, the fast way and plainly.
fn consolidated(scenario: &Scenario) -> [Vec<Command>; 2] {
    let cluster = Cluster::new(scenario);
    let plainly = CONSOLIDATION.iter().flat_map(|&method| plain::disruption::consolidate(&cluster, method));
    [karpsim::disrupt(scenario, &CONSOLIDATION).commands, plainly.collect()]
}

/// The plain reading is one of v1.14.
fn read(text: &str) -> Scenario {
    let mut scenario = karpsim_testkit::scenario(text);
    scenario.options.karpenter_version = Some(KarpenterVersion::V1_14);
    scenario
}

fn config(cases: u32, shrinks: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        max_shrink_iters: shrinks,
        ..ProptestConfig::default()
    }
}

/// Few of everything, and every feature.
const SMALL: Size = Size { types: 5, nodes: 4, kinds: 4, of_a_kind: 5 };
/// So many pods of a kind that verdicts are remembered, and so many new nodes that their order is no insertion sort.
const LARGE: Size = Size { types: 8, nodes: 6, kinds: 6, of_a_kind: 70 };
/// Nodes to consolidate, and a few pods that wait beside them.
const STANDING: Size = Size { types: 6, nodes: 12, kinds: 1, of_a_kind: 2 };

proptest! {
    #![proptest_config(config(2_000, 10_000))]

    #[test]
    fn pods_go_where_they_plainly_go(moment in moment("provisioning", SMALL)) {
        let scenario = read(&moment.0);
        prop_assert_eq!(fast(&scenario), plain(&scenario));
    }
}

proptest! {
    #![proptest_config(config(100, 500))]

    #[test]
    fn many_pods_go_where_they_plainly_go(moment in moment("provisioning", LARGE)) {
        let scenario = read(&moment.0);
        prop_assert_eq!(fast(&scenario), plain(&scenario));
    }
}

proptest! {
    #![proptest_config(config(800, 5_000))]

    #[test]
    fn nodes_are_consolidated_as_they_plainly_are(moment in moment("disruption", STANDING)) {
        let [fast, plainly] = consolidated(&read(&moment.0));
        prop_assert_eq!(fast, plainly);
    }
}

/// Some of the first moments that the properties above see.
fn moments(kind: &'static str, size: Size) -> Vec<Scenario> {
    let mut runner = TestRunner::new(config(200, 0));
    let strategy = moment(kind, size);
    (0..200)
        .map(|_| {
            let Moment(text) = strategy.new_tree(&mut runner).expect("a moment").current();
            read(&text)
        })
        .collect()
}

/// That the properties hold means something only if there is something to decide.
#[test]
fn random_clusters_leave_much_to_decide() {
    let decisions: Vec<Provisioned> = moments("provisioning", SMALL).iter().map(fast).collect();
    let many: Vec<Provisioned> = moments("provisioning", LARGE).iter().map(fast).collect();
    let consolidating = moments("disruption", STANDING);
    let commands: Vec<Command> = consolidating
        .iter()
        .flat_map(|scenario| karpsim::disrupt(scenario, &CONSOLIDATION).commands)
        .collect();
    let of = |is: &dyn Fn(&Provisioned) -> bool| decisions.iter().filter(|it| is(it)).count();
    let by = |is: &dyn Fn(&Command) -> bool| commands.iter().filter(|it| is(it)).count();
    let counts = [
        ("new nodes", of(&|it| !it.new_node_claims.is_empty()), 80),
        ("several new nodes", of(&|it| it.new_node_claims.len() > 2), 25),
        ("pods on nodes that are there", of(&|it| !it.filled.is_empty()), 40),
        ("pods that find no place", of(&|it| !it.failed.is_empty()), 40),
        ("very many new nodes", many.iter().filter(|it| it.new_node_claims.len() > 50).count(), 5),
        ("a node goes", by(&|it| it.method == Method::SingleNodeConsolidation), 30),
        ("several go", by(&|it| it.method == Method::MultiNodeConsolidation), 10),
        ("a node is replaced", by(&|it| !it.replacements.is_empty()), 5),
    ];
    for (what, count, least) in counts {
        println!("{what}: {count}");
        assert!(count >= least, "{what}: {count} of 200");
    }
}

/// Names of recorded scenarios for which `agree` does not hold, and how many there are in all.
fn recorded(kind: &str, agree: impl Fn(&Scenario) -> bool) -> (Vec<String>, usize) {
    let recordings = Recordings::read(kind);
    let differing = recordings.iter().filter(|recording| !agree(&read(recording.scenario)));
    (differing.map(|recording| recording.name.to_owned()).collect(), recordings.iter().count())
}

/// The plain way is right, too: it decides what Karpenter did, as the fast one does.
#[test]
fn what_was_recorded_of_provisioning_is_plainly_so() {
    let (differing, count) = recorded("provisioning", |scenario| fast(scenario) == plain(scenario));
    assert_eq!((differing, count), (Vec::new(), 2_392));
}

#[test]
fn what_was_recorded_of_consolidation_is_plainly_so() {
    let agree = |scenario: &Scenario| {
        let [fast, plainly] = consolidated(scenario);
        fast == plainly
    };
    let (differing, count) = recorded("disruption", agree);
    assert_eq!((differing, count), (Vec::new(), 921));
}

#[test]
fn two_thousand_diverse_pods_go_where_they_plainly_go() {
    let scenario = measured::scenario("diverse-2000");
    let decided = fast(&scenario);
    assert_eq!(decided.new_node_claims.len(), 400);
    assert!(decided == plain(&scenario), "differs");
}

#[test]
fn two_hundred_nodes_are_consolidated_as_they_plainly_are() {
    let [fast, plainly] = consolidated(&measured::scenario("consolidate-200"));
    assert_eq!(fast.len(), 2);
    assert_eq!(fast, plainly);
}
