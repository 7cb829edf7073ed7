//! Which nodes can be disrupted at all, and why the others cannot.

use super::policies::{Policies, Repair};
use crate::compile::ClusterState;
use crate::compile::nodes::is_registered;
use crate::compile::pools::is_managed;
use crate::decision::Method;
use crate::kubernetes::eviction::{Hold, PodBudgets};
use crate::kubernetes::labels::{self, DO_NOT_DISRUPT, DO_NOT_REPAIR};
use crate::model::karpenter::{ConsolidationPolicy, NodePool};
use crate::model::meta::{Duration, Str, condition_is_true};
use std::collections::BTreeMap;

/// A node that can be disrupted.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Index among the state's nodes.
    pub node: usize,
    /// Name of the node.
    pub name: Str,
    /// Its NodePool.
    pub pool: &'a NodePool,
    /// Table of the NodePool's instance types.
    pub table: usize,
    /// Its instance type, if the catalogue has it.
    pub instance_type: Option<usize>,
    /// Its capacity type; empty: no label.
    pub capacity_type: Str,
    /// Its pods that will be made again elsewhere.
    pub reschedulable: Vec<usize>,
    /// What it costs, in dollars an hour; 0 if that is not known.
    pub price: f64,
    /// What it costs to disrupt it: 1 and what each pod adds.
    pub disruption_cost: f64,
    /// A pod holds it: it can go only if its drain is bounded.
    pub held: bool,
    /// What its conditions ask of repair, if that is asking.
    pub repair: Option<Repair>,
}

/// Why a node cannot be disrupted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Karpenter did not make it.
    Unmanaged,
    /// There is only a NodeClaim.
    NoNode,
    /// It is not initialised.
    Uninitialized,
    /// It is being rebooted.
    Rebooting,
    /// It is being removed already.
    Deleting,
    /// A pod has been promised to it.
    Nominated,
    /// `karpenter.sh/do-not-disrupt` on the node.
    Annotated,
    /// It has no NodePool label, or the NodePool is gone, or has no instance types.
    NoNodePool,
    /// `karpenter.sh/do-not-disrupt` on a pod.
    PodAnnotated(Str),
    /// A PodDisruptionBudget holds a pod.
    PodHeld(Str, Hold),
    /// Its NodePool has a fixed number of nodes.
    Static,
    /// Its NodePool has not.
    NotStatic,
    /// Its NodePool's `consolidateAfter` is `Never`.
    ConsolidationDisabled,
    /// It has pods.
    NotEmpty,
    /// It has none: emptiness sees to it.
    Empty,
    /// Its NodePool consolidates empty nodes only.
    PolicyWhenEmpty,
    /// The catalogue does not have its instance type.
    UnknownInstanceType,
    /// It lacks a label that its price follows from.
    NoLabel(&'static str),
    /// The condition `Consolidatable` is not true: `consolidateAfter` has not passed since the last pod event.
    NotConsolidatable,
    /// The condition `Drifted` is not true.
    NotDrifted,
    /// No condition asks for repair, or none has lasted long enough.
    Healthy,
    /// `karpenter.sh/do-not-repair` on the node.
    NotToBeRepaired,
    /// A pod holds it, and nothing bounds its drain.
    Unbounded,
    /// It is not registered.
    Unregistered,
}

/// Whether drift, which is bounded by the grace period, is asking: then pods that hold their node do not count if the
/// NodeClaim has one.
fn is_eventual(method: Method) -> bool {
    matches!(method, Method::Drift | Method::StaticDrift)
}

/// All nodes, by name, each as a candidate or with what stands in its way; the method's own filter is not applied.
pub fn candidates<'a>(
    problem: &'a ClusterState,
    budgets: &PodBudgets<'_>,
    method: Method,
) -> Vec<Result<Candidate<'a>, (usize, Obstacle)>> {
    let pools = managed_pools(problem);
    let policies = match method {
        Method::Repair => Policies::new(&problem.scenario.options),
        _ => Policies::default(),
    };
    problem
        .nodes_by_name
        .iter()
        .map(|&node| {
            candidate(problem, &pools, budgets, (method, &policies), node)
                .map_err(|obstacle| (node, obstacle))
        })
        .collect()
}

