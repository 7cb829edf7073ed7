//! Variants of a trace: patches laid over its objects, options and catalogue.

use crate::failure::Failure;
use crate::trace_file::{as_json, trace_failure};
use crate::unpack::{self, reading};
use karpsim::api::problem::near_miss;
use karpsim::api::{convert, defaults, yaml};
use karpsim_sim::Trace;
use karpsim_sim::trace::EventKind;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

/// A trace as text, so that variants of it can be made.
pub(crate) struct Original {
    /// The file as messages name it.
    pub(crate) shown: String,
    /// It was written for Karpenter v0.6: there is a Provisioner.
    pub(crate) has_provisioner: bool,
    /// What older objects lose in being converted.
    pub(crate) notices: Vec<String>,
    /// The header without events, its objects in the form of `karpenter.sh/v1`.
    header: Map<String, Value>,
    /// The events of a document, as text: a time is read from its digits.
    events: Option<Box<RawValue>>,
    /// The lines of a stream.
    lines: String,
}

impl Original {
    /// Reads the trace in `path`.
    ///
    /// # Errors
    ///
    /// If it is none, or an object of an older form cannot be converted.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = unpack::shown(path);
        let mut text = String::new();
        as_json(unpack::open(path)?, &shown)?
            .read_to_string(&mut text)
            .map_err(|error| reading(&shown, &error))?;
        // What is wrong is said in the words of the reader of traces.
        Trace::read(text.as_bytes()).map_err(|error| trace_failure(&shown, &error))?;
        let broken = |error: serde_json::Error| Failure::input(format!("{shown}: {error}"));
        let mut values =
            serde_json::Deserializer::from_str(&text).into_iter::<BTreeMap<String, Box<RawValue>>>();
        let mut fields = values.next().transpose().map_err(broken)?.unwrap_or_default();
        let lines = text.get(values.byte_offset()..).unwrap_or_default().trim_start().to_owned();
        let events = fields.remove("events");
        let mut header = Map::new();
        for (name, raw) in fields {
            header.insert(name, serde_json::from_str(raw.get()).map_err(broken)?);
        }
        let mut original =
            Original { shown, has_provisioner: false, notices: Vec::new(), header, events, lines };
        original.convert()?;
        Ok(original)
    }

    fn convert(&mut self) -> Result<(), Failure> {
        let objects = match self.header.get_mut("objects").map(Value::take) {
            Some(Value::Array(objects)) => objects,
            _ => Vec::new(),
        };
        self.has_provisioner = objects.iter().any(|object| object["kind"] == "Provisioner");
        let mut new = Vec::with_capacity(objects.len());
        for object in objects {
            let converted =
                convert::convert(object).map_err(|problem| Failure::problem(&self.shown, 0, &problem))?;
            new.extend(converted.objects);
            self.notices.extend(converted.notices.iter().map(ToString::to_string));
        }
        self.header.insert("objects".into(), Value::Array(new));
        Ok(())
    }

    /// The trace with `patch`; without: as it is.
    ///
    /// # Errors
    ///
    /// If a part of the patch matches nothing, or what comes out is no trace.
    pub(crate) fn with(&self, patch: Option<&Patch>) -> Result<Trace, Failure> {
        let mut header = self.header.clone();
        let mut unmatched = BTreeSet::new();
        if let Some(patch) = patch {
            unmatched = (0..patch.objects.len()).collect();
            for field in ["options", "catalogue"] {
                if let Some(change) = patch.header.get(field) {
                    merge(header.entry(field).or_insert(Value::Null), change);
                }
            }
            for object in header.get_mut("objects").and_then(Value::as_array_mut).into_iter().flatten() {
                patch.lay_over(object, &mut unmatched);
            }
        }
        let mut text = Value::Object(header.clone()).to_string();
        if let Some(events) = &self.events {
            text.pop();
            text.extend([",\"events\":", events.get(), "}"]);
        }
        text.push('\n');
        text.push_str(&self.lines);
        let who = patch.map_or(self.shown.as_str(), |patch| patch.shown.as_str());
        let mut trace = Trace::read(text.as_bytes()).map_err(|mut error| {
            error.line = 0;
            trace_failure(who, &error)
        })?;
        if let Some(patch) = patch {
            self.patch_events(&mut trace, patch, &mut unmatched)?;
            if let Some(first) = unmatched.first().and_then(|index| patch.objects.get(*index)) {
                return Err(nothing_matches(patch, first, &trace));
            }
        }
        Ok(trace)
    }

    /// Objects that are applied later are patched too, or the patch would end there.
    fn patch_events(
        &self,
        trace: &mut Trace,
        patch: &Patch,
        unmatched: &mut BTreeSet<usize>,
    ) -> Result<(), Failure> {
        for event in &mut trace.events {
            let EventKind::Apply { objects, .. } = &mut event.kind else { continue };
            if objects.iter().any(convert::is_old) {
                let mut new = Vec::with_capacity(objects.len());
                for object in std::mem::take(objects) {
                    let converted = convert::convert(object)
                        .map_err(|problem| Failure::problem(&self.shown, event.line, &problem))?;
                    new.extend(converted.objects);
                }
                *objects = new;
            }
            for object in objects {
                patch.lay_over(object, unmatched);
            }
        }
        Ok(())
    }
}

