//! Pricing: the most valuable pattern of a slot under given values of its items.
//!
//! A knapsack over several resources, with limits on some items a node, conflicts, companions, and terms that count
//! nodes. Its linear relaxation gives multipliers; with these every partial pattern has an upper bound that is one sum,
//! and branch and bound over the items in order of value for money is exact unless it is cut short.

use crate::bits::Bits;
use crate::linear::one_resource::{Entry, Table, gcd};
use crate::linear::relaxation::Relaxed;
use crate::model::items::NodeLimit;
use crate::model::slots::Place;
use crate::model::{Counting, Model, Pattern, Row};
use smallvec::SmallVec;

/// A value that a node has once it holds so many pods of some items.
#[derive(Debug, Clone)]
pub(crate) struct ConditionalValue {
    /// Pods of these items count together, for each entry.
    conditions: Vec<(Bits, i64)>,
    value: f64,
}

/// What the items are worth on one slot.
#[derive(Debug, Clone)]
pub(crate) struct DualValues {
    /// The slot.
    pub(crate) slot: usize,
    /// Value of a node as such.
    pub(crate) fixed: f64,
    /// Values of its items: those that are worth something, or that others may need.
    values: Vec<(usize, f64)>,
    extras: Vec<ConditionalValue>,
}

/// Items that must not be in a domain: key and domain.
#[derive(Debug, Clone)]
pub(crate) struct DomainExclusion {
    /// Items.
    pub(crate) members: Bits,
    /// Index of the key.
    pub(crate) key: usize,
    /// The domain.
    pub(crate) domain: karpsim::requirements::ValueId,
}

impl DomainExclusion {
    /// Whether it keeps `item` off a slot.
    pub(crate) fn excludes(&self, item: usize, slot: &crate::model::slots::Slot) -> bool {
        slot.domains[self.key] == Some(self.domain) && self.members.has(item)
    }
}

/// What items are worth under multipliers of rows, apart from slots.
pub(crate) struct Prices<'m> {
    model: &'m Model,
    rows: &'m [Row],
    duals: &'m [f64],
    excluded: &'m [DomainExclusion],
    of_items: Vec<f64>,
    /// Rows that are not about single items.
    others: Vec<usize>,
}

impl<'m> Prices<'m> {
    /// Values under the multipliers `duals` of `rows`.
    pub(crate) fn new(
        model: &'m Model,
        rows: &'m [Row],
        duals: &'m [f64],
        excluded: &'m [DomainExclusion],
    ) -> Self {
        let mut of_items = vec![0.0; model.items.items.len()];
        let mut others = Vec::new();
        for (at, (row, &dual)) in rows.iter().zip(duals).enumerate() {
            match row.counting {
                Counting::Item(item) => of_items[item] += dual,
                _ if dual == 0.0 => {}
                _ => others.push(at),
            }
        }
        Prices { model, rows, duals, excluded, of_items, others }
    }

    /// Whether slots that differ in nothing but their domains are worth the same.
    pub(crate) fn are_blind_to_domains(&self) -> bool {
        self.excluded.is_empty()
            && self.others.iter().all(|&at| {
                matches!(
                    self.rows[at].counting,
                    Counting::Limit { .. }
                        | Counting::Having(_)
                        | Counting::Unplaced(_)
                        | Counting::Node(_)
                        | Counting::Staying
                        | Counting::Kept
                )
            })
    }

