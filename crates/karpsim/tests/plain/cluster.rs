//! A moment of a cluster: its nodes as Karpenter's state holds them, and what could be launched.

use super::pods::{HostPort, Wishes, host_ports, tolerate_prefer_no_schedule, tolerates_all};
use super::requirements::{Label, Requirements};
use karpsim::api::Scenario;
use karpsim::api::core::{Container, DaemonSet, Node, Pod, ResourceList, Taint, TaintEffect, Toleration};
use karpsim::api::karpenter::{NodeClaim, NodePool};
use karpsim::api::meta::{Labels, Operator, Str, condition, condition_is_true};
use karpsim::catalogue::{InstanceType, Overhead};
use karpsim::compile::overlays::Changes;
use karpsim::compile::pools::{dynamic_pools, is_managed};
use karpsim::compile::resources::{RawAmounts, add, pod_requests, raw};
use karpsim::compile::taints::{is_ephemeral, same_taint};
use karpsim::compile::validity::pod_fault;
use karpsim::compile::volumes::Storage;
use karpsim::compile::{is_provisionable, types};
use karpsim::disruption::evictable::{PodBudgets, is_active, is_owned_by, is_terminal};
use karpsim::labels::{self, HOSTNAME, INITIALIZED, LabelRules, NODE_POOL, REGISTERED};
use karpsim::quantity::Quantity;
use karpsim::requirements::Algebra;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A pod of the scenario, in order of namespace and name.
#[derive(Debug, Clone)]
pub(crate) struct PodOf<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) name: Str,
    pub(crate) wishes: Wishes,
    /// A node under `consolidateAfter` takes it: it is pending, or its node is going.
    pub(crate) exempt: bool,
}

/// A node of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct StateNode<'a> {
    pub(crate) name: Str,
    pub(crate) node: Option<&'a Node>,
    pub(crate) claim: Option<&'a NodeClaim>,
    pub(crate) labels: &'a Labels,
    /// Labels, and a hostname in any case.
    pub(crate) requirements: Requirements,
    pub(crate) taints: Vec<Taint>,
    pub(crate) initialized: bool,
    pub(crate) marked: bool,
    pub(crate) young: bool,
    pub(crate) capacity: RawAmounts,
    /// What is left of its allocatable beside its pods and the daemons to come.
    pub(crate) remaining: RawAmounts,
    pub(crate) ports: Vec<Vec<HostPort>>,
    pub(crate) attached: BTreeSet<(Str, Str)>,
    pub(crate) attach_limits: Vec<(Str, i64)>,
    /// Places among the cluster's pods.
    pub(crate) pods: Vec<usize>,
}

impl StateNode<'_> {
    pub(crate) fn pool(&self) -> Option<&str> {
        self.labels.get(NODE_POOL)
    }
}

/// An offering of an instance type.
#[derive(Debug, Clone)]
pub(crate) struct Offering {
    pub(crate) requirements: Requirements,
    pub(crate) price: f64,
    pub(crate) available: bool,
    pub(crate) capacity_type: Str,
    pub(crate) zone: Str,
    /// Its reservation, and how many instances that has left.
    pub(crate) reservation: Option<(Str, i64)>,
    /// What pods and daemons can have of it.
    pub(crate) allocatable: RawAmounts,
}

/// An instance type.
#[derive(Debug, Clone)]
pub(crate) struct Type {
    pub(crate) name: Str,
    pub(crate) requirements: Requirements,
    pub(crate) capacity: RawAmounts,
    pub(crate) offerings: Vec<Offering>,
}

/// An instance type of a NodePool, with the daemons that would run on it.
#[derive(Debug, Clone)]
pub(crate) struct TypeOption {
    /// Place among the pool's types.
    pub(crate) of: usize,
    pub(crate) overhead: Option<RawAmounts>,
    pub(crate) daemon_ports: Vec<Vec<HostPort>>,
    /// The names of the daemons, which order the options.
    daemons: String,
}

