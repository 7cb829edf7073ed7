//! Whole clusters to consolidate, of nodes of the 400 fake types.

use crate::Seeded;
use crate::pods::node_pool;
use serde_json::{Value, json};

const ZONES: [&str; 3] = ["test-zone-1", "test-zone-2", "test-zone-3"];

/// Nodes that are full: each is what its pods need and nothing more, so that a pass over each of them finds nothing
/// (several at once may go for a larger one, which keeps less for its kubelet).
pub fn full(nodes: usize, seed: u64) -> String {
    cluster(&format!("full-{nodes}"), nodes, seed, 1.0)
}

/// Nodes that are half empty.
pub fn half_empty(nodes: usize, seed: u64) -> String {
    cluster(&format!("half-empty-{nodes}"), nodes, seed, 0.5)
}

fn cluster(name: &str, nodes: usize, seed: u64, filled: f64) -> String {
    let mut random = Seeded::new(seed);
    let mut objects = vec![node_pool()];
    for index in 0..nodes {
        let cpu = random.one_of(&[4u32, 8, 16]);
        let zone = random.one_of(&ZONES);
        let name = format!("node-{index:06}");
        objects.extend(node(&name, cpu, zone));
        // The kubelet keeps 100m; pods take the rest, or a share of it, and memory in proportion.
        let mut left = (f64::from(cpu * 1000 - 100) * filled) as u32;
        let mut pods = 0;
        while left >= 100 {
            let milli = random.one_of(&[250u32, 500, 1000, 1500]).min(left);
            objects.push(pod(&format!("{name}-pod-{pods}"), &name, milli));
            left -= milli;
            pods += 1;
        }
    }
    json!({
        "name": name, "kind": "disruption", "now": "2026-01-02T00:00:00Z",
        "catalogue": {"file": "catalogues/fake-400.json"}, "objects": objects,
    })
    .to_string()
}

fn node(name: &str, cpu: u32, zone: &str) -> [Value; 2] {
    let size = if cpu > 4 { "large" } else { "small" };
    let labels = json!({
        "kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": format!("fake-it-{}", cpu - 1), "topology.kubernetes.io/zone": zone,
        "karpenter.sh/capacity-type": "on-demand", "karpenter.sh/nodepool": "default", "integer": cpu.to_string(),
        "size": size, "karpenter.test.sh/testnodeclass": "default",
        "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true",
    });
    let capacity =
        json!({"cpu": cpu.to_string(), "memory": format!("{}Gi", 2 * cpu), "pods": (10 * cpu).to_string()});
    let allocatable = json!({"cpu": format!("{}m", cpu * 1000 - 100), "memory": format!("{}Mi", 2048 * cpu - 10),
        "pods": (10 * cpu).to_string()});
    let id = format!("fake:///{name}");
    let conditions = ["Launched", "Registered", "Initialized", "Consolidatable"]
        .map(|it| json!({"type": it, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}));
    let metadata =
        |name: String| json!({"name": name, "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"});
    [
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": metadata(name.to_owned()), "spec": {"providerID": id},
            "status": {"capacity": capacity, "allocatable": allocatable,
                "conditions": [{"type": "Ready", "status": "True"}]},
        }),
        json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": metadata(format!("{name}-claim")),
            "spec": {"requirements": [], "expireAfter": "720h",
                "nodeClassRef": {"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"}},
            "status": {"providerID": id, "nodeName": name, "capacity": capacity, "allocatable": allocatable,
                "conditions": conditions},
        }),
    ]
}

fn pod(name: &str, node: &str, milli: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "app"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app", "uid": "uid-app",
                "controller": true}]},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "pause",
            "resources": {"requests": {"cpu": format!("{milli}m"), "memory": format!("{milli}Mi")}}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}
