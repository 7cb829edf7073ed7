//! From text to the structs of [`crate::model`], without a look at what they mean.

use super::located::{Located, titled};
use super::objects::Rest;
use crate::model::meta::Str;
use crate::model::objects::Objects;
use crate::model::objects::ObjectsBox;
use crate::problem::{Place, Problem, ProblemKind};
use crate::scenario::{ScenarioKind, ScenarioText};
use crate::yaml;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A scenario as it stands in a text, with what the form of the text says about it.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// The scenario.
    pub text: ScenarioText,
    /// It is a list of objects, as `kubectl get -o json` prints them, without anything else.
    pub bare: bool,
}

/// Reads one JSON value: a scenario, a recorded pair of `scenario` and `decision`, a Kubernetes object, or a list of
/// objects.
///
/// # Errors
///
/// If the text is not JSON, or a field has not the type it must have.
pub fn read_json(text: &str) -> Result<Read, Problem> {
    match serde_json::from_str::<Form>(text) {
        Ok(form) => Ok(form.0),
        Err(error) => Err(explain(text, &error)),
    }
}

/// As [`read_json`], for a value that was read before.
///
/// # Errors
///
/// As [`read_json`].
pub fn read_value(value: &Value) -> Result<Read, Problem> {
    match Form::deserialize(Located(value)) {
        Ok(form) => Ok(form.0),
        Err(fault) => Err(fault.in_root(value)),
    }
}

/// Reads every document of a YAML text. Documents that are objects, or lists of objects, are one scenario together;
/// every other document is a scenario of its own, or a recorded pair.
///
/// # Errors
///
/// If the text is not YAML, or a field has not the type it must have. A document's line comes with the problem.
pub fn read_yaml(text: &str) -> Result<Vec<(usize, Read)>, (usize, Problem)> {
    let documents = yaml::documents(text).map_err(|problem| match problem.kind {
        ProblemKind::Syntax { line, .. } => (line, problem),
        _ => (0, problem),
    })?;
    let mut all: Vec<(usize, Read)> = Vec::new();
    for document in documents {
        let read = read_value(&document.value).map_err(|problem| (document.line, problem))?;
        match all.last_mut() {
            Some((_, before)) if read.bare && before.bare => {
                before.text.objects.0.append(read.text.objects.0);
            }
            _ => all.push((document.line, read)),
        }
    }
    Ok(all)
}

/// Finds the place of what serde_json complains about.
fn explain(text: &str, error: &serde_json::Error) -> Problem {
    if error.is_eof() {
        return Problem::new(Place::default(), ProblemKind::Truncated);
    }
    let said = error.to_string();
    if said.starts_with("recursion limit exceeded") {
        return Problem::new(Place::default(), ProblemKind::TooDeep);
    }
    if error.is_data() {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                if let Err(fault) = Form::deserialize(Located(&value)) {
                    return fault.in_root(&value);
                }
            }
            // What comes behind the wrong field is no JSON either: that is said first.
            Err(syntax) if !syntax.is_data() => return explain(text, &syntax),
            Err(_) => {}
        }
    }
    let said = said.split(" at line ").next().unwrap_or_default();
    Problem::new(
        Place::default(),
        ProblemKind::Syntax {
            message: format!("not JSON: {said}"),
            line: error.line(),
            column: error.column(),
        },
    )
}

/// The outermost value, whatever it is.
struct Form(Read);

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FormVisitor)
    }
}

struct FormVisitor;

impl FormVisitor {
    /// Objects without a scenario around them.
    fn bare(objects: Objects) -> Form {
        Form(Read {
            text: ScenarioText { objects: ObjectsBox(objects), ..ScenarioText::default() },
            bare: true,
        })
    }
}

impl<'de> Visitor<'de> for FormVisitor {
    type Value = Form;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a scenario, a Kubernetes object or a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Form, A::Error> {
        Objects::deserialize(serde::de::value::SeqAccessDeserializer::new(seq)).map(Self::bare)
    }

    /// `apiVersion` and `kind` say, if they come first, what the rest is; else the first other field does. Only objects
    /// whose fields stand in an unusual order are read twice.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
        let (mut api_version, mut kind) = (None::<Str>, None::<Str>);
        let key = loop {
            match map.next_key::<Str>()? {
                Some(key) if key == "apiVersion" => api_version = map.next_value()?,
                Some(key) if key == "kind" => kind = map.next_value()?,
                Some(key) => break Some(key),
                None => break None,
            }
        };
        let of_karpsim = api_version.as_deref().is_some_and(|version| version.starts_with("karpsim.dev/"));
        match (&api_version, &kind, key) {
            (None, None, Some(key)) if key == "scenario" || key == "decision" => pair(key, map),
            (Some(api_version), Some(kind), key) if !of_karpsim => {
                let mut objects = Objects::default();
                objects.add_known(api_version, kind, Rest { first: key, inner: map })?;
                Ok(Self::bare(objects))
            }
            (_, None, Some(key)) if matches!(key.as_str(), "metadata" | "spec" | "status" | "items") => {
                let mut fields = serde_json::Map::new();
                if let Some(api_version) = api_version {
                    fields.insert("apiVersion".into(), api_version.as_str().into());
                }
                fields.insert(key.into(), map.next_value()?);
                while let Some((key, value)) = map.next_entry()? {
                    fields.insert(key, value);
                }
                if !fields.contains_key("kind") {
                    return Err(A::Error::missing_field("kind"));
                }
                read_value(&Value::Object(fields)).map(Form).map_err(A::Error::custom)
            }
            (_, kind, key) => {
                let kind = kind.as_deref().map(scenario_kind).transpose()?;
                let rest = Rest { first: key, inner: map };
                let mut text = ScenarioText::deserialize(MapAccessDeserializer::new(rest))?;
                text.kind = kind.or(text.kind);
                Ok(Form(Read { text, bare: false }))
            }
        }
    }
}

fn scenario_kind<E: Error>(word: &str) -> Result<ScenarioKind, E> {
    match word {
        "provisioning" => Ok(ScenarioKind::Provisioning),
        "disruption" => Ok(ScenarioKind::Disruption),
        _ => Err(E::unknown_variant(word, ScenarioKind::WORDS)),
    }
}

/// `{"scenario": …, "decision": …}`: the decision is for comparing, and not looked at.
fn pair<'de, A: MapAccess<'de>>(first: Str, mut map: A) -> Result<Form, A::Error> {
    let mut text = None;
    let mut key = Some(first);
    while let Some(name) = key {
        match name.as_str() {
            "scenario" => text = Some(map.next_value::<ScenarioText>()?),
            "decision" => {
                map.next_value::<IgnoredAny>()?;
            }
            other => return Err(A::Error::unknown_field(other, &["scenario", "decision"])),
        }
        key = map.next_key()?;
    }
    let text = text.ok_or_else(|| A::Error::missing_field("scenario"))?;
    Ok(Form(Read { text, bare: false }))
}

/// An object as messages name it.
pub(crate) fn title_of(kind: &str, metadata: &crate::model::meta::ObjectMeta) -> String {
    titled(kind, &metadata.namespace, &metadata.name)
}
