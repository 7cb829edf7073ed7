//! The header of a trace.

use super::fields::{Fields, kind, unknown};
use super::seconds;
use crate::delays::DelaySettings;
use crate::error::Error;
use jiff::Timestamp;
use karpsim::catalogue::CatalogueReference;
use karpsim::model::core::ResourceList;
use karpsim::model::meta::Str;
use karpsim::scenario::Options;
use karpsim_controller::Nanos;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The header of a trace.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Name.
    pub name: String,
    /// What 0 is on the calendar.
    pub start: Timestamp,
    /// When the replay stops; `None`: with the last event.
    pub end: Option<Nanos>,
    /// Where it comes from; shown, never interpreted.
    pub source: String,
    /// Options.
    pub options: TraceOptions,
    /// Instance types.
    pub catalogue: CatalogueReference,
    /// Objects that exist at 0, as users apply them.
    pub objects: Vec<HeaderObject>,
    /// For kinds that karpsim does not know: where their pod templates are.
    pub pod_template_paths: BTreeMap<String, Vec<String>>,
    /// It was written for Karpenter v0.6: there is a Provisioner.
    pub has_provisioner: bool,
    /// What was written, but for `end`, `objects` and `events`: what overlays and patches change.
    written: Map<String, Value>,
}

/// An object of a header, and where it was written.
#[derive(Debug, Clone)]
pub struct HeaderObject {
    /// The object.
    pub value: Value,
    /// Its index in the `objects` of its file, from 0.
    pub index: usize,
    /// The overlay that it is in, as messages name it; `None`: the trace itself.
    pub file: Option<Arc<str>>,
}

/// `options` of a header.
#[derive(Debug, Clone, Default)]
pub struct TraceOptions {
    /// Karpenter's own settings.
    pub karpenter: Options,
    /// Delays that the trace sets.
    pub delays: DelaySettings,
    /// What delays that vary are drawn with.
    pub seed: Option<u64>,
    /// Resources that stand for shares of devices.
    pub device_shares: Vec<DeviceShare>,
    /// What every node has beside what the catalogue says.
    pub node_resources: ResourceList,
}

/// A resource that stands for shares of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceShare {
    /// The resource.
    pub resource: Str,
    /// The device.
    pub device: Str,
    /// How much of the resource one device is.
    pub per_device: i64,
}

const KNOWN: [&str; 12] = [
    "apiVersion",
    "kind",
    "name",
    "start",
    "end",
    "source",
    "options",
    "catalogue",
    "objects",
    "podTemplatePaths",
    "replicasFrom",
    "events",
];

/// What else the value is that someone may take for a trace.
fn no_trace(value: &Value) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
    match value.get("kind").and_then(Value::as_str) {
        Some("provisioning" | "disruption") => Some("a scenario"),
        None if has(&["now", "cluster", "scenario", "decision"]) => Some("a scenario"),
        Some("Trace") => None,
        _ => has(&["items", "metadata"]).then_some("Kubernetes objects"),
    }
}

impl Header {
    /// Reads a header. `end` is given apart: a time is read from its text.
    pub(crate) fn read(value: Value, end: Option<&str>) -> Result<Header, Error> {
        let mut written = value.as_object().cloned().unwrap_or_default();
        written.remove("end");
        written.remove("objects");
        if let Some(found) = no_trace(&value) {
            let error = Error::new("", format!("expected a trace (`kind: Trace`), found {found}"));
            return Err(error.hint(Some("use `karpsim decide`".to_owned())));
        }
        let mut fields = Fields::new(value)?.known(&KNOWN)?;
        for (name, wanted) in [("apiVersion", "karpsim.dev/v1alpha1"), ("kind", "Trace")] {
            let found: String = fields.required(name)?;
            if found != wanted {
                return Err(Error::new(name, format!("invalid value `{found}`: expected `{wanted}`")));
            }
        }
        let start = match fields.optional::<String>("start")? {
            Some(text) => text.parse().map_err(|_| {
                Error::new(
                    "start",
                    format!("invalid value `{text}`: expected a time such as `2026-01-01T00:00:00Z`"),
                )
            })?,
            None => Timestamp::from_second(946_684_800).unwrap_or_default(),
        };
        let objects = match fields.value("objects") {
            None => Vec::new(),
            Some(Value::Array(objects)) => objects,
            Some(other) => {
                return Err(Error::new("objects", format!("expected a list, found {}", kind(&other))));
            }
        };
        for (index, object) in objects.iter().enumerate() {
            for field in ["apiVersion", "kind"] {
                if !object.get(field).is_some_and(Value::is_string) {
                    return Err(Error::new(
                        format!("objects[{index}].{field}"),
                        "missing: expected a Kubernetes object",
                    ));
                }
            }
        }
        let has_provisioner = objects.iter().any(|object| object["kind"] == "Provisioner");
        let options = match fields.value("options") {
            Some(options) => TraceOptions::read(options).map_err(|error| error.below("options"))?,
            None => TraceOptions::default(),
        };
        let catalogue: CatalogueReference = fields.or_default("catalogue")?;
        if let Some(field) = catalogue.leftover.iter().find(|field| !field.unmodelled) {
            return Err(unknown(&field.name, CatalogueReference::NAMES).below("catalogue"));
        }
        Ok(Header {
            name: fields.or_default("name")?,
            start,
            end: end.map(seconds::parse).transpose().map_err(|message| Error::new("end", message))?,
            source: fields.or_default("source")?,
            options,
            catalogue,
            objects: objects
                .into_iter()
                .enumerate()
                .map(|(index, value)| HeaderObject { value, index, file: None })
                .collect(),
            pod_template_paths: fields.or_default("podTemplatePaths")?,
            has_provisioner,
            written,
        })
    }
}

