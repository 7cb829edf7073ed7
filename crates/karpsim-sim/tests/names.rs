//! Nodes and NodeClaims have different names in every real cluster. They belong together by provider id and
//! `status.nodeName`, and by nothing else.

mod common;

use common::{catalogue, play};
use karpsim_sim::{Names, ReplayOptions, ReplayResult, Trace, replay};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AWS: [&str; 2] = ["karpenter.k8s.aws", "EC2NodeClass"];

fn node_pool(name: &str, class: [&str; 2]) -> Value {
    json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": name}, "spec": {
        "disruption": {"consolidateAfter": "30s"},
        "template": {"spec": {"requirements": [],
            "nodeClassRef": {"group": class[0], "kind": class[1], "name": "default"}}}}})
}

/// A NodeClaim and its node, both initialized.
fn found(claim: &str, node: &str, instance: &str, class: [&str; 2]) -> [Value; 2] {
    let labels = json!({"karpenter.sh/nodepool": "p", "node.kubernetes.io/instance-type": "m5.xlarge",
        "karpenter.sh/capacity-type": "on-demand", "topology.kubernetes.io/zone": "us-west-2a"});
    let mut of_node = labels.clone();
    of_node["karpenter.sh/registered"] = "true".into();
    of_node["karpenter.sh/initialized"] = "true".into();
    of_node["kubernetes.io/hostname"] = node.into();
    let resources = json!({"cpu": "4", "memory": "14Gi", "pods": "58"});
    let conditions: Vec<Value> = ["Launched", "Registered", "Initialized", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True"}))
        .to_vec();
    let id = format!("aws:///us-west-2a/{instance}");
    [
        json!({"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim",
            "metadata": {"name": claim, "finalizers": ["karpenter.sh/termination"], "labels": labels},
            "spec": {"requirements": [], "nodeClassRef": {"group": class[0], "kind": class[1], "name": "default"}},
            "status": {"providerID": id, "nodeName": node, "capacity": resources, "allocatable": resources,
                "conditions": conditions}}),
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": node, "finalizers": ["karpenter.sh/termination"], "labels": of_node},
            "spec": {"providerID": id},
            "status": {"capacity": resources, "allocatable": resources,
                "conditions": [{"type": "Ready", "status": "True"}]}}),
    ]
}

fn deployment(replicas: usize) -> Value {
    let container = json!({"name": "c", "resources": {"requests": {"cpu": "1500m"}}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}}})
}

fn trace(objects: &[Value], events: &[Value], options: &Value) -> Trace {
    let text = json!({"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "name": "t", "end": 1200,
        "catalogue": {"name": "aws/us-west-2", "include": ["m5.xlarge", "m5.large"]},
        "options": options, "objects": objects, "events": events});
    Trace::read(text.to_string().as_bytes()).unwrap()
}

fn result(trace: &Trace) -> ReplayResult {
    replay(trace, &ReplayOptions::default(), catalogue(trace)).unwrap()
}

#[test]
fn an_empty_node_of_another_name_is_removed() {
    let [claim, node] = found("p-x7k2p", "ip-10-0-0-1", "i-0abc", AWS);
    let pool = node_pool("p", AWS);
    // In whichever order a dump lists them.
    for objects in [[&pool, &claim, &node], [&pool, &node, &claim], [&node, &claim, &pool]] {
        let result = result(&trace(&objects.map(Clone::clone), &[], &json!({})));
        let [decision] = result.decisions.as_slice() else { panic!("{:?}", result.decisions) };
        // 30 s of consolidateAfter end at a pass, validation takes 15 s.
        assert_eq!((decision.at, decision.kind, decision.reason), (45.0, "disrupt", "Empty"));
        let [removed] = decision.removed.as_slice() else { panic!("{decision:?}") };
        let shown = (removed.name.as_str(), removed.node_pool.as_str(), removed.instance_type.as_str());
        assert_eq!(shown, ("p-x7k2p", "p", "m5.xlarge"));
        let [record] = result.nodes.as_slice() else { panic!("{:?}", result.nodes) };
        // A drain of 5 s at least, and 30 s until the instance is gone.
        assert_eq!(
            (record.name.as_str(), record.disrupted, record.gone),
            ("p-x7k2p", Some(45.0), Some(80.0))
        );
        assert!((record.cost_usd - 80.0 / 3600.0 * 0.192).abs() < 1e-8, "{}", record.cost_usd);
        assert_eq!(result.totals.nodes_removed, 1);
    }
}

