//! The methods of disruption: in which order candidates are tried, and when a method is content.

use super::balanced::{self, PoolTotals};
use super::budgets::{Allowance, allowances};
use super::candidates::{Candidate, candidates};
use super::repair::repair;
use super::simulation::{Proposal, Question, Replacement};
use super::static_pools::static_drift;
use crate::compile::ClusterState;
use crate::decision::{Command, Method, NewNodeClaim, TerminateFirst};
use crate::kubernetes::eviction::PodBudgets;
use crate::model::meta::{Str, condition};
use crate::provisioning::by_first_pod;
use crate::provisioning::solver::Solver;
use std::collections::BTreeMap;

/// Multi-node consolidation considers at most so many nodes, and one.
const MULTI_NODE_MAX: usize = 100;

/// What a method starts from.
pub(super) struct Field<'a> {
    /// Nodes that the method may disrupt, by name.
    pub candidates: Vec<Candidate<'a>>,
    /// What each NodePool costs in all.
    pub totals: BTreeMap<Str, PoolTotals>,
    /// What each NodePool allows.
    pub allowances: BTreeMap<Str, Allowance>,
}

/// The candidates of `method`, with totals and budgets.
pub(super) fn field<'a>(problem: &'a ClusterState, budgets: &PodBudgets<'_>, method: Method) -> Field<'a> {
    let all: Vec<Candidate<'a>> =
        candidates(problem, budgets, method).into_iter().filter_map(Result::ok).collect();
    let totals = balanced::totals(problem, &all);
    let candidates =
        all.into_iter().filter(|candidate| candidate.obstacle(problem, method).is_none()).collect();
    Field { candidates, totals, allowances: allowances(problem, method.reason()) }
}

/// How a method went: what those who ask again and again want to know beside its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// Nodes that the method could look at.
    pub candidates: usize,
    /// A candidate was passed over because of a budget.
    pub constrained_by_budgets: bool,
    /// Removals that consolidation simulated.
    pub simulations: usize,
    /// The most that it has time for.
    pub limit: Option<usize>,
}

impl Course {
    /// Whether there is time for one more simulation.
    fn goes_on(&mut self) -> bool {
        let goes_on = self.limit.is_none_or(|limit| self.simulations < limit);
        self.simulations += usize::from(goes_on);
        goes_on
    }
}

/// Asks `method` for its commands.
pub(super) fn commands(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    method: Method,
    course: &mut Course,
) -> Vec<Command> {
    let problem = solver.problem;
    let mut field = field(problem, budgets, method);
    course.candidates = field.candidates.len();
    if field.candidates.is_empty() {
        return Vec::new();
    }
    let found = match method {
        Method::Repair => return repair(solver, budgets, field).into_iter().collect(),
        Method::Emptiness => emptiness(&mut field),
        Method::StaticDrift => return static_drift(solver, &field),
        Method::Drift => return drift(solver, budgets, &mut field).into_iter().collect(),
        Method::MultiNodeConsolidation => multi_node(solver, budgets, &mut field, course),
        Method::SingleNodeConsolidation => single_node(solver, budgets, &mut field, course),
    };
    found.into_iter().map(|(candidates, proposal)| command(solver, method, &candidates, &proposal)).collect()
}

/// No NodePool is ready: Karpenter's simulation is an error, and the method gives up.
pub(super) struct NothingToLaunchFrom;

type Found<'a> = Option<(Vec<Candidate<'a>>, Proposal)>;

pub(super) fn command(
    solver: &mut Solver<'_>,
    method: Method,
    candidates: &[Candidate<'_>],
    proposal: &Proposal,
) -> Command {
    let mut names: Vec<Str> = candidates.iter().map(|candidate| candidate.name.clone()).collect();
    names.sort();
    let mut replacements: Vec<NewNodeClaim> =
        proposal.replacements.iter().map(|plan| solver.render(plan)).collect();
    replacements.sort_by(by_first_pod);
    Command::new(method, names, replacements)
}

/// By savings ratio, the highest first; among equals by name. A ratio that is no number comes last: the order must be one.
fn by_savings_ratio(candidates: &mut [Candidate<'_>]) {
    let ratio = |candidate: &Candidate<'_>| {
        let ratio = candidate.savings_ratio();
        if ratio.is_nan() { f64::NEG_INFINITY } else { ratio }
    };
    candidates.sort_by(|a, b| ratio(b).partial_cmp(&ratio(a)).unwrap_or(std::cmp::Ordering::Equal));
}

/// Takes one disruption of the candidate's NodePool, if there is one left.
fn take(allowances: &mut BTreeMap<Str, Allowance>, candidate: &Candidate<'_>) -> bool {
    match allowances.get_mut(&candidate.pool.metadata.name) {
        Some(allowance) if allowance.allowed > 0 => {
            allowance.allowed -= 1;
            true
        }
        _ => false,
    }
}

pub(super) fn has_allowance(allowances: &BTreeMap<Str, Allowance>, candidate: &Candidate<'_>) -> bool {
    allowances.get(&candidate.pool.metadata.name).is_some_and(|allowance| allowance.allowed > 0)
}

/// All empty nodes that the budgets allow.
fn emptiness<'a>(field: &mut Field<'a>) -> Found<'a> {
    by_savings_ratio(&mut field.candidates);
    let allowances = &mut field.allowances;
    let empty: Vec<Candidate<'a>> =
        field.candidates.drain(..).filter(|candidate| take(allowances, candidate)).collect();
    (!empty.is_empty()).then(|| (empty, Proposal::default()))
}

