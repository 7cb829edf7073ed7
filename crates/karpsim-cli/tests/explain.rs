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

/// A node for a pod that needs less, in place of the pending pod.
const NODE: &str = r#"- apiVersion: karpenter.sh/v1
  kind: NodeClaim
  metadata: {name: plain-1, uid: c1, labels: {karpenter.sh/nodepool: plain, node.kubernetes.io/instance-type: large, karpenter.sh/capacity-type: on-demand, topology.kubernetes.io/zone: zone-1, kubernetes.io/arch: arm64, kubernetes.io/os: linux, karpenter.sh/registered: "true", karpenter.sh/initialized: "true", kubernetes.io/hostname: node-1}}
  spec: {nodeClassRef: {group: karpenter.test.sh, kind: TestNodeClass, name: default}}
  status:
    providerID: fake://1
    conditions: [{type: Initialized, status: "True"}, {type: Consolidatable, status: "True"}]
- apiVersion: v1
  kind: Node
  metadata: {name: node-1, uid: n1, labels: {karpenter.sh/nodepool: plain, node.kubernetes.io/instance-type: large, karpenter.sh/capacity-type: on-demand, topology.kubernetes.io/zone: zone-1, kubernetes.io/arch: arm64, kubernetes.io/os: linux, karpenter.sh/registered: "true", karpenter.sh/initialized: "true", kubernetes.io/hostname: node-1}}
  spec: {providerID: fake://1}
  status:
    capacity: {cpu: "8", memory: 16Gi, pods: "10"}
    allocatable: {cpu: 7900m, memory: 16Gi, pods: "10"}
    conditions: [{type: Ready, status: "True"}]
- apiVersion: v1
  kind: Pod
  metadata: {name: web, namespace: default, uid: w, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: r, controller: true}]}
  spec: {nodeName: node-1, containers: [{name: a, resources: {requests: {cpu: CPU}}}]}
  status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
"#;

/// The cluster with the node, whose pod asks for so much.
fn with_node(cpu: &str) -> String {
    let (objects, _) = CLUSTER.split_once("- apiVersion: v1\n  kind: Pod").unwrap();
    let on_demand = "requirements: [{key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}, {key: kubernetes.io/arch";
    format!("{objects}{NODE}")
        .replace("kind: provisioning", "kind: disruption")
        .replace("requirements: [{key: kubernetes.io/arch", on_demand)
        .replace("CPU", cpu)
}

fn explain(cluster: &str, what: &str, output: &str) -> Run {
    karpsim(&["explain", "-", what, "-o", output], cluster.as_bytes())
}

#[test]
fn a_pod_that_is_unschedulable() {
    let run = explain(&CLUSTER.replace("CPU", "\"4\""), "pod/default/big", "table");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
pod default/big is unschedulable: NoCompatibleInstanceTypes

NODEPOOL  RULE                                       RULED OUT  REMAINING
tainted   instance types available                                      2
tainted   taint team=ml:NoSchedule is not tolerated          2          0
plain     instance types available                                      2
plain     NodePool: arch In [amd64]                          1          1
plain     insufficient cpu: needs 4, has 1.9                 1          0

NODEPOOL  CLOSEST TYPE  BLOCKED BY
tainted   any           taint team=ml:NoSchedule is not tolerated
plain     small         insufficient cpu: needs 4, has 1.9
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
pod default/big is scheduled to a new node of NodePool plain

NODEPOOL  RULE                       RULED OUT  REMAINING
plain     instance types available                      2
plain     NodePool: arch In [amd64]          1          1

LAUNCH    TYPE   CAPACITY TYPE  ZONE    PRICE
selected  small  on-demand      zone-1   $1/h
Cheapest of 1 available offering(s) of 1 instance type(s).
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
            "error: standard input: pod `default/bog` not found\n  hint: did you mean `pod/default/big`?\n",
        ),
        ("node/a", "error: standard input: node `a` not found\n  hint: the scenario has no nodes\n"),
        ("big", "error: invalid value `big`: expected pod/NAMESPACE/NAME, pod/NAME or node/NAME\n"),
    ] {
        let run = explain(&cluster, what, "table");
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (2, "", said));
    }
}

