//! Every recorded decision of the Cluster Autoscaler, matched whole: one test a family.

use karpsim_cluster_autoscaler::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

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

#[derive(serde::Deserialize)]
struct Recording<'a> {
    #[serde(borrow)]
    scenario: &'a RawValue,
    decision: Value,
}

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

fn check_family(name: &str, lines: &[&str]) -> Result<(), Failed> {
    let mut report = String::new();
    let mut differing = 0;
    for line in lines {
        let recording: Recording<'_> = serde_json::from_str(line)?;
        let scenario = Scenario::read(recording.scenario.get())?;
        let decision = serde_json::to_value(scenario.decide())?;
        if let Some(first) = difference("", &decision, &recording.decision) {
            differing += 1;
            report += &format!("  {} {first}\n", scenario.name);
        }
    }
    println!("{name}: {} of {} matched", lines.len() - differing, lines.len());
    if differing == 0 {
        Ok(())
    } else {
        Err(format!("{differing} of {} differ\n{report}", lines.len()).into())
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/conformance/cluster-autoscaler.jsonl.zst");
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(std::fs::File::open(file).expect("the recordings"))
        .expect("Zstandard")
        .read_to_string(&mut text)
        .expect("UTF-8");
    let text: &'static str = Box::leak(text.into_boxed_str());
    let mut families: BTreeMap<&'static str, Vec<&'static str>> = BTreeMap::new();
    for line in text.lines() {
        let start = line.find("\"name\":\"").expect("a name") + 8;
        let family = line[start..].split('/').next().expect("a family");
        families.entry(family).or_default().push(line);
    }
    let counts: Vec<(&str, usize)> = families.iter().map(|(family, lines)| (*family, lines.len())).collect();
    assert_eq!(counts, FAMILIES, "recordings by family");
    let trials = families
        .into_iter()
        .map(|(family, lines)| Trial::test(family, move || check_family(family, &lines)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
