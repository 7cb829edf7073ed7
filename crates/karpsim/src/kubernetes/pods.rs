//! What the state of a pod means: whether it has ended, waits, moves, may be disrupted, and what its eviction costs.

use super::labels::{DISRUPTION_COST, DO_NOT_DISRUPT, POD_DELETION_COST};
use crate::model::core::Pod;
use crate::model::meta::{Duration, OwnerReference, Str, Time};

/// `namespace/name`.
pub fn pod_key(pod: &Pod) -> Str {
    let mut key = Str::with_capacity(pod.metadata.namespace.len() + 1 + pod.metadata.name.len());
    key.push_str(&pod.metadata.namespace);
    key.push('/');
    key.push_str(&pod.metadata.name);
    key
}

/// Whether the pod has ended.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_str(), "Failed" | "Succeeded")
}

/// Whether the pod is being deleted.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether the pod has neither ended nor is being deleted.
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_terminating(pod)
}

/// Whether an object of this kind owns the pod.
pub fn is_owned_by(pod: &Pod, api_version: &str, kind: &str) -> bool {
    pod.metadata.owner_references.iter().any(|owner| owner.api_version == api_version && owner.kind == kind)
}

/// Whether an object of this kind is the pod's controller.
pub fn is_controlled_by(pod: &Pod, api_version: &str, kind: &str) -> bool {
    controller_of(pod).is_some_and(|owner| owner.api_version == api_version && owner.kind == kind)
}

/// The object that makes the pod anew when it is gone.
pub fn controller_of(pod: &Pod) -> Option<&OwnerReference> {
    pod.metadata.owner_references.iter().find(|owner| owner.controller)
}

/// Whether a DaemonSet owns the pod.
pub fn is_owned_by_daemon_set(pod: &Pod) -> bool {
    is_owned_by(pod, "apps/v1", "DaemonSet")
}

/// Whether the pod mirrors a static pod of its node's kubelet.
pub fn is_owned_by_node(pod: &Pod) -> bool {
    is_owned_by(pod, "v1", "Node")
}

/// Whether the pod will be made again elsewhere when its node goes: it is active (or a stateful set's that is ending),
/// and not bound to the node by a daemon set or the kubelet.
pub fn is_reschedulable(pod: &Pod) -> bool {
    let ending = is_owned_by(pod, "apps/v1", "StatefulSet") && is_terminating(pod);
    (is_active(pod) || ending) && !is_owned_by_daemon_set(pod) && !is_owned_by_node(pod)
}

/// Whether `karpenter.sh/do-not-disrupt` holds the pod now: `true`, or a duration that it has not run yet.
pub fn is_held_by_annotation(pod: &Pod, now: Time) -> bool {
    let Some(value) = pod.metadata.annotations.get(DO_NOT_DISRUPT) else { return false };
    if value == "true" {
        return true;
    }
    let Some(hold) = Duration::parse(value).filter(|hold| hold.nanos > 0) else { return false };
    pod.status
        .start_time
        .is_none_or(|start| now.0.as_nanosecond() - start.0.as_nanosecond() < i128::from(hold.nanos))
}

/// Whether the pod may be disrupted as far as the annotation goes; pods that are not active always may.
pub fn is_disruptable(pod: &Pod, now: Time) -> bool {
    !is_active(pod) || !is_held_by_annotation(pod, now)
}

/// Whether Karpenter looks for a node for `pod`: kube-scheduler has found none.
pub fn is_provisionable(pod: &Pod) -> bool {
    let failed = pod
        .status
        .conditions
        .iter()
        .any(|condition| condition.kind == "PodScheduled" && condition.reason == "Unschedulable");
    failed
        && pod.spec.node_name.is_empty()
        && pod.status.nominated_node_name.is_empty()
        && !is_owned_by_daemon_set(pod)
        && !is_owned_by_node(pod)
}

/// Which annotations say what it costs to evict a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostSource {
    /// The deletion cost, read as a double.
    DeletionCost,
    /// The disruption cost, and only without it the deletion cost; both are whole numbers.
    DisruptionCostFirst,
    /// The disruption cost: Karpenter itself writes deletion costs.
    DisruptionCostOnly,
}

/// What the annotations add to a pod's eviction cost, in 2^-27. What cannot be read counts 0.
fn annotated_cost(pod: &Pod, source: CostSource) -> Option<f64> {
    let annotations = &pod.metadata.annotations;
    let deletion_cost = annotations.get(POD_DELETION_COST);
    if source == CostSource::DeletionCost {
        return parse_go_float(deletion_cost?);
    }
    let cost = annotations
        .get(DISRUPTION_COST)
        .or_else(|| deletion_cost.filter(|_| source == CostSource::DisruptionCostFirst))?;
    cost.parse::<i32>().ok().map(f64::from)
}

/// What it costs to evict the pod: 1, more or less by what its annotations say and by its priority, between −10 and 10.
/// Doubles, in Karpenter's order of operations.
pub fn eviction_cost(pod: &Pod, source: CostSource) -> f64 {
    let mut cost = 1.0;
    if let Some(annotated) = annotated_cost(pod, source) {
        cost += annotated / 134_217_728.0;
    }
    if let Some(priority) = pod.spec.priority {
        cost += priority as f64 / 33_554_432.0;
    }
    cost.clamp(-10.0, 10.0)
}

/// What Go's `strconv.ParseFloat` reads, but for hexadecimal.
fn parse_go_float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| {
        let is_signed = text.starts_with(['+', '-']);
        value.is_finite()
            || (value.is_nan() && !is_signed)
            || (value.is_infinite() && text.to_ascii_lowercase().contains("inf"))
    })
}
