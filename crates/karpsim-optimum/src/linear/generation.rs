//! Column generation: patterns are priced in until none improves the linear program; at every step its multipliers,
//! scaled until no pattern beats its price (Farley), prove a lower bound.
//!
//! Of many items the multipliers swing widely while few patterns are known. So they begin with prices by size, are kept
//! near those that proved most (Wentges), and beside the best pattern of each slot whole sets are found that fit together.

use crate::linear::master::{Column, Solved, entries, prices_of_resources, solve};
use crate::linear::pricing::{DomainExclusion, Knapsack, Prices};
use crate::model::slots::Slot;
use crate::model::{Counting, Model, Pattern, Row};
use crate::money::dollars;
use karpsim::compile::ClusterState;
use karpsim::requirements::Algebra;
use rustc_hash::FxHashSet;

/// How hard a search for a pattern tries at first, and in the end.
const STEPS: [usize; 2] = [2_000, 200_000];

/// With more items than this, multipliers are kept near those that proved most so far (Wentges' smoothing).
const STEADY_ITEMS: usize = 60;

/// How near at first.
const CENTRE_WEIGHT: f64 = 0.8;

/// So many slots are tried for a node where nodes are filled one after the other, and as many again so often if none of
/// them is worth so much of its price.
const SAMPLE: usize = 4;
const LOOKS: usize = 3;
const GOOD_SHARE: f64 = 0.97;

/// How hard the search for such a node tries.
const PACK_STEPS: usize = 500;

/// So many slots are looked at together, whatever the number of threads: it decides what is found.
const TOGETHER: usize = 32;

/// The search for patterns, with all that were found.
pub(crate) struct Generator<'a> {
    /// The problem.
    pub(crate) problem: &'a ClusterState,
    /// Requirements.
    pub(crate) algebra: &'a mut Algebra,
    /// The model.
    pub(crate) model: &'a Model,
    /// Patterns found.
    pub(crate) columns: Vec<Column>,
    known: FxHashSet<Pattern>,
    /// For each item, dollars for a pod without a place.
    pub(crate) penalty: Vec<f64>,
    /// Whether nodes cost anything.
    pub(crate) priced: bool,
    /// For each slot, how much its best pattern gained when it was last looked at.
    gains: Vec<f64>,
    /// Whether of slots that differ in their domains alone one stands for all where these do not matter.
    pub(crate) alike: bool,
    /// The cheapest set of patterns that came up on the way and has a position for every pod, with what it costs.
    pub(crate) packed: Option<(i64, Vec<Pattern>)>,
    /// Threads to look at slots with.
    threads: usize,
    /// Whether time is up.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// What column generation came to.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    /// The last linear program.
    pub(crate) solved: Solved,
    /// The columns that it was over.
    pub(crate) over: Vec<usize>,
    /// A proven lower bound on dollars and penalties.
    pub(crate) bound: f64,
}

/// What columns are generated for.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Rows: those of the model (their bounds may differ), then others.
    pub(crate) rows: Vec<Row>,
    /// Bans.
    pub(crate) exclusions: Vec<DomainExclusion>,
    /// For each item, how many pods a pattern may have.
    pub(crate) most: Vec<i64>,
    /// Rows that ask for positions in certain places: the item, and the row's number. Items ascend.
    pub(crate) assigned: Vec<(usize, usize)>,
    /// How often patterns are priced in at most.
    pub(crate) rounds: usize,
    /// A bound that is enough.
    pub(crate) enough: f64,
    /// How near to the value of the linear program, relatively, the bound need come.
    pub(crate) close: f64,
    /// Whether patterns are searched for until there is a bound: not where nothing but an answer is wanted.
    pub(crate) thorough: bool,
}

