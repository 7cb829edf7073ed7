//! [`Predicates`] answered by karpsim's kube-scheduler.

use crate::nodes::NodeRef;
use crate::pods::{PodRef, key};
use crate::predicates::{NodeNumber, Predicates, Refusal};
use crate::view::ClusterView;
use karpsim::model::core::{CsiNode, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass};
use karpsim::model::meta::{Labels, ObjectMeta, Str};
use karpsim_scheduler::{Cluster, Options, Plugin, Reason, Rejection};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The scheduler's cluster, with the autoscaler's numbers of nodes.
///
/// It lives from run to run. Between [`Filters::begin`] and [`Predicates::loaded`] all nodes and pods are told anew, and what
/// is the same object on the same place as before costs next to nothing; what is not told again goes. So a run costs what has
/// changed since the last one.
pub(crate) struct Filters {
    cluster: Cluster,
    names: FxHashMap<NodeNumber, Str>,
    /// Nodes that pods are on, by the pods' keys.
    places: FxHashMap<Str, Str>,
    /// Pods that are on two nodes at once, as one that is evicted and expected back: the name that the second has with the
    /// scheduler.
    aliases: FxHashMap<(NodeNumber, Str), Str>,
    /// What has been told so far, while the cluster is being told.
    told: Option<Told>,
    /// What volumes, claims and namespaces were.
    others: Others,
}

/// Nodes and pods that have been told.
#[derive(Default)]
struct Told {
    nodes: FxHashSet<Str>,
    pods: FxHashSet<Str>,
}

/// Objects besides nodes and pods.
#[derive(Default, Clone, PartialEq)]
struct Others {
    namespaces: BTreeMap<Str, Labels>,
    persistent_volumes: Vec<Arc<PersistentVolume>>,
    persistent_volume_claims: Vec<Arc<PersistentVolumeClaim>>,
    storage_classes: Vec<Arc<StorageClass>>,
    csi_nodes: Vec<Arc<CsiNode>>,
}

impl Others {
    fn of(view: &ClusterView) -> Self {
        Others {
            namespaces: view.namespaces.clone(),
            persistent_volumes: view.persistent_volumes.clone(),
            persistent_volume_claims: view.persistent_volume_claims.clone(),
            storage_classes: view.storage_classes.clone(),
            csi_nodes: view.csi_nodes.clone(),
        }
    }

    /// A cluster that has these, and no nodes and pods.
    fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new(Options::default());
        for (name, labels) in &self.namespaces {
            cluster.set_namespace(&Namespace {
                metadata: ObjectMeta { name: name.clone(), labels: labels.clone(), ..ObjectMeta::default() },
                ..Namespace::default()
            });
        }
        for volume in &self.persistent_volumes {
            cluster.set_persistent_volume(volume.clone());
        }
        for claim in &self.persistent_volume_claims {
            cluster.set_persistent_volume_claim(claim.clone());
        }
        for class in &self.storage_classes {
            cluster.set_storage_class(class.clone());
        }
        for node in &self.csi_nodes {
            cluster.set_csi_node(node.clone());
        }
        cluster
    }
}

impl Default for Filters {
    fn default() -> Self {
        let others = Others::default();
        Filters {
            cluster: others.cluster(),
            names: FxHashMap::default(),
            places: FxHashMap::default(),
            aliases: FxHashMap::default(),
            told: None,
            others,
        }
    }
}

impl std::fmt::Debug for Filters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filters").field("nodes", &self.names.len()).finish_non_exhaustive()
    }
}

impl Filters {
    /// From now on the cluster of `view` is told.
    pub(crate) fn begin(mut self, view: &ClusterView) -> Self {
        let others = Others::of(view);
        if others != self.others {
            self.cluster = others.cluster();
            self.places.clear();
            self.others = others;
        }
        self.names.clear();
        self.aliases.clear();
        self.told = Some(Told::default());
        self
    }

    fn place(&mut self, number: NodeNumber, pod: &PodRef) {
        let Some(node) = self.names.get(&number) else { return };
        let info = match self.places.entry(key(pod)) {
            Entry::Vacant(place) => {
                place.insert(node.clone());
                self.cluster.pod_info(pod)
            }
            Entry::Occupied(place) => {
                let alias: Str = format!("{}/{number}", pod.metadata.name).into();
                self.aliases.insert((number, place.key().clone()), alias.clone());
                let mut pod = Pod::clone(pod);
                pod.metadata.name = alias;
                self.cluster.pod_info(&Arc::new(pod))
            }
        };
        self.cluster.place(&info, node);
    }
}

