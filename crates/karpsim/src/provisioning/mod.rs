//! Where pending pods go, and which nodes are launched for the rest.

mod open_order;
pub mod plan;
pub mod solver;
mod stances;
pub mod variants;
mod verdicts;

use crate::compile::pods::ClassId;
use crate::compile::{ClusterState, compile};
use crate::decision::reasons::PodError;
use crate::decision::{FilledNode, NewNodeClaim, ProvisioningDecision};
use crate::model::meta::Str;
use crate::requirements::Algebra;
use crate::scenario::Scenario;
use rustc_hash::FxHashMap;
use solver::{Failure, Outcome, RoundRules, Solver, SolverState};

/// Decides one provisioning round of `scenario`.
pub fn provision(scenario: &Scenario) -> ProvisioningDecision {
    let (problem, algebra) = compile(scenario);
    provision_compiled(&problem, algebra)
}

/// The same on a scenario that is compiled already.
pub fn provision_compiled(problem: &ClusterState, algebra: Algebra) -> ProvisioningDecision {
    Round::schedule(problem, algebra).decision()
}

/// A round that is decided, still in numbers.
pub struct Round<'p> {
    solver: Solver<'p>,
    outcome: Outcome,
    errors: Vec<(Str, PodError)>,
}

impl<'p> Round<'p> {
    /// Finds a place for every pod that waits or must leave its node.
    pub fn schedule(problem: &'p ClusterState, algebra: Algebra) -> Self {
        Self::schedule_with(Solver::new(problem, algebra))
    }

    /// The same with a solver that may know the cluster already.
    pub fn schedule_with(mut solver: Solver<'p>) -> Self {
        let problem = solver.problem;
        if !problem.is_synced() {
            // What is being launched would be launched twice: the pods are to ask again.
            return Round { solver, outcome: Outcome::default(), errors: Vec::new() };
        }
        if problem.dynamic.is_empty() {
            // Nothing is placed, and nothing is said of pods that have a node still.
            let errors = problem.pending.iter().map(|&pod| (problem.pod_name(pod), PodError::NoNodePools));
            return Round { solver, outcome: Outcome::default(), errors: errors.collect() };
        }
        let pods: Vec<usize> = problem.pending.iter().chain(&problem.leaving).copied().collect();
        let rules = RoundRules { strict_reservations: true, ..RoundRules::default() };
        let (outcome, errors) = solver.run_round_then(&pods, &[], rules, pod_errors);
        Round { solver, outcome, errors }
    }

    /// The same in names.
    pub fn decision(self) -> ProvisioningDecision {
        self.decision_and_state().0
    }

    /// The same, and what the solver has learnt.
    pub(crate) fn decision_and_state(mut self) -> (ProvisioningDecision, SolverState) {
        let problem = self.solver.problem;
        let mut ignored_pods: Vec<Str> =
            problem.ignored.iter().map(|(pod, _)| problem.pod_name(*pod)).collect();
        ignored_pods.sort();
        let mut decision = ProvisioningDecision { ignored_pods, ..ProvisioningDecision::default() };
        render(&mut self.solver, &self.outcome, &mut decision);
        decision.pod_errors.extend(self.errors);
        (decision, self.solver.suspend())
    }
}

/// Why pods failed; pods of a class share it.
fn pod_errors(solver: &mut Solver<'_>, failed: &[(usize, Failure)]) -> Vec<(Str, PodError)> {
    let mut refused: FxHashMap<ClassId, PodError> = FxHashMap::default();
    failed
        .iter()
        .map(|&(pod, failure)| {
            let error = match failure {
                Failure::NoPlace => refused
                    .entry(solver.problem.records[pod].class)
                    .or_insert_with(|| PodError::Refused(solver.node_pool_refusals(pod, failure).into()))
                    .clone(),
                Failure::Reserved => PodError::ReservedCapacity,
                Failure::Devices => PodError::DynamicResources,
            };
            (solver.problem.pod_name(pod), error)
        })
        .collect()
}

fn render(solver: &mut Solver<'_>, outcome: &Outcome, decision: &mut ProvisioningDecision) {
    let problem = solver.problem;
    for claim in &outcome.claims {
        let mut plan = solver.plan(claim);
        if solver.truncate(&mut plan) {
            decision.new_node_claims.push(solver.render(&plan));
        } else {
            for &pod in &plan.pods {
                decision.pod_errors.insert(problem.pod_name(pod), PodError::MinValues);
            }
        }
    }
    decision.new_node_claims.sort_by(by_first_pod);
    decision.existing_nodes = outcome
        .filled
        .iter()
        .map(|(node, pods)| {
            let mut pods: Vec<Str> = pods.iter().map(|&pod| problem.pod_name(pod)).collect();
            pods.sort();
            FilledNode { name: problem.nodes[*node].name.clone(), pods }
        })
        .collect();
    decision.existing_nodes.sort_by(|a, b| a.name.cmp(&b.name));
}

/// The order of NodeClaims in a decision.
pub fn by_first_pod(a: &NewNodeClaim, b: &NewNodeClaim) -> std::cmp::Ordering {
    a.pods.cmp(&b.pods)
}
