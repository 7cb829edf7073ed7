//! What Karpenter decided keeps the rules of Kubernetes, but for what the validator says that Karpenter is looser in.

mod reading;

use karpsim::catalogue::Catalogue;
use karpsim_validator::{Decided, violations};
use rayon::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where the recordings are.
fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/conformance")
}

/// The text of a compressed file.
fn read_zst(path: &Path) -> String {
    let compressed = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(compressed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}

#[derive(serde::Deserialize)]
struct Recording<'a> {
    #[serde(borrow)]
    scenario: &'a RawValue,
    #[serde(borrow)]
    decision: &'a RawValue,
}

#[test]
fn every_recorded_decision_is_feasible() {
    let text = read_zst(&conformance().join("provisioning.jsonl.zst"));
    let catalogues: Mutex<BTreeMap<String, Arc<Catalogue>>> = Mutex::default();
    let catalogue = |file: &str| {
        let mut known = catalogues.lock().expect("no other test panics");
        let entry = known.entry(file.to_owned()).or_insert_with(|| {
            let text = read_zst(&conformance().join(format!("{file}.zst")));
            Arc::new(serde_json::from_str(&text).expect("a catalogue"))
        });
        entry.clone()
    };
    let lines: Vec<&str> = text.lines().collect();
    let found: Vec<String> = lines
        .par_iter()
        .flat_map_iter(|line| {
            let recording: Recording<'_> = serde_json::from_str(line).expect("a recording");
            let scenario = reading::scenario_of(recording.scenario.get(), catalogue);
            let decided: Decided = serde_json::from_str(recording.decision.get()).expect("a decision");
            let name = scenario.name.clone();
            violations(&scenario, &decided).into_iter().map(move |it| format!("{name}: {it}"))
        })
        .collect();
    println!("{} recordings", lines.len());
    assert_eq!(lines.len(), 2_392);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}