/// A change to a trace, from a file.
pub(crate) struct Patch {
    /// The file as messages name it.
    shown: String,
    objects: Vec<ObjectPatch>,
    /// Changes to `options` and `catalogue`.
    header: Map<String, Value>,
}

struct ObjectPatch {
    key: Key,
    patch: Value,
}

/// What an object is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    namespace: String,
    name: String,
}

impl Key {
    fn new(kind: &str, namespace: &str, name: &str) -> Self {
        let namespace = match namespace {
            "" if defaults::is_namespaced(kind) => "default",
            given => given,
        };
        Key { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn of(object: &Value) -> Self {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        Key::new(text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if defaults::is_namespaced(&self.kind) {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        } else {
            write!(f, "{} {}", self.kind, self.name)
        }
    }
}

impl Patch {
    /// Reads the patch in `path`.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        const FIELDS: [&str; 3] = ["objects", "options", "catalogue"];
        let shown = unpack::shown(path);
        let text = unpack::text(path)?;
        let mut documents =
            yaml::documents(&text).map_err(|problem| Failure::problem(&shown, 1, &problem))?;
        let value = match documents.len() {
            1 => documents.remove(0).value,
            count => {
                return Err(Failure::input(format!(
                    "{shown}: found {count} documents, allowed is one with a patch"
                )));
            }
        };
        let Value::Object(mut header) = value else {
            return Err(Failure::input(format!(
                "{shown}: found no fields, allowed are {}",
                FIELDS.join(", ")
            )));
        };
        known(&header, &FIELDS, &shown, "")?;
        let mut objects = Vec::new();
        match header.remove("objects") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (index, value) in list.into_iter().enumerate() {
                    objects.push(ObjectPatch::read(value, &shown, &format!("objects[{index}]"))?);
                }
            }
            Some(_) => {
                return Err(Failure::input(format!("{shown}: `objects`: allowed is a list of patches")));
            }
        }
        for (name, value) in &header {
            if !value.is_object() {
                return Err(Failure::input(format!("{shown}: `{name}`: allowed is an object")));
            }
        }
        Ok(Patch { shown, objects, header })
    }

    /// The file as messages name it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Patches `object` with all that is meant for it.
    fn lay_over(&self, object: &mut Value, unmatched: &mut BTreeSet<usize>) {
        let key = Key::of(object);
        for (index, patch) in self.objects.iter().enumerate().filter(|(_, patch)| patch.key == key) {
            merge(object, &patch.patch);
            unmatched.remove(&index);
        }
    }
}

