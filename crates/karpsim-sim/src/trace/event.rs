//! Events of a trace.

use super::fields::{Fields, Times, kind};
use super::number::number;
use super::seconds;
use crate::error::Error;
use karpsim::catalogue::{InstanceType, Offering};
use karpsim::model::core::ResourceList;
use karpsim::model::meta::{Labels, Operator, Str};
use karpsim::problem::near_miss;
use karpsim_controller::{Interruption, Nanos, OfferingKey};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceEvent {
    /// When.
    pub at: Nanos,
    /// What.
    pub kind: EventKind,
    /// The line it stands on, from 1; 0: in a document.
    pub line: usize,
    /// Its place among the events, from 0.
    pub index: usize,
    /// The overlay that it is from, as messages name it; `None`: the trace itself.
    pub file: Option<Arc<str>>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// Objects are made or replaced.
    Apply {
        /// The objects.
        objects: Vec<Value>,
        /// How long the n-th pod of the object runs; `None`: for ever.
        durations: Option<Vec<Option<Nanos>>>,
    },
    /// Objects are deleted, with what depends on them.
    Delete(Vec<ObjectReference>),
    /// The scale of a workload.
    Scale {
        /// The workload.
        target: ObjectReference,
        /// Its new count.
        replicas: i64,
    },
    /// Like pods.
    Pods(Box<Batch>),
    /// Nodes that Karpenter does not own.
    Nodes(Box<NodeGroup>),
    /// The cloud takes nodes back.
    Interrupt(Box<Interrupt>),
    /// Offerings cannot be had.
    Unavailable {
        /// Which.
        offerings: Offerings,
        /// For how long; `None`: until `available`.
        duration: Option<Nanos>,
    },
    /// Offerings can be had again.
    Available(Offerings),
    /// How many nodes there can be.
    Capacity {
        /// Of which offerings, all together.
        offerings: Offerings,
        /// `None`: no limit.
        limit: Option<u64>,
        /// Warning for those that are too many.
        notice: Nanos,
    },
    /// What offerings cost.
    Price {
        /// Which.
        offerings: Offerings,
        /// The new price.
        price: NewPrice,
    },
    /// A sample for a HorizontalPodAutoscaler.
    Metric(Value),
    /// A remark.
    Mark(String),
}

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReference {
    /// Group and version; empty: any.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; `default` where the kind has one and none is given.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Like pods in a few bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Name of a PodTemplate.
    pub template: String,
    /// Of the pods.
    pub namespace: Option<String>,
    /// Of the pod, when it is one.
    pub name: Option<String>,
    /// Begin of the names.
    pub name_prefix: Option<String>,
    /// How many.
    pub count: usize,
    /// How long each runs.
    pub duration: Option<Times>,
    /// When each is deleted, after it was made.
    pub lifetime: Option<Times>,
    /// Laid over the requests of the first container.
    pub requests: ResourceList,
    /// Laid over the labels.
    pub labels: Labels,
    /// Pods of one name begin to count their duration together.
    pub gang: Option<String>,
    /// What an eviction does.
    pub on_eviction: OnEviction,
}

/// What an eviction does to a pod of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnEviction {
    /// A new pod with the whole duration.
    #[default]
    Restart,
    /// A new pod with what is left.
    Resume,
    /// Nothing.
    Gone,
}

/// Nodes that Karpenter does not own.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeGroup {
    /// Instance type.
    pub instance_type: Str,
    /// How many.
    pub count: usize,
    /// Zones, in turn.
    pub zones: Vec<Str>,
    /// `on-demand` by default.
    pub capacity_type: Str,
    /// Labels beside those of the type.
    pub labels: Labels,
    /// Taints.
    pub taints: Vec<karpsim::model::core::Taint>,
    /// Begin of the names.
    pub name_prefix: String,
}

/// The cloud takes nodes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Interrupt {
    /// These; else those of `offerings`.
    pub nodes: Option<Vec<Str>>,
    /// Of which.
    pub offerings: Offerings,
    /// How many.
    pub count: Option<usize>,
    /// Which share, rounded up.
    pub fraction: Option<f64>,
    /// Which of them.
    pub pick: Pick,
    /// Warning.
    pub notice: Nanos,
    /// Why.
    pub reason: Interruption,
}

