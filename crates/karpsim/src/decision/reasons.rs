//! Facts that explanations are made of, with names in place of ids.

use crate::model::core::Taint;
use crate::model::meta::Str;
use crate::quantity::Quantity;
use serde::Serialize;
use std::sync::Arc;

/// Lists of more names than this are cut short.
pub(crate) const NAMES_MAX: usize = 5;

/// Why a round found no place for a pod. [`Display`](std::fmt::Display) tells it in a sentence, which is how it is
/// written in a decision's `podErrors`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PodError {
    /// No NodePool can launch nodes: there is none that is ready and dynamic.
    NoNodePools,
    /// There are reserved offerings for it, but other NodeClaims hold them: it waits for the next round.
    ReservedCapacity,
    /// It claims devices, which Karpenter does not provide.
    DynamicResources,
    /// The NodeClaim that it was placed on does not meet `minValues` with the instance types that it may list.
    MinValues,
    /// Of an answer that is not Karpenter's: it leaves the pod without a place.
    NotInAnswer,
    /// Every NodePool was tried and refused it; pods of a class share what was found.
    Refused(Arc<[NodePoolExplanation]>),
}

impl Serialize for PodError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A rule that kept a pod from a node, or instance types from a NodeClaim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Rule {
    /// A requirement or label of the NodePool.
    NodePoolRequirement {
        /// Label.
        key: Str,
        /// What it may be.
        wanted: String,
    },
    /// No offering of the type is available that the NodePool allows.
    NodePoolOfferings,
    /// Overhead is larger than capacity.
    NegativeAllocatable,
    /// The NodePool's `minValues` are not met by its types: nothing is launched from it.
    NodePoolMinValues {
        /// Label.
        key: Str,
        /// How many values it must have.
        wanted: u32,
        /// How many there are.
        found: u32,
    },
    /// The NodePool's limit of nodes is used up.
    NodesLimit {
        /// How many are left.
        left: i64,
    },
    /// A node would exceed a limit of the NodePool.
    Limit {
        /// Resource.
        resource: Str,
        /// What is left.
        left: Quantity,
        /// What the smallest type that exceeds it has.
        least: Quantity,
    },
    /// What was left of the NodePool's limits when the node was opened, or pods that came first.
    Earlier,
    /// The pod does not tolerate these taints.
    Taints {
        /// As `key=value:effect`.
        taints: Vec<String>,
    },
    /// What the pod asks of a label is not what the NodePool, or the node, has.
    Label {
        /// Label.
        key: Str,
        /// What the pod asks for.
        wanted: String,
        /// What there is; absent: the label is not defined.
        #[serde(skip_serializing_if = "Option::is_none")]
        found: Option<String>,
    },
    /// The pod's volumes cannot be reached from there.
    Volumes,
    /// The pod's volumes cannot be looked up, so nodes of the cluster are not tried.
    UnresolvedVolumes,
    /// The node would have to attach more volumes than it can.
    VolumeLimit {
        /// CSI driver.
        driver: Str,
        /// How many it can attach.
        limit: i64,
    },
    /// A topology constraint.
    Topology(TopologyFact),
    /// A requirement that follows from the pod (and the topology), against the types' own labels.
    Requirement {
        /// Label.
        key: Str,
        /// What it may be.
        wanted: String,
    },
    /// No available offering of the type meets all requirements.
    Offerings,
    /// A pod with the same host port is there, or a daemon will be.
    HostPorts,
    /// Too little of a resource.
    Resource {
        /// Resource.
        resource: Str,
        /// What the pod asks for (of a node that gets several: all its pods).
        requested: Quantity,
        /// What daemons reserve beside it.
        daemons: Quantity,
        /// The most that there is.
        most: Quantity,
    },
    /// The types that are left do not meet `minValues`.
    MinValues {
        /// Label.
        key: Str,
        /// How many values are wanted.
        wanted: u32,
        /// How many there are.
        found: u32,
    },
    /// Reserved offerings would do, but other nodes of the round hold them: the pod waits.
    Reserved,
    /// None of the instance types that the node can still be takes the pod.
    NoInstanceType,
    /// The node is under its NodePool's `consolidateAfter`: consolidation does not count on it.
    Young,
    /// The node takes it, but is not initialised: disruption does not count on it.
    Uninitialized,
    /// It would do, if not for a preference of the pod that another place met.
    Preference,
}

/// What a topology constraint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TopologyKind {
    /// `topologySpreadConstraints`.
    Spread,
    /// `podAffinity`.
    Affinity,
    /// `podAntiAffinity`.
    AntiAffinity,
    /// `podAntiAffinity` of other pods against this one.
    AntiAffinityOfOthers,
}

/// A topology constraint with its counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopologyFact {
    /// What it is for.
    pub kind: TopologyKind,
    /// The label whose values are the domains.
    pub key: Str,
    /// `maxSkew` of a spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_skew: Option<i32>,
    /// `minDomains` of a spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_domains: Option<i32>,
    /// Pods by domain, by name. Empty for hostnames, where every node is one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<Domain>,
    /// The domains that the pod may go to here.
    pub allowed: Vec<Str>,
}

/// A domain of a topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// Value of the label.
    pub name: Str,
    /// Pods that count.
    pub pods: i32,
}

/// How many instance types a rule removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// Instance types that it removed.
    pub removed: usize,
    /// Instance types that were left after it.
    pub left: usize,
}

