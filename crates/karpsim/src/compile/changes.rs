//! Changes to a cluster that is compiled: pods, nodes and NodeClaims that come, change and go.
//!
//! Each costs what it touches. What would change the units of resources, the labels that selectors look at or the daemons
//! is not made here: the change is refused ([`TooFar`]), nothing is touched, and the cluster is compiled anew.

use super::asked::Host;
use super::default_spread::DefaultSpread;
use super::fill;
use super::nodes::{self, ApiNode, StateNode};
use super::pods::{ClassId, Tools};
use super::pools;
use super::resources::Amounts;
use super::validity::pod_fault;
use super::volumes::Storage;
use super::{ClusterState, PodRecord};
use crate::kubernetes::eviction::PodBudgets;
use crate::kubernetes::labels::{DO_NOT_DISRUPT, NODE_POOL};
use crate::kubernetes::pods::{
    eviction_cost, is_active, is_owned_by_daemon_set, is_provisionable, is_reschedulable, pod_key,
};
use crate::kubernetes::requests::{RawAmounts, pod_requests, raw};
use crate::label_rules::is_known_node_class;
use crate::model::Objects;
use crate::model::core::{Node, Pod};
use crate::model::karpenter::NodeClaim;
use crate::model::meta::Str;
use crate::requirements::{Algebra, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::sync::Arc;

/// A change that the compiled form cannot take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooFar;

/// What a change did, for those who keep what follows from a cluster.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Nodes of the state that are something else now, but for their labels and taints.
    pub nodes: Vec<usize>,
    /// The order of trial is another one, or nodes have other labels or taints.
    pub order: bool,
    /// Topologies see other nodes, or other pods that keep others away.
    pub topology: bool,
    /// Pods that topologies count, by class and node of the API server: more or fewer.
    pub counted: Vec<(ClassId, usize, i32)>,
}

/// Where objects are in a compiled cluster, by name.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pods: FxHashMap<Str, usize>,
    vacant_pods: Vec<usize>,
    api_nodes: FxHashMap<Str, usize>,
    vacant_api_nodes: Vec<usize>,
    /// By node of the API server: the node of the state.
    state_of: Vec<Option<usize>>,
    vacant_nodes: Vec<usize>,
    /// By name: the place of a NodeClaim in the list.
    claims: FxHashMap<Str, usize>,
    /// By provider id: the names of its NodeClaims; more than one is an error of the cloud.
    claims_of_id: FxHashMap<Str, SmallVec<[Str; 1]>>,
    /// By provider id: its nodes of the API server.
    nodes_of_id: FxHashMap<Str, SmallVec<[usize; 1]>>,
    /// Pods that name a node that is not there.
    homeless: FxHashSet<usize>,
    /// By provider id: the node of the state.
    by_provider_id: FxHashMap<Str, usize>,
    no_pod: Arc<Pod>,
}

impl Places {
    /// The places of what has just been compiled. An error: two objects share what should be unique.
    pub(crate) fn new(state: &mut ClusterState) -> Result<Self, TooFar> {
        let classes = state.scenario.objects.pods.iter().zip(state.records.iter().map(|it| it.class));
        state.pods.index(classes, &DefaultSpread::new(&state.scenario));
        let mut places = Places { state_of: vec![None; state.api_nodes.len()], ..Places::default() };
        for (index, pod) in state.scenario.objects.pods.iter().enumerate() {
            places.pods.insert(pod_key(pod), index);
            if state.records[index].node.is_none() && !pod.spec.node_name.is_empty() {
                places.homeless.insert(index);
            }
        }
        for (index, node) in state.api_nodes.iter().enumerate() {
            places.api_nodes.insert(node.node.metadata.name.clone(), index);
            if let Some(id) = provider_id(Some(&node.node), None) {
                places.nodes_of_id.entry(id).or_default().push(index);
            }
        }
        for (index, node) in state.nodes.iter().enumerate() {
            if let Some(api) = node.node {
                places.state_of[api] = Some(index);
            }
            let id = provider_id(node.node.map(|api| &*state.api_nodes[api].node), node.claim.as_deref());
            if let Some(id) = id
                && places.by_provider_id.insert(id, index).is_some()
            {
                return Err(TooFar);
            }
        }
        for (index, claim) in state.scenario.objects.node_claims.iter().enumerate() {
            places.claims.insert(claim.metadata.name.clone(), index);
            places.note_claim(claim);
        }
        let unique = places.pods.len() == state.scenario.objects.pods.len()
            && places.claims.len() == state.scenario.objects.node_claims.len();
        if unique { Ok(places) } else { Err(TooFar) }
    }
}

