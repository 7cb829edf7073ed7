//! The instance types of a node class out of a catalogue, for where EC2 cannot be asked.
//!
//! A catalogue has prices, zones, labels and capacity under the default node class. What it has not kept of a machine
//! (network cards but the first, processor features, placement strategies) is taken to fit. A node class without a status is
//! a manifest as it is applied: every zone of the catalogue is then taken to have a subnet, and there is an image for
//! every type that the image family runs on.

use super::ami_family::AmiFamily;
use super::fleet::CapacityType;
use super::labels as aws_labels;
use super::machine::{Machine, requirement};
use super::memory::Memory;
use super::node_class::{
    Ec2NodeClass, Ec2NodeClassStatus, Image, NodeClassCondition, ReservationState, ReservationType,
    SecurityGroup, Subnet,
};
use super::resolve::{Builder, NodeClassTypes, OfferedIn, RESERVED_DIVISOR, ResolveError, ResolvedType};
use super::settings::ProviderSettings;
use crate::catalogue::read::one;
use crate::catalogue::{Catalogue, InstanceType, Offering};
use crate::kubernetes::labels;
use crate::model::meta::{Operator, Str};
use crate::provider::capacity::CapacityError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What had to be taken for granted; worth a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assumption {
    /// The node class has no status: a subnet in each of these zones is assumed.
    Subnets {
        /// The zones.
        zones: Vec<Str>,
    },
    /// How many instances these reservations have left is in no status: none are assumed.
    Reservations {
        /// Their ids.
        ids: Vec<Str>,
    },
    /// What the selector of a placement group finds is not known: none is assumed.
    PlacementGroup,
    /// Of types, whether they have the network cards or processor features that the node class asks for is not known.
    Machines {
        /// The field that asks.
        field: &'static str,
    },
    /// The network interfaces of these types are not known; they keep the figures of the catalogue.
    Figures {
        /// The types.
        instance_types: Vec<Str>,
    },
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[Str]| names.iter().map(Str::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Assumption::Subnets { zones } => {
                write!(f, "it has no status: a subnet in each of {} is assumed", list(zones))
            }
            Assumption::Reservations { ids } => {
                write!(f, "how many instances {} have left is not known: none are assumed", list(ids))
            }
            Assumption::PlacementGroup => f.write_str(
                "`spec.placementGroupSelector`: what it finds is not known; no placement group is assumed",
            ),
            Assumption::Machines { field } => {
                write!(f, "`{field}`: which types can do that is not known; all are assumed to")
            }
            Assumption::Figures { instance_types } => {
                write!(
                    f,
                    "network interfaces are not known, the catalogue's figures stand: {}",
                    list(instance_types)
                )
            }
        }
    }
}

/// A node class over a catalogue.
#[derive(Debug, Clone)]
pub struct OverCatalogue {
    /// The node class, with the status that was assumed if it had none.
    pub class: Arc<Ec2NodeClass>,
    /// Its instance types.
    pub types: NodeClassTypes,
    /// What the controller knows at first: the reservations of the catalogue.
    pub memory: Memory,
    /// What was taken for granted.
    pub assumptions: Vec<Assumption>,
}

