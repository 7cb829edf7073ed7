//! What the autoscaler asks of a node alone: readiness, GPUs, taints.

use crate::options::Options;
use crate::pods::GPU_RESOURCES;
use crate::time::{Nanos, moment};
use karpsim::model::core::{Node, Taint, TaintEffect};
use karpsim::model::meta::{Condition, Str};
use karpsim::quantity::Quantity;
use std::sync::Arc;

/// Nodes are shared between the view and the snapshot.
pub(crate) type NodeRef = Arc<Node>;

/// The taint of a node that is being removed.
pub const TO_BE_DELETED_TAINT: &str = "ToBeDeletedByClusterAutoscaler";
/// The soft taint of a node that is unneeded.
pub const DELETION_CANDIDATE_TAINT: &str = "DeletionCandidateOfClusterAutoscaler";
/// The label by which AWS marks nodes with GPUs.
pub(crate) const GPU_LABEL: &str = "k8s.amazonaws.com/accelerator";
/// The label of the host's name.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";

const SCALE_DOWN_DISABLED: &str = "cluster-autoscaler.kubernetes.io/scale-down-disabled";

/// Taints that tell a state of the node, which a new one will not be in.
const CONDITION_TAINTS: [&str; 11] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/pid-pressure",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "node.cloudprovider.kubernetes.io/shutdown",
    "cloud.google.com/impending-node-termination",
    "NodeWithImpairedVolumes",
];
const STARTUP_TAINT_PREFIXES: [&str; 2] =
    ["ignore-taint.cluster-autoscaler.kubernetes.io/", "startup-taint.cluster-autoscaler.kubernetes.io/"];
const STATUS_TAINT_PREFIX: &str = "status-taint.cluster-autoscaler.kubernetes.io/";

/// Whether a node is ready, and since when it is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    pub(crate) since: Nanos,
}

/// Readiness by conditions and taints. A node that says nothing is not ready.
pub(crate) fn readiness(node: &Node) -> Readiness {
    let mut ready = true;
    let mut said = false;
    let mut since = i64::MIN;
    for condition in &node.status.conditions {
        let refuses = match condition.kind.as_str() {
            "Ready" => {
                said = true;
                matches!(condition.status.as_str(), "False" | "Unknown")
            }
            "DiskPressure" | "NetworkUnavailable" => condition.status == "True",
            _ => continue,
        };
        ready &= !refuses;
        since = since.max(moment(condition.last_transition_time));
    }
    ready &= !node.spec.taints.iter().any(|taint| {
        matches!(
            taint.key.as_str(),
            "node.kubernetes.io/not-ready"
                | "node.kubernetes.io/disk-pressure"
                | "node.kubernetes.io/network-unavailable"
        )
    });
    if said { Readiness { ready, since } } else { Readiness { ready: false, since: i64::MIN } }
}

/// Whether the cloud has put the machine to sleep.
pub(crate) fn is_suspended(node: &Node) -> bool {
    node.status
        .conditions
        .iter()
        .find(|condition| condition.kind == "Suspended")
        .is_some_and(|condition| condition.status == "True")
}

/// Whether pods can come to the node by its state.
pub(crate) fn is_ready_and_schedulable(node: &Node) -> bool {
    readiness(node).ready && !node.spec.unschedulable
}

/// Whether the node's owner wants to keep it.
pub(crate) fn is_scale_down_disabled(node: &Node) -> bool {
    node.metadata.annotations.get(SCALE_DOWN_DISABLED) == Some("true")
}

/// The first GPU resource of which the node has any.
pub(crate) fn allocatable_gpu(node: &Node) -> Option<(&'static str, Quantity)> {
    GPU_RESOURCES.iter().find_map(|resource| {
        let amount = node.status.allocatable.get(resource)?;
        (!amount.is_zero()).then_some((*resource, amount))
    })
}

/// The resource that a GPU node is judged by. `None`: no GPU node.
pub(crate) fn gpu_resource(node: &Node) -> Option<&'static str> {
    match allocatable_gpu(node) {
        Some((resource, _)) => Some(resource),
        None => node.metadata.labels.get(GPU_LABEL).map(|_| GPU_RESOURCES[0]),
    }
}

/// Whether the node has a taint with this key.
pub(crate) fn has_taint(node: &Node, key: &str) -> bool {
    node.spec.taints.iter().any(|taint| taint.key == key)
}

/// The taint of a node that is being removed since `now`.
pub(crate) fn to_be_deleted_taint(now: Nanos) -> Taint {
    Taint {
        key: TO_BE_DELETED_TAINT.into(),
        value: now.div_euclid(crate::time::SECOND).to_string().into(),
        effect: Some(TaintEffect::NoSchedule),
        ..Taint::default()
    }
}

