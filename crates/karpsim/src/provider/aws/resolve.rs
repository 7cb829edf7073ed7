//! What an EC2NodeClass makes of the machines of its region: instance types with offerings.
//!
//! Two ways lead here: [`resolve`] from EC2's own answers, and [`of_catalogue`](super::of_catalogue()) from a
//! catalogue. Most of it stays as it is while nodes are launched. What does not (pools that could not be had, reservations
//! that are used up) is in [`Memory`] and is looked up for each [`Offer`] when it is asked for: resolving a thousand types
//! takes some ten milliseconds, looking up some microseconds a type.

use super::ami_family::AmiFamily;
use super::capacity::{efa_only, figures};
use super::compatibility;
use super::fleet::CapacityType;
use super::labels as aws_labels;
use super::machine::{DEVICES, EFA, Machine, PRIVATE_IPV4_ADDRESS, TENANCIES, requirement};
use super::memory::Memory;
use super::node_class::{CapacityReservation, Ec2NodeClass, ReservationState, ReservationType, Zone};
use super::region::{PlacementGroup, Region};
use super::settings::ProviderSettings;
use crate::catalogue::{InstanceType, Offering, Price};
use crate::kubernetes::labels;
use crate::model::core::NodeSelectorRequirement;
use crate::model::meta::Str;
use crate::provider::capacity::CapacityError;
use crate::quantity::Quantity;
use std::collections::BTreeSet;

/// Karpenter takes reserved instances for paid: they cost next to nothing, but are still ordered by their price.
pub(super) const RESERVED_DIVISOR: f64 = 10_000_000.0;

/// Why a node class has no instance types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Its selectors find no subnets.
    #[error("no subnets found")]
    NoSubnets,
    /// A figure cannot be derived.
    #[error(transparent)]
    Capacity(#[from] CapacityError),
}

/// A reservation that an offering is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReservationOfOffer {
    pub(super) id: Str,
    pub(super) kind: ReservationType,
    pub(super) interruptible: bool,
}

/// An offering, as far as the launch looks at it. It stands in the place of an offering of the instance type.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) capacity_type: CapacityType,
    pub(super) zone: Str,
    pub(super) reservation: Option<ReservationOfOffer>,
    /// Whether it could be had if only EC2 had never refused it.
    pub(super) sold: bool,
    /// The place of its zone among the node class's.
    zone_index: Option<usize>,
}

/// An instance type of a node class.
#[derive(Debug, Clone)]
pub(super) struct ResolvedType {
    /// The type. Of its offerings `available` and `reservation_capacity` are left to [`NodeClassTypes`].
    pub(super) instance_type: InstanceType,
    /// Its offerings once more, in the same order.
    pub(super) offers: Vec<Offer>,
}

impl ResolvedType {
    /// A type without offerings.
    pub(super) fn of(instance_type: InstanceType) -> Self {
        ResolvedType { instance_type, offers: Vec::new() }
    }
}

/// The instance types of a node class.
#[derive(Debug, Clone)]
pub struct NodeClassTypes {
    pub(super) types: Vec<ResolvedType>,
    pub(super) placement_group: Option<PlacementGroup>,
    pub(super) zones: Vec<Zone>,
}

impl NodeClassTypes {
    /// Whether an offering can be had, and how many instances its reservation has left.
    pub(super) fn state(
        &self,
        it: &ResolvedType,
        offer: &Offer,
        memory: &Memory,
        now_nanos: i64,
    ) -> (bool, i64) {
        if let Some(reservation) = &offer.reservation {
            let free = memory.reservation(&reservation.id);
            return (offer.sold && free != 0, free);
        }
        let subnets =
            offer.zone_index.and_then(|at| self.zones.get(at)).map_or(&[][..], |zone| &zone.subnets);
        let group = self.placement_group.as_ref().map(|group| group.id.as_str());
        let refused = || {
            let name = &it.instance_type.name;
            memory.is_unavailable(offer.capacity_type, name, &offer.zone, subnets, group, now_nanos)
        };
        (offer.sold && !refused(), 0)
    }

