//! Reading traces.

use super::event::{self, EventKind, TraceEvent, without_place};
use super::header::Header;
use crate::error::Error;
use karpsim::problem::Problem;
use karpsim::yaml;
use karpsim_controller::Nanos;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::io::{BufRead, Read};

/// The most that a line, or a document, can be long.
const LONGEST: u64 = 4 << 30;

/// A trace with all its events.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Header.
    pub header: Header,
    /// Events, by time.
    pub events: Vec<TraceEvent>,
}

impl Trace {
    /// Reads a trace of either layout, uncompressed.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or something in it is wrong: with line and path.
    pub fn read(reader: impl BufRead) -> Result<Trace, Error> {
        let reader = TraceReader::new(reader)?;
        let header = reader.header.clone();
        let events = reader.collect::<Result<_, _>>()?;
        Ok(Trace { header, events })
    }
}

/// A trace that is YAML as the JSON that [`TraceReader`] reads: a line a document, so that several are a stream.
///
/// # Errors
///
/// If it is no YAML.
pub fn json_of_yaml(text: &str) -> Result<String, Problem> {
    let mut json = String::new();
    for document in yaml::documents(text)? {
        json.push_str(&document.value.to_string());
        json.push('\n');
    }
    Ok(json)
}

/// Header and `end` and `events` as texts.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    end: Option<&'a RawValue>,
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
}

/// A trace that is read as it is needed: a stream keeps no more than a line in memory.
pub struct TraceReader<R> {
    /// Header.
    pub header: Header,
    source: Source<R>,
    index: usize,
    last_at: Nanos,
    failed: bool,
}

enum Source<R> {
    Document(std::vec::IntoIter<Box<RawValue>>),
    Stream { reader: R, line: usize, text: String },
}

impl<R: BufRead> TraceReader<R> {
    /// Reads the header; of a document, everything.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or something in it is wrong: with line and path.
    pub fn new(mut reader: R) -> Result<Self, Error> {
        let mut text = String::new();
        let mut line = 0;
        // The first byte decides before anything is kept: a gigabyte of brackets is refused at once.
        while text.trim().is_empty() {
            if line > 0 && text.is_empty() {
                return Err(Error::new("", "the file is empty: expected a trace"));
            }
            text.clear();
            let first = reader
                .fill_buf()
                .map_err(|error| cannot_read(&error))?
                .iter()
                .find(|byte| !byte.is_ascii_whitespace());
            if let Some(byte) = first
                && *byte != b'{'
            {
                let shown = char::from(*byte);
                let found =
                    if byte.is_ascii_graphic() { format!("`{shown}`") } else { "binary data".to_owned() };
                return Err(
                    Error::new("", format!("expected a trace (a JSON object), found {found}")).at_line(1)
                );
            }
            read_line(&mut reader, &mut text)?;
            line += 1;
        }
        let first_line = line;
        let complete = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        if !complete || !more_follows(&mut reader)? {
            let limited = &mut reader;
            limited.take(LONGEST).read_to_string(&mut text).map_err(|error| cannot_read(&error))?;
            return Self::document(&text, first_line);
        }
        let document: Document<'_> =
            serde_json::from_str(&text).map_err(|error| syntax(&error, first_line))?;
        let header = read_header(&text, document.end, first_line)?;
        if document.events.is_some() {
            return Err(Error::new("events", "mutually exclusive with events on lines of their own")
                .at_line(first_line));
        }
        Ok(TraceReader {
            header,
            source: Source::Stream { reader, line, text },
            index: 0,
            last_at: 0,
            failed: false,
        })
    }

