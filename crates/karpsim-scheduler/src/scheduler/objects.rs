//! Objects that come, change and go: the cluster is kept up, and pods that wait are asked whether it helps them.

use super::Scheduler;
use crate::cluster::PodInfo;
use crate::queue::{Event, NodeChange, PodChange};
use karpsim::model::core::{
    CsiNode, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, ReplicaSet,
    ReplicationController, Service, StatefulSet, StorageClass,
};
use std::sync::Arc;

impl Scheduler {
    fn notify(&mut self, event: &Event<'_>, now: i64) {
        self.queue.notify(&self.cluster, event, now, |_| true);
    }

    /// A pod comes or changes. One that has a node is bound to it; one that has ended is gone; any other waits for a node.
    pub fn set_pod(&mut self, pod: Arc<Pod>, now: i64) {
        let (namespace, name) = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
            return self.remove_pod(&namespace, &name, now);
        }
        let bound = self.cluster.pod(&namespace, &name).cloned();
        if pod.spec.node_name.is_empty() {
            // One that was placed already waits for its binding.
            if bound.is_none() {
                self.set_pending_pod(pod, now);
            }
            return;
        }
        self.queue.remove(&namespace, &name);
        self.nominator.clear(&pod);
        self.cluster.set_pod(Arc::clone(&pod));
        match bound.filter(|old| !old.spec.node_name.is_empty()) {
            None => self.notify(&Event::PodAdded(&pod), now),
            Some(old) => {
                for change in PodChange::all(&old, &pod) {
                    self.notify(&Event::PodUpdated { old: &old, new: &pod, change }, now);
                }
            }
        }
    }

    fn set_pending_pod(&mut self, pod: Arc<Pod>, now: i64) {
        let info = self.cluster.pod_info(&pod);
        let metadata = &pod.metadata;
        let known =
            self.queue.get(&metadata.namespace, &metadata.name).map(|queued| Arc::clone(&queued.info.pod));
        match known {
            None => {
                self.nominator.keep(&info);
                self.queue.add(info, now);
            }
            Some(old) => {
                self.nominator.keep(&info);
                self.queue.update(&self.cluster, info, &old, now);
                let left = &old.status.nominated_node_name;
                if !left.is_empty() && *left != pod.status.nominated_node_name {
                    self.notify_of_nomination(&old, now);
                }
            }
        }
    }

    /// A pod that was nominated to a node is not any more: to those of no higher priority it is as if it had left.
    fn notify_of_nomination(&mut self, pod: &Pod, now: i64) {
        let priority = pod.spec.priority.unwrap_or(0);
        let concerns = |info: &PodInfo| info.class.priority <= priority;
        self.queue.notify(&self.cluster, &Event::PodDeleted(pod), now, concerns);
    }

    /// A pod is gone.
    pub fn remove_pod(&mut self, namespace: &str, name: &str, now: i64) {
        if let Some(queued) = self.queue.remove(namespace, name) {
            let pod = &queued.info.pod;
            self.nominator.clear(pod);
            if !pod.status.nominated_node_name.is_empty() {
                self.notify_of_nomination(pod, now);
            }
        }
        let node = self.cluster.pod_node(namespace, name).cloned();
        if let (Some(node), Some(mut pod)) = (node, self.cluster.remove_pod(namespace, name)) {
            self.nominator.clear(&pod);
            if pod.spec.node_name.is_empty() {
                // It was placed and not bound yet.
                Arc::make_mut(&mut pod).spec.node_name = node;
            }
            self.notify(&Event::PodDeleted(&pod), now);
        }
    }

    /// A node comes or changes.
    pub fn set_node(&mut self, node: Arc<Node>, now: i64) {
        let index = self.cluster.node_index(&node.metadata.name);
        let old = index.and_then(|index| self.cluster.node(index).cloned());
        self.cluster.set_node(Arc::clone(&node));
        match old {
            None => self.notify(&Event::NodeAdded(&node), now),
            Some(old) => {
                for change in NodeChange::all(&old, &node) {
                    self.notify(&Event::NodeUpdated { old: &old, new: &node, change }, now);
                }
            }
        }
    }

    /// A node is gone.
    pub fn remove_node(&mut self, name: &str, now: i64) {
        let Some(node) = self.cluster.node_index(name).and_then(|index| self.cluster.node(index).cloned())
        else {
            return;
        };
        self.notify(&Event::NodeDeleted(&node), now);
        self.cluster.remove_node(name);
    }

    /// A volume comes or changes. What was assumed of it is forgotten.
    pub fn set_persistent_volume(&mut self, volume: Arc<PersistentVolume>, now: i64) {
        let old = self.cluster.set_persistent_volume(Arc::clone(&volume));
        match old {
            None => self.notify(&Event::VolumeAdded, now),
            Some(old) => self.notify(&Event::VolumeUpdated { old: &old, new: &volume }, now),
        }
    }

    /// A volume is gone.
    pub fn remove_persistent_volume(&mut self, name: &str) {
        self.cluster.remove_persistent_volume(name);
    }

    /// A claim comes or changes. What was assumed of it is forgotten.
    pub fn set_persistent_volume_claim(&mut self, claim: Arc<PersistentVolumeClaim>, now: i64) {
        match self.cluster.set_persistent_volume_claim(Arc::clone(&claim)) {
            None => self.notify(&Event::ClaimAdded(&claim), now),
            Some(_) => self.notify(&Event::ClaimUpdated(&claim), now),
        }
    }

    /// A claim is gone.
    pub fn remove_persistent_volume_claim(&mut self, namespace: &str, name: &str) {
        self.cluster.remove_persistent_volume_claim(namespace, name);
    }

    /// A storage class comes or changes.
    pub fn set_storage_class(&mut self, class: Arc<StorageClass>, now: i64) {
        match self.cluster.set_storage_class(Arc::clone(&class)) {
            None => self.notify(&Event::StorageClassAdded(&class), now),
            Some(old) => self.notify(&Event::StorageClassUpdated { old: &old, new: &class }, now),
        }
    }

    /// A storage class is gone.
    pub fn remove_storage_class(&mut self, name: &str) {
        self.cluster.remove_storage_class(name);
    }

    /// What a node's storage drivers say comes or changes.
    pub fn set_csi_node(&mut self, node: Arc<CsiNode>, now: i64) {
        match self.cluster.set_csi_node(Arc::clone(&node)) {
            None => self.notify(&Event::CsiNodeAdded, now),
            Some(old) => self.notify(&Event::CsiNodeUpdated { old: &old, new: &node }, now),
        }
    }

    /// What a node's storage drivers say is gone.
    pub fn remove_csi_node(&mut self, name: &str) {
        self.cluster.remove_csi_node(name);
    }

    /// A namespace comes or changes.
    pub fn set_namespace(&mut self, namespace: &Namespace) {
        self.cluster.set_namespace(namespace);
    }

    /// A namespace is gone.
    pub fn remove_namespace(&mut self, name: &str) {
        self.cluster.remove_namespace(name);
    }

    /// A disruption budget comes or changes.
    pub fn set_pod_disruption_budget(&mut self, budget: Arc<PodDisruptionBudget>) {
        self.cluster.set_pod_disruption_budget(budget);
    }

    /// A disruption budget is gone.
    pub fn remove_pod_disruption_budget(&mut self, namespace: &str, name: &str) {
        self.cluster.remove_pod_disruption_budget(namespace, name);
    }

    /// A service comes or changes.
    pub fn set_service(&mut self, service: Arc<Service>) {
        self.cluster.set_service(service);
    }

    /// A service is gone.
    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        self.cluster.remove_service(namespace, name);
    }

    /// A replication controller comes or changes.
    pub fn set_replication_controller(&mut self, owner: Arc<ReplicationController>) {
        self.cluster.set_replication_controller(owner);
    }

    /// A replication controller is gone.
    pub fn remove_replication_controller(&mut self, namespace: &str, name: &str) {
        self.cluster.remove_replication_controller(namespace, name);
    }

    /// A replica set comes or changes.
    pub fn set_replica_set(&mut self, owner: Arc<ReplicaSet>) {
        self.cluster.set_replica_set(owner);
    }

    /// A replica set is gone.
    pub fn remove_replica_set(&mut self, namespace: &str, name: &str) {
        self.cluster.remove_replica_set(namespace, name);
    }

    /// A stateful set comes or changes.
    pub fn set_stateful_set(&mut self, owner: Arc<StatefulSet>) {
        self.cluster.set_stateful_set(owner);
    }

    /// A stateful set is gone.
    pub fn remove_stateful_set(&mut self, namespace: &str, name: &str) {
        self.cluster.remove_stateful_set(namespace, name);
    }
}
