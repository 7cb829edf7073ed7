//! Every recorded decision of the Cluster Autoscaler, matched whole: one test a family.

use karpsim_cluster_autoscaler::Scenario;
use karpsim_testkit::{Recording, Recordings};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::collections::BTreeSet;

/// How many there are of each family.
const FAMILIES: [(&str, usize); 32] = [
    ("annotations", 6),
    ("backoff", 8),
    ("balance", 14),
    ("binpacking", 12),
    ("constraints", 14),
    ("cooldown", 6),
    ("daemonset-pods", 6),
    ("daemonsets", 6),
    ("drain", 10),
    ("empty", 6),
    ("equivalence", 6),
    ("gpu", 6),
    ("gpu-nodes", 6),
    ("large-down", 4),
    ("least-nodes", 6),
    ("least-waste", 12),
    ("limits", 12),
    ("min-size", 4),
    ("mixed-down", 6),
    ("mixed-up", 6),
    ("most-pods", 6),
    ("no-place", 6),
    ("pdb", 8),
    ("pending-rules", 6),
    ("pod-kinds", 14),
    ("priority", 6),
    ("schedulable", 6),
    ("sizes", 6),
    ("spread-down", 6),
    ("unready", 6),
    ("upcoming", 6),
    ("utilization", 8),
];

/// The place where two values differ first.
fn difference(path: &str, ours: &Value, recorded: &Value) -> Option<String> {
    match (ours, recorded) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => difference(&format!("{path}.{key}"), x, y),
                (x, y) => Some(format!("{path}.{key}: {x:?} instead of {y:?}")),
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (x, y))| difference(&format!("{path}[{index}]"), x, y)),
        _ => (ours != recorded).then(|| format!("{path}: {ours} instead of {recorded}")),
    }
}

fn check_family(name: &str, recordings: &[Recording<'_>]) -> Result<(), Failed> {
    let mut report = String::new();
    let mut differing = 0;
    for recording in recordings {
        let recorded: Value = serde_json::from_str(recording.decision)?;
        let scenario = Scenario::read(recording.scenario)?;
        let decision = serde_json::to_value(scenario.decide())?;
        if let Some(first) = difference("", &decision, &recorded) {
            differing += 1;
            report += &format!("  {} {first}\n", scenario.name);
        }
    }
    println!("{name}: {} of {} matched", recordings.len() - differing, recordings.len());
    if differing == 0 {
        Ok(())
    } else {
        Err(format!("{differing} of {} differ\n{report}", recordings.len()).into())
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let recordings: &'static Recordings = Box::leak(Box::new(Recordings::read("cluster-autoscaler")));
    let families = recordings.families();
    let counts: Vec<(&str, usize)> =
        families.iter().map(|(family, recordings)| (*family, recordings.len())).collect();
    assert_eq!(counts, FAMILIES, "recordings by family");
    let trials = families
        .into_iter()
        .map(|(family, recordings)| Trial::test(family, move || check_family(family, &recordings)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
