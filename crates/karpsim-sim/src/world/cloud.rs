//! The cloud: what it offers at which price, how much of it there is, what it has not got.

use crate::ledger::NanoDollarsPerHour;
use crate::trace::{NewPrice, Offerings};
use karpsim::catalogue::{Catalogue, InstanceType, Offering, Price};
use karpsim::model::core::ResourceList;
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use karpsim_controller::{Nanos, OfferingKey, PriceChange};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A limit on the number of nodes of some offerings.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) offerings: Offerings,
    pub(crate) limit: u64,
}

/// Whether offerings can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stock {
    Available,
    Unavailable { until: Option<Nanos> },
}

/// The cloud.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    base: Arc<Catalogue>,
    /// With the prices of now.
    catalogue: Arc<Catalogue>,
    limits: Vec<Limit>,
    /// What cannot be had, and what can again. The last one that selects an offering counts.
    stock: Vec<(Offerings, Stock)>,
    by_key: BTreeMap<OfferingKey, (usize, usize)>,
    by_name: BTreeMap<Str, usize>,
}

impl Cloud {
    /// Offers `catalogue`; every node has `extra` beside what the catalogue says.
    pub(crate) fn new(mut catalogue: Arc<Catalogue>, extra: &ResourceList) -> Self {
        if !extra.is_empty() {
            let changed = Arc::make_mut(&mut catalogue);
            for instance_type in changed.instance_types.iter_mut().map(Arc::make_mut) {
                for (name, quantity) in extra.iter() {
                    instance_type.capacity.insert(name, quantity);
                }
            }
        }
        let mut by_key = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        for (type_index, instance_type) in catalogue.instance_types.iter().enumerate() {
            by_name.insert(instance_type.name.clone(), type_index);
            for (offering_index, offering) in instance_type.offerings.iter().enumerate() {
                by_key
                    .entry(OfferingKey::of(instance_type, offering))
                    .or_insert((type_index, offering_index));
            }
        }
        Cloud {
            base: Arc::clone(&catalogue),
            catalogue,
            limits: Vec::new(),
            stock: Vec::new(),
            by_key,
            by_name,
        }
    }

    /// Adds to every type with a device the resource that stands for its shares.
    pub(crate) fn share_devices(
        catalogue: &mut Arc<Catalogue>,
        resource: &str,
        device: &str,
        per_device: i64,
    ) {
        for instance_type in Arc::make_mut(catalogue).instance_types.iter_mut().map(Arc::make_mut) {
            if let Some(devices) = instance_type.capacity.get(device).filter(|devices| !devices.is_zero()) {
                let shares = devices.units_rounded_up().saturating_mul(per_device);
                instance_type.capacity.insert(resource, Quantity::from_units(shares));
            }
        }
    }

    /// What is offered now.
    pub(crate) fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    pub(crate) fn instance_type(&self, name: &str) -> Option<&InstanceType> {
        self.by_name.get(name).and_then(|index| self.catalogue.instance_types.get(*index).map(|it| &**it))
    }

    fn offering(&self, key: &OfferingKey) -> Option<(&InstanceType, &Offering)> {
        let (type_index, offering_index) = self.by_key.get(key)?;
        let instance_type = self.catalogue.instance_types.get(*type_index)?;
        Some((instance_type, instance_type.offerings.get(*offering_index)?))
    }

    /// The price of an offering now.
    pub(crate) fn price(&self, key: &OfferingKey) -> Option<NanoDollarsPerHour> {
        self.offering(key).map(|(_, offering)| NanoDollarsPerHour::from_dollars(offering.price.0))
    }

    /// Whether an offering is one of `offerings`.
    pub(crate) fn selects(&self, offerings: &Offerings, key: &OfferingKey) -> bool {
        self.offering(key).is_some_and(|(instance_type, offering)| offerings.select(instance_type, offering))
    }

