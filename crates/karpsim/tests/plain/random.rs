//! Random moments of small clusters, as text: what a failing test prints can be decided again as it stands.

use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
const ARCH: &str = "kubernetes.io/arch";
/// An integer that the provider knows.
const SIZE: &str = "example.com/size";
/// A label that only NodePools and nodes have.
const TEAM: &str = "team";

const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];
const CAPACITY_TYPES: [&str; 2] = ["on-demand", "spot"];
const ARCHES: [&str; 2] = ["amd64", "arm64"];
const SIZES: [&str; 4] = ["1", "2", "4", "8"];
const TEAMS: [&str; 2] = ["red", "blue"];
const APPS: [&str; 3] = ["web", "db", "job"];

/// How large a cluster is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Instance types.
    pub(crate) types: usize,
    /// Nodes that are there.
    pub(crate) nodes: usize,
    /// Kinds of pods that wait, and how many there are of each.
    pub(crate) kinds: usize,
    pub(crate) of_a_kind: usize,
}

/// Merges the fields of `more` into `value`.
fn merged(mut value: Value, more: &Value) -> Value {
    if let (Some(all), Some(more)) = (value.as_object_mut(), more.as_object()) {
        all.extend(more.iter().map(|(key, field)| (key.clone(), field.clone())));
    }
    value
}

/// Fields that are present only in some cases.
fn fields(optional: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    let present = optional.into_iter().filter_map(|(key, field)| Some((key.to_owned(), field?)));
    Value::Object(present.collect::<Map<String, Value>>())
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

fn amounts() -> impl Strategy<Value = Value> {
    let cpu = select(&["100m", "250m", "500m", "1", "1500m", "3"][..]);
    let memory = select(&["64Mi", "256Mi", "1Gi", "3Gi"][..]);
    (weighted(0.9, cpu), weighted(0.8, memory), weighted(0.07, Just("1"))).prop_map(|(cpu, memory, gpu)| {
        fields([
            ("cpu", cpu.map(Value::from)),
            ("memory", memory.map(Value::from)),
            ("example.com/gpu", gpu.map(Value::from)),
        ])
    })
}

/// An expression over the labels of a node.
fn expression() -> impl Strategy<Value = Value> {
    let values = prop_oneof![
        4 => Just((ZONE, &ZONES[..])),
        2 => Just((CAPACITY_TYPE, &CAPACITY_TYPES[..])),
        2 => Just((ARCH, &ARCHES[..])),
        2 => Just((SIZE, &SIZES[..])),
        2 => Just((TEAM, &TEAMS[..])),
        1 => Just((INSTANCE_TYPE, &["type-0", "type-1", "type-2"][..])),
    ];
    values.prop_flat_map(|(key, values)| {
        let listed = subsequence(values, 1..=values.len());
        let operator = prop_oneof![
            6 => Just("In"), 2 => Just("NotIn"), 2 => Just("Exists"), 1 => Just("DoesNotExist"),
            2 => select(&["Gt", "Lt", "Gte", "Lte"][..]),
        ];
        (listed, operator, select(&SIZES[..])).prop_map(move |(listed, operator, bound)| match operator {
            "In" | "NotIn" => json!({"key": key, "operator": operator, "values": listed}),
            "Exists" | "DoesNotExist" => json!({"key": key, "operator": operator}),
            _ => json!({"key": SIZE, "operator": operator, "values": [bound]}),
        })
    })
}

fn node_term() -> impl Strategy<Value = Value> {
    vec(expression(), 1..3).prop_map(|all| json!({"matchExpressions": all}))
}

fn node_affinity() -> impl Strategy<Value = Value> {
    let preferred =
        (1..4i64, node_term()).prop_map(|(weight, term)| json!({"weight": weight, "preference": term}));
    (weighted(0.6, vec(node_term(), 1..4)), vec(preferred, 0..3)).prop_map(|(required, preferred)| {
        fields([
            (
                "requiredDuringSchedulingIgnoredDuringExecution",
                required.map(|terms| json!({"nodeSelectorTerms": terms})),
            ),
            ("preferredDuringSchedulingIgnoredDuringExecution", Some(preferred.into())),
        ])
    })
}

fn label_selector() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => word(&APPS).prop_map(|app| json!({"matchLabels": {"app": app}})),
        2 => subsequence(&APPS[..], 1..3)
            .prop_map(|apps| json!({"matchExpressions": [{"key": "app", "operator": "In", "values": apps}]})),
        1 => word(&APPS)
            .prop_map(|app| json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [app]}]})),
        // Karpenter's idea of the same constraint passes over a second equal expression, but not over a second equal value.
        1 => (word(&APPS), 1..3usize, 1..3usize).prop_map(|(app, times, of)| {
            let expression = json!({"key": "app", "operator": "In", "values": std::vec![app; times]});
            json!({"matchExpressions": std::vec![expression; of]})
        }),
        1 => Just(json!({})),
    ]
}