impl Places {
    fn note_claim(&mut self, claim: &NodeClaim) {
        let names = self.claims_of_id.entry(claim.status.provider_id.clone()).or_default();
        names.push(claim.metadata.name.clone());
    }

    fn forget_claim(&mut self, claim: &NodeClaim) {
        let id = &claim.status.provider_id;
        if let Some(names) = self.claims_of_id.get_mut(id) {
            names.retain(|name| *name != claim.metadata.name);
            if names.is_empty() {
                self.claims_of_id.remove(id);
            }
        }
    }

    fn forget_node(&mut self, id: &str, at: usize) {
        if let Some(nodes) = self.nodes_of_id.get_mut(id) {
            nodes.retain(|node| *node != at);
            if nodes.is_empty() {
                self.nodes_of_id.remove(id);
            }
        }
    }
}

/// By what a node of the state is known: its provider id; the name of a node without one that no NodePool claims.
fn provider_id(node: Option<&Node>, claim: Option<&NodeClaim>) -> Option<Str> {
    if let Some(claim) = claim {
        return Some(claim.status.provider_id.clone());
    }
    let node = node?;
    match node.spec.provider_id.as_str() {
        "" if !node.metadata.labels.get(NODE_POOL).unwrap_or("").is_empty() => None,
        "" => Some(node.metadata.name.clone()),
        id => Some(id.into()),
    }
}

impl ClusterState {
    /// Finds the pods that must leave their nodes: those of nodes that are being removed, as far as they will move.
    pub(crate) fn find_leaving(&mut self) {
        let budgets = PodBudgets::new(&self.scenario.objects);
        let marked = self.nodes_by_name.iter().map(|&node| &self.nodes[node]).filter(|node| node.marked);
        let leaving = marked
            .flat_map(|node| node.pods.iter().copied())
            .filter(|&pod| budgets.will_move(&self.scenario.objects.pods[pod], self.scenario.now))
            .collect();
        self.leaving = leaving;
    }

    /// How many names and combinations of them are known, but for those of the algebra.
    pub(crate) fn interned(&self) -> usize {
        self.pods.len() + self.taints.len()
    }

    /// This moment as a scenario.
    pub(crate) fn to_scenario(&self) -> crate::scenario::Scenario {
        let mut scenario = self.scenario.clone();
        self.collect_objects(&mut scenario);
        scenario
    }

    fn collect_objects(&self, scenario: &mut crate::scenario::Scenario) {
        scenario.objects.pods =
            self.pods_by_name.iter().map(|&pod| Arc::clone(&self.scenario.objects.pods[pod])).collect();
        let nodes = self.api_nodes.iter().filter(|node| !node.is_vacant());
        scenario.objects.nodes = nodes.map(|node| Arc::clone(&node.node)).collect();
        scenario.objects.nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    }

    /// The scenario that this was compiled from, with all changes since.
    pub(crate) fn into_scenario(mut self) -> crate::scenario::Scenario {
        let mut scenario = std::mem::take(&mut self.scenario);
        self.scenario.objects.pods = std::mem::take(&mut scenario.objects.pods);
        self.collect_objects(&mut scenario);
        scenario
    }