impl ObjectPatch {
    fn read(value: Value, shown: &str, place: &str) -> Result<Self, Failure> {
        const FIELDS: [&str; 5] = ["apiVersion", "kind", "namespace", "name", "patch"];
        let Value::Object(mut fields) = value else {
            return Err(Failure::input(format!(
                "{shown}: `{place}`: allowed is an object with {}",
                FIELDS.join(", ")
            )));
        };
        known(&fields, &FIELDS, shown, place)?;
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(other) => Err(Failure::input(format!(
                "{shown}: `{place}.{name}`: found `{other}`, allowed is a string"
            ))),
        };
        let key = Key::new(text("kind")?, text("namespace")?, text("name")?);
        for (name, value) in [("kind", &key.kind), ("name", &key.name)] {
            if value.is_empty() {
                return Err(Failure::input(format!("{shown}: `{place}`: field `{name}` is missing")));
            }
        }
        match fields.remove("patch") {
            Some(patch @ Value::Object(_)) => Ok(ObjectPatch { key, patch }),
            Some(_) => Err(Failure::input(format!("{shown}: `{place}.patch`: allowed is an object"))),
            None => Err(Failure::input(format!("{shown}: `{place}`: field `patch` is missing"))),
        }
    }
}

fn known(
    fields: &Map<String, Value>,
    names: &[&'static str],
    shown: &str,
    place: &str,
) -> Result<(), Failure> {
    let Some(name) = fields.keys().find(|name| !names.contains(&name.as_str())) else { return Ok(()) };
    let place = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
    let failure = Failure::input(format!("{shown}: {place}unknown field `{name}`"));
    Err(failure.hint(match near_miss(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", names.join(", ")),
    }))
}

fn nothing_matches(patch: &Patch, object: &ObjectPatch, trace: &Trace) -> Failure {
    let applied = trace.events.iter().filter_map(|event| match &event.kind {
        EventKind::Apply { objects, .. } => Some(objects),
        _ => None,
    });
    let all: BTreeSet<Key> = trace.header.objects.iter().chain(applied.flatten()).map(Key::of).collect();
    let failure =
        Failure::input(format!("{}: there is no {} in the trace to be patched", patch.shown, object.key));
    let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
    let of_kind: Vec<&Key> = all.iter().filter(|key| key.kind == object.key.kind).collect();
    if object.key.kind == "Provisioner" {
        return failure.hint("a Provisioner is patched as its NodePool");
    }
    if let Some(near) = near_miss(&object.key.to_string(), shown.iter().map(String::as_str)) {
        return failure.hint(format!("did you mean {near}?"));
    }
    if let [only] = of_kind.as_slice() {
        return failure.hint(format!("did you mean {only}?"));
    }
    let listed = if of_kind.is_empty() { shown } else { of_kind.iter().map(ToString::to_string).collect() };
    failure.hint(format!("there is {}", crate::table::shortened(listed.iter().map(String::as_str), 8)))
}

/// A JSON merge patch (RFC 7386): objects are merged, null removes, everything else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Some(fields) = target.as_object_mut() {
        for (name, change) in changes {
            if change.is_null() {
                fields.remove(name);
            } else {
                merge(fields.entry(name).or_insert(Value::Null), change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merge;
    use serde_json::json;

    #[test]
    fn merge_patches_are_those_of_the_rfc() {
        for (mut target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "c": 1}), json!({"a": null}), json!({"c": 1})),
            (json!({"a": ["b"]}), json!({"a": ["c", "d"]}), json!({"a": ["c", "d"]})),
            (
                json!({"a": {"b": 1, "c": 2}}),
                json!({"a": {"b": null, "d": 3}}),
                json!({"a": {"c": 2, "d": 3}}),
            ),
            (json!({"a": 1}), json!({"a": {"b": {"c": null}}}), json!({"a": {"b": {}}})),
            (json!([1]), json!({"a": 1}), json!({"a": 1})),
            (json!({"a": 1}), json!(2), json!(2)),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, merged);
        }
    }
}
