//! What the API server, and for NodePools Karpenter, fills in when a user applies an object.
//!
//! For traces: their objects stand as a user applies them. Scenarios hold objects as the API server returns them, and
//! there nothing is filled in.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The conditions without which a NodePool does not count.
pub const NODE_POOL_CONDITIONS: [&str; 3] = ["ValidationSucceeded", "NodeClassReady", "Ready"];

/// `nodes` of the budget of a NodePool that names none.
pub(crate) const BUDGET_NODES: &str = "10%";

/// Kinds that belong to no namespace.
const CLUSTER_WIDE: [&str; 16] = [
    "Namespace",
    "Node",
    "NodePool",
    "NodeClaim",
    "NodeOverlay",
    "Provisioner",
    "EC2NodeClass",
    "AKSNodeClass",
    "GCENodeClass",
    "KWOKNodeClass",
    "TestNodeClass",
    "PersistentVolume",
    "StorageClass",
    "CSINode",
    "PriorityClass",
    "AWSNodeTemplate",
];

/// Whether objects of `kind` belong to a namespace. A kind that is not known is taken to.
pub fn is_namespaced(kind: &str) -> bool {
    !CLUSTER_WIDE.contains(&kind)
        && !kind.starts_with("Cluster")
        && kind != "CSIDriver"
        && kind != "RuntimeClass"
}

/// Fills in what `object` leaves open, as if it were applied at `now`: namespace, creation time, and the defaults of its
/// kind. A NodePool without a status becomes ready. What is there is never changed; a part that has not the shape of
/// its kind is left as it is, for the door to refuse.
///
/// The two priority classes that every cluster has are resolved; others need their PriorityClass and are the caller's.
pub fn fill_in(object: &mut Value, now: Timestamp) {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(metadata) = child(fields, "metadata") {
        if is_namespaced(&kind) {
            set(metadata, "namespace", || json!("default"));
        }
        set(metadata, "creationTimestamp", || json!(whole_seconds(now)));
    }
    match kind.as_str() {
        "NodePool" => node_pool(fields, now),
        "NodeClaim" => {
            if let Some(spec) = child(fields, "spec") {
                set(spec, "expireAfter", || json!("720h"));
            }
        }
        "Pod" => {
            if let Some(spec) = child(fields, "spec") {
                pod_spec(spec);
            }
            if let Some(status) = child(fields, "status") {
                set(status, "phase", || json!("Pending"));
            }
        }
        "PodTemplate" => {
            if let Some(template) = child(fields, "template") {
                pod_template(template);
            }
        }
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController" => {
            if let Some(spec) = child(fields, "spec") {
                workload(&kind, spec);
            }
        }
        "CronJob" => {
            if let Some(spec) = child(fields, "spec") {
                set(spec, "concurrencyPolicy", || json!("Allow"));
                set(spec, "suspend", || json!(false));
                if let Some(job) = child(spec, "jobTemplate").and_then(|template| child(template, "spec")) {
                    workload("Job", job);
                }
            }
        }
        "HorizontalPodAutoscaler" => {
            if let Some(spec) = child(fields, "spec") {
                set(spec, "minReplicas", || json!(1));
            }
        }
        "StorageClass" => {
            set(fields, "reclaimPolicy", || json!("Delete"));
            set(fields, "volumeBindingMode", || json!("Immediate"));
        }
        "PersistentVolumeClaim" => {
            if let Some(status) = child(fields, "status") {
                set(status, "phase", || json!("Pending"));
            }
        }
        "PriorityClass" => set(fields, "preemptionPolicy", || json!("PreemptLowerPriority")),
        _ => {}
    }
}

/// Fills in what a pod template leaves open. For kinds whose template stands elsewhere than in `spec.template`.
pub fn fill_in_pod_template(template: &mut Value) {
    if let Some(template) = template.as_object_mut() {
        pod_template(template);
    }
}

/// `now` as the API server stamps it.
fn whole_seconds(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// The object at `name`, made if it is absent or null. `None` if something else stands there.
fn child<'a>(fields: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.to_owned(), Value::Object(Map::new()));
    }
    fields.get_mut(name).and_then(Value::as_object_mut)
}

/// Sets `name` if it is absent or null.
fn set(fields: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if fields.get(name).is_none_or(Value::is_null) {
        fields.insert(name.to_owned(), value());
    }
}