/// Which nodes go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pick {
    /// The smallest name.
    #[default]
    Name,
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// A price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NewPrice {
    /// Dollars an hour.
    Dollars(f64),
    /// Times the catalogue's.
    Factor(f64),
}

/// Selects offerings. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offerings {
    /// Instance types.
    pub instance_types: Option<Vec<Str>>,
    /// Zones.
    pub zones: Option<Vec<Str>>,
    /// Capacity types.
    pub capacity_types: Option<Vec<Str>>,
    /// On the labels of type and offering.
    pub requirements: Vec<karpsim::model::core::NodeSelectorRequirement>,
}

const OFFERINGS: [&str; 4] = ["instanceTypes", "zones", "capacityTypes", "requirements"];

impl Offerings {
    fn read(fields: &mut Fields) -> Result<Self, Error> {
        Ok(Offerings {
            instance_types: fields.optional("instanceTypes")?,
            zones: fields.optional("zones")?,
            capacity_types: fields.optional("capacityTypes")?,
            requirements: fields.or_default("requirements")?,
        })
    }

    /// Whether `offering` of `instance_type` is one of these.
    pub fn select(&self, instance_type: &InstanceType, offering: &Offering) -> bool {
        let key = OfferingKey::of(instance_type, offering);
        let listed =
            |list: &Option<Vec<Str>>, name: &Str| list.as_ref().is_none_or(|names| names.contains(name));
        listed(&self.instance_types, &key.instance_type)
            && listed(&self.zones, &key.zone)
            && listed(&self.capacity_types, &key.capacity_type)
            && self.requirements.iter().all(|wanted| {
                let has = instance_type.requirements.iter().chain(&offering.requirements);
                // The offering's own labels count before the type's, which lists what all offerings have.
                let values: Option<&Vec<Str>> = has
                    .filter(|it| it.key == wanted.key && it.operator == Some(Operator::In))
                    .map(|it| &it.values)
                    .next_back();
                holds(wanted.operator, &wanted.values, values.map(Vec::as_slice).unwrap_or_default())
            })
    }
}

/// Whether one of a label's possible `values` satisfies a requirement.
fn holds(operator: Option<Operator>, wanted: &[Str], values: &[Str]) -> bool {
    let number = |text: &Str| text.parse::<i64>().ok();
    let bound = wanted.first().and_then(number);
    let compare = |test: fn(i64, i64) -> bool| {
        values.iter().any(|value| number(value).zip(bound).is_some_and(|(value, bound)| test(value, bound)))
    };
    match operator {
        None => true,
        Some(Operator::In) => values.iter().any(|value| wanted.contains(value)),
        Some(Operator::NotIn) => values.is_empty() || values.iter().any(|value| !wanted.contains(value)),
        Some(Operator::Exists) => !values.is_empty(),
        Some(Operator::DoesNotExist) => values.is_empty(),
        Some(Operator::Gt) => compare(|value, bound| value > bound),
        Some(Operator::Lt) => compare(|value, bound| value < bound),
        Some(Operator::Gte) => compare(|value, bound| value >= bound),
        Some(Operator::Lte) => compare(|value, bound| value <= bound),
    }
}

const KINDS: [&str; 12] = [
    "apply",
    "delete",
    "scale",
    "pods",
    "nodes",
    "interrupt",
    "unavailable",
    "available",
    "capacity",
    "price",
    "metric",
    "mark",
];

/// The fields of an event, with the text of each: a time is read from its text.
struct Texts(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an event: an object with `at` and one key for what happens")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::with_capacity(2);
                while let Some(entry) = map.next_entry()? {
                    texts.push(entry);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(TextsVisitor)
    }
}