impl Header {
    /// This header with `change` made to the fields that were written (all but `end`, `objects` and `events`).
    ///
    /// # Errors
    ///
    /// If what comes out is no header.
    pub fn changed(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<Header, Error> {
        let mut fields = self.written.clone();
        change(&mut fields);
        Ok(Header {
            end: self.end,
            objects: self.objects.clone(),
            has_provisioner: self.has_provisioner,
            ..Header::read(Value::Object(fields), None)?
        })
    }

    /// Whether `field` was written.
    pub fn has(&self, field: &str) -> bool {
        self.written.contains_key(field)
    }

    /// This header under an overlay's: its fields replace what is here where they are written, `options` key by key; its
    /// objects come after these.
    ///
    /// # Errors
    ///
    /// If what comes out is no header.
    pub fn under(&self, overlay: &Header) -> Result<Header, Error> {
        let mut header = self.changed(|fields| {
            for (name, value) in &overlay.written {
                let Some(own) = fields.get_mut(name) else {
                    fields.insert(name.clone(), value.clone());
                    continue;
                };
                match name.as_str() {
                    "options" | "podTemplatePaths" => lay_over(own, value),
                    "name" if !self.name.is_empty() => {
                        *own = format!("{} + {}", self.name, overlay.name).into();
                    }
                    _ => *own = value.clone(),
                }
            }
        })?;
        header.end = overlay.end.or(self.end);
        header.objects.extend(overlay.objects.iter().cloned());
        header.has_provisioner |= overlay.has_provisioner;
        Ok(header)
    }
}

/// Fields of `over` replace those of `under`; of objects, field by field.
fn lay_over(under: &mut Value, over: &Value) {
    match (under.as_object_mut(), over.as_object()) {
        (Some(fields), Some(more)) => {
            for (name, value) in more {
                match fields.get_mut(name) {
                    Some(own) => lay_over(own, value),
                    None => drop(fields.insert(name.clone(), value.clone())),
                }
            }
        }
        _ => *under = over.clone(),
    }
}

impl TraceOptions {
    /// Reads `options`.
    pub(crate) fn read(value: Value) -> Result<TraceOptions, Error> {
        const OWN: [&str; 4] = ["delays", "seed", "deviceShares", "nodeResources"];
        let mut fields = Fields::new(value)?;
        let delays = match fields.value("delays") {
            Some(delays) => DelaySettings::read(delays).map_err(|error| error.below("delays"))?,
            None => DelaySettings::default(),
        };
        let mut device_shares = Vec::new();
        for share in fields.or_default::<Vec<Value>>("deviceShares")? {
            let mut fields = Fields::new(share)
                .and_then(|fields| fields.known(&["resource", "device", "perDevice"]))
                .map_err(|error| error.below("deviceShares"))?;
            let share = DeviceShare {
                resource: fields.required("resource")?,
                device: fields.required("device")?,
                per_device: fields.required("perDevice")?,
            };
            if share.per_device <= 0 {
                return Err(Error::new("deviceShares.perDevice", "expected a number above 0"));
            }
            device_shares.push(share);
        }
        let seed = match fields.value("seed") {
            None => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| {
                Error::new(
                    "seed",
                    format!("invalid value `{value}`: expected a whole number from 0 to {}", u64::MAX),
                )
            })?),
        };
        let node_resources = fields.or_default("nodeResources")?;
        let karpenter: Options = fields.rest()?;
        if let Some(field) = karpenter.leftover.iter().find(|field| !field.unmodelled) {
            let known: Vec<&'static str> = Options::NAMES.iter().copied().chain(OWN).collect();
            return Err(unknown(&field.name, &known));
        }
        if let Some(field) = karpenter.feature_gates.leftover.iter().find(|field| !field.unmodelled) {
            return Err(unknown(&field.name, karpsim::scenario::FeatureGates::NAMES).below("featureGates"));
        }
        Ok(TraceOptions { karpenter, delays, seed, device_shares, node_resources })
    }
}