    /// A pod comes, or is something else now.
    pub(crate) fn set_pod(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        pod: Arc<Pod>,
    ) -> Result<Touched, TooFar> {
        let key = pod_key(&pod);
        let known = places.pods.get(&key).copied();
        let before = known.map(|at| Arc::clone(&self.scenario.objects.pods[at]));
        let class = self.class_for(algebra, &pod)?;
        let stands_in = is_owned_by_daemon_set(&pod) && {
            let unchanged = before.as_ref().is_some_and(|before| {
                before.metadata.creation_timestamp == pod.metadata.creation_timestamp
                    && self.pods.known_class(before, &DefaultSpread::new(&self.scenario)) == Some(class)
            });
            let sets = &self.scenario.objects.daemon_sets;
            !unchanged && !pools::is_stood_for(&self.daemons, sets, &pod)
        };
        let mut touched = Touched::default();
        let at = match known {
            Some(at) => {
                self.take_pod_off(at, places, &mut touched);
                self.scenario.objects.pods[at] = Arc::clone(&pod);
                at
            }
            None => {
                let at = match places.vacant_pods.pop() {
                    Some(at) => {
                        self.scenario.objects.pods[at] = Arc::clone(&pod);
                        at
                    }
                    None => {
                        self.scenario.objects.pods.push(Arc::clone(&pod));
                        self.records.push(PodRecord::default());
                        self.records.len() - 1
                    }
                };
                places.pods.insert(key, at);
                let name = (&pod.metadata.namespace, &pod.metadata.name);
                let place = self.pods_by_name.partition_point(|&other| self.name_of(other) < name);
                self.pods_by_name.insert(place, at);
                at
            }
        };
        let node = places.api_nodes.get(&pod.spec.node_name).copied();
        let state = node.and_then(|node| places.state_of[node]);
        if node.is_none() && !pod.spec.node_name.is_empty() {
            places.homeless.insert(at);
        } else {
            places.homeless.remove(&at);
        }
        self.records[at] = PodRecord {
            class,
            node,
            counts: !pod.spec.node_name.is_empty() && is_active(&pod),
            exempt: self.is_exempt(&pod, state),
            reschedulable: is_reschedulable(&pod),
            annotated: pod.metadata.annotations.get(DO_NOT_DISRUPT).is_some(),
            eviction_cost: eviction_cost(&pod, self.scenario.options.cost_source()),
        };
        self.put_pod_on(at, state, &mut touched);
        if stands_in {
            self.daemons_stand_in(algebra)?;
        }
        Ok(touched)
    }

    /// A pod is gone.
    pub(crate) fn remove_pod(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        key: &str,
    ) -> Result<Touched, TooFar> {
        let mut touched = Touched::default();
        let Some(&at) = places.pods.get(key) else { return Ok(touched) };
        let pod = Arc::clone(&self.scenario.objects.pods[at]);
        self.take_pod_off(at, places, &mut touched);
        places.pods.remove(key);
        let name = (&pod.metadata.namespace, &pod.metadata.name);
        let place = self.pods_by_name.partition_point(|&other| self.name_of(other) < name);
        self.pods_by_name.remove(place);
        self.scenario.objects.pods[at] = Arc::clone(&places.no_pod);
        self.records[at] = PodRecord::default();
        places.homeless.remove(&at);
        places.vacant_pods.push(at);
        if self.daemons.iter().any(|daemon| daemon.key == key) {
            self.daemons_stand_in(algebra)?;
        }
        Ok(touched)
    }

    fn name_of(&self, pod: usize) -> (&Str, &Str) {
        let metadata = &self.scenario.objects.pods[pod].metadata;
        (&metadata.namespace, &metadata.name)
    }

    /// Takes back all that follows from a pod.
    fn take_pod_off(&mut self, at: usize, places: &Places, touched: &mut Touched) {
        let record = self.records[at].clone();
        if let Ok(place) = self.pending.binary_search_by(|&other| self.name_of(other).cmp(&self.name_of(at)))
        {
            self.pending.remove(place);
        }
        self.ignored.retain(|(pod, _)| *pod != at);
        if self.has_anti_affinity(record.class) {
            touched.topology = true;
        }
        let Some(node) = record.node else { return };
        if record.counts {
            touched.counted.push((record.class, node, -1));
        }
        let Some(state) = places.state_of[node] else { return };
        self.nodes[state].pods.retain(|&pod| pod != at);
        self.refill(state);
        touched.nodes.push(state);
    }

