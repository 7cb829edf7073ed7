//! What the autoscaler asks of a pod alone.

use crate::time::{Nanos, SECOND, moment};
use karpsim::kubernetes::requests::pod_requests;
use karpsim::kubernetes::selectors;
use karpsim::model::core::{Pod, PodSpec, Volume};
use karpsim::model::meta::{LabelSelector, OwnerReference, Str};
use karpsim::quantity::Quantity;
use std::sync::Arc;

/// Pods are shared between the view, the snapshot and what is found.
pub(crate) type PodRef = Arc<Pod>;

const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";
const CONFIG_SOURCE: &str = "kubernetes.io/config.source";
const DAEMON_SET_POD: &str = "cluster-autoscaler.kubernetes.io/daemonset-pod";

/// Resources of GPUs, in the order in which they are looked for.
pub(crate) const GPU_RESOURCES: [&str; 5] =
    ["nvidia.com/gpu", "habana.ai/gaudi", "gpu.intel.com/xe", "amd.com/gpu", "microsoft.com/directx"];

/// `namespace/name`.
pub(crate) fn key(pod: &Pod) -> Str {
    karpsim_key(&pod.metadata.namespace, &pod.metadata.name)
}

fn karpsim_key(namespace: &str, name: &str) -> Str {
    let mut key = Str::with_capacity(namespace.len() + 1 + name.len());
    key.push_str(namespace);
    key.push('/');
    key.push_str(name);
    key
}

/// What a pod is remembered by between runs.
pub(crate) fn identity(pod: &Pod) -> Str {
    if pod.metadata.uid.is_empty() { key(pod) } else { pod.metadata.uid.clone() }
}

/// The owner that manages the pod.
pub(crate) fn controller(pod: &Pod) -> Option<&OwnerReference> {
    pod.metadata.owner_references.iter().find(|owner| owner.controller)
}

/// Whether a DaemonSet made the pod, or it says that it is to be taken so.
pub(crate) fn is_daemon(pod: &Pod) -> bool {
    controller(pod).is_some_and(|owner| owner.kind == "DaemonSet")
        || pod.metadata.annotations.get(DAEMON_SET_POD) == Some("true")
}

/// Whether the kubelet runs the pod by itself, and this is only its image.
pub(crate) fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.get(CONFIG_MIRROR).is_some()
}

/// Whether the pod comes back when it is evicted.
pub(crate) fn is_recreatable(pod: &Pod) -> bool {
    let is_static = pod.metadata.annotations.get(CONFIG_SOURCE).is_some_and(|source| source != "api");
    !is_static && !is_mirror(pod) && !is_daemon(pod)
}

/// Priority; 0 if none is set.
pub(crate) fn priority(pod: &Pod) -> i64 {
    pod.spec.priority.unwrap_or(0)
}

/// Whether the pod is as good as not there.
pub(crate) fn is_expendable(pod: &Pod, cutoff: i64) -> bool {
    pod.spec.priority.is_some_and(|priority| priority < cutoff)
}

/// Whether the pod has run its course.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_str(), "Succeeded" | "Failed")
}

/// Whether the pod should have been gone for half a minute.
pub(crate) fn is_long_terminating(pod: &Pod, now: Nanos) -> bool {
    const EXTRA: Nanos = 30 * SECOND;
    const DEFAULT_GRACE_SECONDS: i64 = 30;
    pod.metadata.deletion_timestamp.is_some_and(|deleted| {
        let grace = pod.spec.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
        moment(Some(deleted)).saturating_add(grace.saturating_mul(SECOND)).saturating_add(EXTRA) < now
    })
}

/// What the pod asks of `resource`.
pub(crate) fn requested(pod: &Pod, resource: &str) -> Quantity {
    pod_requests(pod).get(resource).copied().unwrap_or_default()
}

/// Whether the pod asks for a GPU.
pub(crate) fn requests_gpu(pod: &Pod) -> bool {
    let requests = pod_requests(pod);
    GPU_RESOURCES.iter().any(|resource| requests.contains_key(*resource))
}

/// Thousandths, rounded up.
pub(crate) fn milli(quantity: Quantity) -> i64 {
    const NANOS_A_MILLI: i128 = 1_000_000;
    let nanos = quantity.nanos();
    i64::try_from(nanos.div_euclid(NANOS_A_MILLI) + i128::from(nanos.rem_euclid(NANOS_A_MILLI) != 0))
        .unwrap_or(i64::MAX)
}

/// Whether a selector selects these labels. No selector selects nothing.
pub(crate) fn selects(selector: Option<&LabelSelector>, labels: &karpsim::model::meta::Labels) -> bool {
    selector.is_some_and(|selector| selectors::matches(selector, labels))
}

/// Whether two pods are equal to the scheduler: labels and specs. Projected volumes, whose names are made up for every
/// pod, are left out; what karpsim does not read of a spec (images, commands, variables) takes no part.
pub(crate) fn are_alike(a: &Pod, b: &Pod) -> bool {
    a.metadata.labels == b.metadata.labels && are_equal_specs(&a.spec, &b.spec)
}

fn are_equal_specs(a: &PodSpec, b: &PodSpec) -> bool {
    fn volumes(spec: &PodSpec) -> impl Iterator<Item = &Volume> {
        spec.volumes.iter().filter(|volume| volume.projected.is_none())
    }
    if !volumes(a).eq(volumes(b)) {
        return false;
    }
    if a.volumes.is_empty() && b.volumes.is_empty() {
        return a == b;
    }
    let without_volumes = |spec: &PodSpec| PodSpec { volumes: Vec::new(), ..spec.clone() };
    without_volumes(a) == without_volumes(b)
}

#[cfg(test)]
mod tests {
    use super::{are_alike, milli};
    use karpsim::model::core::Pod;
    use karpsim::quantity::Quantity;

    fn pod(text: &str) -> Pod {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn projected_volumes_do_not_tell_pods_apart() {
        let with = |projected: &str, claim: &str| {
            pod(&format!(
                r#"{{"spec": {{"containers": [], "volumes": [{{"name": "{projected}", "projected": {{"sources": []}}}},
                    {{"name": "d", "persistentVolumeClaim": {{"claimName": "{claim}"}}}}]}}}}"#
            ))
        };
        assert!(are_alike(&with("kube-api-access-abcde", "one"), &with("kube-api-access-fghij", "one")));
        assert!(!are_alike(&with("kube-api-access-abcde", "one"), &with("kube-api-access-abcde", "two")));
    }

    #[test]
    fn thousandths_are_rounded_up() {
        for (text, expected) in [("1500m", 1500), ("2", 2000), ("100u", 1), ("0", 0), ("-100u", 0)] {
            assert_eq!(milli(Quantity::parse(text).unwrap()), expected, "{text}");
        }
    }
}
