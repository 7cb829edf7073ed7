//! Overlays: what a user's contract and device plugins make of a provider's catalogue.
//!
//! A small file (`kind: CatalogueOverlay`) with four lists, applied in this order, each list from top to bottom:
//! `prices` (discounts, negotiated prices, licences), `reservations` (reserved instances as reserved offerings),
//! `gpuSharing` (time slicing, MIG, shares) and `resources` (set outright). What a rule selects nothing with is
//! reported, for it is most likely a slip.

mod price_rule;
mod reservation;

pub use price_rule::{Licence, PriceRule};
pub use reservation::Reservation;

use super::gpu_sharing::{self, GpuSharing, GpuSharingError};
use super::read::{check_requirements, one, one_value, typed, value_problem};
use super::{Catalogue, InstanceType, Offering};
use crate::kubernetes::labels;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Operator, Str};
use crate::model::wire::wire;
use crate::problem::{Place, Problem, ProblemKind};
use crate::quantity::Quantity;
use serde_json::Value;
use std::sync::Arc;

wire! {
    /// Resources of nodes, set outright; a quantity of 0 takes one away.
    pub struct ResourceRule {
        /// Only these types.
        instance_types: Option<Vec<Str>> = "instanceTypes",
        /// Only where these hold for the labels of the type.
        requirements: Vec<NodeSelectorRequirement> = "requirements",
        /// The resources.
        capacity: ResourceList = "capacity",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `karpsim.dev/v1alpha1` CatalogueOverlay.
    pub struct CatalogueOverlay {
        /// `karpsim.dev/v1alpha1`.
        api_version: Str = "apiVersion",
        /// `CatalogueOverlay`.
        kind: Str = "kind",
        /// Name; becomes part of the source of changed prices.
        name: Str = "name",
        /// Where it is from; shown, never interpreted.
        source: Str = "source",
        /// Changes of prices.
        prices: Vec<PriceRule> = "prices",
        /// Instances that are paid for already.
        reservations: Vec<Reservation> = "reservations",
        /// How GPUs are shared.
        gpu_sharing: Vec<GpuSharing> = "gpuSharing",
        /// Resources set outright.
        resources: Vec<ResourceRule> = "resources",
    }
    passed { }
    unmodelled { }
}

/// A group and version that karpsim's own forms have.
pub const API_VERSION: &str = "karpsim.dev/v1alpha1";

/// What applying an overlay gave.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The changed catalogue.
    pub catalogue: Catalogue,
    /// Paths of the rules that changed nothing (`prices[2]`).
    pub unused: Vec<String>,
}

impl CatalogueOverlay {
    /// Reads an overlay (YAML or JSON) and checks it.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn read(text: &str) -> Result<CatalogueOverlay, Problem> {
        let overlay: CatalogueOverlay = typed(&one_value(text)?, "")?;
        overlay.check()?;
        Ok(overlay)
    }

    fn check(&self) -> Result<(), Problem> {
        for (field, found, expected) in
            [("apiVersion", &self.api_version, API_VERSION), ("kind", &self.kind, "CatalogueOverlay")]
        {
            if found != expected {
                return Err(value_problem("", field, format!("`{found}`"), format!("`{expected}`")));
            }
        }
        for (index, rule) in self.prices.iter().enumerate() {
            rule.check(&format!("prices[{index}]"))?;
        }
        for (index, reservation) in self.reservations.iter().enumerate() {
            reservation.check(&format!("reservations[{index}]"))?;
        }
        for (index, sharing) in self.gpu_sharing.iter().enumerate() {
            let path = format!("gpuSharing[{index}]");
            check_requirements(&sharing.requirements, &"", &format_args!("{path}.requirements"))?;
            sharing.check(&path)?;
        }
        for (index, rule) in self.resources.iter().enumerate() {
            let path = format!("resources[{index}]");
            check_requirements(&rule.requirements, &"", &format_args!("{path}.requirements"))?;
            if rule.capacity.is_empty() {
                let kind = ProblemKind::Missing { name: "capacity".into() };
                return Err(Problem::new(Place::at(path), kind));
            }
            if let Some((name, amount)) = rule.capacity.iter().find(|(_, amount)| amount.is_negative()) {
                let path = format!("{path}.capacity.{name}");
                return Err(value_problem("", path, amount.to_string(), "a quantity not below 0"));
            }
        }
        Ok(())
    }

    /// The catalogue under this overlay.
    ///
    /// # Errors
    ///
    /// If MIG profiles do not fit a GPU that they are for.
    pub fn apply(&self, catalogue: &Catalogue) -> Result<Applied, GpuSharingError> {
        let mut result = catalogue.clone();
        let mut unused = Vec::new();
        for (index, rule) in self.prices.iter().enumerate() {
            if !rule.apply(&mut result, self) {
                unused.push(format!("prices[{index}]"));
            }
        }
        for (index, reservation) in self.reservations.iter().enumerate() {
            if !reservation.apply(&mut result, self) {
                unused.push(format!("reservations[{index}]"));
            }
        }
        for (index, sharing) in self.gpu_sharing.iter().enumerate() {
            let mut used = false;
            for instance_type in result.instance_types.iter_mut().map(Arc::make_mut) {
                if selects(sharing.instance_types.as_deref(), &sharing.requirements, instance_type, None) {
                    used |= gpu_sharing::apply(sharing, instance_type, &format!("gpuSharing[{index}]"))?;
                }
            }
            if !used {
                unused.push(format!("gpuSharing[{index}]"));
            }
        }
        for (index, rule) in self.resources.iter().enumerate() {
            let mut used = false;
            for instance_type in result.instance_types.iter_mut().map(Arc::make_mut) {
                if selects(rule.instance_types.as_deref(), &rule.requirements, instance_type, None) {
                    used = true;
                    set_resources(instance_type, &rule.capacity);
                }
            }
            if !used {
                unused.push(format!("resources[{index}]"));
            }
        }
        Ok(Applied { catalogue: result, unused })
    }

    /// What a spot instance of the type in `zone` costs under this overlay while its provider asks `price`.
    pub fn spot_price(&self, instance_type: &InstanceType, zone: &str, price: f64) -> f64 {
        let offering = instance_type.offerings.iter().find(|offering| {
            one(&offering.requirements, labels::ZONE) == Some(zone)
                && one(&offering.requirements, labels::CAPACITY_TYPE) == Some(labels::SPOT)
        });
        let rules = self.prices.iter().filter(|rule| rule.selects(instance_type, offering));
        rules.fold(price, |price, rule| rule.price_after(price, rule.licence_of(instance_type)).0)
    }

    fn label(&self) -> &str {
        if self.name.is_empty() { "overlay" } else { &self.name }
    }
}