/// A NodePool that nodes can be launched from.
#[derive(Debug, Clone)]
pub(crate) struct Pool<'a> {
    pub(crate) pool: &'a NodePool,
    /// Its requirements and the labels of its nodes.
    pub(crate) written: Requirements,
    /// The same with what Karpenter adds.
    pub(crate) requirements: Requirements,
    pub(crate) types: Vec<Type>,
    /// What it can launch at all, in the order in which a NodeClaim lists it.
    pub(crate) options: Vec<TypeOption>,
}

impl Pool<'_> {
    pub(crate) fn taints(&self) -> &[Taint] {
        &self.pool.spec.template.spec.taints
    }
}

/// A moment of a cluster.
pub(crate) struct Cluster<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) rules: LabelRules,
    pub(crate) pods: Vec<PodOf<'a>>,
    pub(crate) pending: Vec<usize>,
    pub(crate) leaving: Vec<usize>,
    pub(crate) ignored: Vec<Str>,
    /// Nodes of the API server by name.
    pub(crate) api_nodes: BTreeMap<Str, &'a Node>,
    /// Nodes of Karpenter's state, by name.
    pub(crate) nodes: Vec<StateNode<'a>>,
    /// NodePools in the order in which they are tried.
    pub(crate) pools: Vec<Pool<'a>>,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let objects = &scenario.objects;
        let rules = LabelRules::new(&scenario.catalogue);
        let respects = scenario.options.respects_preferences();
        let storage = Storage::new(objects, scenario.options.volume_lookup(scenario.kind));
        let mut nodes = state_nodes(scenario, &rules);
        let marked: BTreeSet<Str> =
            nodes.iter().filter(|node| node.marked).map(|node| node.name.clone()).collect();
        let mut pods: Vec<PodOf<'a>> = objects
            .pods
            .iter()
            .map(|pod| {
                let wishes = Wishes::of(scenario, &rules, pod);
                PodOf {
                    pod,
                    name: format!("{}/{}", pod.metadata.namespace, pod.metadata.name).into(),
                    wishes: if respects { wishes } else { wishes.without_preferences() },
                    exempt: pod.status.phase == "Pending" || marked.contains(&pod.spec.node_name),
                }
            })
            .collect();
        pods.sort_by_key(|it| (it.pod.metadata.namespace.clone(), it.pod.metadata.name.clone()));
        let (mut pending, mut ignored) = (Vec::new(), Vec::new());
        for (at, it) in pods.iter().enumerate() {
            if is_provisionable(it.pod) {
                match pod_fault(&rules, &storage, it.pod) {
                    None => pending.push(at),
                    Some(_) => ignored.push(it.name.clone()),
                }
            }
        }
        let mut daemons = daemons(scenario, &rules);
        let pools = dynamic_pools(objects, &scenario.catalogue.provider)
            .into_iter()
            .map(|pool| pool_of(scenario, &rules, pool, &mut daemons))
            .collect();
        fill_nodes(scenario, &mut nodes, &pods, &daemons);
        let budgets = PodBudgets::new(objects);
        let leaving = nodes
            .iter()
            .filter(|node| node.marked)
            .flat_map(|node| node.pods.iter().copied())
            .filter(|&at| budgets.will_move(pods[at].pod, scenario.now))
            .collect();
        let api_nodes = objects.nodes.iter().map(|node| (node.metadata.name.clone(), &**node)).collect();
        Cluster { scenario, rules, pods, pending, leaving, ignored, api_nodes, nodes, pools }
    }

    pub(crate) fn is_well_known(&self, key: &str) -> bool {
        self.rules.is_well_known(key)
    }
}