    /// Does all that follows from a pod.
    fn put_pod_on(&mut self, at: usize, state: Option<usize>, touched: &mut Touched) {
        let record = self.records[at].clone();
        if self.has_anti_affinity(record.class) {
            touched.topology = true;
        }
        if is_provisionable(&self.scenario.objects.pods[at]) {
            let none = Objects::default();
            let pod = &self.scenario.objects.pods[at];
            // To look claims up by name takes a look at all of them.
            let storage =
                Storage::new(if pod.spec.volumes.is_empty() { &none } else { &self.scenario.objects });
            match pod_fault(&self.rules, &storage, &self.scenario.objects.pods[at]) {
                None => {
                    let place = self.pending.partition_point(|&other| self.name_of(other) < self.name_of(at));
                    self.pending.insert(place, at);
                }
                Some(fault) => {
                    let place =
                        self.ignored.partition_point(|(other, _)| self.name_of(*other) < self.name_of(at));
                    self.ignored.insert(place, (at, fault));
                }
            }
        }
        if let (true, Some(node)) = (record.counts, record.node) {
            touched.counted.push((record.class, node, 1));
        }
        let Some(state) = state else { return };
        let place = self.nodes[state].pods.partition_point(|&other| self.name_of(other) < self.name_of(at));
        self.nodes[state].pods.insert(place, at);
        self.refill(state);
        touched.nodes.push(state);
    }

    /// Whether a node under `consolidateAfter` may take the pod, which is on `state`.
    fn is_exempt(&self, pod: &Pod, state: Option<usize>) -> bool {
        let marked = |node: usize| {
            let node = &self.nodes[node];
            node.marked && node.name == pod.spec.node_name
        };
        pod.status.phase == "Pending" || state.is_some_and(marked)
    }

    fn has_anti_affinity(&self, class: ClassId) -> bool {
        self.pods.classes.get(class.0 as usize).is_some_and(|class| !class.anti_affinity.is_empty())
    }

    fn refill(&mut self, node: usize) {
        let (pods, objects) = (&self.pods, &self.scenario.objects.pods);
        fill::fill(&mut self.nodes[node], pods, &self.resources, &self.records, objects);
    }

    /// Whether the daemons are still what they were: at most other pods stand for their sets.
    fn daemons_stand_in(&mut self, algebra: &mut Algebra) -> Result<(), TooFar> {
        let daemons = pools::standing_in(
            algebra,
            &self.rules,
            &mut self.taints,
            &mut self.pods,
            &self.scenario.objects,
            &self.daemons,
        );
        self.daemons = daemons.ok_or(TooFar)?;
        Ok(())
    }

    /// The class of `pod`, new if there is no like of it.
    fn class_for(&mut self, algebra: &mut Algebra, pod: &Arc<Pod>) -> Result<ClassId, TooFar> {
        let default_spread = DefaultSpread::new(&self.scenario);
        if let Some(class) = self.pods.known_class(pod, &default_spread) {
            return Ok(class);
        }
        if !self.resources.covers(&pod_requests(pod)) || self.pods.would_look_further(pod, &default_spread) {
            return Err(TooFar);
        }
        let none = Objects::default();
        let storage = Storage::new(if pod.spec.volumes.is_empty() { &none } else { &self.scenario.objects });
        let mut tools = Tools {
            algebra,
            rules: &self.rules,
            resources: &mut self.resources,
            taints: &mut self.taints,
            storage: &storage,
            default_spread: &default_spread,
        };
        Ok(self.pods.add_class(&mut tools, pod))
    }

    /// A node of the API server comes, or is something else now.
    pub(crate) fn set_node(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        node: &Arc<Node>,
    ) -> Result<Touched, TooFar> {
        self.check_amounts(&raw(&node.status.allocatable), &raw(&node.status.capacity))?;
        let name = &node.metadata.name;
        let known = places.api_nodes.get(name).copied();
        let (labels, host) = nodes::labels_and_host(algebra, &self.rules, &node.metadata.labels);
        let taints = self.taints.taints(&node.spec.taints);
        let compiled = ApiNode { node: Arc::clone(node), labels, host, taints };
        let mut touched = Touched::default();
        let Some(at) = known else {
            let at = match places.vacant_api_nodes.pop() {
                Some(at) => {
                    self.api_nodes[at] = compiled;
                    at
                }
                None => {
                    self.api_nodes.push(compiled);
                    places.state_of.push(None);
                    self.api_nodes.len() - 1
                }
            };
            algebra.value(self.hostname, name);
            places.api_nodes.insert(name.clone(), at);
            if let Some(id) = provider_id(Some(node), None) {
                places.nodes_of_id.entry(id).or_default().push(at);
            }
            touched.topology = true;
            self.adopt_pods(places, at, name);
            self.rejoin(algebra, places, at, &mut touched)?;
            return Ok(touched);
        };
        let before = std::mem::replace(&mut self.api_nodes[at], compiled);
        let same_identity = before.node.spec.provider_id == node.spec.provider_id
            && before.node.metadata.labels.get(NODE_POOL) == node.metadata.labels.get(NODE_POOL);
        if !same_identity {
            self.leave(places, at, &before, &mut touched)?;
            if let Some(id) = provider_id(Some(&before.node), None) {
                places.forget_node(&id, at);
                self.rebuild(algebra, places, &id, &mut touched)?;
            }
            if let Some(id) = provider_id(Some(node), None) {
                places.nodes_of_id.entry(id).or_default().push(at);
            }
        }
        let now = &self.api_nodes[at];
        if before.node.metadata.labels != now.node.metadata.labels || before.taints != now.taints {
            touched.topology = true;
        }
        self.rejoin(algebra, places, at, &mut touched)?;
        Ok(touched)
    }