fn topology_key() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => Just(ZONE), 4 => Just(HOSTNAME), 1 => Just(CAPACITY_TYPE), 1 => Just(ARCH), 2 => Just(TEAM)]
}

fn spread() -> impl Strategy<Value = Value> {
    let policy = || weighted(0.15, select(&["Honor", "Ignore"][..]));
    (
        1..3i64,
        topology_key(),
        prop::bool::weighted(0.3),
        label_selector(),
        (weighted(0.15, 1..5i64), policy(), policy(), weighted(0.1, Just(json!(["app"])))),
    )
        .prop_map(|(skew, key, soft, selector, (least, affinity, taints, keys))| {
            let when = if soft { "ScheduleAnyway" } else { "DoNotSchedule" };
            let spread = json!({"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when,
                "labelSelector": selector});
            let more = fields([
                ("minDomains", least.filter(|_| !soft).map(Value::from)),
                ("nodeAffinityPolicy", affinity.map(Value::from)),
                ("nodeTaintsPolicy", taints.map(Value::from)),
                ("matchLabelKeys", keys),
            ]);
            merged(spread, &more)
        })
}

fn pod_term() -> impl Strategy<Value = Value> {
    let namespaces = prop_oneof![
        8 => Just(json!({})),
        1 => Just(json!({"namespaces": ["default", "other"]})),
        1 => Just(json!({"namespaceSelector": {"matchLabels": {"kind": "other"}}})),
    ];
    (topology_key(), label_selector(), namespaces).prop_map(|(key, selector, namespaces)| {
        merged(json!({"topologyKey": key, "labelSelector": selector}), &namespaces)
    })
}