/// The first drifted node whose pods find a place: those without pods first, then the longest drifted.
fn drift(solver: &mut Solver<'_>, budgets: &PodBudgets<'_>, field: &mut Field<'_>) -> Option<Command> {
    let problem = solver.problem;
    let since = |candidate: &Candidate<'_>| {
        let claim = problem.nodes[candidate.node].claim.as_ref();
        claim.and_then(|claim| condition(&claim.status.conditions, "Drifted")?.last_transition_time)
    };
    field.candidates.sort_by_key(|candidate| (!candidate.reschedulable.is_empty(), since(candidate)));
    let may_go_first = problem.scenario.options.terminates_first_for_drift();
    for candidate in field.candidates.drain(..) {
        if !has_allowance(&field.allowances, &candidate) {
            continue;
        }
        // Without a NodePool to launch from, Karpenter gives up on the method.
        let outcome = solver.replace_one(budgets, &candidate, Question::default(), may_go_first)?;
        let candidates = [candidate];
        match outcome {
            Replacement::Staged(replacements) => {
                let proposal = Proposal { replacements };
                return Some(command(solver, Method::Drift, &candidates, &proposal));
            }
            Replacement::Afterwards => {
                let mut command = command(solver, Method::Drift, &candidates, &Proposal::default());
                command.terminate_first = Some(TerminateFirst::NoReservedCapacity);
                return Some(command);
            }
            Replacement::Impossible => {}
        }
    }
    None
}

/// The largest prefix of the candidates, in order of savings, that can be removed at once, by halving.
fn multi_node<'a>(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    field: &mut Field<'a>,
    course: &mut Course,
) -> Found<'a> {
    by_savings_ratio(&mut field.candidates);
    let allowances = &mut field.allowances;
    let candidates: Vec<Candidate<'a>> =
        field.candidates.drain(..).filter(|candidate| take(allowances, candidate)).collect();
    course.constrained_by_budgets = candidates.len() < course.candidates;
    if candidates.len() < 2 {
        return None;
    }
    let (mut low, mut high) = (1, MULTI_NODE_MAX.min(candidates.len() - 1));
    let mut best: Option<(usize, Proposal)> = None;
    while low <= high && course.goes_on() {
        let middle = low.midpoint(high);
        match remove_together(solver, budgets, &candidates[..=middle], &field.totals).ok()? {
            Some(proposal) => {
                best = Some((middle, proposal));
                low = middle + 1;
            }
            None => high = middle - 1,
        }
    }
    best.map(|(middle, proposal)| (candidates[..=middle].to_vec(), proposal))
}

/// Whether `candidates` can go at once, and what comes in their place. An error: nothing can be simulated.
fn remove_together(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    candidates: &[Candidate<'_>],
    totals: &BTreeMap<Str, PoolTotals>,
) -> Result<Option<Proposal>, NothingToLaunchFrom> {
    use super::simulation::Unconsolidatable;
    let mut proposal = match solver.consolidate(budgets, candidates) {
        Ok(proposal) => proposal,
        Err(Unconsolidatable::NoNodePools) => return Err(NothingToLaunchFrom),
        Err(_) => return Ok(None),
    };
    let sensible = solver.filter_same_type(candidates, &mut proposal).is_ok();
    let worth_it = sensible && balanced::approves(solver, candidates, &proposal, totals);
    Ok(worth_it.then_some(proposal))
}

/// The first node that can be removed or replaced by a cheaper one: by savings, the NodePools in turn.
fn single_node<'a>(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    field: &mut Field<'a>,
    course: &mut Course,
) -> Found<'a> {
    by_savings_ratio(&mut field.candidates);
    for candidate in interleaved(field.candidates.drain(..)) {
        if !has_allowance(&field.allowances, &candidate) {
            course.constrained_by_budgets = true;
            continue;
        }
        if !balanced::can_pass(&candidate, &field.totals) {
            continue;
        }
        if !course.goes_on() {
            return None;
        }
        let candidates = vec![candidate];
        if let Ok(proposal) = solver.consolidate(budgets, &candidates)
            && balanced::approves(solver, &candidates, &proposal, &field.totals)
        {
            return Some((candidates, proposal));
        }
    }
    None
}

/// The first of each NodePool in order of name, the second of each, …
pub(super) fn interleaved<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Vec<Candidate<'a>> {
    let mut rank: BTreeMap<Str, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, Candidate<'a>)> = candidates
        .map(|candidate| {
            let next = rank.entry(candidate.pool.metadata.name.clone()).or_default();
            *next += 1;
            (*next, candidate)
        })
        .collect();
    ranked.sort_by(|a, b| (a.0, &a.1.pool.metadata.name).cmp(&(b.0, &b.1.pool.metadata.name)));
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}