/// Resolves the instance types of `class` out of `catalogue`, whose provider must be `aws`. `reservations` tells how many
/// instances the reservations of the node class's status have left, as far as that is known.
///
/// # Errors
///
/// If the node class has a status without subnets, or a field of it is not understood.
pub fn of_catalogue(
    class: &Ec2NodeClass,
    catalogue: &Catalogue,
    reservations: &BTreeMap<Str, i64>,
    settings: &ProviderSettings,
) -> Result<OverCatalogue, ResolveError> {
    let family = class.ami_family()?;
    let mut assumptions = Vec::new();
    let zone_ids = zone_ids(catalogue);
    let class = match &class.status {
        Some(_) => class.clone(),
        None => {
            assumptions.push(Assumption::Subnets { zones: zone_ids.keys().cloned().collect() });
            Ec2NodeClass { status: Some(assumed_status(class, family, &zone_ids)), ..class.clone() }
        }
    };
    let zones = class.zones();
    if zones.is_empty() {
        return Err(ResolveError::NoSubnets);
    }
    if class.spec.placement_group_selector.is_some() {
        assumptions.push(Assumption::PlacementGroup);
    }
    let spec = &class.spec;
    for (asks, field) in [
        (spec.network_interfaces.is_some(), "spec.networkInterfaces"),
        (spec.cpu_options.nested_virtualization.is_some(), "spec.cpuOptions.nestedVirtualization"),
    ] {
        if asks {
            assumptions.push(Assumption::Machines { field });
        }
    }

    let builder = Builder::new(&class, &catalogue.region, zones, None, settings)?;
    let mut memory = Memory::default();
    let mut types = Vec::with_capacity(catalogue.instance_types.len());
    let mut without_figures = Vec::new();
    for of_catalogue in &catalogue.instance_types {
        let machine = Machine::of(of_catalogue)?;
        let own_zones = builder.zones_among(&zones_of(of_catalogue));
        let mut it = match builder.instance_type(&machine, &own_zones) {
            Ok(it) => it,
            Err(CapacityError::Interfaces { .. }) => {
                without_figures.push(of_catalogue.name.clone());
                let mut it = ResolvedType::of(of_catalogue.as_ref().clone());
                it.instance_type.requirements = builder.requirements(&machine, &own_zones);
                it.instance_type.offerings.clear();
                it
            }
            Err(error) => return Err(error.into()),
        };
        keep_reservations(&mut it.instance_type, of_catalogue);
        for (name, amount) in of_catalogue.capacity.iter() {
            if it.instance_type.capacity.get(name).is_none() {
                it.instance_type.capacity.insert(name, amount);
            }
        }
        let fits = builder.fits(&machine);
        let mut on_demand_price = None;
        for offering in &of_catalogue.offerings {
            let of = |key: &str| one(&offering.requirements, key).map(Str::from);
            let (Some(zone), Some(capacity_type)) =
                (of(labels::ZONE), of(labels::CAPACITY_TYPE).and_then(|name| CapacityType::named(&name)))
            else {
                continue;
            };
            if capacity_type == CapacityType::OnDemand {
                on_demand_price.get_or_insert(offering.price.0);
            }
            let reservation =
                of(&catalogue.reservation_id_label).filter(|_| capacity_type == CapacityType::Reserved);
            if let Some(reservation) = &reservation {
                memory.set_reservation(reservation.clone(), offering.reservation_capacity);
            }
            // What made the catalogue's offering unavailable under the default node class was that its image does not run.
            let runs = offering.available || of_catalogue.name.starts_with("a1.");
            let sold = runs && fits && own_zones.contains(&zone);
            builder.take_over(
                &mut it,
                with_reservation_labels(offering, capacity_type),
                capacity_type,
                &zone,
                reservation,
                sold,
            );
        }
        if settings.reserved_capacity {
            let price = on_demand_price.map_or(0.0, |price: f64| price / RESERVED_DIVISOR);
            for reservation in builder.reservations_of(&of_catalogue.name) {
                let zone = &reservation.availability_zone;
                let active = reservation.state != Some(ReservationState::Expiring);
                let sold = fits && active && own_zones.contains(zone);
                let offered = OfferedIn { zone, sold, price };
                builder.offer(&mut it, CapacityType::Reserved, Some(reservation), &offered);
            }
        }
        types.push(it);
    }
    if !without_figures.is_empty() {
        assumptions.push(Assumption::Figures { instance_types: without_figures });
    }
    let mut unknown = Vec::new();
    for reservation in class.capacity_reservations() {
        match reservations.get(&reservation.id) {
            Some(free) => memory.set_reservation(reservation.id.clone(), *free),
            None => unknown.push(reservation.id.clone()),
        }
    }
    if !unknown.is_empty() {
        assumptions.push(Assumption::Reservations { ids: unknown });
    }
    let types = NodeClassTypes { types, placement_group: None, zones: builder.zones };
    Ok(OverCatalogue { class: Arc::new(class), types, memory, assumptions })
}

