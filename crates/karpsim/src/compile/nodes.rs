//! The nodes of the cluster as Karpenter's state holds them: a Node, a NodeClaim, or both.

use super::asked::Host;
use super::pods::{PortsId, asked_of_labels};
use super::resources::Amounts;
use super::taints::{TaintRules, TaintsId};
use crate::kubernetes::labels::{self, HOSTNAME, INITIALIZED, NODE_POOL, REGISTERED};
use crate::kubernetes::requests::{RawAmounts, add, raw};
use crate::kubernetes::taints::{is_ephemeral, is_rebooting, same_taint};
use crate::label_rules::LabelRules;
use crate::model::Objects;
use crate::model::core::{Node, ResourceList, Taint};
use crate::model::karpenter::NodeClaim;
use crate::model::meta::{Labels, ObjectMeta, Str, condition_is_true};
use crate::quantity::Quantity;
use crate::requirements::{Algebra, ConstraintId, ValueId};
use crate::scenario::{ClusterMemory, Options};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A node as the API server has it.
#[derive(Debug, Clone)]
pub struct ApiNode {
    /// The node.
    pub node: Arc<Node>,
    /// Its labels but for the hostname.
    pub labels: ConstraintId,
    /// Its hostname label.
    pub host: Host,
    /// Its taints.
    pub taints: TaintsId,
}

/// A node as Karpenter's state holds it.
#[derive(Debug, Clone)]
pub struct StateNode {
    /// Name: the node's, or the NodeClaim's while the node is not registered.
    pub name: Str,
    /// Index among the API nodes, if there is a node.
    pub node: Option<usize>,
    /// The NodeClaim, if Karpenter manages it.
    pub claim: Option<Arc<NodeClaim>>,
    /// Labels but for the hostname.
    pub labels: ConstraintId,
    /// The hostname label.
    pub host_label: Host,
    /// The hostname: the label, or else the name.
    pub host: ValueId,
    /// Taints that pods must tolerate.
    pub taints: TaintsId,
    /// Whether it is ready for pods for good.
    pub initialized: bool,
    /// Whether it is being rebooted, and will be back.
    pub rebooting: bool,
    /// Until when it is under its NodePool's `consolidateAfter`, in nanoseconds of the epoch.
    pub young_until: Option<i128>,
    /// Whether it is going to be removed.
    pub marked: bool,
    /// What is left of its allocatable beside its pods and the daemons to come.
    pub remaining: Amounts,
    /// All it has.
    pub capacity: RawAmounts,
    /// What pods can have.
    pub allocatable: RawAmounts,
    /// What all daemons that belong on it request.
    pub belonging: RawAmounts,
    /// Host ports of its pods.
    pub ports: Vec<PortsId>,
    /// Volumes of its pods: driver and claim, sorted.
    pub attached: Vec<(Str, Str)>,
    /// How many volumes of a driver it can attach.
    pub attach_limits: Vec<(Str, i64)>,
    /// Its pods, as indexes into the scenario's, in order of namespace and name.
    pub pods: Vec<usize>,
}

impl StateNode {
    /// Whether nothing stands behind it: its place waits for another node.
    pub fn is_vacant(&self) -> bool {
        self.node.is_none() && self.claim.is_none()
    }

    /// Whether Karpenter made it.
    pub fn managed(&self) -> bool {
        self.claim.is_some()
    }

    /// Whose labels and annotations count: the node's, or the NodeClaim's while the node is not registered.
    pub fn metadata_of<'a>(&'a self, nodes: &'a [ApiNode]) -> &'a ObjectMeta {
        let node = self.node.map(|node| &*nodes[node].node);
        match (node, &self.claim) {
            (Some(node), claim) if claim.is_none() || is_registered(node) => &node.metadata,
            (_, Some(claim)) => &claim.metadata,
            (Some(node), None) => &node.metadata,
            (None, None) => unreachable!("a state node has a node or a claim"),
        }
    }

    /// Labels as written.
    pub fn labels_of<'a>(&'a self, nodes: &'a [ApiNode]) -> &'a Labels {
        &self.metadata_of(nodes).labels
    }

    /// Its NodePool by label.
    pub fn pool<'a>(&'a self, nodes: &'a [ApiNode]) -> Option<&'a str> {
        self.labels_of(nodes).get(NODE_POOL)
    }
}

pub(crate) fn is_registered(node: &Node) -> bool {
    node.metadata.labels.get(REGISTERED) == Some("true")
}

