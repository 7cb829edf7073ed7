//! The validator finds what is wrong: one broken decision a rule.

mod small;

use karpsim_validator::{Decided, violations};
use serde_json::{Value, json};

/// A NodeClaim of `pool-0` launched as on-demand c.xlarge in zone-a.
fn claim(pods: &[&str]) -> Value {
    json!({
        "nodePool": "pool-0", "pods": pods, "instanceTypes": ["c.xlarge"],
        "requirements": [
            {"key": "karpenter.sh/nodepool", "operator": "In", "values": ["pool-0"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone-a"]}],
        "launch": {"instanceType": "c.xlarge", "zone": "zone-a", "capacityType": "on-demand", "price": 0.17},
    })
}

fn decision(claims: &[Value], nodes: &[(&str, &[&str])]) -> Value {
    let nodes: Vec<Value> = nodes.iter().map(|(name, pods)| json!({"name": name, "pods": pods})).collect();
    json!({"newNodeClaims": claims, "existingNodes": nodes, "podErrors": {}, "ignoredPods": []})
}

fn pool() -> Value {
    small::node_pool("pool-0", &json!({}), json!({}), &json!({}), true)
}

fn pod(name: &str, spec: &Value) -> Value {
    small::pod(name, "web", spec, &json!({"cpu": "1", "memory": "1Gi"}), None)
}

fn found(objects: &[Value], decision: &Value) -> Vec<String> {
    let text = small::scenario(&json!({}), &small::catalogue(1.0), objects, &json!({})).to_string();
    let scenario = karpsim_testkit::scenario(&text);
    let decided: Decided = serde_json::from_value(decision.clone()).expect("a decision");
    violations(&scenario, &decided)
}

/// Asserts that exactly the sentences that hold `expected` are found, and at least one.
fn assert_only(objects: &[Value], decision: &Value, expected: &str) {
    let found = found(objects, decision);
    assert!(!found.is_empty(), "nothing is found where `{expected}` is wrong");
    assert!(found.iter().all(|it| it.contains(expected)), "{found:#?} instead of `{expected}`");
}

#[test]
fn a_right_decision_is_left_alone() {
    let objects = [pool(), pod("web-0", &json!({})), pod("web-1", &json!({}))];
    assert_eq!(found(&objects, &decision(&[claim(&["default/web-0", "default/web-1"])], &[])), [""; 0]);
}

#[test]
fn pods_stand_once() {
    let objects = [pool(), pod("web-0", &json!({})), pod("web-1", &json!({}))];
    assert_only(&objects, &decision(&[claim(&["default/web-0"])], &[]), "pod default/web-1 is lost");
    let twice = decision(&[claim(&["default/web-0", "default/web-1"]), claim(&["default/web-1"])], &[]);
    assert_only(&objects, &twice, "pod default/web-1 stands 2 times");
    let unknown = decision(&[claim(&["default/web-0", "default/web-1", "default/who"])], &[]);
    assert_only(&objects, &unknown, "pod default/who is neither pending nor");
}

#[test]
fn launches_suit_their_pods() {
    let one = |spec: &Value| [pool(), pod("web-0", spec)];
    let decided = decision(&[claim(&["default/web-0"])], &[]);
    let selector = one(&json!({"nodeSelector": {"kubernetes.io/arch": "arm64"}}));
    assert_only(&selector, &decided, "its labels are not what pod default/web-0 asks for");
    let terms = |values: &[&str]| {
        let terms: Vec<Value> = values
            .iter()
            .map(|zone| {
                json!({"matchExpressions": [
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]})
            })
            .collect();
        one(&json!({"affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}}))
    };
    assert_only(
        &terms(&["zone-b", "zone-c"]),
        &decided,
        "its labels are not what pod default/web-0 asks for",
    );
    assert_eq!(found(&terms(&["zone-b", "zone-a"]), &decided), [""; 0]);

    let large = small::pod("web-0", "web", &json!({}), &json!({"cpu": "3930m"}), None);
    assert_only(&[pool(), large], &decided, "not enough cpu: 3930m of 3920m");
    let gpu = small::pod("web-0", "web", &json!({}), &json!({"nvidia.com/gpu": "1"}), None);
    assert_only(&[pool(), gpu], &decided, "not enough nvidia.com/gpu: 1 of 0");
}

#[test]
fn launches_exist() {
    let objects = [pool(), pod("web-0", &json!({}))];
    let with = |change: fn(&mut Value)| {
        let mut one = claim(&["default/web-0"]);
        change(&mut one);
        decision(&[one], &[])
    };
    let price = with(|it| it["launch"]["price"] = json!(0.16));
    assert_only(&objects, &price, "there is no such offering at 0.16");
    let zone = with(|it| it["launch"]["zone"] = json!("zone-b"));
    assert_only(&objects, &zone, "no value is left for label topology.kubernetes.io/zone");
    let unknown = with(|it| it["instanceTypes"] = json!(["c.xlarge", "c.2xlarge"]));
    assert_only(&objects, &unknown, "c.2xlarge is not in the catalogue");
    let absent = with(|it| {
        it["requirements"][2]["values"] = json!(["zone-c"]);
        it["instanceTypes"] = json!(["c.4xlarge"]);
        it["launch"] = json!({"instanceType": "c.4xlarge", "zone": "zone-b", "capacityType": "on-demand", "price": 0.68});
    });
    assert_only(&objects, &absent, "no value is left for label topology.kubernetes.io/zone");
    let unavailable = with(|it| {
        it["requirements"][1]["values"] = json!(["spot"]);
        it["instanceTypes"] = json!(["m.large"]);
        it["launch"] =
            json!({"instanceType": "m.large", "zone": "zone-a", "capacityType": "spot", "price": 0.024});
    });
    assert_only(&objects, &unavailable, "m.large");
}

#[test]
fn node_pools_keep_what_they_say() {
    let decided = decision(&[claim(&["default/web-0"])], &[]);
    let with = |spec: Value, rest: Value, ready: bool| {
        [small::node_pool("pool-0", &json!({}), spec, &rest, ready), pod("web-0", &json!({}))]
    };
    assert_only(&with(json!({}), json!({}), false), &decided, "the NodePool is not ready");
    let arm = json!({"requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]});
    assert_only(
        &with(arm, json!({}), true),
        &decided,
        "the NodePool asks otherwise of label kubernetes.io/arch",
    );
    let taint = json!({"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]});
    assert_only(&with(taint, json!({}), true), &decided, "does not tolerate dedicated=gpu");
    let soft = json!({"taints": [{"key": "dedicated", "value": "gpu", "effect": "PreferNoSchedule"}]});
    assert_eq!(found(&with(soft, json!({}), true), &decided), [""; 0]);
    let limits = json!({"limits": {"cpu": "3"}});
    assert_only(
        &with(json!({}), limits, true),
        &decided,
        "NodePool pool-0 may have 3 cpu, and could come to 4",
    );
    let nodes = json!({"limits": {"nodes": "0"}});
    assert_only(&with(json!({}), nodes, true), &decided, "NodePool pool-0 may have 0 nodes");
}

#[test]
fn daemons_have_room_and_ports() {
    let daemon = |spec: Value| {
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "kube-system"},
            "spec": {"template": {"spec": spec}}})
    };
    let ports = json!([{"hostPort": 9100}]);
    let decided = decision(&[claim(&["default/web-0"])], &[]);
    let hungry = json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "3"}}}]});
    assert_only(
        &[pool(), pod("web-0", &json!({})), daemon(hungry.clone())],
        &decided,
        "not enough cpu: 4 of 3920m",
    );
    let mut elsewhere = hungry;
    elsewhere["nodeSelector"] = json!({"kubernetes.io/arch": "arm64"});
    assert_eq!(found(&[pool(), pod("web-0", &json!({})), daemon(elsewhere)], &decided), [""; 0]);
    let listening = daemon(json!({"containers": [{"name": "a", "ports": ports}]}));
    let wanting = pod("web-0", &json!({"ports": ports}));
    assert_only(&[pool(), wanting, listening], &decided, "wants a host port of daemon kube-system/agent");
}

#[test]
fn ports_are_taken_once() {
    let on = |address: &str| json!({"ports": [{"hostPort": 80, "hostIP": address}]});
    let decided = decision(&[claim(&["default/web-0", "default/web-1"])], &[]);
    let pair = |one: &str, other: &str| [pool(), pod("web-0", &on(one)), pod("web-1", &on(other))];
    assert_only(&pair("", "10.0.0.1"), &decided, "want the same host port");
    assert_eq!(found(&pair("10.0.0.2", "10.0.0.1"), &decided), [""; 0]);
}

#[test]
fn standing_nodes_have_room() {
    let mut objects = vec![pool(), pod("web-0", &json!({}))];
    objects.extend(small::node("node-0", 0, 0, "pool-0", &json!({})));
    let decided = decision(&[], &[("node-0", &["default/web-0"])]);
    assert_eq!(found(&objects, &decided), [""; 0]);
    objects.push(small::pod("old", "old", &json!({}), &json!({"cpu": "921m"}), Some("node-0")));
    assert_only(&objects, &decided, "node node-0: not enough cpu: 1921m of 1920m");

    let mut leaving = vec![pool(), pod("web-0", &json!({}))];
    leaving.extend(small::node("node-0", 0, 0, "pool-0", &json!({"leaves": true})));
    assert_only(&leaving, &decided, "node node-0 leaves");
    let nowhere = decision(&[], &[("node-9", &["default/web-0"])]);
    assert_only(&objects, &nowhere, "there is no node node-9");
}

#[test]
fn topologies_are_kept() {
    let near = |kind: &str, key: &str| {
        json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}}]}}})
    };
    let together = decision(&[claim(&["default/web-0", "default/web-1"])], &[]);
    let apart = decision(&[claim(&["default/web-0"]), claim(&["default/web-1"])], &[]);
    let both = |spec: &Value| [pool(), pod("web-0", spec), pod("web-1", spec)];
    let hostname = "kubernetes.io/hostname";
    let zone = "topology.kubernetes.io/zone";
    assert_only(&both(&near("podAntiAffinity", hostname)), &together, "are both in kubernetes.io/hostname");
    assert_eq!(found(&both(&near("podAntiAffinity", hostname)), &apart), [""; 0]);
    assert_only(
        &both(&near("podAntiAffinity", zone)),
        &apart,
        "are both in topology.kubernetes.io/zone zone-a",
    );
    assert_eq!(found(&both(&near("podAffinity", hostname)), &together), [""; 0]);
    assert_only(&both(&near("podAffinity", hostname)), &apart, "was to be joined");

    let spread = |key: &str, skew: i64| {
        json!({"topologySpreadConstraints": [{"maxSkew": skew, "topologyKey": key,
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]})
    };
    let mut three = both(&spread(hostname, 1)).to_vec();
    three.push(small::pod("db-0", "db", &json!({}), &json!({"cpu": "1"}), None));
    let uneven = decision(&[claim(&["default/web-0", "default/web-1"]), claim(&["default/db-0"])], &[]);
    assert_only(&three, &uneven, "skew 2 in kubernetes.io/hostname");
    three[1] = pod("web-0", &spread(hostname, 2));
    three[2] = pod("web-1", &spread(hostname, 2));
    assert_eq!(found(&three, &uneven), [""; 0]);
}
