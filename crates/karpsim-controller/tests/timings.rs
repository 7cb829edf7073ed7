//! Karpenter's timings as tables that an operator can read: what is done to the cluster on the left, what Karpenter does
//! on the right.
//!
//! Decisions come from a decider with three rules: a pod without a node gets one of its own; a node without pods is
//! empty; a drifted node is replaced, one at a time. A node is there 3 s after its NodeClaim, ready after 10 s more and
//! initialized after another 1.1 s. The start is a whole second unless said otherwise.

mod cluster;

use cluster::{Cluster, POOL};

/// Plays `input` and compares what Karpenter does with `expected`, line by line.
fn check(what: &str, pool: &str, input: &[(f64, &str)], until: f64, expected: &[&str]) {
    check_from(what, "2026-01-01T00:00:00Z", pool, input, until, expected);
}

fn check_from(what: &str, start: &str, pool: &str, input: &[(f64, &str)], until: f64, expected: &[&str]) {
    let mut cluster = Cluster::new(start, pool);
    cluster.play(input, until);
    let wanted: Vec<String> =
        expected.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(cluster.log, wanted, "{what}\nwas:\n  {}", cluster.log.join("\n  "));
}

#[test]
fn a_pod_gets_a_node_after_the_batch_window() {
    check(
        "one pod: idle for 1 s",
        POOL,
        &[(0.0, "pod a")],
        16.0,
        &["1.0  launch default-1", "4.0  registered default-1", "15.1 initialized default-1"],
    );
    check(
        "pods less than 1 s apart are one batch; a pod that comes later is another one",
        POOL,
        &[(0.0, "pod a"), (0.9, "pod b"), (5.0, "pod c")],
        7.0,
        &[
            "1.9 launch default-1",
            "1.9 launch default-2",
            "4.9 registered default-1",
            "4.9 registered default-2",
            "6.0 launch default-3",
        ],
    );
    check(
        "pods that keep coming are decided on after 10 s",
        POOL,
        &[
            (0.0, "pod a"),
            (0.9, "pod b"),
            (1.8, "pod c"),
            (2.7, "pod d"),
            (3.6, "pod e"),
            (4.5, "pod f"),
            (5.4, "pod g"),
            (6.3, "pod h"),
            (7.2, "pod i"),
            (8.1, "pod j"),
            (9.0, "pod k"),
            (9.9, "pod l"),
            (10.8, "pod m"),
        ],
        10.5,
        &[
            "10.0 launch default-1",
            "10.0 launch default-2",
            "10.0 launch default-3",
            "10.0 launch default-4",
            "10.0 launch default-5",
            "10.0 launch default-6",
            "10.0 launch default-7",
            "10.0 launch default-8",
            "10.0 launch default-9",
            "10.0 launch default-10",
            "10.0 launch default-11",
            "10.0 launch default-12",
        ],
    );
}

#[test]
fn an_empty_node_goes_after_consolidate_after_a_poll_and_15_seconds() {
    check(
        "consolidateAfter 30s from the last pod event, then the next pass (5, 15, 25 …), then 15 s, then a drain of 5 s",
        POOL,
        &[(0.0, "pod a"), (40.0, "delete a")],
        110.0,
        &[
            "1.0   launch default-1",
            "4.0   registered default-1",
            "15.1  initialized default-1",
            "70.0  consolidatable default-1",
            "90.0  Empty: default-1",
            "90.0  disrupted default-1",
            "90.0  deleting default-1",
            "95.0  deleted default-1",
        ],
    );
    check_from(
        "timestamps are cut to the second: with a start at .930 the 30 s count from 40.07, and the pass at 75 sees it",
        "2026-01-01T00:00:00.930Z",
        POOL,
        &[(0.0, "pod a"), (41.0, "delete a")],
        72.0,
        &[
            "1.0   launch default-1",
            "4.0   registered default-1",
            "15.1  initialized default-1",
            "70.0  consolidatable default-1",
        ],
    );
    check(
        "a pod that comes while the loop waits its 15 s saves the node, and the loop looks again 10 s later",
        POOL,
        &[(0.0, "pod a"), (40.0, "delete a"), (80.0, "bind b default-1"), (90.5, "delete b")],
        136.0,
        &[
            "1.0   launch default-1",
            "4.0   registered default-1",
            "15.1  initialized default-1",
            "70.0  consolidatable default-1",
            "80.0  not consolidatable default-1",
            "120.0 consolidatable default-1",
            // Not valid at 90: passes at 100, 110, 120.
            "135.0 Empty: default-1",
            "135.0 disrupted default-1",
            "135.0 deleting default-1",
        ],
    );
    check(
        "pod events less than 10 s apart are written once: the second one does not move the time",
        POOL,
        &[(0.0, "pod a"), (20.0, "bind b default-1"), (22.0, "delete b"), (60.0, "delete a")],
        61.0,
        &[
            "1.0  launch default-1",
            "4.0  registered default-1",
            "15.1 initialized default-1",
            // a was bound at 14; b came at 20, which is not written.
            "44.0 consolidatable default-1",
            "60.0 not consolidatable default-1",
        ],
    );
    check(
        "consolidateAfter: Never",
        &POOL.replace("30s", "Never"),
        &[(0.0, "pod a"), (40.0, "delete a")],
        200.0,
        &["1.0 launch default-1", "4.0 registered default-1", "15.1 initialized default-1"],
    );
}