/// The NodePools that are Karpenter's, by name.
pub(super) fn managed_pools(problem: &ClusterState) -> BTreeMap<&str, &NodePool> {
    let provider = &problem.scenario.catalogue.provider;
    let pools = problem.scenario.objects.node_pools.iter();
    pools.filter(|pool| is_managed(pool, provider)).map(|pool| (pool.metadata.name.as_str(), pool)).collect()
}

/// What a node costs, in dollars an hour; 0 if that is not known.
pub(super) fn price_of(problem: &ClusterState, node: usize) -> f64 {
    let labels = problem.nodes[node].labels_of(&problem.api_nodes);
    let label = |key: &str| labels.get(key).unwrap_or("");
    let Some(&table) = problem.table_of_pool.get(label(labels::NODE_POOL)) else { return 0.0 };
    let types = &problem.tables[table];
    let Some(of) = types.find(label(labels::INSTANCE_TYPE)) else { return 0.0 };
    types.price_at(of, label(labels::ZONE), label(labels::CAPACITY_TYPE))
}

fn candidate<'a>(
    problem: &'a ClusterState,
    pools: &BTreeMap<&str, &'a NodePool>,
    budgets: &PodBudgets<'_>,
    (method, policies): (Method, &Policies),
    index: usize,
) -> Result<Candidate<'a>, Obstacle> {
    let node = &problem.nodes[index];
    let claim = node.claim.as_ref().ok_or(Obstacle::Unmanaged)?;
    let api = node.node.ok_or(Obstacle::NoNode)?;
    let repairing = method == Method::Repair;
    if node.rebooting {
        return Err(Obstacle::Rebooting);
    }
    if !node.initialized && !repairing {
        return Err(Obstacle::Uninitialized);
    }
    if node.marked {
        return Err(Obstacle::Deleting);
    }
    if !node.initialized && !is_registered(&problem.api_nodes[api].node) {
        return Err(Obstacle::Unregistered);
    }
    // A node that is not initialised waits for pods as long as they wait for it; repair does not.
    if node.initialized && problem.scenario.memory.nominated.contains(&node.name) {
        return Err(Obstacle::Nominated);
    }
    let annotations = &node.metadata_of(&problem.api_nodes).annotations;
    if !repairing && annotations.get(DO_NOT_DISRUPT) == Some("true") {
        return Err(Obstacle::Annotated);
    }
    let written = node.labels_of(&problem.api_nodes);
    let pool = written.get(labels::NODE_POOL).and_then(|name| pools.get(name)).ok_or(Obstacle::NoNodePool)?;
    let table = *problem.table_of_pool.get(&pool.metadata.name).ok_or(Obstacle::NoNodePool)?;
    let types = &problem.tables[table];
    if types.types.is_empty() {
        return Err(Obstacle::NoNodePool);
    }
    let bounded = is_eventual(method) && claim.spec.termination_grace_period.is_some();
    let mut held = false;
    if !bounded && let Some(obstacle) = pod_obstacle(problem, budgets, index) {
        // Whether repair is bounded is known when its policies are.
        if !repairing {
            return Err(obstacle);
        }
        held = true;
    }
    let reschedulable: Vec<usize> =
        node.pods.iter().copied().filter(|&pod| problem.records[pod].reschedulable).collect();
    let mut disruption_cost = 1.0;
    for &pod in &reschedulable {
        let cost = problem.records[pod].eviction_cost;
        // A deletion cost of NaN stays: the node is not empty then, whatever else is on it.
        disruption_cost += if cost < 0.0 { 0.0 } else { cost };
    }
    let instance_type = written.get(labels::INSTANCE_TYPE).and_then(|name| types.find(name));
    let capacity_type = written.get(labels::CAPACITY_TYPE);
    Ok(Candidate {
        node: index,
        name: node.name.clone(),
        pool,
        table,
        instance_type,
        capacity_type: capacity_type.unwrap_or("").into(),
        reschedulable,
        price: price_of(problem, index),
        disruption_cost,
        held,
        repair: repairing.then(|| Repair::of(problem, policies, index)).flatten(),
    })
}