    fn document(text: &str, first_line: usize) -> Result<Self, Error> {
        let document: Document<'_> =
            serde_json::from_str(text).map_err(|error| syntax(&error, first_line))?;
        let header = read_header(text, document.end, 0)?;
        let events: Vec<Box<RawValue>> = match document.events {
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|error| Error::new("events", without_place(&error)))?,
            None => Vec::new(),
        };
        Ok(TraceReader {
            header,
            source: Source::Document(events.into_iter()),
            index: 0,
            last_at: 0,
            failed: false,
        })
    }

    /// The next event.
    fn read_event(&mut self) -> Result<Option<TraceEvent>, Error> {
        let index = self.index;
        let (line, read) = match &mut self.source {
            Source::Document(events) => match events.next() {
                Some(raw) => {
                    (0, event::read(raw.get()).map_err(|error| error.below(&format!("events[{index}]"))))
                }
                None => return Ok(None),
            },
            Source::Stream { reader, line, text } => loop {
                text.clear();
                read_line(reader, text).map_err(|error| error.at_line(*line + 1))?;
                *line += 1;
                if text.is_empty() {
                    return Ok(None);
                }
                if !text.trim().is_empty() {
                    break (*line, event::read(text).map_err(|error| error.at_line(*line)));
                }
            },
        };
        let (at, kind) = read?;
        let place = |error: Error| {
            if line > 0 { error.at_line(line) } else { error.below(&format!("events[{index}]")) }
        };
        let seconds = |at| super::seconds::shown(at);
        if at < self.last_at {
            let message =
                format!("out of order: {} s after an event at {} s", seconds(at), seconds(self.last_at));
            return Err(place(Error::new("at", message)));
        }
        if let Some(end) = self.header.end.filter(|end| at > *end) {
            return Err(place(Error::new(
                "at",
                format!("after `end`: {} s, `end` is {} s", seconds(at), seconds(end)),
            )));
        }
        self.last_at = at;
        self.index += 1;
        Ok(Some(TraceEvent { at, kind, line, index, file: None }))
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<TraceEvent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read_event().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// Two streams of events as one, by time; of equal ones those of the `base` come first.
///
/// `has_end` says whether the replay has an end of its own. A trace without one ends with its last event, and prices by
/// themselves do not make it longer: those of the overlay that come after everything else are left out then.
pub fn merge_events<B, O>(
    base: B,
    overlay: O,
    has_end: bool,
) -> impl Iterator<Item = Result<TraceEvent, Error>>
where
    B: Iterator<Item = Result<TraceEvent, Error>>,
    O: Iterator<Item = Result<TraceEvent, Error>>,
{
    let (mut base, mut overlay) = (base.peekable(), overlay.peekable());
    let mut held: VecDeque<TraceEvent> = VecDeque::new();
    std::iter::from_fn(move || {
        if let Some(event) = held.pop_front() {
            return Some(Ok(event));
        }
        let takes_overlay = match (base.peek(), overlay.peek()) {
            (Some(Ok(base)), Some(Ok(overlay))) => overlay.at < base.at,
            (None, Some(_)) | (Some(Ok(_)), Some(Err(_))) => true,
            _ => false,
        };
        if !takes_overlay {
            return base.next();
        }
        if base.peek().is_some() || has_end {
            return overlay.next();
        }
        loop {
            match overlay.next()? {
                Ok(event) if matches!(event.kind, EventKind::Price { .. }) => held.push_back(event),
                Ok(event) => {
                    held.push_back(event);
                    return held.pop_front().map(Ok);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

fn read_header(text: &str, end: Option<&RawValue>, line: usize) -> Result<Header, Error> {
    /// The header without its events, which are kept as text.
    #[derive(Deserialize)]
    struct Skipped(#[serde(deserialize_with = "without_events")] Value);
    let Skipped(value) = serde_json::from_str(text).map_err(|error| syntax(&error, line))?;
    let end = end.map(RawValue::get).filter(|end| *end != "null");
    Header::read(value, end).map_err(|error| error.at_line(line))
}

fn without_events<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    struct HeaderVisitor;
    impl<'de> serde::de::Visitor<'de> for HeaderVisitor {
        type Value = Value;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a trace")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
            let mut header = serde_json::Map::new();
            while let Some(name) = map.next_key::<String>()? {
                if name == "events" {
                    map.next_value::<serde::de::IgnoredAny>()?;
                } else {
                    header.insert(name, map.next_value()?);
                }
            }
            Ok(Value::Object(header))
        }
    }
    deserializer.deserialize_map(HeaderVisitor)
}

fn read_line(reader: &mut impl BufRead, text: &mut String) -> Result<(), Error> {
    reader.take(LONGEST).read_line(text).map(drop).map_err(|error| cannot_read(&error))
}

/// Whether anything but white space follows.
fn more_follows(reader: &mut impl BufRead) -> Result<bool, Error> {
    loop {
        let buffer = reader.fill_buf().map_err(|error| cannot_read(&error))?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        // Line ends that are skipped here are blank lines; they are not counted.
        if blank < buffer.len() {
            return Ok(true);
        }
        reader.consume(blank);
    }
}

fn cannot_read(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::InvalidData => Error::new("", "not UTF-8 text"),
        std::io::ErrorKind::UnexpectedEof => Error::new("", "the compressed data is truncated"),
        _ => Error::new("", format!("cannot read: {error}")),
    }
}

fn syntax(error: &serde_json::Error, first_line: usize) -> Error {
    let message = match error.classify() {
        serde_json::error::Category::Eof => "unexpected end of input".to_owned(),
        _ => without_place(error),
    };
    Error::new("", message).at_line(first_line.max(1) + error.line().saturating_sub(1))
}