/// Four nodes, too many for their pods: some are empty, and some are consolidated; one is deleted, one interrupted.
fn running_cluster(names: impl Fn(usize) -> [String; 2]) -> ReplayResult {
    let mut objects = vec![node_pool("p", AWS)];
    for number in 0..6 {
        let [claim, node] = names(number);
        objects.extend(found(&claim, &node, &format!("i-{number}"), AWS));
    }
    objects.push(deployment(8));
    let [claim, node] = names(1);
    let [_, interrupted] = names(2);
    let events = [
        json!({"at": 20, "interrupt": {"nodes": [interrupted], "reason": "spot", "notice": 120}}),
        json!({"at": 40, "delete": {"kind": "Node", "name": node}}),
        json!({"at": 400, "delete": {"kind": "NodeClaim", "name": claim}}),
        json!({"at": 500, "scale": {"kind": "Deployment", "name": "web", "namespace": "default", "replicas": 3}}),
        json!({"at": 900, "scale": {"kind": "Deployment", "name": "web", "namespace": "default", "replicas": 9}}),
    ];
    result(&trace(&objects, &events, &json!({})))
}

#[test]
fn names_decide_nothing() {
    let same = running_cluster(|number| [format!("n-{number}"), format!("n-{number}")]);
    assert!(same.totals.nodes_removed >= 4 && same.warnings.is_empty(), "{same:?}");
    let kinds: BTreeSet<&str> = same.decisions.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, BTreeSet::from(["delete", "disrupt", "interrupt", "provision"]));
    let told = |result: &ReplayResult, names: &dyn Fn(usize) -> [String; 2]| {
        let mut text = serde_json::to_string(result).unwrap();
        for number in 0..6 {
            for name in names(number) {
                text = text.replace(&format!("\"{name}\""), &format!("\"n-{number}\""));
            }
        }
        text
    };
    let plain = told(&same, &|number| [format!("n-{number}"), format!("n-{number}")]);
    // The order of names stays, for it breaks ties; apart from that they are anything, names of any form.
    let others: [&dyn Fn(usize) -> [String; 2]; 3] = [
        &|number| [format!("n-{number}"), format!("n-{number}.us-west-2.compute.internal")],
        &|number| [format!("nodeclaim-{number}"), format!("ip-10-0-0-{number}")],
        &|number| [format!("o-{}", number + 1), format!("n-{number}-node")],
    ];
    for names in others {
        assert_eq!(told(&running_cluster(names), names), plain, "{:?}", names(0));
    }
}

#[test]
fn a_node_that_has_the_name_of_anothers_node_claim_is_left_alone() {
    // The NodeClaim `b` is that of the node `a`, and the other way round; only `a`'s node is empty.
    let mut objects = vec![node_pool("p", AWS)];
    objects.extend(found("b", "a", "i-1", AWS));
    objects.extend(found("a", "b", "i-2", AWS));
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "w", "namespace": "default",
        "annotations": {"karpenter.sh/do-not-disrupt": "true"}},
        "spec": {"nodeName": "b", "containers": [{"name": "c", "resources": {"requests": {"cpu": "3"}}}]}});
    objects.push(pod);
    let result = result(&trace(&objects, &[], &json!({})));
    let gone: Vec<&str> =
        result.nodes.iter().filter(|node| node.gone.is_some()).map(|node| node.name.as_str()).collect();
    assert_eq!(gone, ["b"]);
}

