//! The strategy of a search: a model, its bound, answers by diving and branching; and, where topologies over domains make the
//! model large, first a bound without them, with answers in which pods are assigned to domains and nodes chosen to suit.

use crate::model::Model;
use crate::model::existing_nodes::ExistingNodes;
use crate::model::facts::{Relaxation, facts_of};
use crate::model::items::DomainAssignment;
use crate::model::rules::Rules;
use crate::model::slots::Place;
use crate::search::domain_assignment::assign_domains;
use crate::search::pod_assignment::PlacementOrder;
use crate::search::{Best, Search, SearchContext};
use karpsim::compile::ClusterState;
use karpsim::requirements::Algebra;
use std::cell::Cell;

/// More items than this, and topologies over zones are left out of the bound.
const ITEMS_MAX: usize = 400;

/// Up to so many items, nothing but the model that knows them is looked at.
const ITEMS_CLOSED_MAX: usize = 60;

/// How near to the value of its linear program, relatively, the bound of such a model need come.
const CLOSE: f64 = 2e-4;

/// Whether topologies over domains are in the linear programs of a model, or left open until nodes are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Domains {
    Closed,
    Open,
}

/// What the search came to.
pub(crate) struct SearchResult {
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
pub(crate) struct SearchStrategy<'a> {
    /// The problem.
    pub(crate) problem: &'a ClusterState,
    /// Pods to be placed.
    pub(crate) pods: &'a [usize],
    /// Their priorities, highest first.
    pub(crate) priorities: &'a [i64],
    /// Their topology rules.
    pub(crate) rules: &'a Rules,
    /// Existing nodes, and pods on them, that may move.
    pub(crate) existing_nodes: &'a ExistingNodes,
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
    /// What these cost, in nano-dollars an hour.
    pub(crate) karpenter_cost: i64,
    /// Nodes after Karpenter's best step.
    pub(crate) after: Option<&'a [(Option<usize>, Vec<usize>)]>,
}

impl SearchStrategy<'_> {
    /// Searches for an answer better than `best`.
    pub(crate) fn run(&self, algebra: &mut Algebra, mut best: Best) -> SearchResult {
        let nodes = self.problem.node_order.clone();
        let mut facts = facts_of(self.rules, true);
        let exact = Model::new(
            self.problem,
            algebra,
            self.pods,
            &nodes,
            &facts,
            &DomainAssignment::default(),
            self.existing_nodes,
        );
        let items = exact.items.items.len();
        if exact.keys.is_empty() || items <= ITEMS_CLOSED_MAX {
            return self.search(algebra, &exact, Domains::Closed, &mut best, [0.9, 0.9], 0);
        }
        let assigned = assign_domains(self.problem, algebra, self.pods, &facts, self.rules);
        facts.forget_domains(self.problem, algebra);
        let open =
            Model::new(self.problem, algebra, self.pods, &nodes, &facts, &assigned, self.existing_nodes);
        let both = items <= ITEMS_MAX;
        let shares = if both { [0.35, 0.8] } else { [0.45, 0.95] };
        let found = self.search(algebra, &open, Domains::Open, &mut best, shares, 0);
        let enough = found.places_most
            && (found.best.merit.cost - found.bound) as f64 <= self.gap * found.best.merit.cost as f64;
        if !both || enough || (self.time_is_up)(0.9) {
            return found;
        }
        let closed = self.search(algebra, &exact, Domains::Closed, &mut best, [0.9, 0.9], found.bound);
        // Both bounds hold; what the higher one does not know is said.
        if found.bound > closed.bound && found.best.merit.unplaced == closed.best.merit.unplaced {
            SearchResult { bound: found.bound, relaxed: found.relaxed, ..closed }
        } else {
            closed
        }
    }

    /// Searches for an answer better than `best` in one model. `shares`: of the time, up to when the linear program of the
    /// whole is solved, and up to when answers are sought. `known`: a bound that is proven already, to be told of.
    fn search(
        &self,
        algebra: &Algebra,
        model: &Model,
        domains: Domains,
        best: &mut Best,
        shares: [f64; 2],
        known: i64,
    ) -> SearchResult {
        let possible = model.possible_pods();
        let share = Cell::new(shares[0]);
        let stop = || (self.time_is_up)(share.get());
        let placement_order = PlacementOrder::new(self.rules);
        let context = SearchContext {
            placement_order: &placement_order,
            problem: self.problem,
            priorities: self.priorities,
            rules: self.rules,
            existing_nodes: self.existing_nodes,
            gap: self.gap,
            threads: self.threads,
            stop: &stop,
            tell: &|bound, best| (self.tell)(bound.map(|bound| bound.max(known)), best),
        };
        let mut algebra = algebra.clone();
        let mut search = Search::new(&context, &mut algebra, model);
        if domains == Domains::Open {
            search.close = CLOSE;
            search.leave_domains_open();
        }
        search.seed_singles();
        let outside = search.seed(self.nodes).is_none_or(|cost| cost > self.karpenter_cost);
        search.offer_seeded(best, self.nodes);
        if let Some(after) = self.after {
            search.seed(after);
            search.offer_seeded(best, after);
        }
        if let Some(answer) = &best.answer {
            let nodes: Vec<(Option<usize>, Vec<usize>)> = answer
                .nodes
                .iter()
                .map(|node| match node.place {
                    Place::New { .. } => (None, node.pods.clone()),
                    Place::Existing { node: at } => (Some(at), node.pods.clone()),
                })
                .collect();
            search.seed(&nodes);
        }
        let mut bound = f64::NEG_INFINITY;
        if let Some(root) = search.root(best) {
            bound = root.bound;
            (context.tell)(Some(search.cost_bound(best, bound)), Some(best.merit.cost));
            share.set(shares[1]);
            search.offer_packed(best);
            search.dive_whole(best, &root);
            if domains == Domains::Closed {
                search.round_exactly(best, &root);
                bound = search.branch(best, root).max(bound);
            }
        }
        let mut relaxed = model.relaxed.clone();
        relaxed.extend(search.rests_on_check.then_some(Relaxation::CheckedOnly));
        share.set(1.0);
        let left = best.merit.unplaced_count().saturating_sub(self.pods_without(possible));
        let places_most = search.places_most(left);
        if !places_most && let Some(leaving) = search.bound_leaving(left) {
            bound = bound.max(leaving);
        }
        SearchResult {
            bound: search.cost_bound(best, bound),
            relaxed,
            places_most,
            karpenter_is_outside: outside,
            best: best.clone(),
        }
    }

    /// Pods that no slot takes.
    fn pods_without(&self, possible: usize) -> usize {
        let devices = self.problem.pending.len() + self.problem.leaving.len() - self.pods.len();
        devices + self.pods.len() - possible
    }
}
