//! The optimum of a scenario: what it costs, what is proven, and how it differs from Karpenter's decision.

use crate::limits::{Limits, Progress};
use crate::model::existing_nodes::ExistingNodes;
use crate::model::facts::Relaxation;
use crate::model::preferences::{require, review};
use crate::model::rearrangement::{EvictedCluster, marked};
use crate::model::rules::{Strength, rules_of};
use crate::money::NEGLIGIBLE_NANO_DOLLARS;
use crate::problem::{Aim, OptimizationProblem, Preferences};
use crate::result::answer::priorities;
use crate::result::differences::{difference, steps};
use crate::result::evaluation::Evaluation;
use crate::result::render::render;
use crate::search::Best;
use crate::search::strategy::SearchStrategy;
use karpsim::compile::{ClusterState as Compiled, compile};
use karpsim::decision::{Command, ProvisioningDecision};
use karpsim::model::meta::Str;
use karpsim::provisioning::provision_compiled;
use karpsim::requirements::Algebra;
use rustc_hash::FxHashSet;
use std::cell::Cell;

/// What the linear programs are exact to: a relative gap of this is none.
const TOLERANCE: f64 = 1e-6;

/// Whether the optimum is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// No answer is better by more than one part in a million, or a millionth of a dollar an hour: of reserved capacity the
    /// price is often next to nothing.
    Optimal,
    /// There may be better ones, down to the bound.
    Feasible,
}

/// How a running cluster is rearranged.
#[derive(Debug, Clone, PartialEq)]
pub struct Rearrangement {
    /// Nodes that could be removed.
    pub removable: usize,
    /// What these cost now, in nano-dollars an hour, with what Karpenter would launch for the pods that wait.
    pub cost_now: i64,
    /// Nodes that are removed, sorted.
    pub removed: Vec<Str>,
    /// Pods that are evicted, `namespace/name`, sorted.
    pub evicted: Vec<Str>,
    /// The one step of Karpenter's from here that saves most.
    pub karpenter_step: Option<Command>,
}

/// The cheapest answer found, and what is proven of it.
#[derive(Debug, Clone)]
pub struct Optimum {
    /// The answer: pods that get another place, and the nodes launched for them.
    pub decision: ProvisioningDecision,
    /// Its cost in nano-dollars an hour: of nodes that are launched and, where the cluster is rearranged, of those that
    /// are kept though they could go.
    pub cost: i64,
    /// How many pods it leaves without a node.
    pub unplaced: usize,
    /// How many preferences of the pods that it places are not met.
    pub unmet_preferences: usize,
    /// No answer that places as many pods costs less, in nano-dollars an hour.
    pub bound: i64,
    /// Whether that is all there is to gain.
    pub status: Status,
    /// Karpenter's decision for the pods that wait.
    pub karpenter: ProvisioningDecision,
    /// Its cost in nano-dollars an hour; where the cluster is rearranged, after Karpenter's best step.
    pub karpenter_cost: i64,
    /// How many pods it leaves without a node.
    pub karpenter_unplaced: usize,
    /// How many preferences it leaves unmet; where the cluster is rearranged, before any step.
    pub karpenter_unmet_preferences: usize,
    /// How the answer differs from Karpenter's, in words.
    pub difference: String,
    /// What the bound does not know.
    pub relaxed: Vec<Relaxation>,
    /// Karpenter's decision is none that the model knows; it may rest on a quirk.
    pub karpenter_is_outside: bool,
    /// How the cluster is rearranged, if that was asked.
    pub rearrangement: Option<Rearrangement>,
}

impl Optimum {
    /// The share of the cost that a better answer could still save.
    pub fn gap(&self) -> f64 {
        if self.cost <= self.bound { 0.0 } else { (self.cost - self.bound) as f64 / self.cost as f64 }
    }

    /// The share of its cost that Karpenter's decision could save, as far as an answer is known that does; `None`: it
    /// places fewer pods.
    pub fn karpenter_gap(&self) -> Option<f64> {
        let comparable = self.karpenter_unplaced == self.unplaced && self.karpenter_cost > 0;
        comparable.then(|| (self.karpenter_cost - self.cost) as f64 / self.karpenter_cost as f64)
    }

    /// The cheapest answer.
    pub fn solve(problem: &OptimizationProblem<'_>, limits: &Limits<'_>) -> Optimum {
        match problem.aim {
            Aim::Provisioning => {
                let (mut compiled, algebra) = compile(problem.scenario);
                let karpenter = provision_compiled(&compiled, algebra.clone());
                let before = Before {
                    preferences: problem.preferences,
                    existing_nodes: ExistingNodes::default(),
                    karpenter,
                    step: None,
                    rearranges: false,
                };
                before.improve(&mut compiled, algebra, limits)
            }
            Aim::Rearrangement { evictions_max, removals_max } => {
                let (original, algebra) = compile(problem.scenario);
                let karpenter = provision_compiled(&original, algebra.clone());
                let evicted_cluster = EvictedCluster::new(problem.scenario, &original);
                let step = evicted_cluster.best_step(&original, &algebra).map(|(command, saving)| {
                    let marked = marked(problem.scenario, &command);
                    let (marked, algebra) = compile(&marked);
                    Step { command, saving, after: provision_compiled(&marked, algebra) }
                });
                let (mut compiled, algebra) = compile(&evicted_cluster.scenario);
                let existing_nodes = evicted_cluster.existing_nodes(&compiled, evictions_max, removals_max);
                let preferences = problem.preferences;
                let before = Before { preferences, existing_nodes, karpenter, step, rearranges: true };
                before.improve(&mut compiled, algebra, limits)
            }
        }
    }
}

