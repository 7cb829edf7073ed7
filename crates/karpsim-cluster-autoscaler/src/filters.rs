//! [`Predicates`] answered by karpsim's kube-scheduler.

use crate::nodes::NodeRef;
use crate::pods::{PodRef, key};
use crate::predicates::{NodeNumber, Predicates, Refusal};
use crate::view::ClusterView;
use karpsim::model::core::{Namespace, Pod};
use karpsim::model::meta::{ObjectMeta, Str};
use karpsim_scheduler::{Cluster, Options, Plugin, Reason, Rejection};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The scheduler's cluster, with the autoscaler's numbers of nodes.
pub(crate) struct Filters {
    cluster: Cluster,
    names: FxHashMap<NodeNumber, Str>,
    /// Pods that are on two nodes at once, as one that is evicted and expected back: the name that the second has with the
    /// scheduler.
    aliases: FxHashMap<(NodeNumber, Str), Str>,
}

impl Filters {
    /// A cluster without nodes and pods.
    pub(crate) fn new(view: &ClusterView) -> Self {
        let mut cluster = Cluster::new(Options::default());
        for (name, labels) in &view.namespaces {
            cluster.set_namespace(&Namespace {
                metadata: ObjectMeta { name: name.clone(), labels: labels.clone(), ..ObjectMeta::default() },
                ..Namespace::default()
            });
        }
        for volume in &view.persistent_volumes {
            cluster.set_persistent_volume(volume.clone());
        }
        for claim in &view.persistent_volume_claims {
            cluster.set_persistent_volume_claim(claim.clone());
        }
        for class in &view.storage_classes {
            cluster.set_storage_class(class.clone());
        }
        for node in &view.csi_nodes {
            cluster.set_csi_node(node.clone());
        }
        Filters { cluster, names: FxHashMap::default(), aliases: FxHashMap::default() }
    }
}

impl Predicates for Filters {
    fn add_node(&mut self, number: NodeNumber, node: &NodeRef) {
        self.names.insert(number, node.metadata.name.clone());
        self.cluster.set_node(node.clone());
    }

    fn remove_node(&mut self, number: NodeNumber) {
        if let Some(name) = self.names.remove(&number) {
            self.cluster.remove_node(&name);
        }
    }

    fn add_pod(&mut self, number: NodeNumber, pod: &PodRef) {
        let Some(node) = self.names.get(&number) else { return };
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let info = if self.cluster.pod(namespace, name).is_some() {
            let alias: Str = format!("{name}/{number}").into();
            self.aliases.insert((number, key(pod)), alias.clone());
            let mut pod = Pod::clone(pod);
            pod.metadata.name = alias;
            self.cluster.pod_info(&Arc::new(pod))
        } else {
            self.cluster.pod_info(pod)
        };
        self.cluster.place(&info, node);
    }

    fn remove_pod(&mut self, number: NodeNumber, pod: &PodRef) {
        let alias = if self.aliases.is_empty() { None } else { self.aliases.remove(&(number, key(pod))) };
        self.cluster.remove_pod(&pod.metadata.namespace, alias.as_ref().unwrap_or(&pod.metadata.name));
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
