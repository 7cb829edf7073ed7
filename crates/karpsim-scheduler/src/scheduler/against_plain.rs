//! The fast way against the plain one: on random clusters, through random histories, both decide the same.
//!
//! The plain scheduler keeps nothing between cycles: it counts all pods, asks every node all filters, and scores by every plugin.

use super::Scheduler;
use crate::attempt::{Attempt, Outcome, Preemption};
use crate::options::{
    DefaultConstraint, Options, ScoringStrategy, ScoringStrategyType, TopologySpreadDefaults,
};
use karpsim::model::core::{Pod, WhenUnsatisfiable};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Numbers that look random (Steele, Lea and Flood, 2014: SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const APPS: [&str; 4] = ["web", "db", "cache", "batch"];
const ZONES: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 3] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname", "rack"];

fn object<T: for<'de> serde::Deserialize<'de>>(value: Value) -> T {
    serde_json::from_value(value).expect("an object of its kind")
}

fn selector(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => json!({}),
        1 => json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [dice.pick(&APPS)]}]}),
        _ => json!({"matchLabels": {"app": dice.pick(&APPS)}}),
    }
}

fn term(dice: &mut Dice) -> Value {
    let mut term = json!({"labelSelector": selector(dice), "topologyKey": dice.pick(&KEYS)});
    match dice.below(6) {
        0 => term["namespaces"] = json!(["default", "other"]),
        1 => term["namespaceSelector"] = json!({"matchLabels": {"team": "x"}}),
        2 => term["namespaceSelector"] = json!({}),
        _ => {}
    }
    term
}

fn affinity(dice: &mut Dice) -> Value {
    let mut affinity = json!({});
    if dice.one_in(4) {
        affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([term(dice)]);
    }
    if dice.one_in(3) {
        affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([term(dice)]);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        if dice.one_in(4) {
            affinity[kind]["preferredDuringSchedulingIgnoredDuringExecution"] =
                json!([{"weight": 1 + dice.below(100), "podAffinityTerm": term(dice)}]);
        }
    }
    if dice.one_in(4) {
        affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] = json!([{"weight": 10,
            "preference": {"matchExpressions": [{"key": "rack", "operator": "In", "values": ["r0", "r1"]}]}}]);
    }
    if dice.one_in(5) {
        affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({"nodeSelectorTerms": [
            {"matchExpressions": [{"key": KEYS[0], "operator": "NotIn", "values": [dice.pick(&ZONES)]}]}]});
    }
    affinity
}

