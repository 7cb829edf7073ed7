//! Decisions beyond the recordings: small scenarios on which Karpenter v1.14.1's own scheduler and disruption methods
//! were run, and what they answered. Larger ones are in `data/conformance/beyond.jsonl.zst`, which the conformance test
//! reads.

use karpsim::scenario::Scenario;
use karpsim::scenario::ScenarioText;
use karpsim::version::KarpenterVersion;
use serde_json::{Value, json};
use std::sync::Arc;

fn decide(kind: &str, options: Value, instance_type: Value, objects: Vec<Value>) -> Value {
    let text = json!({
        "name": "beyond/0",
        "kind": kind,
        "now": "2026-01-15T10:00:00Z",
        "options": options,
        "catalogue": {"provider": "fake", "instanceTypes": [instance_type]},
        "objects": objects,
    });
    let text: ScenarioText = serde_json::from_str(&text.to_string()).expect("a scenario");
    let mut scenario = Scenario {
        name: text.name,
        kind: text.kind.expect("a kind"),
        now: text.now.expect("a clock"),
        options: text.options,
        catalogue: Arc::new(text.catalogue.resolve(None)),
        objects: text.objects.0,
        memory: text.cluster,
    };
    scenario.options.karpenter_version = Some(KarpenterVersion::V1_14);
    serde_json::to_value(karpsim::decide(&scenario)).expect("a decision is JSON")
}

/// A type of 4 cores, in one zone, on demand; `more` is what its offering adds to its capacity.
fn four_cores(more: Value) -> Value {
    json!({
        "name": "big",
        "requirements": [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["big"]}],
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "10"},
        "overhead": {},
        "offerings": [{
            "requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]},
            ],
            "price": 1.0,
            "available": true,
            "capacityOverride": more,
        }],
    })
}

fn conditions(kinds: &[&str]) -> Value {
    kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect()
}

fn node_class() -> Value {
    json!({"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"})
}

fn node_pool() -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "default"},
        "spec": {
            "template": {"spec": {"nodeClassRef": node_class(), "requirements": []}},
            "disruption": {
                "consolidateAfter": "0s",
                "consolidationPolicy": "WhenEmptyOrUnderutilized",
                "budgets": [{"nodes": "100%"}],
            },
        },
        "status": {"conditions": conditions(&["ValidationSucceeded", "NodeClassReady", "Ready"])},
    })
}

/// A pod of 6 cores that waits.
fn wide_pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wide", "namespace": "default", "uid": "1"},
        "spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "6"}}}]},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
        },
    })
}

/// The pods left over when a pod of 6 cores meets the type whose offering adds 4 cores, under an overlay.
fn left_over(overlay: Value) -> Vec<String> {
    let overlay = json!({
        "apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "change"}, "spec": overlay,
    });
    let gate = json!({"featureGates": {"nodeOverlay": true}});
    let objects = vec![node_pool(), wide_pod(), overlay];
    let decision = decide("provisioning", gate, four_cores(json!({"cpu": "4"})), objects);
    decision["podErrors"].as_object().expect("pod errors").keys().cloned().collect()
}

/// An overlay's price makes the offering anew, without its capacity override: the pod fits 8 cores, not 4.
#[test]
fn an_overlaid_price_loses_the_offerings_capacity() {
    assert_eq!(left_over(json!({"requirements": [], "price": "0.5"})), ["default/wide"]);
}

/// An overlay's capacity changes the type and leaves its offerings alone.
#[test]
fn an_overlaid_capacity_keeps_the_offerings_capacity() {
    let none: [String; 0] = [];
    assert_eq!(left_over(json!({"requirements": [], "capacity": {"example.com/dongle": "1"}})), none);
}

/// A node of 4 cores, its NodeClaim, and its one pod with this deletion cost.
fn node_claim_and_pod(cost: &str) -> [Value; 3] {
    let labels = json!({
        "karpenter.sh/nodepool": "default",
        "karpenter.test.sh/testnodeclass": "default",
        "node.kubernetes.io/instance-type": "big",
        "topology.kubernetes.io/zone": "a",
        "karpenter.sh/capacity-type": "on-demand",
        "kubernetes.io/hostname": "n",
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
    });
    let amounts = json!({"cpu": "4", "memory": "8Gi", "pods": "10"});
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels},
        "spec": {"providerID": "i"},
        "status": {"capacity": amounts, "allocatable": amounts, "conditions": conditions(&["Ready"])},
    });
    let claim = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"name": "n", "labels": labels},
        "spec": {"nodeClassRef": node_class(), "requirements": []},
        "status": {
            "providerID": "i", "nodeName": "n", "capacity": amounts, "allocatable": amounts,
            "conditions": conditions(&["Launched", "Registered", "Initialized", "Ready", "Consolidatable"]),
        },
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "p", "namespace": "default", "uid": "2",
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": cost},
        },
        "spec": {"nodeName": "n", "containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]},
        "status": {"phase": "Running"},
    });
    [node, claim, pod]
}

/// The methods that would remove a node whose one pod has this deletion cost.
fn methods_by_deletion_cost(cost: &str) -> Vec<Value> {
    let objects = std::iter::once(node_pool()).chain(node_claim_and_pod(cost)).collect();
    let decision = decide("disruption", json!({}), four_cores(json!({})), objects);
    let commands = decision["commands"].as_array().expect("commands");
    commands.iter().map(|command| command["method"].clone()).collect()
}

/// A node is empty if what it costs to disrupt it is at most 1. A cost that is no number is not at most 1; one that Go
/// cannot read, as a NaN with a sign, counts 0, and the pod adds 1.
#[test]
fn a_node_is_not_empty_by_a_cost_that_is_no_number() {
    for cost in ["NaN", "nan", "+NaN", "-nan", "inf", "1e400", "1_0"] {
        assert_eq!(methods_by_deletion_cost(cost), [Value::Null; 0], "{cost}");
    }
    for cost in ["-2147483647", "-Inf"] {
        assert_eq!(methods_by_deletion_cost(cost), ["emptiness"], "{cost}");
    }
}

/// Without a NodePool that can launch nodes nothing is placed. The pods that wait are left over; those of a node that is
/// being deleted have a node still.
#[test]
fn without_node_pools_only_pods_that_wait_are_left_over() {
    let [node, mut claim, pod] = node_claim_and_pod("0");
    claim["metadata"]["deletionTimestamp"] = json!("2026-01-15T09:59:00Z");
    let decision =
        decide("provisioning", json!({}), four_cores(json!({})), vec![node, claim, pod, wide_pod()]);
    let left_over: Vec<&String> = decision["podErrors"].as_object().expect("pod errors").keys().collect();
    assert_eq!(left_over, ["default/wide"]);
}