    /// Changes prices, and tells which; `None` if none of `offerings` is on offer. What is said last about an offering
    /// counts, and a factor is of the catalogue's price, so nothing of what was said before is needed.
    pub(crate) fn set_price(&mut self, offerings: &Offerings, price: NewPrice) -> Option<Vec<PriceChange>> {
        let types: Vec<usize> = match &offerings.instance_types {
            Some(names) => names.iter().filter_map(|name| self.by_name.get(name).copied()).collect(),
            None => (0..self.base.instance_types.len()).collect(),
        };
        let mut selected = false;
        let mut changes = Vec::new();
        for index in types {
            let (Some(base), Some(now)) =
                (self.base.instance_types.get(index), self.catalogue.instance_types.get(index))
            else {
                continue;
            };
            for (place, (listed, current)) in base.offerings.iter().zip(&now.offerings).enumerate() {
                if !offerings.select(base, listed) {
                    continue;
                }
                selected = true;
                let price = match price {
                    NewPrice::Dollars(dollars) => Price(dollars),
                    NewPrice::Factor(factor) => Price(listed.price.0 * factor),
                };
                if price != current.price {
                    let instance_type = base.name.clone();
                    changes.push(PriceChange { instance_type, offering: place, price });
                }
            }
        }
        if !changes.is_empty() {
            let catalogue = Arc::make_mut(&mut self.catalogue);
            for change in &changes {
                let index = self.by_name.get(&change.instance_type).copied();
                if let Some(it) = index.and_then(|index| catalogue.instance_types.get_mut(index)) {
                    change.apply(it);
                }
            }
        }
        selected.then_some(changes)
    }

    /// The offerings whose prices changed.
    pub(crate) fn changed(&self, changes: &[PriceChange]) -> BTreeSet<OfferingKey> {
        let key = |change: &PriceChange| {
            let instance_type = self.instance_type(&change.instance_type)?;
            Some(OfferingKey::of(instance_type, instance_type.offerings.get(change.offering)?))
        };
        changes.iter().filter_map(key).collect()
    }

    /// Launches of these fail, until `until` or until they are available again.
    pub(crate) fn set_unavailable(&mut self, offerings: Offerings, until: Option<Nanos>) {
        self.set_stock(offerings, Stock::Unavailable { until });
    }

    /// Launches of these do not fail any more.
    pub(crate) fn set_available(&mut self, offerings: Offerings) {
        self.set_stock(offerings, Stock::Available);
    }

    fn set_stock(&mut self, offerings: Offerings, stock: Stock) {
        // What selects everything leaves nothing of what was said before.
        self.stock.retain(|(old, _)| *old != offerings && offerings != Offerings::default());
        self.stock.push((offerings, stock));
    }

    pub(crate) fn forget(&mut self, now: Nanos) {
        self.stock.retain(
            |(_, stock)| !matches!(stock, Stock::Unavailable { until: Some(until) } if *until <= now),
        );
    }

    /// Sets a limit; `None` takes it away.
    pub(crate) fn set_limit(&mut self, offerings: Offerings, limit: Option<u64>) {
        self.limits.retain(|old| old.offerings != offerings);
        if let Some(limit) = limit {
            self.limits.push(Limit { offerings, limit });
        }
    }

    /// Whether one more of `key` can be had, beside those that run.
    pub(crate) fn has(&self, key: &OfferingKey, running: &[OfferingKey], now: Nanos) -> bool {
        let Some((_, offering)) = self.offering(key) else { return false };
        let said = self.stock.iter().rev().find(|(offerings, _)| self.selects(offerings, key));
        let refused = match said {
            Some((_, Stock::Unavailable { until })) => until.is_none_or(|until| until > now),
            Some((_, Stock::Available)) | None => false,
        };
        offering.available
            && !refused
            && self.limits.iter().filter(|limit| self.selects(&limit.offerings, key)).all(|limit| {
                let taken = running.iter().filter(|other| self.selects(&limit.offerings, other)).count();
                (taken as u64) < limit.limit
            })
    }
}
