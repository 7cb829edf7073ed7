//! A cluster that is changed object by object decides as one that is compiled from nothing, whatever its history.
//!
//! The recorded scenarios are the clusters: their objects come in a random order, others come and go in between, some go
//! and come back, the clock and what Karpenter remembers change; at the end, and at moments on the way, the answer must be
//! that of the same moment compiled from nothing.

use karpsim::cluster::{Change, Cluster};
use karpsim::decision::Method;
use karpsim::kubernetes::pods::pod_key;
use karpsim::model::Objects;
use karpsim::model::meta::Time;
use karpsim::scenario::{ClusterMemory, Options, Scenario, ScenarioKind};
use karpsim::version::KarpenterVersion;
use karpsim_testkit::{Recording, Recordings};
use libtest_mimic::{Arguments, Failed, Trial};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Arc;

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}

/// The changes that bring every object of a scenario, those that are compiled anew first.
fn arrivals(objects: &Objects) -> (Vec<Change>, Vec<Change>) {
    let mut settled = Vec::new();
    settled.extend(objects.node_pools.iter().cloned().map(|it| Change::NodePool(Box::new(it))));
    settled.extend(objects.node_overlays.iter().cloned().map(|it| Change::NodeOverlay(Box::new(it))));
    settled.extend(objects.daemon_sets.iter().cloned().map(|it| Change::DaemonSet(Box::new(it))));
    settled.extend(objects.namespaces.iter().cloned().map(|it| Change::Namespace(Box::new(it))));
    settled
        .extend(objects.persistent_volumes.iter().cloned().map(|it| Change::PersistentVolume(Box::new(it))));
    settled.extend(
        objects
            .persistent_volume_claims
            .iter()
            .cloned()
            .map(|it| Change::PersistentVolumeClaim(Box::new(it))),
    );
    settled.extend(objects.storage_classes.iter().cloned().map(|it| Change::StorageClass(Box::new(it))));
    settled.extend(objects.csi_nodes.iter().cloned().map(|it| Change::CsiNode(Box::new(it))));
    settled.extend(
        objects.pod_disruption_budgets.iter().cloned().map(|it| Change::PodDisruptionBudget(Box::new(it))),
    );
    settled.extend(objects.services.iter().cloned().map(|it| Change::Service(Box::new(it))));
    settled.extend(
        objects.replication_controllers.iter().cloned().map(|it| Change::ReplicationController(Box::new(it))),
    );
    settled.extend(objects.replica_sets.iter().cloned().map(|it| Change::ReplicaSet(Box::new(it))));
    settled.extend(objects.stateful_sets.iter().cloned().map(|it| Change::StatefulSet(Box::new(it))));
    let mut passing: Vec<Change> = Vec::new();
    passing.extend(objects.pods.iter().map(|it| Change::Pod(Arc::clone(it))));
    passing.extend(objects.nodes.iter().map(|it| Change::Node(Arc::clone(it))));
    passing.extend(objects.node_claims.iter().map(|it| Change::NodeClaim(Arc::clone(it))));
    (settled, passing)
}

/// What takes a passing object away again.
fn departure(change: &Change) -> Option<Change> {
    Some(match change {
        Change::Pod(pod) => Change::PodGone(pod_key(pod)),
        Change::Node(node) => Change::NodeGone(node.metadata.name.clone()),
        Change::NodeClaim(claim) => Change::NodeClaimGone(claim.metadata.name.clone()),
        _ => return None,
    })
}

/// The same object under another name, and with another state: a passer-by.
fn passer_by(change: &Change, random: &mut Random) -> Option<Change> {
    let number = random.below(4);
    Some(match change {
        Change::Pod(pod) => {
            let mut other = (**pod).clone();
            other.metadata.name = format!("passer-by-{number}").into();
            if random.below(3) == 0 {
                other.metadata.labels.insert("pod-template-hash", format!("{number}"));
            }
            Change::Pod(Arc::new(other))
        }
        Change::Node(node) => {
            let mut other = (**node).clone();
            other.metadata.name = format!("passer-by-{number}").into();
            other.spec.provider_id = format!("passer-by:///{number}").into();
            if random.below(2) == 0 {
                other.metadata.labels.insert("kubernetes.io/hostname", format!("passer-by-{number}"));
            }
            Change::Node(Arc::new(other))
        }
        Change::NodeClaim(claim) => {
            let mut other = (**claim).clone();
            other.metadata.name = format!("passer-by-{number}").into();
            other.status.provider_id = format!("passer-by:///{number}").into();
            Change::NodeClaim(Arc::new(other))
        }
        _ => return None,
    })
}

/// The order of objects decides nothing, but Karpenter's list of them is by name.
fn sorted(mut scenario: Scenario) -> Scenario {
    let objects = &mut scenario.objects;
    objects.pods.sort_by_key(|it| pod_key(it));
    objects.nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    objects.node_claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    scenario
}

