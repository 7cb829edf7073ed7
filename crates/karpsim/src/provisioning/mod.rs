//! Where pending pods go, and which nodes are launched for the rest.

pub mod min_values;
mod open_order;
pub mod plan;
pub mod solver;
pub mod variants;
mod verdicts;

use crate::api::Scenario;
use crate::api::meta::Str;
use crate::compile::{Problem, compile};
use crate::decision::{FilledNode, NewNodeClaim, ProvisioningDecision};
use crate::requirements::Algebra;
use solver::{Failure, Outcome, RoundRules, Solver};

/// Decides one provisioning round of `scenario`.
pub fn provision(scenario: &Scenario) -> ProvisioningDecision {
    let (problem, algebra) = compile(scenario);
    provision_compiled(&problem, algebra)
}

/// The same on a scenario that is compiled already.
pub fn provision_compiled(problem: &Problem<'_>, algebra: Algebra) -> ProvisioningDecision {
    let mut decision = ProvisioningDecision {
        ignored_pods: problem.ignored.iter().map(|(pod, _)| problem.pod_name(*pod)).collect(),
        ..ProvisioningDecision::default()
    };
    decision.ignored_pods.sort();
    let pods: Vec<usize> = problem.pending.iter().chain(&problem.leaving).copied().collect();
    if problem.dynamic.is_empty() {
        decision.pod_errors = pods
            .iter()
            .map(|&pod| (problem.pod_name(pod), "no dynamic nodepools found".to_owned()))
            .collect();
        return decision;
    }
    let mut solver = Solver::new(problem, algebra);
    let rules = RoundRules { strict_reservations: true, ..RoundRules::default() };
    let outcome = solver.round(&pods, &[], rules);
    render(&mut solver, &outcome, &mut decision);
    decision
}

fn render(solver: &mut Solver<'_>, outcome: &Outcome, decision: &mut ProvisioningDecision) {
    let problem = solver.problem;
    for claim in &outcome.claims {
        let mut plan = solver.plan(claim);
        if solver.truncate(&mut plan) {
            decision.new_node_claims.push(solver.render(&plan));
        } else {
            for &pod in &plan.pods {
                let words =
                    "minValues are not met by the instance types that a NodeClaim may list".to_owned();
                decision.pod_errors.insert(problem.pod_name(pod), words);
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
    for &(pod, failure) in &outcome.failed {
        let words = match failure {
            Failure::NoPlace => "no node, and no NodePool, can take it",
            Failure::Reserved => "compatible reserved offerings exist, but others hold them; deferred",
            Failure::Devices => "it needs dynamic resources, which Karpenter does not provide",
        };
        decision.pod_errors.insert(problem.pod_name(pod), words.to_owned());
    }
}

/// The order of NodeClaims in a decision.
pub fn by_first_pod(a: &NewNodeClaim, b: &NewNodeClaim) -> std::cmp::Ordering {
    a.pods.cmp(&b.pods)
}