    /// What the items are worth on `slot`.
    pub(crate) fn on(&self, slot: usize) -> DualValues {
        let of = &self.model.slots[slot];
        let mut fixed = 0.0;
        let mut extras = Vec::new();
        let mut staying = 0.0;
        let mut shifts: Vec<(&Bits, f64)> = Vec::new();
        let mut of_sent: Vec<(usize, f64)> = Vec::new();
        for &at in &self.others {
            let dual = self.duals[at];
            match &self.rows[at].counting {
                Counting::Item(_) | Counting::Unplaced(_) => {}
                Counting::Limit { limit, scale } => {
                    let taken = of.takes.iter().find(|(known, _)| known == limit);
                    fixed += dual * scale * taken.map_or(0.0, |(_, amount)| *amount as f64);
                }
                Counting::Reservation(reservation) => {
                    if of.reservation == Some(*reservation) {
                        fixed += dual;
                    }
                }
                Counting::InDomain { key, domain, members } => {
                    if of.domains[*key] == Some(*domain) {
                        shifts.push((members, dual));
                    }
                }
                Counting::Assigned { item, domains } => {
                    if of.is_in(domains) {
                        of_sent.push((*item, dual));
                    }
                }
                Counting::Having(members) => {
                    extras.push(ConditionalValue { conditions: vec![(members.clone(), 1)], value: dual });
                }
                Counting::Nodes { slots, least } => {
                    if slots.binary_search(&slot).is_ok() {
                        if least.is_empty() {
                            fixed += dual;
                        } else {
                            let single = |item: usize| std::iter::once(item).collect();
                            let conditions =
                                least.iter().map(|(item, count)| (single(*item), *count)).collect();
                            extras.push(ConditionalValue { conditions, value: dual });
                        }
                    }
                }
                Counting::Node(node) => {
                    if *node == slot {
                        fixed += dual;
                    }
                }
                Counting::Staying => staying = dual,
                Counting::Kept => {
                    if of.may_go {
                        fixed += dual;
                    }
                }
            }
        }
        let needed =
            |item: usize| self.model.items.companions.iter().any(|companion| companion.others.has(item));
        let wanted = |item: usize| {
            extras.iter().any(|extra| {
                extra.value > 0.0 && extra.conditions.iter().any(|(members, _)| members.has(item))
            })
        };
        let values = of
            .allowed
            .iter()
            .filter(|&item| !self.excluded.iter().any(|exclusion| exclusion.excludes(item, of)))
            .map(|item| {
                let shift: f64 =
                    shifts.iter().filter(|(members, _)| members.has(item)).map(|(_, dual)| *dual).sum();
                let home = self.model.items.items[item].home;
                let is_home = home.is_some_and(|node| of.place == Place::Existing { node });
                let first = of_sent.partition_point(|(known, _)| *known < item);
                let own = of_sent[first..].iter().take_while(|(known, _)| *known == item);
                let assigned: f64 = own.map(|(_, dual)| *dual).sum();
                (item, self.of_items[item] + shift + assigned + if is_home { staying } else { 0.0 })
            })
            .filter(|(item, value)| *value > 1e-12 || wanted(*item) || needed(*item))
            .collect();
        DualValues { slot, fixed, values, extras }
    }
}

/// A knapsack, ready to be searched.
pub(crate) struct Knapsack<'m> {
    model: &'m Model,
    slot: usize,
    fixed: f64,
    extras: Vec<ConditionalValue>,
    /// Items in order of value for money.
    items: Vec<usize>,
    value: Vec<f64>,
    most: Vec<i64>,
    weight: Vec<f64>,
    /// Value for money of what comes from here on; at most 1 where nothing pays for itself.
    ratio: Vec<f64>,
    /// What those from here on are worth beyond their weight.
    surplus: Vec<f64>,
    capacity_weight: f64,
    /// What is of use of the slot's room.
    room: Vec<i64>,
    /// Multipliers of a unit of each resource, then of the limits.
    multipliers: Vec<f64>,
    limits: Vec<(&'m NodeLimit, i64)>,
    /// For each item, the limits that it is under.
    limits_of: Vec<SmallVec<[usize; 2]>>,
    /// No pattern is worth more.
    pub(crate) upper: f64,
}

/// The knapsack over one resource, with prices for the others.
pub(crate) struct PriceList {
    table: Table,
    resource: usize,
    multipliers: Vec<f64>,
    limits: f64,
}

/// What a search came to.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The best pattern above the floor, with its worth.
    pub(crate) best: Option<(f64, Pattern)>,
    /// No pattern is worth more (or than the floor).
    pub(crate) upper: f64,
}

