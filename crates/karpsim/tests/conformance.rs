//! Every recorded decision of Karpenter, matched exactly: one test a family.
//!
//! A recording is a line `{"scenario": …, "decision": …}`. Decisions are compared as JSON: lists in their order, numbers
//! by value, `podErrors` by its keys (the words are for reading).

mod data;

use karpsim::catalogue::Catalogue;
use karpsim::scenario::Scenario;
use karpsim::scenario::ScenarioText;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Catalogues(Mutex<BTreeMap<String, Arc<Catalogue>>>);

impl Catalogues {
    fn get(&self, file: &str) -> Arc<Catalogue> {
        let mut known = self.0.lock().expect("no test panics while it holds the lock");
        known
            .entry(file.to_owned())
            .or_insert_with(|| {
                let text = data::text(&format!("conformance/{file}"));
                Arc::new(serde_json::from_str(&text).expect("a catalogue"))
            })
            .clone()
    }
}

/// One recording: name, scenario, decision, all as text.
#[derive(serde::Deserialize)]
struct Recording<'a> {
    #[serde(borrow)]
    scenario: &'a serde_json::value::RawValue,
    decision: Value,
}

fn scenario_of(text: &str, catalogues: &Catalogues) -> Scenario {
    let text: ScenarioText = serde_json::from_str(text).expect("a scenario");
    let base = (!text.catalogue.file.is_empty()).then(|| catalogues.get(&text.catalogue.file));
    Scenario {
        name: text.name,
        kind: text.kind.expect("a recording names its kind"),
        now: text.now.expect("a recording has a clock"),
        options: text.options,
        catalogue: Arc::new(text.catalogue.resolve(base.as_deref())),
        objects: text.objects.0,
        memory: text.cluster,
    }
}

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

fn check_family(name: &str, lines: &[&str], catalogues: &Catalogues, file: &str) -> Result<(), Failed> {
    let mut differing = Vec::new();
    for line in lines {
        let recording: Recording<'_> = serde_json::from_str(line).expect("a recording");
        let scenario = scenario_of(recording.scenario.get(), catalogues);
        let decision = karpsim::decide(&scenario);
        let mut written = Vec::new();
        decision.write_json(&mut written).expect("a decision is JSON");
        let plainly = serde_json::to_vec(&decision).expect("a decision is JSON");
        assert!(written == plainly, "{}: written in another way than serde_json writes it", scenario.name);
        let decision = serde_json::to_value(&decision).expect("a decision is JSON");
        if let Some(first) = difference("", &decision, &recording.decision) {
            differing.push((scenario.name.to_string(), first, decision, recording.decision));
        }
    }
    println!("{name}: {} of {} matched", lines.len() - differing.len(), lines.len());
    if differing.is_empty() {
        return Ok(());
    }
    let mut report = format!("{} of {} differ\n", differing.len(), lines.len());
    for (name, first, ..) in &differing {
        report += &format!("  {name} {first}\n");
    }
    let (name, _, ours, recorded) = &differing[0];
    report += &format!("first: {name}\nours:     {ours}\nrecorded: {recorded}\n");
    report += &format!(
        "to reproduce: zstd -dc data/conformance/{file} | grep -F '\"{name}\"' | cargo run -p karpsim-cli -- decide --root data/conformance -\n"
    );
    Err(report.into())
}

fn main() {
    let arguments = Arguments::from_args();
    let catalogues: &'static Catalogues = Box::leak(Box::default());
    let mut trials = Vec::new();
    for (kind, count) in [("provisioning", 2392), ("disruption", 921), ("beyond", 17)] {
        let file: &'static str = Box::leak(format!("{kind}.jsonl").into_boxed_str());
        let text: &'static str = Box::leak(data::text(&format!("conformance/{file}")).into_boxed_str());
        let mut families: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for line in text.lines() {
            let start = line.find("\"name\":\"").expect("a name") + 8;
            let family = line[start..].split('/').next().expect("a family").to_owned();
            families.entry(family).or_default().push(line);
        }
        let total: usize = families.values().map(Vec::len).sum();
        assert_eq!(total, count, "recordings of {kind}");
        println!("{kind}: {total} recordings in {} families", families.len());
        for (family, lines) in families {
            let name = format!("{kind}::{family}");
            trials.push(Trial::test(name.clone(), move || check_family(&name, &lines, catalogues, file)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
