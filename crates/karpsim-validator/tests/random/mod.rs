//! Small random scenarios: a [`Plan`] of choices, which shrinks well, and the objects that it stands for.

use crate::small;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
const APPS: [&str; 3] = ["web", "db", "batch"];

/// What a scenario is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pools: Vec<Pool>,
    workloads: Vec<Workload>,
    nodes: Vec<Node>,
    daemons: Vec<Daemon>,
    ignores_preferences: bool,
    relaxes_min_values: bool,
}

#[derive(Debug, Clone)]
struct Pool {
    requirements: Vec<Value>,
    team: Option<&'static str>,
    taint: Option<&'static str>,
    weight: Option<i64>,
    limit: Option<(&'static str, &'static str)>,
    ready: bool,
}

#[derive(Debug, Clone)]
struct Workload {
    replicas: usize,
    app: usize,
    cpu: &'static str,
    memory: &'static str,
    gpus: i64,
    selector: Option<(&'static str, &'static str)>,
    terms: Vec<Vec<Value>>,
    preferred: Option<Value>,
    spread: Option<(&'static str, i64, &'static str, Option<i64>)>,
    affinity: Option<(&'static str, &'static str, usize)>,
    soft_affinity: Option<&'static str>,
    tolerates: Option<Value>,
    port: Option<i64>,
}

#[derive(Debug, Clone)]
struct Node {
    of_type: usize,
    zone: usize,
    pool: usize,
    pods: Vec<(usize, &'static str, bool)>,
    taint: Option<&'static str>,
    leaves: bool,
    marked: bool,
    /// Without a NodeClaim.
    foreign: bool,
    team: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Daemon {
    cpu: &'static str,
    arch: Option<&'static str>,
    tolerates: bool,
    port: Option<i64>,
}

/// Plans of scenarios.
pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let parts = (vec(pool(), 1..4), vec(workload(), 1..6), vec(node(), 0..4), vec(daemon(), 0..3));
    (parts, weighted(0.15, Just(())), weighted(0.2, Just(()))).prop_map(|(parts, ignores, relaxes)| Plan {
        pools: parts.0,
        workloads: parts.1,
        nodes: parts.2,
        daemons: parts.3,
        ignores_preferences: ignores.is_some(),
        relaxes_min_values: relaxes.is_some(),
    })
}

fn expression(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({"key": key, "operator": operator, "values": values})
}

/// Expressions over labels that nodes have, can have, or cannot have.
fn expressions() -> impl Strategy<Value = Value> {
    select(vec![
        expression(ZONE, "In", &["zone-a", "zone-b"]),
        expression(ZONE, "In", &["zone-c"]),
        expression(ZONE, "NotIn", &["zone-a"]),
        expression("kubernetes.io/arch", "In", &["amd64"]),
        expression("kubernetes.io/arch", "In", &["arm64", "amd64"]),
        expression("beta.kubernetes.io/arch", "NotIn", &["arm64"]),
        expression("karpenter.sh/capacity-type", "In", &["on-demand"]),
        expression("karpenter.sh/capacity-type", "In", &["spot", "on-demand"]),
        expression("karpenter.k8s.aws/instance-category", "In", &["c", "m"]),
        expression("karpenter.k8s.aws/instance-category", "NotIn", &["c"]),
        expression("karpenter.k8s.aws/instance-gpu-count", "Exists", &[]),
        expression("karpenter.k8s.aws/instance-gpu-count", "DoesNotExist", &[]),
        expression("karpenter.k8s.aws/instance-gpu-count", "Gt", &["1"]),
        expression("example.com/generation", "Gt", &["3"]),
        expression("example.com/generation", "Lt", &["7"]),
        expression("example.com/generation", "In", &["2", "5", "8"]),
        expression("team", "In", &["red"]),
        expression("team", "NotIn", &["blue"]),
        expression("team", "Exists", &[]),
        expression("team", "DoesNotExist", &[]),
    ])
}

fn team() -> impl Strategy<Value = Option<&'static str>> {
    weighted(0.4, select(vec!["red", "blue"]))
}

fn taint() -> impl Strategy<Value = Option<&'static str>> {
    weighted(0.25, select(vec!["NoSchedule", "PreferNoSchedule", "NoExecute"]))
}

fn pool() -> impl Strategy<Value = Pool> {
    let with_min_values = (expressions(), weighted(0.15, 1i64..3)).prop_map(|(mut expression, least)| {
        if let Some(least) = least {
            expression["minValues"] = json!(least);
        }
        expression
    });
    let limits = select(vec![
        ("cpu", "8"),
        ("cpu", "40"),
        ("memory", "24Gi"),
        ("nodes", "2"),
        ("nvidia.com/gpu", "1"),
    ]);
    (
        vec(with_min_values, 0..3),
        team(),
        taint(),
        weighted(0.4, select(vec![1, 10, 100])),
        weighted(0.25, limits),
        weighted(0.9, Just(())),
    )
        .prop_map(|(requirements, team, taint, weight, limit, ready)| Pool {
            requirements,
            team,
            taint,
            weight,
            limit,
            ready: ready.is_some(),
        })
}

