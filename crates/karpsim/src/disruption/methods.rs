//! The methods of disruption: in which order candidates are tried, and when a method is content.

use super::balanced::{self, PoolTotals};
use super::budgets::{Allowance, allowances};
use super::candidates::{Candidate, candidates};
use super::simulation::Proposal;
use crate::compile::ClusterState;
use crate::compile::pools;
use crate::decision::{Command, Method, NewNodeClaim};
use crate::kubernetes::eviction::PodBudgets;
use crate::model::meta::{Str, condition, condition_is_true};
use crate::provisioning::by_first_pod;
use crate::provisioning::plan::decided_requirements;
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
        Method::Emptiness => emptiness(&mut field),
        Method::StaticDrift => return static_drift(solver, &field),
        Method::Drift => drift(solver, budgets, &mut field),
        Method::MultiNodeConsolidation => multi_node(solver, budgets, &mut field, course),
        Method::SingleNodeConsolidation => single_node(solver, budgets, &mut field, course),
    };
    found.into_iter().map(|(candidates, proposal)| command(solver, method, &candidates, &proposal)).collect()
}

/// No NodePool is ready: Karpenter's simulation is an error, and the method gives up.
struct NothingToLaunchFrom;

type Found<'a> = Option<(Vec<Candidate<'a>>, Proposal)>;

fn command(
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
    Command { method, reason: method.reason().as_str(), candidates: names, replacements }
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

fn has_allowance(allowances: &BTreeMap<Str, Allowance>, candidate: &Candidate<'_>) -> bool {
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
fn drift<'a>(solver: &mut Solver<'_>, budgets: &PodBudgets<'_>, field: &mut Field<'a>) -> Found<'a> {
    let problem = solver.problem;
    let since = |candidate: &Candidate<'_>| {
        let claim = problem.nodes[candidate.node].claim.as_ref();
        claim.and_then(|claim| condition(&claim.status.conditions, "Drifted")?.last_transition_time)
    };
    field.candidates.sort_by_key(|candidate| (!candidate.reschedulable.is_empty(), since(candidate)));
    for candidate in field.candidates.drain(..) {
        if !has_allowance(&field.allowances, &candidate) {
            continue;
        }
        let candidates = vec![candidate];
        // Without a NodePool to launch from, Karpenter gives up on the method.
        let simulation = solver.simulate(budgets, &candidates, false)?;
        if simulation.stranded.is_empty() {
            return Some((candidates, Proposal { replacements: simulation.launches }));
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

/// Drifted nodes of static NodePools, each with a replacement: as many as budget and `limits.nodes` leave room for.
fn static_drift(solver: &mut Solver<'_>, field: &Field<'_>) -> Vec<Command> {
    let problem = solver.problem;
    let mut by_pool: BTreeMap<&str, Vec<&Candidate<'_>>> = BTreeMap::new();
    for candidate in &field.candidates {
        by_pool.entry(candidate.pool.metadata.name.as_str()).or_default().push(candidate);
    }
    let mut commands = Vec::new();
    for (name, members) in by_pool {
        let pool = members[0].pool;
        let budget = field.allowances.get(name).map_or(0, |allowance| allowance.allowed);
        let (active, deleting) = node_claim_counts(problem, name);
        if budget == 0 || active > pool.spec.replicas.unwrap_or(0) {
            continue;
        }
        let limit = pool.spec.limits.as_ref().and_then(|limits| limits.get("nodes"));
        let room = limit
            .map_or(i64::MAX, super::super::quantity::Quantity::units_rounded_up)
            .saturating_sub(active + deleting);
        let count = budget.min(room).max(0) as usize;
        for candidate in members.into_iter().take(count) {
            let written = pools::written_constraint(&mut solver.algebra, &problem.rules, pool);
            let constraint = pools::template_constraint(&mut solver.algebra, &problem.rules, pool, written);
            let replacement = NewNodeClaim {
                node_pool: pool.metadata.name.clone(),
                pods: Vec::new(),
                instance_types: std::sync::Arc::default(),
                requirements: decided_requirements(&mut solver.algebra, constraint, None),
                requests: BTreeMap::new(),
                launch: None,
            };
            commands.push(Command {
                method: Method::StaticDrift,
                reason: Method::StaticDrift.reason().as_str(),
                candidates: vec![candidate.name.clone()],
                replacements: vec![replacement],
            });
        }
    }
    commands
}

/// NodeClaims of a NodePool: those that stay, and those that are going.
fn node_claim_counts(problem: &ClusterState, pool: &str) -> (i64, i64) {
    let provider = &problem.scenario.catalogue.provider;
    let (mut active, mut deleting) = (0, 0);
    for claim in &problem.scenario.objects.node_claims {
        let ours = crate::label_rules::is_known_node_class(provider, &claim.spec.node_class_ref);
        if !ours || claim.metadata.labels.get(crate::kubernetes::labels::NODE_POOL) != Some(pool) {
            continue;
        }
        let state = problem
            .nodes
            .iter()
            .find(|node| node.claim.as_ref().is_some_and(|own| own.metadata.name == claim.metadata.name));
        let going = match state {
            Some(node) => node.marked,
            None => {
                claim.metadata.deletion_timestamp.is_some()
                    || condition_is_true(&claim.status.conditions, "InstanceTerminating")
            }
        };
        *(if going { &mut deleting } else { &mut active }) += 1;
    }
    (active, deleting)
}
