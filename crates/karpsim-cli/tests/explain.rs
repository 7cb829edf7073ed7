//! `karpsim explain` and `karpsim budget` as their users meet them.

mod program;

use program::{Run, karpsim};
use serde_json::Value;

const CLUSTER: &str = r#"
name: cluster
kind: provisioning
now: 2026-01-05T00:00:00Z
catalogue:
  provider: fake
  instanceTypes:
  - &small
    name: small
    requirements: &requirements
    - {key: node.kubernetes.io/instance-type, operator: In, values: [small]}
    - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
    - {key: topology.kubernetes.io/zone, operator: In, values: [zone-1]}
    - {key: kubernetes.io/os, operator: In, values: [linux]}
    - {key: kubernetes.io/arch, operator: In, values: [amd64]}
    capacity: {cpu: "2", memory: 4Gi, pods: "10"}
    overhead: {kubeReserved: {cpu: 100m}}
    offerings: &offerings
    - requirements:
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: topology.kubernetes.io/zone, operator: In, values: [zone-1]}
      price: 1
      available: true
  - name: large
    requirements:
    - {key: node.kubernetes.io/instance-type, operator: In, values: [large]}
    - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
    - {key: topology.kubernetes.io/zone, operator: In, values: [zone-1]}
    - {key: kubernetes.io/os, operator: In, values: [linux]}
    - {key: kubernetes.io/arch, operator: In, values: [arm64]}
    capacity: {cpu: "8", memory: 16Gi, pods: "10"}
    overhead: {kubeReserved: {cpu: 100m}}
    offerings:
    - requirements:
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: topology.kubernetes.io/zone, operator: In, values: [zone-1]}
      price: 3.5
      available: true
objects:
- apiVersion: karpenter.sh/v1
  kind: NodePool
  metadata: {name: tainted, uid: p1}
  spec:
    weight: 10
    template:
      spec:
        nodeClassRef: {group: karpenter.test.sh, kind: TestNodeClass, name: default}
        requirements: []
        taints: [{key: team, value: ml, effect: NoSchedule}]
  status: &ready
    conditions:
    - {type: ValidationSucceeded, status: "True"}
    - {type: NodeClassReady, status: "True"}
    - {type: Ready, status: "True"}
- apiVersion: karpenter.sh/v1
  kind: NodePool
  metadata: {name: plain, uid: p2}
  spec:
    disruption:
      consolidateAfter: 0s
      consolidationPolicy: WhenEmptyOrUnderutilized
      budgets:
      - {nodes: "50%"}
      - {nodes: "0", schedule: "0 9 * * 1-5", duration: 8h, reasons: [Underutilized]}
    template:
      spec:
        nodeClassRef: {group: karpenter.test.sh, kind: TestNodeClass, name: default}
        requirements: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]
  status:
    conditions:
    - {type: ValidationSucceeded, status: "True"}
    - {type: NodeClassReady, status: "True"}
    - {type: Ready, status: "True"}
- apiVersion: v1
  kind: Pod
  metadata: {name: big, namespace: default, uid: a}
  spec: {containers: [{name: a, resources: {requests: {cpu: CPU}}}]}
  status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable}]}
"#;

fn explain(cluster: &str, what: &str, output: &str) -> Run {
    karpsim(&["explain", "-", what, "-o", output], cluster.as_bytes())
}

#[test]
fn a_pod_that_is_left_over() {
    let run = explain(&CLUSTER.replace("CPU", "\"4\""), "pod/default/big", "table");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
pod default/big is left over: NoCompatibleInstanceTypes

NODEPOOL  RULE                                       REMOVED  LEFT
tainted   instance types offered                                 2
tainted   taint team=ml:NoSchedule is not tolerated        2     0
plain     instance types offered                                 2
plain     NodePool: arch In [amd64]                        1     1
plain     needs cpu 4, has 1.9                             1     0

NODEPOOL  NEAREST  WHAT STANDS IN THE WAY
tainted   any      taint team=ml:NoSchedule is not tolerated
plain     small    needs cpu 4, has 1.9
"
    );
}

#[test]
fn a_pod_that_gets_a_node() {
    let run = explain(&CLUSTER.replace("CPU", "\"1\""), "pod/big", "table");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
pod default/big goes to a new node of NodePool plain

NODEPOOL  RULE                       REMOVED  LEFT
plain     instance types offered                 2
plain     NodePool: arch In [amd64]        1     1

LAUNCH  TYPE   CAPACITY TYPE  ZONE    PRICE
chosen  small  on-demand      zone-1   $1/h
the cheapest of 1 available offering(s) of 1 instance type(s)
"
    );
    let run = explain(&CLUSTER.replace("CPU", "\"1\""), "pod/big", "json");
    let explanation: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(explanation["outcome"], "launch");
    assert_eq!(explanation["chosen"]["instanceType"], "small");
}

#[test]
fn what_is_not_there_is_said() {
    let cluster = CLUSTER.replace("CPU", "\"1\"");
    for (what, said) in [
        (
            "pod/default/bog",
            "error: standard input: holds no pod `default/bog`\n  hint: did you mean `pod/default/big`?\n",
        ),
        ("node/a", "error: standard input: holds no node `a`\n  hint: it holds no nodes at all\n"),
        ("big", "error: found `big`, allowed is pod/NAMESPACE/NAME, pod/NAME or node/NAME\n"),
    ] {
        let run = explain(&cluster, what, "table");
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (2, "", said));
    }
}

#[test]
fn budgets_change_with_their_schedules() {
    let cluster = CLUSTER.replace("CPU", "\"1\"");
    let run = karpsim(
        &["budget", "-", "--from", "2026-01-05T00:00:00Z", "--to", "2026-01-06T09:30:00Z"],
        cluster.as_bytes(),
    );
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
FROM                  NODEPOOL  NODES  DISRUPTING  EMPTY  DRIFTED  UNDERUTILIZED  BUDGETS
2026-01-05T00:00:00Z  plain         0           0      0        0              0  50%
2026-01-05T00:00:00Z  tainted       0           0      0        0              0
2026-01-05T09:00:00Z  plain         0           0      0        0              0  50%; 0 for Underutilized, at 0 9 * * 1-5 for 8h
2026-01-05T17:00:00Z  plain         0           0      0        0              0  50%
2026-01-06T09:00:00Z  plain         0           0      0        0              0  50%; 0 for Underutilized, at 0 9 * * 1-5 for 8h
"
    );
    let run = karpsim(&["budget", "-", "--from", "yesterday"], cluster.as_bytes());
    assert_eq!(
        (run.code, run.err.as_str()),
        (2, "error: --from: found `yesterday`, allowed is a time such as 2026-01-05T00:00:00Z\n")
    );
}