fn pod_affinity() -> impl Strategy<Value = Value> {
    let preferred =
        (1..4i64, pod_term()).prop_map(|(weight, term)| json!({"weight": weight, "podAffinityTerm": term}));
    (vec(pod_term(), 0..2), vec(preferred, 0..3)).prop_map(|(required, preferred)| {
        json!({"requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred})
    })
}

fn taint() -> impl Strategy<Value = Value> {
    let effect = select(&["NoSchedule", "PreferNoSchedule", "NoExecute"][..]);
    (word(&["dedicated", "spot"]), effect)
        .prop_map(|(key, effect)| json!({"key": key, "value": "yes", "effect": effect}))
}

fn toleration() -> impl Strategy<Value = Value> {
    prop_oneof![
        word(&["dedicated", "spot"]).prop_map(|key| json!({"key": key, "operator": "Exists"})),
        Just(json!({"key": "dedicated", "value": "yes", "effect": "NoSchedule"})),
        Just(json!({"operator": "Exists"})),
    ]
}

/// What a pod asks for: its spec and its labels.
fn pod_kind() -> impl Strategy<Value = (Value, Value)> {
    let labels = btree_map(Just("app"), word(&APPS), 0..2);
    let affinity =
        (weighted(0.15, node_affinity()), weighted(0.12, pod_affinity()), weighted(0.2, pod_affinity()));
    let selector = prop_oneof![
        8 => Just(None),
        1 => word(&ZONES).prop_map(|zone| Some(json!({ZONE: zone}))),
        1 => word(&ARCHES).prop_map(|arch| Some(json!({ARCH: arch}))),
        1 => word(&TEAMS).prop_map(|team| Some(json!({TEAM: team}))),
    ];
    let ports = weighted(0.1, select(&[80i64, 443][..]));
    let spread = prop_oneof![4 => Just(Vec::new()), 2 => vec(spread(), 1..=1), 1 => vec(spread(), 2..=2)];
    (amounts(), labels, selector, affinity, spread, vec(toleration(), 0..2), ports).prop_map(
        |(requests, labels, selector, (to_nodes, near, away), spread, tolerations, port)| {
            let ports: Vec<Value> =
                port.iter().map(|port| json!({"hostPort": port, "protocol": "TCP"})).collect();
            let spec = json!({
                "containers": [{"name": "c", "resources": {"requests": requests}, "ports": ports}],
                "tolerations": tolerations,
                "topologySpreadConstraints": spread,
            });
            let affinity =
                fields([("nodeAffinity", to_nodes), ("podAffinity", near), ("podAntiAffinity", away)]);
            let more = fields([("nodeSelector", selector), ("affinity", Some(affinity))]);
            (merged(spec, &more), json!(labels))
        },
    )
}

fn pods_that_wait(size: Size) -> impl Strategy<Value = Vec<Value>> {
    let namespace = prop_oneof![6 => Just("default"), 1 => Just("other")];
    // Some are spread as the first kind is, but for something that Karpenter may or may not see when it compares the two.
    let like_the_first = weighted(
        0.3,
        select(vec![
            json!({}),
            json!({"minDomains": 3}),
            json!({"nodeTaintsPolicy": "Honor"}),
            json!({"nodeAffinityPolicy": "Ignore"}),
        ]),
    );
    let kind = (pod_kind(), 1..=size.of_a_kind, namespace, 0..3u32, like_the_first);
    vec(kind, size.kinds.min(1)..=size.kinds).prop_map(|kinds| {
        let mut pods = Vec::new();
        let first = kinds.first().map(|((spec, _), ..)| spec.clone()).unwrap_or_default();
        for (kind, ((mut spec, labels), count, namespace, age, change)) in kinds.into_iter().enumerate() {
            if let (Some(change), Some(spread)) = (change, first["topologySpreadConstraints"].as_array()) {
                let soft = |it: &Value| it["whenUnsatisfiable"] == "ScheduleAnyway";
                let changed = spread.iter().map(|it| {
                    // Only hard constraints may have `minDomains`.
                    if soft(it) && change.get("minDomains").is_some() { it.clone() } else { merged(it.clone(), &change) }
                });
                spec["topologySpreadConstraints"] = changed.collect();
                spec["tolerations"] = first["tolerations"].clone();
            }
            for index in 0..count {
                let name = format!("kind-{kind}-{index:03}");
                let created = format!("2026-01-15T09:0{age}:00Z");
                pods.push(json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": name, "namespace": namespace, "uid": format!("{index}-{kind}"),
                        "labels": labels, "creationTimestamp": created},
                    "spec": spec,
                    "status": {"phase": "Pending",
                        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
                }));
            }
        }
        pods
    })
}

/// An instance type: cores, memory per core in GiB, what its nodes are, and where it is on offer.
#[derive(Debug, Clone)]
struct Machine {
    cores: u32,
    memory_gib: u32,
    pods: u32,
    gpus: u32,
    arch: &'static str,
    size: Option<&'static str>,
    /// By zone and capacity type: whether it is available, and what a core costs in cents.
    offerings: Vec<(&'static str, &'static str, bool, u32)>,
}

fn machine() -> impl Strategy<Value = Machine> {
    let places: Vec<(&str, &str)> =
        ZONES.iter().flat_map(|zone| CAPACITY_TYPES.iter().map(move |it| (*zone, *it))).collect();
    let offerings = subsequence(places, 1..=6).prop_flat_map(|places| {
        let count = places.len();
        (Just(places), vec((prop::bool::weighted(0.9), 1..8u32), count))
    });
    let amounts =
        (select(&[1u32, 2, 4, 8][..]), 1..5u32, 3..30u32, prop_oneof![5 => Just(0u32), 1 => Just(1u32)]);
    (amounts, word(&ARCHES), weighted(0.8, word(&SIZES)), offerings).prop_map(
        |((cores, memory, pods, gpus), arch, size, (places, offers))| Machine {
            cores,
            memory_gib: cores * memory,
            pods,
            gpus,
            arch,
            size,
            offerings: places
                .into_iter()
                .zip(offers)
                .map(|((zone, capacity_type), (available, cents))| (zone, capacity_type, available, cents))
                .collect(),
        },
    )
}

