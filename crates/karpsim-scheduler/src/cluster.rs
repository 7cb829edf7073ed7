//! The cluster as kube-scheduler sees it: nodes with the pods that are bound to them, and all other objects that filters and
//! scores look at. It is kept up object by object.
//!
//! A [`Cluster`] can be tried out: after [`checkpoint`](Cluster::checkpoint) nodes and pods can be put in and taken out, and
//! [`revert`](Cluster::revert) takes it all back. The cost of each step is that of the step itself, not of the cluster.

use crate::change_log::ChangeLog;
use crate::class::{AffinityTerm, Class, ClassId, Usage, class_hash, same_class};
use crate::kind::Kinds;
use crate::kubernetes::{HOSTNAME, ZONE, zone_of};
use crate::node_info::NodeInfo;
use crate::node_order::{NodeOrder, Place};
use crate::options::{Options, TopologySpreadDefaults};
use crate::storage::{PodVolumes, Storage, namespaced};
use crate::topology::Topologies;
use karpsim::model::core::{
    CsiNode, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, ReplicaSet,
    ReplicationController, Service, StatefulSet, StorageClass,
};
use karpsim::model::meta::{Labels, Str};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node, as long as it is there or pods are bound to it. Numbers of nodes that are gone are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(pub(crate) u32);

/// A pod that is bound. Numbers of pods that are gone are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PodIndex(pub(crate) u32);

/// A pod that is bound to a node.
#[derive(Debug, Clone)]
pub(crate) struct BoundPod {
    pub(crate) pod: Arc<Pod>,
    pub(crate) class: Arc<Class>,
    /// What it takes, if its status says other than its class.
    usage: Option<Box<Usage>>,
    pub(crate) node: NodeIndex,
}

impl BoundPod {
    pub(crate) fn usage(&self) -> &Usage {
        self.usage.as_deref().unwrap_or(&self.class.usage)
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }
}

/// A pod with what was worked out of it.
#[derive(Debug, Clone)]
pub struct PodInfo {
    pub(crate) pod: Arc<Pod>,
    pub(crate) class: Arc<Class>,
}

impl PodInfo {
    /// The pod.
    pub fn pod(&self) -> &Arc<Pod> {
        &self.pod
    }
}

/// An image on nodes.
#[derive(Debug, Clone)]
struct ImageState {
    /// As the first node had it.
    size: i64,
    nodes: u32,
}

/// The objects of the cluster as kube-scheduler keeps them: changed one by one, asked cycle by cycle.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) options: Arc<Options>,
    nodes: Vec<NodeInfo>,
    free_nodes: Vec<NodeIndex>,
    node_by_name: FxHashMap<Str, NodeIndex>,
    node_count: usize,
    tree: NodeOrder,
    order: Vec<NodeIndex>,
    order_is_stale: bool,
    pods: Vec<Option<BoundPod>>,
    free_pods: Vec<PodIndex>,
    pod_by_key: FxHashMap<Str, PodIndex>,
    classes: Classes,
    pub(crate) topologies: Topologies,
    pub(crate) storage: Storage,
    namespaces: FxHashMap<Str, Labels>,
    services: BTreeMap<Str, BTreeMap<Str, Arc<Service>>>,
    replication_controllers: FxHashMap<Str, Arc<ReplicationController>>,
    replica_sets: FxHashMap<Str, Arc<ReplicaSet>>,
    stateful_sets: FxHashMap<Str, Arc<StatefulSet>>,
    budgets: BTreeMap<(Str, Str), Arc<PodDisruptionBudget>>,
    images: FxHashMap<Str, ImageState>,
    /// Claims of bound pods on nodes that are there, and by how many.
    claims_in_use: FxHashMap<Str, u32>,
    /// Nodes whose view of images is to be renewed before the next cycle.
    touched: Vec<NodeIndex>,
    pub(crate) log: ChangeLog,
    /// Bound pods by priority.
    priorities: BTreeMap<i64, usize>,
    /// Bound pods with pod affinity or anti-affinity, and those of them whose anti-affinity is required.
    affinity_pods: (usize, usize),
    /// Counts changes of namespaces.
    pub(crate) namespaces_epoch: u64,
    /// Counts changes of services and owners.
    pub(crate) owners_epoch: u64,
    journal: Vec<Undo>,
    checkpoints: usize,
}

