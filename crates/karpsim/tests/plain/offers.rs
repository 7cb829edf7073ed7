//! What can be launched: NodePools with their instance types.

use super::daemons::Daemon;
use super::pods::HostPort;
use super::requirements::{Label, Requirements};
use karpsim::catalogue::{InstanceType, Overhead};
use karpsim::compile::overlays::Changes;
use karpsim::compile::types;
use karpsim::kubernetes::labels::{self, INITIALIZED, NODE_POOL, REGISTERED};
use karpsim::kubernetes::requests::{RawAmounts, add, raw};
use karpsim::label_rules::LabelRules;
use karpsim::model::core::Taint;
use karpsim::model::karpenter::NodePool;
use karpsim::model::meta::{Operator, Str};
use karpsim::quantity::Quantity;
use karpsim::requirements::Algebra;
use karpsim::scenario::Scenario;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// An offering of an instance type.
#[derive(Debug, Clone)]
pub(crate) struct Offering {
    pub(crate) requirements: Requirements,
    pub(crate) price: f64,
    pub(crate) available: bool,
    pub(crate) capacity_type: Str,
    pub(crate) zone: Str,
    /// Its reservation, and how many instances that has left.
    pub(crate) reservation: Option<(Str, i64)>,
    /// What pods and daemons can have of it.
    pub(crate) allocatable: RawAmounts,
}

/// An instance type.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: Str,
    pub(crate) requirements: Requirements,
    pub(crate) capacity: RawAmounts,
    pub(crate) offerings: Vec<Offering>,
}

/// An instance type of a NodePool, with the daemons that would run on it.
#[derive(Debug, Clone)]
pub(crate) struct TypeOption {
    /// Place among the pool's types.
    pub(crate) of: usize,
    pub(crate) overhead: Option<RawAmounts>,
    pub(crate) daemon_ports: Vec<Vec<HostPort>>,
    /// The names of the daemons, which order the options.
    daemons: String,
}

/// A NodePool that nodes can be launched from.
#[derive(Debug, Clone)]
pub(crate) struct Pool<'a> {
    pub(crate) pool: &'a NodePool,
    /// Its requirements and the labels of its nodes.
    pub(crate) written: Requirements,
    /// The same with what Karpenter adds.
    pub(crate) requirements: Requirements,
    pub(crate) types: Vec<Type>,
    /// What it can launch at all, in the order in which a NodeClaim lists it.
    pub(crate) options: Vec<TypeOption>,
}

impl Pool<'_> {
    pub(crate) fn taints(&self) -> &[Taint] {
        &self.pool.spec.template.spec.taints
    }
}

/// A NodePool with what it can launch.
pub(crate) fn pool_of<'a>(
    scenario: &Scenario,
    rules: &LabelRules,
    pool: &'a NodePool,
    daemons: &mut [Daemon],
) -> Pool<'a> {
    let spec = &pool.spec.template.spec;
    let mut written = Requirements::default();
    for requirement in &spec.requirements {
        let operator = requirement.operator.unwrap_or(Operator::Exists);
        let label = Label::of(operator, &requirement.values, requirement.min_values);
        written.add(rules.normalize(&requirement.key), label);
    }
    written = written.and(&Requirements::of_labels(rules, &pool.spec.template.metadata.labels));
    let class = &spec.node_class_ref;
    let mut requirements = written.clone();
    for (key, value) in [
        (NODE_POOL, &*pool.metadata.name),
        (&karpsim::label_rules::node_class_label(&class.group, &class.kind), &class.name),
        (REGISTERED, "true"),
        (INITIALIZED, "true"),
    ] {
        requirements.add(key, Label::one_of([value.into()]));
    }
    let types = types_of(scenario, rules, &pool.metadata.name);
    let mut it = Pool { pool, written, requirements, types, options: Vec::new() };
    let mut options: Vec<TypeOption> = (0..it.types.len())
        .map(|of| TypeOption { of, overhead: None, daemon_ports: Vec::new(), daemons: String::new() })
        .filter(|option| {
            it.is_option(option, &it.requirements, &RawAmounts::new(), |key| rules.is_well_known(key))
        })
        .collect();
    let met =
        it.unmet_min_values(&it.requirements, options.iter().map(|option| &it.types[option.of])).is_empty();
    if !met && !scenario.options.relaxes_min_values() {
        return it;
    }
    for option in &mut options {
        let mut names: Vec<String> = Vec::new();
        for daemon in daemons.iter_mut() {
            if daemon.runs_on(&it, &it.types[option.of], rules) {
                add(option.overhead.get_or_insert_default(), &daemon.requests);
                if !daemon.ports.is_empty() {
                    option.daemon_ports.push(daemon.ports.clone());
                }
                names.push(daemon.name.clone());
            }
        }
        names.sort();
        option.daemons = names.join(",");
    }
    options.sort_by(|a, b| a.daemons.cmp(&b.daemons));
    it.options = options;
    it
}

