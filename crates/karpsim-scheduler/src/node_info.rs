//! A node with what is on it.

use crate::PodIndex;
use crate::class::Usage;
use crate::kind::Kind;
use crate::kubernetes::HostPort;
use crate::resources::Resources;
use karpsim::model::core::Node;
use karpsim::model::meta::Str;
use smallvec::SmallVec;
use std::sync::Arc;

/// A node with what is on it, or what is left on a node that is gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeInfo {
    /// `None`: pods are bound to it, but it is not there.
    pub(crate) node: Option<Arc<Node>>,
    pub(crate) name: Str,
    pub(crate) allocatable: Resources,
    pub(crate) requested: Resources,
    /// cpu (milli) and memory (bytes) with defaults for containers that ask for none; scores use it.
    pub(crate) nonzero: (i64, i64),
    /// In the order in which they came; one that leaves is replaced by the last.
    pub(crate) pods: Vec<PodIndex>,
    /// The same by kind.
    pub(crate) kinds: SmallVec<[KindCount; 4]>,
    /// Without duplicates, though pods that were not placed by kube-scheduler may share a port.
    pub(crate) used_ports: Vec<HostPort>,
    /// Name, size, and how many nodes had the image when this one was looked at last.
    pub(crate) images: Vec<(Str, i64, u32)>,
}

/// How many pods of a kind are on a node.
#[derive(Debug, Clone)]
pub(crate) struct KindCount {
    pub(crate) kind: Arc<Kind>,
    pub(crate) pods: u32,
    /// How many of them are being deleted.
    pub(crate) terminating: u32,
}

impl NodeInfo {
    pub(crate) fn add_kind(&mut self, kind: &Arc<Kind>, is_terminating: bool) {
        let at = match self.kinds.iter().position(|count| count.kind.id == kind.id) {
            Some(at) => at,
            None => {
                self.kinds.push(KindCount { kind: Arc::clone(kind), pods: 0, terminating: 0 });
                self.kinds.len() - 1
            }
        };
        self.kinds[at].pods += 1;
        self.kinds[at].terminating += u32::from(is_terminating);
    }

    pub(crate) fn remove_kind(&mut self, kind: &Arc<Kind>, is_terminating: bool) {
        if let Some(at) = self.kinds.iter().position(|count| count.kind.id == kind.id) {
            self.kinds[at].pods -= 1;
            self.kinds[at].terminating -= u32::from(is_terminating);
            if self.kinds[at].pods == 0 {
                self.kinds.swap_remove(at);
            }
        }
    }

    pub(crate) fn set_node(&mut self, node: Option<Arc<Node>>) -> Option<Arc<Node>> {
        self.allocatable =
            node.as_ref().map(|node| Resources::new(node.status.allocatable.iter())).unwrap_or_default();
        std::mem::replace(&mut self.node, node)
    }

    pub(crate) fn take(&mut self, usage: &Usage, ports: &[HostPort]) {
        self.requested.add(&usage.requested, 1);
        self.nonzero.0 += usage.nonzero.0;
        self.nonzero.1 += usage.nonzero.1;
        for port in ports {
            if !self.used_ports.contains(port) {
                self.used_ports.push(port.clone());
            }
        }
    }

    pub(crate) fn give_back(&mut self, usage: &Usage, ports: &[HostPort]) {
        self.requested.add(&usage.requested, -1);
        self.nonzero.0 -= usage.nonzero.0;
        self.nonzero.1 -= usage.nonzero.1;
        self.used_ports.retain(|used| !ports.contains(used));
    }
}