/// A moment to go back to.
#[derive(Debug)]
#[must_use = "only what is reverted to a checkpoint is taken back"]
pub struct Checkpoint(usize);

/// How a step is taken back.
#[derive(Debug, Clone)]
enum Undo {
    Attached(PodIndex),
    Detached { pod: Box<BoundPod>, node: Str, position: usize },
    Node { name: Str, before: Option<Arc<Node>>, place: Option<Place> },
    Assumed(PodVolumes),
}

/// Classes by what their pods look like.
#[derive(Debug, Clone, Default)]
struct Classes {
    by_hash: FxHashMap<u64, SmallVec<[Arc<Class>; 1]>>,
    kinds: Kinds,
    next: u64,
    /// Number of bound pods; classes with none are absent.
    members: FxHashMap<ClassId, u32>,
    /// Classes without bound pods, the least recently asked for first.
    idle: BTreeMap<u64, Arc<Class>>,
    idle_since: FxHashMap<ClassId, u64>,
    clock: u64,
}

/// So many classes without bound pods are remembered.
const IDLE_CLASSES_MAX: usize = 1024;

impl Classes {
    fn find(&self, hash: u64, pod: &Pod) -> Option<&Arc<Class>> {
        self.by_hash.get(&hash)?.iter().find(|class| same_class(&class.prototype, pod))
    }

