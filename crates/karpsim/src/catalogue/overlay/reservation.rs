//! Instances that are paid for already, as reserved offerings.

use super::price_rule::not_negative;
use super::{CatalogueOverlay, in_one};
use crate::catalogue::read::{one, value_problem};
use crate::catalogue::{Catalogue, Offering, Price};
use crate::kubernetes::labels;
use crate::model::core::NodeSelectorRequirement;
use crate::model::meta::{Operator, Str};
use crate::model::wire::wire;
use crate::problem::{Place, Problem, ProblemKind};
use std::sync::Arc;

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

impl Reservation {
    pub(super) fn check(&self, path: &str) -> Result<(), Problem> {
        for (field, value) in [("id", &self.id), ("instanceType", &self.instance_type)] {
            if value.is_empty() {
                let kind = ProblemKind::Missing { name: field.into() };
                return Err(Problem::new(Place::at(path), kind));
            }
        }
        if self.count < 1 {
            return Err(value_problem(
                "",
                format!("{path}.count"),
                self.count.to_string(),
                "a number above 0",
            ));
        }
        not_negative(self.price, &format!("{path}.price"))
    }

    /// Adds an offering of capacity type `reserved` in the zone, as Karpenter's providers do for capacity reservations.
    pub(super) fn apply(&self, catalogue: &mut Catalogue, overlay: &CatalogueOverlay) -> bool {
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
        let instance_type = Arc::make_mut(instance_type);
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
