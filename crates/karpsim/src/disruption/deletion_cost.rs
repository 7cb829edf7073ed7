//! Pods' deletion costs: of the pods of a ReplicaSet, those go first whose node Karpenter would remove first.
//!
//! Nodes are ranked: those that are going already, then drifted ones, then the others by what their removal saves, as many
//! as the budgets allow. All others have their pods' costs taken away. Karpenter writes them for 50 nodes a minute; here they
//! are all told at once.

use super::budgets::{Allowance, allowances};
use super::candidates::{self, pod_obstacle};
use crate::compile::ClusterState;
use crate::decision::PodDeletionCosts;
use crate::kubernetes::eviction::{PodBudgets, disrupted_taint};
use crate::kubernetes::labels::{self, DO_NOT_DISRUPT};
use crate::kubernetes::pods::is_controlled_by;
use crate::kubernetes::taints::same_taint;
use crate::model::karpenter::{DisruptionReason, NodePool};
use crate::model::meta::{Str, condition_is_true};
use std::collections::BTreeMap;

/// The cost of pods whose node is going.
const GOING: i64 = i32::MIN as i64;

/// What becomes of a node's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Going,
    Drifted,
    Normal,
    Cleared,
}

/// A managed node.
struct Ranked<'a> {
    node: usize,
    pool: &'a str,
    part: Part,
    savings_ratio: f64,
}

/// The costs that would be written, by node. `None`: they are not managed.
pub(crate) fn costs(problem: &ClusterState, budgets: &PodBudgets<'_>) -> Option<PodDeletionCosts> {
    if !problem.scenario.options.manages_pod_deletion_cost() {
        return None;
    }
    let ranked = ranked(problem, budgets);
    let of = |part: Part| ranked.iter().filter(move |it| it.part == part).collect::<Vec<_>>();
    let (mut first, over_drift) = within(of(Part::Drifted), &allowances(problem, DisruptionReason::Drifted));
    let (rest, over) = within(of(Part::Normal), &allowances(problem, DisruptionReason::Underutilized));
    first.extend(rest);
    let name = |it: &Ranked<'_>| problem.nodes[it.node].name.clone();
    let mut costs = PodDeletionCosts::new();
    costs.extend(of(Part::Going).into_iter().map(|it| (name(it), Some(GOING))));
    let count = first.len() as i64;
    costs.extend((0..).zip(first).map(|(place, it): (i64, _)| (name(it), Some(place - count))));
    let cleared = of(Part::Cleared).into_iter().chain(over_drift).chain(over);
    costs.extend(cleared.map(|it| (name(it), None)));
    Some(costs)
}

/// Those that the budgets of their NodePools allow, and the others.
fn within<'r, 'a>(
    nodes: Vec<&'r Ranked<'a>>,
    allowances: &BTreeMap<Str, Allowance>,
) -> (Vec<&'r Ranked<'a>>, Vec<&'r Ranked<'a>>) {
    let mut used: BTreeMap<&str, i64> = BTreeMap::new();
    nodes.into_iter().partition(|it| {
        let used = used.entry(it.pool).or_default();
        let allowed = allowances.get(it.pool).is_some_and(|allowance| *used < allowance.allowed);
        *used += i64::from(allowed);
        allowed
    })
}

/// The managed nodes by what they save, among equals by name.
fn ranked<'a>(problem: &'a ClusterState, budgets: &PodBudgets<'_>) -> Vec<Ranked<'a>> {
    let pools = candidates::managed_pools(problem);
    let mut ranked: Vec<Ranked<'a>> = problem
        .nodes_by_name
        .iter()
        .copied()
        .filter(|&node| problem.nodes[node].managed())
        .map(|node| Ranked {
            node,
            pool: problem.nodes[node].pool(&problem.api_nodes).unwrap_or(""),
            part: part_of(problem, &pools, budgets, node),
            savings_ratio: savings_ratio(problem, node),
        })
        .collect();
    ranked.sort_by(|a, b| b.savings_ratio.total_cmp(&a.savings_ratio));
    ranked
}

fn savings_ratio(problem: &ClusterState, node: usize) -> f64 {
    let mut cost = 1.0;
    for &pod in problem.nodes[node].pods.iter().filter(|&&pod| problem.records[pod].reschedulable) {
        cost += problem.records[pod].eviction_cost.max(0.0);
    }
    candidates::price_of(problem, node) / cost
}

fn part_of(
    problem: &ClusterState,
    pools: &BTreeMap<&str, &NodePool>,
    budgets: &PodBudgets<'_>,
    node: usize,
) -> Part {
    let state = &problem.nodes[node];
    let api = state.node.map(|api| &*problem.api_nodes[api].node);
    let disrupted = disrupted_taint();
    let tainted = api.is_some_and(|api| api.spec.taints.iter().any(|taint| same_taint(taint, &disrupted)));
    if state.marked || tainted {
        return Part::Going;
    }
    let written = state.labels_of(&problem.api_nodes);
    let annotations = &state.metadata_of(&problem.api_nodes).annotations;
    let undisruptable = api.is_none()
        || state.rebooting
        || !state.initialized
        || problem.scenario.memory.nominated.contains(&state.name)
        || annotations.get(DO_NOT_DISRUPT) == Some("true")
        || written.get(labels::NODE_POOL).is_none();
    if undisruptable || pod_obstacle(problem, budgets, node).is_some() || is_pinned(problem, node) {
        return Part::Cleared;
    }
    let pool = written.get(labels::NODE_POOL).and_then(|name| pools.get(name));
    let table = pool.and_then(|pool| problem.table_of_pool.get(&pool.metadata.name));
    let unpriceable = written
        .get(labels::INSTANCE_TYPE)
        .filter(|name| !name.is_empty())
        .is_some_and(|name| table.is_none_or(|&table| problem.tables[table].find(name).is_none()));
    if unpriceable {
        return Part::Cleared;
    }
    let is_static = pool.is_some_and(|pool| pool.spec.replicas.is_some());
    let conditions = state.claim.as_ref().map_or(&[][..], |claim| &claim.status.conditions);
    if !is_static && condition_is_true(conditions, "Drifted") {
        return Part::Drifted;
    }
    let never =
        pool.is_some_and(|pool| pool.spec.disruption.consolidate_after.and_then(|after| after.0).is_none());
    if never { Part::Cleared } else { Part::Normal }
}

/// Whether a pod is on the node that nothing would make anew elsewhere.
fn is_pinned(problem: &ClusterState, node: usize) -> bool {
    problem.nodes[node].pods.iter().any(|&pod| {
        let pod = problem.pod(pod);
        let made_anew = [("apps/v1", "ReplicaSet"), ("batch/v1", "Job"), ("apps/v1", "DaemonSet")];
        pod.metadata.namespace != "kube-system"
            && !made_anew.iter().any(|(version, kind)| is_controlled_by(pod, version, kind))
    })
}