impl<'m> Knapsack<'m> {
    /// The knapsack of a slot.
    pub(crate) fn new(model: &'m Model, worth: DualValues, most_of: &dyn Fn(usize) -> i64) -> Self {
        let slot = &model.slots[worth.slot];
        let node = match slot.place {
            Place::New { .. } => None,
            Place::Existing { node } => Some(node),
        };
        let limits: Vec<(&NodeLimit, i64)> = model
            .items
            .limits
            .iter()
            .filter(|limit| worth.values.iter().any(|(item, _)| limit.members.has(*item)))
            .map(|limit| (limit, node.map_or(limit.on_new, |node| limit.on_node[node])))
            .collect();
        // What is left beyond a multiple of all requests is of no use.
        let room: Vec<i64> = slot
            .capacity
            .iter()
            .enumerate()
            .map(|(resource, &have)| {
                let needs = worth.values.iter().map(|(item, _)| model.items.items[*item].requests[resource]);
                let step = needs.fold(0, gcd);
                if step > 0 { have - have.rem_euclid(step) } else { have }
            })
            .collect();
        let mut relaxed = Relaxed {
            capacity: slot
                .capacity
                .iter()
                .map(|_| 1.0)
                .chain(limits.iter().map(|(_, most)| *most as f64))
                .collect(),
            ..Relaxed::default()
        };
        let resources = slot.capacity.len();
        let mut most = Vec::with_capacity(worth.values.len());
        let mut limits_of = Vec::with_capacity(worth.values.len());
        for &(item, value) in &worth.values {
            let of = &model.items.items[item];
            let own: SmallVec<[usize; 2]> =
                (0..limits.len()).filter(|&limit| limits[limit].0.members.has(item)).collect();
            let mut at_most = most_of(item);
            for (need, have) in of.requests.iter().zip(&room) {
                if *need > 0 {
                    at_most = at_most.min(have / need);
                }
            }
            for &limit in &own {
                at_most = at_most.min(limits[limit].1);
            }
            if model.items.conflicts[item].has(item) {
                at_most = at_most.min(1);
            }
            let weights = of
                .requests
                .iter()
                .zip(&room)
                .enumerate()
                .filter(|(_, (need, _))| **need > 0)
                .map(|(resource, (need, have))| (resource, *need as f64 / (*have).max(1) as f64))
                .chain(own.iter().map(|limit| (resources + limit, 1.0)))
                .collect();
            relaxed.value.push(value.max(0.0));
            relaxed.most.push(at_most.max(0) as f64);
            relaxed.weights.push(weights);
            most.push(at_most.max(0));
            limits_of.push(own);
        }
        let multipliers = relaxed.multipliers();
        let optimistic: f64 = worth.extras.iter().map(|extra| extra.value.max(0.0)).sum();
        let upper = relaxed.bound(&multipliers) + worth.fixed + optimistic;
        let weight: Vec<f64> = relaxed
            .weights
            .iter()
            .map(|weights| weights.iter().map(|(row, weight)| multipliers[*row] * weight).sum())
            .collect();
        let capacity_weight =
            relaxed.capacity.iter().zip(&multipliers).map(|(have, price)| have * price).sum();
        let ratio_of = |at: usize| {
            let value = worth.values[at].1;
            if weight[at] > 1e-12 {
                value / weight[at]
            } else if value > 0.0 {
                f64::INFINITY
            } else {
                0.0
            }
        };
        let mut order: Vec<usize> = (0..worth.values.len()).collect();
        order.sort_by(|&a, &b| {
            ratio_of(b).total_cmp(&ratio_of(a)).then_with(|| worth.values[a].0.cmp(&worth.values[b].0))
        });
        let ratio: Vec<f64> = order.iter().map(|&at| ratio_of(at).clamp(0.0, 1.0)).collect();
        let mut surplus = vec![0.0; order.len() + 1];
        for (place, &at) in order.iter().enumerate().rev() {
            surplus[place] =
                surplus[place + 1] + (worth.values[at].1 - weight[at]).max(0.0) * most[at] as f64;
        }
        Knapsack {
            model,
            slot: worth.slot,
            fixed: worth.fixed,
            items: order.iter().map(|&at| worth.values[at].0).collect(),
            value: order.iter().map(|&at| worth.values[at].1).collect(),
            most: order.iter().map(|&at| most[at]).collect(),
            weight: order.iter().map(|&at| weight[at]).collect(),
            limits_of: order.iter().map(|&at| limits_of[at].clone()).collect(),
            extras: worth.extras,
            ratio,
            surplus,
            capacity_weight,
            multipliers: multipliers
                .iter()
                .enumerate()
                .map(|(row, multiplier)| {
                    room.get(row).map_or(*multiplier, |have| multiplier / (*have).max(1) as f64)
                })
                .collect(),
            room,
            limits,
            upper,
        }
    }

    /// The resources that cost anything to speak of here.
    pub(crate) fn dear_resources(&self) -> Vec<usize> {
        let cost = |resource: usize| self.multipliers[resource] * self.room[resource] as f64;
        let all: f64 = (0..self.room.len()).map(cost).sum();
        (0..self.room.len()).filter(|&resource| cost(resource) > 1e-3 * all).collect()
    }

