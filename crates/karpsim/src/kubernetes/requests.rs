//! What pods request of a node.

use crate::model::core::{Container, Pod, ResourceList, ResourceRequirements};
use crate::model::meta::{Str, condition};
use crate::quantity::Quantity;
use std::collections::BTreeMap;

/// Amounts by the name of the resource.
pub type RawAmounts = BTreeMap<Str, Quantity>;

/// A list as raw amounts.
pub fn raw(list: &ResourceList) -> RawAmounts {
    list.iter().map(|(name, quantity)| (name.into(), quantity)).collect()
}

/// Adds `more` to `amounts`.
pub fn add(amounts: &mut RawAmounts, more: &RawAmounts) {
    for (name, quantity) in more {
        *amounts.entry(name.clone()).or_default() += *quantity;
    }
}

fn raise(amounts: &mut RawAmounts, to: &RawAmounts) {
    for (name, quantity) in to {
        let amount = amounts.entry(name.clone()).or_insert(*quantity);
        *amount = (*amount).max(*quantity);
    }
}

/// What a pod reserves on its node, one `pods` included: containers, sidecars, the largest init container beside the
/// sidecars before it, pod-level requests, overhead, and what the kubelet still holds during a resize.
/// Source: Kubernetes, "Resource Management for Pods and Containers"; KEP-753 and KEP-2837.
pub fn pod_requests(pod: &Pod) -> RawAmounts {
    let mut requests = RawAmounts::new();
    for container in &pod.spec.containers {
        add(&mut requests, &container_requests(pod, container, false));
    }
    let mut sidecars = RawAmounts::new();
    let mut init = RawAmounts::new();
    for container in &pod.spec.init_containers {
        let own = container_requests(pod, container, true);
        if container.restart_policy == "Always" {
            add(&mut requests, &own);
            add(&mut sidecars, &own);
            raise(&mut init, &sidecars);
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, &own);
            raise(&mut init, &beside);
        }
    }
    raise(&mut requests, &init);
    if let Some(ResourceRequirements { requests: of_pod, .. }) = pod.spec.resources.as_deref() {
        for (name, quantity) in of_pod.iter() {
            if matches!(name, "cpu" | "memory") || name.starts_with("hugepages-") {
                requests.insert(name.into(), quantity);
            }
        }
    }
    add(&mut requests, &raw(&pod.spec.overhead));
    requests.insert("pods".into(), Quantity::from_units(1));
    requests
}

fn container_requests(pod: &Pod, container: &Container, init: bool) -> RawAmounts {
    let mut requests = raw(&container.resources.requests);
    let statuses = if init { &pod.status.init_container_statuses } else { &pod.status.container_statuses };
    let resizes = !init || container.restart_policy == "Always";
    if let Some(status) = statuses.iter().find(|status| resizes && status.name == container.name)
        && let Some(in_force) = &status.resources
    {
        if has_infeasible_resize(pod) {
            requests.clear();
        }
        raise(&mut requests, &raw(&in_force.requests));
        raise(&mut requests, &raw(&status.allocated_resources));
    }
    requests
}

/// Whether the kubelet has said that the pod's node will never have what the pod asks for since it was changed.
pub fn has_infeasible_resize(pod: &Pod) -> bool {
    condition(&pod.status.conditions, "PodResizePending")
        .is_some_and(|condition| condition.reason == "Infeasible")
}

#[cfg(test)]
mod tests {
    use super::pod_requests;
    use crate::model::core::Pod;

    fn requests(pod: &str) -> Vec<(String, String)> {
        let pod: Pod = serde_json::from_str(pod).unwrap();
        pod_requests(&pod).iter().map(|(name, quantity)| (name.to_string(), quantity.to_string())).collect()
    }

    #[test]
    fn sidecars_count_beside_init_containers_and_containers() {
        let pod = r#"{"spec": {
            "initContainers": [
                {"name": "a", "resources": {"requests": {"cpu": "3"}}},
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                {"name": "b", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}],
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "10Mi"}}}],
            "overhead": {"cpu": "250m"}}}"#;
        let expected = [("cpu", "3250m"), ("memory", "1073741824"), ("pods", "1")];
        assert_eq!(requests(pod), expected.map(|(name, amount)| (name.to_owned(), amount.to_owned())));
    }
}