    /// Notes that a class is of use, though it has no pods.
    fn touch(&mut self, class: &Arc<Class>) {
        if self.members.contains_key(&class.id) {
            return;
        }
        self.clock += 1;
        if let Some(before) = self.idle_since.insert(class.id, self.clock) {
            self.idle.remove(&before);
        }
        self.idle.insert(self.clock, Arc::clone(class));
        while self.idle.len() > IDLE_CLASSES_MAX {
            let Some((_, oldest)) = self.idle.pop_first() else { break };
            self.idle_since.remove(&oldest.id);
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, class: &Class) {
        let hash = class_hash(&class.prototype);
        if let Some(alike) = self.by_hash.get_mut(&hash) {
            alike.retain(|one| one.id != class.id);
            if alike.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
    }

    fn enter(&mut self, class: &Arc<Class>) {
        *self.members.entry(class.id).or_default() += 1;
        if let Some(since) = self.idle_since.remove(&class.id) {
            self.idle.remove(&since);
        }
    }

    fn leave(&mut self, class: &Arc<Class>) {
        if let Some(members) = self.members.get_mut(&class.id) {
            *members -= 1;
            if *members == 0 {
                self.members.remove(&class.id);
                self.touch(class);
            }
        }
    }
}

impl Cluster {
    /// An empty cluster.
    pub fn new(options: Options) -> Self {
        let mut topologies = Topologies::default();
        match &options.topology_spread_defaults {
            TopologySpreadDefaults::System => {
                for key in [HOSTNAME, ZONE] {
                    topologies.enter(key, std::iter::empty());
                }
            }
            TopologySpreadDefaults::List(list) => {
                for constraint in list {
                    topologies.enter(&constraint.topology_key, std::iter::empty());
                }
            }
        }
        Cluster {
            options: Arc::new(options),
            nodes: Vec::new(),
            free_nodes: Vec::new(),
            node_by_name: FxHashMap::default(),
            node_count: 0,
            tree: NodeOrder::default(),
            order: Vec::new(),
            order_is_stale: false,
            pods: Vec::new(),
            free_pods: Vec::new(),
            pod_by_key: FxHashMap::default(),
            classes: Classes::default(),
            topologies,
            storage: Storage::default(),
            namespaces: FxHashMap::default(),
            services: BTreeMap::new(),
            replication_controllers: FxHashMap::default(),
            replica_sets: FxHashMap::default(),
            stateful_sets: FxHashMap::default(),
            budgets: BTreeMap::new(),
            images: FxHashMap::default(),
            claims_in_use: FxHashMap::default(),
            touched: Vec::new(),
            log: ChangeLog::default(),
            priorities: BTreeMap::new(),
            affinity_pods: (0, 0),
            namespaces_epoch: 0,
            owners_epoch: 0,
            journal: Vec::new(),
            checkpoints: 0,
        }
    }

    /// Works out what is to be known of a pod. The result is good for this cluster as long as the pod does not change.
    pub fn pod_info(&mut self, pod: &Arc<Pod>) -> PodInfo {
        let hash = class_hash(pod);
        if let Some(class) = self.classes.find(hash, pod) {
            let class = Arc::clone(class);
            self.classes.touch(&class);
            return PodInfo { pod: Arc::clone(pod), class };
        }
        self.classes.next += 1;
        let id = ClassId(self.classes.next);
        let (topologies, nodes) = (&mut self.topologies, &self.nodes);
        let mut class = Class::new(id, pod, &self.options, |key| topologies.enter(key, labels_of(nodes)));
        class.kind = self.classes.kinds.intern(class.kind);
        let class = Arc::new(class);
        self.classes.by_hash.entry(hash).or_default().push(Arc::clone(&class));
        self.classes.touch(&class);
        PodInfo { pod: Arc::clone(pod), class }
    }

    /// Adds a node, or replaces the one of its name.
    pub fn set_node(&mut self, node: Arc<Node>) -> NodeIndex {
        let name = node.metadata.name.clone();
        self.put_node(&name, Some(node), None)
    }

    /// Takes a node out. Pods that are bound to it stay so, but nobody sees them.
    pub fn remove_node(&mut self, name: &str) {
        if self.node_index(name).is_some() {
            self.put_node(name, None, None);
        }
    }

    /// The node of this name, if it is there.
    pub fn node_index(&self, name: &str) -> Option<NodeIndex> {
        self.node_by_name.get(name).copied().filter(|index| self.info(*index).node.is_some())
    }

    /// The node object.
    pub fn node(&self, index: NodeIndex) -> Option<&Arc<Node>> {
        self.nodes.get(index.0 as usize)?.node.as_ref()
    }

    /// Its name.
    pub fn node_name(&self, index: NodeIndex) -> &Str {
        &self.info(index).name
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.node_count
    }

    /// All nodes that are there, by number.
    pub fn nodes(&self) -> impl Iterator<Item = NodeIndex> {
        self.present().map(|(index, _, _)| index)
    }

    /// The pods on a node, in the order in which kube-scheduler has them.
    pub fn pods_on(&self, index: NodeIndex) -> impl Iterator<Item = &Arc<Pod>> {
        self.info(index).pods.iter().map(|pod| &self.bound(*pod).pod)
    }

    /// A bound pod.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        self.pod_by_key.get(&namespaced(namespace, name)).map(|index| &self.bound(*index).pod)
    }

    /// The node that a pod is on.
    pub fn pod_node(&self, namespace: &str, name: &str) -> Option<&Str> {
        let index = self.pod_by_key.get(&namespaced(namespace, name))?;
        Some(&self.info(self.bound(*index).node).name)
    }

    /// Adds a bound pod, or replaces it. A pod that is bound to no node, or has ended, is taken out.
    pub fn set_pod(&mut self, pod: Arc<Pod>) {
        let ended = matches!(pod.status.phase.as_str(), "Succeeded" | "Failed");
        self.remove_pod(&pod.metadata.namespace, &pod.metadata.name);
        if !ended && !pod.spec.node_name.is_empty() {
            let info = self.pod_info(&pod);
            let node = pod.spec.node_name.clone();
            self.place(&info, &node);
        }
    }

    /// Puts a pod on a node, whatever its `nodeName` says.
    pub fn place(&mut self, info: &PodInfo, node: &str) {
        self.remove_pod(&info.pod.metadata.namespace, &info.pod.metadata.name);
        let usage = Usage::depends_on_status(&info.pod).then(|| Box::new(Usage::of_pod(&info.pod, true)));
        let node = self.enter_node(node);
        let pod = BoundPod { pod: Arc::clone(&info.pod), class: Arc::clone(&info.class), usage, node };
        let index = self.attach(pod, None);
        self.note(Undo::Attached(index));
    }

    /// Takes a bound pod off its node.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let index = *self.pod_by_key.get(&namespaced(namespace, name))?;
        let node = self.info(self.bound(index).node).name.clone();
        let (bound, position) = self.detach(index);
        let pod = Arc::clone(&bound.pod);
        self.note(Undo::Detached { pod: Box::new(bound), node, position });
        Some(pod)
    }

    /// Marks the moment for [`revert`](Self::revert). Checkpoints nest. What is taken back are nodes, pods, and what is
    /// assumed of volumes; other objects should not change before the revert.
    pub fn checkpoint(&mut self) -> Checkpoint {
        self.checkpoints += 1;
        Checkpoint(self.journal.len())
    }