fn answer(cluster: &mut Cluster) -> [String; 2] {
    let provisioning = serde_json::to_string(&cluster.provision()).expect("a decision is JSON");
    let disruption = serde_json::to_string(&cluster.disrupt(&Method::ALL)).expect("a decision is JSON");
    [provisioning, disruption]
}

fn from_nothing(scenario: &Scenario) -> [String; 2] {
    let of = |kind: ScenarioKind| {
        let scenario = Scenario { kind, ..scenario.clone() };
        serde_json::to_string(&karpsim::decide(&scenario)).expect("a decision is JSON")
    };
    [of(ScenarioKind::Provisioning), of(ScenarioKind::Disruption)]
}

/// Plays a history that ends in `scenario`. Tells how many changes it had, and what differed first.
fn play(scenario: &Scenario, seed: u64, asked_on_the_way: usize) -> Result<usize, String> {
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    let start =
        Scenario { objects: Objects::default(), memory: ClusterMemory::default(), ..scenario.clone() };
    let mut cluster = Cluster::new(&start);
    let (mut settled, mut passing) = arrivals(&scenario.objects);
    random.shuffle(&mut settled);
    random.shuffle(&mut passing);
    // An upgrade on the way decides by the new rules from then on.
    let mut steps: Vec<Change> = Vec::new();
    let upgraded = random.below(4) == 0;
    if upgraded {
        let karpenter_version = Some(KarpenterVersion::V1_14_3);
        let before = Options { karpenter_version, ..scenario.options.clone() };
        steps.push(Change::Options(Box::new(before)));
    }
    let mut guests: Vec<Change> = Vec::new();
    for change in &passing {
        if random.below(3) == 0
            && let Some(guest) = passer_by(change, &mut random)
        {
            guests.extend(departure(&guest));
            steps.push(guest);
        }
        steps.push(change.clone());
        if random.below(6) == 0
            && let Some(gone) = departure(change)
        {
            steps.push(gone);
            steps.push(change.clone());
        }
        if random.below(4) == 0 && !guests.is_empty() {
            let at = random.below(guests.len());
            steps.push(guests.swap_remove(at));
        }
        if random.below(8) == 0 {
            let now = scenario.now.0 + jiff::SignedDuration::from_secs(random.below(900) as i64 - 450);
            steps.push(Change::Now(Time(now)));
        }
    }
    steps.extend(guests);
    if upgraded {
        steps.push(Change::Options(Box::new(scenario.options.clone())));
    }
    // Half of the time everything else is there before; else it comes in between.
    if random.below(2) == 0 {
        for change in settled {
            let at = random.below(steps.len() + 1);
            steps.insert(at, change);
        }
    } else {
        steps.splice(0..0, settled);
    }
    steps.push(Change::Nominated(scenario.memory.nominated.clone()));
    steps.push(Change::MarkedForDeletion(scenario.memory.marked_for_deletion.clone()));
    steps.push(Change::Now(scenario.now));
    let count = steps.len();
    let ask_every = (count / asked_on_the_way.max(1)).max(1);
    for (at, step) in steps.into_iter().enumerate() {
        let shown = format!("{step:?}");
        cluster.change(step);
        if at % ask_every == ask_every - 1 {
            let expected = from_nothing(&sorted(cluster.to_scenario()));
            let found = answer(&mut cluster);
            if found != expected {
                let shown: String = shown.chars().take(200).collect();
                return Err(format!(
                    "seed {seed}, step {at} ({shown}):\n{found:?}\ninstead of\n{expected:?}"
                ));
            }
        }
    }
    let expected = from_nothing(scenario);
    let found = answer(&mut cluster);
    if found != expected {
        return Err(format!("seed {seed}, at the end:\n{found:?}\ninstead of\n{expected:?}"));
    }
    Ok(count)
}

fn check_family(name: &str, recordings: &[Recording<'_>], version: KarpenterVersion) -> Result<(), Failed> {
    let mut changes = 0;
    for (at, recording) in (0..).zip(recordings) {
        let mut scenario = sorted(recording.scenario());
        scenario.options.karpenter_version = Some(version);
        changes += play(&scenario, at, 4).map_err(|problem| format!("{}: {problem}", scenario.name))?;
    }
    println!("{name}: {} histories with {changes} changes", recordings.len());
    Ok(())
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for kind in ["provisioning", "disruption", "beyond", "v1.15"] {
        let recordings: &'static Recordings = Box::leak(Box::new(Recordings::read(kind)));
        for (family, mut recordings) in recordings.families() {
            // The whole catalogue takes its time; the mechanism is the same.
            let most = if family == "packing-full-catalogue" || family == "large" { 2 } else { usize::MAX };
            recordings.truncate(most);
            let name = format!("{kind}::{family}");
            let version = if kind == "v1.15" { KarpenterVersion::V1_15 } else { KarpenterVersion::V1_14 };
            trials.push(Trial::test(name.clone(), move || check_family(&name, &recordings, version)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
