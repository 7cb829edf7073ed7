//! Patches of a trace.
//!
//! A patch has JSON merge patches for objects by kind and name, and for `options` and `catalogue`. Objects that are
//! applied later in the trace are patched too: else the patch would end there.

use crate::error::Error;
use crate::trace::{EventKind, Trace};
use karpsim::input::{convert, defaults};
use karpsim::problem::{Problem, near_miss};
use karpsim::yaml;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// A change to a trace.
#[derive(Debug, Clone)]
pub struct Patch {
    objects: Vec<ObjectPatch>,
    /// Changes to `options` and `catalogue`.
    header: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct ObjectPatch {
    key: Key,
    patch: Value,
}

/// What is wrong with a patch, or with what comes out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatchError {
    /// The text is neither YAML nor JSON.
    Syntax(Problem),
    /// The text has not one document.
    Documents {
        /// How many it has.
        count: usize,
    },
    /// A field has the wrong type.
    Type {
        /// Path of the field; empty: all of the patch.
        path: String,
        /// What is expected.
        expected: String,
    },
    /// There is no such field.
    UnknownField {
        /// Path of the object that has it; empty: all of the patch.
        path: String,
        /// The field.
        name: String,
        /// The fields that there are.
        known: &'static [&'static str],
    },
    /// A field is missing.
    MissingField {
        /// Path of the object that should have it.
        path: String,
        /// The field.
        name: &'static str,
    },
    /// A patch would make another object of the one that it is for.
    Renames {
        /// Path of the field.
        path: String,
        /// What the patch says.
        found: String,
        /// What the object has.
        own: String,
    },
    /// The trace has no such object.
    NothingMatches {
        /// The object.
        object: String,
        /// What could help.
        hint: String,
    },
    /// An object that the trace applies later is wrong by itself.
    Original(Error),
    /// What comes out is no trace.
    Trace(Error),
}

const FIELDS: &[&str] = &["objects", "options", "catalogue"];
const OBJECT_FIELDS: &[&str] = &["apiVersion", "kind", "namespace", "name", "patch"];

/// Names that a hint lists.
const NAMES_MAX: usize = 8;

impl PatchError {
    /// What could help.
    pub fn hint(&self) -> Option<String> {
        match self {
            PatchError::Syntax(problem) => problem.hint(),
            PatchError::UnknownField { name, known, .. } => {
                Some(match near_miss(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known fields: {}", known.join(", ")),
                })
            }
            PatchError::Renames { .. } => Some("a patch cannot rename an object".to_owned()),
            PatchError::NothingMatches { hint, .. } => Some(hint.clone()),
            PatchError::Original(error) | PatchError::Trace(error) => error.hint.clone(),
            PatchError::Documents { .. } | PatchError::Type { .. } | PatchError::MissingField { .. } => None,
        }
    }
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |path: &str| if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        match self {
            PatchError::Syntax(problem) => problem.fmt(f),
            PatchError::Documents { count } => {
                write!(f, "expected one document with a patch, found {count}")
            }
            PatchError::Type { path, expected } => write!(f, "{}expected {expected}", at(path)),
            PatchError::UnknownField { path, name, .. } => write!(f, "{}unknown field `{name}`", at(path)),
            PatchError::MissingField { path, name } => write!(f, "{}missing field `{name}`", at(path)),
            PatchError::Renames { path, found, own } => {
                write!(f, "`{path}`: invalid value {found}: expected \"{own}\"")
            }
            PatchError::NothingMatches { object, .. } => write!(f, "the trace has no {object} to patch"),
            PatchError::Original(error) | PatchError::Trace(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PatchError {}

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

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if defaults::is_namespaced(&self.kind) {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        } else {
            write!(f, "{} {}", self.kind, self.name)
        }
    }
}

impl Patch {
    /// Reads a patch (YAML or JSON).
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn read(text: &str) -> Result<Self, PatchError> {
        let mut documents = yaml::documents(text).map_err(PatchError::Syntax)?;
        let value = match documents.len() {
            1 => documents.remove(0).value,
            count => return Err(PatchError::Documents { count }),
        };
        let wrong = |path: &str, expected: String| PatchError::Type { path: path.to_owned(), expected };
        let Value::Object(mut header) = value else {
            return Err(wrong("", format!("an object with {}", FIELDS.join(", "))));
        };
        check_known(&header, FIELDS, "")?;
        let mut objects = Vec::new();
        match header.remove("objects") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (index, value) in list.into_iter().enumerate() {
                    objects.push(ObjectPatch::read(value, &format!("objects[{index}]"))?);
                }
            }
            Some(_) => return Err(wrong("objects", "a list of patches".to_owned())),
        }
        match header.iter().find(|(_, value)| !value.is_object()) {
            Some((name, _)) => Err(wrong(name, "an object".to_owned())),
            None => Ok(Patch { objects, header }),
        }
    }

    /// `trace` with the changes: first of `options` and `catalogue`, then of the objects at its start, then of those that
    /// are applied later.
    pub(super) fn apply(&self, mut trace: Trace) -> Result<Trace, PatchError> {
        let mut unmatched: BTreeSet<usize> = (0..self.objects.len()).collect();
        let header = trace.header.changed(|fields| self.change_header(fields));
        trace.header = header.map_err(PatchError::Trace)?;
        for object in &mut trace.header.objects {
            if self.change_object(&mut object.value, &mut unmatched) {
                // What is wrong with it from now on is the patch's fault.
                object.file = None;
            }
        }
        for event in &mut trace.events {
            let EventKind::Apply { objects, .. } = &mut event.kind else { continue };
            if objects.iter().any(convert::is_old) {
                let mut new = Vec::with_capacity(objects.len());
                for object in std::mem::take(objects) {
                    let converted = convert::convert(object)
                        .map_err(|problem| {
                            Error::from(problem).at_line(event.line).of_file(event.file.clone())
                        })
                        .map_err(PatchError::Original)?;
                    new.extend(converted.objects);
                }
                *objects = new;
            }
            for object in objects {
                self.change_object(object, &mut unmatched);
            }
        }
        match unmatched.first().and_then(|index| self.objects.get(*index)) {
            Some(first) => Err(nothing_matches(first, &trace)),
            None => Ok(trace),
        }
    }

    fn change_header(&self, fields: &mut Map<String, Value>) {
        for field in ["options", "catalogue"] {
            let Some(change) = self.header.get(field) else { continue };
            let own = fields.entry(field).or_insert(Value::Null);
            if field == "catalogue" {
                // They exclude each other: another one is meant.
                for (given, other) in [("file", "name"), ("name", "file")] {
                    if change.get(given).is_some_and(Value::is_string) && change.get(other).is_none() {
                        own.as_object_mut().map(|own| own.remove(other));
                    }
                }
            }
            merge(own, change);
        }
    }

    /// Patches `object` with all that is meant for it; whether there was something.
    fn change_object(&self, object: &mut Value, unmatched: &mut BTreeSet<usize>) -> bool {
        let key = Key::of(object);
        let mut patched = false;
        for (index, patch) in self.objects.iter().enumerate().filter(|(_, patch)| patch.key == key) {
            merge(object, &patch.patch);
            unmatched.remove(&index);
            patched = true;
        }
        patched
    }
}