/// Reservations that a catalogue has of its own stay among what a type can be.
fn keep_reservations(it: &mut InstanceType, of_catalogue: &InstanceType) {
    for requirement in &mut it.requirements {
        let key = requirement.key.as_str();
        if key != labels::CAPACITY_TYPE && !aws_labels::RESERVATION.contains(&key) {
            continue;
        }
        let more = of_catalogue.requirements.iter().filter(|other| other.key == key);
        for value in more.flat_map(|other| &other.values) {
            if !requirement.values.contains(value) {
                requirement.values.push(value.clone());
                requirement.operator = Some(Operator::In);
            }
        }
        requirement.values.sort();
    }
}

/// Zones of a catalogue with their ids; where it has no ids, a zone's name is its id.
fn zone_ids(catalogue: &Catalogue) -> BTreeMap<Str, Str> {
    let mut zones: BTreeMap<Str, Str> = BTreeMap::new();
    for it in &catalogue.instance_types {
        for offering in &it.offerings {
            let Some(zone) = one(&offering.requirements, labels::ZONE) else { continue };
            let id = one(&offering.requirements, aws_labels::ZONE_ID);
            let known = zones.entry(zone.into()).or_insert_with(|| zone.into());
            if let Some(id) = id {
                *known = id.into();
            }
        }
    }
    zones
}

/// Zones in which a type of a catalogue is sold.
fn zones_of(it: &InstanceType) -> BTreeSet<Str> {
    it.offerings
        .iter()
        .filter_map(|offering| one(&offering.requirements, labels::ZONE))
        .map(Str::from)
        .collect()
}

/// The status that a node class's controller would find in a cluster where everything is in order.
fn assumed_status(class: &Ec2NodeClass, family: AmiFamily, zones: &BTreeMap<Str, Str>) -> Ec2NodeClassStatus {
    let subnets = zones
        .iter()
        .map(|(zone, id)| Subnet {
            id: format!("subnet-{zone}").into(),
            zone: zone.clone(),
            zone_id: id.clone(),
            ..Subnet::default()
        })
        .collect();
    let requirements = match family {
        AmiFamily::Windows { .. } => vec![requirement(labels::OS, ["windows".into()])],
        _ => Vec::new(),
    };
    Ec2NodeClassStatus {
        subnets,
        security_groups: vec![SecurityGroup { id: "sg-assumed".into(), ..SecurityGroup::default() }],
        amis: vec![Image { id: "ami-assumed".into(), requirements, ..Image::default() }],
        conditions: vec![NodeClassCondition {
            kind: "Ready".into(),
            status: "True".into(),
            observed_generation: class.metadata.generation,
            ..NodeClassCondition::default()
        }],
        ..Ec2NodeClassStatus::default()
    }
}

/// An offering that says of every label of reservations what it is, or that there is none.
fn with_reservation_labels(offering: &Offering, capacity_type: CapacityType) -> Offering {
    let mut offering = offering.clone();
    let reserved = capacity_type == CapacityType::Reserved;
    for (key, value) in [
        (aws_labels::RESERVATION_ID, None),
        (aws_labels::RESERVATION_TYPE, reserved.then(|| ReservationType::Default.as_str())),
        (aws_labels::RESERVATION_INTERRUPTIBLE, reserved.then_some("false")),
    ] {
        if !offering.requirements.iter().any(|requirement| requirement.key == key) {
            offering.requirements.push(requirement(key, value.map(Str::from)));
        }
    }
    offering
}