/// Whether Karpenter's state takes up the node: one of a NodePool only when it is known what it is.
pub(super) fn is_in_state(node: &Node) -> bool {
    let is_empty = |key: &str| node.metadata.labels.get(key).unwrap_or("").is_empty();
    is_empty(NODE_POOL) || !is_empty(labels::INSTANCE_TYPE) || !is_empty(INITIALIZED)
}

/// Compiles the nodes of the API server, by name.
pub fn api_nodes(
    algebra: &mut Algebra,
    rules: &LabelRules,
    taints: &mut TaintRules,
    objects: &Objects,
) -> Vec<ApiNode> {
    let mut sorted: Vec<&Arc<Node>> = objects.nodes.iter().collect();
    sorted.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    sorted
        .into_iter()
        .map(|node| {
            let (labels, host) = labels_and_host(algebra, rules, &node.metadata.labels);
            ApiNode { node: node.clone(), labels, host, taints: taints.taints(&node.spec.taints) }
        })
        .collect()
}

/// A node's labels as a constraint, and its hostname label.
pub(super) fn labels_and_host(
    algebra: &mut Algebra,
    rules: &LabelRules,
    labels: &Labels,
) -> (ConstraintId, Host) {
    let asked = asked_of_labels(algebra, rules, labels);
    let key = algebra.key(HOSTNAME, |_| false);
    let host = labels.get(HOSTNAME).map_or(Host::None, |name| Host::Named(algebra.value(key, name)));
    (asked.constraint, host)
}

/// Joins nodes and NodeClaims by provider id into Karpenter's state, by name. Amounts and pods are filled in later.
pub fn state_nodes(
    algebra: &mut Algebra,
    rules: &LabelRules,
    taints: &mut TaintRules,
    objects: &Objects,
    nodes: &[ApiNode],
    scenario: (&ClusterMemory, &Options),
    provider: &str,
) -> Vec<StateNode> {
    let mut claims: Vec<&Arc<NodeClaim>> = objects
        .node_claims
        .iter()
        .filter(|claim| crate::label_rules::is_known_node_class(provider, &claim.spec.node_class_ref))
        .collect();
    claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let mut joined: Vec<(Option<usize>, Option<&Arc<NodeClaim>>)> = Vec::new();
    let mut by_provider_id: FxHashMap<Str, usize> = FxHashMap::default();
    for claim in claims {
        // Not launched yet: Karpenter does not know what it will be.
        if claim.status.provider_id.is_empty() {
            continue;
        }
        let at = *by_provider_id.entry(claim.status.provider_id.clone()).or_insert_with(|| {
            joined.push((None, None));
            joined.len() - 1
        });
        joined[at].1 = Some(claim);
    }
    for (index, node) in nodes.iter().enumerate() {
        let label = |key: &str| node.node.metadata.labels.get(key).unwrap_or("");
        let of_pool = !label(NODE_POOL).is_empty();
        let provider_id = match node.node.spec.provider_id.as_str() {
            "" if of_pool => continue,
            "" => node.node.metadata.name.clone(),
            id => id.into(),
        };
        if !is_in_state(&node.node) {
            continue;
        }
        let at = *by_provider_id.entry(provider_id).or_insert_with(|| {
            joined.push((None, None));
            joined.len() - 1
        });
        joined[at].0 = Some(index);
    }
    let mut state: Vec<StateNode> = joined
        .into_iter()
        .map(|(node, claim)| state_node(algebra, rules, taints, nodes, scenario, node, claim))
        .collect();
    state.sort_by(|a, b| a.name.cmp(&b.name));
    state
}

