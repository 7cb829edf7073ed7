//! What the program shows on standard output, says on standard error, and writes to files.

#[macro_use]
pub(crate) mod talk;

pub(crate) mod explanation;
pub(crate) mod figures;
pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod instance_types;
pub(crate) mod optimum;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod table;

use crate::failure::Failure;
use std::io::{self, Write};

/// Writes data to standard output.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Failure::writing("standard output", &error))
}

/// One a line.
pub(crate) fn lines(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for name in names {
        text.push_str(name.as_ref());
        text.push('\n');
    }
    text
}
