//! The packed files of the project's data.

use std::io::Read;
use std::path::Path;

/// The text of `data/PATH.zst`.
pub(crate) fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(format!("{path}.zst"));
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).expect("a zstd frame");
    let mut text = String::new();
    decoder.read_to_string(&mut text).expect("UTF-8");
    text
}
