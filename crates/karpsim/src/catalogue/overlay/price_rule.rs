//! Changes of prices: discounts, negotiated prices, licences.

use super::{CatalogueOverlay, selects};
use crate::catalogue::read::{check_requirements, one, value_problem};
use crate::catalogue::view::View;
use crate::catalogue::{Catalogue, InstanceType, Offering, Price};
use crate::kubernetes::labels;
use crate::model::core::NodeSelectorRequirement;
use crate::model::meta::Str;
use crate::model::wire::wire;
use crate::problem::{Place, Problem, ProblemKind};
use std::sync::Arc;

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

pub(super) fn not_negative(price: Price, path: &str) -> Result<(), Problem> {
    if price.0.is_finite() && price.0 >= 0.0 {
        Ok(())
    } else {
        Err(value_problem("", path, price.0.to_string(), "a number not below 0"))
    }
}

/// To the billionth of a dollar, so that a discount of 28 % on 0.526 is 0.37872 and not a neighbour of it.
fn rounded(price: f64) -> Price {
    Price((price * 1e9).round() / 1e9)
}

impl PriceRule {
    pub(super) fn check(&self, path: &str) -> Result<(), Problem> {
        check_requirements(&self.requirements, &"", &format_args!("{path}.requirements"))?;
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
                return Err(value_problem("", path, "none", allowed));
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

    pub(super) fn apply(&self, catalogue: &mut Catalogue, overlay: &CatalogueOverlay) -> bool {
        let mut used = false;
        for instance_type in catalogue.instance_types.iter_mut().map(Arc::make_mut) {
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
    pub(super) fn licence_of(&self, instance_type: &InstanceType) -> f64 {
        let Some(licence) = &self.licence else { return 0.0 };
        let view = View::new(instance_type);
        let gpus = view.gpus.as_ref().map_or(0, |gpus| gpus.count);
        licence.per_node.0 + licence.per_vcpu.0 * view.vcpus + licence.per_gpu.0 * gpus as f64
    }

    /// What becomes of the price `old`.
    pub(super) fn price_after(&self, old: f64, licence: f64) -> Price {
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

    pub(super) fn selects(&self, instance_type: &InstanceType, offering: Option<&Offering>) -> bool {
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