fn workload() -> impl Strategy<Value = Workload> {
    let selector = select(vec![
        (ZONE, "zone-b"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/arch", "arm64"),
        ("team", "red"),
        ("karpenter.sh/capacity-type", "spot"),
        ("node.kubernetes.io/instance-type", "m.2xlarge"),
    ]);
    let spread = (
        select(vec![ZONE, HOSTNAME, "karpenter.sh/capacity-type", "team"]),
        1i64..3,
        select(vec!["DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"]),
        weighted(0.2, 2i64..4),
    );
    let affinity = (
        select(vec!["podAffinity", "podAntiAffinity", "podAntiAffinity"]),
        select(vec![HOSTNAME, ZONE]),
        0..APPS.len(),
    );
    let tolerations = select(vec![
        json!({"key": "dedicated", "operator": "Exists"}),
        json!({"key": "dedicated", "value": "some", "effect": "NoSchedule"}),
        json!({"operator": "Exists"}),
    ]);
    let shape = (
        1usize..7,
        0..APPS.len(),
        select(vec!["100m", "500m", "1", "3", "7"]),
        select(vec!["128Mi", "1Gi", "4Gi", "12Gi"]),
        prop_oneof![8 => Just(0i64), 1 => 1i64..3],
    );
    let placement = (
        weighted(0.3, selector),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(vec(expressions(), 1..3), 1..3)],
        weighted(0.2, expressions()),
        weighted(0.35, spread),
        weighted(0.35, affinity),
        weighted(0.1, select(vec![ZONE, HOSTNAME])),
    );
    (shape, placement, weighted(0.4, tolerations), weighted(0.12, select(vec![80i64, 9100]))).prop_map(
        |(shape, placement, tolerates, port)| Workload {
            replicas: shape.0,
            app: shape.1,
            cpu: shape.2,
            memory: shape.3,
            gpus: shape.4,
            selector: placement.0,
            terms: placement.1,
            preferred: placement.2,
            spread: placement.3,
            affinity: placement.4,
            soft_affinity: placement.5,
            tolerates,
            port,
        },
    )
}

fn node() -> impl Strategy<Value = Node> {
    let pods = vec((0..APPS.len(), select(vec!["100m", "500m", "1"]), any::<bool>()), 0..4);
    let flags = (weighted(0.15, Just(())), weighted(0.1, Just(())), weighted(0.2, Just(())));
    (0..small::TYPES.len(), 0..3usize, 0..3usize, pods, taint(), flags, team()).prop_map(
        |(of_type, zone, pool, pods, taint, flags, team)| Node {
            of_type,
            zone,
            pool,
            pods,
            taint,
            leaves: flags.0.is_some(),
            marked: flags.1.is_some(),
            foreign: flags.2.is_some(),
            team,
        },
    )
}

fn daemon() -> impl Strategy<Value = Daemon> {
    (
        select(vec!["50m", "250m", "1"]),
        weighted(0.3, select(vec!["amd64", "arm64"])),
        any::<bool>(),
        weighted(0.3, Just(9100i64)),
    )
        .prop_map(|(cpu, arch, tolerates, port)| Daemon { cpu, arch, tolerates, port })
}

impl Plan {
    /// The scenario's options.
    pub(crate) fn options(&self) -> Value {
        let mut options = json!({});
        if self.ignores_preferences {
            options["preferencePolicy"] = json!("Ignore");
        }
        if self.relaxes_min_values {
            options["minValuesPolicy"] = json!("BestEffort");
        }
        options
    }

    /// What Karpenter remembers.
    pub(crate) fn memory(&self) -> Value {
        let marked = self.nodes.iter().enumerate().filter(|(_, node)| node.marked);
        json!({"markedForDeletion": marked.map(|(index, _)| format!("node-{index}")).collect::<Vec<_>>()})
    }

    /// The scenario's objects.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let mut objects: Vec<Value> =
            self.pools.iter().enumerate().map(|(index, pool)| pool.object(index)).collect();
        for (index, workload) in self.workloads.iter().enumerate() {
            for replica in 0..workload.replicas {
                let name = format!("{}-{index}-{replica}", APPS[workload.app]);
                objects.push(small::pod(
                    &name,
                    APPS[workload.app],
                    &workload.spec(),
                    &workload.requests(),
                    None,
                ));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            objects.extend(node.objects(index));
        }
        for (index, daemon) in self.daemons.iter().enumerate() {
            objects.push(daemon.object(index));
        }
        objects
    }
}