impl Task {
    /// The whole model.
    pub(crate) fn whole(model: &Model) -> Self {
        Task {
            rows: model.rows.clone(),
            exclusions: Vec::new(),
            most: model.items.items.iter().map(|item| item.count).collect(),
            assigned: model
                .rows
                .iter()
                .enumerate()
                .filter_map(|(at, row)| match row.counting {
                    Counting::Assigned { item, .. } => Some((item, at)),
                    _ => None,
                })
                .collect(),
            rounds: usize::MAX,
            enough: f64::INFINITY,
            close: 0.0,
            thorough: true,
        }
    }

    /// How many pods of an item a node of the slot may have: positions elsewhere for those that are assigned there must remain.
    pub(crate) fn most_on(&self, slot: &Slot, item: usize) -> i64 {
        let first = self.assigned.partition_point(|(of, _)| *of < item);
        let own = self.assigned[first..].iter().take_while(|(of, _)| *of == item);
        let elsewhere: f64 = own
            .map(|(_, row)| &self.rows[*row])
            .filter(|row| match &row.counting {
                Counting::Assigned { domains, .. } => !slot.is_in(domains),
                _ => false,
            })
            .map(|row| row.bound.max(0.0))
            .sum();
        (self.most[item] - elsewhere.round() as i64).max(0)
    }
}

impl<'a> Generator<'a> {
    /// A search without patterns.
    pub(crate) fn new(
        problem: &'a ClusterState,
        algebra: &'a mut Algebra,
        model: &'a Model,
        penalty: Vec<f64>,
        threads: usize,
        stop: &'a dyn Fn() -> bool,
    ) -> Self {
        Generator {
            problem,
            algebra,
            gains: vec![f64::INFINITY; model.slots.len()],
            model,
            columns: Vec::new(),
            known: FxHashSet::default(),
            penalty,
            priced: true,
            alike: false,
            packed: None,
            threads,
            stop,
        }
    }

    /// Adds a pattern, if it is new. The caller answers for it.
    pub(crate) fn add(&mut self, pattern: Pattern) -> bool {
        let idle = pattern.counts.is_empty() && !self.model.slots[pattern.slot].keeps_idle;
        if idle || !self.known.insert(pattern.clone()) {
            return false;
        }
        self.columns.push(Column::new(self.model, &self.model.rows, pattern));
        true
    }

    /// Generates columns for `task` until none helps, the bound is enough or time is up. `None`: the linear program could
    /// not be solved.
    pub(crate) fn generate(&mut self, task: &Task) -> Option<Generated> {
        self.generate_telling(task, &|_| {})
    }

