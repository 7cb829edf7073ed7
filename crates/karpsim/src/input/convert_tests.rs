use super::convert;
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the value for it")]
fn provisioner(spec: Value) -> Value {
    json!({"apiVersion": "karpenter.sh/v1alpha5", "kind": "Provisioner", "metadata": {"name": "gpu"}, "spec": spec})
}

#[test]
fn the_walk_throughs_provisioner_becomes_a_node_pool_and_a_node_class() {
    let converted = convert(provisioner(json!({
        "requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g4dn.xlarge", "g4dn.2xlarge"]},
        ],
        "taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
        "limits": {"resources": {"gpu": 100}},
        "provider": {
            "subnetSelector": {"karpenter.sh/discovery": "karpenter-cluster"},
            "securityGroupSelector": {"aws-ids": "sg-1, sg-2"},
        },
        "ttlSecondsAfterEmpty": 30,
    })))
    .unwrap();
    assert_eq!(
        converted.objects,
        [
            json!({
                "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "gpu"},
                "spec": {
                    "template": {
                        "metadata": {"labels": {}, "annotations": {}},
                        "spec": {
                            "requirements": [
                                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                                {"key": "node.kubernetes.io/instance-type", "operator": "In",
                                 "values": ["g4dn.xlarge", "g4dn.2xlarge"]},
                                {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                                {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
                            ],
                            "taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
                            "expireAfter": "Never",
                            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"},
                        },
                    },
                    "disruption": {
                        "consolidationPolicy": "WhenEmpty", "consolidateAfter": "30s", "budgets": [{"nodes": "100%"}],
                    },
                    "limits": {"gpu": 100},
                },
            }),
            json!({
                "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "gpu"},
                "spec": {
                    "subnetSelectorTerms": [{"tags": {"karpenter.sh/discovery": "karpenter-cluster"}}],
                    "securityGroupSelectorTerms": [{"id": "sg-1"}, {"id": "sg-2"}],
                },
            }),
        ]
    );
    assert_eq!(converted.notices, []);
}

#[test]
fn disruption_of_a_provisioner() {
    for (spec, policy, after, expire) in [
        (json!({}), "WhenEmpty", "Never", "Never"),
        (json!({"consolidation": {"enabled": true}}), "WhenEmptyOrUnderutilized", "0s", "Never"),
        (json!({"consolidation": {"enabled": false}}), "WhenEmpty", "Never", "Never"),
        (json!({"ttlSecondsAfterEmpty": 0, "ttlSecondsUntilExpired": 3600}), "WhenEmpty", "0s", "3600s"),
    ] {
        let pool = convert(provisioner(spec.clone())).unwrap().objects.remove(0);
        assert_eq!(pool["spec"]["disruption"]["consolidationPolicy"], policy, "{spec}");
        assert_eq!(pool["spec"]["disruption"]["consolidateAfter"], after, "{spec}");
        assert_eq!(pool["spec"]["template"]["spec"]["expireAfter"], expire, "{spec}");
    }
}

#[test]
fn a_provisioner_that_narrows_nothing_gets_the_defaults_of_its_time() {
    let keys = |spec| {
        let pool = convert(provisioner(spec)).unwrap().objects.remove(0);
        let requirements = pool["spec"]["template"]["spec"]["requirements"].as_array().unwrap().clone();
        requirements
            .iter()
            .map(|r| {
                format!("{} {} {}", r["key"].as_str().unwrap(), r["operator"].as_str().unwrap(), r["values"])
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys(json!({})),
        [
            "karpenter.sh/capacity-type In [\"on-demand\"]",
            "kubernetes.io/arch In [\"amd64\"]",
            "kubernetes.io/os In [\"linux\"]",
            "karpenter.k8s.aws/instance-category In [\"c\",\"m\",\"r\"]",
            "karpenter.k8s.aws/instance-generation Gt [\"2\"]",
        ]
    );
    assert_eq!(
        keys(json!({
            "labels": {"karpenter.sh/capacity-type": "spot"},
            "requirements": [{"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["c6g"]},
                             {"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["arm64"]}],
        })),
        [
            "karpenter.k8s.aws/instance-family In [\"c6g\"]",
            "beta.kubernetes.io/arch In [\"arm64\"]",
            "kubernetes.io/os In [\"linux\"]",
        ]
    );
}

#[test]
fn what_is_wrong_with_a_provisioner_is_said() {
    for (spec, sentence, hint) in [
        (
            json!({"ttlSecondsAfterEmty": 30}),
            "Provisioner `gpu`: `spec`: unknown field `ttlSecondsAfterEmty`",
            Some("did you mean `ttlSecondsAfterEmpty`?"),
        ),
        (
            json!({"ttlSecondsAfterEmpty": "30s"}),
            "Provisioner `gpu`: `spec.ttlSecondsAfterEmpty`: invalid value \"30s\": expected a number of seconds, 0 or more",
            None,
        ),
        (
            json!({"ttlSecondsUntilExpired": -1}),
            "Provisioner `gpu`: `spec.ttlSecondsUntilExpired`: invalid value `-1`: expected a number of seconds, 0 or more",
            None,
        ),
        (
            json!({"ttlSecondsAfterEmpty": 30, "consolidation": {"enabled": true}}),
            "Provisioner `gpu`: `spec`: `consolidation.enabled` and `ttlSecondsAfterEmpty` are mutually exclusive",
            None,
        ),
        (
            json!({"provider": {"x": 1}, "providerRef": {"name": "default"}}),
            "Provisioner `gpu`: `spec`: `provider` and `providerRef` are mutually exclusive",
            None,
        ),
        (
            json!({"provider": {"subnetSelectors": {}}}),
            "Provisioner `gpu`: `spec.provider`: unknown field `subnetSelectors`",
            Some("did you mean `subnetSelector`?"),
        ),
        (json!({"limits": [1]}), "Provisioner `gpu`: `spec.limits`: expected an object, found a list", None),
    ] {
        let problem = convert(provisioner(spec)).unwrap_err();
        assert_eq!(problem.to_string(), sentence);
        assert_eq!(problem.hint().as_deref(), hint, "{sentence}");
    }
}

#[test]
fn what_a_provisioner_loses_is_said() {
    let converted = convert(provisioner(json!({
        "kubeletConfiguration": {"maxPods": 20},
        "provider": {"launchTemplate": "lt", "amiFamily": "Bottlerocket", "instanceProfile": "p"},
    })))
    .unwrap();
    assert_eq!(
        converted.notices.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "Provisioner `gpu`: `spec.provider.launchTemplate`: not converted to karpenter.sh/v1: an EC2NodeClass has no \
             custom launch template",
            "Provisioner `gpu`: `spec.kubeletConfiguration`: not converted to karpenter.sh/v1: kubelet settings belong \
             to the node class, and capacity and overhead come from the catalogue",
        ]
    );
    assert_eq!(
        converted.objects[1]["spec"],
        json!({"amiSelectorTerms": [{"alias": "bottlerocket@latest"}], "instanceProfile": "p"})
    );
}

#[test]
fn v1beta1_becomes_v1() {
    let converted = convert(json!({
        "apiVersion": "karpenter.sh/v1beta1", "kind": "NodePool", "metadata": {"name": "default"},
        "spec": {
            "template": {
                "metadata": {"labels": {"team": "a"}},
                "spec": {
                    "nodeClassRef": {"apiVersion": "karpenter.k8s.aws/v1beta1", "kind": "EC2NodeClass", "name": "default"},
                    "requirements": [], "kubelet": {"maxPods": 110},
                },
            },
            "disruption": {"consolidationPolicy": "WhenUnderutilized", "expireAfter": "24h"},
            "limits": {"cpu": 10}, "weight": 3,
        },
    }))
    .unwrap();
    assert_eq!(
        converted.objects,
        [json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "default"},
            "spec": {
                "template": {
                    "metadata": {"labels": {"team": "a"}},
                    "spec": {
                        "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                        "requirements": [], "expireAfter": "24h",
                    },
                },
                "disruption": {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "0s"},
                "limits": {"cpu": 10}, "weight": 3,
            },
        })]
    );
    assert_eq!(converted.notices.len(), 1);

    let claim = convert(json!({
        "apiVersion": "karpenter.sh/v1beta1", "kind": "NodeClaim", "metadata": {"name": "default-x"},
        "spec": {"nodeClassRef": {"name": "default"}, "requirements": []},
        "status": {"providerID": "aws:///i-1"},
    }))
    .unwrap();
    assert_eq!(
        claim.objects,
        [json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"name": "default-x"},
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                "requirements": [],
            },
            "status": {"providerID": "aws:///i-1"},
        })]
    );
}

#[test]
fn what_is_new_already_comes_back_as_it_is() {
    for object in [
        json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "a"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"anything": 1}}),
        json!({"kind": "Provisioner"}),
        json!(3),
    ] {
        assert!(!super::is_old(&object));
        assert_eq!(convert(object.clone()).unwrap().objects, [object]);
    }
}
