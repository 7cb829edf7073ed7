//! The scenarios of a file, one after the other, without holding the file.
//!
//! JSON Lines are read a line at a time. One JSON value over many lines, several of them, and YAML are read whole: they
//! are written by people, or are one scenario.

use crate::failure::Failure;
use crate::input::unpack::{self, Reader, reading, utf8};
use karpsim::input::{self, Read as Scenario};
use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::path::Path;

/// More levels of brackets than this are no scenario; the reader of JSON would refuse them later.
const DEPTH_MAX: usize = 128;

/// The largest single value: what is larger would need some ten times as much memory.
const VALUE_BYTES_MAX: usize = 4 << 30;

/// One value of a file.
pub(crate) struct Record {
    /// The line where it begins, from 1.
    pub(crate) line: usize,
    /// What stands there.
    pub(crate) body: Body,
}

/// A value as far as it was read.
pub(crate) enum Body {
    /// The text of one JSON value.
    Json(String),
    /// A YAML document.
    Yaml(Box<Scenario>),
}

impl Record {
    /// Roughly how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.body {
            Body::Json(text) => text.len(),
            Body::Yaml(_) => 1 << 16,
        }
    }
}

/// The values of a file.
pub(crate) struct Records {
    /// The file as messages name it.
    shown: String,
    reader: Reader,
    /// Lines that were taken from `reader`.
    lines: usize,
    /// Values that were read and not given out yet.
    ready: VecDeque<Record>,
    /// Whether more is to be read.
    more: bool,
}

impl Records {
    /// Opens `path` and looks what it is.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds neither JSON nor YAML.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let mut records = Records {
            shown: unpack::shown(path),
            reader: unpack::open(path)?,
            lines: 0,
            ready: VecDeque::new(),
            more: true,
        };
        let first = records.skip_space()?;
        match first {
            None => return Err(Failure::input(format!("{}: the file is empty", records.shown))),
            Some(b'{' | b'[') => {}
            Some(_) => records.read_yaml()?,
        }
        Ok(records)
    }

    /// The file as messages name it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// The next value.
    ///
    /// # Errors
    ///
    /// If it cannot be read. What comes behind it then cannot either.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if !self.more {
                return Ok(None);
            }
            if self.skip_space()?.is_none() {
                self.more = false;
                return Ok(None);
            }
            self.read_json()?;
        }
    }

    /// Takes white space, and a byte order mark; tells the byte behind it.
    fn skip_space(&mut self) -> Result<Option<u8>, Failure> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|error| reading(&self.shown, &error))?;
            if buffer.is_empty() {
                return Ok(None);
            }
            if self.lines == 0 && buffer.starts_with(b"\xef\xbb\xbf") {
                self.reader.consume(3);
                continue;
            }
            let space = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.lines += buffer.iter().take(space).filter(|byte| **byte == b'\n').count();
            let next = buffer.get(space).copied();
            self.reader.consume(space);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Reads one JSON value: as a rule a line, else as many lines as it has.
    fn read_json(&mut self) -> Result<(), Failure> {
        let line = self.lines + 1;
        let mut brackets = Brackets::default();
        let mut bytes = Vec::new();
        while !brackets.closed {
            let buffer = self.reader.fill_buf().map_err(|error| reading(&self.shown, &error))?;
            if buffer.is_empty() {
                break;
            }
            let taken = brackets.scan(buffer);
            if brackets.too_deep {
                return Err(self.too_deep(line));
            }
            if bytes.len() + taken > VALUE_BYTES_MAX {
                return Err(Failure::resources(format!(
                    "{}:{line}: a value is larger than 4 GiB",
                    self.shown
                )));
            }
            let value = buffer.get(..taken).unwrap_or(buffer);
            self.lines += memchr::memchr_iter(b'\n', value).count();
            bytes.extend_from_slice(value);
            self.reader.consume(taken);
        }
        let text = utf8(bytes, &format!("{}:{line}", self.shown))?;
        self.ready.push_back(Record { line, body: Body::Json(text) });
        Ok(())
    }

    fn too_deep(&self, line: usize) -> Failure {
        Failure::input(format!(
            "{}:{line}: brackets are nested more than {DEPTH_MAX} levels deep",
            self.shown
        ))
    }

    /// Reads all that is left as YAML.
    fn read_yaml(&mut self) -> Result<(), Failure> {
        self.more = false;
        let before = self.lines;
        let mut bytes = Vec::new();
        let limit = VALUE_BYTES_MAX as u64 + 1;
        self.reader
            .by_ref()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| reading(&self.shown, &error))?;
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(Failure::resources(format!("{}: the YAML file is larger than 4 GiB", self.shown)));
        }
        let text = utf8(bytes, &self.shown)?;
        let documents = input::read_yaml(&text).map_err(|(line, problem)| {
            let line = if matches!(problem.kind, karpsim::problem::ProblemKind::Syntax { .. }) {
                before + 1
            } else {
                before + line
            };
            Failure::problem(&self.shown, line, &problem)
        })?;
        if documents.is_empty() {
            return Err(Failure::input(format!("{}: the file has no YAML document", self.shown)));
        }
        self.ready.extend(
            documents
                .into_iter()
                .map(|(line, read)| Record { line: before + line, body: Body::Yaml(Box::new(read)) }),
        );
        Ok(())
    }
}

/// Finds the end of a JSON value by counting brackets.
#[derive(Debug, Default)]
struct Brackets {
    depth: usize,
    inside_string: bool,
    escaped: bool,
    /// The outermost bracket was closed.
    closed: bool,
    /// There are more levels than [`DEPTH_MAX`].
    too_deep: bool,
}

impl Brackets {
    /// Looks at `buffer` up to the end of the value; tells how many bytes belong to it.
    fn scan(&mut self, buffer: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = buffer.get(at..).unwrap_or_default();
            if self.escaped {
                if rest.is_empty() {
                    return buffer.len();
                }
                self.escaped = false;
                at += 1;
                continue;
            }
            let next = if self.inside_string {
                memchr::memchr2(b'"', b'\\', rest)
            } else {
                rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
            };
            let Some(byte) = next.and_then(|next| rest.get(next)) else { return buffer.len() };
            at += next.map_or(0, |next| next + 1);
            match byte {
                b'\\' => self.escaped = true,
                b'"' => self.inside_string = !self.inside_string,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        self.too_deep = true;
                        return at;
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.closed = true;
                        return at;
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Brackets;

    #[test]
    fn a_value_ends_with_its_outermost_bracket() {
        for (text, end) in [
            (r#"{"a": 1} {"b": 2}"#, Some(8)),
            (r#"{"a": "}\"}"}x"#, Some(13)),
            ("[[], {}]\n", Some(8)),
            (r#"{"a": ["#, None),
            (r#"{"a": "\\"}"#, Some(11)),
        ] {
            let mut brackets = Brackets::default();
            let taken = brackets.scan(text.as_bytes());
            assert_eq!(brackets.closed.then_some(taken), end, "{text}");
            // In pieces it is the same.
            let mut brackets = Brackets::default();
            let taken: usize = text
                .as_bytes()
                .chunks(1)
                .map(|byte| if brackets.closed { 0 } else { brackets.scan(byte) })
                .sum();
            assert_eq!(brackets.closed.then_some(taken), end, "{text}");
        }
    }
}