impl ObjectPatch {
    fn read(value: Value, place: &str) -> Result<Self, PatchError> {
        let wrong = |path: String, expected: &str| PatchError::Type { path, expected: expected.to_owned() };
        let missing = |name| PatchError::MissingField { path: place.to_owned(), name };
        let Value::Object(mut fields) = value else {
            return Err(wrong(place.to_owned(), &format!("an object with {}", OBJECT_FIELDS.join(", "))));
        };
        check_known(&fields, OBJECT_FIELDS, place)?;
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(wrong(format!("{place}.{name}"), "a string")),
        };
        let key = Key::new(text("kind")?, text("namespace")?, text("name")?);
        for (name, value) in [("kind", &key.kind), ("name", &key.name)] {
            if value.is_empty() {
                return Err(missing(name));
            }
        }
        let patch = match fields.remove("patch") {
            Some(patch @ Value::Object(_)) => patch,
            Some(_) => return Err(wrong(format!("{place}.patch"), "an object")),
            None => return Err(missing("patch")),
        };
        if patch.get("metadata").is_some_and(|metadata| !metadata.is_object()) {
            return Err(wrong(format!("{place}.patch.metadata"), "an object"));
        }
        for (field, pointer, own) in [
            ("kind", "/kind", &key.kind),
            ("metadata.name", "/metadata/name", &key.name),
            ("metadata.namespace", "/metadata/namespace", &key.namespace),
        ] {
            if let Some(found) = patch.pointer(pointer).filter(|found| *found != own) {
                return Err(PatchError::Renames {
                    path: format!("{place}.patch.{field}"),
                    found: found.to_string(),
                    own: own.clone(),
                });
            }
        }
        Ok(ObjectPatch { key, patch })
    }
}

fn check_known(
    fields: &Map<String, Value>,
    known: &'static [&'static str],
    path: &str,
) -> Result<(), PatchError> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(PatchError::UnknownField { path: path.to_owned(), name: name.clone(), known }),
    }
}

fn nothing_matches(patch: &ObjectPatch, trace: &Trace) -> PatchError {
    let applied = trace.events.iter().filter_map(|event| match &event.kind {
        EventKind::Apply { objects, .. } => Some(objects),
        _ => None,
    });
    let of_header = trace.header.objects.iter().map(|object| &object.value);
    let all: BTreeSet<Key> = of_header.chain(applied.flatten()).map(Key::of).collect();
    PatchError::NothingMatches { object: patch.key.to_string(), hint: near_objects(&patch.key, &all) }
}

