//! Launch templates: which image, volumes and network a type is launched with, and the pools that go with each.

use super::ami_family::AmiFamily;
use super::candidates::{Candidate, Candidates};
use super::fleet::{CapacityType, Override, TemplateConfig, TemplateInterface, TemplateVolume};
use super::machine::EFA;
use super::node_class::{Ec2NodeClass, InterfaceType, ReservationType, Subnet};
use crate::model::meta::Str;
use crate::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// What all templates of a launch share.
pub(super) struct Terms<'a> {
    pub(super) class: &'a Ec2NodeClass,
    pub(super) family: AmiFamily,
    pub(super) capacity_type: CapacityType,
    pub(super) tenancy: &'static str,
    pub(super) placement_group: Option<Str>,
    pub(super) partition: Option<i64>,
    /// Whether the NodeClaim asks for EFA interfaces.
    pub(super) wants_efa: bool,
    /// Feature gate `ReservedCapacity`.
    pub(super) reserved_capacity: bool,
    /// By zone.
    pub(super) subnets: &'a BTreeMap<Str, Subnet>,
}

/// Types that are launched alike. They are told apart by image, EFA interfaces, pods (the kubelet is told the most) and
/// reservations, and stand in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness {
    image: Str,
    efa_interfaces: i64,
    pods: i64,
    reservations: String,
}

