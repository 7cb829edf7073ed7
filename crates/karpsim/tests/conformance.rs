//! Every recorded decision of Karpenter, matched exactly: one test a family.
//!
//! A recording is a line `{"scenario": …, "decision": …}`; those of v1.15 hold what v1.14.1 decides beside what v1.15.0
//! does. The older ones hold for both versions, but for those that stand among v1.15's under the same name. Decisions are compared as JSON: lists in their order, numbers
//! by value, `podErrors` by its keys (the words are for reading).

mod data;
mod difference;

use difference::difference;
use karpsim::catalogue::Catalogue;
use karpsim::scenario::Scenario;
use karpsim::scenario::ScenarioText;
use karpsim::version::KarpenterVersion;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
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

/// One recording: scenario and decisions, the scenario as text.
#[derive(serde::Deserialize)]
struct Recording<'a> {
    #[serde(borrow)]
    scenario: &'a serde_json::value::RawValue,
    decision: Value,
    /// Where it differs from the decision of v1.15.0, or may.
    decision_v1_14_1: Option<Value>,
}

impl Recording<'_> {
    fn decision_of(self, version: KarpenterVersion) -> Value {
        match (version, self.decision_v1_14_1) {
            (KarpenterVersion::V1_14, Some(decision)) => decision,
            _ => self.decision,
        }
    }
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

fn check_family(
    name: &str,
    lines: &[&str],
    catalogues: &Catalogues,
    (file, version): (&str, KarpenterVersion),
) -> Result<(), Failed> {
    let mut differing = Vec::new();
    for line in lines {
        let recording: Recording<'_> = serde_json::from_str(line).expect("a recording");
        let mut scenario = scenario_of(recording.scenario.get(), catalogues);
        scenario.options.karpenter_version = Some(version);
        let decision = karpsim::decide(&scenario);
        let mut written = Vec::new();
        decision.write_json(&mut written).expect("a decision is JSON");
        let plainly = serde_json::to_vec(&decision).expect("a decision is JSON");
        assert!(written == plainly, "{}: written in another way than serde_json writes it", scenario.name);
        let decision = serde_json::to_value(&decision).expect("a decision is JSON");
        let recorded = recording.decision_of(version);
        if let Some(first) = difference("", &decision, &recorded, &[]) {
            differing.push((scenario.name.to_string(), first, decision, recorded));
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

/// The name of the scenario on a line.
fn name_of(line: &str) -> &str {
    let start = line.find("\"name\":\"").expect("a name") + 8;
    line[start..].split('"').next().expect("a name ends")
}

fn main() {
    let arguments = Arguments::from_args();
    let catalogues: &'static Catalogues = Box::leak(Box::default());
    let mut trials = Vec::new();
    let newer: &'static str = Box::leak(data::text("conformance/v1.15.jsonl").into_boxed_str());
    let superseded: BTreeSet<&str> = newer.lines().map(name_of).collect();
    for (kind, count) in [("provisioning", 2392), ("disruption", 921), ("beyond", 16), ("v1.15", 273)] {
        let file: &'static str = Box::leak(format!("{kind}.jsonl").into_boxed_str());
        let text: &'static str = Box::leak(data::text(&format!("conformance/{file}")).into_boxed_str());
        let total = text.lines().count();
        assert_eq!(total, count, "recordings of {kind}");
        for version in [KarpenterVersion::V1_14, KarpenterVersion::V1_15] {
            let mut families: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
            for line in text.lines() {
                let name = name_of(line);
                let own = kind == "v1.15" || version == KarpenterVersion::V1_14 || !superseded.contains(name);
                if own {
                    let family = name.split('/').next().expect("a family").to_owned();
                    families.entry(family).or_default().push(line);
                }
            }
            for (family, lines) in families {
                let name = format!("{}::{kind}::{family}", version.as_str());
                let check = move || check_family(&name, &lines, catalogues, (file, version));
                trials.push(Trial::test(format!("{}::{kind}::{family}", version.as_str()), check));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
