//! The objects of a cluster, sorted by kind while they are read.

use super::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use super::karpenter::{NodeClaim, NodeOverlay, NodePool};
use super::meta::Str;
use super::selecting::{ReplicaSet, ReplicationController, Service, StatefulSet};
use super::wire::{Audit, Path, Sink};
use crate::problem::{Notice, Problem};
use std::sync::Arc;

/// An object of a kind that has no bearing on a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherObject {
    /// Group and version.
    pub api_version: Str,
    /// Kind.
    pub kind: Str,
    /// Where it stood among the objects.
    pub index: usize,
}

/// The objects of a cluster by kind, each in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// `v1` Pod.
    pub pods: Vec<Arc<Pod>>,
    /// `v1` Node.
    pub nodes: Vec<Arc<Node>>,
    /// `karpenter.sh/v1` NodeClaim.
    pub node_claims: Vec<Arc<NodeClaim>>,
    /// `karpenter.sh/v1` NodePool.
    pub node_pools: Vec<NodePool>,
    /// `karpenter.sh/v1alpha1` NodeOverlay.
    pub node_overlays: Vec<NodeOverlay>,
    /// `apps/v1` DaemonSet.
    pub daemon_sets: Vec<DaemonSet>,
    /// `v1` Namespace.
    pub namespaces: Vec<Namespace>,
    /// `v1` PersistentVolume.
    pub persistent_volumes: Vec<PersistentVolume>,
    /// `v1` PersistentVolumeClaim.
    pub persistent_volume_claims: Vec<PersistentVolumeClaim>,
    /// `storage.k8s.io/v1` StorageClass.
    pub storage_classes: Vec<StorageClass>,
    /// `storage.k8s.io/v1` CSINode.
    pub csi_nodes: Vec<CsiNode>,
    /// `policy/v1` PodDisruptionBudget.
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    /// `v1` Service.
    pub services: Vec<Service>,
    /// `v1` ReplicationController.
    pub replication_controllers: Vec<ReplicationController>,
    /// `apps/v1` ReplicaSet.
    pub replica_sets: Vec<ReplicaSet>,
    /// `apps/v1` StatefulSet.
    pub stateful_sets: Vec<StatefulSet>,
    /// Kinds that decide nothing.
    pub others: Vec<OtherObject>,
    /// How many objects were read, of all kinds.
    pub count: usize,
    /// What was not carried over from objects of older forms.
    pub notices: Vec<Notice>,
    /// Objects of older forms that could not be converted.
    pub problems: Vec<Problem>,
}

impl Objects {
    /// Takes over all of `more`, as if they had stood behind these.
    pub fn append(&mut self, mut more: Objects) {
        self.pods.append(&mut more.pods);
        self.nodes.append(&mut more.nodes);
        self.node_claims.append(&mut more.node_claims);
        self.node_pools.append(&mut more.node_pools);
        self.node_overlays.append(&mut more.node_overlays);
        self.daemon_sets.append(&mut more.daemon_sets);
        self.namespaces.append(&mut more.namespaces);
        self.persistent_volumes.append(&mut more.persistent_volumes);
        self.persistent_volume_claims.append(&mut more.persistent_volume_claims);
        self.storage_classes.append(&mut more.storage_classes);
        self.csi_nodes.append(&mut more.csi_nodes);
        self.pod_disruption_budgets.append(&mut more.pod_disruption_budgets);
        self.services.append(&mut more.services);
        self.replication_controllers.append(&mut more.replication_controllers);
        self.replica_sets.append(&mut more.replica_sets);
        self.stateful_sets.append(&mut more.stateful_sets);
        for other in &mut more.others {
            other.index += self.count;
        }
        self.others.append(&mut more.others);
        self.count += more.count;
        self.notices.append(&mut more.notices);
        self.problems.append(&mut more.problems);
    }
}

impl Audit for Objects {
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink) {
        fn each<'a, T: Audit + 'a>(
            kind: &str,
            all: impl Iterator<Item = &'a T>,
            path: &Path<'_>,
            sink: &mut dyn Sink,
        ) {
            for (index, object) in all.enumerate() {
                object.audit(&path.field(kind).index(index), sink);
            }
        }
        each("Pod", self.pods.iter().map(|pod| &**pod), path, sink);
        each("Node", self.nodes.iter().map(|node| &**node), path, sink);
        each("NodeClaim", self.node_claims.iter().map(|claim| &**claim), path, sink);
        each("NodePool", self.node_pools.iter(), path, sink);
        each("NodeOverlay", self.node_overlays.iter(), path, sink);
        each("DaemonSet", self.daemon_sets.iter(), path, sink);
        each("Namespace", self.namespaces.iter(), path, sink);
        each("PersistentVolume", self.persistent_volumes.iter(), path, sink);
        each("PersistentVolumeClaim", self.persistent_volume_claims.iter(), path, sink);
        each("StorageClass", self.storage_classes.iter(), path, sink);
        each("CSINode", self.csi_nodes.iter(), path, sink);
        each("PodDisruptionBudget", self.pod_disruption_budgets.iter(), path, sink);
        each("Service", self.services.iter(), path, sink);
        each("ReplicationController", self.replication_controllers.iter(), path, sink);
        each("ReplicaSet", self.replica_sets.iter(), path, sink);
        each("StatefulSet", self.stateful_sets.iter(), path, sink);
    }
}

/// [`Objects`] as a field: takes no part in comparisons.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct ObjectsBox(pub Objects);

impl PartialEq for ObjectsBox {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for ObjectsBox {}
impl std::hash::Hash for ObjectsBox {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}
impl super::wire::Field for ObjectsBox {
    fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(deserializer)
    }
}

impl super::wire::Audit for ObjectsBox {
    fn audit(&self, _: &super::wire::Path<'_>, _: &mut dyn super::wire::Sink) {}
}
