//! Overlays: what a user's contract and device plugins make of a provider's catalogue.
//!
//! A small file (`kind: CatalogueOverlay`) with four lists, applied in this order, each list from top to bottom:
//! `prices` (discounts, negotiated prices, licences), `reservations` (reserved instances as reserved offerings),
//! `gpuSharing` (time slicing, MIG, shares) and `resources` (set outright). What a rule selects nothing with is
//! reported, for it is most likely a slip.

use super::gpu_sharing::{self, GpuSharing, GpuSharingError};
use super::read::{check_requirements, one, one_value, typed, value_problem};
use super::{Catalogue, InstanceType, Offering, Price};
use crate::api::core::{NodeSelectorRequirement, ResourceList};
use crate::api::meta::{Operator, Str};
use crate::api::problem::{Place, Problem, ProblemKind};
use crate::api::wire::wire;
use crate::labels;
use crate::quantity::Quantity;
use serde_json::Value;

wire! {
    /// What a licence costs an hour, beside the machine.
    pub struct Licence {
        /// A node.
        per_node: Price = "perNode",
        /// A vCPU.
        per_vcpu: Price = "perVCPU",
        /// A whole GPU.
        per_gpu: Price = "perGPU",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A change of price. Exactly one of `price`, `factor`, `discountPercent`, `licence`.
    pub struct PriceRule {
        /// Only these types.
        instance_types: Option<Vec<Str>> = "instanceTypes",
        /// Only in these zones.
        zones: Option<Vec<Str>> = "zones",
        /// Only these capacity types.
        capacity_types: Option<Vec<Str>> = "capacityTypes",
        /// Only where these hold for the labels of type and offering.
        requirements: Vec<NodeSelectorRequirement> = "requirements",
        /// The price instead.
        price: Option<Price> = "price",
        /// Times so much.
        factor: Option<Price> = "factor",
        /// Less so many percent.
        discount_percent: Option<Price> = "discountPercent",
        /// And so much more.
        licence: Option<Licence> = "licence",
        /// Why; becomes part of the price's source.
        reason: Str = "reason",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Instances that are paid for already.
    pub struct Reservation {
        /// Name of the reservation.
        id: Str = "id",
        /// Its type.
        instance_type: Str = "instanceType",
        /// Its zone; absent: every zone of the type, each with `count`.
        zone: Option<Str> = "zone",
        /// How many instances.
        count: i64 = "count",
        /// What an hour of one costs, used or not.
        price: Price = "price",
    }
    passed { }
    unmodelled { }
}

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
            let path = format!("reservations[{index}]");
            for (field, value) in [("id", &reservation.id), ("instanceType", &reservation.instance_type)] {
                if value.is_empty() {
                    let kind = ProblemKind::Missing { name: field.into() };
                    return Err(Problem::new(Place::at(path), kind));
                }
            }
            if reservation.count < 1 {
                return Err(value_problem(
                    "",
                    format!("{path}.count"),
                    reservation.count.to_string(),
                    "a number above 0",
                ));
            }
            not_negative(reservation.price, &format!("{path}.price"))?;
        }
        for (index, sharing) in self.gpu_sharing.iter().enumerate() {
            let path = format!("gpuSharing[{index}]");
            check_requirements(&sharing.requirements, "", &format!("{path}.requirements"))?;
            sharing.check(&path)?;
        }
        for (index, rule) in self.resources.iter().enumerate() {
            let path = format!("resources[{index}]");
            check_requirements(&rule.requirements, "", &format!("{path}.requirements"))?;
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
            for instance_type in &mut result.instance_types {
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
            for instance_type in &mut result.instance_types {
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

fn not_negative(price: Price, path: &str) -> Result<(), Problem> {
    if price.0.is_finite() && price.0 >= 0.0 {
        Ok(())
    } else {
        Err(value_problem("", path, price.0.to_string(), "a number not below 0"))
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

/// To the billionth of a dollar, so that a discount of 28 % on 0.526 is 0.37872 and not a neighbour of it.
fn rounded(price: f64) -> Price {
    Price((price * 1e9).round() / 1e9)
}

impl PriceRule {
    fn check(&self, path: &str) -> Result<(), Problem> {
        check_requirements(&self.requirements, "", &format!("{path}.requirements"))?;
        let given: Vec<&'static str> = [
            ("price", self.price.is_some()),
            ("factor", self.factor.is_some()),
            ("discountPercent", self.discount_percent.is_some()),
            ("licence", self.licence.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect();
        match given.as_slice() {
            [] => {
                let allowed = "exactly one of price, factor, discountPercent, licence";
                return Err(value_problem("", path, "none of them", allowed));
            }
            [_] => {}
            [first, second, ..] => {
                return Err(Problem::new(Place::at(path), ProblemKind::Exclusive { first, second }));
            }
        }
        if let Some(percent) = self.discount_percent
            && !(0.0..=100.0).contains(&percent.0)
        {
            let path = format!("{path}.discountPercent");
            return Err(value_problem("", path, percent.0.to_string(), "a number from 0 to 100"));
        }
        let licence = self.licence.clone().unwrap_or_default();
        for (field, price) in [
            ("price", self.price),
            ("factor", self.factor),
            ("licence.perNode", Some(licence.per_node)),
            ("licence.perVCPU", Some(licence.per_vcpu)),
            ("licence.perGPU", Some(licence.per_gpu)),
        ] {
            price.map_or(Ok(()), |price| not_negative(price, &format!("{path}.{field}")))?;
        }
        Ok(())
    }

    fn apply(&self, catalogue: &mut Catalogue, overlay: &CatalogueOverlay) -> bool {
        let mut used = false;
        for instance_type in &mut catalogue.instance_types {
            let licence = self.licence_of(instance_type);
            let chosen: Vec<usize> = (0..instance_type.offerings.len())
                .filter(|&index| self.selects(instance_type, instance_type.offerings.get(index)))
                .collect();
            for index in chosen {
                if let Some(offering) = instance_type.offerings.get_mut(index) {
                    used = true;
                    offering.price = self.price_after(offering.price.0, licence);
                    offering.price_source = self.source_after(&offering.price_source, overlay);
                }
            }
        }
        used
    }

    /// What a licence for a node of the type costs.
    fn licence_of(&self, instance_type: &InstanceType) -> f64 {
        let Some(licence) = &self.licence else { return 0.0 };
        let view = super::view::View::new(instance_type);
        let gpus = view.gpus.as_ref().map_or(0, |gpus| gpus.count);
        licence.per_node.0 + licence.per_vcpu.0 * view.vcpus + licence.per_gpu.0 * gpus as f64
    }

    /// What becomes of the price `old`.
    fn price_after(&self, old: f64, licence: f64) -> Price {
        rounded(if let Some(price) = self.price {
            price.0
        } else if let Some(factor) = self.factor {
            old * factor.0
        } else if let Some(percent) = self.discount_percent {
            old * (100.0 - percent.0) / 100.0
        } else {
            old + licence
        })
    }

    fn selects(&self, instance_type: &InstanceType, offering: Option<&Offering>) -> bool {
        let Some(offering) = offering else { return false };
        let among = |names: Option<&[Str]>, key: &str| {
            names.is_none_or(|names| {
                one(&offering.requirements, key).is_some_and(|own| names.iter().any(|name| name == own))
            })
        };
        among(self.zones.as_deref(), labels::ZONE)
            && among(self.capacity_types.as_deref(), labels::CAPACITY_TYPE)
            && selects(self.instance_types.as_deref(), &self.requirements, instance_type, Some(offering))
    }

    /// The source of the price it started from stays first: it says how well that is founded.
    fn source_after(&self, before: &str, overlay: &CatalogueOverlay) -> Str {
        let before = match (self.price, before) {
            (Some(_), _) | (None, "") => "overlay",
            (None, before) => before,
        };
        let what = if !self.reason.is_empty() {
            self.reason.to_string()
        } else if self.price.is_some() {
            "set".to_owned()
        } else if let Some(factor) = self.factor {
            format!("× {}", factor.0)
        } else if let Some(percent) = self.discount_percent {
            format!("−{} %", percent.0)
        } else {
            "licence".to_owned()
        };
        format!("{before}, {what} ({})", overlay.label()).into()
    }
}

impl Reservation {
    /// Adds an offering of capacity type `reserved` in the zone, as Karpenter's providers do for capacity reservations.
    fn apply(&self, catalogue: &mut Catalogue, overlay: &CatalogueOverlay) -> bool {
        let id_label = match catalogue.reservation_id_label.as_str() {
            "" => "karpenter.k8s.aws/capacity-reservation-id",
            label => label,
        };
        let id_label: Str = id_label.into();
        if catalogue.reservation_id_label.is_empty() {
            catalogue.reservation_id_label = id_label.clone();
        }
        let Some(instance_type) =
            catalogue.instance_types.iter_mut().find(|it| it.name == self.instance_type)
        else {
            return false;
        };
        let mut zones: Vec<&Offering> = Vec::new();
        for offering in &instance_type.offerings {
            let zone = one(&offering.requirements, labels::ZONE);
            let wanted = self.zone.as_ref().is_none_or(|own| zone == Some(own.as_str()));
            let new = zones.iter().all(|other| one(&other.requirements, labels::ZONE) != zone);
            if wanted && new {
                zones.push(offering);
            }
        }
        let added: Vec<Offering> = zones
            .into_iter()
            .map(|like| {
                let mut requirements: Vec<NodeSelectorRequirement> = like
                    .requirements
                    .iter()
                    .filter(|requirement| {
                        requirement.key != labels::CAPACITY_TYPE && requirement.key != id_label
                    })
                    .cloned()
                    .collect();
                requirements.push(in_one(labels::CAPACITY_TYPE, labels::RESERVED));
                requirements.push(in_one(&id_label, &self.id));
                requirements.sort_by(|a, b| a.key.cmp(&b.key));
                Offering {
                    requirements,
                    price: self.price,
                    available: true,
                    reservation_capacity: self.count,
                    price_source: format!("overlay, reservation {} ({})", self.id, overlay.label()).into(),
                    ..Offering::default()
                }
            })
            .collect();
        if added.is_empty() {
            return false;
        }
        instance_type.offerings.extend(added);
        for (key, value) in [(labels::CAPACITY_TYPE, labels::RESERVED), (&id_label, &self.id)] {
            match instance_type.requirements.iter_mut().find(|requirement| requirement.key == key) {
                Some(requirement) if requirement.operator == Some(Operator::In) => {
                    if !requirement.values.iter().any(|own| own == value) {
                        requirement.values.push(value.into());
                        requirement.values.sort();
                    }
                }
                Some(requirement) => *requirement = in_one(key, value),
                None => instance_type.requirements.push(in_one(key, value)),
            }
        }
        true
    }
}

pub(super) fn in_one(key: &str, value: &str) -> NodeSelectorRequirement {
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