fn each_object<'a>(
    fields: &'a mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn node_pool(fields: &mut Map<String, Value>, now: Timestamp) {
    if let Some(spec) = child(fields, "spec") {
        // A static pool has no disruption but drift; the fields are defaulted all the same.
        if let Some(disruption) = child(spec, "disruption") {
            set(disruption, "consolidateAfter", || json!("0s"));
            set(disruption, "consolidationPolicy", || json!("WhenEmptyOrUnderutilized"));
            set(disruption, "budgets", || json!([{"nodes": BUDGET_NODES}]));
        }
        if let Some(template) = child(spec, "template").and_then(|template| child(template, "spec")) {
            set(template, "expireAfter", || json!("720h"));
        }
    }
    if let Some(status) = child(fields, "status") {
        set(status, "conditions", || {
            let time = whole_seconds(now);
            NODE_POOL_CONDITIONS
                .iter()
                .map(|kind| json!({"type": kind, "status": "True", "reason": kind, "lastTransitionTime": time}))
                .collect()
        });
    }
}

fn workload(kind: &str, spec: &mut Map<String, Value>) {
    match kind {
        "Deployment" => {
            set(spec, "replicas", || json!(1));
            if let Some(strategy) = child(spec, "strategy") {
                set(strategy, "type", || json!("RollingUpdate"));
                if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
                    && let Some(rolling) = child(strategy, "rollingUpdate")
                {
                    set(rolling, "maxUnavailable", || json!("25%"));
                    set(rolling, "maxSurge", || json!("25%"));
                }
            }
        }
        "ReplicaSet" | "ReplicationController" => set(spec, "replicas", || json!(1)),
        "StatefulSet" => {
            set(spec, "replicas", || json!(1));
            set(spec, "podManagementPolicy", || json!("OrderedReady"));
        }
        "DaemonSet" => {
            if let Some(strategy) = child(spec, "updateStrategy") {
                set(strategy, "type", || json!("RollingUpdate"));
            }
        }
        "Job" => {
            // Without both it is a job of one pod; with `parallelism` alone it is a work queue.
            if spec.get("parallelism").is_none_or(Value::is_null) {
                set(spec, "completions", || json!(1));
            }
            set(spec, "parallelism", || json!(1));
            set(spec, "backoffLimit", || json!(6));
            set(spec, "completionMode", || json!("NonIndexed"));
            set(spec, "suspend", || json!(false));
        }
        _ => {}
    }
    if let Some(template) = child(spec, "template") {
        pod_template(template);
    }
}