/// Reads an event from its text.
pub(crate) fn read(text: &str) -> Result<(Nanos, EventKind), Error> {
    let Texts(mut texts) =
        serde_json::from_str(text).map_err(|error| Error::new("", without_place(&error)))?;
    let mut take = |name: &str| {
        let place = texts.iter().position(|(key, _)| key == name)?;
        Some(texts.swap_remove(place).1)
    };
    let at = take("at").ok_or_else(|| Error::new("", "missing field `at`"))?;
    let at = seconds::parse(at.get()).map_err(|message| Error::new("at", message))?;
    let durations = take("durations");
    let mut what = texts.into_iter();
    let Some((name, value)) = what.next() else {
        return Err(Error::new("", format!("missing event: expected one of {}", KINDS.join(", "))));
    };
    if let Some(name) = [&name]
        .into_iter()
        .chain(what.as_slice().iter().map(|(name, _)| name))
        .find(|name| !KINDS.contains(&name.as_str()))
    {
        let mut known = vec!["at", "durations"];
        known.extend(KINDS);
        let hint = near_miss(name, known).map(|near| format!("did you mean `{near}`?"));
        return Err(Error::new(
            name.as_str(),
            format!("unknown field: an event has `at` and one of {}", KINDS.join(", ")),
        )
        .hint(hint));
    }
    if let Some((second, _)) = what.next() {
        return Err(Error::new("", format!("`{name}` and `{second}` are mutually exclusive")));
    }
    if durations.is_some() && name != "apply" {
        return Err(Error::new("durations", format!("not supported with `{name}`, only with `apply`")));
    }
    let value: Value = serde_json::from_str(value.get())
        .map_err(|error| Error::new(name.as_str(), without_place(&error)))?;
    let kind = match name.as_str() {
        "apply" => apply(value, durations.as_deref()),
        "delete" => list(value).into_iter().map(reference).collect::<Result<_, _>>().map(EventKind::Delete),
        "scale" => scale(value),
        "pods" => batch(value),
        "nodes" => nodes(value),
        "interrupt" => interrupt(value),
        "unavailable" => unavailable(value),
        "available" => offerings_only(value).map(EventKind::Available),
        "capacity" => capacity(value),
        "price" => price(value),
        "metric" => metric(value),
        _ => match value {
            Value::String(text) => Ok(EventKind::Mark(text)),
            other => Err(Error::new("", format!("expected a string, found {}", kind(&other)))),
        },
    };
    kind.map(|kind| (at, kind)).map_err(|error| error.below(&name))
}

/// What serde says, without its own line and column: those of the whole file are known better.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        one => vec![one],
    }
}

fn apply(value: Value, durations: Option<&RawValue>) -> Result<EventKind, Error> {
    let objects = list(value);
    for (index, object) in objects.iter().enumerate() {
        for field in ["apiVersion", "kind"] {
            if !object.get(field).is_some_and(Value::is_string) {
                return Err(Error::new(
                    format!("[{index}].{field}"),
                    "missing: expected a Kubernetes object",
                ));
            }
        }
    }
    let durations = match durations {
        None => None,
        Some(raw) => {
            let values: Vec<Value> = serde_json::from_str(raw.get())
                .map_err(|error| Error::new("durations", without_place(&error)))?;
            let mut times = Vec::with_capacity(values.len());
            for value in &values {
                times.push(match value {
                    Value::Null => None,
                    value => Some(
                        super::fields::in_seconds(value)
                            .map_err(|message| Error::new("durations", message))?,
                    ),
                });
            }
            Some(times)
        }
    };
    Ok(EventKind::Apply { objects, durations })
}

fn reference(value: Value) -> Result<ObjectReference, Error> {
    let mut fields = Fields::new(value)?.known(&["apiVersion", "kind", "namespace", "name"])?;
    let kind: String = fields.required("kind")?;
    let namespace = if karpsim::input::defaults::is_namespaced(&kind) {
        fields.optional("namespace")?.unwrap_or_else(|| "default".to_owned())
    } else {
        fields.value("namespace");
        String::new()
    };
    Ok(ObjectReference {
        api_version: fields.or_default("apiVersion")?,
        namespace,
        name: fields.required("name")?,
        kind,
    })
}

/// How many.
fn count(fields: &mut Fields) -> Result<Option<usize>, Error> {
    let Some(value) = fields.value("count") else { return Ok(None) };
    number("count", &value).map(|count| Some(usize::try_from(count).unwrap_or(usize::MAX)))
}