    /// Takes back all that happened to nodes and pods since the checkpoint.
    pub fn revert(&mut self, checkpoint: Checkpoint) {
        while self.journal.len() > checkpoint.0 {
            let Some(undo) = self.journal.pop() else { break };
            self.undo(undo);
        }
        self.release(checkpoint);
    }

    /// Keeps what happened since the checkpoint.
    pub fn keep(&mut self, checkpoint: Checkpoint) {
        self.release(checkpoint);
    }

    fn release(&mut self, _: Checkpoint) {
        self.checkpoints = self.checkpoints.saturating_sub(1);
        if self.checkpoints == 0 {
            self.journal.clear();
        }
    }

    fn note(&mut self, undo: Undo) {
        if self.checkpoints > 0 {
            self.journal.push(undo);
        }
    }

    fn undo(&mut self, undo: Undo) {
        let checkpoints = std::mem::take(&mut self.checkpoints);
        match undo {
            Undo::Attached(index) => {
                self.detach(index);
            }
            Undo::Detached { mut pod, node, position } => {
                pod.node = self.enter_node(&node);
                self.attach(*pod, Some(position));
            }
            Undo::Node { name, before, place } => {
                self.put_node(&name, before, place);
            }
            Undo::Assumed(volumes) => self.storage.forget(&volumes),
        }
        self.checkpoints = checkpoints;
    }

    pub(crate) fn assume_volumes(&mut self, volumes: &PodVolumes, node: &str) {
        self.storage.assume(volumes, node);
        self.note(Undo::Assumed(volumes.clone()));
    }

    #[inline]
    pub(crate) fn info(&self, index: NodeIndex) -> &NodeInfo {
        &self.nodes[index.0 as usize]
    }

    pub(crate) fn bound(&self, index: PodIndex) -> &BoundPod {
        self.pods[index.0 as usize].as_ref().expect("numbers of bound pods are those of pods that are bound")
    }

    /// All nodes that are there.
    pub(crate) fn present(&self) -> impl Iterator<Item = (NodeIndex, &NodeInfo, &Arc<Node>)> {
        self.nodes
            .iter()
            .enumerate()
            .filter_map(|(index, info)| Some((NodeIndex(index as u32), info, info.node.as_ref()?)))
    }

    pub(crate) fn pods_of(&self, info: &NodeInfo) -> impl Iterator<Item = &BoundPod> {
        info.pods.iter().map(|pod| self.bound(*pod))
    }

    /// Whether a bound pod has a lower priority.
    pub(crate) fn has_pods_below(&self, priority: i64) -> bool {
        self.priorities.first_key_value().is_some_and(|(least, _)| *least < priority)
    }

    /// Whether a bound pod has pod affinity or anti-affinity.
    pub(crate) fn has_affinity_pods(&self) -> bool {
        self.affinity_pods.0 > 0
    }

    /// Whether a bound pod has required anti-affinity.
    pub(crate) fn has_anti_affinity_pods(&self) -> bool {
        self.affinity_pods.1 > 0
    }

    /// Whether a node has images.
    pub(crate) fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// Numbers of nodes are below this.
    pub(crate) fn node_bound(&self) -> usize {
        self.nodes.len()
    }

    /// The required anti-affinity of a pod that is known.
    pub(crate) fn anti_affinity_of(&self, pod: &Pod) -> Vec<AffinityTerm> {
        let class = self.classes.find(class_hash(pod), pod);
        class.map(|class| class.required_anti_affinity.clone()).unwrap_or_default()
    }

    pub(crate) fn namespace_labels(&self, name: &str) -> Option<&Labels> {
        self.namespaces.get(name)
    }

    pub(crate) fn budgets(&self) -> impl Iterator<Item = &Arc<PodDisruptionBudget>> {
        self.budgets.values()
    }

    pub(crate) fn is_claim_in_use(&self, key: &str) -> bool {
        self.claims_in_use.contains_key(key)
    }

    pub(crate) fn services_in(&self, namespace: &str) -> impl Iterator<Item = &Arc<Service>> {
        self.services.get(namespace).into_iter().flat_map(|services| services.values())
    }

    pub(crate) fn replication_controller(&self, key: &str) -> Option<&ReplicationController> {
        self.replication_controllers.get(key).map(|it| &**it)
    }

    pub(crate) fn replica_set(&self, key: &str) -> Option<&ReplicaSet> {
        self.replica_sets.get(key).map(|it| &**it)
    }