fn pod_template(template: &mut Map<String, Value>) {
    if let Some(spec) = child(template, "spec") {
        pod_spec(spec);
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    set(spec, "restartPolicy", || json!("Always"));
    set(spec, "terminationGracePeriodSeconds", || json!(30));
    match spec.get("priorityClassName").and_then(Value::as_str) {
        Some("system-cluster-critical") => set(spec, "priority", || json!(2_000_000_000)),
        Some("system-node-critical") => set(spec, "priority", || json!(2_000_001_000)),
        _ => {}
    }
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or(false);
    for list in ["containers", "initContainers"] {
        for container in each_object(spec, list) {
            if let Some(resources) = child(container, "resources") {
                requests_from_limits(resources);
            }
            for port in each_object(container, "ports") {
                set(port, "protocol", || json!("TCP"));
                if host_network && let Some(number) = port.get("containerPort").cloned() {
                    set(port, "hostPort", || number);
                }
            }
        }
    }
    if let Some(resources) = spec.get_mut("resources").and_then(Value::as_object_mut) {
        requests_from_limits(resources);
    }
    for toleration in each_object(spec, "tolerations") {
        set(toleration, "operator", || json!("Equal"));
    }
    for constraint in each_object(spec, "topologySpreadConstraints") {
        set(constraint, "maxSkew", || json!(1));
    }
    for volume in each_object(spec, "volumes") {
        if let Some(claim) = volume.get_mut("ephemeral").and_then(Value::as_object_mut)
            && let Some(template) = child(claim, "volumeClaimTemplate")
            && let Some(claim) = child(template, "spec")
        {
            set(claim, "volumeMode", || json!("Filesystem"));
        }
    }
}

/// A limit without a request is a request too.
fn requests_from_limits(resources: &mut Map<String, Value>) {
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    if limits.is_empty() {
        return;
    }
    if let Some(requests) = child(resources, "requests") {
        for (name, quantity) in limits {
            set(requests, &name, || quantity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fill_in;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn filled(mut object: Value) -> Value {
        fill_in(&mut object, "2026-01-01T00:00:00.9Z".parse::<Timestamp>().unwrap());
        object
    }

    #[test]
    fn a_node_pool_becomes_ready_and_has_a_budget() {
        let pool = filled(json!({"kind": "NodePool", "metadata": {"name": "a"}}));
        assert_eq!(pool["metadata"], json!({"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}));
        assert_eq!(
            pool["spec"],
            json!({
                "disruption": {
                    "consolidateAfter": "0s", "consolidationPolicy": "WhenEmptyOrUnderutilized",
                    "budgets": [{"nodes": "10%"}],
                },
                "template": {"spec": {"expireAfter": "720h"}},
            })
        );
        let conditions = pool["status"]["conditions"].as_array().unwrap();
        assert_eq!(
            conditions.iter().map(|c| format!("{} {}", c["type"], c["status"])).collect::<Vec<_>>(),
            ["\"ValidationSucceeded\" \"True\"", "\"NodeClassReady\" \"True\"", "\"Ready\" \"True\""]
        );
    }

    #[test]
    fn what_is_there_stays() {
        let pool = json!({
            "kind": "NodePool", "metadata": {"name": "a", "creationTimestamp": "2020-01-01T00:00:00Z"},
            "spec": {
                "disruption": {"consolidateAfter": "Never", "consolidationPolicy": "WhenEmpty", "budgets": []},
                "template": {"spec": {"expireAfter": "Never"}},
            },
            "status": {"conditions": [{"type": "Ready", "status": "False"}]},
        });
        assert_eq!(filled(pool.clone()), pool);
        // What has not the shape of its kind is for the door.
        for object in
            [json!({"kind": "NodePool", "metadata": 3, "spec": "x", "status": []}), json!([1]), json!(null)]
        {
            assert_eq!(filled(object.clone()), object);
        }
    }

    #[test]
    fn a_limit_is_a_request_and_a_port_of_the_host_network_is_the_hosts() {
        let pod = filled(json!({
            "kind": "Pod", "metadata": {"name": "a"},
            "spec": {
                "hostNetwork": true, "priorityClassName": "system-node-critical",
                "tolerations": [{"key": "a"}, {"operator": "Exists"}],
                "containers": [{
                    "resources": {"limits": {"cpu": "2", "nvidia.com/gpu": 1}, "requests": {"cpu": "1"}},
                    "ports": [{"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"}],
                }],
            },
        }));
        assert_eq!(pod["metadata"]["namespace"], "default");
        let spec = &pod["spec"];
        assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "1", "nvidia.com/gpu": 1}));
        assert_eq!(
            spec["containers"][0]["ports"],
            json!([
                {"containerPort": 80, "hostPort": 80, "protocol": "TCP"},
                {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"},
            ])
        );
        assert_eq!(spec["tolerations"], json!([{"key": "a", "operator": "Equal"}, {"operator": "Exists"}]));
        assert_eq!(spec["priority"], 2_000_001_000);
        assert_eq!(spec["terminationGracePeriodSeconds"], 30);
        assert_eq!(pod["status"]["phase"], "Pending");
    }

    #[test]
    fn workloads_have_one_replica() {
        for (kind, pointer, value) in [
            ("Deployment", "/spec/replicas", json!(1)),
            ("Deployment", "/spec/strategy/rollingUpdate/maxSurge", json!("25%")),
            ("ReplicaSet", "/spec/replicas", json!(1)),
            ("StatefulSet", "/spec/podManagementPolicy", json!("OrderedReady")),
            ("DaemonSet", "/spec/updateStrategy/type", json!("RollingUpdate")),
            ("Job", "/spec/completions", json!(1)),
            ("Job", "/spec/backoffLimit", json!(6)),
            ("CronJob", "/spec/jobTemplate/spec/parallelism", json!(1)),
            ("CronJob", "/spec/jobTemplate/spec/template/spec/restartPolicy", json!("Always")),
            ("PodTemplate", "/template/spec/terminationGracePeriodSeconds", json!(30)),
            ("HorizontalPodAutoscaler", "/spec/minReplicas", json!(1)),
            ("StorageClass", "/volumeBindingMode", json!("Immediate")),
        ] {
            let object = filled(json!({"kind": kind, "metadata": {"name": "a"}}));
            assert_eq!(object.pointer(pointer), Some(&value), "{kind} {pointer}");
        }
        // A job with parallelism alone is a work queue, which ends when it says so.
        let queue = filled(json!({"kind": "Job", "metadata": {"name": "a"}, "spec": {"parallelism": 3}}));
        assert_eq!((&queue["spec"]["parallelism"], queue["spec"].get("completions")), (&json!(3), None));
    }
}
