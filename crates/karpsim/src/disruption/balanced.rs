//! The policy `Balanced`: a move must save as large a share of its NodePool's cost as half the share of the pool's
//! disruption cost that it spends.

use super::candidates::Candidate;
use super::simulation::Proposal;
use crate::compile::ClusterState;
use crate::kubernetes::labels;
use crate::kubernetes::pods::{eviction_cost, is_owned_by, is_terminal};
use crate::model::karpenter::ConsolidationPolicy;
use crate::model::meta::Str;
use crate::provisioning::solver::Solver;
use std::collections::BTreeMap;

/// Savings must be at least this share of the disruption.
const THRESHOLD: f64 = 1.0 / 2.0;

/// What a NodePool costs in all, in dollars an hour and in disruption.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PoolTotals {
    /// Dollars an hour.
    pub cost: f64,
    /// Disruption cost of all its nodes.
    pub disruption_cost: f64,
}

/// The totals of each NodePool that has candidates, by name; none if no NodePool is Balanced. Sums go by names.
pub fn totals(problem: &ClusterState, candidates: &[Candidate<'_>]) -> BTreeMap<Str, PoolTotals> {
    if !candidates.iter().any(is_balanced) {
        return BTreeMap::new();
    }
    let mut disruption: BTreeMap<&str, f64> = BTreeMap::new();
    for &index in &problem.nodes_by_name {
        let node = &problem.nodes[index];
        let Some(pool) = node.pool(&problem.api_nodes) else { continue };
        let cost = match candidates.iter().find(|candidate| candidate.node == index) {
            Some(candidate) => candidate.disruption_cost,
            None => disruption_cost_of_all_pods(problem, index),
        };
        *disruption.entry(pool).or_default() += cost;
    }
    let mut totals: BTreeMap<Str, PoolTotals> = BTreeMap::new();
    for candidate in candidates {
        totals.entry(candidate.pool.metadata.name.clone()).or_default().cost += candidate.price;
    }
    for (pool, totals) in &mut totals {
        let of_claims = cost_of_claims(problem, pool);
        if of_claims > 0.0 {
            totals.cost = of_claims;
        }
        totals.disruption_cost = disruption.get(pool.as_str()).copied().unwrap_or(0.0);
    }
    totals
}

fn disruption_cost_of_all_pods(problem: &ClusterState, node: usize) -> f64 {
    let source = problem.scenario.options.cost_source();
    let mut cost = 1.0;
    for &pod in &problem.nodes[node].pods {
        let pod = problem.pod(pod);
        if !is_terminal(pod) && !is_owned_by(pod, "apps/v1", "DaemonSet") {
            cost += eviction_cost(pod, source).max(0.0);
        }
    }
    cost
}

/// What the NodeClaims of a NodePool cost by their labels; deleting ones count too.
fn cost_of_claims(problem: &ClusterState, pool: &str) -> f64 {
    let Some(&table) = problem.table_of_pool.get(pool) else { return 0.0 };
    let types = &problem.tables[table];
    let provider = &problem.scenario.catalogue.provider;
    let claims = problem.scenario.objects.node_claims.iter();
    let mut claims: Vec<_> = claims
        .filter(|claim| crate::label_rules::is_known_node_class(provider, &claim.spec.node_class_ref))
        .collect();
    claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let mut cost = 0.0;
    for claim in claims {
        let label = |key: &str| claim.metadata.labels.get(key);
        if label(labels::NODE_POOL) != Some(pool) {
            continue;
        }
        let known = (label(labels::INSTANCE_TYPE), label(labels::ZONE), label(labels::CAPACITY_TYPE));
        if let (Some(of), Some(zone), Some(capacity_type)) = known
            && let Some(of) = types.find(of)
        {
            cost += types.price_at(of, zone, capacity_type);
        }
    }
    cost
}

fn is_balanced(candidate: &Candidate<'_>) -> bool {
    candidate.pool.spec.disruption.consolidation_policy == Some(ConsolidationPolicy::Balanced)
}

fn passes(savings: f64, disruption_cost: f64, totals: PoolTotals) -> bool {
    if totals.cost <= 0.0 || totals.disruption_cost <= 0.0 {
        return false;
    }
    let savings = savings / totals.cost;
    let disruption = disruption_cost / totals.disruption_cost;
    let score = if savings <= 0.0 {
        0.0
    } else if disruption == 0.0 {
        f64::INFINITY
    } else {
        savings / disruption
    };
    score >= THRESHOLD
}

/// Whether even deleting the node outright could pass; if not, no replacement will.
pub fn can_pass(candidate: &Candidate<'_>, totals: &BTreeMap<Str, PoolTotals>) -> bool {
    if !is_balanced(candidate) {
        return true;
    }
    match totals.get(&candidate.pool.metadata.name) {
        Some(totals) if totals.cost > 0.0 => passes(candidate.price, candidate.disruption_cost, *totals),
        _ => true,
    }
}

/// Whether every Balanced NodePool in the move approves of it.
pub fn approves(
    solver: &mut Solver<'_>,
    candidates: &[Candidate<'_>],
    proposal: &Proposal,
    totals: &BTreeMap<Str, PoolTotals>,
) -> bool {
    if !candidates.iter().any(is_balanced) {
        return !candidates.is_empty();
    }
    let source: f64 = sum(candidates.iter().map(|candidate| candidate.price));
    let savings = source - replacement_cost(solver, proposal);
    let mut by_pool: BTreeMap<&str, Vec<&Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates {
        by_pool.entry(candidate.pool.metadata.name.as_str()).or_default().push(candidate);
    }
    by_pool.iter().filter(|(_, members)| is_balanced(members[0])).all(|(pool, members)| {
        let disruption_cost = sum(members.iter().map(|candidate| candidate.disruption_cost));
        let own_source = sum(members.iter().map(|candidate| candidate.price));
        let own = if source > 0.0 && by_pool.len() > 1 { savings * (own_source / source) } else { savings };
        passes(own, disruption_cost, totals.get(*pool).copied().unwrap_or_default())
    })
}

/// Adds one by one, from 0.
pub fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// The cheapest offering of the first type of each replacement.
fn replacement_cost(solver: &mut Solver<'_>, proposal: &Proposal) -> f64 {
    let mut cost = 0.0;
    for plan in &proposal.replacements {
        if let Some(&first) = plan.types.first() {
            let least = solver.least_prices(plan.table, plan.constraint)[first];
            if least < f64::MAX {
                cost += least;
            }
        }
    }
    cost
}