#[test]
fn budgets_change_with_their_schedules() {
    let cluster = CLUSTER.replace("CPU", "\"1\"");
    let run =
        karpsim(&["budget", "-", "--from", "2026-01-05", "--to", "2026-01-06T09:30:00Z"], cluster.as_bytes());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
FROM                  NODEPOOL  NODES  DISRUPTING  EMPTY  DRIFTED  UNDERUTILIZED  BUDGETS
2026-01-05T00:00:00Z  plain         0           0      0        0              0  50%
2026-01-05T00:00:00Z  tainted       0           0      0        0              0  10%
2026-01-05T09:00:00Z  plain         0           0      0        0              0  50%; 0 for Underutilized, at 0 9 * * 1-5 for 8h
2026-01-05T17:00:00Z  plain         0           0      0        0              0  50%
2026-01-06T09:00:00Z  plain         0           0      0        0              0  50%; 0 for Underutilized, at 0 9 * * 1-5 for 8h
"
    );
    let run = karpsim(&["budget", "-", "--from", "yesterday"], cluster.as_bytes());
    assert_eq!(run.code, 2);
    let sentence = "invalid value 'yesterday' for '--from <TIME>': expected a time such as 2026-09-01T12:00:00Z, or a date \
                    such as 2026-09-01\n";
    assert!(run.err.contains(sentence), "{}", run.err);
}

#[test]
fn a_node_that_is_replaced() {
    let run = explain(&with_node("\"1\""), "node/node-1", "table");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
node node-1 of NodePool plain: large on-demand in zone-1, 1 pod(s), 1 reschedulable

METHOD                     EVENT  BUDGET  RESULT
emptiness                  -      -       it has pods
static-drift               -      -       its NodePool is not static
drift                      -      -       it has not drifted (condition Drifted)
multi-node-consolidation   -      1 of 1  consolidatable alone, but no multi-node command was found
single-node-consolidation  -      1 of 1  replaced by small on-demand in zone-1 at $1/h

SINGLE-NODE CONSOLIDATION
current price               $3.5/h
disruption cost             2.000
replacement nodes           1
compatible instance types   1
cheaper in the worst case   1
cheapest replacement        small on-demand in zone-1 at $1/h
cheapest in the worst case  small at $1/h
minimum savings             $2.5/h
"
    );
    let run = explain(&with_node("\"1\""), "pod/web", "table");
    assert_eq!((run.code, run.out.as_str()), (0, "pod default/web is bound to node node-1\n"));
}

#[test]
fn a_node_whose_pod_has_no_other_place() {
    let run = explain(&with_node("\"3\""), "node/node-1", "table");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "\
node node-1 of NodePool plain: large on-demand in zone-1, 1 pod(s), 1 reschedulable

METHOD                     EVENT             BUDGET  RESULT
emptiness                  -                 -       it has pods
static-drift               -                 -       its NodePool is not static
drift                      -                 -       it has not drifted (condition Drifted)
multi-node-consolidation   Unconsolidatable  1 of 1  1 pod(s) would be unschedulable: default/web
single-node-consolidation  Unconsolidatable  1 of 1  1 pod(s) would be unschedulable: default/web

SINGLE-NODE CONSOLIDATION
current price              $3.5/h
disruption cost            2.000

UNSCHEDULABLE POD  REASON
default/web        NodePool tainted: taint team=ml:NoSchedule is not tolerated; NodePool plain: insufficient cpu: needs 3, has 1.9 (small)
"
    );
}

#[test]
fn budgets_of_a_node() {
    let run = karpsim(
        &["budget", "-", "--from", "2026-01-05T00:00:00Z", "--to", "2026-01-05T20:00:00Z"],
        with_node("\"1\"").as_bytes(),
    );
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let rows: Vec<&str> = run.out.lines().filter(|line| line.contains(" plain ")).collect();
    assert_eq!(
        rows,
        [
            "2026-01-05T00:00:00Z  plain         1           0      1        1              1  50%",
            "2026-01-05T09:00:00Z  plain         1           0      1        1              0  50%; 0 for Underutilized, at 0 9 * * 1-5 for 8h",
            "2026-01-05T17:00:00Z  plain         1           0      1        1              1  50%",
        ]
    );
}
