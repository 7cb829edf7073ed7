//! A model of how EC2 Fleet chooses among the pools of a request.
//!
//! EC2 does not say how deep its pools are, so what it takes is modelled, by the strategy of the request:
//!
//! - `lowest-price` (on demand): the cheapest pool.
//! - `price-capacity-optimized` (spot): of the pools that are deepest by [`PoolDepth`], the cheapest.
//! - `capacity-optimized-prioritized` (spot): of the deepest, the one with the lowest priority number.
//! - `prioritized` (on demand): the one with the lowest priority number.
//! - reservations: the cheapest on demand of those with an instance left.
//!
//! Among equals the instance type that is first by name is taken, then the zone. Where nobody says otherwise all pools are
//! equally deep, and spot instances are launched where they are cheapest. A pool of depth 0 refuses.

use super::errors::{ApiError, NO_CAPACITY, RESERVATION_USED_UP};
use super::fleet::{CapacityType, Fleet, FleetAnswer, FleetRequest, Override, TemplateConfig};
use super::resolve::NodeClassTypes;
use crate::model::meta::Str;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How deep EC2's spot pools are: by instance type and zone, from 0 (empty) to 10. What is not named is 10 deep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolDepth(BTreeMap<(Str, Str), u8>);

impl PoolDepth {
    const DEEPEST: u8 = 10;

    /// Says how deep a pool is.
    pub fn set(&mut self, instance_type: impl Into<Str>, zone: impl Into<Str>, depth: u8) {
        self.0.insert((instance_type.into(), zone.into()), depth.min(Self::DEEPEST));
    }

    /// How deep a pool is.
    pub fn get(&self, instance_type: &Str, zone: &Str) -> u8 {
        self.0.get(&(instance_type.clone(), zone.clone())).copied().unwrap_or(Self::DEEPEST)
    }
}

/// EC2, as far as it is modelled.
#[derive(Debug, Clone, Default)]
pub struct ModelledFleet {
    /// How deep spot pools are.
    pub depths: PoolDepth,
    /// EC2's own prices, in dollars an hour, by type and zone.
    prices: BTreeMap<Str, Vec<(CapacityType, Str, f64)>>,
    /// Instances that reservations have left. Those that are not named have as many as are asked for.
    reservations: BTreeMap<Str, i64>,
}

impl ModelledFleet {
    /// EC2 as it sells the types of a node class.
    pub fn new(types: &NodeClassTypes, depths: PoolDepth) -> Self {
        let mut prices = BTreeMap::new();
        for it in &types.types {
            let offers = it.offers.iter().zip(&it.instance_type.offerings);
            let offers =
                offers.map(|(offer, offering)| (offer.capacity_type, offer.zone.clone(), offering.price.0));
            prices.insert(it.instance_type.name.clone(), offers.collect());
        }
        ModelledFleet { depths, prices, reservations: BTreeMap::new() }
    }

    /// Says how many instances a reservation has left.
    pub fn set_reservation(&mut self, reservation: impl Into<Str>, free: i64) {
        self.reservations.insert(reservation.into(), free);
    }

    fn price_usd_per_hour(&self, capacity_type: CapacityType, pool: &Override) -> f64 {
        // A reserved instance is paid for on demand.
        let listed =
            if capacity_type == CapacityType::Reserved { CapacityType::OnDemand } else { capacity_type };
        let of_type = self.prices.get(&pool.instance_type).map_or(&[][..], Vec::as_slice);
        let found = of_type.iter().find(|(of, zone, _)| *of == listed && *zone == pool.zone);
        found.map_or(0.0, |(_, _, price)| *price)
    }

    /// Why a pool refuses.
    fn refusal(
        &self,
        request: &FleetRequest,
        config: &TemplateConfig,
        pool: &Override,
    ) -> Option<&'static str> {
        let reservation = config.reservation.as_ref().and_then(|id| self.reservations.get(id));
        if reservation.is_some_and(|free| *free <= 0) {
            return Some(RESERVATION_USED_UP);
        }
        (self.depth(request, pool) == 0).then_some(NO_CAPACITY)
    }

    fn depth(&self, request: &FleetRequest, pool: &Override) -> u8 {
        match request.capacity_type {
            CapacityType::Spot => self.depths.get(&pool.instance_type, &pool.zone),
            CapacityType::OnDemand | CapacityType::Reserved => PoolDepth::DEEPEST,
        }
    }
}

impl Fleet for ModelledFleet {
    fn create(&mut self, request: &FleetRequest) -> Result<FleetAnswer, ApiError> {
        let cost = |pool: &Override| {
            if request.is_prioritized() {
                pool.priority
            } else {
                self.price_usd_per_hour(request.capacity_type, pool)
            }
        };
        let mut pools: Vec<(&TemplateConfig, &Override)> = request.pools().collect();
        pools.sort_by(|(a_config, a), (b_config, b)| {
            let deepest_first = self.depth(request, b).cmp(&self.depth(request, a));
            deepest_first.then_with(|| by_cost((cost(a), a_config, a), (cost(b), b_config, b)))
        });
        let mut answer = FleetAnswer::default();
        for (config, pool) in pools {
            if let Some(code) = self.refusal(request, config, pool) {
                answer.refuse(config, pool, code, "");
                continue;
            }
            answer.take(config, pool);
            if let Some(free) = config.reservation.as_ref().and_then(|id| self.reservations.get_mut(id)) {
                *free -= 1;
            }
            break;
        }
        Ok(answer)
    }
}

/// Cheaper pools first; among equals by instance type, zone, reservation.
pub(super) fn by_cost(
    (a_cost, a_config, a): (f64, &TemplateConfig, &Override),
    (b_cost, b_config, b): (f64, &TemplateConfig, &Override),
) -> Ordering {
    a_cost
        .total_cmp(&b_cost)
        .then_with(|| a.instance_type.cmp(&b.instance_type))
        .then_with(|| a.zone.cmp(&b.zone))
        .then_with(|| a_config.reservation.cmp(&b_config.reservation))
}
