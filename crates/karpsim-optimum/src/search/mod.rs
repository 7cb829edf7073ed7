//! The search: a bound from column generation, answers from diving and from Karpenter's own decision, and branch and price
//! until both meet or time is up.

pub(crate) mod branch_and_price;
mod branching;
pub(crate) mod diving;
pub(crate) mod domain_assignment;
pub(crate) mod node_domains;
mod offering;
pub(crate) mod pod_assignment;
pub(crate) mod strategy;

use crate::linear::generation::{Generated, Generator, Task, penalties};
use crate::linear::master::{Column, solve_whole};
use crate::model::existing_nodes::ExistingNodes;
use crate::model::rules::Rules;
use crate::model::slots::Place;
use crate::model::{Counting, Model, Pattern};
use crate::money::{NEGLIGIBLE_NANO_DOLLARS, common_unit, dollars, round_up_to_unit};
use crate::result::answer::{Answer, ObjectiveValue};
use crate::search::diving::dive;
use crate::search::node_domains::choose_domains;
use crate::search::pod_assignment::PlacementOrder;
use karpsim::compile::ClusterState;
use karpsim::requirements::Algebra;
use smallvec::SmallVec;

/// Integer masters are solved exactly up to this size; branch and bound without a limit of time is lost on larger ones.
const WHOLE_COLUMNS_MAX: usize = 16;
const WHOLE_ROWS_MAX: usize = 24;

/// How often pods are exchanged until none is in another's way.
const EXCHANGES: usize = 8;

/// What a search knows of the problem, whatever the model.
pub(crate) struct SearchContext<'a> {
    /// The problem.
    pub(crate) problem: &'a ClusterState,
    /// Their priorities, highest first.
    pub(crate) priorities: &'a [i64],
    /// Their topology rules.
    pub(crate) rules: &'a Rules,
    /// What these ask of the order of pods on a node.
    pub(crate) placement_order: &'a PlacementOrder<'a>,
    /// Existing nodes, and pods on them, that may move.
    pub(crate) existing_nodes: &'a ExistingNodes,
    /// The relative gap that is good enough.
    pub(crate) gap: f64,
    /// Threads for the search for patterns.
    pub(crate) threads: usize,
    /// Whether time is up.
    pub(crate) stop: &'a dyn Fn() -> bool,
    /// Told of progress: bound and best in nano-dollars, if known.
    pub(crate) tell: &'a dyn Fn(Option<i64>, Option<i64>),
}

/// The best answer so far.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    /// How good it is.
    pub(crate) merit: ObjectiveValue,
    /// The answer; `None`: Karpenter's own decision.
    pub(crate) answer: Option<Answer>,
}

impl Best {
    /// Takes `answer` if it is better.
    pub(crate) fn improve(&mut self, context: &SearchContext<'_>, answer: Answer) -> bool {
        let merit = answer.merit(context.problem, context.existing_nodes, context.priorities);
        if merit >= self.merit {
            return false;
        }
        self.merit = merit;
        self.answer = Some(answer);
        true
    }
}

/// A model under search.
pub(crate) struct Search<'a> {
    context: &'a SearchContext<'a>,
    generator: Generator<'a>,
    penalty: Vec<i64>,
    /// All costs are multiples of this.
    unit: i64,
    /// At least so many pods have no place, beside those that no slot takes.
    least_unplaced: usize,
    /// How near to the value of the linear program, relatively, the bound need come.
    pub(crate) close: f64,
    /// Whether the bound would be higher if the model knew all that the check of answers does.
    pub(crate) rests_on_check: bool,
    /// Whether the linear programs of the whole leave open where pods are assigned.
    domains_are_open: bool,
}

impl<'a> Search<'a> {
    /// A search of `model`.
    pub(crate) fn new(context: &'a SearchContext<'a>, algebra: &'a mut Algebra, model: &'a Model) -> Self {
        let unit = common_unit(model.slots.iter().map(|slot| slot.price));
        let penalty = penalties(model, context.priorities, unit);
        let in_dollars = penalty.iter().map(|penalty| dollars(*penalty)).collect();
        let generator =
            Generator::new(context.problem, algebra, model, in_dollars, context.threads, context.stop);
        Search {
            context,
            generator,
            penalty,
            unit,
            least_unplaced: 0,
            close: 0.0,
            domains_are_open: false,
            rests_on_check: false,
        }
    }

