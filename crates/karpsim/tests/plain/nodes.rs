//! The nodes of the cluster as Karpenter's state holds them.

use super::cluster::PodOf;
use super::daemons::Daemon;
use super::pods::{HostPort, tolerates_all};
use super::requirements::{Label, Requirements};
use karpsim::compile::pools::dynamic_pools;
use karpsim::kubernetes::labels::{self, HOSTNAME, INITIALIZED, NODE_POOL, REGISTERED};
use karpsim::kubernetes::pods::{is_owned_by, is_terminal};
use karpsim::kubernetes::requests::{RawAmounts, add, raw};
use karpsim::kubernetes::taints::{is_ephemeral, same_taint};
use karpsim::label_rules::LabelRules;
use karpsim::model::core::{Node, ResourceList, Taint};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Labels, Str, condition, condition_is_true};
use karpsim::quantity::Quantity;
use karpsim::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// A node of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct StateNode<'a> {
    pub(crate) name: Str,
    pub(crate) node: Option<&'a Node>,
    pub(crate) claim: Option<&'a NodeClaim>,
    pub(crate) labels: &'a Labels,
    /// Labels, and a hostname in any case.
    pub(crate) requirements: Requirements,
    pub(crate) taints: Vec<Taint>,
    pub(crate) initialized: bool,
    pub(crate) marked: bool,
    pub(crate) young: bool,
    pub(crate) capacity: RawAmounts,
    /// What is left of its allocatable beside its pods and the daemons to come.
    pub(crate) remaining: RawAmounts,
    pub(crate) ports: Vec<Vec<HostPort>>,
    pub(crate) attached: BTreeSet<(Str, Str)>,
    pub(crate) attach_limits: Vec<(Str, i64)>,
    /// Places among the cluster's pods.
    pub(crate) pods: Vec<usize>,
}

impl StateNode<'_> {
    pub(crate) fn pool(&self) -> Option<&str> {
        self.labels.get(NODE_POOL)
    }
}

/// Nodes and NodeClaims joined by provider id, by name.
pub(crate) fn state_nodes<'a>(scenario: &'a Scenario, rules: &LabelRules) -> Vec<StateNode<'a>> {
    let mut joined: BTreeMap<Str, (Option<&Node>, Option<&NodeClaim>)> = BTreeMap::new();
    let mut claims: Vec<&NodeClaim> = scenario.objects.node_claims.iter().map(|claim| &**claim).collect();
    claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for claim in claims {
        let is_ours = karpsim::label_rules::is_known_node_class(
            &scenario.catalogue.provider,
            &claim.spec.node_class_ref,
        );
        if is_ours && !claim.status.provider_id.is_empty() {
            joined.entry(claim.status.provider_id.clone()).or_default().1 = Some(claim);
        }
    }
    let mut nodes: Vec<&Node> = scenario.objects.nodes.iter().map(|node| &**node).collect();
    nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for node in nodes {
        let has = |key: &str| node.metadata.labels.get(key).is_some_and(|value| !value.is_empty());
        let id = &node.spec.provider_id;
        // Of a node of a NodePool Karpenter waits to hear what it is.
        let is_unknown = id.is_empty() || (!has(labels::INSTANCE_TYPE) && !has(INITIALIZED));
        if has(NODE_POOL) && is_unknown {
            continue;
        }
        let id = if id.is_empty() { node.metadata.name.clone() } else { id.clone() };
        joined.entry(id).or_default().0 = Some(node);
    }
    let mut state: Vec<StateNode<'a>> =
        joined.into_values().map(|(node, claim)| state_node(scenario, rules, node, claim)).collect();
    state.sort_by(|a, b| a.name.cmp(&b.name));
    state
}

