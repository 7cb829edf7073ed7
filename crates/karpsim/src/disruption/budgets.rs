//! Disruption budgets: how many nodes of a NodePool may be disrupted now.

use crate::compile::ClusterState;
use crate::compile::pools::is_managed;
use crate::kubernetes::cron::Schedule;
use crate::model::karpenter::{Budget, DisruptionReason, NodePool};
use crate::model::meta::{Str, Time, condition, condition_is_true};
use crate::requirements::atoi;
use jiff::ToSpan;
use std::collections::BTreeMap;

/// How a NodePool stands with its budgets for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// Its nodes that count.
    pub nodes: i64,
    /// Nodes that are not ready, or on their way out: they use the budget up.
    pub disrupting: i64,
    /// What the tightest active budget allows of `nodes`.
    pub budget: i64,
    /// What is left.
    pub allowed: i64,
}

/// What each NodePool allows for `reason` now, by name.
pub fn allowances(problem: &ClusterState, reason: DisruptionReason) -> BTreeMap<Str, Allowance> {
    let provider = &problem.scenario.catalogue.provider;
    let mut allowances: BTreeMap<Str, Allowance> = BTreeMap::new();
    for node in &problem.nodes {
        let (Some(claim), Some(api)) = (&node.claim, node.node) else { continue };
        if !node.initialized && !node.rebooting {
            continue;
        }
        if condition_is_true(&claim.status.conditions, "InstanceTerminating") {
            continue;
        }
        let allowance = allowances.entry(node.pool(&problem.api_nodes).unwrap_or("").into()).or_default();
        allowance.nodes += 1;
        let ready = condition(&problem.api_nodes[api].node.status.conditions, "Ready")
            .is_some_and(|condition| condition.status == "True");
        // A node that is not ready is what repair is for.
        let unready = !ready && reason != DisruptionReason::Unhealthy;
        if unready || node.marked || node.rebooting {
            allowance.disrupting += 1;
        }
    }
    let pools = problem.scenario.objects.node_pools.iter().filter(|pool| is_managed(pool, provider));
    pools
        .map(|pool| {
            let mut allowance = allowances.get(&pool.metadata.name).copied().unwrap_or_default();
            allowance.budget = allowed_by_budgets(pool, problem.now(), allowance.nodes, reason);
            allowance.allowed = (allowance.budget - allowance.disrupting).max(0);
            (pool.metadata.name.clone(), allowance)
        })
        .collect()
}

/// What the budgets of `pool` allow of `nodes` nodes: the least of those that are active and meant for `reason`. A
/// malformed budget allows nothing.
pub fn allowed_by_budgets(pool: &NodePool, now: Time, nodes: i64, reason: DisruptionReason) -> i64 {
    let mut least = i64::from(i32::MAX);
    for budget in pool.spec.disruption.budgets.iter().flatten() {
        match allowed_by(budget, now, nodes) {
            None => return 0,
            Some(allowed) => {
                if budget.reasons.as_ref().is_none_or(|reasons| reasons.contains(&reason)) {
                    least = least.min(allowed);
                }
            }
        }
    }
    least
}

/// What one budget allows of `nodes` nodes; without bound while it does not hold. `None`: it is malformed.
pub(crate) fn allowed_by(budget: &Budget, now: Time, nodes: i64) -> Option<i64> {
    if !is_active(budget, now)? {
        return Some(i64::from(i32::MAX));
    }
    match budget.nodes.strip_suffix('%') {
        // A number of nodes has 32 bits, whatever is written: 4294967297 is 1.
        None => atoi(&budget.nodes).map(|nodes| i64::from(nodes as i32)),
        // Rounded up, as Kubernetes does with maxUnavailable.
        Some(percentage) => atoi(percentage).map(|percent| {
            let hundredths = percent.checked_mul(nodes).and_then(|nodes| nodes.checked_add(99));
            hundredths.map_or(i64::MAX, |hundredths| hundredths.div_euclid(100))
        }),
    }
}

/// Whether the budget holds now: its schedule has hit within its duration. `None`: it is malformed.
pub fn is_active(budget: &Budget, now: Time) -> Option<bool> {
    if budget.schedule.is_none() && budget.duration.is_none() {
        return Some(true);
    }
    let schedule = Schedule::parse(budget.schedule.as_deref().unwrap_or(""))?;
    let duration = budget.duration.unwrap_or_default();
    let from = now.0.checked_sub(duration.nanos.nanoseconds()).ok()?;
    // A schedule that never hits counts as having hit long ago.
    Some(schedule.next_after(from).is_none_or(|hit| hit <= now.0))
}