    pub(crate) fn stateful_set(&self, key: &str) -> Option<&StatefulSet> {
        self.stateful_sets.get(key).map(|it| &**it)
    }

    /// The order in which nodes are searched.
    pub fn node_order(&mut self) -> &[NodeIndex] {
        if std::mem::take(&mut self.order_is_stale) {
            self.order = self.tree.list();
        }
        &self.order
    }

    /// The same, as of the beginning of the cycle.
    pub(crate) fn order(&self) -> &[NodeIndex] {
        &self.order
    }

    /// Brings up to date what a cycle sees as a whole: the order of nodes, and the images of those that changed.
    pub(crate) fn begin_cycle(&mut self) {
        self.node_order();
        for index in std::mem::take(&mut self.touched) {
            let info = &mut self.nodes[index.0 as usize];
            let Some(node) = &info.node else { continue };
            let mut images: Vec<(Str, i64, u32)> = Vec::new();
            for name in node.status.images.iter().flat_map(|image| &image.names) {
                if let Some(state) = self.images.get(name)
                    && !images.iter().any(|(known, ..)| known == name)
                {
                    images.push((name.clone(), state.size, state.nodes));
                }
            }
            info.images = images;
        }
    }

    fn touch(&mut self, node: NodeIndex) {
        if self.touched.last() != Some(&node) {
            self.touched.push(node);
        }
        self.log.push(node, self.nodes.len());
    }

    /// Notes that a bound pod came (`sign` 1) or went (−1).
    fn count_pod(&mut self, class: &Class, sign: isize) {
        let count = self.priorities.entry(class.priority).or_default();
        *count = count.saturating_add_signed(sign);
        if *count == 0 {
            self.priorities.remove(&class.priority);
        }
        let (any, anti) = &mut self.affinity_pods;
        if class.has_pod_affinity {
            *any = any.saturating_add_signed(sign);
        }
        if !class.required_anti_affinity.is_empty() {
            *anti = anti.saturating_add_signed(sign);
        }
    }

    fn enter_node(&mut self, name: &str) -> NodeIndex {
        if let Some(index) = self.node_by_name.get(name) {
            return *index;
        }
        let info = NodeInfo { name: name.into(), ..NodeInfo::default() };
        let index = match self.free_nodes.pop() {
            Some(index) => {
                self.nodes[index.0 as usize] = info;
                index
            }
            None => {
                self.nodes.push(info);
                NodeIndex((self.nodes.len() - 1) as u32)
            }
        };
        self.node_by_name.insert(name.into(), index);
        index
    }

    fn leave_node(&mut self, index: NodeIndex) {
        let info = self.info(index);
        if info.node.is_none() && info.pods.is_empty() {
            self.node_by_name.remove(&info.name.clone());
            self.nodes[index.0 as usize] = NodeInfo::default();
            self.free_nodes.push(index);
        }
    }

    fn put_node(&mut self, name: &str, node: Option<Arc<Node>>, place: Option<Place>) -> NodeIndex {
        let index = self.enter_node(name);
        let before = self.info(index).node.clone();
        self.count_images(before.as_deref(), node.as_deref());
        let zone = |node: &Arc<Node>| zone_of(&node.metadata.labels);
        let left = match (&before, &node) {
            (Some(old), Some(new)) if zone(old) == zone(new) => None,
            (Some(old), _) => self.tree.remove(&zone(old), index),
            (None, _) => None,
        };
        if let Some(new) = &node {
            match (place, &before) {
                (Some(place), _) => self.tree.put_back(place, index),
                (None, Some(old)) if zone(old) == zone(new) => {}
                (None, _) => self.tree.add(zone(new), index),
            }
        }
        match (before.is_some(), node.is_some()) {
            (false, true) => {
                self.node_count += 1;
                self.order_is_stale = true;
                self.count_claims(index, 1);
            }
            (true, false) => {
                self.node_count -= 1;
                self.order_is_stale = true;
                self.count_claims(index, -1);
            }
            _ => {}
        }
        self.topologies.set_node(index, node.as_ref().map(|node| &node.metadata.labels));
        self.nodes[index.0 as usize].set_node(node);
        self.touch(index);
        self.note(Undo::Node { name: name.into(), before, place: left });
        self.leave_node(index);
        index
    }

