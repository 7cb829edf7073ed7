//! Reading traces and catalogues for the tests.

use karpsim::catalogue::Catalogue;
use karpsim_sim::{ReplayOptions, ReplayResult, Trace, replay};
use std::path::PathBuf;
use std::sync::Arc;

/// The project's data.
pub(crate) fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data").join(path)
}

/// A trace of the project.
pub(crate) fn trace(path: &str) -> Trace {
    let file = std::fs::File::open(data(path)).expect(path);
    Trace::read(std::io::BufReader::new(file)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The catalogue that a trace names.
pub(crate) fn catalogue(trace: &Trace) -> Arc<Catalogue> {
    let reference = &trace.header.catalogue;
    let base = (!reference.name.is_empty()).then(|| {
        let file = data(&format!("catalogues/{}.json.zst", reference.name.replace('/', "-")));
        let mut text = String::new();
        let file = std::fs::File::open(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut reader = ruzstd::decoding::StreamingDecoder::new(file).expect("zstd");
        std::io::Read::read_to_string(&mut reader, &mut text).expect("UTF-8");
        serde_json::from_str::<Catalogue>(&text).expect("a catalogue")
    });
    Arc::new(reference.resolve(base.as_ref()))
}

/// Plays a trace of the project.
pub(crate) fn play(path: &str, options: &ReplayOptions) -> ReplayResult {
    let trace = trace(path);
    let catalogue = catalogue(&trace);
    replay(&trace, options, catalogue).unwrap_or_else(|error| panic!("{path}: {error}"))
}
