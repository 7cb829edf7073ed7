//! What is decided, with names, in the form of the recordings.
//!
//! Lists are sorted so that two equal decisions are equal as text.

mod json;
pub mod reasons;

use crate::catalogue::Price;
use crate::model::meta::{Duration, Str};
use crate::quantity::Quantity;
use reasons::PodError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A requirement of a NodeClaim, as in its `spec.requirements`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedRequirement {
    /// Label.
    pub key: Str,
    /// Operator.
    pub operator: &'static str,
    /// Values, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Str>,
    /// The least number of distinct values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_values: Option<u32>,
}

/// The offering that a NodeClaim is launched as: the cheapest one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Launch {
    /// Instance type.
    pub instance_type: Str,
    /// Zone.
    pub zone: Str,
    /// Capacity type.
    pub capacity_type: Str,
    /// Dollars an hour.
    pub price: Price,
}

/// A NodeClaim to be created.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewNodeClaim {
    /// Its NodePool.
    pub node_pool: Str,
    /// Its pods, `namespace/name`, sorted.
    pub pods: Vec<Str>,
    /// Instance types that it can be, sorted. NodeClaims that can be the same share them.
    pub instance_types: Arc<[Str]>,
    /// Requirements, by key and operator, without the instance type unless that has `minValues`.
    pub requirements: Vec<DecidedRequirement>,
    /// What its pods and daemons ask for.
    pub requests: BTreeMap<Str, Quantity>,
    /// The cheapest offering. `None` for a static NodePool's replacement, which has none.
    pub launch: Option<Launch>,
}

/// A node of the cluster that pods were promised to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilledNode {
    /// Name of the node, or of the NodeClaim if it is not registered.
    pub name: Str,
    /// Pods, sorted.
    pub pods: Vec<Str>,
}

/// What provisioning decides.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningDecision {
    /// NodeClaims to be created, by their first pod.
    pub new_node_claims: Vec<NewNodeClaim>,
    /// Nodes that pods were promised to, by name.
    pub existing_nodes: Vec<FilledNode>,
    /// Pods that no node could take, and why.
    pub pod_errors: BTreeMap<Str, PodError>,
    /// Pending pods that were kept out of the round, sorted.
    pub ignored_pods: Vec<Str>,
}

/// A way of disrupting nodes, in Karpenter's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Unhealthy nodes are replaced or rebooted.
    Repair,
    /// Empty nodes are deleted.
    Emptiness,
    /// Drifted nodes of static NodePools are replaced.
    StaticDrift,
    /// Drifted nodes are replaced.
    Drift,
    /// Several nodes are deleted, or replaced by one.
    MultiNodeConsolidation,
    /// One node is deleted, or replaced by a cheaper one.
    SingleNodeConsolidation,
}

impl Method {
    /// All, in Karpenter's order.
    pub const ALL: [Method; 6] = [
        Method::Repair,
        Method::Emptiness,
        Method::StaticDrift,
        Method::Drift,
        Method::MultiNodeConsolidation,
        Method::SingleNodeConsolidation,
    ];

    /// The reason that budgets and events name.
    pub const fn reason(self) -> crate::model::karpenter::DisruptionReason {
        use crate::model::karpenter::DisruptionReason;
        match self {
            Method::Repair => DisruptionReason::Unhealthy,
            Method::Emptiness => DisruptionReason::Empty,
            Method::StaticDrift | Method::Drift => DisruptionReason::Drifted,
            Method::MultiNodeConsolidation | Method::SingleNodeConsolidation => {
                DisruptionReason::Underutilized
            }
        }
    }
}

/// Why a node goes before there is a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TerminateFirst {
    /// Only the reservation that it holds can take its pods.
    NoReservedCapacity,
    /// Its static NodePool may have no more nodes.
    StaticAtLimit,
}

/// Nodes to be removed, and what comes in their place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Command {
    /// The method that found it.
    pub method: Method,
    /// Its reason.
    pub reason: &'static str,
    /// Nodes to be removed, sorted.
    pub candidates: Vec<Str>,
    /// NodeClaims to be created first, by their first pod.
    pub replacements: Vec<NewNodeClaim>,
    /// The nodes go before there is a replacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate_first: Option<TerminateFirst>,
    /// The node is not removed but rebooted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reboot: bool,
    /// Of repair: the condition that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Str>,
    /// How long the drain may take, if not as the NodeClaim says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period: Option<Duration>,
}

impl Command {
    /// A command of `method`. `candidates` and `replacements` are sorted.
    pub fn new(method: Method, candidates: Vec<Str>, replacements: Vec<NewNodeClaim>) -> Self {
        Command {
            method,
            reason: method.reason().as_str(),
            candidates,
            replacements,
            terminate_first: None,
            reboot: false,
            condition: None,
            termination_grace_period: None,
        }
    }
}

/// Deletion costs by node.
pub type PodDeletionCosts = BTreeMap<Str, Option<i64>>;

/// What disruption decides: the command of each method, each from the same state.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DisruptionDecision {
    /// Commands, in the order of the methods.
    pub commands: Vec<Command>,
    /// By node: the deletion cost that its ReplicaSets' pods get; `None`: theirs is taken away. Absent: deletion costs are
    /// not managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_deletion_cost: Option<PodDeletionCosts>,
}

/// What was decided for a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Decision {
    /// Provisioning.
    Provisioning(ProvisioningDecision),
    /// Disruption.
    Disruption(DisruptionDecision),
}