#[test]
fn static_node_pools_need_their_gate() {
    let mut pool = node_pool("gw", AWS);
    pool["spec"]["replicas"] = 2.into();
    let mut second = node_pool("second", AWS);
    second["spec"]["replicas"] = 1.into();
    let off = result(&trace(&[pool.clone(), second], &[], &json!({})));
    assert_eq!((off.nodes.len(), off.decisions.len()), (0, 0));
    assert_eq!(
        off.warnings,
        [
            "NodePool with `replicas`: has no effect: the feature gate StaticCapacity is off (enable it with --feature-gates StaticCapacity=true)"
        ]
    );
    let gate = json!({"featureGates": {"staticCapacity": true}});
    let on = result(&trace(std::slice::from_ref(&pool), &[], &gate));
    assert_eq!((on.totals.nodes_launched, on.warnings.len()), (2, 0), "{:?}", on.warnings);
    // What belongs to another provider's Karpenter is not made here, gate or not.
    let mut foreign = node_pool("gw", ["karpenter.azure.com", "AKSNodeClass"]);
    foreign["spec"]["replicas"] = 2.into();
    let result = result(&trace(&[foreign], &[], &gate));
    assert_eq!((result.nodes.len(), result.decisions.len()), (0, 0));
    assert_eq!(
        result.warnings,
        [
            "NodePools of the node class AKSNodeClass (karpenter.azure.com) are another Karpenter's: nothing is done \
          about them"
        ]
    );
}

#[test]
fn node_claims_of_another_provider_are_not_waited_for() {
    let azure = ["karpenter.azure.com", "AKSNodeClass"];
    let [mut claim, _] = found("q-1", "", "", azure);
    claim["status"] = json!({});
    let objects = [node_pool("p", AWS), claim, deployment(1)];
    let result = result(&trace(&objects, &[], &json!({})));
    assert_eq!(result.totals.nodes_launched, 1);
    assert_eq!(result.totals.pods_never_bound, 0);
    // An empty node of theirs stays, and so does its cost.
    let mut objects = vec![node_pool("p", AWS)];
    objects.extend(found("p-1", "ip-10-0-0-1", "i-1", azure));
    let kept = replay(&trace(&objects, &[], &json!({})), &ReplayOptions::default(), {
        let trace = trace(&[], &[], &json!({}));
        catalogue(&trace)
    })
    .unwrap();
    assert_eq!((kept.decisions.len(), kept.nodes[0].gone), (0, None));
}

#[test]
fn realistic_names_are_those_of_a_real_cluster() {
    let play = |seed| {
        let options = ReplayOptions { names: Names::Realistic, seed: Some(seed), ..ReplayOptions::default() };
        play("traces/e2e/pdb.trace.json", &options)
    };
    let (one, two) = (play(1), play(2));
    let names = |result: &ReplayResult| -> Vec<String> {
        result.nodes.iter().map(|it| it.name.to_string()).collect()
    };
    let made = one.nodes.iter().filter(|node| node.node_pool.is_some());
    for node in made {
        let pool = node.node_pool.as_deref().unwrap();
        let suffix = node.name.strip_prefix(pool).and_then(|rest| rest.strip_prefix('-')).unwrap();
        let is_letter = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
        assert!(suffix.len() == 5 && suffix.chars().all(is_letter), "{}", node.name);
    }
    assert_ne!(names(&one), names(&two));
    assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&play(1)).unwrap());
}

/// A round plans all pods anew, and picks among nodes that are alike by name: what an earlier round planned must not count
/// beside it, or Karpenter binds two pods to a node that holds one.
#[test]
fn a_pod_is_planned_on_one_node_when_karpenter_binds() {
    let totals = |names, seed| {
        let options = ReplayOptions { names, seed: Some(seed), ..ReplayOptions::default() };
        play("traces/resnet-gpu.json", &options).totals
    };
    let numbered = totals(Names::Numbered, 0);
    for seed in 1..=4 {
        assert_eq!(totals(Names::Realistic, seed), numbered, "seed {seed}");
    }
}