#[test]
fn a_drifted_node_is_replaced_without_validation() {
    check(
        "the template changes at 50: the pass at 55 replaces; while the replacement is launched the state is unsynced and
         the phase moves by a second; the replacement is initialized at 69.1, and the poll at 70 sees it",
        POOL,
        &[(0.0, "pod a"), (50.0, "template gen=two")],
        76.5,
        &[
            "1.0  launch default-1",
            "4.0  registered default-1",
            "15.1 initialized default-1",
            "44.0 consolidatable default-1",
            "50.0 drifted default-1",
            "55.0 Drifted: default-1 -> default-2",
            "55.0 disrupted default-1",
            "55.0 launch default-2",
            "58.0 registered default-2",
            "69.1 initialized default-2",
            "70.0 deleting default-1",
            "70.0 evict a",
            "75.0 deleted default-1",
        ],
    );
    let mut cluster = Cluster::new("2026-01-01T00:00:00Z", POOL);
    cluster.play(&[(0.0, "pod a"), (50.0, "template gen=two")], 80.0);
    assert_eq!(
        cluster.passes[..8],
        [5.0, 15.0, 25.0, 35.0, 45.0, 55.0, 56.0, 66.0],
        "55, at once unsynced, 56, 66"
    );
}

#[test]
fn a_replacement_that_cannot_be_had_gives_the_node_back() {
    check(
        "the cloud has nothing: the NodeClaim goes, the taint comes off, drift tries again at the next pass",
        POOL,
        &[(0.0, "pod a"), (50.0, "template gen=two"), (54.0, "cloud empty"), (56.5, "cloud full")],
        58.0,
        &[
            "1.0  launch default-1",
            "4.0  registered default-1",
            "15.1 initialized default-1",
            "44.0 consolidatable default-1",
            "50.0 drifted default-1",
            "55.0 Drifted: default-1 -> default-2",
            "55.0 disrupted default-1",
            "55.0 launch default-2",
            "55.0 deleted default-2",
            "56.0 undisrupted default-1",
            "56.0 Drifted: default-1 -> default-3",
            "56.0 disrupted default-1",
            "56.0 launch default-3",
            "56.0 deleted default-3",
            // The taint had asked for a round for the pod; it finds no node for it either.
            "56.0 launch default-4",
            "56.0 deleted default-4",
            "57.0 undisrupted default-1",
            "57.0 Drifted: default-1 -> default-5",
            "57.0 disrupted default-1",
            "57.0 launch default-5",
        ],
    );
}

#[test]
fn expiration_deletes_one_node_a_second() {
    check_from(
        "expireAfter 60s from the creation time as it is written (1.0 + .954 is cut to 1 s: 0.046); no replacement first",
        "2026-01-01T00:00:00.954Z",
        &POOL.replace("Never", "60s"),
        &[(0.0, "pod a"), (0.0, "pod b")],
        62.5,
        &[
            "1.0  launch default-1",
            "1.0  launch default-2",
            "4.0  registered default-1",
            "4.0  registered default-2",
            "15.1 initialized default-1",
            "15.1 initialized default-2",
            "43.0 consolidatable default-1",
            "43.0 consolidatable default-2",
            "60.0 Expired: default-1",
            "60.0 deleting default-1",
            "60.0 disrupted default-1",
            "60.0 evict a",
            "61.0 Expired: default-2",
            "61.0 deleting default-2",
            "61.0 disrupted default-2",
            "61.0 evict b",
            // The pods of both nodes ask for room: idle since 61.0.
            "62.0 launch default-3",
            "62.0 launch default-4",
        ],
    );
}

#[test]
fn refused_evictions_back_off() {
    check(
        "0.1, 0.2, 0.4 … up to 10 s between attempts, while the drain waits",
        POOL,
        &[(0.0, "pod a"), (20.0, "budget none"), (30.0, "delete-node default-1"), (37.0, "budget all")],
        44.0,
        &[
            "1.0  launch default-1",
            "4.0  registered default-1",
            "15.1 initialized default-1",
            "30.0 Deleted: default-1",
            "30.0 deleting default-1",
            "30.0 disrupted default-1",
            "30.0 refused a",
            "30.1 refused a",
            "30.3 refused a",
            "30.7 refused a",
            // Meanwhile there is a node for the pod.
            "31.0 launch default-2",
            "31.5 refused a",
            "33.1 refused a",
            "34.0 registered default-2",
            "36.3 refused a",
            "42.7 evict a",
            "43.0 deleted default-1",
        ],
    );
}