fn scale(value: Value) -> Result<EventKind, Error> {
    let mut fields = Fields::new(value)?.known(&["apiVersion", "kind", "namespace", "name", "replicas"])?;
    let replicas = number("replicas", &fields.required("replicas")?)?;
    let kind: String = fields.required("kind")?;
    if !["Deployment", "ReplicaSet", "StatefulSet", "NodePool"].contains(&kind.as_str()) {
        return Err(Error::new("kind", format!("`{kind}` cannot be scaled")));
    }
    let namespace = fields.optional("namespace")?.unwrap_or_else(|| "default".to_owned());
    let namespace = if kind == "NodePool" { String::new() } else { namespace };
    let target = ObjectReference {
        api_version: fields.or_default("apiVersion")?,
        kind,
        namespace,
        name: fields.required("name")?,
    };
    Ok(EventKind::Scale { target, replicas })
}

fn batch(value: Value) -> Result<EventKind, Error> {
    let mut fields = Fields::new(value)?.known(&[
        "template",
        "namespace",
        "name",
        "namePrefix",
        "count",
        "duration",
        "lifetime",
        "requests",
        "labels",
        "gang",
        "onEviction",
        "recorded",
    ])?;
    let duration = fields.seconds_list("duration")?;
    let lifetime = fields.seconds_list("lifetime")?;
    let listed = |times: &Option<Times>| match times {
        Some(Times::Each(times)) => Some(times.len()),
        _ => None,
    };
    let length = listed(&duration).or(listed(&lifetime));
    let count = count(&mut fields)?.or(length).unwrap_or(1);
    for (name, times) in [("duration", &duration), ("lifetime", &lifetime)] {
        if listed(times).is_some_and(|length| length != count) {
            return Err(Error::new(
                name,
                format!("a list that is not as long as the batch, which has {count} pods"),
            ));
        }
    }
    let name: Option<String> = fields.optional("name")?;
    if name.is_some() && count != 1 {
        return Err(Error::new(
            "name",
            format!("`name` requires `count: 1`, found {count}; use `namePrefix`"),
        ));
    }
    let on_eviction = match fields.optional::<String>("onEviction")?.as_deref() {
        None | Some("restart") => OnEviction::Restart,
        Some("resume") => OnEviction::Resume,
        Some("gone") => OnEviction::Gone,
        Some(other) => return Err(word("onEviction", other, &["restart", "resume", "gone"])),
    };
    let requests: ResourceList = fields.or_default("requests")?;
    if let Some((name, _)) = requests.iter().find(|(_, quantity)| quantity.is_negative()) {
        return Err(Error::new(format!("requests.{name}"), "must not be negative"));
    }
    Ok(EventKind::Pods(Box::new(Batch {
        template: fields.required("template")?,
        namespace: fields.optional("namespace")?,
        name,
        name_prefix: fields.optional("namePrefix")?,
        count,
        duration,
        lifetime,
        requests,
        labels: fields.or_default("labels")?,
        gang: fields.optional("gang")?,
        on_eviction,
    })))
}