/// What the pods of a workload have in common.
fn template(dice: &mut Dice) -> Value {
    let mut spec = json!({
        "containers": [{"name": "c", "image": dice.pick(&["img-0", "img-1", "img-2"]), "resources": {"requests": {}}}],
        "priority": dice.pick(&[0, 0, 0, 10, 100]),
    });
    let requests = &mut spec["containers"][0]["resources"]["requests"];
    if !dice.one_in(5) {
        requests["cpu"] = dice.pick(&["100m", "500m", "1", "1500m"]).into();
    }
    if !dice.one_in(5) {
        requests["memory"] = dice.pick(&["64Mi", "512Mi", "1Gi"]).into();
    }
    if dice.one_in(8) {
        spec["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 8000 + dice.below(2)}]);
    }
    if dice.one_in(3) {
        spec["tolerations"] = json!([{"key": "dedicated", "operator": "Exists"}]);
    }
    if dice.one_in(2) {
        spec["affinity"] = affinity(dice);
    }
    if dice.one_in(3) {
        let constraints: Vec<Value> = (0..=dice.below(2))
            .map(|_| {
                json!({"maxSkew": 1 + dice.below(2), "topologyKey": dice.pick(&KEYS), "labelSelector": selector(dice),
                    "whenUnsatisfiable": dice.pick(&["DoNotSchedule", "ScheduleAnyway"]),
                    "nodeTaintsPolicy": dice.pick(&["Honor", "Ignore"])})
            })
            .collect();
        spec["topologySpreadConstraints"] = constraints.into();
    }
    let mut metadata = json!({"namespace": dice.pick(&["default", "default", "other"]),
        "labels": {"app": dice.pick(&APPS)}});
    if dice.one_in(3) {
        metadata["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "u", "controller": true}]);
    }
    json!({"metadata": metadata, "spec": spec})
}

fn node(dice: &mut Dice, name: &str) -> Value {
    let mut labels = json!({"kubernetes.io/hostname": name});
    if !dice.one_in(6) {
        labels[KEYS[0]] = dice.pick(&ZONES).into();
    }
    if dice.one_in(2) {
        labels["rack"] = dice.pick(&["r0", "r1", "r2"]).into();
    }
    let mut taints = Vec::new();
    if dice.one_in(5) {
        taints.push(json!({"key": "dedicated", "value": "x", "effect": "NoSchedule"}));
    }
    if dice.one_in(4) {
        taints.push(json!({"key": "soft", "value": "x", "effect": "PreferNoSchedule"}));
    }
    let images = if dice.one_in(3) {
        json!([{"names": ["img-0:latest"], "sizeBytes": 500_000_000}])
    } else {
        json!([])
    };
    json!({"metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints, "unschedulable": dice.one_in(12)},
        "status": {"allocatable": {"cpu": dice.pick(&["2", "4", "8"]), "memory": dice.pick(&["4Gi", "16Gi"]),
            "pods": dice.pick(&["4", "110"])}, "images": images}})
}

fn options(dice: &mut Dice) -> Options {
    let mut options = Options::default();
    match dice.below(4) {
        0 => {
            options.topology_spread_defaults = TopologySpreadDefaults::List(vec![DefaultConstraint {
                max_skew: 1,
                topology_key: KEYS[0].into(),
                when_unsatisfiable: dice
                    .pick(&[WhenUnsatisfiable::DoNotSchedule, WhenUnsatisfiable::ScheduleAnyway]),
            }]);
        }
        1 => options.topology_spread_defaults = TopologySpreadDefaults::List(Vec::new()),
        _ => {}
    }
    if dice.one_in(3) {
        options.scoring_strategy = ScoringStrategy::new(ScoringStrategyType::MostAllocated, Vec::new());
    }
    options
}

/// Both schedulers, and what goes on around them.
struct Pair {
    fast: Scheduler,
    plain: Scheduler,
    dice: Dice,
    now: i64,
    made: usize,
    templates: Vec<Value>,
    bound: BTreeMap<String, Arc<Pod>>,
    nodes: Vec<String>,
}

const SECOND: i64 = 1_000_000_000;

impl Pair {
    fn new(seed: u64, node_count: usize) -> Self {
        let mut dice = Dice(seed);
        let options = options(&mut dice);
        let mut plain = Scheduler::new(options.clone());
        plain.keep_nothing();
        let templates = (0..6).map(|_| template(&mut dice)).collect();
        let mut pair = Pair {
            fast: Scheduler::new(options),
            plain,
            dice,
            now: 1_700_000_000 * SECOND,
            made: 0,
            templates,
            bound: BTreeMap::new(),
            nodes: Vec::new(),
        };
        for _ in 0..node_count {
            pair.add_node();
        }
        pair
    }

    fn both(&mut self, mut change: impl FnMut(&mut Scheduler, i64)) {
        change(&mut self.fast, self.now);
        change(&mut self.plain, self.now);
    }

    fn set_node(&mut self, name: &str) {
        let node = Arc::new(object(node(&mut self.dice, name)));
        self.both(|scheduler, now| scheduler.set_node(Arc::clone(&node), now));
    }

    fn add_node(&mut self) {
        self.made += 1;
        let name = format!("node-{}", self.made);
        self.set_node(&name);
        self.nodes.push(name);
    }

    fn add_pods(&mut self) {
        let template = self.templates[self.dice.below(self.templates.len())].clone();
        for _ in 0..=self.dice.below(4) {
            self.made += 1;
            let mut pod = template.clone();
            pod["metadata"]["name"] = format!("pod-{}", self.made).into();
            pod["metadata"]["uid"] = format!("uid-{}", self.made).into();
            if self.dice.one_in(15) && !self.nodes.is_empty() {
                let name = &self.nodes[self.dice.below(self.nodes.len())];
                pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!({"nodeSelectorTerms": [{"matchFields":
                        [{"key": "metadata.name", "operator": "In", "values": [name]}]}]});
            }
            let pod: Arc<Pod> = Arc::new(object(pod));
            self.both(|scheduler, now| scheduler.set_pod(Arc::clone(&pod), now));
        }
    }

    fn remove_pod(&mut self, key: &str) {
        if let Some(pod) = self.bound.remove(key) {
            let (namespace, name) = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
            self.both(|scheduler, now| scheduler.remove_pod(&namespace, &name, now));
        }
    }

    fn any_bound(&mut self) -> Option<String> {
        let at = self.dice.below(self.bound.len());
        self.bound.keys().nth(at).cloned()
    }

    /// Something happens.
    fn happen(&mut self) {
        match self.dice.below(16) {
            0 => self.add_node(),
            1 if self.nodes.len() > 1 => {
                let name = self.nodes.swap_remove(self.dice.below(self.nodes.len()));
                self.both(|scheduler, now| scheduler.remove_node(&name, now));
            }
            2 | 3 if !self.nodes.is_empty() => {
                let name = self.nodes[self.dice.below(self.nodes.len())].clone();
                self.set_node(&name);
            }
            4 | 5 => {
                if let Some(key) = self.any_bound() {
                    self.remove_pod(&key);
                }
            }
            6 => {
                if let Some(key) = self.any_bound()
                    && let Some(pod) = self.bound.get_mut(&key)
                {
                    let time = jiff::Timestamp::from_nanosecond(i128::from(self.now)).expect("a time");
                    Arc::make_mut(pod).metadata.deletion_timestamp = Some(karpsim::model::meta::Time(time));
                    let pod = Arc::clone(pod);
                    self.both(|scheduler, now| scheduler.set_pod(Arc::clone(&pod), now));
                }
            }
            7 => {
                let team = self.dice.pick(&["x", "y"]);
                let namespace = object(json!({"metadata": {"name": "other", "labels": {"team": team}}}));
                self.both(|scheduler, _| scheduler.set_namespace(&namespace));
            }
            8 => {
                let app = self.dice.pick(&APPS);
                let service = object(json!({"metadata": {"name": "service", "namespace": "default"},
                    "spec": {"selector": {"app": app}}}));
                let service = Arc::new(service);
                self.both(|scheduler, _| scheduler.set_service(Arc::clone(&service)));
            }
            9 => {
                let app = self.dice.pick(&APPS);
                let owner = Arc::new(object(json!({"metadata": {"name": "rs", "namespace": "default"},
                    "spec": {"selector": {"matchLabels": {"app": app}}}})));
                self.both(|scheduler, _| scheduler.set_replica_set(Arc::clone(&owner)));
            }
            10 => {
                let template = template(&mut self.dice);
                let at = self.dice.below(self.templates.len());
                self.templates[at] = template;
            }
            _ => self.add_pods(),
        }
    }

    /// Tries pods until none is left to try, or enough were tried; both have to decide the same.
    fn schedule(&mut self) {
        for _ in 0..8 {
            let fast = self.fast.schedule_next(self.now);
            let plain = self.plain.schedule_next(self.now);
            let (Some((pod, fast)), Some((same, plain))) = (&fast, &plain) else {
                assert_eq!(fast.is_none(), plain.is_none());
                return;
            };
            assert_eq!(pod.metadata.name, same.metadata.name);
            let (fast_words, plain_words) = (words(&self.fast, fast), words(&self.plain, plain));
            assert_eq!(fast_words, plain_words, "{}", pod.metadata.name);
            if let Some(node) = fast.node() {
                let mut bound = (**pod).clone();
                bound.spec.node_name = node.clone();
                let bound = Arc::new(bound);
                self.bound.insert(bound.metadata.name.to_string(), Arc::clone(&bound));
                self.both(|scheduler, now| scheduler.set_pod(Arc::clone(&bound), now));
            }
            if let Outcome::Unschedulable(why) = &fast.outcome
                && let Preemption::Nominated { victims, .. } = &why.preemption
            {
                let names: Vec<String> = victims.iter().map(|pod| pod.metadata.name.to_string()).collect();
                for name in names {
                    self.remove_pod(&name);
                }
            }
        }
    }
}

/// All that an attempt decides.
fn words(scheduler: &Scheduler, attempt: &Attempt) -> String {
    let mut words = format!(
        "{:?} of {} feasible, {} asked from {}",
        attempt.node(),
        attempt.feasible,
        attempt.evaluated,
        attempt.start
    );
    if let Outcome::Unschedulable(why) = &attempt.outcome {
        words += &format!(" {why}");
        for (node, refusal) in why.nodes.iter() {
            words += &format!("\n{}: {refusal:?}", scheduler.cluster().node_name(node));
        }
        if let Preemption::Nominated { node, victims, .. } = &why.preemption {
            let victims: Vec<&str> = victims.iter().map(|pod| pod.metadata.name.as_str()).collect();
            words += &format!("\nnominated to {node} for {victims:?}");
        }
    }
    words
}

fn play(seed: u64, nodes: usize, steps: usize) {
    let mut pair = Pair::new(seed, nodes);
    for _ in 0..steps {
        pair.happen();
        pair.now += pair.dice.below(3) as i64 * SECOND / 2;
        pair.schedule();
        assert_eq!(pair.fast.next_wakeup(pair.now), pair.plain.next_wakeup(pair.now));
    }
}

#[test]
fn small_clusters() {
    for seed in 0..60 {
        play(seed, 6, 120);
    }
}

#[test]
fn sampled_clusters() {
    for seed in 100..104 {
        play(seed, 260, 150);
    }
}
