//! A provisioning decision as it is written, by karpsim or by a recording.

use karpsim::model::core::NodeSelectorRequirement;
use karpsim::model::meta::Operator;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What was decided.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// NodeClaims to be created.
    pub new_node_claims: Vec<DecidedClaim>,
    /// Nodes that were promised pods.
    pub existing_nodes: Vec<DecidedNode>,
    /// Pods without a place.
    pub pod_errors: BTreeMap<String, String>,
    /// Pods that were kept out of the round.
    pub ignored_pods: Vec<String>,
}

/// A NodeClaim to be created.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedClaim {
    /// Its NodePool.
    pub node_pool: String,
    /// Its pods, `namespace/name`.
    pub pods: Vec<String>,
    /// Instance types that it can be.
    pub instance_types: Vec<String>,
    /// Its requirements, but for the instance type.
    pub requirements: Vec<DecidedRequirement>,
    /// What it would be launched as now.
    pub launch: Option<DecidedLaunch>,
}

/// A requirement of a NodeClaim.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedRequirement {
    /// Label.
    pub key: String,
    /// Operator.
    pub operator: Operator,
    /// Values.
    #[serde(default)]
    pub values: Vec<String>,
    /// The least number of distinct values among the instance types.
    pub min_values: Option<usize>,
}

impl DecidedRequirement {
    /// The same without `minValues`, as Kubernetes writes it.
    pub fn as_selector(&self) -> NodeSelectorRequirement {
        NodeSelectorRequirement {
            key: self.key.as_str().into(),
            operator: Some(self.operator),
            values: self.values.iter().map(|value| value.as_str().into()).collect(),
            ..NodeSelectorRequirement::default()
        }
    }
}

/// What a NodeClaim would be launched as.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidedLaunch {
    /// Instance type.
    pub instance_type: String,
    /// Zone.
    pub zone: String,
    /// Capacity type.
    pub capacity_type: String,
    /// Dollars an hour.
    pub price: f64,
}

/// A node that was promised pods.
#[derive(Debug, Clone, Deserialize)]
pub struct DecidedNode {
    /// Name of the node, or of the NodeClaim while there is no node.
    pub name: String,
    /// Pods, `namespace/name`.
    pub pods: Vec<String>,
}