    /// A node of the API server is gone.
    pub(crate) fn remove_node(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        name: &str,
    ) -> Result<Touched, TooFar> {
        let mut touched = Touched::default();
        let Some(at) = places.api_nodes.remove(name) else { return Ok(touched) };
        touched.topology = true;
        let before = std::mem::replace(&mut self.api_nodes[at], ApiNode::vacant());
        let on_it: Vec<usize> = match places.state_of[at] {
            Some(state) => self.nodes[state].pods.clone(),
            None => (0..self.records.len()).filter(|&pod| self.records[pod].node == Some(at)).collect(),
        };
        for pod in on_it {
            self.records[pod].node = None;
            self.records[pod].exempt = self.scenario.objects.pods[pod].status.phase == "Pending";
            places.homeless.insert(pod);
        }
        self.leave(places, at, &before, &mut touched)?;
        places.vacant_api_nodes.push(at);
        if let Some(id) = provider_id(Some(&before.node), None) {
            places.forget_node(&id, at);
            self.rebuild(algebra, places, &id, &mut touched)?;
        }
        Ok(touched)
    }

    /// A NodeClaim comes, or is something else now.
    pub(crate) fn set_node_claim(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        claim: &Arc<NodeClaim>,
    ) -> Result<Touched, TooFar> {
        let mut touched = Touched::default();
        self.check_amounts(&raw(&claim.status.allocatable), &raw(&claim.status.capacity))?;
        let claims = &mut self.scenario.objects.node_claims;
        let name = &claim.metadata.name;
        let before = match places.claims.get(name) {
            Some(&at) => Some(std::mem::replace(&mut claims[at], Arc::clone(claim))),
            None => {
                places.claims.insert(name.clone(), claims.len());
                claims.push(Arc::clone(claim));
                None
            }
        };
        if let Some(before) = &before {
            places.forget_claim(before);
        }
        places.note_claim(claim);
        if !is_known_node_class(&self.scenario.catalogue.provider, &claim.spec.node_class_ref) {
            return Ok(touched);
        }
        let moved = before.filter(|before| before.status.provider_id != claim.status.provider_id);
        if let Some(before) = moved {
            self.rebuild(algebra, places, &before.status.provider_id, &mut touched)?;
        }
        self.rebuild(algebra, places, &claim.status.provider_id, &mut touched)?;
        Ok(touched)
    }

    /// A NodeClaim is gone.
    pub(crate) fn remove_node_claim(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        name: &str,
    ) -> Result<Touched, TooFar> {
        let mut touched = Touched::default();
        let Some(at) = places.claims.remove(name) else { return Ok(touched) };
        let claims = &mut self.scenario.objects.node_claims;
        let claim = claims.swap_remove(at);
        if let Some(moved) = claims.get(at) {
            places.claims.insert(moved.metadata.name.clone(), at);
        }
        places.forget_claim(&claim);
        self.rebuild(algebra, places, &claim.status.provider_id, &mut touched)?;
        Ok(touched)
    }

    /// Karpenter has decided to remove `names`: nodes, or NodeClaims without one.
    pub(crate) fn set_marked(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        names: &[Str],
    ) -> Result<Touched, TooFar> {
        let mut touched = Touched::default();
        let before = std::mem::replace(&mut self.scenario.memory.marked_for_deletion, names.to_vec());
        let after: FxHashSet<&Str> = names.iter().collect();
        let others = before.iter().filter(|name| !after.contains(name));
        let known: FxHashSet<&Str> = before.iter().collect();
        let ids: Vec<Str> = others
            .chain(names.iter().filter(|name| !known.contains(name)))
            .filter_map(|name| {
                let node = self.nodes_by_name.iter().find(|&&node| self.nodes[node].name == *name)?;
                let node = &self.nodes[*node];
                provider_id(node.node.map(|api| &*self.api_nodes[api].node), node.claim.as_deref())
            })
            .collect();
        for id in ids {
            self.rebuild(algebra, places, &id, &mut touched)?;
        }
        Ok(touched)
    }

