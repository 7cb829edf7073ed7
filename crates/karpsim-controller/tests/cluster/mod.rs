//! A cluster of fixed delays around the controller, and a decider of three rules.

use karpsim::catalogue::{Catalogue, Price};
use karpsim::decision::{Command, FilledNode, Launch, Method, NewNodeClaim, ProvisioningDecision};
use karpsim::model::core::{Node, Pod};
use karpsim::model::meta::{Condition, Str, condition_is_true};
use karpsim::scenario::Scenario;
use karpsim_controller::{
    Action, Calendar, Controller, Decider, Event, Found, Interruption, Loop, Nanos, OfferingKey, Profile,
    Record, Settings, Step,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A NodePool with `consolidateAfter: 30s` that never expires.
pub(crate) const POOL: &str = r#"{"metadata": {"name": "default"}, "spec": {
    "template": {"metadata": {"labels": {"gen": "one"}}, "spec": {"expireAfter": "Never",
        "nodeClassRef": {"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"}}},
    "disruption": {"consolidateAfter": "30s", "consolidationPolicy": "WhenEmptyOrUnderutilized"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]}}"#;

const SECOND: Nanos = 1_000_000_000;
const NODE_CREATED: Nanos = 3 * SECOND;
const NODE_READY: Nanos = 10 * SECOND;
const NODE_INITIALIZED: Nanos = 1_100_000_000;

/// A decider of three rules.
struct Rules {
    single_node_asked: Rc<RefCell<Vec<Nanos>>>,
    calendar: Calendar,
}

impl Rules {
    fn busy(scenario: &Scenario, node: &str) -> bool {
        scenario
            .objects
            .pods
            .iter()
            .any(|pod| pod.spec.node_name == node && pod.metadata.deletion_timestamp.is_none())
    }

    fn leaving(scenario: &Scenario, node: &str) -> bool {
        scenario.memory.marked_for_deletion.iter().any(|name| name == node)
            || scenario
                .objects
                .node_claims
                .iter()
                .any(|it| it.metadata.name == node && it.metadata.deletion_timestamp.is_some())
    }

    fn wanted(pods: Vec<Str>) -> NewNodeClaim {
        NewNodeClaim {
            node_pool: "default".into(),
            pods,
            instance_types: ["m5.large".into()].into(),
            requirements: Vec::new(),
            requests: BTreeMap::new(),
            launch: Some(launch()),
        }
    }
}

fn launch() -> Launch {
    Launch {
        instance_type: "m5.large".into(),
        zone: "a".into(),
        capacity_type: "on-demand".into(),
        price: Price(0.096),
    }
}

impl Decider for Rules {
    fn provision(&self, cluster: &mut karpsim::cluster::Cluster) -> ProvisioningDecision {
        let scenario = &cluster.to_scenario();
        let objects = &scenario.objects;
        let mut free: Vec<Str> = objects
            .node_claims
            .iter()
            .map(|it| it.metadata.name.clone())
            .filter(|name| !Self::leaving(scenario, name) && !Self::busy(scenario, name))
            .collect();
        free.reverse();
        let mut decision = ProvisioningDecision::default();
        for pod in &objects.pods {
            let node = &pod.spec.node_name;
            let needs = if node.is_empty() { true } else { Self::leaving(scenario, node) };
            if !needs || pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let key = karpsim::kubernetes::pods::pod_key(pod);
            match free.pop() {
                Some(name) => decision.existing_nodes.push(FilledNode { name, pods: vec![key] }),
                None => decision.new_node_claims.push(Self::wanted(vec![key])),
            }
        }
        decision
    }

    fn disrupt(&self, cluster: &mut karpsim::cluster::Cluster, method: Method, _: Option<usize>) -> Found {
        let scenario = &cluster.to_scenario();
        let candidates: Vec<&Str> = scenario
            .objects
            .node_claims
            .iter()
            .filter(|claim| condition_is_true(&claim.status.conditions, "Initialized"))
            .map(|claim| &claim.metadata.name)
            .filter(|name| !Self::leaving(scenario, name) && !scenario.memory.nominated.contains(name))
            .collect();
        let with = |condition: &str| -> Vec<Str> {
            let has = |name: &&&Str| {
                let claim = scenario.objects.node_claims.iter().find(|claim| claim.metadata.name == ***name);
                claim.is_some_and(|claim| condition_is_true(&claim.status.conditions, condition))
            };
            candidates.iter().filter(has).map(|name| (*name).clone()).collect()
        };
        let command = |candidates: Vec<Str>, replacements: Vec<NewNodeClaim>| Found {
            commands: vec![Command::new(method, candidates, replacements)],
            had_candidates: true,
            simulations: 1,
            ..Found::default()
        };
        match method {
            Method::Emptiness => {
                let mut empty = with("Consolidatable");
                empty.retain(|name| !Self::busy(scenario, name));
                if empty.is_empty() { Found::default() } else { command(empty, Vec::new()) }
            }
            Method::Drift => {
                let others = scenario
                    .objects
                    .node_claims
                    .iter()
                    .any(|claim| Self::leaving(scenario, &claim.metadata.name));
                match with("Drifted").first() {
                    Some(name) if !others => command(vec![name.clone()], vec![Self::wanted(Vec::new())]),
                    _ => Found::default(),
                }
            }
            Method::SingleNodeConsolidation => {
                let had_candidates = with("Consolidatable").iter().any(|name| Self::busy(scenario, name));
                if had_candidates {
                    self.single_node_asked.borrow_mut().push(self.calendar.since_start(scenario.now));
                }
                Found { had_candidates, simulations: 1, ..Found::default() }
            }
            _ => Found::default(),
        }
    }

