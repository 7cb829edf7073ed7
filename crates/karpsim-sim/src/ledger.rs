//! What ran how long, and what it cost. Money is added up in integers.

use karpsim::model::meta::Str;
use karpsim_controller::{Nanos, OfferingKey};
use std::collections::BTreeMap;

/// Nano-dollars in a dollar.
const NANO_DOLLARS: f64 = 1e9;
/// Nanoseconds in an hour.
const HOUR: i128 = 3_600_000_000_000;

/// A price in whole nano-dollars an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct NanoDollarsPerHour(pub i64);

impl NanoDollarsPerHour {
    /// The nearest whole price.
    pub fn from_dollars(dollars: f64) -> Self {
        NanoDollarsPerHour((dollars * NANO_DOLLARS).round() as i64)
    }

    /// In dollars.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANO_DOLLARS
    }
}

/// Money: nano-dollars an hour times nanoseconds, not divided yet, so that nothing is lost on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Money(i128);

impl Money {
    /// In whole nano-dollars, to the nearest.
    pub fn nano_dollars(self) -> i128 {
        (self.0 + HOUR / 2).div_euclid(HOUR)
    }

    /// In dollars, for showing.
    pub fn dollars(self) -> f64 {
        self.nano_dollars() as f64 / NANO_DOLLARS
    }
}

impl std::ops::AddAssign for Money {
    fn add_assign(&mut self, other: Money) {
        self.0 += other.0;
    }
}

/// An entry's number: the n-th that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(usize);

/// A node's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Name of the NodeClaim; of the node, where there is none.
    pub name: Str,
    /// Its NodePool.
    pub pool: Option<Str>,
    /// As what it runs; `None` until it is launched.
    pub offering: Option<OfferingKey>,
    /// The price now.
    pub price: NanoDollarsPerHour,
    /// When its NodeClaim was made.
    pub created: Option<Nanos>,
    /// When its instance began; what is paid counts from here.
    pub launched: Option<Nanos>,
    /// When its node was there.
    pub registered: Option<Nanos>,
    /// When its node was ready.
    pub ready: Option<Nanos>,
    /// When its node was initialized.
    pub initialized: Option<Nanos>,
    /// When it was tainted for disruption.
    pub disrupted: Option<Nanos>,
    /// When it was told to go.
    pub deleting: Option<Nanos>,
    /// When it was gone.
    pub gone: Option<Nanos>,
    paid: Money,
    paid_until: Nanos,
}

impl Entry {
    /// How long it ran, until `now`.
    pub fn ran(&self, now: Nanos) -> Nanos {
        self.launched.map_or(0, |from| self.gone.unwrap_or(now).min(now) - from)
    }

    /// What it cost, until `now`.
    pub fn cost(&self, now: Nanos) -> Money {
        let mut cost = self.paid;
        if self.launched.is_some() {
            let until = self.gone.unwrap_or(now).min(now);
            cost += Money(i128::from(self.price.0) * i128::from((until - self.paid_until).max(0)));
        }
        cost
    }
}

/// All nodes that ever were.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    of_node_claim: BTreeMap<Str, EntryId>,
}

impl Ledger {
    /// Entries in the order in which they were made.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry.
    pub fn entry(&self, id: EntryId) -> Option<&Entry> {
        self.entries.get(id.0)
    }

    /// An entry, to be written.
    pub fn entry_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(id.0)
    }

    /// The entry of a NodeClaim.
    pub fn of_node_claim(&self, name: &str) -> Option<EntryId> {
        self.of_node_claim.get(name).copied()
    }

    /// A new entry for a NodeClaim.
    pub fn open_node_claim(&mut self, name: &Str, pool: Option<Str>, created: Option<Nanos>) -> EntryId {
        let id = self.open(name.clone(), pool, created);
        self.of_node_claim.insert(name.clone(), id);
        id
    }

    /// The node of an entry turns out to be a NodeClaim's: the entry goes by that name.
    pub fn claim_node(&mut self, id: EntryId, node_claim: &Str) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.name = node_claim.clone();
            self.of_node_claim.insert(node_claim.clone(), id);
        }
    }

    /// A new entry for a node without a NodeClaim.
    pub fn open(&mut self, name: Str, pool: Option<Str>, created: Option<Nanos>) -> EntryId {
        let id = EntryId(self.entries.len());
        self.entries.push(Entry {
            name,
            pool,
            offering: None,
            price: NanoDollarsPerHour::default(),
            created,
            launched: None,
            registered: None,
            ready: None,
            initialized: None,
            disrupted: None,
            deleting: None,
            gone: None,
            paid: Money::default(),
            paid_until: 0,
        });
        id
    }

    /// An instance runs from now on.
    pub fn launch(&mut self, id: EntryId, offering: OfferingKey, price: NanoDollarsPerHour, now: Nanos) {
        if let Some(entry) = self.entry_mut(id) {
            entry.offering = Some(offering);
            entry.price = price;
            entry.launched = Some(now);
            entry.paid_until = now;
        }
    }

    /// A node costs `price` from now on: what has run so far is paid at the old one.
    pub fn reprice(&mut self, id: EntryId, price: NanoDollarsPerHour, now: Nanos) {
        if let Some(entry) = self.entry_mut(id)
            && entry.gone.is_none()
            && entry.price != price
        {
            entry.paid = entry.cost(now);
            entry.paid_until = now;
            entry.price = price;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, NanoDollarsPerHour};
    use karpsim_controller::OfferingKey;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_change_of_price_splits_the_bill() {
        let key =
            OfferingKey { instance_type: "m5.large".into(), zone: "a".into(), capacity_type: "spot".into() };
        let mut ledger = Ledger::default();
        let id = ledger.open_node_claim(&"default-1".into(), Some("default".into()), Some(0));
        ledger.launch(id, key, NanoDollarsPerHour::from_dollars(0.036), 10 * SECOND);
        // 0.036 dollars an hour are 10 microdollars a second.
        assert_eq!(ledger.entries()[0].cost(110 * SECOND).nano_dollars(), 1_000_000);
        ledger.reprice(id, NanoDollarsPerHour::from_dollars(0.072), 110 * SECOND);
        assert_eq!(ledger.entries()[0].cost(160 * SECOND).nano_dollars(), 2_000_000);
        if let Some(entry) = ledger.entry_mut(id) {
            entry.gone = Some(160 * SECOND);
        }
        assert_eq!(ledger.entries()[0].cost(1000 * SECOND).nano_dollars(), 2_000_000);
        assert_eq!(ledger.entries()[0].ran(1000 * SECOND), 150 * SECOND);
    }
}
