//! What the autoscaler sees in a run: the cluster and the cloud.

use crate::options::NodeGroupOptions;
use karpsim::model::core::{
    CsiNode, DaemonSet, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, StorageClass,
};
use karpsim::model::meta::{Labels, Str};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A node group, as far as it does not change from run to run.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct NodeGroup {
    /// Name, unique.
    pub name: Str,
    /// Scale-down stops here.
    pub min_size: i64,
    /// Scale-up stops here.
    pub max_size: i64,
    /// What the cloud says that a new node will be. Its name does not matter.
    pub template: Arc<Node>,
    /// Options for this group alone.
    pub options: NodeGroupOptions,
}

impl NodeGroup {
    /// A group whose new nodes will be as `template`.
    pub fn new(name: impl Into<Str>, min_size: i64, max_size: i64, template: Arc<Node>) -> Self {
        NodeGroup { name: name.into(), min_size, max_size, template, options: NodeGroupOptions::default() }
    }
}

/// A node group, as the cloud has it now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeGroupState {
    /// How many nodes the cloud should have.
    pub target_size: i64,
    /// The names that its instances have, or will have, as Nodes. Those without a Node are not registered yet.
    pub instances: Vec<Str>,
    /// Of orders that cannot be carried out, the names of what stands for them in the cloud.
    pub failed_instances: Vec<Str>,
}

/// Objects that make pods anew, and how many of them they should have.
#[derive(Debug, Clone, Default)]
pub struct Controllers {
    replicas: BTreeMap<(Str, Str, Str), Replicas>,
}

/// `spec.replicas`, if it is there.
pub(crate) type Replicas = Option<i64>;

impl Controllers {
    /// Notes a ReplicaSet, StatefulSet, ReplicationController or Job (`kind`), with `spec.replicas`.
    pub fn insert(&mut self, kind: &str, namespace: &str, name: &str, replicas: Option<i64>) {
        self.replicas.insert((kind.into(), namespace.into(), name.into()), replicas);
    }

    /// Forgets one.
    pub fn remove(&mut self, kind: &str, namespace: &str, name: &str) {
        self.replicas.remove(&(kind.into(), namespace.into(), name.into()));
    }

    /// `Some`: it is there, and says how many replicas it should have, or does not.
    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Replicas> {
        self.replicas.get(&(kind.into(), namespace.into(), name.into()))
    }
}

/// The cluster and the cloud at one moment. Lists may be in any order.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ClusterView {
    /// All nodes.
    pub nodes: Vec<Arc<Node>>,
    /// All pods, of every phase.
    pub pods: Vec<Arc<Pod>>,
    /// All DaemonSets.
    pub daemon_sets: Vec<Arc<DaemonSet>>,
    /// All PodDisruptionBudgets.
    pub disruption_budgets: Vec<Arc<PodDisruptionBudget>>,
    /// All other controllers.
    pub controllers: Controllers,
    /// Labels of namespaces.
    pub namespaces: BTreeMap<Str, Labels>,
    /// All volumes.
    pub persistent_volumes: Vec<Arc<PersistentVolume>>,
    /// All claims.
    pub persistent_volume_claims: Vec<Arc<PersistentVolumeClaim>>,
    /// All storage classes.
    pub storage_classes: Vec<Arc<StorageClass>>,
    /// What the nodes' storage drivers say.
    pub csi_nodes: Vec<Arc<CsiNode>>,
    /// `data.priorities` of the ConfigMap `kube-system/cluster-autoscaler-priority-expander`.
    pub expander_priorities: Option<String>,
    /// The cloud's side of the groups, by name. What is missing is empty.
    pub node_groups: BTreeMap<Str, NodeGroupState>,
}

/// The cloud, as far as its answer decides what happens next in the same run.
pub trait Cloud {
    /// Orders `by` more nodes for `group`.
    ///
    /// # Errors
    ///
    /// If the cloud refuses; the target size is then as it was.
    fn increase_size(&mut self, group: &str, by: i64) -> Result<(), CloudError>;

    /// Cancels `by` orders of `group` for nodes that never came.
    ///
    /// # Errors
    ///
    /// If the cloud refuses, as when the nodes are there after all.
    fn decrease_target_size(&mut self, group: &str, by: i64) -> Result<(), CloudError>;
}

/// What the cloud says when it refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CloudError(pub String);