    fn check_amounts(&self, allocatable: &RawAmounts, capacity: &RawAmounts) -> Result<(), TooFar> {
        let limited: RawAmounts = capacity
            .iter()
            .filter(|(name, _)| self.resources.find(name).is_some())
            .map(|(name, amount)| (name.clone(), *amount))
            .collect();
        let covered = self.resources.covers(allocatable) && self.resources.covers(&limited);
        if covered { Ok(()) } else { Err(TooFar) }
    }

    /// Pods that named a node before there was one are on it now.
    fn adopt_pods(&mut self, places: &mut Places, at: usize, name: &str) {
        let (records, pods) = (&mut self.records, &self.scenario.objects.pods);
        places.homeless.retain(|&pod| {
            let is_on_it = pods[pod].spec.node_name == name;
            if is_on_it {
                records[pod].node = Some(at);
            }
            !is_on_it
        });
    }

    /// A node of the API server is no longer what it was known by.
    fn leave(
        &mut self,
        places: &mut Places,
        at: usize,
        before: &ApiNode,
        touched: &mut Touched,
    ) -> Result<(), TooFar> {
        let Some(state) = places.state_of[at].take() else { return Ok(()) };
        touched.order = true;
        self.nodes[state].node = None;
        self.nodes[state].pods.clear();
        if self.nodes[state].claim.is_none() {
            if let Some(id) = provider_id(Some(&before.node), None) {
                places.by_provider_id.remove(&id);
            }
            self.vacate(places, state, touched);
        }
        Ok(())
    }

    fn vacate(&mut self, places: &mut Places, state: usize, touched: &mut Touched) {
        self.nodes_by_name.retain(|&node| node != state);
        self.node_order.retain(|&node| node != state);
        self.nodes[state] = StateNode::vacant();
        places.vacant_nodes.push(state);
        touched.nodes.push(state);
        touched.order = true;
    }

    /// Joins a node of the API server to what is known by its provider id.
    fn rejoin(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        at: usize,
        touched: &mut Touched,
    ) -> Result<(), TooFar> {
        match provider_id(Some(&self.api_nodes[at].node), None) {
            Some(id) => self.rebuild(algebra, places, &id, touched),
            None => Ok(()),
        }
    }

