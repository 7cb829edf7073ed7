//! Files in `data`.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The path of a file in the repository's `data`.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(file)
}

/// The text of a file in `data`, which may be there under its own name or packed as `FILE.zst`.
///
/// # Panics
///
/// If it cannot be read.
pub fn text(file: &str) -> String {
    let plain = path(file);
    let (found, packed) = if plain.exists() {
        let packed = plain.extension().is_some_and(|extension| extension == "zst");
        (plain, packed)
    } else {
        (path(&format!("{file}.zst")), true)
    };
    let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}", found.display()) };
    let bytes = std::fs::read(&found).unwrap_or_else(|error| fail(&error));
    if !packed {
        return String::from_utf8(bytes).unwrap_or_else(|error| fail(&error));
    }
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(bytes.as_slice())
        .unwrap_or_else(|error| fail(&error))
        .read_to_string(&mut text)
        .unwrap_or_else(|error| fail(&error));
    text
}