/// Nodes and NodeClaims joined by provider id, by name.
fn state_nodes<'a>(scenario: &'a Scenario, rules: &LabelRules) -> Vec<StateNode<'a>> {
    let known = labels::known_node_classes(&scenario.catalogue.provider);
    let mut joined: BTreeMap<Str, (Option<&Node>, Option<&NodeClaim>)> = BTreeMap::new();
    let mut claims: Vec<&NodeClaim> = scenario.objects.node_claims.iter().map(|claim| &**claim).collect();
    claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for claim in claims {
        let class = &claim.spec.node_class_ref;
        let is_ours = known.contains(&(class.group.as_str(), class.kind.as_str()));
        if is_ours && !claim.status.provider_id.is_empty() {
            joined.entry(claim.status.provider_id.clone()).or_default().1 = Some(claim);
        }
    }
    let mut nodes: Vec<&Node> = scenario.objects.nodes.iter().map(|node| &**node).collect();
    nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for node in nodes {
        let has = |key: &str| node.metadata.labels.get(key).is_some_and(|value| !value.is_empty());
        let id = &node.spec.provider_id;
        // Of a node of a NodePool Karpenter waits to hear what it is.
        let is_unknown = id.is_empty() || (!has(labels::INSTANCE_TYPE) && !has(INITIALIZED));
        if has(NODE_POOL) && is_unknown {
            continue;
        }
        let id = if id.is_empty() { node.metadata.name.clone() } else { id.clone() };
        joined.entry(id).or_default().0 = Some(node);
    }
    let mut state: Vec<StateNode<'a>> =
        joined.into_values().map(|(node, claim)| state_node(scenario, rules, node, claim)).collect();
    state.sort_by(|a, b| a.name.cmp(&b.name));
    state
}

fn state_node<'a>(
    scenario: &'a Scenario,
    rules: &LabelRules,
    node: Option<&'a Node>,
    claim: Option<&'a NodeClaim>,
) -> StateNode<'a> {
    let is_true = |label: &str| node.is_some_and(|node| node.metadata.labels.get(label) == Some("true"));
    let registered = claim.is_none() || is_true(REGISTERED);
    let initialized = claim.is_none() || is_true(INITIALIZED);
    // Until a node is registered its NodeClaim speaks for it.
    let (name, labels, taints) = match (node, claim) {
        (Some(node), _) if registered => (&node.metadata.name, &node.metadata.labels, &node.spec.taints),
        (_, Some(claim)) => (&claim.metadata.name, &claim.metadata.labels, &claim.spec.taints),
        _ => panic!("joined from a node or a claim"),
    };
    let mut taints = taints.clone();
    if let Some(claim) = claim.filter(|_| !initialized) {
        taints.retain(|taint| {
            !is_ephemeral(taint) && !claim.spec.startup_taints.iter().any(|it| same_taint(it, taint))
        });
    }
    let deleting = match (node, claim) {
        (_, Some(claim)) => {
            claim.metadata.deletion_timestamp.is_some()
                || condition_is_true(&claim.status.conditions, "InstanceTerminating")
        }
        (Some(node), None) => node.metadata.deletion_timestamp.is_some(),
        (None, None) => false,
    };
    let amounts = |of_node: Option<&ResourceList>, of_claim: Option<&ResourceList>| {
        let mut amounts = of_node.map(raw).unwrap_or_default();
        if !initialized {
            for (name, quantity) in of_claim.map(raw).unwrap_or_default() {
                let amount = amounts.entry(name).or_default();
                if amount.is_zero() {
                    *amount = quantity;
                }
            }
        }
        amounts
    };
    let mut capacity =
        amounts(node.map(|node| &node.status.capacity), claim.map(|claim| &claim.status.capacity));
    capacity.insert("nodes".into(), Quantity::from_units(1));
    let hostname: Str = match labels.get(HOSTNAME) {
        Some(hostname) if !hostname.is_empty() => hostname.into(),
        _ => name.clone(),
    };
    let mut requirements = Requirements::of_labels(rules, labels);
    if labels.get(HOSTNAME).is_none() {
        requirements.add(HOSTNAME, Label::one_of([hostname.clone()]));
    }
    StateNode {
        name: name.clone(),
        node,
        claim,
        labels,
        requirements,
        taints,
        initialized,
        marked: deleting || scenario.memory.marked_for_deletion.contains(name),
        young: is_young(scenario, labels, claim),
        capacity,
        remaining: amounts(
            node.map(|node| &node.status.allocatable),
            claim.map(|claim| &claim.status.allocatable),
        ),
        ports: Vec::new(),
        attached: BTreeSet::new(),
        attach_limits: Vec::new(),
        pods: Vec::new(),
    }
}