    /// The instance types as core is offered them now, in order of their names.
    pub fn instance_types(&self, memory: &Memory, now_nanos: i64) -> Vec<InstanceType> {
        let mut instance_types = Vec::with_capacity(self.types.len());
        for it in &self.types {
            let mut instance_type = it.instance_type.clone();
            for (offering, offer) in instance_type.offerings.iter_mut().zip(&it.offers) {
                (offering.available, offering.reservation_capacity) =
                    self.state(it, offer, memory, now_nanos);
            }
            instance_types.push(instance_type);
        }
        instance_types
    }
}

/// Resolves the instance types of `class` in `region`.
///
/// # Errors
///
/// If the node class has no subnets, or a field of it is not understood.
pub fn resolve(
    class: &Ec2NodeClass,
    region: &Region,
    settings: &ProviderSettings,
) -> Result<NodeClassTypes, ResolveError> {
    let zones = class.zones();
    if zones.is_empty() {
        return Err(ResolveError::NoSubnets);
    }
    let builder = Builder::new(class, &region.name, zones, region.placement_group_of(class), settings)?;
    let all_zones = region.zones();
    let mut types = Vec::with_capacity(region.machines.len());
    for machine in region.machines.values() {
        let nowhere = BTreeSet::new();
        let sold_in = region.zones_of.get(&machine.name).unwrap_or(&nowhere);
        let own_zones = builder.zones_among(sold_in);
        let mut it = builder.instance_type(machine, &own_zones)?;
        if let Some(memory) = region.discovered_memory.get(&machine.name) {
            it.instance_type.capacity.insert("memory", *memory);
        }
        let fits = builder.fits(machine);
        let prices = region.prices.get(&machine.name);
        let overlay_price = region.overlay_prices.get(&machine.name).copied();
        for zone in &all_zones {
            for capacity_type in machine.capacity_types() {
                let known = prices.and_then(|prices| match capacity_type {
                    CapacityType::Spot => prices.spot.get(*zone).copied(),
                    CapacityType::OnDemand | CapacityType::Reserved => prices.on_demand,
                });
                let price = known.or(overlay_price);
                let offered = OfferedIn {
                    zone,
                    sold: fits
                        && price.is_some()
                        && own_zones.contains(*zone)
                        && !builder.is_shifted(zone, region),
                    price: price.unwrap_or(0.0),
                };
                builder.offer(&mut it, capacity_type, None, &offered);
            }
        }
        if settings.reserved_capacity {
            let price =
                prices.and_then(|prices| prices.on_demand).map_or(0.0, |price| price / RESERVED_DIVISOR);
            for reservation in builder.reservations_of(&machine.name) {
                let zone = &reservation.availability_zone;
                let offered = OfferedIn {
                    zone,
                    sold: fits
                        && own_zones.contains(zone)
                        && reservation.state != Some(ReservationState::Expiring)
                        && !builder.is_shifted(zone, region),
                    price,
                };
                builder.offer(&mut it, CapacityType::Reserved, Some(reservation), &offered);
            }
        }
        types.push(it);
    }
    Ok(NodeClassTypes { types, placement_group: builder.placement_group, zones: builder.zones })
}

impl Region {
    /// The placement group that a node class selects, by id or else by name. A selector that finds none is as none.
    pub(super) fn placement_group_of(&self, class: &Ec2NodeClass) -> Option<PlacementGroup> {
        let selector = class.spec.placement_group_selector.as_ref()?;
        let is_selected = |group: &&PlacementGroup| {
            if selector.id.is_empty() { group.name == selector.name } else { group.id == selector.id }
        };
        self.placement_groups.iter().find(is_selected).cloned()
    }
}

impl Machine {
    /// The capacity types that EC2 sells it with, in order.
    pub(super) fn capacity_types(&self) -> impl Iterator<Item = CapacityType> + use<> {
        let on_demand = self.on_demand.then_some(CapacityType::OnDemand);
        on_demand.into_iter().chain(self.spot.then_some(CapacityType::Spot))
    }
}

/// Where and at which price an offering stands.
pub(super) struct OfferedIn<'a> {
    pub(super) zone: &'a Str,
    pub(super) sold: bool,
    pub(super) price: f64,
}

