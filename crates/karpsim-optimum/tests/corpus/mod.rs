//! The recordings of the project, as scenarios; and scenarios that tests write themselves.

#![allow(dead_code, reason = "every test file uses some of it")]

pub(crate) mod random;
pub(crate) mod running;
pub(crate) mod small;
pub(crate) mod steps;
pub(crate) mod types;

use karpsim::catalogue::Catalogue;
use karpsim::scenario::Scenario;
use karpsim::scenario::ScenarioText;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of the recordings.
pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

/// The text of a packed file.
pub(crate) fn read_zst(path: &Path) -> String {
    let packed = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}

/// Reads scenarios and the catalogues that they name.
#[derive(Default)]
pub(crate) struct Corpus {
    catalogues: BTreeMap<String, Arc<Catalogue>>,
}

#[derive(serde::Deserialize)]
struct Recording<'a> {
    #[serde(borrow)]
    scenario: &'a RawValue,
}

impl Corpus {
    /// The scenario of a line of a recording.
    pub(crate) fn recorded(&mut self, line: &str) -> Scenario {
        let recording: Recording<'_> = serde_json::from_str(line).expect("a recording");
        self.scenario(recording.scenario.get())
    }

    /// A scenario.
    pub(crate) fn scenario(&mut self, text: &str) -> Scenario {
        let text: ScenarioText = serde_json::from_str(text).expect("a scenario");
        let file = text.catalogue.file.to_string();
        let base = (!file.is_empty()).then(|| {
            let read = || {
                let text = read_zst(&data().join("conformance").join(format!("{file}.zst")));
                Arc::new(serde_json::from_str::<Catalogue>(&text).expect("a catalogue"))
            };
            self.catalogues.entry(file.clone()).or_insert_with(read).clone()
        });
        Scenario {
            name: text.name,
            kind: text.kind.expect("a kind"),
            now: text.now.expect("a clock"),
            options: text.options,
            catalogue: Arc::new(text.catalogue.resolve(base.as_deref())),
            objects: text.objects.0,
            memory: text.cluster,
        }
    }
}

/// The family of a line of recordings.
pub(crate) fn family(line: &str) -> &str {
    let start = line.find("\"name\":\"").map_or(0, |at| at + 8);
    line.get(start..).and_then(|rest| rest.split('/').next()).unwrap_or("")
}

/// The first `count` recordings of each family in a file of `data/conformance`.
pub(crate) fn first_of_each(file: &str, count: usize) -> Vec<String> {
    let text = read_zst(&data().join("conformance").join(file));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    text.lines()
        .filter(|line| {
            let so_far = seen.entry(family(line).to_owned()).or_default();
            *so_far += 1;
            *so_far <= count
        })
        .map(str::to_owned)
        .collect()
}
