//! Column generation: patterns are priced in until none improves the linear program; at every step its multipliers,
//! scaled until no pattern beats its price (Farley), prove a lower bound.

use crate::master::{Column, Solved, entries, solve};
use crate::model::{Model, Pattern, Row};
use crate::money::dollars;
use crate::pricing::{Ban, Knapsack, Prices};
use karpsim::compile::Problem;
use karpsim::requirements::Algebra;
use rustc_hash::FxHashSet;

/// How hard a search for a pattern tries at first, and in the end.
const STEPS: [usize; 2] = [2_000, 200_000];

/// So many slots are looked at together, whatever the number of threads: it decides what is found.
const TOGETHER: usize = 32;

/// The search for patterns, with all that were found.
pub(crate) struct Generator<'a, 'p> {
    /// The problem.
    pub(crate) problem: &'a Problem<'p>,
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
    pub(crate) bans: Vec<Ban>,
    /// For each item, how many pods a pattern may have.
    pub(crate) most: Vec<i64>,
    /// How often patterns are priced in at most.
    pub(crate) rounds: usize,
    /// A bound that is enough.
    pub(crate) enough: f64,
}

impl Task {
    /// The whole model.
    pub(crate) fn whole(model: &Model) -> Self {
        Task {
            rows: model.rows.clone(),
            bans: Vec::new(),
            most: model.items.items.iter().map(|item| item.count).collect(),
            rounds: usize::MAX,
            enough: f64::INFINITY,
        }
    }
}

impl<'a, 'p> Generator<'a, 'p> {
    /// A search without patterns.
    pub(crate) fn new(
        problem: &'a Problem<'p>,
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
            let Some(solved) = solve(self.model, &task.rows, &columns, &extra, &self.penalty, self.priced)
            else {
                break;
            };
            if round >= task.rounds {
                last = Some(Generated { solved, over, bound });
                break;
            }
            let priced = self.price(task, &solved);
            bound = bound.max(priced.bound);
            tell(bound);
            let done = bound >= task.enough
                || solved.value - bound <= 1e-9 * (1.0 + solved.value.abs())
                || (self.stop)();
            last = Some(Generated { solved, over, bound });
            let mut added = false;
            for pattern in priced.patterns {
                added |= self.add(pattern);
            }
            if done || !added {
                break;
            }
        }
        last.map(|last| Generated { bound, ..last })
    }

    /// Forgets which slots gained: what is asked for has changed.
    pub(crate) fn start_anew(&mut self) {
        self.gains.fill(f64::INFINITY);
    }

    /// Whether a pattern keeps the bans of a task and has no more pods of an item than it allows.
    fn is_proper(&self, pattern: &Pattern, task: &Task) -> bool {
        let slot = &self.model.slots[pattern.slot];
        pattern.counts.iter().all(|&(item, count)| {
            i64::from(count) <= task.most[item as usize]
                && !task.bans.iter().any(|ban| ban.keeps_off(item as usize, slot))
        })
    }

    /// Finds patterns that improve on `solved`, and the bound that its multipliers prove.
    fn price(&mut self, task: &Task, solved: &Solved) -> Priced {
        let model = self.model;
        let prices = Prices::new(model, &task.rows, &solved.duals, &task.bans);
        let wanted = 16 + model.items.items.len() / 2;
        let mut patterns = Vec::new();
        // First the slots that gained most when they were last looked at; if they still give enough, the others wait.
        let mut order: Vec<usize> = (0..model.slots.len()).filter(|&slot| self.gains[slot] > 0.0).collect();
        order.sort_by(|&a, &b| self.gains[b].total_cmp(&self.gains[a]).then(a.cmp(&b)));
        let hopeful = order.len();
        let mut is_hopeful = vec![false; model.slots.len()];
        for &slot in &order {
            is_hopeful[slot] = true;
        }
        order.extend((0..model.slots.len()).filter(|&slot| !is_hopeful[slot]));
        let mut knapsacks: Vec<Option<Knapsack<'_>>> = (0..model.slots.len()).map(|_| None).collect();
        let mut uppers = vec![f64::INFINITY; model.slots.len()];
        let floors: Vec<f64> =
            (0..model.slots.len()).map(|slot| self.cost(slot) + self.tolerance(slot)).collect();
        for (part, slots) in order.chunks(TOGETHER).enumerate() {
            let enough = patterns.len() >= wanted && part * TOGETHER >= hopeful.min(wanted);
            if enough || (self.stop)() {
                return Priced { bound: f64::NEG_INFINITY, patterns };
            }
            let looked = in_parallel(self.threads, slots, &|slot| {
                let knapsack = Knapsack::new(model, prices.on(slot), &task.most);
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
        if patterns.is_empty() {
            self.tighten(&knapsacks, &mut uppers);
            order.sort_by(|&a, &b| self.gains[b].total_cmp(&self.gains[a]).then(a.cmp(&b)));
            order.retain(|&slot| uppers[slot] > floors[slot]);
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
        Priced { bound: self.bound(&task.rows, solved, &uppers), patterns }
    }

    /// Bounds open slots by tables over one resource, each made for the slot with the widest gap of those like it.
    fn tighten(&self, knapsacks: &[Option<Knapsack<'_>>], uppers: &mut [f64]) {
        let model = self.model;
        let mut groups: Vec<(usize, &[Option<karpsim::requirements::ValueId>], Vec<usize>)> = Vec::new();
        for (at, slot) in model.slots.iter().enumerate().take(model.new_count) {
            let crate::slots::Place::New { template, .. } = slot.place else { continue };
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
                let Some(list) = reference.price_list(&values, most, self.stop) else { break };
                for &slot in &open {
                    if let Some(knapsack) = &knapsacks[slot] {
                        uppers[slot] = uppers[slot].min(knapsack.bound_by(&list));
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

    fn search(&mut self, knapsack: &Knapsack<'_>, floor: f64, steps: usize) -> crate::pricing::Found {
        let (model, problem, algebra) = (self.model, self.problem, &mut *self.algebra);
        knapsack.search(floor, steps, &mut |pattern| model.keeps_together(problem, algebra, pattern))
    }

    /// The bound that multipliers prove if no pattern of a slot is worth more than `uppers` says.
    fn bound(&self, rows: &[Row], solved: &Solved, uppers: &[f64]) -> f64 {
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
        for (row, dual) in rows.iter().zip(&solved.duals) {
            match row.counting {
                crate::model::Counting::Node(slot) => {
                    // Chosen anew below: at most one node of the slot.
                    of_nodes[slot] += dual;
                    continue;
                }
                crate::model::Counting::Item(item) => of_items[item] += dual,
                crate::model::Counting::Unplaced(ref members) => {
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
        bound - free * scale * pods as f64
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

struct Priced {
    bound: f64,
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
