//! Every recorded series of Kubernetes' autoscaler, matched sync by sync: one test a family.
//!
//! All of a sync is compared: the replicas before and after, the conditions, what the metrics were, and the text of
//! the error.

mod recorded;

use libtest_mimic::{Arguments, Failed, Trial};
use recorded::Recording;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// The recordings, one a line.
fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/conformance/hpa.jsonl.zst");
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}

fn check_family(family: &str, series: &[&str]) -> Result<(), Failed> {
    let (mut syncs, mut report, mut differing) = (0, String::new(), 0);
    for line in series {
        let Recording { scenario, decision } = serde_json::from_str(line).expect("a recording");
        let ours = scenario.play();
        assert_eq!(ours.len(), decision.ticks.len(), "{}: syncs", scenario.name);
        syncs += ours.len();
        let mut pairs = ours.iter().zip(&decision.ticks);
        if let Some((ours, recorded)) = pairs.find(|(ours, recorded)| ours != recorded) {
            differing += 1;
            report += &format!("{}:\n  ours:     {ours}\n  recorded: {recorded}\n", scenario.name);
        }
    }
    println!("{family}: {} of {} series with {syncs} syncs matched", series.len() - differing, series.len());
    if differing == 0 { Ok(()) } else { Err(report.into()) }
}

fn main() {
    let arguments = Arguments::from_args();
    let text: &'static str = Box::leak(text().into_boxed_str());
    let mut families: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for line in text.lines() {
        let recording: Recording = serde_json::from_str(line).expect("a recording");
        let family = recording.scenario.name.split('/').next().expect("a family").to_owned();
        families.entry(family).or_default().push(line);
    }
    let total: usize = families.values().map(Vec::len).sum();
    assert_eq!(total, 300, "recorded series");
    println!("{total} series in {} families", families.len());
    let trials = families
        .into_iter()
        .map(|(family, series)| Trial::test(family.clone(), move || check_family(&family, &series)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
