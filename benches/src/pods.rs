//! Pending pods against 400 instance types, mixed as in Karpenter's `scheduling_benchmark_test.go`: a fifth each without
//! constraints, spread over zones, spread over hosts, near their like in a zone, and away from their like on a host.

use crate::Seeded;
use serde_json::{Value, json};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
const LABEL_VALUES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];
const CPU_MILLI: [u32; 5] = [100, 250, 500, 1000, 1500];
const MEMORY_MIB: [u32; 6] = [100, 256, 512, 1024, 2048, 4096];

/// The five kinds of pods, `count` in all.
pub fn diverse(count: usize, seed: u64) -> String {
    let mut random = Seeded::new(seed);
    let share = count / 5;
    let mut pods = Vec::with_capacity(count);
    for index in 0..count {
        let label = |random: &mut Seeded| json!({"my-label": random.one_of(&LABEL_VALUES)});
        let (labels, constraints) = match index / share.max(1) {
            1 | 2 => {
                let key = if index / share == 1 { ZONE } else { HOSTNAME };
                let labels = label(&mut random);
                let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": key,
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": label(&mut random)}}]});
                (labels, spread)
            }
            3 => {
                let labels = json!({"my-affininity": random.one_of(&LABEL_VALUES)});
                let near = near("podAffinity", ZONE, &labels);
                (labels, near)
            }
            4 => {
                let labels = json!({"app": "nginx"});
                let away = near("podAntiAffinity", HOSTNAME, &labels);
                (labels, away)
            }
            _ => (label(&mut random), json!({})),
        };
        pods.push(pod(index, &labels, constraints, &requests(&mut random)));
    }
    scenario(&format!("diverse-{count}"), pods)
}

/// Pods alike, with a preference for a zone and two to be away from each other, of which one cannot be met.
pub fn preference(count: usize, seed: u64) -> String {
    let mut random = Seeded::new(seed);
    let labels = json!({"app": "nginx"});
    let away = |weight: u32, key: &str| json!({"weight": weight, "podAffinityTerm": {"labelSelector": {"matchLabels": labels}, "topologyKey": key}});
    let constraints = json!({"affinity": {
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference":
            {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["test-zone-1"]}]}}]},
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [away(10, ZONE), away(1, HOSTNAME)]}}});
    let requests = requests(&mut random);
    let pods = (0..count).map(|index| pod(index, &labels, constraints.clone(), &requests)).collect();
    scenario(&format!("preference-{count}"), pods)
}

fn near(kind: &str, key: &str, labels: &Value) -> Value {
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": labels}, "topologyKey": key}]}}})
}

fn requests(random: &mut Seeded) -> Value {
    let (cpu, memory) = (random.one_of(&CPU_MILLI), random.one_of(&MEMORY_MIB));
    json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")})
}

fn pod(index: usize, labels: &Value, mut spec: Value, requests: &Value) -> Value {
    spec["containers"] = json!([{"name": "c", "image": "pause", "resources": {"requests": requests}}]);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("pod-{index:06}"), "namespace": "default", "labels": labels,
            "uid": format!("00000000-0000-4000-8000-{index:012}"), "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
        "status": {"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    })
}

fn scenario(name: &str, mut objects: Vec<Value>) -> String {
    objects.push(node_pool());
    json!({
        "name": name, "kind": "provisioning", "now": "2026-01-01T00:00:00Z",
        "catalogue": {"file": "catalogues/fake-400.json"}, "objects": objects,
    })
    .to_string()
}

/// The NodePool of all generated scenarios.
pub(crate) fn node_pool() -> Value {
    let conditions =
        ["ValidationSucceeded", "NodeClassReady", "Ready"].map(|it| json!({"type": it, "status": "True"}));
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "default"},
        "spec": {
            "limits": {"cpu": "10M", "memory": "10000000Gi"},
            "disruption": {"consolidateAfter": "0s", "consolidationPolicy": "WhenEmptyOrUnderutilized",
                "budgets": [{"nodes": "100%"}]},
            "template": {"spec": {"requirements": [], "expireAfter": "720h",
                "nodeClassRef": {"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"}}}},
        "status": {"conditions": conditions},
    })
}
