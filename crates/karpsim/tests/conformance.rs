//! Every recorded decision of Karpenter, matched exactly: one test a family.
//!
//! A recording is a line `{"scenario": …, "decision": …}`. Decisions are compared as JSON: lists in their order, numbers
//! by value, `podErrors` by its keys (the words are for reading).

mod difference;

use difference::difference;
use karpsim_testkit::{Recording, Recordings};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

fn check_family(name: &str, recordings: &[Recording<'_>], kind: &str) -> Result<(), Failed> {
    let mut differing = Vec::new();
    for recording in recordings {
        let scenario = recording.scenario();
        let recorded: Value = serde_json::from_str(recording.decision).expect("a decision");
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
    for (kind, count) in [("provisioning", 2392), ("disruption", 921), ("beyond", 16)] {
        let recordings: &'static Recordings = Box::leak(Box::new(Recordings::read(kind)));
        let families = recordings.families();
        let total: usize = families.values().map(Vec::len).sum();
        assert_eq!(total, count, "recordings of {kind}");
        println!("{kind}: {total} recordings in {} families", families.len());
        for (family, recordings) in families {
            let name = format!("{kind}::{family}");
            trials.push(Trial::test(name.clone(), move || check_family(&name, &recordings, kind)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
