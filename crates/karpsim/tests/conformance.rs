//! Every recorded decision of Karpenter, matched exactly: one test a family.
//!
//! A recording is a line `{"scenario": …, "decision": …}`. Decisions are compared as JSON: lists in their order, numbers
//! by value, `podErrors` by its keys (the words are for reading).

use karpsim_testkit::{Recording, Recordings};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
/// The place where two values differ first.
fn difference(path: &str, ours: &Value, recorded: &Value) -> Option<String> {
    match (ours, recorded) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(_), Some(_)) if key == "podErrors" => {
                    let names = |value: &Value| -> Vec<String> {
                        value[key].as_object().into_iter().flat_map(|errors| errors.keys().cloned()).collect()
                    };
                    let (ours, recorded) = (names(ours), names(recorded));
                    (ours != recorded).then(|| format!("{path}.podErrors: {ours:?} instead of {recorded:?}"))
                }
                (Some(x), Some(y)) => difference(&format!("{path}.{key}"), x, y),
                (x, y) => Some(format!("{path}.{key}: {x:?} instead of {y:?}")),
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (x, y))| difference(&format!("{path}[{index}]"), x, y)),
        (Value::Number(a), Value::Number(b)) => {
            (a.as_f64() != b.as_f64()).then(|| format!("{path}: {a} instead of {b}"))
        }
        _ => (ours != recorded).then(|| format!("{path}: {ours} instead of {recorded}")),
    }
}

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
        if let Some(first) = difference("", &decision, &recorded) {
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
    for (kind, count) in [("provisioning", 2392), ("disruption", 921), ("beyond", 17)] {
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
