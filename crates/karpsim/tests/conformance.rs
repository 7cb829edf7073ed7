//! Every recorded decision of Karpenter, matched exactly: one test a family.
//!
//! A recording is a line `{"scenario": …, "decision": …}`; those of v1.15 hold what v1.14.1 decides beside what v1.15.0
//! does. The older ones hold for both versions, but for those that stand among v1.15's under the same name. Decisions are compared as JSON: lists in their order, numbers
//! by value, `podErrors` by its keys (the words are for reading).

mod difference;

use difference::difference;
use karpsim::version::KarpenterVersion;
use karpsim_testkit::{Recording, Recordings};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::collections::BTreeSet;

/// What the recorded Karpenter of `version` decided: a line may say what v1.14.1 does otherwise.
fn decision_of(recording: &Recording<'_>, version: KarpenterVersion) -> Value {
    let line: Value = serde_json::from_str(recording.line).expect("a recording");
    let older = &line["decision_v1_14_1"];
    if version == KarpenterVersion::V1_14 && !older.is_null() {
        older.clone()
    } else {
        line["decision"].clone()
    }
}

fn check_family(
    name: &str,
    recordings: &[Recording<'_>],
    (kind, version): (&str, KarpenterVersion),
) -> Result<(), Failed> {
    let mut differing = Vec::new();
    for recording in recordings {
        let mut scenario = recording.scenario();
        scenario.options.karpenter_version = Some(version);
        let recorded = decision_of(recording, version);
        let decision = karpsim::decide(&scenario);
        let mut written = Vec::new();
        decision.write_json(&mut written).expect("a decision is JSON");
        let plainly = serde_json::to_vec(&decision).expect("a decision is JSON");
        assert!(written == plainly, "{}: written in another way than serde_json writes it", scenario.name);
        let decision = serde_json::to_value(&decision).expect("a decision is JSON");
        if let Some(first) = difference("", &decision, &recorded, &[]) {
            differing.push((scenario.name.to_string(), first, decision, recorded));
        }
    }
    println!("{name}: {} of {} matched", recordings.len() - differing.len(), recordings.len());
    if differing.is_empty() {
        return Ok(());
    }
    let mut report = format!("{} of {} differ\n", differing.len(), recordings.len());
    for (name, first, ..) in &differing {
        report += &format!("  {name} {first}\n");
    }
    let (name, _, ours, recorded) = &differing[0];
    report += &format!("first: {name}\nours:     {ours}\nrecorded: {recorded}\n");
    report += &format!(
        "to reproduce: zstd -dc data/conformance/{kind}.jsonl.zst | grep -F '\"{name}\"' | cargo run -p karpsim-cli -- decide --root data/conformance -\n"
    );
    Err(report.into())
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let newer = Recordings::read("v1.15");
    let superseded: BTreeSet<&str> = newer.iter().map(|recording| recording.name).collect();
    for (kind, count) in [("provisioning", 2392), ("disruption", 921), ("beyond", 16), ("v1.15", 273)] {
        let all: &'static Recordings = Box::leak(Box::new(Recordings::read(kind)));
        let total = all.iter().count();
        assert_eq!(total, count, "recordings of {kind}");
        println!("{kind}: {total} recordings in {} families", all.families().len());
        for version in [KarpenterVersion::V1_14, KarpenterVersion::V1_15] {
            for (family, mut recordings) in all.families() {
                // What v1.15.0 decides of these otherwise stands in its own file.
                recordings.retain(|recording| {
                    kind == "v1.15"
                        || version == KarpenterVersion::V1_14
                        || !superseded.contains(recording.name)
                });
                let name = format!("{}::{kind}::{family}", version.as_str());
                let test = name.clone();
                trials.push(Trial::test(test, move || check_family(&name, &recordings, (kind, version))));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
