//! Which pods wait for a node, and since when.

use crate::pods::{PodRef, requests_gpu};
use crate::time::{Nanos, SECOND, moment};
use karpsim::model::core::Pod;
use karpsim::model::meta::Duration;

const POD_SCALE_UP_DELAY: &str = "cluster-autoscaler.kubernetes.io/pod-scale-up-delay";

/// Where a pod is, as far as the autoscaler is concerned.
pub(crate) enum Whereabouts<'a> {
    /// Bound.
    On(&'a str),
    /// Room is being made there.
    NominatedTo(&'a str),
    /// The scheduler has found no place.
    Unschedulable,
    /// It is being deleted, or the scheduler has not tried it yet.
    Elsewhere,
}

pub(crate) fn whereabouts(pod: &Pod) -> Whereabouts<'_> {
    if !pod.spec.node_name.is_empty() {
        return Whereabouts::On(&pod.spec.node_name);
    }
    if pod.metadata.deletion_timestamp.is_some() {
        return Whereabouts::Elsewhere;
    }
    if !pod.status.nominated_node_name.is_empty() {
        return Whereabouts::NominatedTo(&pod.status.nominated_node_name);
    }
    let is_unschedulable = pod
        .status
        .conditions
        .iter()
        .find(|condition| condition.kind == "PodScheduled")
        .is_some_and(|condition| condition.status == "False" && condition.reason == "Unschedulable");
    if is_unschedulable { Whereabouts::Unschedulable } else { Whereabouts::Elsewhere }
}

/// Whether a pod is older than the delay, or than its own if that is longer.
pub(crate) fn is_old_enough(pod: &Pod, delay: Duration, now: Nanos) -> bool {
    let own = pod.metadata.annotations.get(POD_SCALE_UP_DELAY).and_then(Duration::parse);
    let delay = own.filter(|own| *own >= delay).unwrap_or(delay);
    now.saturating_sub(moment(pod.metadata.creation_timestamp)) > delay.nanos
}

/// Whether the pods are so new that there may be more on their way; for GPUs it is worth waiting longer.
pub(crate) fn are_all_new(pods: &[PodRef], now: Nanos) -> bool {
    const WAIT: Nanos = 2 * SECOND;
    const GPU_WAIT: Nanos = 30 * SECOND;
    let oldest = |pods: &mut dyn Iterator<Item = &PodRef>| {
        pods.map(|pod| moment(pod.metadata.creation_timestamp)).min()
    };
    let is_new = |oldest: Option<Nanos>, wait| oldest.is_some_and(|oldest| oldest.saturating_add(wait) > now);
    is_new(oldest(&mut pods.iter()), WAIT)
        || is_new(oldest(&mut pods.iter().filter(|pod| requests_gpu(pod))), GPU_WAIT)
}

#[cfg(test)]
mod tests {
    use super::{are_all_new, is_old_enough};
    use crate::pods::PodRef;
    use crate::time::{SECOND, moment};
    use karpsim::model::meta::Duration;
    use std::sync::Arc;

    fn pod(second: u8, resource: &str, delay: &str) -> PodRef {
        Arc::new(
            serde_json::from_str(&format!(
                r#"{{"metadata": {{"creationTimestamp": "2000-01-01T00:00:{second:02}Z",
                    "annotations": {{"cluster-autoscaler.kubernetes.io/pod-scale-up-delay": "{delay}"}}}},
                    "spec": {{"containers": [{{"resources": {{"requests": {{"{resource}": "1"}}}}}}]}}}}"#
            ))
            .unwrap(),
        )
    }

    #[test]
    fn the_oldest_pod_must_be_two_seconds_old_and_the_oldest_with_a_gpu_thirty() {
        let at = |second: i64| {
            moment(Some(serde_json::from_str("\"2000-01-01T00:00:00Z\"").unwrap())) + second * SECOND
        };
        let plain = [pod(0, "cpu", "0s"), pod(10, "cpu", "0s")];
        assert!(are_all_new(&plain, at(2) - 1));
        assert!(!are_all_new(&plain, at(2)));
        let gpu = [pod(0, "cpu", "0s"), pod(10, "nvidia.com/gpu", "0s")];
        assert!(are_all_new(&gpu, at(40) - 1));
        assert!(!are_all_new(&gpu, at(40)));
    }

    #[test]
    fn a_pod_must_be_older_than_the_longer_of_the_delays() {
        let at = |second: i64| {
            moment(Some(serde_json::from_str("\"2000-01-01T00:00:00Z\"").unwrap())) + second * SECOND
        };
        let of_all = Duration::from_secs(30);
        for (own, second, expected) in
            [("1m", 60, false), ("1m", 61, true), ("5s", 30, false), ("5s", 31, true)]
        {
            assert_eq!(is_old_enough(&pod(0, "cpu", own), of_all, at(second)), expected, "{own} {second}");
        }
    }
}
