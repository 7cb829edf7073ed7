//! Every recorded decision of Karpenter's AWS provider, matched exactly: one test a family.
//!
//! Decisions are compared as JSON: lists in their order, numbers by value; of an error `message` and `conditionMessage` are
//! for reading.

mod data;
mod difference;

use difference::difference;
use karpsim::provider::aws::scenario::AwsScenario;
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

fn check_family(name: &str, lines: &[&str]) -> Result<(), Failed> {
    let mut report = String::new();
    let mut matched = 0;
    for line in lines {
        let recording: Value = serde_json::from_str(line).expect("a recording");
        let scenario = AwsScenario::read(line).map_err(|problem| format!("{problem}"))?;
        let decision = serde_json::to_value(scenario.decide()).expect("a decision is JSON");
        match difference("", &decision, &recording["decision"], &["message", "conditionMessage"]) {
            None => matched += 1,
            Some(first) => report += &format!("  {} {first}\n", scenario.name),
        }
    }
    println!("{name}: {matched} of {} matched", lines.len());
    if report.is_empty() {
        Ok(())
    } else {
        Err(format!("{matched} of {} matched\n{report}", lines.len()).into())
    }
}

/// So many elements in lists of that name, over all decisions.
fn count(lines: &str, list: &str) -> usize {
    let decisions = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a recording"));
    decisions.map(|recording| recording["decision"][list].as_array().map_or(0, Vec::len)).sum()
}

fn main() {
    let arguments = Arguments::from_args();
    let text: &'static str = Box::leak(data::text("conformance/aws-provider.jsonl").into_boxed_str());
    let mut families: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    for line in text.lines() {
        let start = line.find("\"name\":\"").expect("a name") + 8;
        families.entry(line[start..].split('/').next().expect("a family")).or_default().push(line);
    }
    let found: BTreeMap<&str, usize> =
        families.iter().map(|(family, lines)| (*family, lines.len())).collect();
    assert_eq!(found, BTreeMap::from(FAMILIES), "families");
    assert_eq!((count(text, "instanceTypes"), count(text, "launches")), (TYPES, LAUNCHES));
    let trials = families
        .into_iter()
        .map(|(family, lines)| {
            Trial::test(format!("aws-provider::{family}"), move || check_family(family, &lines))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}