/// Whether less than `consolidateAfter` has passed since the last pod event, or else since the node was initialised.
fn is_young(scenario: &Scenario, labels: &Labels, claim: Option<&NodeClaim>) -> bool {
    let pools = dynamic_pools(&scenario.objects, &scenario.catalogue.provider);
    let pool = pools.into_iter().find(|pool| labels.get(NODE_POOL) == Some(&pool.metadata.name));
    let (Some(pool), Some(claim)) = (pool, claim) else { return false };
    let Some(wait) = pool.spec.disruption.consolidate_after.and_then(|after| after.0) else { return false };
    let Some(initialized) = condition(&claim.status.conditions, "Initialized") else { return false };
    if wait.nanos == 0 || initialized.status != "True" {
        return false;
    }
    let since = claim.status.last_pod_event_time.or(initialized.last_transition_time).unwrap_or_default();
    scenario.now.0.as_nanosecond() - since.0.as_nanosecond() < i128::from(wait.nanos)
}

/// What pods and daemons leave of the nodes.
fn fill_nodes(scenario: &Scenario, nodes: &mut [StateNode<'_>], pods: &[PodOf<'_>], daemons: &[Daemon]) {
    for node in nodes {
        let Some(name) = node.node.map(|node| &node.metadata.name) else {
            subtract_daemons(node, daemons, &RawAmounts::new());
            continue;
        };
        node.pods = (0..pods.len()).filter(|&at| pods[at].pod.spec.node_name == *name).collect();
        let mut of_daemons = RawAmounts::new();
        for it in node.pods.iter().map(|&at| &pods[at]).filter(|it| !is_terminal(it.pod)) {
            for (resource, quantity) in &it.wishes.requests {
                if let Some(left) = node.remaining.get_mut(resource) {
                    *left = *left - *quantity;
                }
            }
            if is_owned_by(it.pod, "apps/v1", "DaemonSet") {
                add(&mut of_daemons, &it.wishes.requests);
            }
            node.ports.push(it.wishes.ports.clone());
            node.attached.extend(it.wishes.volumes.attached.iter().cloned());
        }
        subtract_daemons(node, daemons, &of_daemons);
        let csi = scenario.objects.csi_nodes.iter().rfind(|csi| csi.metadata.name == *name);
        for driver in csi.into_iter().flat_map(|csi| &csi.spec.drivers) {
            if let Some(limit) = &driver.allocatable {
                node.attach_limits.push((driver.name.clone(), limit.count.unwrap_or(0)));
            }
        }
    }
}

/// Keeps room for the daemons that belong on the node, less what daemons there have.
fn subtract_daemons(node: &mut StateNode<'_>, daemons: &[Daemon], present: &RawAmounts) {
    let mut belonging = RawAmounts::new();
    for daemon in daemons {
        let fits = node.requirements_before_hostname().meets(&daemon.asked(), |_| false);
        if fits && tolerates_all(&daemon.tolerations, &node.taints) {
            add(&mut belonging, &daemon.requests);
        }
    }
    for (resource, quantity) in belonging {
        let there = present.get(&resource).copied().unwrap_or_default();
        if let Some(left) = node.remaining.get_mut(&resource) {
            *left = *left - (quantity - there).max(Quantity::ZERO);
        }
    }
}

impl StateNode<'_> {
    /// Daemons are asked before Karpenter adds a hostname by itself.
    fn requirements_before_hostname(&self) -> Requirements {
        let mut requirements = self.requirements.clone();
        if self.labels.get(HOSTNAME).is_none() {
            requirements.0.remove(HOSTNAME);
        }
        requirements
    }
}

/// A daemon set, as its newest pod or its template stands for it.
struct Daemon {
    name: String,
    requests: RawAmounts,
    selector: Requirements,
    /// OR-ed terms; those that did not fit some type are gone for good.
    terms: Vec<Requirements>,
    tolerations: Vec<Toleration>,
    ports: Vec<HostPort>,
}