/// What is the same for all types of a node class.
pub(super) struct Builder<'a> {
    class: &'a Ec2NodeClass,
    region: &'a Str,
    family: AmiFamily,
    settings: &'a ProviderSettings,
    pub(super) zones: Vec<Zone>,
    pub(super) placement_group: Option<PlacementGroup>,
    partitions: Vec<Str>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        class: &'a Ec2NodeClass,
        region: &'a Str,
        zones: Vec<Zone>,
        placement_group: Option<PlacementGroup>,
        settings: &'a ProviderSettings,
    ) -> Result<Self, ResolveError> {
        let family = class.ami_family()?;
        let partitions = placement_group.as_ref().map(PlacementGroup::partitions).unwrap_or_default();
        Ok(Builder { class, region, family, settings, zones, placement_group, partitions })
    }

    /// The zones in which the node class has subnets and `sold_in` sells.
    pub(super) fn zones_among(&self, sold_in: &BTreeSet<Str>) -> BTreeSet<Str> {
        self.zones.iter().map(|zone| &zone.name).filter(|name| sold_in.contains(*name)).cloned().collect()
    }

    pub(super) fn fits(&self, machine: &Machine) -> bool {
        compatibility::fits(machine, &self.class.spec, self.family, self.placement_group.as_ref())
    }

    pub(super) fn reservations_of(
        &self,
        instance_type: &Str,
    ) -> impl Iterator<Item = &'a CapacityReservation> {
        let all = self.class.capacity_reservations();
        all.iter().filter(move |reservation| reservation.instance_type == *instance_type)
    }

    fn zone_index(&self, zone: &Str) -> Option<usize> {
        self.zones.iter().position(|known| known.name == *zone)
    }

    fn is_shifted(&self, zone: &Str, region: &Region) -> bool {
        let zone = self.zone_index(zone).and_then(|at| self.zones.get(at));
        zone.is_some_and(|zone| region.shifted_zone_ids.contains(&zone.id))
    }

    /// The type without offerings.
    pub(super) fn instance_type(
        &self,
        machine: &Machine,
        zones: &BTreeSet<Str>,
    ) -> Result<ResolvedType, CapacityError> {
        let figures = figures(&machine.facts, self.class, &self.settings.capacity)?;
        let mut instance_type = InstanceType {
            name: machine.name.clone(),
            requirements: self.requirements(machine, zones),
            capacity: machine.devices.clone(),
            ..InstanceType::default()
        };
        // What a type has none of can still be reserved, and then it lacks it.
        for device in DEVICES {
            if instance_type.capacity.get(device).is_none() {
                instance_type.capacity.insert(device, Quantity::ZERO);
            }
        }
        if self.class.spec.network_interfaces.is_some() {
            let count = efa_only(&self.class.spec, None);
            instance_type.capacity.insert(EFA, Quantity::from_units(count));
        }
        if self.is_windows() && machine.is_amd64() {
            let addresses = machine.facts.ipv4_addresses_per_interface.unwrap_or(1) - 1;
            instance_type.capacity.insert(PRIVATE_IPV4_ADDRESS, Quantity::from_units(addresses));
        }
        figures.put_into(&mut instance_type);
        Ok(ResolvedType::of(instance_type))
    }

    fn is_windows(&self) -> bool {
        matches!(self.family, AmiFamily::Windows { .. })
    }

    pub(super) fn requirements(
        &self,
        machine: &Machine,
        zones: &BTreeSet<Str>,
    ) -> Vec<NodeSelectorRequirement> {
        let mut requirements: Vec<NodeSelectorRequirement> =
            machine.labels().map(|(key, value)| requirement(key, value.cloned())).collect();
        let reservations: Vec<&CapacityReservation> = self.reservations_of(&machine.name).collect();
        let mut capacity_types: BTreeSet<Str> =
            machine.capacity_types().map(|capacity_type| capacity_type.as_str().into()).collect();
        if !reservations.is_empty() {
            capacity_types.insert(labels::RESERVED.into());
        }
        let set_of = |value: fn(&CapacityReservation) -> Str| -> BTreeSet<Str> {
            reservations.iter().map(|reservation| value(reservation)).collect()
        };
        let (os, build) = match self.family {
            AmiFamily::Windows { build } => (machine.is_amd64().then_some("windows"), Some(build)),
            _ => (Some("linux"), None),
        };
        let zone_ids: BTreeSet<Str> =
            self.zones.iter().filter(|zone| zones.contains(&zone.name)).map(|zone| zone.id.clone()).collect();
        requirements.extend([
            requirement(labels::CAPACITY_TYPE, capacity_types),
            requirement(labels::OS, os.map(Str::from)),
            requirement(labels::WINDOWS_BUILD, build.map(Str::from)),
            requirement(labels::REGION, [self.region.clone()]),
            requirement(labels::ZONE, zones.iter().cloned()),
            requirement(aws_labels::INSTANCE_TENANCY, TENANCIES.map(Str::from)),
            requirement(aws_labels::RESERVATION_ID, set_of(|reservation| reservation.id.clone())),
            requirement(
                aws_labels::RESERVATION_TYPE,
                set_of(|reservation| reservation.kind().as_str().into()),
            ),
            requirement(
                aws_labels::RESERVATION_INTERRUPTIBLE,
                set_of(|reservation| reservation.interruptible.to_string().into()),
            ),
        ]);
        if !zone_ids.is_empty() {
            requirements.push(requirement(aws_labels::ZONE_ID, zone_ids));
        }
        if let Some(group) = &self.placement_group {
            requirements.push(requirement(aws_labels::PLACEMENT_GROUP_ID, [group.id.clone()]));
            if !self.partitions.is_empty() {
                let mut partitions = self.partitions.clone();
                partitions.sort();
                requirements.push(requirement(aws_labels::PLACEMENT_GROUP_PARTITION, partitions));
            }
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        requirements
    }

    /// Adds an offering, once for each partition of the placement group.
    pub(super) fn offer(
        &self,
        it: &mut ResolvedType,
        capacity_type: CapacityType,
        reservation: Option<&CapacityReservation>,
        offered: &OfferedIn<'_>,
    ) {
        let zone_index = self.zone_index(offered.zone);
        let of_reservation = |value: fn(&CapacityReservation) -> Str| reservation.map(value);
        let mut requirements = vec![
            requirement(labels::CAPACITY_TYPE, [capacity_type.as_str().into()]),
            requirement(labels::ZONE, [offered.zone.clone()]),
            requirement(aws_labels::RESERVATION_ID, of_reservation(|reservation| reservation.id.clone())),
            requirement(
                aws_labels::RESERVATION_TYPE,
                of_reservation(|reservation| reservation.kind().as_str().into()),
            ),
            requirement(
                aws_labels::RESERVATION_INTERRUPTIBLE,
                of_reservation(|reservation| reservation.interruptible.to_string().into()),
            ),
        ];
        if let Some(zone) = zone_index.and_then(|at| self.zones.get(at)) {
            requirements.push(requirement(aws_labels::ZONE_ID, [zone.id.clone()]));
        }
        let offering = Offering { requirements, price: Price(offered.price), ..Offering::default() };
        let offer = Offer {
            capacity_type,
            zone: offered.zone.clone(),
            reservation: reservation.map(|reservation| ReservationOfOffer {
                id: reservation.id.clone(),
                kind: reservation.kind(),
                interruptible: reservation.interruptible,
            }),
            sold: offered.sold,
            zone_index,
        };
        self.push(it, offering, offer);
    }

    /// Adds an offering of a catalogue.
    pub(super) fn take_over(
        &self,
        it: &mut ResolvedType,
        offering: Offering,
        capacity_type: CapacityType,
        zone: &Str,
        reservation: Option<Str>,
        sold: bool,
    ) {
        let reservation = reservation.map(|id| ReservationOfOffer {
            id,
            kind: ReservationType::Default,
            interruptible: false,
        });
        let zone_index = self.zone_index(zone);
        self.push(it, offering, Offer { capacity_type, zone: zone.clone(), reservation, sold, zone_index });
    }

    /// Adds an offering as often as there are partitions, with its requirements in order.
    fn push(&self, it: &mut ResolvedType, offering: Offering, offer: Offer) {
        let mut add = |partition: Option<&Str>| {
            let mut offering = offering.clone();
            if let Some(partition) = partition {
                offering
                    .requirements
                    .push(requirement(aws_labels::PLACEMENT_GROUP_PARTITION, [partition.clone()]));
            }
            offering.requirements.sort_by(|a, b| a.key.cmp(&b.key));
            it.instance_type.offerings.push(offering);
            it.offers.push(offer.clone());
        };
        if self.partitions.is_empty() {
            add(None);
        } else {
            self.partitions.iter().for_each(|partition| add(Some(partition)));
        }
    }
}
