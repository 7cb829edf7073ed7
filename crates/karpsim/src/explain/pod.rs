//! Where a pod goes and why, or why nowhere.

use super::words;
use crate::catalogue::Price;
use crate::compile::pools::{is_managed, is_ready};
use crate::compile::{ClusterState, compile};
use crate::decision::Launch;
use crate::decision::reasons::{PodError, Refusals, Refused, Step};
use crate::kubernetes::pods::{is_owned_by, is_provisionable};
use crate::model::core::Pod;
use crate::model::karpenter::NodePool;
use crate::model::meta::{Str, condition_is_true};
use crate::provisioning::plan::{MAX_INSTANCE_TYPES, Plan};
use crate::provisioning::solver::{Claim, Failure, RoundRules, Solver};
use crate::scenario::Scenario;
use serde::Serialize;

/// Where a pod goes and why, or why nowhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodExplanation {
    /// `namespace/name`.
    pub pod: Str,
    /// What becomes of it.
    #[serde(flatten)]
    pub outcome: PodOutcome,
}

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PodOutcome {
    /// It is on a node, and stays there as far as provisioning is concerned.
    Bound {
        /// The node.
        node: Str,
    },
    /// Karpenter does not look for a node for it.
    NotConsidered {
        /// Why.
        why: &'static str,
    },
    /// It is kept out of the round.
    Ignored {
        /// Why, in words.
        why: String,
    },
    /// It goes to a node of the cluster.
    ExistingNode {
        /// The node.
        node: Str,
        /// Nodes that were tried before.
        passed_over: Vec<Refused>,
    },
    /// It goes to a new node.
    Launch(Box<LaunchExplanation>),
    /// Nothing takes it.
    LeftOver(Box<LeftOver>),
}

/// Why a pod is left over.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOver {
    /// Karpenter's word: `FailedScheduling`, or `NoCompatibleInstanceTypes`.
    pub reason: &'static str,
    /// Why, in one line.
    pub message: String,
    /// Rule by rule.
    #[serde(flatten)]
    pub refusals: Refusals,
    /// NodePools that cannot be used at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unusable: Vec<UnusableNodePool>,
}

/// A NodePool that provisioning passes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnusableNodePool {
    /// NodePool.
    pub node_pool: Str,
    /// Why.
    pub why: String,
}

/// A new node: what it can be, and what it will be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchExplanation {
    /// NodePool.
    pub node_pool: Str,
    /// All pods of the node.
    pub pods: Vec<Str>,
    /// Nodes of the cluster that were tried before.
    pub passed_over: Vec<Refused>,
    /// Instance types that the NodePool is offered.
    pub instance_types: usize,
    /// Rule by rule, down to what the node can be.
    pub steps: Vec<Step>,
    /// Instance types that the NodeClaim lists.
    pub options: usize,
    /// Offerings of those that are available.
    pub offerings: usize,
    /// The cheapest offering: what is launched.
    pub chosen: Option<Launch>,
    /// The next cheapest of another instance type.
    pub runner_up: Option<Launch>,
    /// What it costs more than the chosen one, in dollars an hour.
    pub runner_up_costs_more: Option<Price>,
}

/// Explains what becomes of `name` (`namespace/name`; without namespace: in `default`). `None`: there is no such pod.
pub fn pod(scenario: &Scenario, name: &str) -> Option<PodExplanation> {
    let (problem, algebra) = compile(scenario);
    let wanted = if name.contains('/') { name.to_owned() } else { format!("default/{name}") };
    let index = (0..problem.records.len()).find(|&pod| problem.pod_name(pod) == wanted)?;
    let explained = |outcome| Some(PodExplanation { pod: problem.pod_name(index), outcome });
    if let Some((_, fault)) = problem.ignored.iter().find(|(pod, _)| *pod == index) {
        return explained(PodOutcome::Ignored { why: fault.to_string() });
    }
    let moves = problem.leaving.contains(&index);
    if !moves && !is_provisionable(problem.pod(index)) {
        return explained(not_provisionable(problem.pod(index)));
    }
    if !problem.is_synced() {
        let why = "a NodeClaim is still launching (no `status.providerID`), and Karpenter makes no decisions until it is launched";
        return explained(PodOutcome::NotConsidered { why });
    }
    let unusable = unusable_node_pools(&problem);
    if problem.dynamic.is_empty() {
        return explained(PodOutcome::LeftOver(Box::new(LeftOver {
            reason: "FailedScheduling",
            message: PodError::NoNodePools.to_string(),
            refusals: Refusals::default(),
            unusable,
        })));
    }
    let mut solver = Solver::new(&problem, algebra);
    let pods: Vec<usize> = problem.pending.iter().chain(&problem.leaving).copied().collect();
    let rules = RoundRules { strict_reservations: true, ..RoundRules::default() };
    let (outcome, seen) = solver.run_round_then(&pods, &[], rules, |solver, failed| {
        match failed.iter().find(|(pod, _)| *pod == index) {
            Some(&(_, failure)) => Seen::Failed(failure, solver.refusals(index, failure)),
            None => {
                let node = solver.node_of(index);
                Seen::Placed(node, solver.node_refusals(index, node))
            }
        }
    });
    match seen {
        Seen::Failed(failure, refusals) => {
            explained(PodOutcome::LeftOver(Box::new(left_over(failure, refusals, unusable))))
        }
        Seen::Placed(Some(node), passed_over) => {
            explained(PodOutcome::ExistingNode { node: problem.nodes[node].name.clone(), passed_over })
        }
        Seen::Placed(None, passed_over) => {
            let claim = outcome.claims.iter().find(|claim| claim.pods.contains(&index))?;
            let mut plan = solver.plan(claim);
            if !solver.truncate(&mut plan) {
                return explained(PodOutcome::LeftOver(Box::new(LeftOver {
                    reason: "NoCompatibleInstanceTypes",
                    message: PodError::MinValues.to_string(),
                    refusals: Refusals::default(),
                    unusable,
                })));
            }
            let launch = launch(&mut solver, claim, passed_over);
            explained(PodOutcome::Launch(Box::new(launch)))
        }
    }
}