#[test]
fn a_termination_grace_period_ends_a_drain() {
    check(
        "terminationGracePeriod 60s: a pod with 30 s of grace is deleted once half a minute is left, budget or not",
        &POOL.replace(r#""expireAfter""#, r#""terminationGracePeriod": "60s", "expireAfter""#),
        &[(0.0, "pod a"), (20.0, "budget none"), (30.0, "delete-node default-1")],
        62.5,
        &[
            "1.0  launch default-1",
            "4.0  registered default-1",
            "15.1 initialized default-1",
            "30.0 Deleted: default-1",
            "30.0 deleting default-1",
            "30.0 disrupted default-1",
            "30.0 refused a",
            "30.1 refused a",
            "30.3 refused a",
            "30.7 refused a",
            "31.0 launch default-2",
            "31.5 refused a",
            "33.1 refused a",
            "34.0 registered default-2",
            "36.3 refused a",
            "42.7 refused a",
            "45.1 initialized default-2",
            "52.7 refused a",
            "61.0 delete a",
            "62.0 deleted default-1",
        ],
    );
}

#[test]
fn interruption_drains_at_once() {
    check(
        "spot: the node is drained and replaced while it still runs; a rebalance recommendation does nothing",
        POOL,
        &[(0.0, "pod a"), (20.0, "rebalance default-1"), (30.0, "spot default-1")],
        36.0,
        &[
            "1.0  launch default-1",
            "4.0  registered default-1",
            "15.1 initialized default-1",
            "30.0 SpotInterrupted: default-1",
            "30.0 deleting default-1",
            "30.0 disrupted default-1",
            "30.0 evict a",
            "31.0 launch default-2",
            "34.0 registered default-2",
            "35.0 deleted default-1",
        ],
    );
}

#[test]
fn consolidation_that_found_nothing_is_remembered() {
    let mut cluster = Cluster::new("2026-01-01T00:00:00Z", POOL);
    cluster.play(&[(0.0, "pod a")], 400.0);
    // Consolidatable at 44; the pass at 45 asks. Nothing changes after that, so nothing could be found.
    assert_eq!(cluster.single_node_asked(), [45.0]);
    let mut cluster = Cluster::new("2026-01-01T00:00:00Z", POOL);
    cluster.play(&[(0.0, "pod a"), (100.0, "bind b default-1")], 200.0);
    // A pod that is bound is a change; but then the node is not consolidatable for 30 s.
    assert_eq!(cluster.single_node_asked(), [45.0, 135.0]);
    let mut cluster = Cluster::new("2026-01-01T00:00:00Z", POOL);
    cluster.play(
        &[(0.0, "pod a"), (100.0, "namespace b"), (330.0, "namespace c"), (620.0, "namespace d")],
        700.0,
    );
    // Something changes that makes no consolidation possible: asked again only 5 minutes after the last change that could
    // (the node was initialized at 15.1), and from then on every 5 minutes.
    assert_eq!(cluster.single_node_asked(), [45.0, 325.0, 625.0]);
}

#[test]
fn v0_6_removes_an_empty_node_by_its_ttl_alone() {
    let mut cluster = Cluster::v0_6("2026-01-01T00:00:00Z", POOL);
    cluster.play(&[(0.0, "pod a"), (40.5, "delete a")], 80.0);
    assert_eq!(
        cluster.log,
        [
            "1.0 launch default-1",
            "4.0 registered default-1",
            "15.1 initialized default-1",
            "70.0 consolidatable default-1",
            "70.5 Empty: default-1",
            "70.5 deleting default-1",
            "70.5 disrupted default-1",
            "70.5 deleted default-1",
        ]
    );
}

#[test]
fn a_static_node_pool_keeps_its_count() {
    let pool = POOL.replace(r#""template""#, r#""replicas": 2, "template""#);
    check(
        "two nodes at once, a third when it is scaled up, an empty one goes when it is scaled down",
        &pool,
        &[(20.0, "replicas 3"), (40.0, "replicas 2")],
        46.0,
        &[
            "0.0  launch default-1",
            "0.0  launch default-2",
            "3.0  registered default-1",
            "3.0  registered default-2",
            "14.1 initialized default-1",
            "14.1 initialized default-2",
            "20.0 launch default-3",
            "23.0 registered default-3",
            "34.1 initialized default-3",
            "40.0 ScaledDown: default-1",
            "40.0 deleting default-1",
            "40.0 disrupted default-1",
            "45.0 deleted default-1",
        ],
    );
}