/// A step of Karpenter's.
struct Step {
    command: Command,
    /// Nano-dollars an hour.
    saving: i64,
    /// Where pods go when its nodes are gone.
    after: ProvisioningDecision,
}

/// What is known before the search.
struct Before {
    preferences: Preferences,
    existing_nodes: ExistingNodes,
    karpenter: ProvisioningDecision,
    step: Option<Step>,
    /// Whether the running cluster is rearranged.
    rearranges: bool,
}

impl Before {
    fn improve(self, compiled: &mut Compiled, mut algebra: Algebra, limits: &Limits<'_>) -> Optimum {
        let pods: Vec<usize> = compiled.pending.iter().chain(&compiled.leaving).copied().collect();
        let priorities = priorities(compiled, &pods);
        let evaluation = Evaluation::of(compiled, &self.existing_nodes, &self.karpenter, &pods, &priorities);
        let karpenter_review = review(compiled, &mut algebra, &pods, &evaluation.answer);
        let firm = match self.preferences {
            Preferences::LeaveAside => FxHashSet::default(),
            Preferences::Respect => require(compiled, &mut algebra, &karpenter_review),
        };
        let compiled = &*compiled;
        let candidates: Vec<usize> = pods
            .iter()
            .copied()
            .filter(|&pod| !compiled.pods.classes[compiled.records[pod].class.0 as usize].claims_devices)
            .collect();
        let mut rules = rules_of(compiled, &mut algebra, &candidates, Strength::Required);
        rules.firm = firm;
        let watch = limits.watch;
        let name_of_node = |node: usize| compiled.nodes[node].name.clone();
        let after = self
            .step
            .as_ref()
            .map(|step| Evaluation::of(compiled, &self.existing_nodes, &step.after, &pods, &priorities));
        // Whoever waits hears again and again how far the search is, also while nothing changes.
        let told = Cell::new(Progress { bound: None, best: Some(evaluation.merit.cost) });
        let course = SearchStrategy {
            problem: compiled,
            pods: &candidates,
            priorities: &priorities,
            rules: &rules,
            existing_nodes: &self.existing_nodes,
            gap: limits.gap,
            threads: limits.threads,
            time_is_up: &|share: f64| {
                watch.progress(told.get());
                watch.is_cancelled() || limits.time.is_some_and(|time| watch.elapsed() >= time.mul_f64(share))
            },
            tell: &|bound, best| {
                told.set(Progress { bound, best });
                watch.progress(told.get());
            },
            nodes: &evaluation.nodes,
            karpenter_cost: evaluation.merit.cost,
            after: after.as_ref().map(|after| after.nodes.as_slice()),
        };
        let best = Best { merit: evaluation.merit.clone(), answer: None };
        let found = course.run(&mut algebra, best);
        let answer = found.best.answer.as_ref();
        let (decision, launched) = match answer {
            None => (self.karpenter.clone(), 0),
            Some(answer) => render(compiled, &mut algebra, answer, &self.existing_nodes, &self.karpenter),
        };
        let kept = answer.map_or(0, |answer| self.existing_nodes.kept(answer));
        let cost = answer.map_or(i64::MAX, |_| launched + kept).min(found.best.merit.cost);
        let mut bound = found.bound.min(cost);
        if evaluation.merit.unplaced == found.best.merit.unplaced {
            bound = bound.min(evaluation.merit.cost);
        }
        let mut relaxed = found.relaxed;
        relaxed.sort_unstable();
        relaxed.dedup();
        let close =
            cost - bound <= NEGLIGIBLE_NANO_DOLLARS || (cost - bound) as f64 <= TOLERANCE * cost as f64;
        let unmet = answer
            .map_or(karpenter_review.unmet, |answer| review(compiled, &mut algebra, &pods, answer).unmet);
        let karpenter_cost = evaluation.merit.cost - self.step.as_ref().map_or(0, |step| step.saving);
        let rearrangement = self.rearranges.then(|| {
            let answer = answer.unwrap_or(&evaluation.answer);
            let mut removed: Vec<Str> =
                self.existing_nodes.removed(answer).into_iter().map(name_of_node).collect();
            let mut evicted: Vec<Str> =
                self.existing_nodes.evicted(answer).into_iter().map(|pod| compiled.pod_name(pod)).collect();
            removed.sort();
            evicted.sort();
            Rearrangement {
                removable: self.existing_nodes.prices.len(),
                cost_now: evaluation.merit.cost,
                removed,
                evicted,
                karpenter_step: self.step.map(|step| step.command),
            }
        });
        Optimum {
            difference: match &rearrangement {
                None => difference(&self.karpenter, &decision),
                Some(ours) => steps(ours, &self.karpenter, &decision),
            },
            unplaced: found.best.merit.unplaced_count(),
            unmet_preferences: unmet,
            karpenter_unplaced: evaluation.merit.unplaced_count(),
            karpenter_cost,
            karpenter_unmet_preferences: karpenter_review.unmet,
            karpenter_is_outside: found.karpenter_is_outside,
            decision,
            cost,
            bound,
            status: if close && found.places_most { Status::Optimal } else { Status::Feasible },
            karpenter: self.karpenter,
            relaxed,
            rearrangement,
        }
    }
}