    fn count_images(&mut self, before: Option<&Node>, after: Option<&Node>) {
        let names = |node: &Node| -> BTreeMap<Str, i64> {
            let mut sizes = BTreeMap::new();
            for image in &node.status.images {
                for name in &image.names {
                    sizes.entry(name.clone()).or_insert(image.size_bytes);
                }
            }
            sizes
        };
        for name in before.map(names).unwrap_or_default().into_keys() {
            if let Some(state) = self.images.get_mut(&name) {
                state.nodes -= 1;
                if state.nodes == 0 {
                    self.images.remove(&name);
                }
            }
        }
        for (name, size) in after.map(names).unwrap_or_default() {
            self.images.entry(name).or_insert(ImageState { size, nodes: 0 }).nodes += 1;
        }
    }

    fn count_claims(&mut self, index: NodeIndex, sign: i32) {
        let pods: Vec<Arc<Pod>> =
            self.pods_of(self.info(index)).map(|bound| Arc::clone(&bound.pod)).collect();
        for pod in pods {
            self.count_claims_of(&pod, sign);
        }
    }

    fn count_claims_of(&mut self, pod: &Pod, sign: i32) {
        for source in pod.spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
            let key = namespaced(&pod.metadata.namespace, &source.claim_name);
            let count = self.claims_in_use.entry(key.clone()).or_default();
            *count = count.saturating_add_signed(sign);
            if *count == 0 {
                self.claims_in_use.remove(&key);
            }
        }
    }

    fn attach(&mut self, bound: BoundPod, position: Option<usize>) -> PodIndex {
        let node = bound.node;
        let key = namespaced(&bound.pod.metadata.namespace, &bound.pod.metadata.name);
        self.classes.enter(&bound.class);
        self.count_pod(&Arc::clone(&bound.class), 1);
        let info = &mut self.nodes[node.0 as usize];
        info.take(bound.usage(), &bound.class.ports);
        info.add_kind(&bound.class.kind, bound.is_terminating());
        if info.node.is_some() && !bound.pod.spec.volumes.is_empty() {
            self.count_claims_of(&Arc::clone(&bound.pod), 1);
        }
        let index = match self.free_pods.pop() {
            Some(index) => {
                self.pods[index.0 as usize] = Some(bound);
                index
            }
            None => {
                self.pods.push(Some(bound));
                PodIndex((self.pods.len() - 1) as u32)
            }
        };
        let pods = &mut self.nodes[node.0 as usize].pods;
        pods.push(index);
        if let Some(position) = position.filter(|position| *position < pods.len()) {
            // The one that took its place goes back to the end.
            let last = pods.len() - 1;
            pods.swap(position, last);
        }
        self.pod_by_key.insert(key, index);
        self.touch(node);
        index
    }

    fn detach(&mut self, index: PodIndex) -> (BoundPod, usize) {
        let bound = self.pods[index.0 as usize]
            .take()
            .expect("numbers of bound pods are those of pods that are bound");
        self.free_pods.push(index);
        self.pod_by_key.remove(&namespaced(&bound.pod.metadata.namespace, &bound.pod.metadata.name));
        self.classes.leave(&bound.class);
        self.count_pod(&Arc::clone(&bound.class), -1);
        let info = &mut self.nodes[bound.node.0 as usize];
        info.give_back(bound.usage(), &bound.class.ports);
        info.remove_kind(&bound.class.kind, bound.is_terminating());
        let position = info.pods.iter().position(|pod| *pod == index).unwrap_or(0);
        info.pods.swap_remove(position);
        if info.node.is_some() && !bound.pod.spec.volumes.is_empty() {
            self.count_claims_of(&bound.pod, -1);
        }
        self.touch(bound.node);
        self.leave_node(bound.node);
        (bound, position)
    }
}

fn labels_of(nodes: &[NodeInfo]) -> impl Iterator<Item = (NodeIndex, &Labels)> {
    nodes
        .iter()
        .enumerate()
        .filter_map(|(index, info)| Some((NodeIndex(index as u32), &info.node.as_ref()?.metadata.labels)))
}

/// Objects besides nodes and pods.
impl Cluster {
    /// Adds or replaces a namespace.
    pub fn set_namespace(&mut self, namespace: &Namespace) {
        let labels = namespace.metadata.labels.clone();
        if self.namespaces.get(&namespace.metadata.name) != Some(&labels) {
            self.namespaces.insert(namespace.metadata.name.clone(), labels);
            self.namespaces_epoch += 1;
        }
    }