impl Daemon {
    fn asked(&self) -> Requirements {
        self.terms.first().map_or_else(|| self.selector.clone(), |term| self.selector.and(term))
    }

    /// Whether it would run on nodes of a type. Asking drops its wishes for good.
    fn runs_on(&mut self, pool: &Pool<'_>, it: &Type, rules: &LabelRules) -> bool {
        tolerate_prefer_no_schedule(&mut self.tolerations);
        if !tolerates_all(&self.tolerations, pool.taints()) {
            return false;
        }
        loop {
            let asked = self.asked();
            let of_pool = pool.requirements.meets(&asked, |key| rules.is_well_known(key));
            if of_pool && it.requirements.agrees_with(&asked) {
                return true;
            }
            if self.terms.len() <= 1 {
                return false;
            }
            self.terms.remove(0);
        }
    }
}

fn daemons(scenario: &Scenario, rules: &LabelRules) -> Vec<Daemon> {
    let mut sets: Vec<&DaemonSet> = scenario.objects.daemon_sets.iter().collect();
    sets.sort_by_key(|set| (set.metadata.namespace.clone(), set.metadata.name.clone()));
    let mut daemons = Vec::new();
    for set in sets {
        let pod = stand_in(scenario, set);
        let containers = || pod.spec.containers.iter().chain(&pod.spec.init_containers);
        if !pod.spec.resource_claims.is_empty()
            || containers().any(|container| !container.resources.claims.is_empty())
        {
            continue;
        }
        let required = |spec: &karpsim::api::core::PodSpec| {
            let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
            affinity.required.as_ref().map(|required| required.node_selector_terms.clone())
        };
        let terms = required(&set.spec.template.spec).or_else(|| required(&pod.spec)).unwrap_or_default();
        daemons.push(Daemon {
            name: format!("{}/{}", pod.metadata.namespace, pod.metadata.name),
            requests: pod_requests(&pod),
            selector: Requirements::of_labels(rules, &pod.spec.node_selector),
            terms: terms
                .iter()
                .map(|term| {
                    Requirements::of_expressions(rules, term.match_expressions.as_deref().unwrap_or_default())
                })
                .collect(),
            tolerations: pod.spec.tolerations.clone(),
            ports: host_ports(&pod.spec),
        });
    }
    daemons
}

/// The newest pod of the set, the first by name among equals; or else a pod out of its template, with limits for requests
/// that are not written.
fn stand_in(scenario: &Scenario, set: &DaemonSet) -> Pod {
    let mut own: Vec<&Pod> = scenario
        .objects
        .pods
        .iter()
        .map(|pod| &**pod)
        .filter(|pod| {
            let owners = &pod.metadata.owner_references;
            pod.metadata.namespace == set.metadata.namespace
                && owners.iter().any(|owner| owner.controller && owner.uid == set.metadata.uid)
        })
        .collect();
    own.sort_by_key(|pod| (std::cmp::Reverse(pod.metadata.creation_timestamp), pod.metadata.name.clone()));
    if let Some(newest) = own.first() {
        return (*newest).clone();
    }
    let mut pod = Pod { spec: set.spec.template.spec.clone(), ..Pod::default() };
    pod.metadata.name = set.metadata.name.clone();
    pod.metadata.namespace = set.metadata.namespace.clone();
    let complete = |container: &mut Container| {
        for (name, quantity) in container.resources.limits.clone().iter() {
            if container.resources.requests.get(name).is_none() {
                container.resources.requests.insert(name, quantity);
            }
        }
    };
    pod.spec.containers.iter_mut().for_each(complete);
    pod.spec.init_containers.iter_mut().for_each(complete);
    pod
}

