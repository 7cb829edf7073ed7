//! Resources that are named, and that nothing has: slips of the keys, and catalogues without a device.

use super::findings::Findings;
use crate::catalogue::Catalogue;
use crate::kubernetes::pods::is_terminal;
use crate::model::core::{PodSpec, ResourceList};
use crate::model::karpenter::NodeOverlay;
use crate::model::objects::Objects;
use crate::problem::{Notice, NoticeKind, Place, near_miss};
use serde_json::Value;
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// Limits of the NodePool `node_pool` on resources that no type of `catalogue` has: such a limit never binds. `nodes`
/// is no resource, but counts.
pub fn limits_without_resource(node_pool: &Value, catalogue: &Catalogue) -> Vec<Notice> {
    let Some(limits) = node_pool.pointer("/spec/limits").and_then(Value::as_object) else {
        return Vec::new();
    };
    let resources = resources_of(catalogue);
    let name = node_pool.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    limits
        .keys()
        .filter(|limit| limit.as_str() != "nodes" && !resources.contains(limit.as_str()))
        .map(|limit| Notice {
            place: Place::in_object(format!("NodePool `{name}`"), format!("spec.limits.{limit}")),
            kind: NoticeKind::LimitWithoutResource {
                resource: limit.clone(),
                near: lookalikes(limit, &resources),
            },
        })
        .collect()
}

/// The resources that pods of `spec` ask for, each as often as a container does.
pub fn requested(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let containers = spec.containers.iter().chain(&spec.init_containers);
    let requests = containers.map(|container| &container.resources).chain(spec.resources.as_deref());
    requests.flat_map(|it| it.requests.iter()).filter(|(_, amount)| !amount.is_zero()).map(|(name, _)| name)
}

/// What is to be said of a requested resource that no type of `catalogue` has, and nothing else either.
pub fn request_without_resource(resource: &str, catalogue: &Catalogue) -> NoticeKind {
    NoticeKind::RequestWithoutResource {
        resource: resource.to_owned(),
        near: lookalikes(resource, &resources_of(catalogue)),
    }
}

/// Finds the pods without a node that ask for a resource which no instance type, node or NodeClaim has, and none of the
/// `overlays` in force.
pub(super) fn requests_without_resource(
    objects: &Objects,
    overlays: &[NodeOverlay],
    catalogue: &Catalogue,
    findings: &mut Findings,
) {
    let Objects { pods, nodes, node_claims, .. } = objects;
    let is_somewhere = |resource: &str| {
        catalogue.instance_types.iter().any(|it| has(&it.capacity, resource))
            || nodes.iter().any(|node| has(&node.status.allocatable, resource))
            || node_claims.iter().any(|claim| has(&claim.status.allocatable, resource))
            || overlays.iter().filter_map(|it| it.spec.capacity.as_ref()).any(|it| has(it, resource))
    };
    // There are few, and pods ask for the same ones over and over.
    let mut known: Vec<(&str, Option<NoticeKind>)> = Vec::new();
    for pod in pods.iter().filter(|pod| pod.spec.node_name.is_empty() && !is_terminal(pod)) {
        let mut noted: SmallVec<[usize; 2]> = SmallVec::new();
        for resource in requested(&pod.spec) {
            let at = known.iter().position(|(it, _)| *it == resource).unwrap_or_else(|| {
                let missing = !is_somewhere(resource);
                known.push((resource, missing.then(|| request_without_resource(resource, catalogue))));
                known.len() - 1
            });
            if let Some(kind) = known[at].1.as_ref().filter(|_| !noted.contains(&at)) {
                noted.push(at);
                let place = Place::in_object(super::read::title_of("Pod", &pod.metadata), "");
                findings.add(Notice { place, kind: kind.clone() });
            }
        }
    }
}

/// Whether there is any of `resource` in `amounts`.
pub fn has(amounts: &ResourceList, resource: &str) -> bool {
    amounts.get(resource).is_some_and(|amount| !amount.is_zero())
}

fn resources_of(catalogue: &Catalogue) -> BTreeSet<&str> {
    catalogue.instance_types.iter().flat_map(|it| it.capacity.iter().map(|(name, _)| name)).collect()
}

/// What a resource that nothing has was meant to be. `gpu` for `nvidia.com/gpu` is no slip of the keys, but the commonest
/// mistake.
fn lookalikes(name: &str, resources: &BTreeSet<&str>) -> Option<String> {
    let same: Vec<&str> =
        resources.iter().filter(|resource| resource.rsplit('/').next() == Some(name)).copied().collect();
    if same.is_empty() {
        return near_miss(name, resources.iter().copied()).map(str::to_owned);
    }
    Some(same.join("`, `"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::InstanceType;
    use crate::quantity::Quantity;
    use serde_json::json;

    fn gpu_catalogue() -> Catalogue {
        let mut it = InstanceType { name: "g4dn.xlarge".into(), ..InstanceType::default() };
        it.capacity = [("cpu", Quantity::from_units(4)), ("nvidia.com/gpu", Quantity::from_units(1))]
            .into_iter()
            .collect();
        Catalogue { instance_types: vec![it.into()], ..Catalogue::default() }
    }

    #[test]
    fn a_limit_on_a_resource_that_no_type_has_is_named() {
        let catalogue = gpu_catalogue();
        let pool = |limits: Value| json!({"metadata": {"name": "gpu"}, "spec": {"limits": limits}});
        let said = |limits| {
            let notices = limits_without_resource(&pool(limits), &catalogue);
            notices.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            said(json!({"gpu": 100})),
            [
                "NodePool `gpu`: `spec.limits.gpu`: no instance type has the resource `gpu`, so this limit has no effect \
                 (did you mean `nvidia.com/gpu`?)"
            ]
        );
        assert_eq!(
            said(json!({"amd.com/gpus": 1})),
            [
                "NodePool `gpu`: `spec.limits.amd.com/gpus`: no instance type has the resource `amd.com/gpus`, so this limit \
                 has no effect"
            ]
        );
        assert_eq!(said(json!({"cpu": 1, "nodes": 3, "nvidia.com/gpu": 3})), Vec::<String>::new());
    }

    #[test]
    fn a_request_for_a_resource_that_nothing_has_is_named() {
        let objects = |text: Value| -> Objects { serde_json::from_value(text).expect("objects") };
        let pod = |name: &str, resource: &str, node: &str| {
            let container = json!({"resources": {"requests": {"cpu": "1", (resource): "1"}}});
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": name},
                "spec": {"nodeName": node, "containers": [container, container]}})
        };
        let node = |amount: &str| {
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
                "status": {"allocatable": {"example.com/fpga": amount}}})
        };
        let said = |text: Value| {
            let mut findings = Findings::default();
            requests_without_resource(&objects(text), &[], &gpu_catalogue(), &mut findings);
            findings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            said(json!([
                pod("a", "nvidia.com/gpus", ""),
                pod("b", "nvidia.com/gpus", ""),
                pod("c", "cpu", "")
            ])),
            [
                "Pod `default/a`: no instance type or node has the resource `nvidia.com/gpus` that the pod requests, so the \
                 pod is unschedulable (did you mean `nvidia.com/gpu`?) (and 1 more like it)"
            ]
        );
        assert_eq!(said(json!([pod("a", "example.com/fpga", ""), node("1")])), Vec::<String>::new());
        assert_eq!(said(json!([pod("a", "example.com/fpga", ""), node("0")])).len(), 1);
        assert_eq!(said(json!([pod("a", "example.com/fpga", "n")])), Vec::<String>::new());
    }
}
