//! The rule that stands for EC2 in a scenario.

use super::text::{ApiErrorText, FleetText, RefusalText};
use crate::model::meta::Str;
use crate::provider::aws::allocation::by_cost;
use crate::provider::aws::errors::{ApiError, RESERVATION_USED_UP};
use crate::provider::aws::fleet::{CapacityType, Fleet, FleetAnswer, FleetRequest, Override, TemplateConfig};
use crate::provider::aws::region::Prices;
use std::collections::{BTreeMap, VecDeque};

/// Pools are tried by price, then instance type, zone, reservation, until one takes the instance.
pub(super) struct RecordedFleet<'a> {
    prices: &'a BTreeMap<Str, Prices>,
    /// What reservations have left.
    reservations: BTreeMap<Str, i64>,
    api_errors: VecDeque<ApiErrorText>,
    refuse: Vec<RefusalText>,
}

impl<'a> RecordedFleet<'a> {
    /// At first EC2 counts what the controller believes.
    pub(super) fn new(prices: &'a BTreeMap<Str, Prices>, reservations: &BTreeMap<Str, i64>) -> Self {
        RecordedFleet {
            prices,
            reservations: reservations.clone(),
            api_errors: VecDeque::new(),
            refuse: Vec::new(),
        }
    }

    /// How the next launch is answered.
    pub(super) fn next(&mut self, text: &FleetText) {
        self.api_errors = text.api_errors.iter().cloned().collect();
        self.refuse.clone_from(&text.refuse);
        self.reservations.extend(text.reservations.iter().map(|(id, free)| (id.clone(), *free)));
    }

    /// The code and the words that a pool refuses with.
    fn refusal(
        &self,
        request: &FleetRequest,
        config: &TemplateConfig,
        pool: &Override,
    ) -> Option<(Str, Str)> {
        let fits = |wanted: &Option<Str>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let rule = self.refuse.iter().find(|rule| {
            fits(&rule.capacity_type, request.capacity_type.as_str())
                && fits(&rule.instance_type, &pool.instance_type)
                && fits(&rule.zone, &pool.zone)
                && fits(&rule.subnet, &pool.subnet)
                && fits(&rule.reservation, config.reservation.as_deref().unwrap_or_default())
        });
        if let Some(rule) = rule {
            return Some((rule.code.clone(), rule.message.clone()));
        }
        let reservation = config.reservation.as_ref()?;
        let free = self.reservations.get(reservation).copied().unwrap_or(0);
        (free <= 0).then(|| (RESERVATION_USED_UP.into(), Str::default()))
    }
}

impl Fleet for RecordedFleet<'_> {
    fn create(&mut self, request: &FleetRequest) -> Result<FleetAnswer, ApiError> {
        if let Some(error) = self.api_errors.pop_front() {
            return Err(ApiError { code: error.code.into(), message: error.message.into() });
        }
        let cost = |pool: &Override| {
            if request.is_prioritized() {
                pool.priority
            } else {
                price(self.prices, request.capacity_type, &pool.instance_type, &pool.zone)
            }
        };
        let mut pools: Vec<(&TemplateConfig, &Override)> = request.pools().collect();
        pools.sort_by(|(a_config, a), (b_config, b)| by_cost((cost(a), a_config, a), (cost(b), b_config, b)));
        let mut answer = FleetAnswer::default();
        for (config, pool) in pools {
            if let Some((code, message)) = self.refusal(request, config, pool) {
                answer.refuse(config, pool, &code, &message);
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

/// What a pool costs in a scenario: reserved ones as on demand; nothing where no price is known.
pub(super) fn price(
    prices: &BTreeMap<Str, Prices>,
    capacity_type: CapacityType,
    instance_type: &Str,
    zone: &Str,
) -> f64 {
    let known = prices.get(instance_type).and_then(|prices| match capacity_type {
        CapacityType::Spot => prices.spot.get(zone).copied(),
        CapacityType::OnDemand | CapacityType::Reserved => prices.on_demand,
    });
    known.unwrap_or(0.0)
}