fn state_node<'a>(
    scenario: &'a Scenario,
    rules: &LabelRules,
    node: Option<&'a Node>,
    claim: Option<&'a NodeClaim>,
) -> StateNode<'a> {
    let is_true = |label: &str| node.is_some_and(|node| node.metadata.labels.get(label) == Some("true"));
    let registered = claim.is_none() || is_true(REGISTERED);
    let initialized = claim.is_none() || is_true(INITIALIZED);
    // Until a node is registered its NodeClaim speaks for it.
    let (name, labels, taints) = match (node, claim) {
        (Some(node), _) if registered => (&node.metadata.name, &node.metadata.labels, &node.spec.taints),
        (_, Some(claim)) => (&claim.metadata.name, &claim.metadata.labels, &claim.spec.taints),
        _ => panic!("joined from a node or a claim"),
    };
    let mut taints = taints.clone();
    if let Some(claim) = claim.filter(|_| !initialized) {
        taints.retain(|taint| {
            !is_ephemeral(taint) && !claim.spec.startup_taints.iter().any(|it| same_taint(it, taint))
        });
    }
    let deleting = match (node, claim) {
        (_, Some(claim)) => {
            claim.metadata.deletion_timestamp.is_some()
                || condition_is_true(&claim.status.conditions, "InstanceTerminating")
        }
        (Some(node), None) => node.metadata.deletion_timestamp.is_some(),
        (None, None) => false,
    };
    let amounts = |of_node: Option<&ResourceList>, of_claim: Option<&ResourceList>| {
        let mut amounts = of_node.map(raw).unwrap_or_default();
        if !initialized {
            for (name, quantity) in of_claim.map(raw).unwrap_or_default() {
                let amount = amounts.entry(name).or_default();
                if amount.is_zero() {
                    *amount = quantity;
                }
            }
        }
        amounts
    };
    let mut capacity =
        amounts(node.map(|node| &node.status.capacity), claim.map(|claim| &claim.status.capacity));
    capacity.insert("nodes".into(), Quantity::from_units(1));
    let hostname: Str = match labels.get(HOSTNAME) {
        Some(hostname) if !hostname.is_empty() => hostname.into(),
        _ => name.clone(),
    };
    let mut requirements = Requirements::of_labels(rules, labels);
    if labels.get(HOSTNAME).is_none() {
        requirements.add(HOSTNAME, Label::one_of([hostname.clone()]));
    }
    StateNode {
        name: name.clone(),
        node,
        claim,
        labels,
        requirements,
        taints,
        initialized,
        marked: deleting || scenario.memory.marked_for_deletion.contains(name),
        young: is_young(scenario, labels, claim),
        capacity,
        remaining: amounts(
            node.map(|node| &node.status.allocatable),
            claim.map(|claim| &claim.status.allocatable),
        ),
        ports: Vec::new(),
        attached: BTreeSet::new(),
        attach_limits: Vec::new(),
        pods: Vec::new(),
    }
}

/// Whether less than `consolidateAfter` has passed since the last pod event, or else since the node was initialised.
fn is_young(scenario: &Scenario, labels: &Labels, claim: Option<&NodeClaim>) -> bool {
    let pools = dynamic_pools(&scenario.objects, &scenario.catalogue.provider);
    let pool = pools.into_iter().find(|pool| labels.get(NODE_POOL) == Some(&pool.metadata.name));
    let (Some(pool), Some(claim)) = (pool, claim) else { return false };
    let Some(wait) = pool.spec.disruption.consolidate_after.and_then(|after| after.0) else { return false };
    let Some(initialized) = condition(&claim.status.conditions, "Initialized") else { return false };
    if wait.nanos == 0 || initialized.status != "True" {
        return false;
    }
    let since = claim.status.last_pod_event_time.or(initialized.last_transition_time).unwrap_or_default();
    scenario.now.0.as_nanosecond() - since.0.as_nanosecond() < i128::from(wait.nanos)
}

/// What pods and daemons leave of the nodes.
pub(crate) fn fill_nodes(
    scenario: &Scenario,
    nodes: &mut [StateNode<'_>],
    pods: &[PodOf<'_>],
    daemons: &[Daemon],
) {
    for node in nodes {
        let Some(name) = node.node.map(|node| &node.metadata.name) else {
            subtract_daemons(node, daemons, &RawAmounts::new());
            continue;
        };
        node.pods = (0..pods.len()).filter(|&at| pods[at].pod.spec.node_name == *name).collect();
        let mut of_daemons = RawAmounts::new();
        for it in node.pods.iter().map(|&at| &pods[at]).filter(|it| !is_terminal(it.pod)) {
            for (resource, quantity) in &it.wishes.requests {
                if let Some(left) = node.remaining.get_mut(resource) {
                    *left = *left - *quantity;
                }
            }
            if is_owned_by(it.pod, "apps/v1", "DaemonSet") {
                add(&mut of_daemons, &it.wishes.requests);
            }
            node.ports.push(it.wishes.ports.clone());
            node.attached.extend(it.wishes.volumes.attached.iter().cloned());
        }
        subtract_daemons(node, daemons, &of_daemons);
        let csi = scenario.objects.csi_nodes.iter().rfind(|csi| csi.metadata.name == *name);
        for driver in csi.into_iter().flat_map(|csi| &csi.spec.drivers) {
            if let Some(limit) = &driver.allocatable {
                node.attach_limits.push((driver.name.clone(), limit.count.unwrap_or(0)));
            }
        }
    }
}

/// Keeps room for the daemons that belong on the node, less what daemons there have.
fn subtract_daemons(node: &mut StateNode<'_>, daemons: &[Daemon], present: &RawAmounts) {
    let mut belonging = RawAmounts::new();
    for daemon in daemons {
        let fits = node.requirements_before_hostname().meets(&daemon.asked(), |_| false);
        if fits && tolerates_all(&daemon.tolerations, &node.taints) {
            add(&mut belonging, &daemon.requests);
        }
    }
    for (resource, quantity) in belonging {
        let there = present.get(&resource).copied().unwrap_or_default();
        if let Some(left) = node.remaining.get_mut(&resource) {
            *left = *left - (quantity - there).max(Quantity::ZERO);
        }
    }
}

impl StateNode<'_> {
    /// Daemons are asked before Karpenter adds a hostname by itself.
    fn requirements_before_hostname(&self) -> Requirements {
        let mut requirements = self.requirements.clone();
        if self.labels.get(HOSTNAME).is_none() {
            requirements.0.remove(HOSTNAME);
        }
        requirements
    }
}