    /// Makes the node of the state that is known by `id` anew, from the node and the NodeClaim that there are.
    fn rebuild(
        &mut self,
        algebra: &mut Algebra,
        places: &mut Places,
        id: &str,
        touched: &mut Touched,
    ) -> Result<(), TooFar> {
        if id.is_empty() {
            return Ok(());
        }
        let provider = &self.scenario.catalogue.provider;
        let names = places.claims_of_id.get(id).into_iter().flatten();
        let mut claims = names
            .filter_map(|name| places.claims.get(name))
            .map(|&at| &self.scenario.objects.node_claims[at])
            .filter(|claim| is_known_node_class(provider, &claim.spec.node_class_ref));
        let claim = claims.next().cloned();
        if claims.next().is_some() {
            return Err(TooFar);
        }
        let known = places.by_provider_id.get(id).copied();
        let mut nodes = places.nodes_of_id.get(id).into_iter().flatten().copied();
        let api = nodes.next();
        if nodes.next().is_some() {
            return Err(TooFar);
        }
        let in_state = api.filter(|&at| nodes::is_in_state(&self.api_nodes[at].node));
        if in_state.is_none() && known.is_some_and(|state| self.nodes[state].node.is_some()) {
            // It was in the state, and has lost the labels for it.
            return Err(TooFar);
        }
        let api = in_state;
        if api.is_none() && claim.is_none() {
            if let Some(state) = known {
                places.by_provider_id.remove(id);
                self.vacate(places, state, touched);
            }
            return Ok(());
        }
        let mut node = nodes::state_node(
            algebra,
            &self.rules,
            &mut self.taints,
            &self.api_nodes,
            (&self.scenario.memory, &self.scenario.options),
            api,
            claim.as_ref(),
        );
        let csi_node = api.and_then(|api| {
            let name = &self.api_nodes[api].node.metadata.name;
            self.scenario.objects.csi_nodes.iter().find(|csi| csi.metadata.name == *name)
        });
        let instance_type = fill::instance_type_of(&node, &self.api_nodes, &self.tables, &self.table_of_pool);
        fill::settle(
            &mut node,
            algebra,
            (&self.taints, &self.daemons),
            &self.scenario,
            &self.api_nodes,
            csi_node,
            instance_type,
        );
        let state = match known {
            Some(state) => state,
            None => {
                let state = places.vacant_nodes.pop().unwrap_or_else(|| {
                    self.nodes.push(StateNode::vacant());
                    self.nodes.len() - 1
                });
                places.by_provider_id.insert(id.into(), state);
                state
            }
        };
        if let Some(api) = api {
            places.state_of[api] = Some(state);
            node.pods = if known.is_some_and(|known| self.nodes[known].node == Some(api)) {
                std::mem::take(&mut self.nodes[state].pods)
            } else {
                let pods = self.pods_by_name.iter().copied();
                pods.filter(|&pod| self.records[pod].node == Some(api)).collect()
            };
        }
        let before = std::mem::replace(&mut self.nodes[state], node);
        let after = &self.nodes[state];
        let moved = known.is_none()
            || before.name != after.name
            || before.initialized != after.initialized
            || before.marked != after.marked;
        if known.is_none()
            || (before.marked, &before.name, before.node) != (after.marked, &after.name, after.node)
        {
            for pod in after.pods.clone() {
                let object = Arc::clone(&self.scenario.objects.pods[pod]);
                self.records[pod].exempt = self.is_exempt(&object, Some(state));
            }
        }
        let after = &self.nodes[state];
        let seen =
            |node: &StateNode| (node.node, node.labels, node.host_label, node.host, node.taints, node.marked);
        if known.is_none() || seen(&before) != seen(after) {
            touched.topology = true;
        }
        let unchanged = !moved
            && seen(&before) == seen(after)
            && before.allocatable == after.allocatable
            && before.capacity == after.capacity
            && before.belonging == after.belonging
            && before.attach_limits == after.attach_limits;
        if unchanged {
            let after = &mut self.nodes[state];
            after.remaining = before.remaining;
            after.ports = before.ports;
            after.attached = before.attached;
            return Ok(());
        }
        self.refill(state);
        touched.nodes.push(state);
        if moved {
            touched.order = true;
            self.nodes_by_name.retain(|&node| node != state);
            self.node_order.retain(|&node| node != state);
            let place =
                self.nodes_by_name.partition_point(|&node| self.nodes[node].name < self.nodes[state].name);
            self.nodes_by_name.insert(place, state);
            if !self.nodes[state].marked {
                let key = |node: usize| (!self.nodes[node].initialized, &self.nodes[node].name);
                let place = self.node_order.partition_point(|&node| key(node) < key(state));
                self.node_order.insert(place, state);
            }
        }
        Ok(())
    }
}

impl ApiNode {
    /// A place that waits for another node.
    fn vacant() -> Self {
        ApiNode {
            node: Arc::default(),
            labels: crate::requirements::ConstraintId::NONE,
            host: Host::None,
            taints: super::taints::TaintsId(0),
        }
    }

    fn is_vacant(&self) -> bool {
        self.node.metadata.name.is_empty()
    }
}

impl StateNode {
    /// A place that waits for another node.
    fn vacant() -> Self {
        StateNode {
            name: Str::default(),
            node: None,
            claim: None,
            labels: crate::requirements::ConstraintId::NONE,
            host_label: Host::None,
            host: ValueId(0),
            taints: super::taints::TaintsId(0),
            initialized: false,
            rebooting: false,
            young_until: None,
            marked: true,
            remaining: Amounts::new(),
            capacity: RawAmounts::new(),
            allocatable: RawAmounts::new(),
            belonging: RawAmounts::new(),
            ports: Vec::new(),
            attached: Vec::new(),
            attach_limits: Vec::new(),
            pods: Vec::new(),
        }
    }
}
