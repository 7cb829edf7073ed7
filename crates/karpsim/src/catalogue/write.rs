//! Writing a catalogue in the form in which [`super::read`] takes it.

use super::{Catalogue, InstanceType, Offering, Overhead};
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::Operator;
use crate::quantity::Quantity;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// An amount as people write it: memory and storage in Gi or Mi where that is exact, in G where only that is.
pub fn amount(resource: &str, quantity: Quantity) -> String {
    let nanos_per_unit = 1_000_000_000_i128;
    let binary =
        resource == "memory" || resource == "ephemeral-storage" || resource.starts_with("hugepages-");
    if binary && !quantity.is_zero() && quantity.nanos() % nanos_per_unit == 0 {
        let units = quantity.nanos() / nanos_per_unit;
        for (size, suffix) in [(1 << 30, "Gi"), (1 << 20, "Mi"), (1_000_000_000, "G")] {
            if units % size == 0 {
                return format!("{}{suffix}", units / size);
            }
        }
    }
    quantity.to_string()
}

struct Amounts<'a>(&'a ResourceList);

impl Serialize for Amounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, quantity)| (name, amount(name, quantity))))
    }
}

struct Requirement<'a>(&'a NodeSelectorRequirement);

impl Serialize for Requirement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &self.0.key)?;
        map.serialize_entry("operator", self.0.operator.map_or("", Operator::as_str))?;
        if !self.0.values.is_empty() {
            map.serialize_entry("values", &self.0.values)?;
        }
        map.end()
    }
}

/// Requirements, to be written.
pub(super) struct Requirements<'a>(pub(super) &'a [NodeSelectorRequirement]);

impl Serialize for Requirements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Requirement))
    }
}

impl Serialize for Overhead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kubeReserved", &Amounts(&self.kube_reserved))?;
        map.serialize_entry("systemReserved", &Amounts(&self.system_reserved))?;
        map.serialize_entry("evictionThreshold", &Amounts(&self.eviction_threshold))?;
        map.end()
    }
}

impl Serialize for Offering {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("requirements", &Requirements(&self.requirements))?;
        map.serialize_entry("price", &self.price)?;
        map.serialize_entry("available", &self.available)?;
        map.serialize_entry("reservationCapacity", &self.reservation_capacity)?;
        if !self.capacity_override.is_empty() {
            map.serialize_entry("capacityOverride", &Amounts(&self.capacity_override))?;
        }
        if let Some(overhead) = &self.overhead_override {
            map.serialize_entry("overheadOverride", overhead)?;
        }
        if !self.price_source.is_empty() {
            map.serialize_entry("priceSource", &self.price_source)?;
        }
        if !self.price_date.is_empty() {
            map.serialize_entry("priceDate", &self.price_date)?;
        }
        map.end()
    }
}

impl Serialize for InstanceType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("requirements", &Requirements(&self.requirements))?;
        map.serialize_entry("capacity", &Amounts(&self.capacity))?;
        map.serialize_entry("overhead", &self.overhead)?;
        map.serialize_entry("offerings", &self.offerings)?;
        if !self.volume_attachment_limits.0.is_empty() {
            map.serialize_entry("volumeAttachmentLimits", &self.volume_attachment_limits.0)?;
        }
        map.end()
    }
}

/// All but the types.
fn head(catalogue: &Catalogue) -> serde_json::Map<String, serde_json::Value> {
    let mut head = serde_json::Map::new();
    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            head.insert(key.to_owned(), value.into());
        }
    };
    text("apiVersion", super::overlay::API_VERSION);
    text("kind", "Catalogue");
    text("provider", &catalogue.provider);
    text("region", &catalogue.region);
    text("currency", catalogue.currency.as_deref().unwrap_or_default());
    text("source", &catalogue.source);
    text("reservationIDLabel", &catalogue.reservation_id_label);
    let list = |values: &[crate::model::meta::Str]| {
        values.iter().map(std::string::ToString::to_string).collect::<Vec<_>>()
    };
    head.insert("wellKnownLabels".into(), list(&catalogue.well_known_labels).into());
    head.insert("restrictedLabelDomains".into(), list(&catalogue.restricted_label_domains).into());
    let normalized: serde_json::Map<_, _> =
        catalogue.normalized_labels.iter().map(|(from, to)| (from.to_owned(), to.into())).collect();
    head.insert("normalizedLabels".into(), normalized.into());
    head
}

impl Serialize for Catalogue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in head(self) {
            map.serialize_entry(&key, &value)?;
        }
        map.serialize_entry("instanceTypes", &self.instance_types)?;
        map.end()
    }
}

/// The file's text: one type a line, so that two versions can be compared line by line.
pub fn write(catalogue: &Catalogue) -> String {
    let mut text = serde_json::to_string(&head(catalogue)).unwrap_or_default();
    text.pop();
    text.push_str(",\n\"instanceTypes\":[\n");
    for (index, instance_type) in catalogue.instance_types.iter().enumerate() {
        if index > 0 {
            text.push_str(",\n");
        }
        text.push_str(&serde_json::to_string(instance_type).unwrap_or_default());
    }
    text.push_str("\n]}\n");
    text
}
