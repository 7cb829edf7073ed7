//! NodeOverlays: prices and extra capacity that users put over the catalogue, NodePool by NodePool.

use super::types::constraint_of;
use super::validity::requirement_fault;
use crate::catalogue::Catalogue;
use crate::kubernetes::labels::{self};
use crate::kubernetes::requests::{RawAmounts, raw};
use crate::label_rules::LabelRules;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::karpenter::{NodeOverlay, NodePool};
use crate::model::meta::{Operator, Str};
use crate::requirements::{Algebra, ConstraintId, Requirement, Undefined};
use rustc_hash::FxHashMap;

/// What overlays change of one instance type in one NodePool.
#[derive(Debug, Default, Clone)]
struct Change {
    /// By the requirements of the offering: the change, and the weight of the last overlay that wanted it.
    prices: FxHashMap<ConstraintId, (Str, i64)>,
    capacity: RawAmounts,
    last_capacity: ResourceList,
    last_weight: i64,
}

/// What the overlays of a scenario change: by NodePool and index of the type.
#[derive(Debug, Default, Clone)]
pub struct Changes(FxHashMap<(Str, usize), Change>);

impl Changes {
    /// Applies `overlays`, the heaviest first, among equals the last name first. One that is invalid, or wants what
    /// another of its weight has already changed, is left out as a whole.
    pub fn new(
        algebra: &mut Algebra,
        rules: &LabelRules,
        catalogue: &Catalogue,
        pools: &[NodePool],
        overlays: &[NodeOverlay],
    ) -> Self {
        let mut ordered: Vec<&NodeOverlay> =
            overlays.iter().filter(|overlay| is_valid(rules, overlay)).collect();
        ordered.sort_by(|a, b| {
            let key = |overlay: &NodeOverlay| overlay.spec.weight.unwrap_or(0);
            key(b).cmp(&key(a)).then_with(|| b.metadata.name.cmp(&a.metadata.name))
        });
        let mut changes = Changes::default();
        for overlay in ordered {
            let targets = targets(algebra, rules, catalogue, pools, overlay);
            if !targets.iter().any(|target| changes.conflicts(target, overlay)) {
                for target in targets {
                    changes.apply(target, overlay);
                }
            }
        }
        changes
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The capacity of a type in `pool`.
    pub fn capacity(&self, pool: &str, index: usize, catalogue: &ResourceList) -> RawAmounts {
        let mut capacity = raw(catalogue);
        if let Some(change) = self.0.get(&(pool.into(), index)) {
            capacity.extend(change.capacity.iter().map(|(name, quantity)| (name.clone(), *quantity)));
        }
        capacity
    }

    /// The price that an overlay gives an offering in `pool`, which costs `price` in the catalogue; `None`: no overlay
    /// speaks of it.
    pub fn price(&self, pool: &str, index: usize, offering: ConstraintId, price: f64) -> Option<f64> {
        let (change, _) = self.0.get(&(pool.into(), index))?.prices.get(&offering)?;
        Some(adjusted(price, change))
    }

    fn conflicts(&self, target: &Target, overlay: &NodeOverlay) -> bool {
        let Some(change) = self.0.get(&(target.pool.clone(), target.index)) else { return false };
        let weight = overlay.spec.weight.unwrap_or(0);
        let price = wanted_price(overlay).is_some()
            && target
                .offerings
                .iter()
                .any(|offering| change.prices.get(offering).is_some_and(|(_, last)| *last == weight));
        let capacity = overlay.spec.capacity.as_ref().is_some_and(|wanted| {
            change.last_weight == weight
                && wanted.iter().any(|(name, _)| change.last_capacity.get(name).is_some())
        });
        price || capacity
    }

    fn apply(&mut self, target: Target, overlay: &NodeOverlay) {
        let weight = overlay.spec.weight.unwrap_or(0);
        if let Some(price) = wanted_price(overlay) {
            let change = self.0.entry((target.pool.clone(), target.index)).or_default();
            for offering in target.offerings {
                change
                    .prices
                    .entry(offering)
                    .and_modify(|(_, last)| *last = weight)
                    .or_insert((price.clone(), weight));
            }
        }
        if let Some(wanted) = &overlay.spec.capacity {
            let change = self.0.entry((target.pool, target.index)).or_default();
            for (name, quantity) in wanted.iter() {
                change.capacity.entry(name.into()).or_insert(quantity);
            }
            change.last_capacity = wanted.clone();
            change.last_weight = weight;
        }
    }
}

/// An instance type that an overlay selects, with the offerings in question.
struct Target {
    pool: Str,
    index: usize,
    offerings: Vec<ConstraintId>,
}

fn wanted_price(overlay: &NodeOverlay) -> Option<Str> {
    overlay.spec.price.clone().or_else(|| overlay.spec.price_adjustment.clone())
}

fn is_valid(rules: &LabelRules, overlay: &NodeOverlay) -> bool {
    let requirements_valid = overlay.spec.requirements.iter().all(|requirement| {
        let no_values = requirement.operator == Some(Operator::NotIn) && requirement.values.is_empty();
        !no_values
            && requirement_fault(rules, &requirement.key, requirement.operator, &requirement.values).is_none()
    });
    let known = ["cpu", "memory", "ephemeral-storage", "pods"];
    let capacity_valid = overlay
        .spec
        .capacity
        .as_ref()
        .is_none_or(|capacity| capacity.iter().all(|(name, _)| !known.contains(&name)));
    requirements_valid && capacity_valid
}

fn targets(
    algebra: &mut Algebra,
    rules: &LabelRules,
    catalogue: &Catalogue,
    pools: &[NodePool],
    overlay: &NodeOverlay,
) -> Vec<Target> {
    let expressions: Vec<NodeSelectorRequirement> = overlay
        .spec
        .requirements
        .iter()
        .map(|requirement| NodeSelectorRequirement {
            key: requirement.key.clone(),
            operator: requirement.operator,
            values: requirement.values.clone(),
            ..NodeSelectorRequirement::default()
        })
        .collect();
    let asked = constraint_of(algebra, rules, &expressions);
    let mut targets = Vec::new();
    for pool in pools {
        let labels = pool_labels(algebra, rules, pool);
        for (index, it) in catalogue.instance_types.iter().enumerate() {
            let own = constraint_of(algebra, rules, &it.requirements);
            let labelled = algebra.sum(labels, own);
            if !algebra.compatible(labelled, asked, Undefined::Denied) {
                continue;
            }
            let mut offerings = Vec::new();
            for offering in &it.offerings {
                let kind = constraint_of(algebra, rules, &offering.requirements);
                if algebra.compatible(asked, kind, Undefined::WellKnownAllowed) {
                    offerings.push(kind);
                }
            }
            if !offerings.is_empty() {
                targets.push(Target { pool: pool.metadata.name.clone(), index, offerings });
            }
        }
    }
    targets
}

fn pool_labels(algebra: &mut Algebra, rules: &LabelRules, pool: &NodePool) -> ConstraintId {
    let mut requirements = Vec::new();
    let own = [(labels::NODE_POOL, pool.metadata.name.as_str())];
    for (name, value) in own.into_iter().chain(pool.spec.template.metadata.labels.iter()) {
        let key = algebra.key(rules.normalize(name), |name| rules.is_well_known(name));
        let value = algebra.value(key, value);
        requirements.push((key, Requirement::any_of([value])));
    }
    algebra.constraint(requirements)
}

/// The price after `change`: a price, or with a sign an amount or a percentage, never below 0.
fn adjusted(price: f64, change: &str) -> f64 {
    if !change.starts_with(['+', '-']) {
        return change.parse().unwrap_or(price);
    }
    let adjusted = match change.strip_suffix('%') {
        Some(percentage) => percentage.parse::<f64>().map(|percent| price * (1.0 + percent / 100.0)),
        None => change.parse::<f64>().map(|amount| price + amount),
    };
    adjusted.unwrap_or(price).max(0.0)
}
