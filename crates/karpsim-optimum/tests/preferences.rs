//! Preferences: left aside they are counted, respected they hold as far as Karpenter's decision meets them.

mod corpus;

use corpus::{small, types};
use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Preferences, Status, nanos};
use serde_json::{Value, json};

const ZONE: &str = "topology.kubernetes.io/zone";

/// Cost and preferences unmet: of Karpenter's decision, of the optimum without preferences, and with them.
fn outcomes(objects: &[Value]) -> [(i64, usize); 3] {
    let catalogue = types::catalogue(&[
        types::instance_type("t.small", "2000m", "4Gi", &[("a", 0.1), ("b", 0.09)]),
        types::instance_type("t.medium", "4000m", "8Gi", &[("a", 0.18), ("b", 0.17)]),
    ]);
    let scenario = karpsim_testkit::scenario(&small::scenario(&catalogue, objects));
    let solve = |preferences| {
        let optimum = Optimum::solve(
            &OptimizationProblem { preferences, ..OptimizationProblem::new(&scenario) },
            &Limits::default(),
        );
        assert_eq!(optimum.status, Status::Optimal);
        assert_eq!(optimum.unplaced, 0);
        optimum
    };
    let (aside, respected) = (solve(Preferences::LeaveAside), solve(Preferences::Respect));
    [
        (aside.karpenter_cost, aside.karpenter_unmet_preferences),
        (aside.cost, aside.unmet_preferences),
        (respected.cost, respected.unmet_preferences),
    ]
}

fn pods(count: usize, cpu: &str, spec: &Value) -> Vec<Value> {
    let (requests, labels) = (json!({"cpu": cpu, "memory": "100Mi"}), json!({"app": "x"}));
    (0..count).map(|at| small::pod(&format!("pod-{at}"), &requests, &labels, spec)).collect()
}

fn with_pool(mut objects: Vec<Value>) -> Vec<Value> {
    objects.push(small::node_pool("default", &[]));
    objects
}

#[test]
fn preferred_zone() {
    let spec = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [
            {"key": ZONE, "operator": "In", "values": ["a"]}]}}]}}});
    let expected = [(nanos(0.1), 0), (nanos(0.09), 1), (nanos(0.1), 0)];
    assert_eq!(outcomes(&with_pool(pods(1, "1500m", &spec))), expected);
}

#[test]
fn soft_spread() {
    let spec = json!({"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway",
         "labelSelector": {"matchLabels": {"app": "x"}}}]});
    // Both in zone b on one medium node: 0.17; each on a small node, one in each zone: 0.19.
    let expected = [(nanos(0.19), 0), (nanos(0.17), 2), (nanos(0.19), 0)];
    assert_eq!(outcomes(&with_pool(pods(2, "1500m", &spec))), expected);
}

#[test]
fn preferred_distance() {
    let spec = json!({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
         "labelSelector": {"matchLabels": {"app": "x"}}}}]}}});
    let expected = [(nanos(0.18), 0), (nanos(0.09), 2), (nanos(0.18), 0)];
    assert_eq!(outcomes(&with_pool(pods(2, "500m", &spec))), expected);
}

#[test]
fn taints_that_should_keep_away() {
    let of = |name: &str| [("node.kubernetes.io/instance-type", name.to_owned())];
    let pool = |name: &str, instance_type: &str| {
        let requirements = of(instance_type);
        let values = [requirements[0].1.as_str()];
        small::node_pool(name, &[(requirements[0].0, &values)])
    };
    let mut soft = pool("soft", "t.small");
    soft["spec"]["template"]["spec"]["taints"] = json!([{"key": "batch", "effect": "PreferNoSchedule"}]);
    let mut objects = pods(1, "1500m", &json!({}));
    objects.extend([soft, pool("clean", "t.medium")]);
    assert_eq!(outcomes(&objects), [(nanos(0.17), 0), (nanos(0.09), 1), (nanos(0.17), 0)]);
}