    /// Begins with patterns of single items: as many as fit on the cheapest slot, and one; and with nodes that are kept
    /// without pods.
    pub(crate) fn seed_singles(&mut self) {
        let model = self.generator.model;
        for slot in (0..model.slots.len()).filter(|&slot| model.slots[slot].keeps_idle) {
            self.generator.add(Pattern { slot, counts: SmallVec::new() });
        }
        for item in 0..model.items.items.len() {
            let of = &model.items.items[item];
            let slots = (0..model.slots.len()).filter(|&slot| model.slots[slot].allowed.has(item));
            let Some(slot) = slots.min_by_key(|&slot| model.slots[slot].price) else { continue };
            let room = of.requests.iter().zip(&model.slots[slot].capacity).filter(|(need, _)| **need > 0);
            let most = room.map(|(need, have)| have / need).min().unwrap_or(of.count).min(of.count);
            for count in [most, 1] {
                let pattern =
                    Pattern { slot, counts: SmallVec::from_slice(&[(item as u32, count.max(1) as u32)]) };
                if model.holds(self.context.problem, self.generator.algebra, &pattern) {
                    self.generator.add(pattern);
                }
            }
        }
    }

    /// Adds the nodes of an answer as patterns, each on the cheapest slot that takes its pods. Tells what these cost, if
    /// there is a slot for each.
    pub(crate) fn seed(&mut self, nodes: &[(Option<usize>, Vec<usize>)]) -> Option<i64> {
        let mut cost = Some(0);
        for (existing, pods) in nodes {
            let counts = self.counts(pods);
            match self.cheapest(*existing, &counts) {
                Some(slot) => {
                    cost = cost.map(|cost| cost + self.generator.model.slots[slot].price);
                    self.generator.add(Pattern { slot, counts });
                }
                None => cost = None,
            }
        }
        cost
    }

    /// Offers the nodes of an answer, each as the cheapest that takes its pods.
    pub(crate) fn offer_seeded(&mut self, best: &mut Best, nodes: &[(Option<usize>, Vec<usize>)]) {
        let mut patterns = Vec::new();
        for (existing, pods) in nodes {
            let counts = self.counts(pods);
            if let Some(slot) = self.cheapest(*existing, &counts) {
                patterns.push(Pattern { slot, counts });
            }
        }
        self.offer(best, &patterns);
    }

    /// Dives from the whole model, whose linear program is `root`.
    pub(crate) fn dive_whole(&mut self, best: &mut Best, root: &Generated) {
        let task = Task { enough: self.enough(best), close: self.close, ..self.whole() };
        let rounds = if self.generator.model.items.items.len() > 60 { 1 } else { 4 };
        // Where domains are open an answer is wanted soon, then a better one.
        let turns: &[usize] = if self.domains_are_open { &[1, 4] } else { &[rounds] };
        for &rounds in turns {
            if best.merit.unplaced_count() == 0 && self.enough(best) <= root.bound {
                return;
            }
            let patterns = dive(&mut self.generator, &task, rounds, Some(root));
            self.complete(best, patterns, rounds);
        }
    }

    /// Offers patterns, with more nodes for the pods that find no position on them where they are assigned.
    fn complete(&mut self, best: &mut Best, mut patterns: Vec<Pattern>, rounds: usize) {
        self.offer(best, &patterns);
        if !self.domains_are_open {
            return;
        }
        for _ in 0..3 {
            choose_domains(self.generator.model, &mut patterns);
            let rest = self.rest(&patterns);
            if rest.most.iter().all(|left| *left == 0) || (self.context.stop)() {
                return;
            }
            patterns.extend(dive(&mut self.generator, &rest, rounds, None));
            self.offer(best, &patterns);
        }
    }

    /// What there is still to do once the pods that find a position on `patterns` have it.
    fn rest(&mut self, patterns: &[Pattern]) -> Task {
        let model = self.generator.model;
        let (_, unplaced) = self.seated(patterns);
        let mut task = Task::whole(model);
        for row in &mut task.rows {
            let taken: f64 = patterns.iter().map(|pattern| model.count(&row.counting, pattern)).sum();
            let waiting = |item: usize, pods: &[usize]| {
                let of_item = |pod: &&usize| model.items.of_pod.get(pod) == Some(&item);
                pods.iter().filter(of_item).filter(|pod| unplaced.binary_search(pod).is_ok()).count() as f64
            };
            row.bound = match &row.counting {
                Counting::Item(item) => waiting(*item, &unplaced),
                Counting::Assigned { item, domains } => {
                    let assigned = model.items.items[*item].assigned.iter();
                    let there = assigned.filter(|(to, _)| model.places(to) == *domains);
                    there.map(|(_, pods)| waiting(*item, pods)).sum()
                }
                _ => row.bound - taken,
            };
        }
        for row in &task.rows {
            if let Counting::Item(item) = row.counting {
                task.most[item] = row.bound as i64;
            }
        }
        task
    }