pub(super) fn state_node(
    algebra: &mut Algebra,
    rules: &LabelRules,
    taint_rules: &mut TaintRules,
    nodes: &[ApiNode],
    (memory, options): (&ClusterMemory, &Options),
    index: Option<usize>,
    claim: Option<&Arc<NodeClaim>>,
) -> StateNode {
    let node = index.map(|index| &*nodes[index].node);
    let has_label = |label: &str| node.is_some_and(|node| node.metadata.labels.get(label) == Some("true"));
    let registered = claim.is_none() || has_label(REGISTERED);
    let initialized = claim.is_none() || has_label(INITIALIZED);
    let name = match (node, claim) {
        (Some(node), None) => node.metadata.name.clone(),
        (Some(node), Some(_)) if registered => node.metadata.name.clone(),
        (_, Some(claim)) => claim.metadata.name.clone(),
        (None, None) => Str::default(),
    };
    let returns = options.rules().rebooting_nodes_return;
    let rebooting =
        returns && claim.is_some_and(|claim| condition_is_true(&claim.status.conditions, "Rebooting"));
    let deleting = match (claim, node) {
        (Some(claim), _) => {
            claim.metadata.deletion_timestamp.is_some()
                || condition_is_true(&claim.status.conditions, "InstanceTerminating")
        }
        (None, Some(node)) => node.metadata.deletion_timestamp.is_some(),
        (None, None) => false,
    };
    let written: &[Taint] = match (node, claim) {
        (Some(node), claim) if claim.is_none() || registered => &node.spec.taints,
        (_, Some(claim)) => &claim.spec.taints,
        _ => &[],
    };
    let taints: Vec<Taint> = match claim {
        Some(claim) if !initialized || rebooting => written
            .iter()
            .filter(|taint| {
                let passes = is_ephemeral(taint)
                    || (returns && is_rebooting(taint))
                    || claim.spec.startup_taints.iter().any(|startup| same_taint(startup, taint));
                !passes
            })
            .cloned()
            .collect(),
        _ => written.to_vec(),
    };
    let labels = match (node, claim) {
        (Some(node), claim) if claim.is_none() || registered => &node.metadata.labels,
        (_, Some(claim)) => &claim.metadata.labels,
        (Some(node), None) => &node.metadata.labels,
        (None, None) => unreachable!("joined from a node or a claim"),
    };
    let (constraint, host_label) = labels_and_host(algebra, rules, labels);
    let hostname = labels.get(HOSTNAME).filter(|name| !name.is_empty()).unwrap_or(&name);
    let key = algebra.key(HOSTNAME, |_| false);
    let host = algebra.value(key, hostname);
    let amounts = |of_node: fn(&Node) -> &ResourceList, of_claim: fn(&NodeClaim) -> &ResourceList| {
        let mut amounts = node.map(|node| raw(of_node(node))).unwrap_or_default();
        if let (false, Some(claim)) = (initialized, claim) {
            // Until the kubelet has reported everything, what the cloud promised stands in.
            for (name, quantity) in of_claim(claim).iter() {
                let amount = amounts.entry(name.into()).or_default();
                if amount.is_zero() {
                    *amount = quantity;
                }
            }
        }
        amounts
    };
    let mut capacity = amounts(|node| &node.status.capacity, |claim| &claim.status.capacity);
    capacity.insert("nodes".into(), Quantity::from_units(1));
    StateNode {
        marked: deleting || memory.marked_for_deletion.contains(&name),
        name,
        node: index,
        claim: claim.cloned(),
        labels: constraint,
        host_label,
        host,
        taints: taint_rules.taints(&taints),
        initialized,
        rebooting,
        young_until: None,
        belonging: RawAmounts::new(),
        remaining: Amounts::new(),
        capacity,
        allocatable: amounts(|node| &node.status.allocatable, |claim| &claim.status.allocatable),
        ports: Vec::new(),
        attached: Vec::new(),
        attach_limits: Vec::new(),
        pods: Vec::new(),
    }
}

/// What is left of `allocatable` beside `used` and what `daemons` will still take. Only resources that the node lists
/// count; what is left may be less than nothing.
pub fn remaining(allocatable: &RawAmounts, used: &RawAmounts, daemons: &RawAmounts) -> RawAmounts {
    let of = |amounts: &RawAmounts, name: &str| amounts.get(name).copied().unwrap_or_default();
    allocatable
        .iter()
        .map(|(name, quantity)| (name.clone(), *quantity - of(used, name) - of(daemons, name)))
        .collect()
}

/// What daemons will still take: all that belong on the node, less those that are there, never below 0.
pub fn daemons_to_come(belonging: &RawAmounts, present: &RawAmounts) -> RawAmounts {
    belonging
        .iter()
        .map(|(name, quantity)| {
            let there = present.get(name).copied().unwrap_or_default();
            (name.clone(), (*quantity - there).max(Quantity::ZERO))
        })
        .collect()
}

/// Sums of many amounts.
pub fn sum<'a>(all: impl Iterator<Item = &'a RawAmounts>) -> RawAmounts {
    let mut sum = RawAmounts::new();
    for amounts in all {
        add(&mut sum, amounts);
    }
    sum
}
