//! Which domain each node of an answer is in, where that was left open: such that there are positions where pods are assigned.

use crate::model::slots::Place;
use crate::model::{Counting, Model, Pattern};
use karpsim::requirements::ValueId;
use rustc_hash::FxHashMap;

/// How often all nodes are looked at again.
const ROUNDS: usize = 10;

/// Seats that are wanted in certain places, and what patterns give of them.
struct Wanted<'m> {
    model: &'m Model,
    /// Domains, and how many positions are still missing (less than 0: too many).
    places: Vec<(&'m [(usize, ValueId)], i64)>,
    /// The places of each item.
    of_item: FxHashMap<usize, Vec<usize>>,
    /// Seats in each combination of domains.
    load: FxHashMap<&'m [Option<ValueId>], i64>,
}

impl<'m> Wanted<'m> {
    fn new(model: &'m Model) -> Self {
        let mut wanted =
            Wanted { model, places: Vec::new(), of_item: FxHashMap::default(), load: FxHashMap::default() };
        for row in &model.rows {
            if let Counting::Assigned { item, domains } = &row.counting {
                wanted.of_item.entry(*item).or_default().push(wanted.places.len());
                wanted.places.push((domains, row.bound.round() as i64));
            }
        }
        wanted
    }

    /// A node of the pattern comes (1) or goes (-1).
    fn change(&mut self, pattern: &Pattern, by: i64) {
        let slot = &self.model.slots[pattern.slot];
        for &(item, count) in &pattern.counts {
            *self.load.entry(&slot.domains).or_default() += by * i64::from(count);
            for &at in self.of_item.get(&(item as usize)).into_iter().flatten() {
                let (domains, missing) = &mut self.places[at];
                if slot.is_in(domains) {
                    *missing -= by * i64::from(count);
                }
            }
        }
    }

    /// How many missing positions a node of the pattern would give.
    fn gives(&self, pattern: &Pattern) -> i64 {
        let slot = &self.model.slots[pattern.slot];
        let of = |&(item, count): &(u32, u32)| -> i64 {
            let places = self.of_item.get(&(item as usize)).into_iter().flatten();
            places
                .filter(|at| slot.is_in(self.places[**at].0))
                .map(|at| self.places[*at].1.clamp(0, i64::from(count)))
                .sum()
        };
        pattern.counts.iter().map(of).sum()
    }
}

/// The same nodes in domains of their choice: the same type of the same NodePool with the same room, no dearer unless positions
/// are missing otherwise.
pub(crate) fn choose_domains(model: &Model, patterns: &mut [Pattern]) {
    let mut wanted = Wanted::new(model);
    if wanted.places.is_empty() {
        return;
    }
    let mut of_shape: FxHashMap<(usize, usize), Vec<usize>> = FxHashMap::default();
    for (at, slot) in model.slots.iter().enumerate() {
        if let Place::New { template, shape, .. } = slot.place
            && slot.settled
            && slot.reservation.is_none()
        {
            of_shape.entry((template, shape)).or_default().push(at);
        }
    }
    let others = |pattern: &Pattern| -> Vec<usize> {
        let Place::New { template, shape, .. } = model.slots[pattern.slot].place else { return Vec::new() };
        if model.slots[pattern.slot].reservation.is_some() || !model.slots[pattern.slot].settled {
            return Vec::new();
        }
        let all = of_shape.get(&(template, shape)).into_iter().flatten().copied();
        all.filter(|&slot| {
            pattern.counts.iter().all(|(item, _)| model.slots[slot].allowed.has(*item as usize))
        })
        .collect()
    };
    let best = |wanted: &Wanted<'_>, pattern: &Pattern| -> usize {
        let rank = |slot: usize| {
            let moved = Pattern { slot, counts: pattern.counts.clone() };
            // Where all is the same, evenly: other pods of the round look at how full domains are.
            let load = wanted.load.get(model.slots[slot].domains.as_slice()).copied().unwrap_or(0);
            (-wanted.gives(&moved), model.slots[slot].price, load, slot)
        };
        others(pattern).into_iter().min_by_key(|&slot| rank(slot)).unwrap_or(pattern.slot)
    };
    // The fullest first: what is missing in the end is made up for by small ones.
    let mut order: Vec<usize> = (0..patterns.len()).collect();
    let positions = |pattern: &Pattern| pattern.counts.iter().map(|(_, count)| *count).sum::<u32>();
    order.sort_by_key(|&at| (std::cmp::Reverse(positions(&patterns[at])), at));
    for &at in &order {
        patterns[at].slot = best(&wanted, &patterns[at]);
        wanted.change(&patterns[at], 1);
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for &at in &order {
            wanted.change(&patterns[at], -1);
            let slot = best(&wanted, &patterns[at]);
            changed |= slot != patterns[at].slot;
            patterns[at].slot = slot;
            wanted.change(&patterns[at], 1);
        }
        if !changed {
            break;
        }
    }
}
