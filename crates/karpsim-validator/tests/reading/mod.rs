//! Scenarios out of text and files.

use karpsim::api::Scenario;
use karpsim::api::scenario::ScenarioText;
use karpsim::catalogue::Catalogue;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the recordings are.
pub(crate) fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/conformance")
}

/// The text of a compressed file.
pub(crate) fn read_zst(path: &Path) -> String {
    let compressed = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(compressed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}

/// The scenario in `text`, whose catalogue's file `catalogue` knows.
pub(crate) fn scenario_of(text: &str, catalogue: impl FnOnce(&str) -> Arc<Catalogue>) -> Scenario {
    let text: ScenarioText = serde_json::from_str(text).expect("a scenario");
    let base = (!text.catalogue.file.is_empty()).then(|| catalogue(&text.catalogue.file));
    Scenario {
        name: text.name,
        kind: text.kind.expect("its kind"),
        now: text.now.expect("a clock"),
        options: text.options,
        catalogue: Arc::new(text.catalogue.resolve(base.as_deref())),
        objects: text.objects.0,
        memory: text.cluster,
    }
}