    /// The same, telling every bound.
    pub(crate) fn generate_telling(&mut self, task: &Task, tell: &dyn Fn(f64)) -> Option<Generated> {
        let first = self.model.rows.len();
        let own_rows = &task.rows[first..];
        let mut bound = f64::NEG_INFINITY;
        let mut last: Option<Generated> = None;
        let is_large = self.alike || self.model.items.items.len() > STEADY_ITEMS;
        let steady = is_large && task.rounds == usize::MAX;
        // Multipliers that no pattern beats, with what they prove.
        let mut centre: Option<(f64, Vec<f64>)> = None;
        if steady && self.priced {
            centre = self.resource_prices(task).map(|duals| (f64::NEG_INFINITY, duals));
            if let Some((_, duals)) = &centre {
                let priced = self.price(task, duals);
                bound = priced.bound;
                tell(bound);
                centre = priced.feasible.filter(|_| bound.is_finite()).map(|duals| (bound, duals));
                for pattern in priced.patterns {
                    self.add(pattern);
                }
            }
        }
        for round in 0.. {
            let over: Vec<usize> = (0..self.columns.len())
                .filter(|&column| self.is_proper(&self.columns[column].pattern, task))
                .collect();
            let columns: Vec<&Column> = over.iter().map(|&column| &self.columns[column]).collect();
            let extra: Vec<Vec<(usize, f64)>> = if own_rows.is_empty() {
                Vec::new()
            } else {
                columns.iter().map(|column| entries(self.model, own_rows, first, &column.pattern)).collect()
            };
            let Some(mut solved) =
                solve(self.model, &task.rows, &columns, &extra, &self.penalty, self.priced)
            else {
                break;
            };
            // Rows that ask for nothing have no price, whatever is left of one by rounding.
            for &(_, row) in task.assigned.iter().filter(|(_, row)| task.rows[*row].bound <= 0.0) {
                solved.duals[row] = 0.0;
            }
            if round >= task.rounds {
                last = Some(Generated { solved, over, bound });
                break;
            }
            // Near the centre multipliers are not thrown about by what the few patterns known so far happen to be; a
            // pattern that is worth more than its price there is so under those of the linear program too.
            let mut weight = if centre.is_some() { CENTRE_WEIGHT } else { 0.0 };
            let mut added = false;
            let mut done;
            loop {
                let duals: Vec<f64> = match &centre {
                    Some((_, centre)) if weight > 0.0 => {
                        let pairs = centre.iter().zip(&solved.duals);
                        pairs.map(|(centre, dual)| weight * centre + (1.0 - weight) * dual).collect()
                    }
                    _ => solved.duals.clone(),
                };
                let priced = self.price(task, &duals);
                if steady
                    && let Some(feasible) = priced.feasible
                    && centre.as_ref().is_none_or(|(known, _)| priced.bound > *known)
                {
                    centre = Some((priced.bound, feasible));
                }
                bound = bound.max(priced.bound);
                tell(bound);
                done = bound >= task.enough
                    || solved.value - bound <= task.close.max(1e-9) * (1.0 + solved.value.abs())
                    || (self.stop)();
                for pattern in priced.patterns {
                    added |= self.add(pattern);
                }
                if done || added || weight == 0.0 {
                    if steady && self.priced && !done {
                        let solved = (&solved, over.as_slice());
                        added |= self.pack(task, &duals, solved, round);
                    }
                    break;
                }
                weight = if weight > 0.2 { weight / 2.0 } else { 0.0 };
            }
            last = Some(Generated { solved, over, bound });
            if done || !added {
                break;
            }
        }
        last.map(|last| Generated { bound, ..last })
    }

    /// Fills nodes one after the other until all pods have a position, each with what is worth most for its price of what is
    /// left: patterns that go together, where those that are found slot by slot all want the same pods. Tells whether any
    /// is new.
    fn pack(
        &mut self,
        task: &Task,
        duals: &[f64],
        (solved, over): (&Solved, &[usize]),
        round: usize,
    ) -> bool {
        let model = self.model;
        let prices = Prices::new(model, &task.rows, duals, &task.exclusions);
        // Slots as often as the linear program uses them; now and then any.
        let mut chances: Vec<(usize, f64)> = Vec::new();
        for (&column, &used) in over.iter().zip(&solved.used) {
            let slot = self.columns[column].pattern.slot;
            if used > 1e-6 && slot < model.new_count && model.slots[slot].settled {
                chances.push((slot, used));
            }
        }
        let any: Vec<usize> = (0..model.new_count)
            .filter(|&slot| model.slots[slot].settled && (!self.alike || model.twins[slot] == slot))
            .collect();
        let all: f64 = chances.iter().map(|(_, used)| used).sum();
        if any.is_empty() || all <= 0.0 {
            return false;
        }
        let mut chance = RandomSource(round as u64 + 1);
        let mut draw = |index: usize| -> usize {
            if index % 4 == 3 {
                return any[chance.below(any.len())];
            }
            let mut left = chance.share() * all;
            for &(slot, used) in &chances {
                left -= used;
                if left <= 0.0 {
                    return slot;
                }
            }
            any[chance.below(any.len())]
        };
        let mut left = task.most.clone();
        let mut nodes: Vec<Pattern> = Vec::new();
        let mut added = false;
        while left.iter().any(|left| *left > 0) && !(self.stop)() {
            let mut best: Option<(f64, Pattern)> = None;
            for _ in 0..LOOKS {
                let mut slots: Vec<usize> = (0..SAMPLE).map(&mut draw).collect();
                slots.sort_unstable();
                slots.dedup();
                let found = in_parallel(self.threads, &slots, &|slot| {
                    let knapsack = Knapsack::new(model, prices.on(slot), &|item| left[item]);
                    knapsack.search(0.0, PACK_STEPS, &mut |_| true).best
                });
                for (worth, pattern) in found.into_iter().flatten() {
                    let share = worth / self.cost(pattern.slot).max(1e-9);
                    if best.as_ref().is_none_or(|(known, _)| share > *known) {
                        best = Some((share, pattern));
                    }
                }
                if best.as_ref().is_some_and(|(share, _)| *share > GOOD_SHARE) {
                    break;
                }
            }
            let Some((_, pattern)) = best else { break };
            let fits =
                pattern.counts.iter().map(|&(item, count)| left[item as usize] / i64::from(count.max(1)));
            let times = (fits.min().unwrap_or(1) / 3).max(1);
            for &(item, count) in &pattern.counts {
                left[item as usize] -= i64::from(count) * times;
            }
            nodes.extend((0..times).map(|_| pattern.clone()));
            added |= self.add(pattern);
        }
        if left.iter().all(|left| *left == 0) {
            let cost = nodes.iter().map(|pattern| model.slots[pattern.slot].price).sum();
            if self.packed.as_ref().is_none_or(|(known, _)| cost < *known) {
                self.packed = Some((cost, nodes));
            }
        }
        added
    }

