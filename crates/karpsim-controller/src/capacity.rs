//! What an instance is once it runs: its labels, what it has, and in which order offerings are tried.

use karpsim::catalogue::{Catalogue, InstanceType, Offering, Price};
use karpsim::decision::{DecidedRequirement, Launch, NewNodeClaim};
use karpsim::model::core::{NodeSelectorRequirement, ResourceList};
use karpsim::model::meta::{Labels, Operator, Str};
use karpsim::quantity::Quantity;
use serde::{Deserialize, Serialize};
use std::collections::BinaryHeap;

pub(crate) const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
pub(crate) const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

/// Names an offering: instance type, zone, capacity type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferingKey {
    /// Instance type.
    pub instance_type: Str,
    /// Zone.
    pub zone: Str,
    /// Capacity type.
    pub capacity_type: Str,
}

impl From<&Launch> for OfferingKey {
    fn from(launch: &Launch) -> Self {
        OfferingKey {
            instance_type: launch.instance_type.clone(),
            zone: launch.zone.clone(),
            capacity_type: launch.capacity_type.clone(),
        }
    }
}

impl OfferingKey {
    /// The key of an offering of `instance_type`.
    pub fn of(instance_type: &InstanceType, offering: &Offering) -> Self {
        OfferingKey {
            instance_type: instance_type.name.clone(),
            zone: single(&offering.requirements, ZONE).unwrap_or_default(),
            capacity_type: single(&offering.requirements, CAPACITY_TYPE).unwrap_or_default(),
        }
    }
}

/// A machine as the cloud delivers it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Labels of type and offering.
    pub labels: Labels,
    /// All it has.
    pub capacity: ResourceList,
    /// What pods can have.
    pub allocatable: ResourceList,
}

/// The machine that `launch` gives; `None` if the catalogue has no such type.
pub fn machine(catalogue: &Catalogue, launch: &Launch) -> Option<Machine> {
    let instance_type = catalogue.instance_types.iter().find(|it| it.name == launch.instance_type)?;
    let key = OfferingKey::from(launch);
    let offering =
        instance_type.offerings.iter().find(|offering| OfferingKey::of(instance_type, offering) == key);
    let mut labels = Labels::default();
    let offered = offering.map(|offering| offering.requirements.as_slice()).unwrap_or_default();
    for requirement in instance_type.requirements.iter().chain(offered) {
        if requirement.operator == Some(Operator::In)
            && let [value] = requirement.values.as_slice()
        {
            labels.insert(requirement.key.clone(), value.clone());
        }
    }
    labels.insert(INSTANCE_TYPE, launch.instance_type.clone());
    labels.insert(ZONE, launch.zone.clone());
    labels.insert(CAPACITY_TYPE, launch.capacity_type.clone());
    let mut capacity = instance_type.capacity.clone();
    if let Some(offering) = offering {
        for (name, quantity) in offering.capacity_override.iter() {
            capacity.insert(name, quantity);
        }
    }
    let overhead =
        offering.and_then(|offering| offering.overhead_override.as_ref()).unwrap_or(&instance_type.overhead);
    let mut allocatable = capacity.clone();
    for part in [&overhead.kube_reserved, &overhead.system_reserved, &overhead.eviction_threshold] {
        for (name, quantity) in part.iter() {
            if let Some(had) = allocatable.get(name) {
                let left = had - quantity;
                allocatable.insert(name, if left.is_negative() { Quantity::ZERO } else { left });
            }
        }
    }
    Some(Machine { labels, capacity, allocatable })
}

/// The offerings that `wanted` allows, in the order in which the cloud tries them: by price, then name of the type,
/// capacity type, zone. Availability is the cloud's to know.
pub fn launch_order(catalogue: &Catalogue, wanted: &NewNodeClaim) -> impl Iterator<Item = Launch> + use<> {
    let mut candidates = Vec::new();
    for instance_type in &catalogue.instance_types {
        // A static NodePool's claim lists no types: any that its requirements allow.
        let allowed = if wanted.instance_types.is_empty() {
            wanted.requirements.iter().all(|wants| allows(wants, &instance_type.requirements, true))
        } else {
            wanted.instance_types.binary_search(&instance_type.name).is_ok()
        };
        if !allowed {
            continue;
        }
        let offerings = instance_type.offerings.iter();
        let allowed = offerings
            .filter(|offering| wanted.requirements.iter().all(|it| allows(it, &offering.requirements, true)));
        candidates.extend(allowed.map(|offering| {
            std::cmp::Reverse(LaunchCandidate {
                price: offering.price.0,
                instance_type: instance_type.name.clone(),
                capacity_type: single(&offering.requirements, CAPACITY_TYPE).unwrap_or_default(),
                zone: single(&offering.requirements, ZONE).unwrap_or_default(),
            })
        }));
    }
    // As a rule the first is taken, so nothing more is sorted than is asked for.
    let mut candidates = BinaryHeap::from(candidates);
    std::iter::from_fn(move || candidates.pop().map(|it| it.0.into()))
}

/// An offering that a NodeClaim could be launched as, in the order in which they are tried.
struct LaunchCandidate {
    price: f64,
    instance_type: Str,
    capacity_type: Str,
    zone: Str,
}

impl Ord for LaunchCandidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        fn names(it: &LaunchCandidate) -> [&str; 3] {
            [&it.instance_type, &it.capacity_type, &it.zone]
        }
        self.price.total_cmp(&other.price).then_with(|| names(self).cmp(&names(other)))
    }
}

impl PartialOrd for LaunchCandidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for LaunchCandidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for LaunchCandidate {}

impl From<LaunchCandidate> for Launch {
    fn from(it: LaunchCandidate) -> Self {
        Launch {
            instance_type: it.instance_type,
            zone: it.zone,
            capacity_type: it.capacity_type,
            price: Price(it.price),
        }
    }
}

/// Whether something with these labels can be what is wanted. What says nothing about a key passes if `lenient`.
fn allows(wants: &DecidedRequirement, has: &[NodeSelectorRequirement], lenient: bool) -> bool {
    let Some(has) = has.iter().find(|requirement| requirement.key == wants.key) else { return lenient };
    if has.operator != Some(Operator::In) {
        return lenient || wants.operator == "DoesNotExist";
    }
    has.values.iter().any(|value| value_allowed(wants.operator, &wants.values, value))
}

/// Whether a label's `value` satisfies operator and values.
pub(crate) fn value_allowed(operator: &str, values: &[Str], value: &str) -> bool {
    let bound = || Some((value.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match operator {
        "In" => values.iter().any(|wanted| wanted == value),
        "NotIn" => values.iter().all(|wanted| wanted != value),
        "Exists" => true,
        "Gt" => bound().is_some_and(|(value, bound)| value > bound),
        "Lt" => bound().is_some_and(|(value, bound)| value < bound),
        "Gte" => bound().is_some_and(|(value, bound)| value >= bound),
        "Lte" => bound().is_some_and(|(value, bound)| value <= bound),
        _ => false,
    }
}

fn single(requirements: &[NodeSelectorRequirement], key: &str) -> Option<Str> {
    requirements.iter().find(|requirement| requirement.key == key)?.values.first().cloned()
}