enum Seen {
    Failed(Failure, Refusals),
    Placed(Option<usize>, Vec<Refused>),
}

fn left_over(failure: Failure, refusals: Refusals, unusable: Vec<UnusableNodePool>) -> LeftOver {
    let types_only = !refusals.node_pools.is_empty() && failure == Failure::NoPlace;
    LeftOver {
        reason: if types_only { "NoCompatibleInstanceTypes" } else { "FailedScheduling" },
        message: match failure {
            Failure::NoPlace => words::sentence(&refusals.node_pools),
            Failure::Reserved => PodError::ReservedCapacity.to_string(),
            Failure::Devices => PodError::DynamicResources.to_string(),
        },
        refusals,
        unusable,
    }
}

fn not_provisionable(pod: &Pod) -> PodOutcome {
    if !pod.spec.node_name.is_empty() {
        return PodOutcome::Bound { node: pod.spec.node_name.clone() };
    }
    let why = if is_owned_by(pod, "apps/v1", "DaemonSet") {
        "it belongs to a DaemonSet, for which no nodes are launched"
    } else if is_owned_by(pod, "v1", "Node") {
        "it is the mirror pod of a static pod"
    } else if !pod.status.nominated_node_name.is_empty() {
        "kube-scheduler is preempting pods for it on a node (`status.nominatedNodeName`)"
    } else {
        "kube-scheduler has not marked it unschedulable (condition PodScheduled, reason Unschedulable)"
    };
    PodOutcome::NotConsidered { why }
}

/// The NodePools that cannot launch nodes for pods, by name, and why.
fn unusable_node_pools(problem: &ClusterState) -> Vec<UnusableNodePool> {
    let provider = &problem.scenario.catalogue.provider;
    let why = |pool: &NodePool| -> Option<String> {
        if !is_managed(pool, provider) {
            let class = &pool.spec.template.spec.node_class_ref;
            return Some(format!(
                "its node class {}/{} belongs to another provider",
                class.group, class.kind
            ));
        }
        if pool.metadata.deletion_timestamp.is_some() {
            return Some("it is being deleted".to_owned());
        }
        if pool.spec.replicas.is_some() {
            return Some("it is static (`spec.replicas`)".to_owned());
        }
        if !is_ready(pool) {
            let unmet: Vec<&str> = ["ValidationSucceeded", "NodeClassReady", "Ready"]
                .into_iter()
                .filter(|kind| !condition_is_true(&pool.status.conditions, kind))
                .collect();
            return Some(format!("it is not ready: these conditions are not True: {}", unmet.join(", ")));
        }
        None
    };
    let mut unusable: Vec<UnusableNodePool> = problem
        .scenario
        .objects
        .node_pools
        .iter()
        .filter_map(|pool| {
            let why = why(pool)?;
            Some(UnusableNodePool { node_pool: pool.metadata.name.clone(), why })
        })
        .collect();
    unusable.sort_by(|a, b| a.node_pool.cmp(&b.node_pool));
    unusable
}

fn launch(solver: &mut Solver<'_>, claim: &Claim, passed_over: Vec<Refused>) -> LaunchExplanation {
    let problem = solver.problem;
    let (instance_types, steps) = solver.launch_steps(claim);
    let mut plan = solver.plan(claim);
    if plan.types.len() > MAX_INSTANCE_TYPES {
        solver.order_by_price(&mut plan);
        plan.types.truncate(MAX_INSTANCE_TYPES);
    }
    let offerings = offerings(solver, &plan);
    let chosen = offerings.first().cloned();
    let runner_up = offerings
        .iter()
        .find(|offering| chosen.as_ref().is_some_and(|chosen| chosen.instance_type != offering.instance_type))
        .cloned();
    let more = chosen.as_ref().zip(runner_up.as_ref()).map(|(a, b)| Price(b.price.0 - a.price.0));
    let mut pods: Vec<Str> = claim.pods.iter().map(|&pod| problem.pod_name(pod)).collect();
    pods.sort();
    LaunchExplanation {
        node_pool: problem.templates[claim.template].pool.clone(),
        pods,
        passed_over,
        instance_types,
        steps,
        options: plan.types.len(),
        offerings: offerings.len(),
        chosen,
        runner_up,
        runner_up_costs_more: more,
    }
}

/// The offerings that a plan can be launched as, the cheapest first; among equals by name, capacity type and zone.
pub(super) fn offerings(solver: &mut Solver<'_>, plan: &Plan) -> Vec<Launch> {
    let kinds = solver.compatible_kinds(plan.table, plan.constraint);
    let table = &solver.problem.tables[plan.table];
    let mut offerings: Vec<Launch> = Vec::new();
    for &of in &plan.types {
        let it = &table.types[of];
        for offering in it.offerings.iter().filter(|offering| offering.available && kinds[offering.kind]) {
            offerings.push(Launch {
                instance_type: it.name.clone(),
                zone: offering.zone.clone(),
                capacity_type: offering.capacity_type.clone(),
                price: Price(offering.price),
            });
        }
    }
    offerings.sort_by(|a, b| {
        a.price
            .0
            .total_cmp(&b.price.0)
            .then_with(|| a.instance_type.cmp(&b.instance_type))
            .then_with(|| a.capacity_type.cmp(&b.capacity_type))
            .then_with(|| a.zone.cmp(&b.zone))
    });
    offerings
}