/// Which of all objects may be meant.
fn near_objects(wanted: &Key, all: &BTreeSet<Key>) -> String {
    if wanted.kind == "Provisioner" {
        return "patch a Provisioner as its NodePool".to_owned();
    }
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    if let Some(near) = near_miss(&wanted.to_string(), names.iter().map(String::as_str)) {
        return format!("did you mean {near}?");
    }
    let of_kind: Vec<String> =
        all.iter().filter(|key| key.kind == wanted.kind).map(ToString::to_string).collect();
    let kinds = all.iter().map(|key| key.kind.as_str());
    if let Some(kind) = near_miss(&wanted.kind, kinds).filter(|_| of_kind.is_empty()) {
        return format!("did you mean the kind {kind}?");
    }
    if let [only] = of_kind.as_slice() {
        return format!("did you mean {only}?");
    }
    let listed = if of_kind.is_empty() { names } else { of_kind };
    let more = listed.len().saturating_sub(NAMES_MAX);
    let first = listed.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("it has {first} and {more} other(s)") } else { format!("it has {first}") }
}

/// A JSON merge patch (RFC 7386): objects are merged, null removes, everything else replaces. A crate for it would bring
/// JSON pointers and patches of the other kind with it.
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
    use super::{Patch, PatchError, merge};
    use crate::trace::{EventKind, Trace};
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

    fn trace() -> Trace {
        let text = json!({
            "apiVersion": "karpsim.dev/v1alpha1",
            "kind": "Trace",
            "catalogue": {"name": "aws/us-west-2", "include": ["m5.large"]},
            "objects": [
                {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "a"}},
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1}},
            ],
            "events": [{"at": 5, "apply": [
                {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2, "paused": true}},
            ]}],
        });
        Trace::read(text.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn objects_are_patched_wherever_they_are_applied() {
        let patch = "objects: [{kind: Deployment, name: web, patch: {spec: {paused: null, replicas: 7}}}]";
        let patched = Patch::read(patch).unwrap().apply(trace()).unwrap();
        assert_eq!(patched.header.objects[1].value["spec"], json!({"replicas": 7}));
        let EventKind::Apply { objects, .. } = &patched.events[0].kind else { panic!() };
        assert_eq!(objects[0]["spec"], json!({"replicas": 7}));
        assert_eq!(patched.header.objects[0].value, trace().header.objects[0].value);
    }

    #[test]
    fn another_catalogue_takes_the_place_of_the_one_that_was_named() {
        let patched = Patch::read("catalogue: {file: x.json}").unwrap().apply(trace()).unwrap();
        let catalogue = &patched.header.catalogue;
        assert_eq!((catalogue.file.as_str(), catalogue.name.as_str()), ("x.json", ""));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, error, hint) in [
            ("- 1", "expected an object with objects, options, catalogue", None),
            ("objects: 1", "`objects`: expected a list of patches", None),
            ("option: {}", "unknown field `option`", Some("did you mean `options`?")),
            ("options: 1", "`options`: expected an object", None),
            ("objects: [{kind: A, patch: {}}]", "`objects[0]`: missing field `name`", None),
            ("objects: [{kind: A, name: a}]", "`objects[0]`: missing field `patch`", None),
            ("objects: [{kind: A, name: 1, patch: {}}]", "`objects[0].name`: expected a string", None),
            (
                "objects: [{kind: A, name: a, patch: {metadata: {name: b}}}]",
                "`objects[0].patch.metadata.name`: invalid value \"b\": expected \"a\"",
                Some("a patch cannot rename an object"),
            ),
        ] {
            let found = Patch::read(text).unwrap_err();
            assert_eq!((found.to_string().as_str(), found.hint().as_deref()), (error, hint), "{text}");
        }
        assert_eq!(Patch::read("a: 1\n---\nb: 2").unwrap_err(), PatchError::Documents { count: 2 });
    }

    #[test]
    fn a_patch_that_matches_nothing_is_an_error() {
        for (object, hint) in [
            ("kind: Deployment, name: wbe", "did you mean Deployment default/web?"),
            ("kind: NodePool, name: other", "did you mean NodePool a?"),
            ("kind: Provisioner, name: a", "patch a Provisioner as its NodePool"),
            ("kind: Job, name: x", "it has Deployment default/web, NodePool a"),
        ] {
            let patch = Patch::read(&format!("objects: [{{{object}, patch: {{}}}}]")).unwrap();
            assert_eq!(patch.apply(trace()).unwrap_err().hint().as_deref(), Some(hint), "{object}");
        }
    }
}