/// A NodePool with what it can launch.
fn pool_of<'a>(
    scenario: &Scenario,
    rules: &LabelRules,
    pool: &'a NodePool,
    daemons: &mut [Daemon],
) -> Pool<'a> {
    let spec = &pool.spec.template.spec;
    let mut written = Requirements::default();
    for requirement in &spec.requirements {
        let operator = requirement.operator.unwrap_or(Operator::Exists);
        let label = Label::of(operator, &requirement.values, requirement.min_values);
        written.add(rules.normalize(&requirement.key), label);
    }
    written = written.and(&Requirements::of_labels(rules, &pool.spec.template.metadata.labels));
    let class = &spec.node_class_ref;
    let mut requirements = written.clone();
    for (key, value) in [
        (NODE_POOL, &*pool.metadata.name),
        (&labels::node_class_label(&class.group, &class.kind), &class.name),
        (REGISTERED, "true"),
        (INITIALIZED, "true"),
    ] {
        requirements.add(key, Label::one_of([value.into()]));
    }
    let types = types_of(scenario, rules, &pool.metadata.name);
    let mut it = Pool { pool, written, requirements, types, options: Vec::new() };
    let mut options: Vec<TypeOption> = (0..it.types.len())
        .map(|of| TypeOption { of, overhead: None, daemon_ports: Vec::new(), daemons: String::new() })
        .filter(|option| {
            it.is_option(option, &it.requirements, &RawAmounts::new(), |key| rules.is_well_known(key))
        })
        .collect();
    let met =
        it.unmet_min_values(&it.requirements, options.iter().map(|option| &it.types[option.of])).is_empty();
    if !met && !scenario.options.relaxes_min_values() {
        return it;
    }
    for option in &mut options {
        let mut names: Vec<String> = Vec::new();
        for daemon in daemons.iter_mut() {
            if daemon.runs_on(&it, &it.types[option.of], rules) {
                add(option.overhead.get_or_insert_default(), &daemon.requests);
                if !daemon.ports.is_empty() {
                    option.daemon_ports.push(daemon.ports.clone());
                }
                names.push(daemon.name.clone());
            }
        }
        names.sort();
        option.daemons = names.join(",");
    }
    options.sort_by(|a, b| a.daemons.cmp(&b.daemons));
    it.options = options;
    it
}

impl Pool<'_> {
    /// Whether nodes of the type can be as `requirements` say and have room for `requests` and the daemons.
    pub(crate) fn is_option(
        &self,
        option: &TypeOption,
        requirements: &Requirements,
        requests: &RawAmounts,
        is_well_known: impl Fn(&str) -> bool,
    ) -> bool {
        let it = &self.types[option.of];
        let mut all = Cow::Borrowed(requests);
        if let Some(overhead) = &option.overhead {
            add(all.to_mut(), overhead);
        }
        // What is cheap to find out comes first; the order changes nothing.
        it.offerings.iter().any(|offering| offering.available && fits(&all, &offering.allocatable))
            && it.requirements.agrees_with(requirements)
            && it.offerings.iter().any(|offering| {
                offering.available
                    && fits(&all, &offering.allocatable)
                    && requirements.meets(&offering.requirements, &is_well_known)
            })
    }

    /// The type of an option.
    pub(crate) fn type_of(&self, option: usize) -> &Type {
        &self.types[self.options[option].of]
    }

    /// The labels whose `minValues` the types do not have, and how many they have.
    pub(crate) fn unmet_min_values<'t>(
        &self,
        requirements: &Requirements,
        types: impl Iterator<Item = &'t Type> + Clone,
    ) -> Vec<(Str, i64)> {
        let mut unmet = Vec::new();
        for (key, label) in &requirements.0 {
            let Some(least) = label.min_values else { continue };
            let labels = types.clone().filter_map(|it| it.requirements.0.get(key));
            let values: BTreeSet<&Str> = labels.flat_map(|label| &label.values).collect();
            let count = values.len() as i64;
            if count < least {
                unmet.push((key.clone(), count));
            }
        }
        unmet
    }
}

/// Whether there is room: nothing is less than nothing, and what is not listed is not there.
pub(crate) fn fits(requests: &RawAmounts, room: &RawAmounts) -> bool {
    room.values().all(|left| !left.is_negative())
        && requests.iter().all(|(name, quantity)| *quantity <= room.get(name).copied().unwrap_or_default())
}

