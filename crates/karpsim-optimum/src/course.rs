//! The course of a search: a model, its bound, answers by diving and branching; and, where topologies over domains make the
//! model too large, a bound without them and answers of a model in which every pod's domain is chosen beforehand.

use crate::facts::{Relaxation, facts_of};
use crate::items::Sent;
use crate::model::Model;
use crate::rules::Rules;
use crate::search::{Best, Field, Search};
use crate::seating::Manners;
use crate::sending::send;
use crate::standing::Standing;
use karpsim::compile::Problem;
use karpsim::requirements::Algebra;
use std::cell::Cell;

/// More items than this, and topologies over zones are left out of the bound.
const ITEMS_MAX: usize = 400;

/// How near to the value of its linear program, relatively, the bound of such a model need come.
const CLOSE: f64 = 2e-4;

/// What the search came to.
pub(crate) struct FoundBest {
    /// The best answer.
    pub(crate) best: Best,
    /// Nano-dollars an hour that no answer is below which places as many pods.
    pub(crate) bound: i64,
    /// What the bound does not know.
    pub(crate) relaxed: Vec<Relaxation>,
    /// Whether no answer places more pods.
    pub(crate) places_most: bool,
    /// Whether Karpenter's decision is none that the model knows.
    pub(crate) karpenter_is_outside: bool,
}

/// A search, with everything that it needs to know.
pub(crate) struct Course<'a, 'p> {
    /// The problem.
    pub(crate) problem: &'a Problem<'p>,
    /// Pods to be placed.
    pub(crate) pods: &'a [usize],
    /// Their priorities, highest first.
    pub(crate) priorities: &'a [i64],
    /// Their topology rules.
    pub(crate) rules: &'a Rules,
    /// What stands already.
    pub(crate) standing: &'a Standing,
    /// The relative gap that is good enough.
    pub(crate) gap: f64,
    /// Threads for the search for patterns.
    pub(crate) threads: usize,
    /// Whether a share of the time is up.
    pub(crate) time_is_up: &'a dyn Fn(f64) -> bool,
    /// Told of progress: bound and best in nano-dollars, if known.
    pub(crate) tell: &'a dyn Fn(Option<i64>, Option<i64>),
    /// Nodes of Karpenter's decision.
    pub(crate) nodes: &'a [(Option<usize>, Vec<usize>)],
    /// Nodes after Karpenter's best step.
    pub(crate) after: Option<&'a [(Option<usize>, Vec<usize>)]>,
}

impl Course<'_, '_> {
    /// Searches for an answer better than `best`.
    pub(crate) fn run(&self, algebra: &mut Algebra, mut best: Best) -> FoundBest {
        let nodes = self.problem.node_order.clone();
        let mut facts = facts_of(self.rules, true);
        let mut model =
            Model::new(self.problem, algebra, self.pods, &nodes, &facts, &Sent::default(), self.standing);
        let simplified = model.items.items.len() > ITEMS_MAX && !model.keys.is_empty();
        if simplified {
            let sent = send(self.problem, algebra, self.pods, &facts, self.rules);
            facts.forget_domains(self.problem, algebra);
            model = Model::new(self.problem, algebra, self.pods, &nodes, &facts, &sent, self.standing);
        }
        let possible = model.possible_pods();
        let share = Cell::new(if simplified { 0.45 } else { 0.9 });
        let stop = || (self.time_is_up)(share.get());
        let manners = Manners::new(self.rules);
        let field = Field {
            manners: &manners,
            problem: self.problem,
            priorities: self.priorities,
            rules: self.rules,
            standing: self.standing,
            gap: self.gap,
            threads: self.threads,
            stop: &stop,
            tell: self.tell,
        };
        let relaxed = model.relaxed.clone();
        let mut copy = algebra.clone();
        let mut search = Search::new(&field, &mut copy, &model);
        if simplified {
            search.close = CLOSE;
            search.leave_domains_open();
        }
        search.seed_singles();
        let outside = search.seed(self.nodes).is_none_or(|cost| cost > best.merit.cost);
        search.offer_seeded(&mut best, self.nodes);
        if let Some(after) = self.after {
            search.seed(after);
            search.offer_seeded(&mut best, after);
        }
        let mut bound = f64::NEG_INFINITY;
        if let Some(root) = search.root(&best) {
            bound = root.bound;
            (self.tell)(Some(search.cost_bound(&best, bound)), Some(best.merit.cost));
            if simplified {
                share.set(0.95);
                search.offer_packed(&mut best);
                search.dive_whole(&mut best, &root);
            } else {
                search.dive_whole(&mut best, &root);
                search.round_exactly(&mut best, &root);
                bound = search.branch(&mut best, root).max(bound);
            }
        }
        share.set(1.0);
        let left = best.merit.unplaced_count().saturating_sub(self.pods_without(possible));
        let places_most = search.places_most(left);
        if !places_most && let Some(leaving) = search.bound_leaving(left) {
            bound = bound.max(leaving);
        }
        FoundBest {
            bound: search.cost_bound(&best, bound),
            relaxed,
            places_most,
            karpenter_is_outside: outside,
            best,
        }
    }

    /// Pods that no slot takes.
    fn pods_without(&self, possible: usize) -> usize {
        let devices = self.problem.pending.len() + self.problem.leaving.len() - self.pods.len();
        devices + self.pods.len() - possible
    }
}
