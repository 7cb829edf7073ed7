//! Instance catalogues: types, what they have, what they cost.
//!
//! [`read`] and [`write()`] are the form; [`overlay`] changes prices and resources; [`kwok`] is the form of Karpenter's own
//! KWOK provider; [`view`], [`expression`] and [`mod@diff`] are for people. What clouds print, and what node classes make of a
//! catalogue, is in [`provider`](crate::provider).

pub mod diff;
pub mod expression;
pub mod gpu_sharing;
pub mod kwok;
pub mod overlay;

pub(crate) mod read;
pub mod view;
mod write;

pub use diff::diff;
pub use overlay::CatalogueOverlay;
pub use read::{check, read};
pub use write::{amount, write};

use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Labels, Str};
use crate::model::wire::{leaf, wire};
use crate::quantity::Quantity;
use serde::de::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Dollars an hour, compared as IEEE doubles as Karpenter does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Price(pub f64);

impl PartialEq for Price {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Price {}
impl std::hash::Hash for Price {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Price)
    }
}
impl serde::Serialize for Price {
    /// Whole prices as integers, as the recordings print them.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}
leaf!(Price => r#"{"type": "number"}"#);

/// How many volumes can be attached, by CSI driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(transparent)]
pub struct AttachLimits(pub BTreeMap<Str, i64>);
leaf!(AttachLimits => r#"{"type": "object", "additionalProperties": {"type": "integer"}}"#);

wire! {
    /// What kubelet and system keep for themselves.
    pub struct Overhead {
        /// For the kubelet.
        kube_reserved: ResourceList = "kubeReserved",
        /// For the system.
        system_reserved: ResourceList = "systemReserved",
        /// Kept free.
        eviction_threshold: ResourceList = "evictionThreshold",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// An instance type in one zone with one capacity type at one price.
    pub struct Offering {
        /// Capacity type, zone and whatever else distinguishes it.
        requirements: Vec<NodeSelectorRequirement> = "requirements",
        /// Dollars an hour (the file's currency).
        price: Price = "price",
        /// Whether it can be had now.
        available: bool = "available",
        /// How many instances its reservation has left.
        reservation_capacity: i64 = "reservationCapacity",
        /// Capacity of this offering, beside the type's or in its place, as Karpenter's version has it.
        capacity_override: ResourceList = "capacityOverride",
        /// Overhead of this offering, in the same way.
        overhead_override: Option<Overhead> = "overheadOverride",
        /// Where the price is from; shown, never interpreted.
        price_source: Str = "priceSource",
        /// When the price was published.
        price_date: Str = "priceDate",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// An instance type.
    pub struct InstanceType {
        /// Name.
        name: Str = "name",
        /// Labels that its nodes have, or can have.
        requirements: Vec<NodeSelectorRequirement> = "requirements",
        /// All it has.
        capacity: ResourceList = "capacity",
        /// What is kept from it.
        overhead: Overhead = "overhead",
        /// Where it can be had, at which price.
        offerings: Vec<Offering> = "offerings",
        /// How many volumes of a CSI driver its nodes can attach.
        volume_attachment_limits: AttachLimits = "volumeAttachmentLimits",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// The instance types of a provider in a region. Their order matters.
    pub struct Catalogue {
        /// `aws`, `gcp`, `azure`, `kwok`, `fake`.
        provider: Str = "provider",
        /// Region.
        region: Str = "region",
        /// Labels that the provider knows beside Karpenter's own.
        well_known_labels: Vec<Str> = "wellKnownLabels",
        /// Label domains that users may not use.
        restricted_label_domains: Vec<Str> = "restrictedLabelDomains",
        /// Other names of labels.
        normalized_labels: Labels = "normalizedLabels",
        /// The label that holds the reservation of an offering.
        reservation_id_label: Str = "reservationIDLabel",
        /// Types. Catalogues that scenarios take a part of share them.
        instance_types: Vec<Arc<InstanceType>> = "instanceTypes",
        /// Currency of the prices; absent: `USD`.
        currency: Option<Str> = "currency",
        /// Where it is from; shown, never interpreted.
        source: Str = "source",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// Which instance types a scenario or a trace has.
    pub struct CatalogueReference {
        /// A catalogue file, beside the file that names it.
        file: Str = "file",
        /// A catalogue that karpsim carries, as `aws/us-west-2`.
        name: Str = "name",
        /// Only these types.
        include: Option<Vec<Str>> = "include",
        /// Types that replace those of the file, or come after them.
        instance_types: Vec<Arc<InstanceType>> = "instanceTypes",
        /// As in a catalogue file.
        provider: Str = "provider",
        /// As in a catalogue file.
        region: Str = "region",
        /// As in a catalogue file.
        well_known_labels: Vec<Str> = "wellKnownLabels",
        /// As in a catalogue file.
        restricted_label_domains: Vec<Str> = "restrictedLabelDomains",
        /// As in a catalogue file.
        normalized_labels: Labels = "normalizedLabels",
        /// As in a catalogue file.
        reservation_id_label: Str = "reservationIDLabel",
    }
    passed { "apiVersion", "kind", "source", "currency" }
    unmodelled { }
}

impl CatalogueReference {
    /// The catalogue that this stands for, given the one that `file` or `name` leads to. `include` selects but does
    /// not order; a type of its own replaces the file's type of that name in place, or comes after all.
    pub fn resolve(&self, base: Option<&Catalogue>) -> Catalogue {
        let mut catalogue = match base {
            Some(base) => {
                let included: Option<rustc_hash::FxHashSet<&str>> =
                    self.include.as_ref().map(|names| names.iter().map(Str::as_str).collect());
                Catalogue {
                    instance_types: base
                        .instance_types
                        .iter()
                        .filter(|it| included.as_ref().is_none_or(|names| names.contains(it.name.as_str())))
                        .cloned()
                        .collect(),
                    provider: base.provider.clone(),
                    region: base.region.clone(),
                    well_known_labels: base.well_known_labels.clone(),
                    restricted_label_domains: base.restricted_label_domains.clone(),
                    normalized_labels: base.normalized_labels.clone(),
                    reservation_id_label: base.reservation_id_label.clone(),
                    currency: base.currency.clone(),
                    source: base.source.clone(),
                    leftover: base.leftover.clone(),
                }
            }
            None => Catalogue {
                provider: self.provider.clone(),
                region: self.region.clone(),
                well_known_labels: self.well_known_labels.clone(),
                restricted_label_domains: self.restricted_label_domains.clone(),
                normalized_labels: self.normalized_labels.clone(),
                reservation_id_label: self.reservation_id_label.clone(),
                ..Catalogue::default()
            },
        };
        for own in &self.instance_types {
            match catalogue.instance_types.iter_mut().find(|it| it.name == own.name) {
                Some(place) => *place = own.clone(),
                None => catalogue.instance_types.push(own.clone()),
            }
        }
        catalogue
    }
}

/// Capacity less all overhead, never below nothing.
pub fn allocatable(instance_type: &InstanceType) -> ResourceList {
    instance_type
        .capacity
        .iter()
        .map(|(name, amount)| {
            let overhead = &instance_type.overhead;
            let kept = [&overhead.kube_reserved, &overhead.system_reserved, &overhead.eviction_threshold]
                .into_iter()
                .filter_map(|list| list.get(name))
                .fold(Quantity::ZERO, |sum, quantity| sum + quantity);
            let left = amount - kept;
            (name, if left.is_negative() { Quantity::ZERO } else { left })
        })
        .collect()
}