    /// A price list by which knapsacks are bounded over one `resource`: this one's multipliers for all the others. `items`
    /// and their values are those of all knapsacks that it is for, `capacity` the most room among them.
    pub(crate) fn price_list(
        &self,
        resource: usize,
        values: &[(usize, f64)],
        capacity: impl Fn(usize) -> i64,
        stop: &dyn Fn() -> bool,
    ) -> Option<PriceList> {
        let resources = self.room.len();
        // Of a limit of one the table takes care itself.
        let cost_of_limit = |item: usize| -> f64 {
            let limits = self.limits.iter().enumerate();
            limits
                .filter(|(_, (limit, most))| *most > 1 && limit.members.has(item))
                .map(|(at, _)| self.multipliers[resources + at])
                .sum()
        };
        let entries: Vec<Entry> = values
            .iter()
            .map(|&(item, value)| {
                let of = &self.model.items.items[item];
                let others = of.requests.iter().enumerate().filter(|(other, _)| *other != resource);
                let cost: f64 = others.map(|(other, need)| self.multipliers[other] * *need as f64).sum();
                let single =
                    self.limits.iter().position(|(limit, most)| *most == 1 && limit.members.has(item));
                let alone = self.model.items.conflicts[item].has(item);
                Entry {
                    need: of.requests[resource],
                    value: value - cost - cost_of_limit(item),
                    most: if alone { 1 } else { of.count },
                    exclusive: single,
                }
            })
            .collect();
        let limits: f64 = self
            .limits
            .iter()
            .enumerate()
            .filter(|(_, (_, most))| *most > 1)
            .map(|(at, (_, most))| self.multipliers[resources + at] * *most as f64)
            .sum();
        Some(PriceList {
            table: Table::new(&entries, capacity(resource), stop)?,
            resource,
            multipliers: self.multipliers.iter().take(resources).copied().collect(),
            limits,
        })
    }

    /// What a price list proves of this knapsack.
    pub(crate) fn bound_by(&self, list: &PriceList) -> f64 {
        let others = self.room.iter().zip(&list.multipliers).enumerate();
        let cost: f64 = others
            .filter(|(resource, _)| *resource != list.resource)
            .map(|(_, (have, multiplier))| *have as f64 * multiplier)
            .sum();
        let optimistic: f64 = self.extras.iter().map(|extra| extra.value.max(0.0)).sum();
        let bound = list.table.at(self.room[list.resource]) + cost + list.limits + self.fixed + optimistic;
        bound + 1e-12 * bound.abs()
    }

    /// Its items with their values.
    pub(crate) fn values(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.items.iter().copied().zip(self.value.iter().copied())
    }

    /// What is of use of the slot's room for a resource.
    pub(crate) fn room_of(&self, resource: usize) -> i64 {
        self.room[resource]
    }

    /// Searches for the most valuable pattern worth more than `floor`, in at most `steps` steps. `goes`: whether a
    /// pattern goes together in what the knapsack does not know; what is refused is refused with more pods too.
    pub(crate) fn search(&self, floor: f64, steps: usize, goes: &mut dyn FnMut(&Pattern) -> bool) -> Found {
        let slot = &self.model.slots[self.slot];
        let mut search = Search {
            knapsack: self,
            left: slot.capacity.clone(),
            limits_left: self.limits.iter().map(|(_, most)| *most).collect(),
            chosen: Vec::new(),
            best: floor,
            found: None,
            steps,
            goes,
        };
        if self.upper > floor {
            search.explore(0, self.fixed, self.capacity_weight);
        }
        let exhausted = search.steps == 0;
        let (best, found) = (search.best, search.found);
        let idle = if slot.keeps_idle { self.fixed } else { f64::NEG_INFINITY };
        Found {
            best: found.map(|counts| (best, Pattern { slot: self.slot, counts })),
            upper: if exhausted { self.upper } else { best.min(self.upper).max(idle) },
        }
    }
}

struct Search<'k, 'm, 'g> {
    knapsack: &'k Knapsack<'m>,
    left: Vec<i64>,
    limits_left: Vec<i64>,
    chosen: Vec<(usize, i64)>,
    best: f64,
    found: Option<SmallVec<[(u32, u32); 6]>>,
    steps: usize,
    goes: &'g mut dyn FnMut(&Pattern) -> bool,
}