impl Terms<'_> {
    /// The templates of a launch. `image_of` gives a type's image; types without are left out. `is_asked` tells of an
    /// offering that can be had whether it is of the chosen capacity type and allowed by the claim.
    pub(super) fn templates(
        &self,
        candidates: &Candidates<'_>,
        image_of: impl Fn(&Candidate) -> Option<Str>,
        is_asked: impl Fn(&Candidate, usize) -> bool,
    ) -> Vec<TemplateConfig> {
        let mut groups: BTreeMap<Likeness, (Vec<Option<Str>>, Vec<&Candidate>)> = BTreeMap::new();
        for candidate in &candidates.left {
            let Some(image) = image_of(candidate) else { continue };
            let reservations = self.reservations(candidates, candidate);
            let likeness = Likeness {
                image,
                efa_interfaces: if self.wants_efa { candidate.count(EFA) } else { 0 },
                pods: candidate.count("pods"),
                reservations: reservations.iter().flatten().map(Str::as_str).collect::<Vec<_>>().join(","),
            };
            groups.entry(likeness).or_insert_with(|| (reservations, Vec::new())).1.push(candidate);
        }
        let mut configs = Vec::new();
        for (likeness, (reservations, group)) in groups {
            for reservation in reservations {
                let overrides = self.overrides(candidates, &group, reservation.as_ref(), &is_asked);
                if !overrides.is_empty() {
                    let special = group.first().and_then(|candidate| self.market(candidates, candidate));
                    configs.push(self.config(&likeness, reservation, special, overrides));
                }
            }
        }
        configs
    }

    /// The reservations to launch a type into, each by a template of its own; just none for other capacity types.
    fn reservations(&self, candidates: &Candidates<'_>, candidate: &Candidate) -> Vec<Option<Str>> {
        if self.capacity_type != CapacityType::Reserved {
            return vec![None];
        }
        let offers = candidate.offers.iter().map(|offer| candidates.offer(candidate, offer));
        offers.filter_map(|offer| offer.reservation.as_ref()).map(|of| Some(of.id.clone())).collect()
    }

    /// The special market of a type's reservations.
    fn market(&self, candidates: &Candidates<'_>, candidate: &Candidate) -> Option<&'static str> {
        if self.capacity_type != CapacityType::Reserved || !self.reserved_capacity {
            return None;
        }
        let mut offers = candidate.offers.iter().map(|offer| candidates.offer(candidate, offer));
        let reservation = offers.find_map(|offer| offer.reservation.as_ref())?;
        match (reservation.kind, reservation.interruptible) {
            (ReservationType::CapacityBlock, _) => Some("capacity-block"),
            (ReservationType::Default, true) => Some("interruptible-capacity-reservation"),
            (ReservationType::Default, false) => None,
        }
    }

    /// Pools: type by type, each offering that is asked for, once a zone.
    fn overrides(
        &self,
        candidates: &Candidates<'_>,
        group: &[&Candidate],
        reservation: Option<&Str>,
        is_asked: impl Fn(&Candidate, usize) -> bool,
    ) -> Vec<Override> {
        let mut overrides = Vec::new();
        for candidate in group {
            let mut seen: BTreeSet<&Str> = BTreeSet::new();
            for offer in candidate.offers.iter().filter(|offer| offer.available) {
                let of = candidates.offer(candidate, offer);
                let in_reservation = reservation.is_none_or(|id| {
                    of.reservation.as_ref().is_some_and(|reservation| reservation.id == *id)
                });
                if !in_reservation || !is_asked(candidate, offer.at) || !seen.insert(&of.zone) {
                    continue;
                }
                if let Some(subnet) = self.subnets.get(&of.zone) {
                    overrides.push(Override {
                        instance_type: candidates.name(candidate).clone(),
                        zone: subnet.zone.clone(),
                        subnet: subnet.id.clone(),
                        priority: offer.price,
                    });
                }
            }
        }
        overrides
    }

    fn config(
        &self,
        likeness: &Likeness,
        reservation: Option<Str>,
        market_type: Option<&'static str>,
        overrides: Vec<Override>,
    ) -> TemplateConfig {
        let preference = match self.capacity_type {
            CapacityType::Reserved => "capacity-reservations-only",
            // Open reservations are not to be used by chance.
            CapacityType::OnDemand | CapacityType::Spot => "none",
        };
        TemplateConfig {
            image: likeness.image.clone(),
            max_pods: self.class.spec.kubelet.max_pods.unwrap_or(likeness.pods),
            tenancy: self.tenancy,
            placement_group: self.placement_group.clone(),
            partition: self.partition,
            reservation,
            reservation_preference: self.reserved_capacity.then_some(preference),
            market_type,
            network_interfaces: self.network_interfaces(likeness.efa_interfaces),
            volumes: self.volumes(),
            overrides,
        }
    }

    fn network_interfaces(&self, efa_interfaces: i64) -> Vec<TemplateInterface> {
        match self.class.spec.network_interfaces.as_deref() {
            Some(interfaces) if !interfaces.is_empty() => interfaces
                .iter()
                .map(|interface| TemplateInterface {
                    card: interface.network_card_index,
                    device: interface.device_index,
                    kind: interface.interface_type.map_or("", InterfaceType::as_str),
                })
                .collect(),
            // One a card; the first card's is the instance's main one.
            _ => (0..efa_interfaces)
                .map(|card| TemplateInterface { card, device: i64::from(card > 0), kind: "efa" })
                .collect(),
        }
    }

    fn volumes(&self) -> Vec<TemplateVolume> {
        let mappings = &self.class.spec.block_device_mappings;
        if mappings.is_empty() {
            let defaults = self.family.default_volumes().iter();
            return defaults
                .map(|volume| TemplateVolume { device: volume.device.into(), gib: Some(volume.gib) })
                .collect();
        }
        mappings
            .iter()
            .map(|mapping| TemplateVolume {
                device: mapping.device_name.clone(),
                gib: mapping.ebs.volume_size.map(whole_gib),
            })
            .collect()
    }
}

/// Whole GiB, rounded up.
fn whole_gib(size: Quantity) -> i64 {
    const NANOS_PER_GIB: i128 = 1_000_000_000 << 30;
    let gib =
        size.nanos().div_euclid(NANOS_PER_GIB) + i128::from(size.nanos().rem_euclid(NANOS_PER_GIB) != 0);
    i64::try_from(gib).unwrap_or(i64::MAX)
}
