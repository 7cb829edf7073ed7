//! A running cluster, written in the test.

use serde_json::{Value, json};

/// A node of this type in zone `a`, on demand, that Karpenter made, and its NodeClaim.
pub(crate) fn node(name: &str, instance_type: &str, cpu: &str, memory: &str) -> [Value; 2] {
    let labels = json!({
        "karpenter.sh/nodepool": "default", "karpenter.sh/capacity-type": "on-demand",
        "node.kubernetes.io/instance-type": instance_type, "topology.kubernetes.io/zone": "a",
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name,
        "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true",
    });
    let resources = json!({"cpu": cpu, "memory": memory, "pods": "20"});
    let conditions: Vec<Value> = ["Launched", "Registered", "Initialized", "Ready", "Consolidatable"]
        .iter()
        .map(|kind| {
            json!({"type": kind, "status": "True", "reason": kind, "message": "",
                   "lastTransitionTime": "2025-12-31T00:00:00Z"})
        })
        .collect();
    let metadata = |name: String| json!({"name": name, "uid": name, "creationTimestamp": "2025-12-31T00:00:00Z", "labels": labels});
    let provider_id = format!("aws:///a/i-{name}");
    [
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": metadata(name.to_owned()),
            "spec": {"providerID": provider_id},
            "status": {"capacity": resources, "allocatable": resources, "conditions": [
                {"type": "Ready", "status": "True", "reason": "x", "message": "",
                 "lastTransitionTime": "2025-12-31T00:00:00Z"}]},
        }),
        json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": metadata(format!("{name}-claim")),
            "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                     "requirements": []},
            "status": {"conditions": conditions, "capacity": resources, "allocatable": resources,
                       "providerID": provider_id, "nodeName": name},
        }),
    ]
}

/// A pod of a ReplicaSet, running on a node.
pub(crate) fn pod(name: &str, node: &str, cpu: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "x"},
                     "creationTimestamp": "2025-12-31T00:00:00Z", "ownerReferences": [
                        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "x", "controller": true}]},
        "spec": {"nodeName": node, "containers": [
            {"name": "c", "image": "pause", "resources": {"requests": {"cpu": cpu, "memory": "100Mi"}}}]},
        "status": {"phase": "Running", "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2025-12-31T00:00:00Z"}]},
    })
}
