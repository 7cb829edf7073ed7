//! Traces from files: JSON as a document or a stream, or YAML, plain or packed.

use crate::failure::Failure;
use crate::input::overlay;
use crate::input::unpack::{self, Reader, reading, utf8};
use karpsim_sim::TraceReader;
use karpsim_sim::layers::LayersError;
use karpsim_sim::trace::json_of_yaml;
use std::io::{BufRead, Cursor, Read};
use std::path::Path;

/// A trace whose events are read as they are needed.
pub(crate) struct TraceFile {
    /// The file as messages name it.
    pub(crate) shown: String,
    /// Header and events.
    pub(crate) reader: TraceReader<Reader>,
}

impl TraceFile {
    /// Opens the trace in `path`.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = unpack::shown(path);
        let reader = as_json(unpack::open(path)?, &shown)?;
        let reader = TraceReader::new(reader).map_err(|error| trace_failure(&shown, &error))?;
        Ok(TraceFile { shown, reader })
    }
}

/// What is wrong with a trace, in a sentence.
pub(crate) fn trace_failure(shown: &str, error: &karpsim_sim::Error) -> Failure {
    let shown = error.file.as_deref().unwrap_or(shown);
    let place = if error.line > 0 { format!("{shown}:{}", error.line) } else { shown.to_owned() };
    let path = if error.path.is_empty() { String::new() } else { format!("`{}`: ", error.path) };
    Failure::input(format!("{place}: {path}{}", error.message)).maybe_hint(error.hint.clone())
}

/// Why a trace with everything that is laid over it cannot be played, in a sentence.
pub(crate) fn layers_failure(shown: &str, error: &LayersError) -> Failure {
    match error {
        LayersError::Trace(error) => trace_failure(shown, error),
        LayersError::Catalogue { file, problem } => {
            Failure::problem(file.as_deref().unwrap_or(shown), 0, problem)
        }
        LayersError::Patch { file, error } => overlay::patch_failure(file, error),
        _ => Failure::input(error.to_string()),
    }
}

/// The text of a trace; YAML becomes JSON, its documents lines.
fn as_json(mut reader: Reader, shown: &str) -> Result<Reader, Failure> {
    let first = loop {
        let buffer = reader.fill_buf().map_err(|error| reading(shown, &error))?;
        if buffer.is_empty() {
            return Err(Failure::input(format!("{shown}: the file is empty")));
        }
        // Only what stands in the buffer is looked at: what is read here would be missing in the count of lines.
        if let Some(byte) = buffer.iter().find(|byte| !byte.is_ascii_whitespace()) {
            break *byte;
        }
        let count = buffer.len();
        reader.consume(count);
    };
    // A list is no trace, and the reader says so without reading it.
    if matches!(first, b'{' | b'[') {
        return Ok(reader);
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|error| reading(shown, &error))?;
    let text = utf8(bytes, shown)?;
    let json = json_of_yaml(&text).map_err(|problem| Failure::problem(shown, 1, &problem))?;
    Ok(Box::new(Cursor::new(json.into_bytes())))
}