    /// Offers the cheapest set of patterns that came up while columns were generated.
    pub(crate) fn offer_packed(&mut self, best: &mut Best) {
        if let Some((_, patterns)) = self.generator.packed.take() {
            self.complete(best, patterns, 1);
        }
    }

    /// Leaves open in the linear programs of the whole where pods are assigned; and takes one slot for all that differ only
    /// in domains.
    pub(crate) fn leave_domains_open(&mut self) {
        self.domains_are_open = true;
        self.generator.alike = true;
    }

    fn counts(&self, pods: &[usize]) -> SmallVec<[(u32, u32); 6]> {
        let mut counts: SmallVec<[(u32, u32); 6]> = SmallVec::new();
        let mut items: Vec<u32> = pods
            .iter()
            .filter_map(|pod| self.generator.model.items.of_pod.get(pod))
            .map(|&item| item as u32)
            .collect();
        items.sort_unstable();
        for item in items {
            match counts.last_mut() {
                Some((last, count)) if *last == item => *count += 1,
                _ => counts.push((item, 1)),
            }
        }
        counts
    }

    /// The cheapest slot that takes these pods: the node `existing` of the state, or a new one.
    fn cheapest(&mut self, existing: Option<usize>, counts: &SmallVec<[(u32, u32); 6]>) -> Option<usize> {
        let model = self.generator.model;
        let mut slots: Vec<usize> = (0..model.slots.len())
            .filter(|&slot| match model.slots[slot].place {
                Place::New { .. } => existing.is_none(),
                Place::Existing { node } => existing == Some(node),
            })
            .collect();
        slots.sort_by_key(|&slot| model.slots[slot].price);
        slots.into_iter().find(|&slot| {
            let pattern = Pattern { slot, counts: counts.clone() };
            model.holds(self.context.problem, self.generator.algebra, &pattern)
        })
    }

    /// Everything there is to do, as far as every answer has to: where pods are assigned is our choice, which no bound may
    /// rest on.
    fn all(&self) -> Task {
        let mut task = Task::whole(self.generator.model);
        for row in &mut task.rows {
            if matches!(row.counting, Counting::Assigned { .. }) {
                row.bound = 0.0;
            }
        }
        task
    }

    /// Everything there is to do, with what is known of pods without a place.
    fn whole(&self) -> Task {
        let model = self.generator.model;
        let mut task = self.all();
        if self.least_unplaced > 0 {
            task.rows.push(model.unplaced_row(self.least_unplaced as f64));
        }
        task
    }

    /// The bound and the relaxation of the whole model. If pods are left over it finds out how many must be, and makes
    /// leaving one dearer until no more are.
    pub(crate) fn root(&mut self, best: &Best) -> Option<Generated> {
        let mut generated = self.generate_whole(best)?;
        let possible = self.generator.model.possible();
        for attempt in 0..4 {
            let left: f64 = possible.iter().map(|item| generated.solved.unplaced[item]).sum();
            if left <= self.least_unplaced as f64 + 1e-6 || (self.context.stop)() {
                break;
            }
            if attempt == 0 {
                self.find_least_unplaced();
            }
            for (in_dollars, penalty) in self.generator.penalty.iter_mut().zip(&mut self.penalty) {
                *penalty *= 8;
                *in_dollars = dollars(*penalty);
            }
            self.generator.start_anew();
            generated = self.generate_whole(best)?;
        }
        Some(generated)
    }

    fn generate_whole(&mut self, best: &Best) -> Option<Generated> {
        let task = Task { enough: self.enough(best), close: self.close, ..self.whole() };
        let (tell, cost, unit) = (self.context.tell, best.merit.cost, self.unit);
        let penalties = self.scalar(best) - dollars(cost);
        self.generator.generate_telling(&task, &|bound| {
            tell(Some(cost_bound(bound - penalties, unit, cost)), Some(cost));
        })
    }