/// The types on offer to a NodePool, overlays applied.
pub(crate) fn types_of(scenario: &Scenario, rules: &LabelRules, pool: &str) -> Vec<Type> {
    let catalogue = &scenario.catalogue;
    let mut algebra = Algebra::default();
    let changes = if scenario.options.node_overlay() {
        let objects = &scenario.objects;
        Changes::new(&mut algebra, rules, catalogue, &objects.node_pools, &objects.node_overlays)
    } else {
        Changes::default()
    };
    let mut reader = types::Reader::new(rules);
    let mut types = Vec::new();
    for (index, it) in catalogue.instance_types.iter().enumerate() {
        let prices: Vec<Option<f64>> = it
            .offerings
            .iter()
            .map(|offering| {
                let kind = reader.of_offering(&mut algebra, &offering.requirements);
                changes.price(pool, index, kind, offering.price.0).filter(|_| !changes.is_empty())
            })
            .collect();
        types.push(type_of(rules, it, changes.capacity(pool, index, &it.capacity), &prices));
    }
    types
}

fn type_of(rules: &LabelRules, it: &InstanceType, capacity: RawAmounts, prices: &[Option<f64>]) -> Type {
    let offerings = it.offerings.iter().zip(prices).map(|(offering, changed_price)| {
        let label = |key: &str| -> Str {
            let found = offering.requirements.iter().find(|it| rules.normalize(&it.key) == key);
            found.and_then(|it| it.values.first().cloned()).unwrap_or_default()
        };
        let (mut total, mut kept) = (capacity.clone(), overhead(&it.overhead));
        // An overlay's price makes the offering anew: what it overrides is lost.
        if changed_price.is_none() {
            add(&mut total, &raw(&offering.capacity_override));
            if let Some(own) = &offering.overhead_override {
                add(&mut kept, &overhead(own));
            }
        }
        let capacity_type = label(labels::CAPACITY_TYPE);
        Offering {
            requirements: Requirements::of_expressions(rules, &offering.requirements),
            price: changed_price.unwrap_or(offering.price.0),
            available: offering.available,
            reservation: (capacity_type == labels::RESERVED)
                .then(|| (label(rules.reservation_id()), offering.reservation_capacity)),
            capacity_type,
            zone: label(labels::ZONE),
            allocatable: allocatable(&total, &kept),
        }
    });
    Type {
        name: it.name.clone(),
        requirements: Requirements::of_expressions(rules, &it.requirements),
        offerings: offerings.collect(),
        capacity,
    }
}

fn overhead(overhead: &Overhead) -> RawAmounts {
    let mut total = raw(&overhead.kube_reserved);
    add(&mut total, &raw(&overhead.system_reserved));
    add(&mut total, &raw(&overhead.eviction_threshold));
    total
}

fn allocatable(capacity: &RawAmounts, overhead: &RawAmounts) -> RawAmounts {
    let mut left = capacity.clone();
    for (name, quantity) in overhead {
        if let Some(amount) = left.get_mut(name) {
            *amount = *amount - *quantity;
        }
    }
    for (name, quantity) in capacity {
        if name.starts_with("hugepages-") {
            let memory = left.entry("memory".into()).or_default();
            *memory = (*memory - *quantity).max(Quantity::ZERO);
        }
    }
    left
}

/// Whether topologies count the pod: it is bound, and neither over nor ending.
pub(crate) fn counts(pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty() && is_active(pod)
}

/// Whether some NodePool that nodes can be launched from would rather not have pods.
pub(crate) fn some_pool_prefers_no_schedule(cluster: &Cluster<'_>) -> bool {
    let prefers = |taint: &Taint| taint.effect == Some(TaintEffect::PreferNoSchedule);
    cluster.pools.iter().any(|pool| pool.taints().iter().any(prefers))
}

/// NodePools that are Karpenter's, by name.
pub(crate) fn managed_pools(scenario: &Scenario) -> BTreeMap<&str, &NodePool> {
    let pools = scenario.objects.node_pools.iter();
    pools
        .filter(|pool| is_managed(pool, &scenario.catalogue.provider))
        .map(|pool| (pool.metadata.name.as_str(), pool))
        .collect()
}