fn word(path: &str, found: &str, allowed: &[&'static str]) -> Error {
    let hint = near_miss(found, allowed.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    Error::new(path, format!("invalid value `{found}`: expected one of {}", allowed.join(", "))).hint(hint)
}

fn nodes(value: Value) -> Result<EventKind, Error> {
    let mut fields = Fields::new(value)?.known(&[
        "instanceType",
        "count",
        "zones",
        "capacityType",
        "labels",
        "taints",
        "namePrefix",
    ])?;
    let instance_type: Str = fields.required("instanceType")?;
    Ok(EventKind::Nodes(Box::new(NodeGroup {
        count: count(&mut fields)?.unwrap_or(1),
        zones: fields.or_default("zones")?,
        capacity_type: fields.optional("capacityType")?.unwrap_or_else(|| "on-demand".into()),
        labels: fields.or_default("labels")?,
        taints: fields.or_default("taints")?,
        name_prefix: fields.optional("namePrefix")?.unwrap_or_else(|| instance_type.to_string()),
        instance_type,
    })))
}

fn with_offerings(extra: &[&'static str]) -> Vec<&'static str> {
    OFFERINGS.iter().copied().chain(extra.iter().copied()).collect()
}

fn interrupt(value: Value) -> Result<EventKind, Error> {
    let known = with_offerings(&["nodes", "count", "fraction", "pick", "notice", "reason"]);
    let mut fields = Fields::new(value)?.known(&known)?;
    let reason = match fields.optional::<String>("reason")?.as_deref() {
        None | Some("spot") => Interruption::Spot,
        Some("rebalance") => Interruption::Rebalance,
        Some("maintenance") => Interruption::Maintenance,
        Some("stopped") => Interruption::Stopped,
        Some(other) => return Err(word("reason", other, &["spot", "rebalance", "maintenance", "stopped"])),
    };
    let pick = match fields.optional::<String>("pick")?.as_deref() {
        None | Some("name") => Pick::Name,
        Some("oldest") => Pick::Oldest,
        Some("newest") => Pick::Newest,
        Some(other) => return Err(word("pick", other, &["name", "oldest", "newest"])),
    };
    let notice = fields.seconds("notice")?.unwrap_or(120_000_000_000);
    let interrupt = Interrupt {
        nodes: fields.optional("nodes")?,
        offerings: Offerings::read(&mut fields)?,
        count: count(&mut fields)?,
        fraction: fields.optional("fraction")?,
        pick,
        notice: if reason == Interruption::Stopped { 0 } else { notice },
        reason,
    };
    if interrupt.nodes.is_some() && (interrupt.offerings != Offerings::default() || interrupt.count.is_some())
    {
        return Err(Error::new("nodes", "mutually exclusive with offerings"));
    }
    if interrupt.count.is_some() && interrupt.fraction.is_some() {
        return Err(Error::new("fraction", "mutually exclusive with `count`"));
    }
    if interrupt.fraction.is_some_and(|fraction| !(0.0..=1.0).contains(&fraction)) {
        return Err(Error::new("fraction", "expected a number from 0 to 1"));
    }
    Ok(EventKind::Interrupt(Box::new(interrupt)))
}

fn unavailable(value: Value) -> Result<EventKind, Error> {
    let mut fields = Fields::new(value)?.known(&with_offerings(&["for"]))?;
    Ok(EventKind::Unavailable { offerings: Offerings::read(&mut fields)?, duration: fields.seconds("for")? })
}

fn offerings_only(value: Value) -> Result<Offerings, Error> {
    Offerings::read(&mut Fields::new(value)?.known(&OFFERINGS)?)
}

fn capacity(value: Value) -> Result<EventKind, Error> {
    if value.get("limit").is_none() {
        return Err(Error::new("limit", "missing: expected a number, or null for no limit"));
    }
    let mut fields = Fields::new(value)?.known(&with_offerings(&["limit", "notice"]))?;
    Ok(EventKind::Capacity {
        offerings: Offerings::read(&mut fields)?,
        limit: fields.optional("limit")?,
        notice: fields.seconds("notice")?.unwrap_or(120_000_000_000),
    })
}

fn price(value: Value) -> Result<EventKind, Error> {
    let mut fields = Fields::new(value)?.known(&with_offerings(&["price", "factor"]))?;
    let price = match (fields.optional::<f64>("price")?, fields.optional::<f64>("factor")?) {
        (Some(price), None) => NewPrice::Dollars(price),
        (None, Some(factor)) => NewPrice::Factor(factor),
        _ => return Err(Error::new("", "expected exactly one of `price` and `factor`")),
    };
    let (NewPrice::Dollars(number) | NewPrice::Factor(number)) = price;
    if number.is_nan() || number < 0.0 {
        return Err(Error::new("", format!("invalid value `{number}`: expected a number of 0 or more")));
    }
    Ok(EventKind::Price { offerings: Offerings::read(&mut fields)?, price })
}

fn metric(value: Value) -> Result<EventKind, Error> {
    let mut fields =
        Fields::new(value.clone())?.known(&["namespace", "name", "labels", "object", "value"])?;
    fields.required::<String>("name")?;
    fields.required::<f64>("value")?;
    Ok(EventKind::Metric(value))
}
