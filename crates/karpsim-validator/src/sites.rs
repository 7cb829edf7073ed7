//! The nodes that stand and their pods, and which pods are to be placed.

use karpsim::catalogue::Catalogue;
use karpsim::kubernetes::labels::{INITIALIZED, NODE_POOL, REGISTERED};
use karpsim::model::core::{Node, Pod, ResourceList, Taint, TaintEffect};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Labels, condition, condition_is_true};
use karpsim::scenario::Scenario;

use crate::resources::{Amounts, amounts};
use std::collections::BTreeMap;

/// `namespace/name`.
pub(crate) fn name_of(pod: &Pod) -> String {
    format!("{}/{}", pod.metadata.namespace, pod.metadata.name)
}

/// Whether `kind` owns the pod.
pub(crate) fn is_owned_by(pod: &Pod, kind: &str) -> bool {
    pod.metadata.owner_references.iter().any(|owner| owner.kind == kind)
}

/// Whether the pod has run its course.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    pod.status.phase == "Succeeded" || pod.status.phase == "Failed"
}

/// Whether the scheduler of Kubernetes has found no node for the pod, and Karpenter is to find one.
pub(crate) fn is_pending(pod: &Pod) -> bool {
    let unschedulable = condition(&pod.status.conditions, "PodScheduled")
        .is_some_and(|it| it.status == "False" && it.reason == "Unschedulable");
    unschedulable
        && pod.spec.node_name.is_empty()
        && pod.status.nominated_node_name.is_empty()
        && !is_owned_by(pod, "DaemonSet")
        && !is_owned_by(pod, "Node")
}

/// A node that stands, or that is on its way as a NodeClaim.
pub(crate) struct Site<'a> {
    /// Name: the node's, or the NodeClaim's while there is no registered node.
    pub(crate) name: &'a str,
    /// Labels.
    pub(crate) labels: &'a Labels,
    /// All taints of the node.
    pub(crate) all_taints: &'a [Taint],
    /// Taints that new pods must tolerate.
    pub(crate) taints: Vec<Taint>,
    /// What pods can have.
    pub(crate) allocatable: Amounts,
    /// All it has.
    pub(crate) capacity: Amounts,
    /// Whether it is going to be removed.
    pub(crate) leaves: bool,
    /// Its pods now, but for those that have ended.
    pub(crate) pods: Vec<&'a Pod>,
}

impl<'a> Site<'a> {
    /// The NodePool that it counts for.
    pub(crate) fn node_pool(&self) -> &'a str {
        self.labels.get(NODE_POOL).unwrap_or("")
    }
}

/// All that stands or is on its way. A node without a NodeClaim is not Karpenter's, but takes pods too.
pub(crate) fn sites(scenario: &Scenario) -> Vec<Site<'_>> {
    let objects = &scenario.objects;
    let mut joined: BTreeMap<&str, (Option<&Node>, Option<&NodeClaim>)> = BTreeMap::new();
    for claim in objects.node_claims.iter().filter(|claim| !claim.status.provider_id.is_empty()) {
        joined.entry(claim.status.provider_id.as_str()).or_default().1 = Some(claim);
    }
    for node in &objects.nodes {
        let id = if node.spec.provider_id.is_empty() { &node.metadata.name } else { &node.spec.provider_id };
        joined.entry(id.as_str()).or_default().0 = Some(node);
    }
    joined.into_values().filter_map(|(node, claim)| site(scenario, node, claim)).collect()
}

fn site<'a>(
    scenario: &'a Scenario,
    node: Option<&'a Node>,
    claim: Option<&'a NodeClaim>,
) -> Option<Site<'a>> {
    let says = |label: &str| node.is_some_and(|node| node.metadata.labels.get(label) == Some("true"));
    let is_ready = claim.is_none() || says(INITIALIZED);
    // Until the node is registered, what the NodeClaim says is all that is known.
    let of_node = node.filter(|_| claim.is_none() || says(REGISTERED));
    let (name, labels, taints) = match (of_node, claim) {
        (Some(node), _) => (node.metadata.name.as_str(), &node.metadata.labels, &node.spec.taints),
        (None, Some(claim)) => (claim.metadata.name.as_str(), &claim.metadata.labels, &claim.spec.taints),
        (None, None) => return None,
    };
    let startup = claim.map(|claim| claim.spec.startup_taints.as_slice()).unwrap_or_default();
    let passes =
        |taint: &Taint| !is_ready && (is_of_start(taint) || startup.iter().any(|it| same(it, taint)));
    let promised = |of_node: fn(&Node) -> &ResourceList, of_claim: fn(&NodeClaim) -> &ResourceList| {
        let mut all = node.map(|node| amounts(of_node(node))).unwrap_or_default();
        for (name, quantity) in claim.filter(|_| !is_ready).iter().flat_map(|claim| of_claim(claim).iter()) {
            let amount = all.entry(name.to_owned()).or_default();
            if amount.is_zero() {
                *amount = quantity;
            }
        }
        all
    };
    let leaves = match (claim, node) {
        (Some(claim), _) => {
            claim.metadata.deletion_timestamp.is_some()
                || condition_is_true(&claim.status.conditions, "InstanceTerminating")
        }
        (None, Some(node)) => node.metadata.deletion_timestamp.is_some(),
        (None, None) => false,
    } || scenario.memory.marked_for_deletion.iter().any(|marked| marked == name);
    let here =
        |pod: &&Pod| node.is_some_and(|node| pod.spec.node_name == node.metadata.name) && !is_terminal(pod);
    Some(Site {
        name,
        labels,
        all_taints: node.map_or(taints, |node| &node.spec.taints),
        taints: taints.iter().filter(|taint| !passes(taint)).cloned().collect(),
        allocatable: promised(|node| &node.status.allocatable, |claim| &claim.status.allocatable),
        capacity: promised(|node| &node.status.capacity, |claim| &claim.status.capacity),
        leaves,
        pods: scenario.objects.pods.iter().map(|pod| &**pod).filter(here).collect(),
    })
}

fn same(one: &Taint, other: &Taint) -> bool {
    one.key == other.key && one.effect == other.effect
}

/// Taints that a starting node has and loses.
fn is_of_start(taint: &Taint) -> bool {
    let effect = taint.effect;
    match taint.key.as_str() {
        "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable" => {
            effect == Some(TaintEffect::NoSchedule)
        }
        "karpenter.sh/unregistered" => effect == Some(TaintEffect::NoExecute),
        "node.cloudprovider.kubernetes.io/uninitialized" => effect == Some(TaintEffect::NoSchedule),
        _ => false,
    }
}

/// The instance type of that name.
pub(crate) fn instance_type<'a>(
    catalogue: &'a Catalogue,
    name: &str,
) -> Option<&'a karpsim::catalogue::InstanceType> {
    catalogue.instance_types.iter().find(|it| it.name == name).map(|it| &**it)
}
