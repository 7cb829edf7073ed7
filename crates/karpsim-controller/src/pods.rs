//! What Karpenter asks of a pod.

use crate::time::{Calendar, Nanos, SECOND};
use karpsim::api::core::{Pod, Taint, TaintEffect, Toleration, TolerationOperator};
use karpsim::api::meta::{Duration, Str};

/// The taint of nodes that are to go.
pub(crate) const DISRUPTED: &str = "karpenter.sh/disrupted";
const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";

/// `namespace/name`.
pub fn pod_key(pod: &Pod) -> Str {
    let mut key = Str::with_capacity(pod.metadata.namespace.len() + 1 + pod.metadata.name.len());
    key.push_str(&pod.metadata.namespace);
    key.push('/');
    key.push_str(&pod.metadata.name);
    key
}

/// Whether it has ended.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
}

/// Whether it is being deleted.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether it belongs to a DaemonSet.
pub fn is_owned_by_daemon_set(pod: &Pod) -> bool {
    is_owned_by(pod, "apps/v1", "DaemonSet")
}

pub(crate) fn is_owned_by_node(pod: &Pod) -> bool {
    is_owned_by(pod, "v1", "Node")
}

fn is_owned_by(pod: &Pod, api_version: &str, kind: &str) -> bool {
    pod.metadata.owner_references.iter().any(|owner| owner.api_version == api_version && owner.kind == kind)
}

/// Whether a node should be found for it.
pub(crate) fn is_provisionable(pod: &Pod) -> bool {
    let failed =
        pod.status.conditions.iter().any(|it| it.kind == "PodScheduled" && it.reason == "Unschedulable");
    failed
        && pod.spec.node_name.is_empty()
        && pod.status.nominated_node_name.is_empty()
        && !is_owned_by_daemon_set(pod)
        && !is_owned_by_node(pod)
}

/// Whether it needs another place when its node goes.
pub(crate) fn is_reschedulable(pod: &Pod) -> bool {
    let active = !is_terminal(pod) && !is_terminating(pod);
    let returns = is_terminating(pod) && is_owned_by(pod, "apps/v1", "StatefulSet");
    (active || returns) && !is_owned_by_daemon_set(pod) && !is_owned_by_node(pod)
}

/// Whether its annotation holds its node back at `now`.
pub(crate) fn do_not_disrupt(pod: &Pod, calendar: &Calendar, now: Nanos) -> bool {
    let Some(value) = pod.metadata.annotations.get(DO_NOT_DISRUPT) else { return false };
    if value == "true" {
        return true;
    }
    match Duration::parse(value) {
        Some(duration) if duration.nanos > 0 => {
            pod.status.start_time.is_none_or(|start| now - calendar.since_start(start) < duration.nanos)
        }
        _ => false,
    }
}

/// Whether a drain waits for it.
pub(crate) fn is_waiting_for_eviction(pod: &Pod, calendar: &Calendar, now: Nanos) -> bool {
    let stuck = pod
        .metadata
        .deletion_timestamp
        .is_some_and(|deleted| now - calendar.since_start(deleted) > 60 * SECOND);
    !is_terminal(pod) && !tolerates_disruption(pod) && !stuck && !is_owned_by_node(pod)
}

/// Whether a drain evicts it.
pub(crate) fn is_evictable(pod: &Pod, calendar: &Calendar, now: Nanos) -> bool {
    !is_terminal(pod)
        && !is_terminating(pod)
        && !tolerates_disruption(pod)
        && !is_owned_by_node(pod)
        && !do_not_disrupt(pod, calendar, now)
}

pub(crate) fn disrupted_taint() -> Taint {
    Taint { key: DISRUPTED.into(), effect: Some(TaintEffect::NoSchedule), ..Taint::default() }
}

fn tolerates_disruption(pod: &Pod) -> bool {
    tolerates(&pod.spec.tolerations, &disrupted_taint())
}

/// Whether one of `tolerations` puts up with `taint`.
pub fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        if toleration.effect.is_some() && toleration.effect != taint.effect {
            return false;
        }
        if !toleration.key.is_empty() && toleration.key != taint.key {
            return false;
        }
        let numbers = || Some((taint.value.parse::<i64>().ok()?, toleration.value.parse::<i64>().ok()?));
        match toleration.operator {
            None | Some(TolerationOperator::Equal) => {
                !toleration.key.is_empty() && toleration.value == taint.value
            }
            Some(TolerationOperator::Exists) => true,
            Some(TolerationOperator::Lt) => numbers().is_some_and(|(taint, bound)| taint < bound),
            Some(TolerationOperator::Gt) => numbers().is_some_and(|(taint, bound)| taint > bound),
        }
    })
}