impl Machine {
    fn capacity(&self) -> Value {
        let mut capacity = json!({"cpu": self.cores.to_string(), "memory": format!("{}Gi", self.memory_gib),
            "pods": self.pods.to_string()});
        if self.gpus > 0 {
            capacity["example.com/gpu"] = self.gpus.to_string().into();
        }
        capacity
    }

    fn allocatable(&self) -> Value {
        let cpu = format!("{}m", self.cores * 1000 - 100);
        let memory = format!("{}Mi", self.memory_gib * 1024 - 100);
        merged(self.capacity(), &json!({"cpu": cpu, "memory": memory}))
    }

    fn instance_type(&self, index: usize) -> Value {
        let name = format!("type-{index}");
        let any_of = |key: &str, mut values: Vec<&str>| {
            values.sort_unstable();
            values.dedup();
            json!({"key": key, "operator": "In", "values": values})
        };
        let mut requirements = vec![
            any_of(INSTANCE_TYPE, vec![&name]),
            any_of(ARCH, vec![self.arch]),
            any_of(ZONE, self.offerings.iter().map(|it| it.0).collect()),
            any_of(CAPACITY_TYPE, self.offerings.iter().map(|it| it.1).collect()),
        ];
        requirements.push(match self.size {
            Some(size) => any_of(SIZE, vec![size]),
            None => json!({"key": SIZE, "operator": "DoesNotExist"}),
        });
        let offerings: Vec<Value> = self
            .offerings
            .iter()
            .map(|(zone, capacity_type, available, cents)| {
                json!({
                    "requirements": [any_of(CAPACITY_TYPE, vec![capacity_type]), any_of(ZONE, vec![zone])],
                    "price": f64::from(self.cores * cents) / 100.0,
                    "available": available,
                })
            })
            .collect();
        json!({"name": name, "requirements": requirements, "capacity": self.capacity(),
            "overhead": {"kubeReserved": {"cpu": "100m", "memory": "100Mi"}}, "offerings": offerings})
    }
}

fn conditions(kinds: &[&str]) -> Value {
    let since = "2026-01-15T08:00:00Z";
    kinds.iter().map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": since})).collect()
}

fn node_class() -> Value {
    json!({"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"})
}

fn node_pool() -> impl Strategy<Value = Value> {
    let requirement = || {
        (expression(), weighted(0.1, 1..4i64)).prop_map(|(expression, least)| {
            // A list must be as long as its `minValues`.
            let listed = expression["values"].as_array().map_or(usize::MAX, Vec::len) as i64;
            let least = least.filter(|least| *least <= listed && expression["operator"] != "DoesNotExist");
            merged(expression, &fields([("minValues", least.map(Value::from))]))
        })
    };
    let limits = (
        weighted(0.2, select(&["2", "5", "12", "30"][..])),
        weighted(0.1, select(&["4Gi", "20Gi"][..])),
        weighted(0.1, select(&["1", "3"][..])),
    )
        .prop_map(|(cpu, memory, nodes)| {
            fields([
                ("cpu", cpu.map(Value::from)),
                ("memory", memory.map(Value::from)),
                ("nodes", nodes.map(Value::from)),
            ])
        });
    let requirements =
        prop_oneof![3 => Just(Vec::new()), 2 => vec(requirement(), 1..=1), 1 => vec(requirement(), 2..=2)];
    let taints = prop_oneof![3 => Just(Vec::new()), 1 => vec(taint(), 1..=1)];
    let disruption = (
        prop_oneof![8 => Just("0s"), 1 => Just("3h"), 1 => Just("Never")],
        prop_oneof![8 => Just("WhenEmptyOrUnderutilized"), 2 => Just("Balanced"), 1 => Just("WhenEmpty")],
        prop_oneof![6 => Just("100%"), 1 => Just("40%"), 1 => Just("1"), 1 => Just("0")],
    );
    ((requirements, weighted(0.3, word(&TEAMS)), taints), (weighted(0.3, 1..4i64), limits, disruption))
        .prop_map(|((requirements, team, taints), (weight, limits, (after, policy, budget)))| {
            let labels = fields([("team", team.map(Value::from))]);
            let spec = json!({
                "template": {"metadata": {"labels": labels},
                    "spec": {"nodeClassRef": node_class(), "requirements": requirements, "taints": taints}},
                "limits": limits,
                "disruption": {"consolidateAfter": after, "consolidationPolicy": policy,
                    "budgets": [{"nodes": budget}]},
            });
            merged(spec, &fields([("weight", weight.map(Value::from))]))
        })
}