impl Search<'_, '_, '_> {
    /// Tries the items from `from` on. `value`: of what is chosen; `left_weight`: of what is free.
    fn explore(&mut self, from: usize, value: f64, left_weight: f64) {
        let knapsack = self.knapsack;
        let (met, hoped) = self.extras();
        self.consider(value + met);
        let mut at = from;
        while at < knapsack.items.len() {
            let bound =
                value + met + hoped + knapsack.surplus[at] + knapsack.ratio[at] * left_weight.max(0.0);
            // Nothing from here on can beat the best (but for noise).
            if bound <= self.best + 1e-11 * (1.0 + self.best.abs()) {
                return;
            }
            let most = self.room(at);
            for count in (1..=most).rev() {
                if self.steps == 0 {
                    return;
                }
                self.steps -= 1;
                let rest = left_weight - knapsack.weight[at] * count as f64;
                let next_ratio = knapsack.ratio.get(at + 1).copied().unwrap_or(0.0);
                let own = knapsack.value[at] * count as f64;
                let bound = value + own + met + hoped + knapsack.surplus[at + 1] + next_ratio * rest.max(0.0);
                if bound <= self.best + 1e-11 * (1.0 + self.best.abs()) {
                    // Fewer are worth less still: what comes later is worth less for its weight.
                    if own >= 0.0 {
                        break;
                    }
                    continue;
                }
                self.take(at, count);
                if self.goes_together() {
                    self.explore(at + 1, value + own, rest);
                }
                self.give_back(at, count);
            }
            at += 1;
        }
    }

    /// How many of the item at `at` there is room for.
    fn room(&self, at: usize) -> i64 {
        let knapsack = self.knapsack;
        let item = knapsack.items[at];
        let of = &knapsack.model.items.items[item];
        let mut most = knapsack.most[at];
        for (need, left) in of.requests.iter().zip(&self.left) {
            if *need > 0 {
                most = most.min(left / need);
            }
        }
        for &limit in &knapsack.limits_of[at] {
            most = most.min(self.limits_left[limit]);
        }
        if most > 0 {
            let conflicts = &knapsack.model.items.conflicts[item];
            if self.chosen.iter().any(|(other, _)| conflicts.has(*other)) {
                return 0;
            }
        }
        most
    }

    fn take(&mut self, at: usize, count: i64) {
        let knapsack = self.knapsack;
        let item = knapsack.items[at];
        for (left, need) in self.left.iter_mut().zip(&knapsack.model.items.items[item].requests) {
            *left -= need * count;
        }
        for &limit in &knapsack.limits_of[at] {
            self.limits_left[limit] -= count;
        }
        self.chosen.push((item, count));
    }

    fn give_back(&mut self, at: usize, count: i64) {
        let knapsack = self.knapsack;
        let item = knapsack.items[at];
        for (left, need) in self.left.iter_mut().zip(&knapsack.model.items.items[item].requests) {
            *left += need * count;
        }
        for &limit in &knapsack.limits_of[at] {
            self.limits_left[limit] += count;
        }
        self.chosen.pop();
    }

    /// The worth of the extras that are met, and what those that are not could still bring.
    fn extras(&self) -> (f64, f64) {
        let (mut met, mut hoped) = (0.0, 0.0);
        for extra in &self.knapsack.extras {
            let is_met = extra.conditions.iter().all(|(members, least)| {
                let of_members = self.chosen.iter().filter(|(item, _)| members.has(*item));
                of_members.map(|(_, count)| count).sum::<i64>() >= *least
            });
            if is_met {
                met += extra.value;
            } else if extra.value > 0.0 {
                hoped += extra.value;
            }
        }
        (met, hoped)
    }

    fn pattern(&self) -> Pattern {
        let mut counts: SmallVec<[(u32, u32); 6]> =
            self.chosen.iter().map(|&(item, count)| (item as u32, count as u32)).collect();
        counts.sort_unstable();
        Pattern { slot: self.knapsack.slot, counts }
    }

    fn goes_together(&mut self) -> bool {
        let pattern = self.pattern();
        (self.goes)(&pattern)
    }

    fn consider(&mut self, value: f64) {
        if value > self.best && !self.chosen.is_empty() {
            let pattern = self.pattern();
            if self.knapsack.model.items.companions.is_empty() || self.knapsack.model.keeps_company(&pattern)
            {
                self.best = value;
                self.found = Some(pattern.counts);
            }
        }
    }
}