/// Puts resources into a type's capacity; zeros take them out.
pub(super) fn set_resources(instance_type: &mut InstanceType, capacity: &ResourceList) {
    for (name, amount) in capacity.iter() {
        instance_type.capacity.insert(name, amount);
    }
    if instance_type.capacity.iter().any(|(_, amount)| amount.is_zero()) {
        let zero_kept = |name: &str| name == "pods";
        instance_type.capacity = instance_type
            .capacity
            .iter()
            .filter(|(name, amount)| !amount.is_zero() || zero_kept(name))
            .collect();
    }
}

/// Whether a type (and an offering of it) is among those that a rule names.
pub(super) fn selects(
    instance_types: Option<&[Str]>,
    requirements: &[NodeSelectorRequirement],
    instance_type: &InstanceType,
    offering: Option<&Offering>,
) -> bool {
    instance_types.is_none_or(|names| names.contains(&instance_type.name))
        && requirements.iter().all(|requirement| {
            let own = offering
                .and_then(|offering| offering.requirements.iter().find(|one| one.key == requirement.key))
                .or_else(|| instance_type.requirements.iter().find(|one| one.key == requirement.key));
            holds(requirement, own)
        })
}

/// Whether nodes with `own` for a label can meet `requirement`.
fn holds(requirement: &NodeSelectorRequirement, own: Option<&NodeSelectorRequirement>) -> bool {
    let absent = own.is_none_or(|own| own.operator == Some(Operator::DoesNotExist));
    let values: &[Str] = own.map_or(&[], |own| own.values.as_slice());
    let bound = requirement.values.first().and_then(|value| value.parse::<i64>().ok());
    let number = |test: fn(i64, i64) -> bool| {
        bound.is_some_and(|bound| {
            values.iter().any(|value| value.parse().is_ok_and(|value| test(value, bound)))
        })
    };
    match requirement.operator {
        Some(Operator::In) => !absent && values.iter().any(|value| requirement.values.contains(value)),
        Some(Operator::NotIn) => absent || values.iter().any(|value| !requirement.values.contains(value)),
        Some(Operator::Exists) => !absent,
        Some(Operator::DoesNotExist) => absent,
        Some(Operator::Gt) => !absent && number(|value, bound| value > bound),
        Some(Operator::Gte) => !absent && number(|value, bound| value >= bound),
        Some(Operator::Lt) => !absent && number(|value, bound| value < bound),
        Some(Operator::Lte) => !absent && number(|value, bound| value <= bound),
        None => false,
    }
}

pub(crate) fn in_one(key: &str, value: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.into(),
        operator: Some(Operator::In),
        values: vec![value.into()],
        ..NodeSelectorRequirement::default()
    }
}

/// Whether a text is an overlay by its kind.
pub fn is_overlay(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some("CatalogueOverlay")
}

/// Whole devices of a resource.
pub(super) fn devices(instance_type: &InstanceType, resource: &str) -> i64 {
    instance_type.capacity.get(resource).unwrap_or(Quantity::ZERO).units_rounded_up()
}