/// A node: of which type and NodePool, where, how it stands, and which pods it has.
#[derive(Debug, Clone)]
struct Standing {
    machine: prop::sample::Index,
    offering: prop::sample::Index,
    pool: prop::sample::Index,
    team: Option<&'static str>,
    state: &'static str,
    taints: Vec<Value>,
    pods: Vec<((Value, Value), &'static str)>,
}

fn standing() -> impl Strategy<Value = Standing> {
    let state = prop_oneof![
        8 => Just("ready"), 1 => Just("starting"), 1 => Just("deleting"), 1 => Just("unmanaged"), 1 => Just("nominated")
    ];
    let owner = prop_oneof![10 => Just("ReplicaSet"), 1 => Just("DaemonSet"), 1 => Just("held")];
    let taints = prop_oneof![6 => Just(Vec::new()), 1 => taint().prop_map(|it| vec![it])];
    let carefree = amounts().prop_map(|requests| {
        (json!({"containers": [{"name": "c", "resources": {"requests": requests}}]}), json!({"app": "web"}))
    });
    let pods = prop_oneof![3 => carefree, 2 => pod_kind()];
    (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        weighted(0.5, word(&TEAMS)),
        (state, taints, vec((pods, owner), 0..5)),
    )
        .prop_map(|(machine, offering, pool, team, (state, taints, pods))| Standing {
            machine,
            offering,
            pool,
            team,
            state,
            taints,
            pods,
        })
}

impl Standing {
    /// Node, NodeClaim and pods.
    fn objects(&self, index: usize, machines: &[Machine], pools: usize) -> Vec<Value> {
        let name = format!("node-{index}");
        let of = self.machine.index(machines.len());
        let machine = &machines[of];
        let (zone, capacity_type, ..) = machine.offerings[self.offering.index(machine.offerings.len())];
        let is_true = |yes: bool| yes.then(|| Value::from("true"));
        let is_managed = self.state != "unmanaged";
        let pool = format!("pool-{}", self.pool.index(pools));
        let labels = merged(
            json!({HOSTNAME: name, ZONE: zone, CAPACITY_TYPE: capacity_type, ARCH: machine.arch,
                INSTANCE_TYPE: format!("type-{of}")}),
            &fields([
                (SIZE, machine.size.map(Value::from)),
                (TEAM, self.team.map(Value::from)),
                ("karpenter.sh/nodepool", is_managed.then(|| pool.into())),
                ("karpenter.sh/registered", is_true(is_managed)),
                ("karpenter.sh/initialized", is_true(is_managed && self.state != "starting")),
            ]),
        );
        let id = format!("fake:///{name}");
        let amounts = json!({"capacity": machine.capacity(), "allocatable": machine.allocatable()});
        let mut objects = vec![json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
            "spec": {"providerID": id, "taints": self.taints},
            "status": merged(amounts.clone(), &json!({"conditions": conditions(&["Ready"])})),
        })];
        if is_managed {
            let deleted = (self.state == "deleting").then(|| "2026-01-15T09:59:00Z".into());
            let about = fields([
                ("name", Some(name.clone().into())),
                ("labels", Some(labels)),
                ("deletionTimestamp", deleted),
            ]);
            let kinds = ["Launched", "Registered", "Initialized", "Consolidatable"];
            let kinds = if self.state == "starting" { &kinds[..2] } else { &kinds[..] };
            let status = json!({"providerID": id, "nodeName": name, "conditions": conditions(kinds)});
            objects.push(json!({
                "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": about,
                "spec": {"nodeClassRef": node_class(), "requirements": [], "taints": self.taints},
                "status": merged(status, &amounts),
            }));
        }
        for (at, ((spec, labels), owner)) in self.pods.iter().enumerate() {
            let kind = if *owner == "held" { "ReplicaSet" } else { owner };
            let held = (*owner == "held").then(|| json!({"karpenter.sh/do-not-disrupt": "true"}));
            let about = json!({"name": format!("{name}-pod-{at}"), "namespace": "default", "labels": labels,
                "uid": format!("{at}-of-{name}"), "creationTimestamp": "2026-01-15T08:30:00Z",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": "owner", "uid": "owner",
                    "controller": true}]});
            objects.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": merged(about, &fields([("annotations", held)])),
                "spec": merged(spec.clone(), &json!({"nodeName": name})),
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
            }));
        }
        objects
    }
}

