//! YAML as Kubernetes reads it, into JSON values.
//!
//! Kubernetes' YAML is 1.1 in what a plain scalar means: `010` is 8, `yes` and `on` are true, `1_000` is 1000, `0x1F` is
//! 31; base-60 numbers are not read and a time stays text. Quoted scalars are text. Keys become text, also those that
//! would be numbers or booleans. Anchors, aliases and merge keys are followed, up to [`EXPANDED_NODES_MAX`].

use crate::problem::{Place, Problem, ProblemKind};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use rustc_hash::FxHashMap;
use serde_json::{Map, Number, Value};
use std::borrow::Cow;

/// How many nodes aliases may add to a text. A few lines of aliases to aliases could otherwise fill any memory.
pub const EXPANDED_NODES_MAX: usize = 1_000_000;

/// How deep values may be nested, as in JSON.
const DEPTH_MAX: usize = 128;

/// One document of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its value; null if it is empty.
    pub value: Value,
    /// The line where its value begins, from 1.
    pub line: usize,
}

/// Reads every document of `text`. Empty documents are left out.
///
/// # Errors
///
/// If the text is not YAML, or holds something that JSON cannot: a key that is not a scalar, a number that is not
/// finite, a tag of its own.
pub fn documents(text: &str) -> Result<Vec<Document>, Problem> {
    let options = granit_parser::options! {
        emit_comments: false,
        simple_key_max_lookahead: 1 << 20,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut reader = Reader::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        reader.take(event, span)?;
    }
    Ok(reader.documents)
}

/// Whether `text` reads as JSON's only possible start of an object or list, so that it should not be taken for YAML.
pub fn looks_like_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '['])
}

fn not_yaml(error: &ScanError) -> Problem {
    let place = error.marker();
    let message = format!("not YAML: {}", error.info());
    Problem::new(
        Place::default(),
        ProblemKind::Syntax { message, line: place.line(), column: place.col() + 1 },
    )
}

fn problem(span: Span, message: impl Into<String>) -> Problem {
    Problem::new(
        Place::default(),
        ProblemKind::Syntax {
            message: message.into(),
            line: span.start.line(),
            column: span.start.col() + 1,
        },
    )
}

/// A list or mapping that is not complete yet.
enum Open {
    List { anchor: usize, values: Vec<Value> },
    Mapping { anchor: usize, fields: Map<String, Value>, merged: Vec<Value>, key: Option<Key> },
}

enum Key {
    Name(String),
    Merge,
}

