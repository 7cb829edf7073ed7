//! Pods that are expected on a node because preemption makes room there.

use crate::cluster::PodInfo;
use karpsim::model::core::Pod;
use karpsim::model::meta::Str;
use rustc_hash::FxHashMap;

use crate::storage::namespaced;

/// Pods with the node that each is nominated to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nominator {
    /// In the order in which they were nominated.
    by_node: FxHashMap<Str, Vec<PodInfo>>,
    node_of: FxHashMap<Str, Str>,
}

impl Nominator {
    /// The pods that are nominated to a node.
    pub(crate) fn pods_for(&self, node: &str) -> &[PodInfo] {
        self.by_node.get(node).map(Vec::as_slice).unwrap_or_default()
    }

    /// All nodes that pods are nominated to, in no order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Str> {
        self.by_node.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.node_of.is_empty()
    }

    /// A pod is nominated to a node; `info` is what the scheduler knows of it.
    pub(crate) fn nominate(&mut self, info: &PodInfo, node: &str) {
        self.clear(&info.pod);
        self.by_node.entry(node.into()).or_default().push(info.clone());
        self.node_of.insert(key(&info.pod), node.into());
    }

    /// A pod stays nominated to the node that its status names, if any.
    pub(crate) fn keep(&mut self, info: &PodInfo) {
        let node = info.pod.status.nominated_node_name.as_str();
        if node.is_empty() {
            self.clear(&info.pod);
        } else {
            self.nominate(info, node);
        }
    }

    /// A pod is nominated no more. Gives back its node.
    pub(crate) fn clear(&mut self, pod: &Pod) -> Option<Str> {
        if self.node_of.is_empty() {
            return None;
        }
        let key = key(pod);
        let node = self.node_of.remove(&key)?;
        if let Some(pods) = self.by_node.get_mut(&node) {
            pods.retain(|info| !is_same(&info.pod, pod));
            if pods.is_empty() {
                self.by_node.remove(&node);
            }
        }
        Some(node)
    }
}

fn key(pod: &Pod) -> Str {
    namespaced(&pod.metadata.namespace, &pod.metadata.name)
}

/// Whether both are states of one pod.
pub(crate) fn is_same(a: &Pod, b: &Pod) -> bool {
    a.metadata.name == b.metadata.name && a.metadata.namespace == b.metadata.namespace
}
