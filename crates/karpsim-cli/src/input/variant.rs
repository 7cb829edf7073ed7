//! Variants of a trace: patches laid over its objects, options and catalogue.

use crate::failure::Failure;
use crate::flags::play::Play;
use crate::input::overlay::{CatalogueOverlays, OverlayFile, TraceOverlays};
use crate::input::trace::{TraceFile, trace_failure};
use crate::input::unpack;
use karpsim::api::problem::near_miss;
use karpsim::api::{convert, defaults, yaml};
use karpsim::catalogue::Catalogue;
use karpsim_sim::trace::{EventKind, Header, HeaderObject, TraceEvent};
use karpsim_sim::{ReplayResult, Trace, replay_events};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A trace of which variants are made.
pub(crate) struct Original {
    /// The file as messages name it.
    pub(crate) shown: String,
    /// What older objects lose in being converted.
    pub(crate) notices: Vec<String>,
    /// The header, its objects in the form of `karpenter.sh/v1`.
    header: Header,
    events: Vec<TraceEvent>,
}

impl Original {
    /// Reads the trace in `path`, with what `play` lays over it.
    ///
    /// # Errors
    ///
    /// If it is none, or an object of an older form cannot be converted.
    pub(crate) fn read(path: &Path, play: &Play) -> Result<Self, Failure> {
        let TraceFile { shown, reader } = TraceFile::open(path)?;
        let failure = |error| trace_failure(&shown, &error);
        let mut header = play.overlays.header(&reader.header).map_err(failure)?;
        let events = play.overlays.events(Box::new(reader), play.has_end(&header));
        let events = events.collect::<Result<_, _>>().map_err(failure)?;
        let mut objects = Vec::with_capacity(header.objects.len());
        let mut notices = Vec::new();
        for HeaderObject { value, index, file } in std::mem::take(&mut header.objects) {
            let converted = convert::convert(value).map_err(|problem| {
                let error = karpsim_sim::Error::from(problem);
                failure(error.below(&format!("objects[{index}]")).of_file(file.clone()))
            })?;
            let place = |value| HeaderObject { value, index, file: file.clone() };
            objects.extend(converted.objects.into_iter().map(place));
            notices.extend(converted.notices.iter().map(ToString::to_string));
        }
        header.objects = objects;
        Ok(Original { shown, notices, header, events })
    }

    /// The trace with `patch`; without: as it is.
    ///
    /// # Errors
    ///
    /// If a part of the patch matches nothing, or what comes out is no trace.
    pub(crate) fn with(&self, patch: Option<&Patch>) -> Result<Trace, Failure> {
        let Some(patch) = patch else {
            return Ok(Trace { header: self.header.clone(), events: self.events.clone() });
        };
        let mut unmatched: BTreeSet<usize> = (0..patch.objects.len()).collect();
        let header = self.header.changed(|fields| {
            for field in ["options", "catalogue"] {
                if let Some(change) = patch.header.get(field) {
                    let own = fields.entry(field).or_insert(Value::Null);
                    if field == "catalogue" {
                        // They exclude each other: another one is meant.
                        for (given, other) in [("file", "name"), ("name", "file")] {
                            if change.get(given).is_some_and(Value::is_string) && change.get(other).is_none()
                            {
                                own.as_object_mut().map(|own| own.remove(other));
                            }
                        }
                    }
                    merge(own, change);
                }
            }
        });
        let mut header = header.map_err(|error| trace_failure(&patch.shown, &error))?;
        for object in &mut header.objects {
            if patch.lay_over(&mut object.value, &mut unmatched) {
                // What is wrong with it from now on is the patch's fault.
                object.file = None;
            }
        }
        let mut trace = Trace { header, events: self.events.clone() };
        self.patch_events(&mut trace, patch, &mut unmatched)?;
        match unmatched.first().and_then(|index| patch.objects.get(*index)) {
            Some(first) => Err(nothing_matches(patch, first, &trace)),
            None => Ok(trace),
        }
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

/// What is different in a variant, from a file.
pub(crate) enum Variant {
    /// Changes to objects, options and catalogue.
    Patch(Patch),
    /// What is laid over the trace or its catalogue.
    Overlay(Arc<str>, Box<TraceOverlays>),
}

impl Variant {
    /// Reads the variant in `path`.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Ok(match OverlayFile::read_if_overlay(path)? {
            None => Variant::Patch(Patch::read(path)?),
            Some(file) => Variant::Overlay(Arc::clone(&file.shown), Box::new(TraceOverlays::of(vec![file]))),
        })
    }
}