    /// Forgets which slots gained: what is asked for has changed.
    pub(crate) fn start_anew(&mut self) {
        self.gains.fill(f64::INFINITY);
    }

    /// Whether a pattern keeps the exclusions of a task and has no more pods of an item than it allows.
    fn is_proper(&self, pattern: &Pattern, task: &Task) -> bool {
        let slot = &self.model.slots[pattern.slot];
        pattern.counts.iter().all(|&(item, count)| {
            i64::from(count) <= task.most_on(slot, item as usize)
                && !task.exclusions.iter().any(|exclusion| exclusion.excludes(item as usize, slot))
        })
    }

    /// Finds patterns that improve on `solved`, and the bound that its multipliers prove.
    fn price(&mut self, task: &Task, duals: &[f64]) -> Priced {
        let model = self.model;
        let prices = Prices::new(model, &task.rows, duals, &task.exclusions);
        let wanted = 16 + model.items.items.len() / 2;
        let mut patterns = Vec::new();
        // Of slots that are worth the same one is enough.
        let is_sent = |&(_, row): &(usize, usize)| task.rows[row].bound > 0.0;
        let alike = self.alike && prices.are_blind_to_domains() && !task.assigned.iter().any(is_sent);
        let slots: Vec<usize> =
            (0..model.slots.len()).filter(|&slot| !alike || model.twins[slot] == slot).collect();
        // First the slots that gained most when they were last looked at; if they still give enough, the others wait.
        let mut order: Vec<usize> = slots.iter().copied().filter(|&slot| self.gains[slot] > 0.0).collect();
        order.sort_by(|&a, &b| self.gains[b].total_cmp(&self.gains[a]).then(a.cmp(&b)));
        let hopeful = order.len();
        let mut is_hopeful = vec![false; model.slots.len()];
        for &slot in &order {
            is_hopeful[slot] = true;
        }
        order.extend(slots.iter().copied().filter(|&slot| !is_hopeful[slot]));
        let mut knapsacks: Vec<Option<Knapsack<'_>>> = (0..model.slots.len()).map(|_| None).collect();
        let mut uppers = vec![f64::INFINITY; model.slots.len()];
        let floors: Vec<f64> =
            (0..model.slots.len()).map(|slot| self.cost(slot) + self.tolerance(slot)).collect();
        for (part, slots) in order.chunks(TOGETHER).enumerate() {
            let enough = patterns.len() >= wanted && part * TOGETHER >= hopeful.min(wanted);
            if enough || (self.stop)() {
                return Priced { bound: f64::NEG_INFINITY, feasible: None, patterns };
            }
            let looked = in_parallel(self.threads, slots, &|slot| {
                let most = |item: usize| task.most_on(&model.slots[slot], item);
                let knapsack = Knapsack::new(model, prices.on(slot), &most);
                let found = (model.slots[slot].settled && knapsack.upper > floors[slot])
                    .then(|| knapsack.search(floors[slot], STEPS[0], &mut |_| true));
                (knapsack, found)
            });
            for (&slot, (knapsack, found)) in slots.iter().zip(looked) {
                uppers[slot] = knapsack.upper;
                let found = match found {
                    None if knapsack.upper > floors[slot] => {
                        Some(self.search(&knapsack, floors[slot], STEPS[0]))
                    }
                    found => found,
                };
                if let Some(found) = found {
                    uppers[slot] = uppers[slot].min(found.upper);
                    patterns.extend(found.best.map(|(_, pattern)| pattern));
                }
                self.gains[slot] = (uppers[slot] - floors[slot]) / self.cost(slot).max(1e-3);
                knapsacks[slot] = Some(knapsack);
            }
        }
        // Nothing was found quickly: bounds are drawn tighter, and what is open then is searched to the end.
        if patterns.is_empty() && task.thorough {
            self.tighten(&knapsacks, &mut uppers);
            order.sort_by(|&a, &b| self.gains[b].total_cmp(&self.gains[a]).then(a.cmp(&b)));
            order.retain(|&slot| uppers[slot] > floors[slot] * (1.0 + task.close));
            for slots in order.chunks(TOGETHER) {
                if patterns.len() >= wanted || (self.stop)() {
                    break;
                }
                let found = in_parallel(self.threads, slots, &|slot| {
                    let knapsack = knapsacks[slot].as_ref().filter(|_| model.slots[slot].settled)?;
                    Some(knapsack.search(floors[slot], STEPS[1], &mut |_| true))
                });
                for (&slot, found) in slots.iter().zip(found) {
                    let Some(knapsack) = &knapsacks[slot] else { continue };
                    let found = found.unwrap_or_else(|| self.search(knapsack, floors[slot], STEPS[1]));
                    uppers[slot] = uppers[slot].min(found.upper);
                    patterns.extend(found.best.map(|(_, pattern)| pattern));
                }
            }
        }
        if alike {
            for slot in 0..model.slots.len() {
                uppers[slot] = uppers[model.twins[slot]];
            }
        }
        let (bound, scale) = self.bound(&task.rows, duals, &uppers);
        Priced { bound, feasible: Some(duals.iter().map(|dual| scale * dual).collect()), patterns }
    }

