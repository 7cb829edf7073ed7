//! A catalogue small enough to be read, and objects to go with it.

use serde_json::{Value, json};

/// Zones of the small cloud.
pub(crate) const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];
/// Instance types of the small cloud: name, category, architecture, processors, GiB, pods, GPUs, dollars an hour, how many
/// of the zones have it.
pub(crate) const TYPES: [(&str, &str, &str, i64, i64, i64, i64, f64, usize); 8] = [
    ("c.large", "c", "amd64", 2, 4, 8, 0, 0.085, 3),
    ("c.xlarge", "c", "amd64", 4, 8, 15, 0, 0.17, 3),
    ("c.4xlarge", "c", "amd64", 16, 32, 58, 0, 0.68, 2),
    ("m.large", "m", "amd64", 2, 8, 8, 0, 0.096, 3),
    ("m.2xlarge", "m", "amd64", 8, 32, 29, 0, 0.384, 3),
    ("a.xlarge", "a", "arm64", 4, 16, 15, 0, 0.139, 2),
    ("g.xlarge", "g", "amd64", 4, 16, 15, 1, 0.526, 2),
    ("g.12xlarge", "g", "amd64", 48, 192, 110, 4, 3.912, 1),
];

/// The small catalogue, as the `catalogue` of a scenario, with all prices times `factor`.
pub(crate) fn catalogue(factor: f64) -> Value {
    let types: Vec<Value> = TYPES.iter().map(|it| instance_type(*it, factor)).collect();
    json!({
        "provider": "aws", "region": "small-1",
        "wellKnownLabels": ["karpenter.k8s.aws/instance-category", "karpenter.k8s.aws/instance-gpu-count"],
        "reservationIDLabel": "karpenter.k8s.aws/capacity-reservation-id",
        "instanceTypes": types,
    })
}

fn instance_type(
    (name, category, arch, cpu, memory, pods, gpus, price, zones): (
        &str,
        &str,
        &str,
        i64,
        i64,
        i64,
        i64,
        f64,
        usize,
    ),
    factor: f64,
) -> Value {
    let zones = &ZONES[..zones];
    let one_of = |key: &str, values: Value| json!({"key": key, "operator": "In", "values": values});
    let mut requirements = vec![
        one_of("node.kubernetes.io/instance-type", json!([name])),
        one_of("karpenter.k8s.aws/instance-category", json!([category])),
        one_of("kubernetes.io/arch", json!([arch])),
        one_of("kubernetes.io/os", json!(["linux"])),
        one_of("topology.kubernetes.io/zone", json!(zones)),
        one_of("karpenter.sh/capacity-type", json!(["on-demand", "spot"])),
    ];
    let mut capacity = json!({"cpu": cpu, "memory": format!("{memory}Gi"), "pods": pods});
    if gpus > 0 {
        capacity["nvidia.com/gpu"] = json!(gpus);
        requirements.push(one_of("karpenter.k8s.aws/instance-gpu-count", json!([gpus.to_string()])));
    } else {
        requirements.push(json!({"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "DoesNotExist"}));
    }
    let mut offerings = Vec::new();
    for (index, zone) in zones.iter().enumerate() {
        for (kind, share) in [("on-demand", 1.0), ("spot", 0.25 + 0.125 * index as f64)] {
            offerings.push(json!({
                "requirements": [
                    one_of("karpenter.sh/capacity-type", json!([kind])),
                    one_of("topology.kubernetes.io/zone", json!([zone])),
                ],
                "price": price * share * factor,
                // One hole, so that what is on offer differs from what exists.
                "available": !(name == "m.large" && kind == "spot" && index == 0),
            }));
        }
    }
    json!({
        "name": name, "requirements": requirements, "capacity": capacity, "offerings": offerings,
        "overhead": {"kubeReserved": {"cpu": "80m", "memory": "300Mi"}, "evictionThreshold": {"memory": "100Mi"}},
    })
}

/// A scenario of provisioning.
pub(crate) fn scenario(options: &Value, catalogue: &Value, objects: &[Value], memory: &Value) -> Value {
    json!({
        "name": "small", "kind": "provisioning", "now": "2026-01-15T10:00:00Z", "options": options,
        "catalogue": catalogue, "objects": objects, "cluster": memory,
    })
}

/// A NodePool; `spec` is that of its template, `rest` what stands beside the template.
pub(crate) fn node_pool(name: &str, labels: &Value, mut spec: Value, rest: &Value, ready: bool) -> Value {
    spec["nodeClassRef"] = json!({"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"});
    let mut all = rest.clone();
    all["template"] = json!({"metadata": {"labels": labels}, "spec": spec});
    let status = if ready { "True" } else { "False" };
    let conditions =
        ["ValidationSucceeded", "NodeClassReady", "Ready"].map(|it| json!({"type": it, "status": status}));
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": all,
        "status": {"conditions": conditions},
    })
}

/// A pod, pending or on `node`.
pub(crate) fn pod(name: &str, app: &str, spec: &Value, requests: &Value, node: Option<&str>) -> Value {
    let mut spec = spec.clone();
    let mut container = json!({"name": "main", "resources": {"requests": requests}});
    if let Some(ports) = spec.as_object_mut().and_then(|spec| spec.remove("ports")) {
        container["ports"] = ports;
    }
    spec["containers"] = json!([container]);
    let mut status = json!({"phase": "Running"});
    match node {
        Some(node) => spec["nodeName"] = json!(node),
        None => {
            status = json!({"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]});
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": {"app": app},
            "creationTimestamp": "2026-01-15T09:59:00Z"},
        "spec": spec, "status": status,
    })
}

/// A node of a type of [`TYPES`], with its NodeClaim.
pub(crate) fn node(name: &str, of_type: usize, zone: usize, pool: &str, more: &Value) -> Vec<Value> {
    let (type_name, category, arch, cpu, memory, pods, gpus, ..) = TYPES[of_type];
    let mut labels = json!({
        "kubernetes.io/hostname": name, "node.kubernetes.io/instance-type": type_name, "kubernetes.io/arch": arch,
        "kubernetes.io/os": "linux", "karpenter.k8s.aws/instance-category": category,
        "topology.kubernetes.io/zone": ZONES[zone], "karpenter.sh/capacity-type": "on-demand",
        "karpenter.sh/nodepool": pool, "karpenter.k8s.aws/ec2nodeclass": "default",
        "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true",
    });
    for (key, value) in more["labels"].as_object().into_iter().flatten() {
        labels[key] = value.clone();
    }
    let allocatable = json!({"cpu": format!("{}m", cpu * 1000 - 80), "memory": format!("{}Mi", memory * 1024 - 400),
        "pods": pods, "nvidia.com/gpu": gpus});
    let provider_id = format!("small:///{name}");
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": format!("uid-{name}"), "labels": labels},
        "spec": {"providerID": provider_id, "taints": more["taints"]},
        "status": {"capacity": {"cpu": cpu, "memory": format!("{memory}Gi"), "pods": pods, "nvidia.com/gpu": gpus},
            "allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    });
    let mut claim = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
        "metadata": {"name": format!("claim-{name}"), "uid": format!("uid-claim-{name}"), "labels": labels},
        "spec": {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
            "requirements": []},
        "status": {"providerID": provider_id, "nodeName": name, "capacity": node["status"]["capacity"],
            "allocatable": allocatable},
    });
    if more["leaves"] == true {
        node["metadata"]["deletionTimestamp"] = json!("2026-01-15T10:00:00Z");
        claim["metadata"]["deletionTimestamp"] = json!("2026-01-15T10:00:00Z");
    }
    vec![node, claim]
}