    /// Takes a namespace out.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
        self.namespaces_epoch += 1;
    }

    /// Adds or replaces a volume, and gives back what was there. What was assumed of it is forgotten.
    pub fn set_persistent_volume(&mut self, volume: Arc<PersistentVolume>) -> Option<Arc<PersistentVolume>> {
        self.storage.set_volume(volume)
    }

    /// Takes a volume out.
    pub fn remove_persistent_volume(&mut self, name: &str) {
        self.storage.remove_volume(name);
    }

    /// Adds or replaces a claim, and gives back what was there. What was assumed of it is forgotten.
    pub fn set_persistent_volume_claim(
        &mut self,
        claim: Arc<PersistentVolumeClaim>,
    ) -> Option<Arc<PersistentVolumeClaim>> {
        self.storage.set_claim(claim)
    }

    /// Takes a claim out.
    pub fn remove_persistent_volume_claim(&mut self, namespace: &str, name: &str) {
        self.storage.remove_claim(&namespaced(namespace, name));
    }

    /// Adds or replaces a storage class, and gives back what was there.
    pub fn set_storage_class(&mut self, class: Arc<StorageClass>) -> Option<Arc<StorageClass>> {
        self.storage.set_class(class)
    }

    /// Takes a storage class out.
    pub fn remove_storage_class(&mut self, name: &str) {
        self.storage.remove_class(name);
    }

    /// Adds or replaces what a node's storage drivers say, and gives back what was there.
    pub fn set_csi_node(&mut self, node: Arc<CsiNode>) -> Option<Arc<CsiNode>> {
        self.storage.set_csi_node(node)
    }

    /// Takes out what a node's storage drivers say.
    pub fn remove_csi_node(&mut self, name: &str) {
        self.storage.remove_csi_node(name);
    }

    /// Adds or replaces a disruption budget.
    pub fn set_pod_disruption_budget(&mut self, budget: Arc<PodDisruptionBudget>) {
        self.budgets.insert((budget.metadata.namespace.clone(), budget.metadata.name.clone()), budget);
    }

    /// Takes a disruption budget out.
    pub fn remove_pod_disruption_budget(&mut self, namespace: &str, name: &str) {
        self.budgets.remove(&(namespace.into(), name.into()));
    }

    /// Adds or replaces a service.
    pub fn set_service(&mut self, service: Arc<Service>) {
        self.owners_epoch += 1;
        let metadata = &service.metadata;
        self.services
            .entry(metadata.namespace.clone())
            .or_default()
            .insert(metadata.name.clone(), Arc::clone(&service));
    }

    /// Takes a service out.
    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        self.owners_epoch += 1;
        if let Some(services) = self.services.get_mut(namespace) {
            services.remove(name);
            if services.is_empty() {
                self.services.remove(namespace);
            }
        }
    }

    /// Adds or replaces a replication controller.
    pub fn set_replication_controller(&mut self, owner: Arc<ReplicationController>) {
        self.owners_epoch += 1;
        let key = namespaced(&owner.metadata.namespace, &owner.metadata.name);
        self.replication_controllers.insert(key, owner);
    }

    /// Takes a replication controller out.
    pub fn remove_replication_controller(&mut self, namespace: &str, name: &str) {
        self.owners_epoch += 1;
        self.replication_controllers.remove(&namespaced(namespace, name));
    }

    /// Adds or replaces a replica set.
    pub fn set_replica_set(&mut self, owner: Arc<ReplicaSet>) {
        self.owners_epoch += 1;
        self.replica_sets.insert(namespaced(&owner.metadata.namespace, &owner.metadata.name), owner);
    }

    /// Takes a replica set out.
    pub fn remove_replica_set(&mut self, namespace: &str, name: &str) {
        self.owners_epoch += 1;
        self.replica_sets.remove(&namespaced(namespace, name));
    }

    /// Adds or replaces a stateful set.
    pub fn set_stateful_set(&mut self, owner: Arc<StatefulSet>) {
        self.owners_epoch += 1;
        self.stateful_sets.insert(namespaced(&owner.metadata.namespace, &owner.metadata.name), owner);
    }

    /// Takes a stateful set out.
    pub fn remove_stateful_set(&mut self, namespace: &str, name: &str) {
        self.owners_epoch += 1;
        self.stateful_sets.remove(&namespaced(namespace, name));
    }
}