    /// Bounds open slots by tables over one resource, each made for the slot with the widest gap of those like it.
    fn tighten(&self, knapsacks: &[Option<Knapsack<'_>>], uppers: &mut [f64]) {
        let model = self.model;
        let mut groups: Vec<(usize, &[Option<karpsim::requirements::ValueId>], Vec<usize>)> = Vec::new();
        for (at, slot) in model.slots.iter().enumerate().take(model.new_count) {
            let crate::model::slots::Place::New { template, .. } = slot.place else { continue };
            if knapsacks[at].is_none() || uppers[at] <= self.cost(at) + self.tolerance(at) {
                continue;
            }
            match groups.iter_mut().find(|group| (group.0, group.1) == (template, slot.domains.as_slice())) {
                Some((_, _, slots)) => slots.push(at),
                None => groups.push((template, &slot.domains, vec![at])),
            }
        }
        for (_, _, mut open) in groups {
            for _ in 0..4 {
                open.retain(|&slot| uppers[slot] > self.cost(slot) + self.tolerance(slot));
                let gap = |slot: usize| uppers[slot] / self.cost(slot).max(1e-9);
                let Some(&widest) = open.iter().max_by(|&&a, &&b| gap(a).total_cmp(&gap(b))) else { break };
                let Some(reference) = &knapsacks[widest] else { break };
                let mut values: Vec<(usize, f64)> = open
                    .iter()
                    .filter_map(|&slot| knapsacks[slot].as_ref())
                    .flat_map(Knapsack::values)
                    .collect();
                values.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
                values.dedup_by_key(|(item, _)| *item);
                let most = |resource: usize| {
                    let rooms = open.iter().filter_map(|&slot| knapsacks[slot].as_ref());
                    rooms.map(|knapsack| knapsack.room_of(resource)).max().unwrap_or(0)
                };
                for resource in reference.dear_resources() {
                    let Some(list) = reference.price_list(resource, &values, most, self.stop) else { break };
                    for &slot in &open {
                        if let Some(knapsack) = &knapsacks[slot] {
                            uppers[slot] = uppers[slot].min(knapsack.bound_by(&list));
                        }
                    }
                }
            }
        }
    }

    fn cost(&self, slot: usize) -> f64 {
        if self.priced { dollars(self.model.slots[slot].price) } else { 0.0 }
    }

    fn tolerance(&self, slot: usize) -> f64 {
        let cost = self.cost(slot);
        if cost > 0.0 { 1e-9 * cost } else { 1e-9 }
    }

    fn search(&mut self, knapsack: &Knapsack<'_>, floor: f64, steps: usize) -> crate::linear::pricing::Found {
        let (model, problem, algebra) = (self.model, self.problem, &mut *self.algebra);
        knapsack.search(floor, steps, &mut |pattern| model.keeps_together(problem, algebra, pattern))
    }

    /// The bound that multipliers prove if no pattern of a slot is worth more than `uppers` says.
    /// Also tells by what they must be scaled for that.
    fn bound(&self, rows: &[Row], duals: &[f64], uppers: &[f64]) -> (f64, f64) {
        let model = self.model;
        let mut scale: f64 = 1.0;
        let mut free = 0.0f64;
        for (slot, &upper) in uppers.iter().enumerate().take(model.new_count) {
            let cost = self.cost(slot);
            if upper > cost {
                if cost > 1e-9 {
                    scale = scale.min(cost / upper);
                } else {
                    free = free.max(upper);
                }
            }
        }
        let mut bound = 0.0;
        let mut of_items = vec![0.0; model.items.items.len()];
        let mut of_auxiliaries = vec![0.0; model.auxiliaries.len()];
        let mut of_nodes = vec![0.0; model.slots.len()];
        for (row, dual) in rows.iter().zip(duals) {
            match row.counting {
                Counting::Node(slot) => {
                    // Chosen anew below: at most one node of the slot.
                    of_nodes[slot] += dual;
                    continue;
                }
                Counting::Item(item) => of_items[item] += dual,
                Counting::Unplaced(ref members) => {
                    members.iter().for_each(|item| of_items[item] += dual);
                }
                _ => {}
            }
            bound += scale * dual * row.bound;
            if let Some((auxiliary, factor)) = row.auxiliary {
                of_auxiliaries[auxiliary] += dual * factor;
            }
        }
        for slot in model.new_count..model.slots.len() {
            bound -= (scale * (uppers[slot] - of_nodes[slot]) - self.cost(slot)).max(0.0);
        }
        for ((item, dual), penalty) in model.items.items.iter().zip(&of_items).zip(&self.penalty) {
            bound += item.count as f64 * (penalty - scale * dual).min(0.0);
        }
        for (most, dual) in model.auxiliaries.iter().zip(&of_auxiliaries) {
            bound += most * (-scale * dual).min(0.0);
        }
        let pods: i64 = model.items.items.iter().map(|item| item.count).sum();
        (bound - free * scale * pods as f64, scale)
    }

    /// Multipliers under which a pod is worth what it takes of each resource and of limits a node, at the prices that make
    /// all pods dearest while no slot is worth more than it costs. Nearly right where prices go by size.
    fn resource_prices(&self, task: &Task) -> Option<Vec<f64>> {
        let model = self.model;
        let items = &model.items;
        let resources = items.resources.len();
        let mut wanted = vec![0.0; resources + items.limits.len()];
        for (at, item) in items.items.iter().enumerate() {
            let count = task.most[at] as f64;
            for (wanted, need) in wanted.iter_mut().zip(&item.requests) {
                *wanted += count * *need as f64;
            }
            for (wanted, limit) in wanted[resources..].iter_mut().zip(&items.limits) {
                *wanted += if limit.members.has(at) { count } else { 0.0 };
            }
        }
        // In units of all that is wanted, so that the program is well scaled.
        let unit: Vec<f64> = wanted.iter().map(|wanted| wanted.max(1.0)).collect();
        let offers: Vec<(Vec<f64>, f64)> = model
            .slots
            .iter()
            .enumerate()
            .take(model.new_count)
            .map(|(at, slot)| {
                let limits = items.limits.iter().map(|limit| limit.on_new as f64);
                let amounts = slot.capacity.iter().map(|have| (*have).max(0) as f64).chain(limits);
                (amounts.zip(&unit).map(|(have, unit)| have / unit).collect(), self.cost(at))
            })
            .collect();
        let prices = prices_of_resources(&offers)?;
        let worth = |at: usize| -> f64 {
            let item = &items.items[at];
            let limits = items.limits.iter().map(|limit| f64::from(u8::from(limit.members.has(at))));
            let amounts = item.requests.iter().map(|need| *need as f64).chain(limits);
            amounts.zip(&unit).zip(&prices).map(|((amount, unit), price)| amount / unit * price).sum()
        };
        let dual = |row: &Row| match row.counting {
            // A little less, so that no slot is worth more by a rounding error.
            Counting::Item(item) => (worth(item) * (1.0 - 1e-6)).min(self.penalty[item]),
            _ => 0.0,
        };
        Some(task.rows.iter().map(dual).collect())
    }
}

/// What `each` says of `slots`, in their order.
fn in_parallel<T: Send>(threads: usize, slots: &[usize], each: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
    if threads <= 1 || slots.len() <= 1 {
        return slots.iter().map(|&slot| each(slot)).collect();
    }
    std::thread::scope(|scope| {
        let parts: Vec<_> = slots
            .chunks(slots.len().div_ceil(threads))
            .map(|part| scope.spawn(move || part.iter().map(|&slot| each(slot)).collect::<Vec<T>>()))
            .collect();
        let joined = parts.into_iter().map(|part| part.join());
        joined.flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Numbers that look random and are always the same.
struct RandomSource(u64);

impl RandomSource {
    /// The next number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.share() * limit as f64) as usize % limit.max(1)
    }

    /// The next number from 0 to below 1 (a linear congruential generator; D. Knuth's multiplier for 64 bits).
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }
}

struct Priced {
    bound: f64,
    /// The multipliers, scaled such that no pattern beats its price.
    feasible: Option<Vec<f64>>,
    patterns: Vec<Pattern>,
}

/// What a pod without a place counts for each item, in nano-dollars: more than the dearest node that is the cheapest
/// for some pod, and four times as much for each higher priority. A multiple of `unit`.
pub(crate) fn penalties(model: &Model, priorities: &[i64], unit: i64) -> Vec<i64> {
    let cheapest = |item: usize| {
        let slots = model.slots.iter().take(model.new_count).filter(|slot| slot.allowed.has(item));
        slots.map(|slot| slot.price).min().unwrap_or(0)
    };
    let dearest = (0..model.items.items.len()).map(cheapest).max().unwrap_or(0);
    let unit = unit.max(1);
    let base = 4 * dearest + 1_000_000_000_i64.div_euclid(unit).max(1) * unit;
    let items = model.items.items.iter();
    items
        .map(|item| {
            let below = priorities.iter().filter(|priority| **priority < item.priority).count();
            base << (2 * below.min(6))
        })
        .collect()
}
