//! A tighter bound for many slots at once: the knapsack over one resource, exactly, the others at a price.
//!
//! Requests are often multiples of something that the room on a node is not, and the linear relaxation fills what no pods
//! can fill. Dynamic programming over one resource sees that. Its table holds for every amount of the resource, so one
//! table serves all slots on which the items are worth the same.

use smallvec::SmallVec;

/// Longer tables than this are made coarser.
const LENGTH_MAX: i64 = 200_000;

/// An item, with what is left of its value when it has paid for all but the one resource.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What it takes of the resource.
    pub(crate) need: i64,
    /// What it is worth.
    pub(crate) value: f64,
    /// How many there are at most on a node.
    pub(crate) most: i64,
    /// Items with the same number exclude each other.
    pub(crate) exclusive: Option<usize>,
}

/// The most that items can be worth together, by amount of the resource.
pub(crate) struct Table {
    unit: i64,
    best: Vec<f64>,
    /// DualValues of what takes nothing of the resource.
    free: f64,
}

impl Table {
    /// The table for amounts up to `capacity`. `stop`: whether time is up. `None`: it was.
    pub(crate) fn new(entries: &[Entry], capacity: i64, stop: &dyn Fn() -> bool) -> Option<Table> {
        let gcd = entries.iter().map(|entry| entry.need).fold(0, gcd).max(1);
        let coarse = (capacity / LENGTH_MAX).max(1);
        // A coarser unit rounds needs down, and the room with them: the bound stays one.
        let unit = if capacity / gcd > LENGTH_MAX { coarse } else { gcd };
        let length = (capacity.max(0) / unit) as usize;
        let mut table = Table { unit, best: vec![0.0; length + 1], free: 0.0 };
        let mut groups: Vec<(usize, SmallVec<[&Entry; 8]>)> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.value > 0.0 && entry.most > 0) {
            match entry.exclusive {
                Some(group) => match groups.iter_mut().find(|(known, _)| *known == group) {
                    Some((_, members)) => members.push(entry),
                    None => groups.push((group, SmallVec::from_slice(&[entry]))),
                },
                None => table.add(entry),
            }
            if stop() {
                return None;
            }
        }
        for (_, members) in groups {
            table.add_one_of(&members);
        }
        Some(table)
    }

    /// Up to `most` of an item, in bundles of powers of two.
    fn add(&mut self, entry: &Entry) {
        let need = entry.need / self.unit;
        if need == 0 {
            self.free += entry.value * entry.most as f64;
            return;
        }
        let room = self.best.len() as i64 - 1;
        let mut left = entry.most.min(room / need);
        let mut bundle = 1;
        while left > 0 {
            let count = bundle.min(left);
            left -= count;
            bundle *= 2;
            let (need, value) = ((need * count) as usize, entry.value * count as f64);
            for at in (need..self.best.len()).rev() {
                let with = self.best[at - need] + value;
                if with > self.best[at] {
                    self.best[at] = with;
                }
            }
        }
    }

    /// At most one of `members`.
    fn add_one_of(&mut self, members: &[&Entry]) {
        for at in (0..self.best.len()).rev() {
            let mut best = self.best[at];
            for member in members {
                let need = (member.need / self.unit) as usize;
                if need <= at {
                    best = best.max(self.best[at - need] + member.value);
                }
            }
            self.best[at] = best;
        }
    }

    /// The most that items can be worth with so much of the resource.
    pub(crate) fn at(&self, capacity: i64) -> f64 {
        let at = (capacity.max(0) / self.unit) as usize;
        self.free + self.best.get(at).or(self.best.last()).copied().unwrap_or(0.0)
    }
}

/// The greatest common divisor.
pub(crate) fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

#[cfg(test)]
mod tests {
    use super::{Entry, Table};

    fn entry(need: i64, value: f64, most: i64, exclusive: Option<usize>) -> Entry {
        Entry { need, value, most, exclusive }
    }

    #[test]
    fn room_that_no_item_fills_is_worth_nothing() {
        let table = Table::new(&[entry(4, 4.0, 9, None), entry(6, 6.0, 9, None)], 100, &|| false).unwrap();
        let worth = |capacity| table.at(capacity).round() as i64;
        assert_eq!([0, 3, 4, 5, 7, 9, 10, 99].map(worth), [0, 0, 4, 4, 6, 8, 10, 90]);
    }

    #[test]
    fn of_items_that_exclude_each_other_one_is_taken() {
        let entries = [entry(2, 5.0, 3, Some(0)), entry(3, 6.0, 3, Some(0)), entry(1, 1.0, 2, None)];
        let table = Table::new(&entries, 5, &|| false).unwrap();
        let worth = |capacity| table.at(capacity).round() as i64;
        assert_eq!([1, 2, 3, 4, 5].map(worth), [1, 5, 6, 7, 8]);
    }
}
