//! The scenarios for measuring, in `data/bench`.

use karpsim::api::Scenario;
use karpsim::api::door::{Findings, admit, read_json};
use karpsim::catalogue::Catalogue;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};

static CATALOGUES: LazyLock<BTreeMap<String, Arc<Catalogue>>> = LazyLock::new(|| {
    ["catalogues/fake-400.json", "catalogues/aws-us-west-2.json"]
        .map(|file| {
            let types = karpsim::catalogue::read(&text(&format!("conformance/{file}"))).expect("a catalogue");
            (file.to_owned(), Arc::new(types))
        })
        .into()
});

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(format!("{path}.zst"));
    let compressed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(compressed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}

/// The scenario of that name.
pub(crate) fn scenario(name: &str) -> Scenario {
    read(&text(&format!("bench/{name}.json")))
}

/// The scenario that a text is.
pub(crate) fn read(text: &str) -> Scenario {
    let read = read_json(text).unwrap_or_else(|problem| panic!("{problem}"));
    admit(read.text, &*CATALOGUES, &mut Findings::default()).unwrap_or_else(|problem| panic!("{problem}"))
}
