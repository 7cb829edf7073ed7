//! What the pods request, as the controller adds it up for utilization.
//!
//! Every pod that the selector finds must have a request, also those that do not count otherwise. Containers and sidecars
//! are added up and each must have one; where the pod as a whole has requests, these and its overhead count instead.

use crate::amount::milli_value;
use crate::error::MissingRequest;
use crate::pods::Pod;
use karpsim::model::core::{Container, PodSpec};
use karpsim::quantity::Quantity;
use std::collections::BTreeMap;

/// Requests of `resource` in thousandths, by pod.
pub(crate) fn by_pod<'a>(
    pods: &[Pod<'a>],
    resource: &str,
    container: Option<&str>,
) -> Result<BTreeMap<&'a str, i64>, MissingRequest> {
    let one = |pod: &Pod<'a>| Ok((pod.name, of_pod(pod, resource, container)?));
    pods.iter().map(one).collect()
}

fn of_pod(pod: &Pod<'_>, resource: &str, container: Option<&str>) -> Result<i64, MissingRequest> {
    match container {
        Some(container) => of_container(pod, resource, container),
        None if has_pod_level_requests(pod.spec) => pod_level(pod.spec, resource)
            .map(milli_value)
            .ok_or_else(|| MissingRequest::OfPod { resource: resource.into(), pod: pod.name.into() }),
        None => {
            let one = |container| request(container, resource, pod.name);
            running(pod.spec).try_fold(0_i64, |sum, container| Ok(sum.wrapping_add(one(container)?)))
        }
    }
}

fn of_container(pod: &Pod<'_>, resource: &str, name: &str) -> Result<i64, MissingRequest> {
    match running(pod.spec).find(|container| container.name == name) {
        Some(container) => request(container, resource, pod.name),
        None => Err(MissingRequest::NoContainer { container: name.into(), pod: pod.name.into() }),
    }
}

/// The containers that run while the pod does: sidecars after the others.
fn running(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().filter(|container| is_sidecar(container)))
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy == "Always"
}

fn request(container: &Container, resource: &str, pod: &str) -> Result<i64, MissingRequest> {
    let amount = container.resources.requests.get(resource);
    amount.map(milli_value).ok_or_else(|| MissingRequest::OfContainer {
        resource: resource.into(),
        container: container.name.clone(),
        pod: pod.into(),
    })
}

fn has_pod_level_requests(spec: &PodSpec) -> bool {
    let resources = spec.resources.as_deref();
    resources.is_some_and(|resources| resources.requests.iter().any(|(name, _)| is_pod_level(name)))
}

/// The resources that a pod as a whole can request.
fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

/// What a pod with requests of its own asks for: its request of this resource or else what its containers need at most,
/// and its overhead. `None`: neither is listed.
fn pod_level(spec: &PodSpec, resource: &str) -> Option<Quantity> {
    let of_pod = spec.resources.as_deref().and_then(|resources| resources.requests.get(resource));
    let base = of_pod.filter(|_| is_pod_level(resource)).or_else(|| of_containers(spec, resource));
    match (base, spec.overhead.get(resource)) {
        (Some(base), Some(overhead)) => Some(base + overhead),
        (base, overhead) => base.or(overhead),
    }
}

/// All that runs together, or the largest init container beside the sidecars before it.
fn of_containers(spec: &PodSpec, resource: &str) -> Option<Quantity> {
    let add = |sum: Option<Quantity>, container: &Container| match container.resources.requests.get(resource)
    {
        Some(amount) => Some(sum.unwrap_or_default() + amount),
        None => sum,
    };
    let together = running(spec).fold(None, add);
    let (mut sidecars, mut most) = (None, None);
    for container in &spec.init_containers {
        let beside = add(sidecars, container);
        if is_sidecar(container) {
            sidecars = beside;
        }
        most = most.max(beside);
    }
    together.max(most)
}

#[cfg(test)]
mod tests {
    use super::by_pod;
    use crate::pods::{Pod, PodPhase};
    use karpsim::model::core::PodSpec;
    use serde_json::{Value, json};

    fn request(spec: Value, resource: &str, container: Option<&str>) -> Result<i64, String> {
        let spec: PodSpec = serde_json::from_value(spec).expect("a pod spec");
        let phase = PodPhase::Running;
        let pod =
            Pod { name: "web-0", phase, is_deleting: false, ready: None, started_at: None, spec: &spec };
        by_pod(&[pod], resource, container)
            .map(|requests| requests["web-0"])
            .map_err(|error| error.to_string())
    }

    fn container(name: &str, cpu: &str) -> Value {
        json!({"name": name, "resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn sidecars_count_and_init_containers_do_not() {
        let mut sidecar = container("proxy", "200m");
        sidecar["restartPolicy"] = "Always".into();
        let spec = json!({
            "containers": [container("app", "500m"), container("side", "0.0001")],
            "initContainers": [container("init", "4"), sidecar],
        });
        assert_eq!(request(spec.clone(), "cpu", None), Ok(701));
        assert_eq!(request(spec.clone(), "cpu", Some("proxy")), Ok(200));
        let missing = "missing request for memory in container app of Pod web-0";
        assert_eq!(request(spec.clone(), "memory", None), Err(missing.to_owned()));
        assert_eq!(
            request(spec, "cpu", Some("init")),
            Err("container init not found in Pod web-0".to_owned())
        );
    }

    #[test]
    fn requests_of_the_pod_go_before_those_of_containers_and_bring_its_overhead() {
        let spec = json!({
            "resources": {"requests": {"memory": "1Gi", "cpu": "2"}},
            "containers": [container("app", "500m"), {"name": "bare"}],
            "overhead": {"cpu": "250m"},
        });
        assert_eq!(request(spec.clone(), "cpu", None), Ok(2250));
        assert_eq!(request(spec.clone(), "memory", None), Ok(1_073_741_824_000));
        assert_eq!(request(spec, "cpu", Some("app")), Ok(500));
    }

    #[test]
    fn what_the_pod_does_not_request_itself_is_what_its_containers_need_at_most() {
        let mut sidecar = container("proxy", "200m");
        sidecar["restartPolicy"] = "Always".into();
        let spec = json!({
            "resources": {"requests": {"memory": "1Gi"}},
            "containers": [container("app", "500m")],
            "initContainers": [sidecar, container("init", "1")],
        });
        assert_eq!(request(spec.clone(), "cpu", None), Ok(1200));
        let missing = "missing pod-level request for example.com/gpu in Pod web-0";
        assert_eq!(request(spec, "example.com/gpu", None), Err(missing.to_owned()));
    }
}