/// The instance type that fails by least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NearestMiss {
    /// Instance type; absent: the rules do not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<Str>,
    /// All that stands in its way. Without these the pod would have a node of it.
    pub misses: Vec<Rule>,
}

/// Why a NodePool cannot launch a node for a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolExplanation {
    /// NodePool.
    pub node_pool: Str,
    /// Karpenter's word: `NoCompatibleInstanceTypes`.
    pub reason: &'static str,
    /// Instance types that it is offered.
    pub instance_types: usize,
    /// Rule by rule, in the order in which they are asked.
    pub steps: Vec<Step>,
    /// What comes nearest; absent: the NodePool has no instance types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<NearestMiss>,
}

/// Nodes that refuse a pod for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The reason, as it is for the example.
    #[serde(flatten)]
    pub rule: Rule,
    /// How many nodes.
    pub nodes: usize,
    /// One of them: that which is nearest, or the first.
    pub example: Str,
}

/// What a pod gave up before it was left over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenUp {
    /// OR-ed node selector terms; the last one is explained.
    pub node_selector_terms: usize,
    /// Preferences for nodes and pods.
    pub preferences: usize,
    /// Spread constraints with `ScheduleAnyway`.
    pub spreads: usize,
}

/// Why nothing can take a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusals {
    /// What it gave up first.
    pub given_up: GivenUp,
    /// NodePools in the order in which they are tried.
    pub node_pools: Vec<NodePoolExplanation>,
    /// Nodes of the cluster.
    pub nodes: Vec<Refused>,
    /// Nodes that the round launches for other pods.
    pub new_nodes: Vec<Refused>,
}

/// How far a limit that is used up is from being met; a share of it would mean little.
pub(crate) const LIMIT_DISTANCE: f64 = 1.2;

impl Rule {
    /// What makes two rules the same reason: their kind, and the label or resource.
    pub fn subject(&self) -> (&'static str, &str) {
        match self {
            Rule::NodePoolRequirement { key, .. } => ("nodePoolRequirement", key),
            Rule::NodePoolOfferings => ("nodePoolOfferings", ""),
            Rule::NegativeAllocatable => ("negativeAllocatable", ""),
            Rule::NodePoolMinValues { key, .. } => ("nodePoolMinValues", key),
            Rule::NodesLimit { .. } => ("nodesLimit", ""),
            Rule::Limit { resource, .. } => ("limit", resource),
            Rule::Earlier => ("earlier", ""),
            Rule::Taints { taints } => ("taints", taints.first().map_or("", String::as_str)),
            Rule::Label { key, .. } => ("label", key),
            Rule::Volumes => ("volumes", ""),
            Rule::UnresolvedVolumes => ("unresolvedVolumes", ""),
            Rule::VolumeLimit { driver, .. } => ("volumeLimit", driver),
            Rule::Topology(fact) => (
                match fact.kind {
                    TopologyKind::Spread => "spread",
                    TopologyKind::Affinity => "affinity",
                    TopologyKind::AntiAffinity => "antiAffinity",
                    TopologyKind::AntiAffinityOfOthers => "antiAffinityOfOthers",
                },
                &fact.key,
            ),
            Rule::Requirement { key, .. } => ("requirement", key),
            Rule::Offerings => ("offerings", ""),
            Rule::HostPorts => ("hostPorts", ""),
            Rule::Resource { resource, .. } => ("resource", resource),
            Rule::MinValues { key, .. } => ("minValues", key),
            Rule::Reserved => ("reserved", ""),
            Rule::NoInstanceType => ("noInstanceType", ""),
            Rule::Young => ("young", ""),
            Rule::Uninitialized => ("uninitialized", ""),
            Rule::Preference => ("preference", ""),
        }
    }

    /// How far from met it is: 1 and more for what is of another kind, the share that is lacking for amounts.
    pub(crate) fn distance(&self) -> f64 {
        match self {
            Rule::Resource { requested, daemons, most, .. } => {
                let needed = (*requested + *daemons).as_f64();
                if needed > 0.0 { ((needed - most.as_f64()) / needed).clamp(0.0, 1.0) } else { 0.0 }
            }
            Rule::Limit { .. } => LIMIT_DISTANCE,
            Rule::Offerings | Rule::HostPorts => 1.5,
            Rule::Requirement { .. } => 2.0,
            _ => 3.0,
        }
    }
}

/// Sorts refusals by reason: the most frequent first, each with its nearest node.
pub(crate) fn by_reason(all: Vec<(Str, Rule)>) -> Vec<Refused> {
    let mut refused: Vec<Refused> = Vec::new();
    for (node, rule) in all {
        match refused.iter_mut().find(|known| known.rule.subject() == rule.subject()) {
            None => refused.push(Refused { rule, nodes: 1, example: node }),
            Some(known) => {
                known.nodes += 1;
                if rule.distance() < known.rule.distance() {
                    known.rule = rule;
                    known.example = node;
                }
            }
        }
    }
    refused.sort_by_key(|refused| std::cmp::Reverse(refused.nodes));
    refused
}

/// `key=value:effect`.
pub(crate) fn taint_text(taint: &Taint) -> String {
    let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
    format!("{}{value}:{}", taint.key, taint.effect.map_or("", |effect| effect.as_str()))
}

/// `a, b and 3 other(s)`.
pub(crate) fn shortened<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    let text = shown.join(", ");
    if names.len() > NAMES_MAX { format!("{text} and {} other(s)", names.len() - NAMES_MAX) } else { text }
}