/// Which taints are the autoscaler's business.
#[derive(Debug, Clone)]
pub(crate) struct TaintRules {
    startup: Vec<Str>,
    startup_prefixes: Vec<Str>,
    status: Vec<Str>,
}

impl TaintRules {
    pub(crate) fn new(options: &Options) -> Self {
        let mut startup_prefixes: Vec<Str> =
            STARTUP_TAINT_PREFIXES.iter().map(|&prefix| prefix.into()).collect();
        startup_prefixes.extend(options.startup_taint_prefixes.iter().cloned());
        TaintRules {
            startup: options.startup_taints.clone(),
            startup_prefixes,
            status: options.status_taints.clone(),
        }
    }

    fn is_startup(&self, key: &str) -> bool {
        self.startup.iter().any(|taint| taint == key)
            || self.startup_prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
    }

    /// Whether a new node will have the taint.
    pub(crate) fn lasts(&self, taint: &Taint) -> bool {
        let key = taint.key.as_str();
        !(key == TO_BE_DELETED_TAINT
            || key == DELETION_CANDIDATE_TAINT
            || CONDITION_TAINTS.contains(&key)
            || self.is_startup(key)
            || self.status.iter().any(|status| status == key)
            || key.starts_with(STATUS_TAINT_PREFIX))
    }

    /// The node as the autoscaler takes it: one that is ready but for its GPU, or for a startup taint, is not.
    pub(crate) fn as_taken(&self, node: &NodeRef) -> NodeRef {
        let lacks_gpu = node.metadata.labels.get(GPU_LABEL).is_some() && allocatable_gpu(node).is_none();
        let starts = node.spec.taints.iter().any(|taint| self.is_startup(&taint.key));
        if is_ready_and_schedulable(node) && (lacks_gpu || starts) {
            Arc::new(unready(node))
        } else {
            node.clone()
        }
    }
}

/// A copy that is not ready since it was created.
fn unready(node: &Node) -> Node {
    let mut copy = node.clone();
    copy.status.conditions.retain(|condition| condition.kind != "Ready");
    copy.status.conditions.insert(
        0,
        Condition {
            kind: "Ready".into(),
            status: "False".into(),
            last_transition_time: node.metadata.creation_timestamp,
            ..Condition::default()
        },
    );
    copy
}

#[cfg(test)]
mod tests {
    use super::{TaintRules, readiness};
    use crate::options::Options;
    use karpsim::model::core::Node;
    use std::sync::Arc;

    fn node(text: &str) -> Node {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn disk_pressure_and_taints_make_a_node_unready() {
        let ready = r#"{"type": "Ready", "status": "True"}"#;
        let of = |conditions: &str, taints: &str| {
            readiness(&node(&format!(
                r#"{{"spec": {{"taints": [{taints}]}}, "status": {{"conditions": [{conditions}]}}}}"#
            )))
            .ready
        };
        assert!(of(ready, ""));
        assert!(!of("", ""));
        assert!(of(&format!(r#"{ready}, {{"type": "MemoryPressure", "status": "True"}}"#), ""));
        assert!(!of(&format!(r#"{ready}, {{"type": "DiskPressure", "status": "True"}}"#), ""));
        assert!(!of(ready, r#"{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}"#));
    }

    #[test]
    fn a_node_without_its_gpu_or_with_a_startup_taint_is_not_ready_yet() {
        let rules = TaintRules::new(&Options::default());
        let taken = |text: &str| readiness(&rules.as_taken(&Arc::new(node(text)))).ready;
        let ready = r#""conditions": [{"type": "Ready", "status": "True"}]"#;
        let gpu = r#""metadata": {"labels": {"k8s.amazonaws.com/accelerator": "nvidia-t4"}}"#;
        assert!(!taken(&format!(r#"{{{gpu}, "status": {{{ready}, "allocatable": {{"cpu": "4"}}}}}}"#)));
        assert!(taken(&format!(
            r#"{{{gpu}, "status": {{{ready}, "allocatable": {{"nvidia.com/gpu": "1"}}}}}}"#
        )));
        let taint =
            |key: &str| format!(r#"{{"spec": {{"taints": [{{"key": "{key}"}}]}}, "status": {{{ready}}}}}"#);
        assert!(!taken(&taint("startup-taint.cluster-autoscaler.kubernetes.io/x")));
        assert!(taken(&taint("dedicated")));
    }
}