    /// How many pods must be left over: the same model where only that counts.
    fn find_least_unplaced(&mut self) {
        let penalty = std::mem::replace(&mut self.generator.penalty, vec![1.0; self.penalty.len()]);
        self.generator.priced = false;
        self.generator.start_anew();
        let model = self.generator.model;
        let impossible: i64 = {
            let possible = model.possible();
            let items = model.items.items.iter().enumerate();
            items.filter(|(item, _)| !possible.has(*item)).map(|(_, item)| item.count).sum()
        };
        let task = self.all();
        if let Some(generated) = self.generator.generate(&task) {
            let least = generated.bound - impossible as f64 - 1e-5;
            self.least_unplaced = least.max(0.0).ceil() as usize;
        }
        self.generator.priced = true;
        self.generator.penalty = penalty;
        self.generator.start_anew();
    }

    /// Whether no answer places more pods than `best`, which leaves `left` of those that some slot takes.
    pub(crate) fn places_most(&self, left: usize) -> bool {
        left == 0 || (left <= self.least_unplaced && self.context.priorities.len() <= 1)
    }

    /// A bound on cost and penalties of answers that leave `left` of the pods that some slot takes.
    pub(crate) fn bound_leaving(&mut self, left: usize) -> Option<f64> {
        let model = self.generator.model;
        let mut task = self.all();
        task.rows.push(model.unplaced_row(left as f64));
        Some(self.generator.generate(&task)?.bound)
    }

    /// A solution's cost and penalties, in dollars.
    fn scalar(&self, best: &Best) -> f64 {
        let model = self.generator.model;
        let of_priority = |priority: i64| {
            let items = model.items.items.iter().zip(&self.penalty);
            items
                .filter(|(item, _)| item.priority == priority)
                .map(|(_, penalty)| *penalty)
                .next()
                .unwrap_or(0)
        };
        let penalties: f64 = self
            .context
            .priorities
            .iter()
            .zip(&best.merit.unplaced)
            .map(|(priority, count)| dollars(of_priority(*priority)) * *count as f64)
            .sum();
        dollars(best.merit.cost) + penalties
    }

    /// A bound from which on nothing better can be hoped for.
    fn enough(&self, best: &Best) -> f64 {
        let step = (dollars(self.unit) * 0.999)
            .max(self.context.gap * dollars(best.merit.cost))
            .max(dollars(NEGLIGIBLE_NANO_DOLLARS / 2));
        let value = self.scalar(best);
        (value - step).min(value * (1.0 - 1e-7)).max(value - 1e9)
    }

    /// The least cost of answers with as many pods placed as `best`, from a bound on cost and penalties.
    pub(crate) fn cost_bound(&self, best: &Best, bound: f64) -> i64 {
        let penalties = self.scalar(best) - dollars(best.merit.cost);
        cost_bound(bound - penalties, self.unit, best.merit.cost)
    }

    /// Dives for an answer.
    pub(crate) fn dive(&mut self, best: &mut Best, task: &Task, rounds: usize) -> bool {
        let patterns = dive(&mut self.generator, task, rounds, None);
        self.offer(best, &patterns)
    }

    /// Offers the best whole numbers of the columns that a relaxation uses, if these are few.
    pub(crate) fn round_exactly(&mut self, best: &mut Best, generated: &Generated) {
        let pairs = generated.over.iter().zip(&generated.solved.used);
        let columns: Vec<usize> =
            pairs.filter(|(_, used)| **used > 1e-6).map(|(&column, _)| column).collect();
        let model = self.generator.model;
        if columns.len() > WHOLE_COLUMNS_MAX || model.rows.len() > WHOLE_ROWS_MAX {
            return;
        }
        let shown: Vec<&Column> = columns.iter().map(|&column| &self.generator.columns[column]).collect();
        let Some(times) = solve_whole(model, &model.rows, &shown, &self.generator.penalty) else { return };
        let patterns: Vec<Pattern> = shown
            .iter()
            .zip(times)
            .flat_map(|(column, times)| std::iter::repeat_n(column.pattern.clone(), times))
            .collect();
        self.offer(best, &patterns);
    }
}

/// A bound in dollars as an amount that answers can cost, at most `cost`.
fn cost_bound(bound: f64, unit: i64, cost: i64) -> i64 {
    round_up_to_unit(bound.max(0.0), unit).clamp(0, cost.max(0))
}
