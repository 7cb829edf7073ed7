//! Resources as dense vectors of integers.
//!
//! Every resource gets one unit, the coarsest in which all its amounts in the problem are whole; amounts are then `i64`
//! counts of it. Adding and comparing them is exact.

use crate::kubernetes::requests::RawAmounts;
use crate::model::meta::Str;
use crate::quantity::Quantity;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Amounts by resource, dense: index is the [`Resources`] id.
pub type Amounts = SmallVec<[i64; 8]>;

/// Amounts up to this are counted with room for sums.
const MOST_COUNTED: i128 = 1 << 60;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// The resources of a problem and their units.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    names: Vec<Str>,
    unit_nanos: Vec<i128>,
    index: FxHashMap<Str, usize>,
}

impl Resources {
    /// Notes that `amounts` will have to be expressed.
    pub fn note(&mut self, amounts: &RawAmounts) {
        for (name, quantity) in amounts {
            self.note_one(name, *quantity);
        }
    }

    /// Notes one amount.
    pub fn note_one(&mut self, name: &str, quantity: Quantity) {
        let at = *self.index.entry(name.into()).or_insert_with(|| {
            self.names.push(name.into());
            self.unit_nanos.push(0);
            self.names.len() - 1
        });
        let unit = &mut self.unit_nanos[at];
        if *unit == 0 || quantity.nanos() % *unit != 0 {
            *unit = gcd(unit.unsigned_abs(), quantity.nanos().unsigned_abs()) as i128;
        }
    }

    /// Makes the unit of `name` coarser, a thousandth at the most, until a node's `amount` of it can be counted: a pod that
    /// asks for `0.000001` bytes more would else leave nothing to tell large nodes apart by. Thousandths stay exact; only
    /// what is finer is rounded up.
    pub fn make_room(&mut self, name: &str, amount: Quantity) {
        let Some(&at) = self.index.get(name) else { return };
        let unit = &mut self.unit_nanos[at];
        if *unit < NANOS_PER_MILLI {
            let least = amount.nanos() / MOST_COUNTED + 1;
            if *unit < least {
                *unit = std::iter::successors(Some(1), |unit| Some(unit * 10))
                    .find(|unit| *unit >= least.min(NANOS_PER_MILLI))
                    .unwrap_or(NANOS_PER_MILLI);
            }
        }
    }

    /// Whether all resources have the units that `others` have, and there are no others.
    pub(crate) fn has_units_of(&self, others: &Resources) -> bool {
        self.names == others.names && self.unit_nanos == others.unit_nanos
    }

    /// Whether all of `amounts` can be counted exactly as things are.
    pub(crate) fn covers(&self, amounts: &RawAmounts) -> bool {
        amounts.iter().all(|(name, amount)| {
            self.find(name).is_some_and(|at| {
                let unit = self.unit_nanos[at];
                unit != 0 && amount.nanos() % unit == 0
            })
        })
    }

    /// Whether an amount is finer than a thousandth.
    pub fn are_fine(&self) -> bool {
        self.unit_nanos.iter().any(|unit| (1..NANOS_PER_MILLI).contains(unit))
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The id of `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The name of a resource.
    pub fn name(&self, resource: usize) -> &Str {
        &self.names[resource]
    }

    /// `quantity` in the unit of `resource`. What was not noted is rounded up; what is out of reach is capped.
    pub fn count(&self, resource: usize, quantity: Quantity) -> i64 {
        let unit = self.unit_nanos[resource].max(1);
        let (whole, rest) = (quantity.nanos().div_euclid(unit), quantity.nanos().rem_euclid(unit));
        let cap = i64::MAX / 4;
        i64::try_from(whole + i128::from(rest != 0)).map_or(cap, |count| count.clamp(-cap, cap))
    }

    /// A count of `resource` as a quantity.
    pub fn quantity(&self, resource: usize, count: i64) -> Quantity {
        Quantity::from_nanos(i128::from(count) * self.unit_nanos[resource].max(1))
    }

    /// `amounts` as a dense vector; what is not listed is 0.
    pub fn dense(&self, amounts: &RawAmounts) -> Amounts {
        let mut dense: Amounts = SmallVec::from_elem(0, self.len());
        for (name, quantity) in amounts {
            if let Some(resource) = self.find(name) {
                dense[resource] = self.count(resource, *quantity);
            }
        }
        dense
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::Resources;
    use crate::quantity::Quantity;

    #[test]
    fn fine_amounts_leave_room_for_large_ones() {
        let mut resources = Resources::default();
        let [fine, large] = ["357913941.333333", "12Ti"].map(|text| Quantity::parse(text).unwrap());
        resources.note_one("memory", fine);
        resources.note_one("memory", large);
        assert!(resources.are_fine());
        resources.make_room("memory", large);
        let sum = resources.count(0, fine) + resources.count(0, Quantity::parse("3000Gi").unwrap());
        assert_eq!(resources.quantity(0, sum).to_string(), "3221583385941334m");
        assert!(sum < resources.count(0, large));
        for amount in ["1Gi", "1500u", "1m"] {
            let amount = Quantity::parse(amount).unwrap();
            let sum = Quantity::from_nanos(amount.nanos() * 21);
            assert_eq!(resources.count(0, amount) * 21, resources.count(0, sum), "{amount}");
        }
    }

    #[test]
    fn the_unit_is_the_coarsest_in_which_all_amounts_are_whole() {
        let mut resources = Resources::default();
        for text in ["1500m", "1", "250m"] {
            resources.note_one("cpu", Quantity::parse(text).unwrap());
        }
        assert_eq!(resources.count(0, Quantity::from_units(1)), 4);
        assert_eq!(resources.quantity(0, 6).to_string(), "1500m");
    }
}