    fn validate(&self, cluster: &mut karpsim::cluster::Cluster, command: &Command) -> Option<Vec<Str>> {
        let scenario = &cluster.to_scenario();
        let mut left = command.candidates.clone();
        left.retain(|name| {
            let claim = scenario.objects.node_claims.iter().find(|claim| claim.metadata.name == *name);
            claim.is_some_and(|it| condition_is_true(&it.status.conditions, "Consolidatable"))
                && !Self::busy(scenario, name)
        });
        (!left.is_empty()).then_some(left)
    }
}

/// What is still to come.
enum Coming {
    Launch(Str),
    Created(Str),
    Ready(Str),
    Initializable(Str),
    Gone(Str),
}

/// The cluster.
pub(crate) struct Cluster {
    controller: Controller,
    calendar: Calendar,
    now: Nanos,
    pool: String,
    coming: Vec<(Nanos, usize, Coming)>,
    order: usize,
    nodes: BTreeMap<Str, Arc<Node>>,
    pods: BTreeMap<Str, Arc<Pod>>,
    refuses: bool,
    sold_out: bool,
    single_node_asked: Rc<RefCell<Vec<Nanos>>>,
    /// What Karpenter did.
    pub(crate) log: Vec<String>,
    /// When a pass of disruption was.
    pub(crate) passes: Vec<f64>,
}

impl Cluster {
    pub(crate) fn new(start: &str, pool: &str) -> Self {
        Self::with_profile(start, pool, Profile::Karpenter1)
    }

    pub(crate) fn v0_6(start: &str, pool: &str) -> Self {
        Self::with_profile(start, pool, Profile::Karpenter06)
    }

    fn with_profile(start: &str, pool: &str, profile: Profile) -> Self {
        let calendar = Calendar::new(start.parse().unwrap());
        let mut settings = Settings { profile, disruption_loop_first: 5 * SECOND, ..Settings::default() };
        settings.options.feature_gates.static_capacity = Some(true);
        let single_node_asked = Rc::new(RefCell::new(Vec::new()));
        let rules = Rules { single_node_asked: Rc::clone(&single_node_asked), calendar };
        let mut cluster = Cluster {
            controller: Controller::with_decider(settings, calendar, Arc::new(catalogue()), Box::new(rules)),
            calendar,
            now: 0,
            pool: pool.to_owned(),
            coming: Vec::new(),
            order: 0,
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            refuses: false,
            sold_out: false,
            single_node_asked,
            log: Vec::new(),
            passes: Vec::new(),
        };
        cluster.apply_pool();
        cluster
    }

    /// When single-node consolidation was asked.
    pub(crate) fn single_node_asked(&self) -> Vec<f64> {
        self.single_node_asked.borrow().iter().map(|at| *at as f64 / 1e9).collect()
    }

    fn apply_pool(&mut self) {
        let pool = serde_json::from_str(&self.pool).unwrap();
        self.tell(Event::NodePool(Box::new(pool)));
    }

    /// Plays what is done to the cluster.
    pub(crate) fn play(&mut self, input: &[(f64, &str)], until: f64) {
        let at = |seconds: f64| (seconds * 10.0).round() as Nanos * (SECOND / 10);
        let mut input = input.iter().map(|(seconds, what)| (at(*seconds), *what)).peekable();
        loop {
            if let Some((_, what)) = input.next_if(|(at, _)| *at <= self.now) {
                self.input(what);
                continue;
            }
            self.coming.sort_by_key(|(at, order, _)| (*at, *order));
            if self.coming.first().is_some_and(|(at, ..)| *at <= self.now) {
                let (_, _, coming) = self.coming.remove(0);
                self.happen(coming);
                continue;
            }
            if self.controller.next_wakeup().is_some_and(|at| at <= self.now) {
                self.controller.wake(self.now);
                self.act();
                continue;
            }
            let next = [
                self.coming.first().map(|(at, ..)| *at),
                input.peek().map(|(at, _)| *at),
                self.controller.next_wakeup(),
            ];
            match next.into_iter().flatten().min() {
                Some(next) if next <= at(until) => self.now = next,
                _ => return,
            }
        }
    }

