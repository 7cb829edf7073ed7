//! The instance types of a launch, and what the filters leave of them.
//!
//! Before EC2 is asked, six filters in this order take away types, and offerings of types: what the NodeClaim cannot be;
//! all but one kind of reservation, and of capacity blocks all but one; all but the reservation with most room in each
//! zone; GPUs, accelerators and bare metal, if something plainer is left; spot offerings that cost more than the cheapest
//! on-demand offering. Where nothing else decides, types stand in order of their names, and offerings as they were
//! resolved.

use super::fleet::CapacityType;
use super::labels;
use super::node_class::ReservationType;
use super::resolve::{NodeClassTypes, Offer, ResolvedType};
use crate::go_sort::sort_slice;
use crate::kubernetes::requests::RawAmounts;
use crate::model::meta::Str;
use std::collections::BTreeMap;

/// More types than this are not sent to EC2.
pub(super) const TYPES_MAX: usize = 60;

/// Resources whose types are launched only if nothing plainer will do.
const EXOTIC_RESOURCES: [&str; 5] = [
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "amd.com/gpu",
    "nvidia.com/gpu",
    "habana.ai/gaudi",
];

/// An offering of a candidate, as it is at the time of the launch.
#[derive(Debug, Clone)]
pub(super) struct CandidateOffer {
    /// Its place among the type's.
    pub(super) at: usize,
    /// To Karpenter, in dollars an hour: after NodeOverlays.
    pub(super) price: f64,
    pub(super) available: bool,
    /// Whether the NodeClaim allows it.
    pub(super) compatible: bool,
    /// How many instances its reservation has left.
    free: i64,
}

/// An instance type that may be launched.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its place among the node class's.
    pub(super) of: usize,
    /// All it has, after NodeOverlays.
    pub(super) capacity: RawAmounts,
    pub(super) offers: Vec<CandidateOffer>,
}

impl Candidate {
    /// So many of a resource.
    pub(super) fn count(&self, resource: &str) -> i64 {
        self.capacity.get(resource).map_or(0, |amount| amount.units_rounded_up())
    }

    fn with(&self, offers: Vec<CandidateOffer>) -> Self {
        Candidate { of: self.of, capacity: self.capacity.clone(), offers }
    }
}

impl CandidateOffer {
    pub(super) fn new(at: usize, price: f64, (available, free): (bool, i64), compatible: bool) -> Self {
        CandidateOffer { at, price, available, compatible, free }
    }

    fn can_be_had(&self) -> bool {
        self.available && self.compatible
    }
}

/// What the NodeClaim says that filters ask about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) on_demand: bool,
    pub(super) spot: bool,
    pub(super) reserved: bool,
    pub(super) min_values: bool,
}

/// The candidates of a launch.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    pub(super) types: &'a NodeClassTypes,
    pub(super) left: Vec<Candidate>,
}

/// Reservations of which one request can hold but one kind, in order of preference among equally cheap ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ReservationGroup {
    Default,
    CapacityBlock,
    Interruptible,
}

impl ReservationGroup {
    fn of(offer: &Offer) -> Option<Self> {
        let reservation = offer.reservation.as_ref()?;
        Some(match (reservation.kind, reservation.interruptible) {
            (ReservationType::CapacityBlock, _) => ReservationGroup::CapacityBlock,
            (ReservationType::Default, false) => ReservationGroup::Default,
            (ReservationType::Default, true) => ReservationGroup::Interruptible,
        })
    }
}

