//! The files in `data`, and scenarios out of text.

use karpsim::catalogue::{self, Catalogue};
use karpsim::input::{self, Findings};
use karpsim::scenario::Scenario;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Catalogues of the scenarios, by the file that scenarios name. Read once a process: they are not what is measured.
static CATALOGUES: LazyLock<BTreeMap<String, Arc<Catalogue>>> = LazyLock::new(|| {
    ["catalogues/fake-400.json", "catalogues/aws-us-west-2.json"]
        .map(|file| {
            let catalogue = catalogue::read(&text(&format!("conformance/{file}"))).expect("a catalogue");
            (file.to_owned(), Arc::new(catalogue))
        })
        .into()
});

/// The text of the file at `path` under `data`, where it is compressed.
///
/// # Panics
///
/// If it cannot be read: then there is nothing to measure.
pub fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(format!("{path}.zst"));
    let compressed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(compressed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}

/// Reads and checks a scenario, as the program does.
///
/// # Panics
///
/// If it is none.
pub fn scenario(text: &str) -> Scenario {
    let read = input::read_json(text).unwrap_or_else(|problem| panic!("{problem}"));
    input::validate(read.text, &*CATALOGUES, &mut Findings::default())
        .unwrap_or_else(|problem| panic!("{problem}"))
}