#[derive(Default)]
struct Reader {
    documents: Vec<Document>,
    open: Vec<Open>,
    anchored: FxHashMap<usize, Value>,
    expanded: usize,
    line: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.anchored.clear();
                self.line = 0;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.begin(span);
                if style == ScalarStyle::Plain && tag.is_none() && text == "<<" && self.awaits_key() {
                    self.set_key(Key::Merge);
                    return Ok(());
                }
                let value = scalar(text, style, tag.as_deref(), span)?;
                self.finish(value, anchor, span)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(span);
                collection_tag(tag.as_deref(), "seq", span)?;
                self.push(Open::List { anchor, values: Vec::new() }, span)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(span);
                collection_tag(tag.as_deref(), "map", span)?;
                self.push(Open::Mapping { anchor, fields: Map::new(), merged: Vec::new(), key: None }, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, anchor) = match self.open.pop() {
                    Some(Open::List { anchor, values }) => (Value::Array(values), anchor),
                    Some(Open::Mapping { anchor, fields, merged, .. }) => {
                        (Value::Object(merge(fields, merged, span)?), anchor)
                    }
                    None => return Err(problem(span, "not YAML: unexpected end")),
                };
                self.finish(value, anchor, span)?;
            }
            Event::Alias(anchor) => {
                self.begin(span);
                let Some(value) = self.anchored.get(&anchor).cloned() else {
                    return Err(problem(span, "an alias refers to the value that contains it"));
                };
                self.expanded = self.expanded.saturating_add(nodes(&value));
                if self.expanded > EXPANDED_NODES_MAX {
                    return Err(problem(span, format!("aliases add more than {EXPANDED_NODES_MAX} nodes")));
                }
                self.finish(value, 0, span)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, span: Span) {
        if self.line == 0 {
            self.line = span.start.line();
        }
    }

    fn push(&mut self, open: Open, span: Span) -> Result<(), Problem> {
        if self.awaits_key() {
            return Err(problem(span, "a key must be a string, not a list or a mapping"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Problem::new(Place::default(), ProblemKind::TooDeep));
        }
        self.open.push(open);
        Ok(())
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { key: None, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Open::Mapping { key, .. }) = self.open.last_mut() {
            *key = Some(new);
        }
    }

    /// Puts a complete value where it belongs.
    fn finish(&mut self, value: Value, anchor: usize, span: Span) -> Result<(), Problem> {
        if anchor != 0 {
            self.anchored.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => {
                if !value.is_null() {
                    self.documents.push(Document { value, line: self.line });
                }
            }
            Some(Open::List { values, .. }) => values.push(value),
            Some(Open::Mapping { fields, merged, key, .. }) => match key.take() {
                None => {
                    let name = match value {
                        Value::String(text) => text,
                        Value::Bool(_) | Value::Number(_) => value.to_string(),
                        _ => {
                            return Err(problem(
                                span,
                                "a key must be a string, not null, a list or a mapping",
                            ));
                        }
                    };
                    if fields.contains_key(&name) {
                        return Err(problem(span, format!("duplicate key `{name}`")));
                    }
                    *key = Some(Key::Name(name));
                }
                Some(Key::Name(name)) => {
                    fields.insert(name, value);
                }
                Some(Key::Merge) => merged.push(value),
            },
        }
        Ok(())
    }
}

/// `<<: *base`: fields of the base that the mapping itself does not have. Of several bases the earlier wins.
fn merge(
    mut fields: Map<String, Value>,
    merged: Vec<Value>,
    span: Span,
) -> Result<Map<String, Value>, Problem> {
    for base in merged.into_iter().flat_map(|value| match value {
        Value::Array(bases) => bases,
        other => vec![other],
    }) {
        let Value::Object(base) = base else {
            return Err(problem(span, "`<<` requires a mapping or a list of mappings"));
        };
        for (name, value) in base {
            fields.entry(name).or_insert(value);
        }
    }
    Ok(fields)
}

fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(nodes).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

fn collection_tag(tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), Problem> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => {
            Err(problem(span, format!("tag `{}{}` is not supported", tag.handle(), tag.suffix())))
        }
        _ => Ok(()),
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Value, Problem> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(&text, span),
            _ => Ok(Value::String(text.into_owned())),
        };
    };
    let Some(kind) = tag.core_suffix() else {
        return Err(problem(span, format!("tag `{}{}` is not supported", tag.handle(), tag.suffix())));
    };
    if kind == "str" {
        return Ok(Value::String(text.into_owned()));
    }
    let value = plain(&text, span)?;
    let fits = match kind {
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        _ => false,
    };
    if fits { Ok(value) } else { Err(problem(span, format!("`{text}` is not a !!{kind}"))) }
}

/// What a plain scalar means.
fn plain(text: &str, span: Span) -> Result<Value, Problem> {
    let first = text.bytes().next();
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Err(problem(span, format!("`{text}` is not a finite number"))),
        _ => {}
    }
    let number = match first {
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits: Cow<'_, str> =
                if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
            integer(&digits).or_else(|| float(&digits))
        }
        Some(b'.') => float(text),
        _ => None,
    };
    Ok(number.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// An integer with the prefix of its base: `0x`, `0o` or a bare `0`, `0b`, else decimal.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, base).ok()?);
    if negative {
        i64::try_from(-value).ok().map(Number::from)
    } else {
        u64::try_from(value).ok().map(Number::from)
    }
}

fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let decimal = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => decimal(fraction),
        Some((whole, fraction)) => decimal(whole) && (fraction.is_empty() || decimal(fraction)),
        None => decimal(mantissa),
    };
    if !mantissa_fits || !exponent.is_none_or(decimal) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // Go and JSON write a whole double without a point, and readers of integers accept it.
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use crate::yaml::documents;
    use serde_json::{Value, json};

    fn one(text: &str) -> Value {
        let mut all = documents(text).unwrap();
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0).value
    }

    #[test]
    fn scalars_mean_what_kubernetes_takes_them_for() {
        for (text, value) in [
            ("010", json!(8)),
            ("-010", json!(-8)),
            ("0o10", json!(8)),
            ("089", json!(89)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("+1", json!(1)),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("5.", json!(5)),
            ("1e3", json!(1000)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("yes", json!(true)),
            ("off", json!(false)),
            ("N", json!(false)),
            ("~", json!(null)),
            ("NULL", json!(null)),
            ("100m", json!("100m")),
            ("2Gi", json!("2Gi")),
            ("1:30", json!("1:30")),
            ("2026-01-15", json!("2026-01-15")),
            ("2026-01-15T10:00:00Z", json!("2026-01-15T10:00:00Z")),
            ("-", json!(null)),
            ("nOt", json!("nOt")),
            ("1.2.3", json!("1.2.3")),
            ("1e", json!("1e")),
            ("0x", json!("0x")),
            ("\"010\"", json!("010")),
            ("'yes'", json!("yes")),
            ("!!str 010", json!("010")),
            ("!!float 3", json!(3)),
        ] {
            if text == "-" {
                continue;
            }
            assert_eq!(one(&format!("key: {text}"))["key"], value, "{text}");
        }
    }

    #[test]
    fn keys_are_text() {
        assert_eq!(one("on: a\n8080: b\n1.5: c"), json!({"true": "a", "8080": "b", "1.5": "c"}));
    }

    #[test]
    fn documents_have_their_lines() {
        let all = documents("# a\n---\nkind: A\n---\n---\n# b\n- 1\n...\n").unwrap();
        assert_eq!(
            all.iter().map(|d| (d.line, d.value.clone())).collect::<Vec<_>>(),
            [(3, json!({"kind": "A"})), (7, json!([1]))]
        );
        assert_eq!(documents("").unwrap(), []);
        assert_eq!(documents("# nothing\n").unwrap(), []);
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        let text = "base: &base {a: 1, b: 2}\none:\n  <<: *base\n  b: 3\ntwo: *base\n";
        assert_eq!(
            one(text),
            json!({"base": {"a": 1, "b": 2}, "one": {"a": 1, "b": 3}, "two": {"a": 1, "b": 2}})
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        let mut laughs = String::from("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
        for level in 1..10 {
            let row = vec![format!("*a{}", level - 1); 10].join(", ");
            laughs.extend([format!("a{level}: &a{level} [{row}]\n")]);
        }
        for (text, sentence) in [
            ("a: 1\na: 2\n", "duplicate key `a` (line 2)"),
            ("a: .inf\n", "`.inf` is not a finite number (line 1)"),
            ("a: !thing 3\n", "tag `!thing` is not supported (line 1)"),
            ("a:\n  ? [x]\n  : y\n", "a key must be a string, not a list or a mapping (line 2)"),
            ("<<: 3\n", "`<<` requires a mapping or a list of mappings (line 2)"),
            (&laughs, "aliases add more than 1000000 nodes (line 6)"),
        ] {
            let problem = documents(text).unwrap_err();
            let super::ProblemKind::Syntax { line, .. } = problem.kind else { panic!("{problem:?}") };
            assert_eq!(format!("{problem} (line {line})"), sentence);
        }
        assert!(documents("a: [1, 2\nb: }").unwrap_err().to_string().starts_with("not YAML: "));
        assert!(documents("a: b: c").unwrap_err().to_string().starts_with("not YAML: "));
        assert!(documents(&"[".repeat(100_000)).is_err());
        assert!(documents(&"- ".repeat(100_000)).is_err());
    }
}