fn daemon_set() -> impl Strategy<Value = Value> {
    (pod_kind(), prop::bool::weighted(0.7)).prop_map(|((spec, _), tolerates)| {
        let mut spec = spec;
        for wish in ["affinity", "topologySpreadConstraints"] {
            let nodes = spec[wish].get("nodeAffinity").cloned();
            spec[wish] = if wish == "affinity" { fields([("nodeAffinity", nodes)]) } else { json!([]) };
        }
        if tolerates {
            spec["tolerations"] = json!([{"operator": "Exists"}]);
        }
        json!({"template": {"spec": spec}})
    })
}

/// A scenario as text.
pub(crate) struct Moment(pub(crate) String);

/// As it stands: it can be kept in a file and given to `karpsim decide`.
impl std::fmt::Debug for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A moment of a cluster; with pods that wait, and with nodes, as `size` says.
pub(crate) fn moment(kind: &'static str, size: Size) -> impl Strategy<Value = Moment> {
    let options = prop_oneof![
        6 => Just(json!({})),
        1 => Just(json!({"preferencePolicy": "Ignore"})),
        1 => Just(json!({"minValuesPolicy": "BestEffort"})),
        1 => Just(json!({"featureGates": {"spotToSpotConsolidation": true}})),
    ];
    (
        (options, vec(machine(), 1..=size.types), vec(node_pool(), 1..4), vec(daemon_set(), 0..2)),
        (vec(standing(), size.nodes / 4..=size.nodes), pods_that_wait(size)),
    )
        .prop_map(move |((options, machines, pools, daemons), (nodes, pods))| {
            let named = |api: &str, kind: &str, name: String, spec: Value| {
                json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default",
                    "uid": name}, "spec": spec})
            };
            let mut objects = vec![
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}),
                json!({"apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": "other", "labels": {"kind": "other"}}}),
            ];
            let count = pools.len();
            for (index, spec) in pools.into_iter().enumerate() {
                let ready = conditions(&["ValidationSucceeded", "NodeClassReady", "Ready"]);
                objects.push(json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
                    "metadata": {"name": format!("pool-{index}")}, "spec": spec, "status": {"conditions": ready}}));
            }
            for (index, spec) in daemons.into_iter().enumerate() {
                objects.push(named("apps/v1", "DaemonSet", format!("daemon-{index}"), spec));
            }
            let nominated: Vec<String> = nodes
                .iter()
                .enumerate()
                .filter(|(_, node)| node.state == "nominated")
                .map(|(index, _)| format!("node-{index}"))
                .collect();
            for (index, node) in nodes.iter().enumerate() {
                objects.extend(node.objects(index, &machines, count));
            }
            objects.extend(pods);
            let types: Vec<Value> =
                machines.iter().enumerate().map(|(index, it)| it.instance_type(index)).collect();
            let moment = json!({
                "name": "random", "kind": kind, "now": "2026-01-15T10:00:00Z", "options": options,
                "catalogue": {"provider": "fake", "wellKnownLabels": [SIZE], "instanceTypes": types},
                "objects": objects, "cluster": {"nominated": nominated},
            });
            Moment(moment.to_string())
        })
}
