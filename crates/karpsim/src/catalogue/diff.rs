//! What differs between two catalogues, type by type.

use super::read::one;
use super::view::View;
use super::{Catalogue, InstanceType, Offering};
use crate::kubernetes::labels;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Operator, Str};
use crate::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// One difference of a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An offering's price; `None`: there is no such offering.
    Price {
        /// Capacity type.
        capacity_type: Str,
        /// Zone; empty: the cheapest of all, where the catalogues are of different regions.
        zone: Str,
        /// In the first catalogue.
        before: Option<f64>,
        /// In the second.
        after: Option<f64>,
    },
    /// Whether an offering can be had.
    Available {
        /// Capacity type.
        capacity_type: Str,
        /// Zone.
        zone: Str,
        /// In the second catalogue.
        after: bool,
    },
    /// An amount of a resource. `part` is `capacity` or a part of the overhead.
    Amount {
        /// `capacity`, `kubeReserved`, `systemReserved`, `evictionThreshold`.
        part: &'static str,
        /// Resource.
        resource: Str,
        /// In the first catalogue.
        before: Option<Quantity>,
        /// In the second.
        after: Option<Quantity>,
    },
    /// A label, as text; `None`: no word about it.
    Label {
        /// Label.
        key: Str,
        /// In the first catalogue.
        before: Option<String>,
        /// In the second.
        after: Option<String>,
    },
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Diff {
    /// Types that only the second has.
    pub added: Vec<Str>,
    /// Types that only the first has.
    pub removed: Vec<Str>,
    /// Types of both that differ, by name.
    pub changed: Vec<(Str, Vec<Change>)>,
}

impl Diff {
    /// Whether the two are equal in all that is compared.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What differs between `before` and `after`. Sources and dates of prices are not compared. Catalogues of different regions
/// have no zone in common: of these the cheapest price of each capacity type is compared, and labels of place are not.
pub fn diff(before: &Catalogue, after: &Catalogue) -> Diff {
    let by_name = |catalogue: &'_ Catalogue| -> BTreeMap<Str, usize> {
        catalogue.instance_types.iter().enumerate().map(|(index, it)| (it.name.clone(), index)).collect()
    };
    let (old, new) = (by_name(before), by_name(after));
    let mut result = Diff::default();
    for (name, &index) in &old {
        match new.get(name) {
            None => result.removed.push(name.clone()),
            Some(&other) => {
                if let (Some(a), Some(b)) =
                    (before.instance_types.get(index), after.instance_types.get(other))
                {
                    let changes = if before.region == after.region {
                        changes(a, b)
                    } else {
                        changes_between_regions(a, b)
                    };
                    if !changes.is_empty() {
                        result.changed.push((name.clone(), changes));
                    }
                }
            }
        }
    }
    result.added = new.keys().filter(|name| !old.contains_key(*name)).cloned().collect();
    result
}

fn changes(before: &InstanceType, after: &InstanceType) -> Vec<Change> {
    let mut found = Vec::new();
    let key = |offering: &Offering| -> (Str, Str, String) {
        let value = |key: &str| one(&offering.requirements, key).unwrap_or_default().into();
        // What else distinguishes offerings (a reservation) keeps them apart.
        let rest = offering
            .requirements
            .iter()
            .filter(|requirement| requirement.key != labels::CAPACITY_TYPE && requirement.key != labels::ZONE)
            .map(shown)
            .collect::<Vec<_>>()
            .join(";");
        (value(labels::CAPACITY_TYPE), value(labels::ZONE), rest)
    };
    let old: BTreeMap<_, &Offering> =
        before.offerings.iter().map(|offering| (key(offering), offering)).collect();
    let new: BTreeMap<_, &Offering> =
        after.offerings.iter().map(|offering| (key(offering), offering)).collect();
    for place in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (a, b) = (old.get(place), new.get(place));
        let (capacity_type, zone) = (place.0.clone(), place.1.clone());
        let price = |offering: Option<&&Offering>| offering.map(|offering| offering.price);
        if price(a) != price(b) {
            found.push(Change::Price {
                capacity_type: capacity_type.clone(),
                zone: zone.clone(),
                before: price(a).map(|price| price.0),
                after: price(b).map(|price| price.0),
            });
        }
        if let (Some(a), Some(b)) = (a, b)
            && a.available != b.available
        {
            found.push(Change::Available { capacity_type, zone, after: b.available });
        }
    }
    other_changes(before, after, |_| true, &mut found);
    found
}

fn changes_between_regions(before: &InstanceType, after: &InstanceType) -> Vec<Change> {
    let mut found = Vec::new();
    for capacity_type in [labels::ON_DEMAND, labels::RESERVED, labels::SPOT] {
        let cheapest = |instance_type| {
            View::new(instance_type).cheapest(Some(capacity_type)).map(|one| one.offering.price)
        };
        let (a, b) = (cheapest(before), cheapest(after));
        if a != b {
            found.push(Change::Price {
                capacity_type: capacity_type.into(),
                zone: Str::default(),
                before: a.map(|price| price.0),
                after: b.map(|price| price.0),
            });
        }
    }
    let of_a_place = [labels::ZONE, labels::REGION, "topology.k8s.aws/zone-id", "topology.k8s.gcp/zone-id"];
    other_changes(before, after, |key| !of_a_place.contains(&key), &mut found);
    found
}

/// Resources, and the labels that are asked for.
fn other_changes(
    before: &InstanceType,
    after: &InstanceType,
    compared: impl Fn(&str) -> bool,
    found: &mut Vec<Change>,
) {
    amounts("capacity", &before.capacity, &after.capacity, found);
    amounts("kubeReserved", &before.overhead.kube_reserved, &after.overhead.kube_reserved, found);
    amounts("systemReserved", &before.overhead.system_reserved, &after.overhead.system_reserved, found);
    amounts(
        "evictionThreshold",
        &before.overhead.eviction_threshold,
        &after.overhead.eviction_threshold,
        found,
    );
    let label = |requirements: &[NodeSelectorRequirement], key: &str| {
        requirements.iter().find(|requirement| requirement.key == key).map(shown)
    };
    let keys: BTreeSet<&Str> =
        before.requirements.iter().chain(&after.requirements).map(|requirement| &requirement.key).collect();
    for key in keys.into_iter().filter(|key| compared(key)) {
        let (a, b) = (label(&before.requirements, key), label(&after.requirements, key));
        if a != b {
            found.push(Change::Label { key: key.clone(), before: a, after: b });
        }
    }
}

fn amounts(part: &'static str, before: &ResourceList, after: &ResourceList, found: &mut Vec<Change>) {
    let names: BTreeSet<&str> = before.iter().chain(after.iter()).map(|(name, _)| name).collect();
    for name in names {
        let (a, b) = (before.get(name), after.get(name));
        if a != b {
            found.push(Change::Amount { part, resource: name.into(), before: a, after: b });
        }
    }
}

fn shown(requirement: &NodeSelectorRequirement) -> String {
    let mut values: Vec<&str> = requirement.values.iter().map(Str::as_str).collect();
    values.sort_unstable();
    match requirement.operator {
        Some(Operator::In) => values.join(","),
        Some(operator) if values.is_empty() => operator.as_str().to_owned(),
        operator => format!("{} {}", operator.map_or("", Operator::as_str), values.join(",")),
    }
}