impl Original {
    /// Plays the trace with `variant`; without: as it is.
    ///
    /// # Errors
    ///
    /// If a part of the variant matches nothing, or what comes out cannot be played.
    pub(crate) fn play(&self, variant: Option<&Variant>, play: &Play) -> Result<ReplayResult, Failure> {
        let (patch, overlays) = match variant {
            None => (None, None),
            Some(Variant::Patch(patch)) => (Some(patch), None),
            Some(Variant::Overlay(shown, overlays)) => (None, Some((shown, overlays))),
        };
        let who = match (patch, overlays) {
            (Some(patch), _) => &patch.shown,
            (_, Some((shown, _))) => &**shown,
            _ => self.shown.as_str(),
        };
        let failure = |error| trace_failure(who, &error);
        let Trace { mut header, events } = self.with(patch)?;
        if let Some((_, overlays)) = overlays {
            header = overlays.header(&header).map_err(failure)?;
        }
        play.settings.apply(&mut header.options.karpenter);
        let laid_over = play.overlays.catalogue_file().filter(|_| variant.is_none());
        let mut catalogue = play.catalogue(laid_over.unwrap_or(who), &header.catalogue)?;
        if let Some((_, overlays)) = overlays {
            catalogue = overlaid(&overlays.catalogue, catalogue)?;
        }
        let mut laid = play.with_prices(Box::new(events.into_iter().map(Ok)), &header, &catalogue);
        if let Some((_, overlays)) = overlays {
            let has_end = play.has_end(&header);
            laid = overlays.events(laid, has_end);
            laid = overlays.with_prices(laid, &header, &catalogue, &play.overlays.catalogue, has_end);
        }
        let result = replay_events(&header, laid, &play.options, catalogue, None);
        let mut result = result.map_err(failure)?;
        result.warnings.extend(play.remarks(&header, result.end));
        if let Some((_, overlays)) = overlays {
            result.warnings.extend(overlays.catalogue.remarks());
            result.warnings.extend(overlays.remarks(&header, result.end));
        }
        Ok(result)
    }
}

fn overlaid(overlays: &CatalogueOverlays, catalogue: Arc<Catalogue>) -> Result<Arc<Catalogue>, Failure> {
    overlays.apply(catalogue).map_err(|problem| Failure::input(problem.to_string()))
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

    /// Patches `object` with all that is meant for it; whether there was something.
    fn lay_over(&self, object: &mut Value, unmatched: &mut BTreeSet<usize>) -> bool {
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
            Some(patch @ Value::Object(_)) => {
                if patch.get("metadata").is_some_and(|metadata| !metadata.is_object()) {
                    return Err(Failure::input(format!(
                        "{shown}: `{place}.patch.metadata`: allowed is an object"
                    )));
                }
                let names = [
                    ("kind", &key.kind),
                    ("metadata.name", &key.name),
                    ("metadata.namespace", &key.namespace),
                ];
                for (field, own) in names {
                    let found = patch.pointer(&format!("/{}", field.replace('.', "/")));
                    if let Some(found) = found.filter(|found| *found != own) {
                        return Err(Failure::input(format!(
                            "{shown}: `{place}.patch.{field}`: found {found}, allowed is \"{own}\": a patch changes an \
                             object, and the object stays the same one"
                        )));
                    }
                }
                Ok(ObjectPatch { key, patch })
            }
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
    let of_header = trace.header.objects.iter().map(|object| &object.value);
    let all: BTreeSet<Key> = of_header.chain(applied.flatten()).map(Key::of).collect();
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
    let kinds = all.iter().map(|key| key.kind.as_str());
    if let Some(kind) = near_miss(&object.key.kind, kinds).filter(|_| of_kind.is_empty()) {
        return failure.hint(format!("did you mean the kind {kind}?"));
    }
    if let [only] = of_kind.as_slice() {
        return failure.hint(format!("did you mean {only}?"));
    }
    let listed = if of_kind.is_empty() { shown } else { of_kind.iter().map(ToString::to_string).collect() };
    failure
        .hint(format!("there is {}", crate::output::figures::shortened(listed.iter().map(String::as_str), 8)))
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