/// The pod that holds a node, if one does.
pub(super) fn pod_obstacle(
    problem: &ClusterState,
    budgets: &PodBudgets<'_>,
    node: usize,
) -> Option<Obstacle> {
    let pods = &problem.nodes[node].pods;
    if let Some(&pod) = pods.iter().find(|&&pod| !problem.is_disruptable(pod)) {
        return Some(Obstacle::PodAnnotated(problem.pod_name(pod)));
    }
    if budgets.is_empty() {
        return None;
    }
    pods.iter().find_map(|&pod| {
        let hold = budgets.holds_now(problem.pod(pod), problem.now())?;
        Some(Obstacle::PodHeld(problem.pod_name(pod), hold))
    })
}

impl Candidate<'_> {
    /// Whether no pod adds to what it costs to disrupt it.
    pub fn is_empty(&self) -> bool {
        self.disruption_cost <= 1.0
    }

    /// Dollars an hour that are saved by unit of disruption.
    pub fn savings_ratio(&self) -> f64 {
        self.price / self.disruption_cost
    }

    fn consolidate_after(&self) -> Option<Duration> {
        self.pool.spec.disruption.consolidate_after.and_then(|after| after.0)
    }

    /// What stands in the way of repair in particular.
    fn repair_obstacle(&self, problem: &ClusterState) -> Option<Obstacle> {
        let Some(repair) = &self.repair else { return Some(Obstacle::Healthy) };
        let node = &problem.nodes[self.node];
        if node.metadata_of(&problem.api_nodes).annotations.get(DO_NOT_REPAIR) == Some("true") {
            return Some(Obstacle::NotToBeRepaired);
        }
        let bound = node.claim.as_ref().and_then(|claim| claim.spec.termination_grace_period);
        let unbounded = repair.termination_grace_period.is_none() && bound.is_none();
        (self.held && unbounded).then_some(Obstacle::Unbounded)
    }

    /// What stands in the way of `method` in particular.
    pub fn obstacle(&self, problem: &ClusterState, method: Method) -> Option<Obstacle> {
        let conditions = problem.nodes[self.node]
            .claim
            .as_ref()
            .map_or(&[][..], |claim| claim.status.conditions.as_slice());
        let is_static = self.pool.spec.replicas.is_some();
        match method {
            Method::Repair => return self.repair_obstacle(problem),
            Method::StaticDrift if !is_static => return Some(Obstacle::NotStatic),
            Method::StaticDrift => {}
            _ if is_static => return Some(Obstacle::Static),
            _ => {}
        }
        match method {
            Method::Repair => {}
            Method::Drift | Method::StaticDrift => {
                return (!condition_is_true(conditions, "Drifted")).then_some(Obstacle::NotDrifted);
            }
            Method::Emptiness => {
                if self.consolidate_after().is_none() {
                    return Some(Obstacle::ConsolidationDisabled);
                }
                if !self.is_empty() {
                    return Some(Obstacle::NotEmpty);
                }
            }
            Method::MultiNodeConsolidation | Method::SingleNodeConsolidation => {
                let labels = problem.nodes[self.node].labels_of(&problem.api_nodes);
                if self.instance_type.is_none() {
                    return Some(Obstacle::UnknownInstanceType);
                }
                for label in [labels::CAPACITY_TYPE, labels::ZONE] {
                    if labels.get(label).is_none() {
                        return Some(Obstacle::NoLabel(label));
                    }
                }
                if self.consolidate_after().is_none() {
                    return Some(Obstacle::ConsolidationDisabled);
                }
                if self.is_empty() {
                    return Some(Obstacle::Empty);
                }
                if self.pool.spec.disruption.consolidation_policy == Some(ConsolidationPolicy::WhenEmpty) {
                    return Some(Obstacle::PolicyWhenEmpty);
                }
            }
        }
        (!condition_is_true(conditions, "Consolidatable")).then_some(Obstacle::NotConsolidatable)
    }
}
