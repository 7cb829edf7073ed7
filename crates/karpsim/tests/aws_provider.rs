//! Every recorded decision of Karpenter's AWS provider, matched exactly: one test a family.
//!
//! Decisions are compared as JSON: lists in their order, numbers by value; of an error `message` and `conditionMessage` are
//! for reading.

mod difference;

use difference::difference;
use karpsim::provider::aws::scenario::AwsScenario;
use karpsim_testkit::{Recording, Recordings};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::collections::BTreeMap;

/// Families, how many scenarios each has.
const FAMILIES: [(&str, usize); 32] = [
    ("types-default", 12),
    ("types-pods", 22),
    ("types-reserved-resources", 22),
    ("types-eviction", 22),
    ("types-storage", 24),
    ("types-ami-family", 19),
    ("types-windows", 12),
    ("types-memory", 17),
    ("types-zones", 17),
    ("types-offerings", 19),
    ("types-reservations", 17),
    ("types-network", 18),
    ("types-placement", 12),
    ("types-mix", 24),
    ("launch-basic", 22),
    ("launch-capacity-type", 29),
    ("launch-spot-price", 26),
    ("launch-exotic", 24),
    ("launch-truncate", 24),
    ("launch-min-values", 26),
    ("launch-zones", 22),
    ("launch-ice", 38),
    ("launch-errors", 36),
    ("launch-reserved", 38),
    ("launch-subnets", 24),
    ("launch-templates", 24),
    ("launch-windows", 10),
    ("launch-placement", 36),
    ("launch-tenancy", 8),
    ("launch-overlay", 17),
    ("launch-fits", 14),
    ("launch-mix", 26),
];

/// Resolved types and launches among all recordings.
const TYPES: usize = 1361;
const LAUNCHES: usize = 785;

fn check_family(name: &str, recordings: &[Recording<'_>]) -> Result<(), Failed> {
    let mut report = String::new();
    let mut matched = 0;
    for recording in recordings {
        let recorded: Value = serde_json::from_str(recording.decision).expect("a decision");
        let scenario = AwsScenario::read(recording.line).map_err(|problem| format!("{problem}"))?;
        let decision = serde_json::to_value(scenario.decide()).expect("a decision is JSON");
        match difference("", &decision, &recorded, &["message", "conditionMessage"]) {
            None => matched += 1,
            Some(first) => report += &format!("  {} {first}\n", scenario.name),
        }
    }
    println!("{name}: {matched} of {} matched", recordings.len());
    if report.is_empty() {
        Ok(())
    } else {
        Err(format!("{matched} of {} matched\n{report}", recordings.len()).into())
    }
}

/// So many elements in lists of that name, over all decisions.
fn count(recordings: &Recordings, list: &str) -> usize {
    let decisions = recordings
        .iter()
        .map(|recording| serde_json::from_str::<Value>(recording.decision).expect("a decision"));
    decisions.map(|decision| decision[list].as_array().map_or(0, Vec::len)).sum()
}

fn main() {
    let arguments = Arguments::from_args();
    let recordings: &'static Recordings = Box::leak(Box::new(Recordings::read("aws-provider")));
    let families = recordings.families();
    let found: BTreeMap<&str, usize> =
        families.iter().map(|(family, recordings)| (*family, recordings.len())).collect();
    assert_eq!(found, BTreeMap::from(FAMILIES), "families");
    assert_eq!((count(recordings, "instanceTypes"), count(recordings, "launches")), (TYPES, LAUNCHES));
    let trials = families
        .into_iter()
        .map(|(family, recordings)| {
            Trial::test(format!("aws-provider::{family}"), move || check_family(family, &recordings))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
