//! The header of a trace.

use super::fields::{Fields, kind, unknown};
use super::seconds;
use crate::delays::DelaySettings;
use crate::error::Error;
use jiff::Timestamp;
use karpsim::api::Options;
use karpsim::api::core::ResourceList;
use karpsim::api::meta::Str;
use karpsim::catalogue::CatalogueReference;
use karpsim_controller::Nanos;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
    pub objects: Vec<Value>,
    /// For kinds that karpsim does not know: where their pod templates are.
    pub pod_template_paths: BTreeMap<String, Vec<String>>,
    /// It was written for Karpenter v0.6: there is a Provisioner.
    pub has_provisioner: bool,
    /// The fields that were written.
    pub written: BTreeSet<String>,
}

/// `options` of a header.
#[derive(Debug, Clone, Default)]
pub struct TraceOptions {
    /// Karpenter's own settings.
    pub karpenter: Options,
    /// Delays that the trace sets.
    pub delays: DelaySettings,
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

impl Header {
    /// Reads a header. `end` is given apart: a time is read from its text.
    pub(crate) fn read(value: Value, end: Option<&str>) -> Result<Header, Error> {
        let mut fields = Fields::new(value)?.known(&KNOWN)?;
        let mut written: BTreeSet<String> = fields.names().map(str::to_owned).collect();
        written.extend(end.map(|_| "end".to_owned()));
        for (name, wanted) in [("apiVersion", "karpsim.dev/v1alpha1"), ("kind", "Trace")] {
            let found: String = fields.required(name)?;
            if found != wanted {
                return Err(Error::new(name, format!("found `{found}`, allowed is `{wanted}`")));
            }
        }
        let start = match fields.optional::<String>("start")? {
            Some(text) => text.parse().map_err(|_| {
                Error::new(
                    "start",
                    format!("found `{text}`, allowed is a time such as `2026-01-01T00:00:00Z`"),
                )
            })?,
            None => Timestamp::from_second(946_684_800).unwrap_or_default(),
        };
        let objects = match fields.value("objects") {
            None => Vec::new(),
            Some(Value::Array(objects)) => objects,
            Some(other) => {
                return Err(Error::new("objects", format!("found {}, allowed is a list", kind(&other))));
            }
        };
        for (index, object) in objects.iter().enumerate() {
            for field in ["apiVersion", "kind"] {
                if !object.get(field).is_some_and(Value::is_string) {
                    return Err(Error::new(
                        format!("objects[{index}].{field}"),
                        "is missing; allowed is a Kubernetes object",
                    ));
                }
            }
        }
        let has_provisioner = objects.iter().any(|object| object["kind"] == "Provisioner");
        let options = match fields.value("options") {
            Some(options) => TraceOptions::read(options).map_err(|error| error.below("options"))?,
            None => TraceOptions::default(),
        };
        Ok(Header {
            name: fields.or_default("name")?,
            start,
            end: end.map(seconds::parse).transpose().map_err(|message| Error::new("end", message))?,
            source: fields.or_default("source")?,
            options,
            catalogue: fields.or_default("catalogue")?,
            objects,
            pod_template_paths: fields.or_default("podTemplatePaths")?,
            has_provisioner,
            written,
        })
    }
}

impl Header {
    /// Lays an overlay's header over this one: its fields replace what is here where they are written, `options` key by
    /// key; its objects come after these.
    pub fn lay_over(&mut self, overlay: Header) {
        let has = |name: &str| overlay.written.contains(name);
        if has("name") {
            self.name = format!("{} + {}", self.name, overlay.name);
        }
        if has("start") {
            self.start = overlay.start;
        }
        if has("end") {
            self.end = overlay.end;
        }
        if has("source") {
            self.source = overlay.source;
        }
        if has("catalogue") {
            self.catalogue = overlay.catalogue;
        }
        let (mine, theirs) = (&mut self.options, overlay.options);
        mine.karpenter.preference_policy =
            theirs.karpenter.preference_policy.or(mine.karpenter.preference_policy);
        mine.karpenter.min_values_policy =
            theirs.karpenter.min_values_policy.or(mine.karpenter.min_values_policy);
        if theirs.karpenter.feature_gates != Default::default() {
            mine.karpenter.feature_gates = theirs.karpenter.feature_gates;
        }
        mine.delays = theirs.delays.or(mine.delays);
        if !theirs.device_shares.is_empty() {
            mine.device_shares = theirs.device_shares;
        }
        if !theirs.node_resources.is_empty() {
            mine.node_resources = theirs.node_resources;
        }
        self.has_provisioner |= overlay.has_provisioner;
        self.objects.extend(overlay.objects);
        self.pod_template_paths.extend(overlay.pod_template_paths);
        self.written.extend(overlay.written);
    }
}

impl TraceOptions {
    /// Reads `options`.
    pub(crate) fn read(value: Value) -> Result<TraceOptions, Error> {
        const OWN: [&str; 3] = ["delays", "deviceShares", "nodeResources"];
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
                return Err(Error::new("deviceShares.perDevice", "allowed is a number above 0"));
            }
            device_shares.push(share);
        }
        let node_resources = fields.or_default("nodeResources")?;
        let karpenter: Options = fields.rest()?;
        if let Some(field) = karpenter.leftover.iter().find(|field| !field.unmodelled) {
            let known: Vec<&'static str> = Options::NAMES.iter().copied().chain(OWN).collect();
            return Err(unknown(&field.name, &known));
        }
        if let Some(field) = karpenter.feature_gates.leftover.iter().find(|field| !field.unmodelled) {
            return Err(
                unknown(&field.name, karpsim::api::scenario::FeatureGates::NAMES).below("featureGates")
            );
        }
        Ok(TraceOptions { karpenter, delays, device_shares, node_resources })
    }
}
