//! Repair: unhealthy nodes are replaced or rebooted, the most urgent first.
//!
//! A NodePool with many unhealthy nodes at once is left alone: then something else is wrong than the nodes.

use super::candidates::Candidate;
use super::methods::{Field, NothingToLaunchFrom, command, has_allowance};
use super::policies::{Policies, Repair};
use super::simulation::{Proposal, Question, Replacement};
use super::static_pools::{Standing, full_reservations, go_first, holds_one_of, is_refilled, replace};
use crate::compile::ClusterState;
use crate::decision::{Command, Method, TerminateFirst};
use crate::kubernetes::eviction::PodBudgets;
use crate::kubernetes::labels::NODE_POOL;
use crate::model::meta::Duration;
use crate::provisioning::solver::Solver;
use crate::scenario::RepairAction;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A NodePool is left alone if more than this share of its nodes, rounded up, is unhealthy.
const UNHEALTHY_MAX_PERCENT: usize = 20;

/// The most urgent repair that budgets allow and that leaves no pod without a place.
pub(super) fn repair(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    mut field: Field<'_>,
) -> Option<Command> {
    let problem = solver.problem;
    let left_alone = pools_left_alone(problem);
    by_urgency(problem, &mut field.candidates);
    for candidate in field.candidates {
        let Some(repair) = candidate.repair.clone() else { continue };
        if left_alone.contains(candidate.pool.metadata.name.as_str()) {
            continue;
        }
        // A node that is not initialised does not count, so it needs no budget either.
        let counts = problem.nodes[candidate.node].initialized;
        if counts && !has_allowance(&field.allowances, &candidate) {
            continue;
        }
        let found = if repair.action == RepairAction::RebootNode {
            let mut reboot = Command::new(Method::Repair, vec![candidate.name.clone()], Vec::new());
            reboot.reboot = true;
            Some(reboot)
        } else if candidate.pool.spec.replicas.is_some() {
            replace_static(solver, &candidate)
        } else {
            // Without a NodePool to launch from, Karpenter gives up on the method.
            replace_dynamic(solver, budgets, &candidate).ok()?
        };
        if let Some(mut found) = found {
            found.termination_grace_period = drain_bound(problem, &candidate, &repair);
            found.condition = Some(repair.condition);
            return Some(found);
        }
    }
    None
}

/// The highest score first, among equals the least costly node, then by name.
fn by_urgency(problem: &ClusterState, candidates: &mut [Candidate<'_>]) {
    let score = |candidate: &Candidate<'_>| candidate.repair.as_ref().map_or(0.0, |repair| repair.score);
    candidates.sort_by(|a, b| {
        let by_score = score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal);
        let (cost_a, cost_b) = (cost_in_lifetime(problem, a), cost_in_lifetime(problem, b));
        by_score
            .then_with(|| cost_a.partial_cmp(&cost_b).unwrap_or(Ordering::Equal))
            .then_with(|| a.name.cmp(&b.name))
    });
}

/// What the eviction of all pods costs, in the share of the node's lifetime that is left.
fn cost_in_lifetime(problem: &ClusterState, candidate: &Candidate<'_>) -> f64 {
    let node = &problem.nodes[candidate.node];
    let mut cost = 0.0;
    for &pod in &node.pods {
        cost += problem.records[pod].eviction_cost;
    }
    let lifetime = node.claim.as_ref().and_then(|claim| {
        let whole = claim.spec.expire_after?.0?;
        let age = problem.now().0.as_nanosecond()
            - claim.metadata.creation_timestamp.unwrap_or_default().0.as_nanosecond();
        Some((seconds(i128::from(whole.nanos)), seconds(age)))
    });
    let left = lifetime.map_or(1.0, |(whole, age)| ((whole - age) / whole).clamp(0.0, 1.0));
    cost * left
}

/// As Go's `Duration.Seconds`.
fn seconds(nanos: i128) -> f64 {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    whole as f64 + rest as f64 / 1e9
}

/// The NodePools of which too many nodes have a condition that a policy is about, however new it is.
fn pools_left_alone(problem: &ClusterState) -> BTreeSet<&str> {
    let policies = Policies::new(&problem.scenario.options);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for api in &problem.api_nodes {
        let pool = api.node.metadata.labels.get(NODE_POOL).unwrap_or("");
        if pool.is_empty() {
            continue;
        }
        let (all, unhealthy) = counts.entry(pool).or_default();
        *all += 1;
        let is_unhealthy = api.node.status.conditions.iter().any(|condition| policies.are_about(condition));
        *unhealthy += usize::from(is_unhealthy);
    }
    counts.retain(|_, (all, unhealthy)| *unhealthy > (*all * UNHEALTHY_MAX_PERCENT).div_ceil(100));
    counts.into_keys().collect()
}

/// The drain that the policies ask for, if the NodeClaim asks for no shorter one. `None`: as the NodeClaim says.
fn drain_bound(problem: &ClusterState, candidate: &Candidate<'_>, repair: &Repair) -> Option<Duration> {
    let asked = repair.termination_grace_period?;
    let claim = problem.nodes[candidate.node].claim.as_ref();
    let own = claim.and_then(|claim| claim.spec.termination_grace_period);
    Some(own.filter(|own| own.nanos < asked.nanos).unwrap_or(asked))
}

/// `None`: its pods find no place.
fn replace_dynamic(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    candidate: &Candidate<'_>,
) -> Result<Option<Command>, NothingToLaunchFrom> {
    // The drain is bounded, so pods that cannot be evicted go too.
    let question = Question { with_held_pods: true, ..Question::default() };
    let may_go_first = solver.problem.scenario.options.terminates_first_for_repair();
    let outcome =
        solver.replace_one(budgets, candidate, question, may_go_first).ok_or(NothingToLaunchFrom)?;
    Ok(match outcome {
        Replacement::Staged(replacements) => {
            let candidates = std::slice::from_ref(candidate);
            Some(command(solver, Method::Repair, candidates, &Proposal { replacements }))
        }
        Replacement::Afterwards => {
            Some(go_first(Method::Repair, candidate, TerminateFirst::NoReservedCapacity))
        }
        Replacement::Impossible => None,
    })
}

fn replace_static(solver: &mut Solver<'_>, candidate: &Candidate<'_>) -> Option<Command> {
    let (problem, pool) = (solver.problem, candidate.pool);
    let standing = Standing::of(problem, &pool.metadata.name);
    if standing.shrinks(pool) {
        return None;
    }
    let may_go_first = problem.scenario.options.terminates_first_for_repair();
    let full = if may_go_first { full_reservations(solver, pool) } else { None };
    if full.as_ref().is_some_and(|offered| !holds_one_of(problem, candidate, offered)) {
        return None;
    }
    if full.is_none() && standing.room(pool) > 0 {
        return Some(replace(solver, Method::Repair, candidate));
    }
    let why = if full.is_some() { TerminateFirst::NoReservedCapacity } else { TerminateFirst::StaticAtLimit };
    (may_go_first && is_refilled(pool)).then(|| go_first(Method::Repair, candidate, why))
}