impl Candidates<'_> {
    pub(super) fn resolved(&self, candidate: &Candidate) -> &ResolvedType {
        &self.types.types[candidate.of]
    }

    pub(super) fn offer(&self, candidate: &Candidate, offer: &CandidateOffer) -> &Offer {
        &self.resolved(candidate).offers[offer.at]
    }

    pub(super) fn name(&self, candidate: &Candidate) -> &Str {
        &self.resolved(candidate).instance_type.name
    }

    pub(super) fn names(&self) -> Vec<Str> {
        self.left.iter().map(|candidate| self.name(candidate).clone()).collect()
    }

    /// Applies all filters but the first, which made the candidates. Tells which types each took away.
    pub(super) fn filter(&mut self, asked: Asked) -> Vec<(&'static str, Vec<Str>)> {
        let mut rejected = Vec::new();
        let filters: [(&'static str, fn(&mut Self, Asked)); 5] = [
            ("capacity-reservation-type-filter", Self::keep_one_kind_of_reservation),
            ("capacity-block-filter", Self::keep_one_capacity_block),
            ("reserved-offering-filter", Self::keep_one_reservation_a_zone),
            ("exotic-instance-filter", Self::drop_exotic),
            ("spot-offering-filter", Self::drop_dear_spot),
        ];
        for (name, filter) in filters {
            let before = self.names();
            filter(self, asked);
            let after = self.names();
            let mut gone: Vec<Str> = before.into_iter().filter(|name| !after.contains(name)).collect();
            if !gone.is_empty() {
                gone.sort();
                rejected.push((name, gone));
            }
        }
        rejected
    }

    /// A request can ask for one market alone. The group with the cheapest reservation stays, and of its types only the
    /// group's offerings; without any reservation to be had all stays as it is.
    fn keep_one_kind_of_reservation(&mut self, asked: Asked) {
        if !asked.reserved {
            return;
        }
        let mut cheapest: BTreeMap<ReservationGroup, f64> = BTreeMap::new();
        for candidate in &self.left {
            for offer in candidate.offers.iter().filter(|offer| offer.can_be_had()) {
                if let Some(group) = ReservationGroup::of(self.offer(candidate, offer)) {
                    let price = cheapest.entry(group).or_insert(f64::MAX);
                    *price = price.min(offer.price);
                }
            }
        }
        let chosen = cheapest.iter().min_by(|a, b| a.1.total_cmp(b.1).then(a.0.cmp(b.0)));
        let Some((&chosen, _)) = chosen else { return };
        let types = self.types;
        let in_group = |candidate: &Candidate, offer: &CandidateOffer| {
            ReservationGroup::of(&types.types[candidate.of].offers[offer.at]) == Some(chosen)
        };
        self.left.retain(|candidate| {
            candidate.offers.iter().any(|offer| offer.can_be_had() && in_group(candidate, offer))
        });
        for candidate in &mut self.left {
            let kept = candidate.offers.iter().filter(|offer| in_group(candidate, offer)).cloned().collect();
            candidate.offers = kept;
        }
    }

    /// A request can ask for one capacity block alone: the cheapest, or the first of the cheapest.
    fn keep_one_capacity_block(&mut self, asked: Asked) {
        let first = self.left.iter().find_map(|candidate| Some((candidate, candidate.offers.first()?)));
        let are_blocks = first.is_some_and(|(candidate, offer)| {
            ReservationGroup::of(self.offer(candidate, offer)) == Some(ReservationGroup::CapacityBlock)
        });
        if !asked.reserved || !are_blocks {
            return;
        }
        let mut chosen: Option<Candidate> = None;
        for candidate in &self.left {
            let blocks = candidate.offers.iter().filter(|offer| offer.can_be_had());
            // `min_by` takes the first of equals.
            let Some(block) = blocks.min_by(|a, b| a.price.total_cmp(&b.price)) else { continue };
            let is_cheaper = |chosen: &Candidate| chosen.offers.iter().all(|known| block.price < known.price);
            if chosen.as_ref().is_none_or(is_cheaper) {
                chosen = Some(candidate.with(vec![block.clone()]));
            }
        }
        self.left = chosen.into_iter().collect();
    }

    /// A request can name a pool once: of several reservations of a type in a zone the one with most instances left stays,
    /// the first of equals. Types without any go, unless all are.
    fn keep_one_reservation_a_zone(&mut self, asked: Asked) {
        if !asked.reserved {
            return;
        }
        let mut kept = Vec::new();
        for candidate in &self.left {
            let mut by_zone: BTreeMap<&Str, &CandidateOffer> = BTreeMap::new();
            for offer in candidate.offers.iter().filter(|offer| offer.can_be_had()) {
                let of = self.offer(candidate, offer);
                if of.reservation.is_none() {
                    continue;
                }
                let best = by_zone.entry(&of.zone).or_insert(offer);
                if offer.free > best.free {
                    *best = offer;
                }
            }
            if !by_zone.is_empty() {
                kept.push(candidate.with(by_zone.into_values().cloned().collect()));
            }
        }
        if !kept.is_empty() {
            self.left = kept;
        }
    }

    /// GPUs, accelerators and bare metal go if another type is left. A claim with `minValues` has chosen them.
    fn drop_exotic(&mut self, asked: Asked) {
        if asked.min_values {
            return;
        }
        let types = self.types;
        let is_plain = |candidate: &Candidate| !is_exotic(&types.types[candidate.of], candidate);
        if self.left.iter().any(is_plain) {
            self.left.retain(is_plain);
        }
    }

    /// A claim that may be on demand does not pay more for spot than the cheapest of all its types costs on demand.
    fn drop_dear_spot(&mut self, asked: Asked) {
        if asked.min_values || !asked.on_demand || !asked.spot {
            return;
        }
        let this = &*self;
        let prices = |wanted: CapacityType| -> Vec<f64> {
            let all = this.left.iter().flat_map(|candidate| {
                candidate.offers.iter().map(move |offer| (offer, this.offer(candidate, offer)))
            });
            all.filter(|(offer, of)| offer.can_be_had() && of.capacity_type == wanted)
                .map(|(offer, _)| offer.price)
                .collect()
        };
        let cheapest = prices(CapacityType::OnDemand).into_iter().min_by(f64::total_cmp);
        let Some(cheapest) = cheapest.filter(|_| !prices(CapacityType::Spot).is_empty()) else { return };
        let types = self.types;
        for candidate in &mut self.left {
            let offers = &types.types[candidate.of].offers;
            candidate.offers.retain(|offer| {
                offers[offer.at].capacity_type != CapacityType::Spot || offer.price <= cheapest
            });
        }
        self.left.retain(|candidate| !candidate.offers.is_empty());
    }

    /// The cheapest first, by the cheapest offering that can be had; no more than a request takes. Among equals Go's
    /// sort decides.
    pub(super) fn truncate(&mut self) {
        let price = |candidate: &Candidate| {
            let prices = candidate.offers.iter().filter(|offer| offer.can_be_had()).map(|offer| offer.price);
            prices.fold(f64::MAX, f64::min)
        };
        let mut priced: Vec<(f64, Candidate)> =
            self.left.drain(..).map(|candidate| (price(&candidate), candidate)).collect();
        sort_slice(&mut priced, |a, b| a.0 < b.0);
        priced.truncate(TYPES_MAX);
        self.left = priced.into_iter().map(|(_, candidate)| candidate).collect();
    }
}

/// Whether a type is launched only if nothing plainer will do. GPUs that are fractions count none.
fn is_exotic(it: &ResolvedType, candidate: &Candidate) -> bool {
    let requirements = &it.instance_type.requirements;
    let size = requirements.iter().find(|requirement| requirement.key == labels::INSTANCE_SIZE);
    size.is_some_and(|size| size.values.iter().any(|size| size.contains("metal")))
        || EXOTIC_RESOURCES
            .iter()
            .any(|resource| candidate.capacity.get(*resource).is_some_and(|count| !count.is_zero()))
}