    fn note(&mut self, text: String) {
        // Cut, not rounded: what happens at 44.046 happens in the tenth that begins at 44.0.
        let tenths = self.now / (SECOND / 10);
        self.log.push(format!("{}.{} {text}", tenths / 10, tenths % 10));
    }

    fn tell(&mut self, event: Event) {
        self.controller.observe(self.now, event);
        self.act();
    }

    fn after(&mut self, delay: Nanos, coming: Coming) {
        self.order += 1;
        self.coming.push((self.now + delay, self.order, coming));
    }

    fn input(&mut self, what: &str) {
        let words: Vec<&str> = what.split(' ').collect();
        match words.as_slice() {
            ["pod", name] => self.make_pod(name, ""),
            ["bind", name, node] => self.make_pod(name, node),
            ["delete", name] => self.remove_pod(name),
            // An evicted pod's place is taken by another one.
            ["replace", old, new, node] => {
                self.remove_pod(old);
                self.make_pod(new, node);
            }
            ["template", label] => {
                let (key, value) = label.split_once('=').unwrap();
                self.pool = self.pool.replace(r#""gen": "one""#, &format!(r#""{key}": "{value}""#));
                self.apply_pool();
            }
            ["replicas", count] => {
                let place = self.pool.find(r#""replicas": "#).unwrap() + r#""replicas": "#.len();
                self.pool.replace_range(place..=place, count);
                self.apply_pool();
            }
            ["namespace", name] => {
                let mut namespace = karpsim::model::core::Namespace::default();
                namespace.metadata.name = (*name).into();
                self.tell(Event::Namespace(Box::new(namespace)));
            }
            ["budget", allows] => self.refuses = *allows == "none",
            ["cloud", stock] => self.sold_out = *stock == "empty",
            ["delete-node", name] => self.tell(Event::DeleteNodeClaim((*name).into())),
            ["spot", name] => self.interrupt(name, Interruption::Spot),
            ["rebalance", name] => self.interrupt(name, Interruption::Rebalance),
            _ => panic!("unknown input `{what}`"),
        }
    }

    fn interrupt(&mut self, node: &str, interruption: Interruption) {
        self.tell(Event::Interruption { provider_id: provider_id(node), interruption });
    }

    fn make_pod(&mut self, name: &str, node: &str) {
        let mut pod = Pod::default();
        pod.metadata.namespace = "default".into();
        pod.metadata.name = name.into();
        pod.metadata.uid = format!("uid-{name}").into();
        pod.status.phase = "Pending".into();
        pod.spec.node_name = node.into();
        if node.is_empty() {
            pod.status.conditions.push(Condition {
                kind: "PodScheduled".into(),
                status: "False".into(),
                reason: "Unschedulable".into(),
                ..Condition::default()
            });
        }
        let pod = Arc::new(pod);
        self.pods.insert(name.into(), Arc::clone(&pod));
        self.tell(Event::Pod(pod));
    }

    /// Deleted and gone at once; the node hears of it.
    fn remove_pod(&mut self, name: &str) {
        let Some(mut pod) = self.pods.remove(name) else { return };
        Arc::make_mut(&mut pod).metadata.deletion_timestamp = Some(self.calendar.stamp(self.now));
        self.tell(Event::Pod(pod));
        self.tell(Event::PodGone(format!("default/{name}").into()));
    }

    /// A pod that leaves its node waits for another.
    fn leave(&mut self, key: &Str) {
        let name = key.trim_start_matches("default/").to_owned();
        self.remove_pod(&name);
        self.make_pod(&format!("{name}'"), "");
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Launch(claim) => {
                let key = OfferingKey::from(&launch());
                if self.sold_out {
                    self.tell(Event::LaunchFailed { node_claim: claim, unavailable: vec![key] });
                } else {
                    self.after(NODE_CREATED, Coming::Created(claim.clone()));
                    let provider_id = provider_id(&claim);
                    let unavailable = Vec::new();
                    self.tell(Event::Launched {
                        node_claim: claim,
                        provider_id,
                        launch: launch(),
                        unavailable,
                    });
                }
            }
            Coming::Created(claim) => {
                let mut node = Node::default();
                node.metadata.name = claim.clone();
                node.spec.provider_id = provider_id(&claim);
                node.spec.taints = serde_json::from_str(
                    r#"[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
                        {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]"#,
                )
                .unwrap();
                self.after(NODE_READY, Coming::Ready(claim.clone()));
                self.set_node(node);
            }
            Coming::Ready(name) => {
                let Some(node) = self.nodes.get(&name) else { return };
                let mut node = (**node).clone();
                node.spec.taints.remove(0);
                node.status.conditions.push(Condition {
                    kind: "Ready".into(),
                    status: "True".into(),
                    ..Condition::default()
                });
                self.after(NODE_INITIALIZED, Coming::Initializable(name.clone()));
                self.set_node(node);
                self.bind_a_pod(&name);
            }
            Coming::Initializable(name) => {
                let Some(node) = self.nodes.get(&name) else { return };
                let mut node = (**node).clone();
                node.spec.taints.retain(|taint| !taint.key.ends_with("not-ready"));
                self.set_node(node);
            }
            Coming::Gone(provider_id) => self.tell(Event::InstanceGone(provider_id)),
        }
    }

    fn set_node(&mut self, node: Node) {
        let node = Arc::new(node);
        self.nodes.insert(node.metadata.name.clone(), Arc::clone(&node));
        self.tell(Event::Node(node));
    }

    /// The scheduler of this cluster: the first pod that waits goes to a node that has just become ready.
    fn bind_a_pod(&mut self, node: &Str) {
        let waiting =
            self.pods.iter().find(|(_, pod)| pod.spec.node_name.is_empty()).map(|(name, _)| name.clone());
        if let Some(pod) = waiting.and_then(|name| self.pods.get_mut(&name)) {
            Arc::make_mut(pod).spec.node_name = node.clone();
            let pod = Arc::clone(pod);
            self.tell(Event::Pod(pod));
        }
    }

    fn act(&mut self) {
        for step in self.controller.ready().in_order() {
            match step {
                Step::Action(action) => self.carry_out(action),
                Step::Record(record) => self.take_down(record),
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::CreateNodeClaim { node_claim, .. } => {
                self.note(format!("launch {}", node_claim.metadata.name));
                self.after(0, Coming::Launch(node_claim.metadata.name.clone()));
            }
            Action::PatchNode { node, patch } => {
                patch.apply(Arc::make_mut(self.nodes.entry(node).or_default()));
            }
            Action::EvictPod { pod } if self.refuses => {
                self.note(format!("refused {}", pod.trim_start_matches("default/")));
                self.tell(Event::EvictionRefused(pod));
            }
            Action::EvictPod { pod } => {
                self.note(format!("evict {}", pod.trim_start_matches("default/")));
                self.tell(Event::EvictionAccepted(pod.clone()));
                self.leave(&pod);
            }
            Action::DeletePod { pod, .. } => {
                self.note(format!("delete {}", pod.trim_start_matches("default/")));
                self.leave(&pod);
            }
            Action::TerminateInstance { provider_id } => self.after(0, Coming::Gone(provider_id)),
            Action::RemoveNodeFinalizer { node } => drop(self.nodes.remove(&node)),
            _ => {}
        }
    }

    fn take_down(&mut self, record: Record) {
        match record {
            Record::NodeClaim { node_claim, reached } => {
                self.note(format!("{} {node_claim}", reached.as_str()));
            }
            Record::Condition { node_claim, condition, is_true, .. } => {
                let not = if is_true { "" } else { "not " };
                self.note(format!("{not}{} {node_claim}", condition.to_lowercase()));
            }
            Record::Pass { of: Loop::Disruption } => self.passes.push(self.now as f64 / 1e9),
            Record::Decided(decided) if !decided.removed.is_empty() => {
                let names =
                    |names: Vec<&Str>| names.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
                let launched = names(decided.launched.iter().map(|(name, _)| name).collect());
                let arrow = if launched.is_empty() { "" } else { " -> " };
                let removed = names(decided.removed.iter().map(|it| &it.name).collect());
                self.note(format!("{}: {removed}{arrow}{launched}", decided.reason.as_str()));
            }
            _ => {}
        }
    }
}

fn provider_id(node_claim: &str) -> Str {
    format!("test:///{node_claim}").into()
}

fn catalogue() -> Catalogue {
    serde_json::from_str(
        r#"{"instanceTypes": [{"name": "m5.large", "capacity": {"cpu": "2", "pods": "29"}, "offerings": [{"requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}], "price": 0.096, "available": true}]}]}"#,
    )
    .unwrap()
}