impl Predicates for Filters {
    fn add_node(&mut self, number: NodeNumber, node: &NodeRef) {
        let name = &node.metadata.name;
        self.names.insert(number, name.clone());
        if let Some(told) = &mut self.told {
            told.nodes.insert(name.clone());
            let before = self.cluster.node_index(name).and_then(|index| self.cluster.node(index));
            if before.is_some_and(|before| Arc::ptr_eq(before, node)) {
                return;
            }
        }
        self.cluster.set_node(node.clone());
    }

    fn remove_node(&mut self, number: NodeNumber) {
        if let Some(name) = self.names.remove(&number) {
            self.cluster.remove_node(&name);
        }
    }

    fn add_pod(&mut self, number: NodeNumber, pod: &PodRef) {
        if let Some(told) = &mut self.told {
            let pod_key = key(pod);
            told.pods.insert(pod_key.clone());
            let before = self.cluster.pod(&pod.metadata.namespace, &pod.metadata.name);
            if before.is_some_and(|before| Arc::ptr_eq(before, pod))
                && self.places.get(&pod_key) == self.names.get(&number)
            {
                return;
            }
            self.places.remove(&pod_key);
        }
        self.place(number, pod);
    }

    fn remove_pod(&mut self, number: NodeNumber, pod: &PodRef) {
        let pod_key = key(pod);
        let alias =
            if self.aliases.is_empty() { None } else { self.aliases.remove(&(number, pod_key.clone())) };
        let name = match &alias {
            Some(alias) => alias,
            None => {
                self.places.remove(&pod_key);
                &pod.metadata.name
            }
        };
        self.cluster.remove_pod(&pod.metadata.namespace, name);
    }

    fn loaded(&mut self) {
        let Some(told) = self.told.take() else { return };
        let mut gone: Vec<Str> =
            self.places.keys().filter(|pod| !told.pods.contains(*pod)).cloned().collect();
        // The order of hashing must not show, not even in which numbers are used again.
        gone.sort_unstable();
        for pod in gone {
            self.places.remove(&pod);
            if let Some((namespace, name)) = pod.split_once('/') {
                self.cluster.remove_pod(namespace, name);
            }
        }
        let nodes: Vec<Str> =
            self.cluster.nodes().map(|index| self.cluster.node_name(index).clone()).collect();
        for node in nodes {
            if !told.nodes.contains(&node) {
                self.cluster.remove_node(&node);
            }
        }
    }

    fn check(&mut self, pod: &PodRef, number: NodeNumber) -> Result<(), Refusal> {
        let node = self.names.get(&number).and_then(|name| self.cluster.node_index(name));
        let node = node.ok_or(Refusal::Other)?;
        let info = self.cluster.pod_info(pod);
        let prepared = self.cluster.pre_filter(&info).map_err(|_| Refusal::Other)?;
        self.cluster.filter(&prepared, node).map_err(|rejection| match rejection {
            Rejection::Refused(refusal) if refusal.reasons.contains(&Reason::TopologySpread) => {
                Refusal::TopologySpread
            }
            _ => Refusal::Other,
        })
    }

    fn first_fitting(
        &mut self,
        pod: &PodRef,
        mut numbers: impl Iterator<Item = NodeNumber>,
    ) -> Option<NodeNumber> {
        let info = self.cluster.pod_info(pod);
        let prepared = self.cluster.pre_filter(&info).ok()?;
        numbers.find(|number| {
            self.names
                .get(number)
                .and_then(|name| self.cluster.node_index(name))
                .is_some_and(|node| self.cluster.filter(&prepared, node).is_ok())
        })
    }
}

/// Whether a DaemonSet's pod belongs on a node: by the node's name, its labels and its taints. Room is not asked for.
pub(crate) fn belongs_on(pod: &Pod, node: &NodeRef) -> bool {
    let mut cluster = Cluster::new(Options::default());
    let index = cluster.set_node(node.clone());
    let info = cluster.pod_info(&Arc::new(pod.clone()));
    let refusals =
        cluster.pre_filter(&info).ok().and_then(|prepared| cluster.refusals(&prepared, index).ok());
    refusals.is_some_and(|refusals| {
        !refusals.iter().any(|refusal| {
            matches!(refusal.plugin, Plugin::NodeName | Plugin::NodeAffinity | Plugin::TaintToleration)
        })
    })
}