impl Pool {
    fn object(&self, index: usize) -> Value {
        let labels = self.team.map_or_else(|| json!({}), |team| json!({"team": team}));
        let mut spec = json!({"requirements": self.requirements});
        if let Some(effect) = self.taint {
            spec["taints"] = json!([{"key": "dedicated", "value": "some", "effect": effect}]);
        }
        let mut rest = json!({});
        if let Some(weight) = self.weight {
            rest["weight"] = json!(weight);
        }
        if let Some((resource, amount)) = self.limit {
            rest["limits"] = json!({resource: amount});
        }
        small::node_pool(&format!("pool-{index}"), &labels, spec, &rest, self.ready)
    }
}

impl Workload {
    fn requests(&self) -> Value {
        let mut requests = json!({"cpu": self.cpu, "memory": self.memory});
        if self.gpus > 0 {
            requests["nvidia.com/gpu"] = json!(self.gpus);
        }
        requests
    }

    fn spec(&self) -> Value {
        let selects = |app: usize| json!({"matchLabels": {"app": APPS[app]}});
        let mut spec = json!({"affinity": {}});
        if let Some((key, value)) = self.selector {
            spec["nodeSelector"] = json!({key: value});
        }
        if !self.terms.is_empty() {
            let terms: Vec<Value> = self.terms.iter().map(|term| json!({"matchExpressions": term})).collect();
            spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                json!({"nodeSelectorTerms": terms});
        }
        if let Some(preferred) = &self.preferred {
            spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
                json!([{"weight": 10, "preference": {"matchExpressions": [preferred]}}]);
        }
        if let Some((key, skew, hardness, domains)) = self.spread {
            spec["topologySpreadConstraints"] = json!([{"maxSkew": skew, "topologyKey": key,
                "whenUnsatisfiable": hardness, "labelSelector": selects(self.app), "minDomains": domains}]);
        }
        if let Some((kind, key, app)) = self.affinity {
            spec["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"] =
                json!([{"topologyKey": key, "labelSelector": selects(app)}]);
        }
        if let Some(key) = self.soft_affinity {
            let term = json!({"topologyKey": key, "labelSelector": selects(self.app)});
            spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
                json!([{"weight": 5, "podAffinityTerm": term}]);
        }
        if let Some(toleration) = &self.tolerates {
            spec["tolerations"] = json!([toleration]);
        }
        if let Some(port) = self.port {
            spec["ports"] = json!([{"hostPort": port, "protocol": "TCP"}]);
        }
        spec
    }
}

impl Node {
    fn objects(&self, index: usize) -> Vec<Value> {
        let name = format!("node-{index}");
        let mut more = json!({"leaves": self.leaves, "labels": {}, "taints": []});
        if let Some(effect) = self.taint {
            more["taints"] = json!([{"key": "dedicated", "value": "some", "effect": effect}]);
        }
        if let Some(team) = self.team {
            more["labels"]["team"] = json!(team);
        }
        let mut objects = small::node(&name, self.of_type, self.zone, &format!("pool-{}", self.pool), &more);
        if self.foreign {
            objects.truncate(1);
        }
        for (at, (app, cpu, guarded)) in self.pods.iter().enumerate() {
            let spec = if *guarded {
                json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": APPS[(app + 1) % APPS.len()]}}}]}}})
            } else {
                json!({})
            };
            objects.push(small::pod(
                &format!("old-{index}-{at}"),
                APPS[*app],
                &spec,
                &json!({"cpu": cpu}),
                Some(&name),
            ));
        }
        objects
    }
}

impl Daemon {
    fn object(&self, index: usize) -> Value {
        let mut container =
            json!({"name": "agent", "resources": {"requests": {"cpu": self.cpu, "memory": "64Mi"}}});
        if let Some(port) = self.port {
            container["ports"] = json!([{"hostPort": port, "protocol": "TCP"}]);
        }
        let mut spec = json!({"containers": [container]});
        if let Some(arch) = self.arch {
            spec["nodeSelector"] = json!({"kubernetes.io/arch": arch});
        }
        if self.tolerates {
            spec["tolerations"] = json!([{"operator": "Exists"}]);
        }
        json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": format!("agent-{index}"), "namespace": "kube-system", "uid": format!("uid-agent-{index}")},
            "spec": {"selector": {"matchLabels": {"agent": index.to_string()}},
                "template": {"metadata": {"labels": {"agent": index.to_string()}}, "spec": spec}}})
    }
}

/// `objects` in another order (Fisher and Yates, by a linear congruence).
pub(crate) fn shuffled(mut objects: Vec<Value>, seed: u64) -> Vec<Value> {
    let mut state = seed;
    for last in (1..objects.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        objects.swap(last, (state >> 33) as usize % (last + 1));
    }
    objects
}