impl Pool<'_> {
    /// Whether nodes of the type can be as `requirements` say and have room for `requests` and the daemons.
    pub(crate) fn is_option(
        &self,
        option: &TypeOption,
        requirements: &Requirements,
        requests: &RawAmounts,
        is_well_known: impl Fn(&str) -> bool,
    ) -> bool {
        let it = &self.types[option.of];
        let mut all = Cow::Borrowed(requests);
        if let Some(overhead) = &option.overhead {
            add(all.to_mut(), overhead);
        }
        // What is cheap to find out comes first; the order changes nothing.
        it.offerings.iter().any(|offering| offering.available && fits(&all, &offering.allocatable))
            && it.requirements.agrees_with(requirements)
            && it.offerings.iter().any(|offering| {
                offering.available
                    && fits(&all, &offering.allocatable)
                    && requirements.meets(&offering.requirements, &is_well_known)
            })
    }

    /// The type of an option.
    pub(crate) fn type_of(&self, option: usize) -> &Type {
        &self.types[self.options[option].of]
    }

    /// The labels whose `minValues` the types do not have, and how many they have.
    pub(crate) fn unmet_min_values<'t>(
        &self,
        requirements: &Requirements,
        types: impl Iterator<Item = &'t Type> + Clone,
    ) -> Vec<(Str, i64)> {
        let mut unmet = Vec::new();
        for (key, label) in &requirements.0 {
            let Some(least) = label.min_values else { continue };
            let labels = types.clone().filter_map(|it| it.requirements.0.get(key));
            let values: BTreeSet<&Str> = labels.flat_map(|label| &label.values).collect();
            let count = values.len() as i64;
            if count < least {
                unmet.push((key.clone(), count));
            }
        }
        unmet
    }
}

/// Whether there is room: nothing is less than nothing, and what is not listed is not there.
pub(crate) fn fits(requests: &RawAmounts, room: &RawAmounts) -> bool {
    room.values().all(|left| !left.is_negative())
        && requests.iter().all(|(name, quantity)| *quantity <= room.get(name).copied().unwrap_or_default())
}

/// The types on offer to a NodePool, overlays applied.
pub(crate) fn types_of(scenario: &Scenario, rules: &LabelRules, pool: &str) -> Vec<Type> {
    let catalogue = &scenario.catalogue;
    let mut algebra = Algebra::default();
    let changes = if scenario.options.node_overlay() {
        let objects = &scenario.objects;
        Changes::new(&mut algebra, rules, catalogue, &objects.node_pools, &objects.node_overlays)
    } else {
        Changes::default()
    };
    let mut reader = types::Reader::new(rules, scenario.options.rules());
    let mut types = Vec::new();
    for (index, it) in catalogue.instance_types.iter().enumerate() {
        let prices: Vec<Option<f64>> = it
            .offerings
            .iter()
            .map(|offering| {
                let kind = reader.of_offering(&mut algebra, &offering.requirements);
                changes.price(pool, index, kind, offering.price.0).filter(|_| !changes.is_empty())
            })
            .collect();
        types.push(type_of(rules, it, changes.capacity(pool, index, &it.capacity), &prices));
    }
    types
}

fn type_of(rules: &LabelRules, it: &InstanceType, capacity: RawAmounts, prices: &[Option<f64>]) -> Type {
    let offerings = it.offerings.iter().zip(prices).map(|(offering, changed_price)| {
        let label = |key: &str| -> Str {
            let found = offering.requirements.iter().find(|it| rules.normalize(&it.key) == key);
            found.and_then(|it| it.values.first().cloned()).unwrap_or_default()
        };
        let (mut total, mut kept) = (capacity.clone(), overhead(&it.overhead));
        // An overlay's price makes the offering anew: what it overrides is lost.
        if changed_price.is_none() {
            add(&mut total, &raw(&offering.capacity_override));
            if let Some(own) = &offering.overhead_override {
                add(&mut kept, &overhead(own));
            }
        }
        let capacity_type = label(labels::CAPACITY_TYPE);
        Offering {
            requirements: Requirements::of_expressions(rules, &offering.requirements),
            price: changed_price.unwrap_or(offering.price.0),
            available: offering.available,
            reservation: (capacity_type == labels::RESERVED)
                .then(|| (label(rules.reservation_id()), offering.reservation_capacity)),
            capacity_type,
            zone: label(labels::ZONE),
            allocatable: allocatable(&total, &kept),
        }
    });
    Type {
        name: it.name.clone(),
        requirements: Requirements::of_expressions(rules, &it.requirements),
        offerings: offerings.collect(),
        capacity,
    }
}

fn overhead(overhead: &Overhead) -> RawAmounts {
    let mut total = raw(&overhead.kube_reserved);
    add(&mut total, &raw(&overhead.system_reserved));
    add(&mut total, &raw(&overhead.eviction_threshold));
    total
}

fn allocatable(capacity: &RawAmounts, overhead: &RawAmounts) -> RawAmounts {
    let mut left = capacity.clone();
    for (name, quantity) in overhead {
        if let Some(amount) = left.get_mut(name) {
            *amount = *amount - *quantity;
        }
    }
    for (name, quantity) in capacity {
        if name.starts_with("hugepages-") {
            let memory = left.entry("memory".into()).or_default();
            *memory = (*memory - *quantity).max(Quantity::ZERO);
        }
    }
    left
}
