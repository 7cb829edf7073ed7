//! Small scenarios, written in the test.

use serde_json::{Value, json};

/// A scenario of `objects` with a catalogue.
pub(crate) fn scenario(catalogue: &Value, objects: &[Value]) -> String {
    json!({
        "name": "small", "kind": "provisioning", "now": "2026-01-01T00:00:00Z",
        "catalogue": catalogue, "objects": objects,
    })
    .to_string()
}

/// A NodePool that is ready, with these requirements: key and values.
pub(crate) fn node_pool(name: &str, requirements: &[(&str, &[&str])]) -> Value {
    let requirements: Vec<Value> = requirements
        .iter()
        .map(|(key, values)| json!({"key": key, "operator": "In", "values": values}))
        .collect();
    let conditions: Vec<Value> = ["ValidationSucceeded", "NodeClassReady", "Ready"]
        .iter()
        .map(|kind| {
            json!({"type": kind, "status": "True", "reason": kind, "message": "",
                   "lastTransitionTime": "2026-01-01T00:00:00Z"})
        })
        .collect();
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": name, "uid": format!("pool-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"template": {"spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": requirements,
        }}, "disruption": {"consolidateAfter": "0s", "consolidationPolicy": "WhenEmptyOrUnderutilized"}},
        "status": {"conditions": conditions},
    })
}

/// A pending pod. `more` is laid over its `spec`.
pub(crate) fn pod(name: &str, requests: &Value, labels: &Value, more: &Value) -> Value {
    let mut spec =
        json!({"containers": [{"name": "c", "image": "pause", "resources": {"requests": requests}}]});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("pod-{name}"), "labels": labels,
                     "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
        "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
             "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
    })
}
