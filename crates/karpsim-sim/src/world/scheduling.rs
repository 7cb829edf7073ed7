//! When the scheduler tries which pods.

use super::World;
use super::pods::set_condition;
use crate::scheduler::{BoundPod, PodId, View, place};
use karpsim::kubernetes::pods::is_terminating;
use karpsim::model::meta::Str;
use karpsim_controller::Event;
use rustc_hash::FxHashSet;

impl World<'_> {
    /// Tries pods that were not tried yet, and all that wait if something became free. `false`: there was nothing to do.
    pub(crate) fn schedule(&mut self) -> bool {
        let untried = std::mem::take(&mut self.untried);
        let freed = std::mem::take(&mut self.freed);
        let node_added = std::mem::take(&mut self.node_added);
        if untried.is_empty() && (!freed || self.pending.is_empty()) {
            return false;
        }
        if node_added {
            self.update_messages();
        }
        let mut failed: FxHashSet<u64> = FxHashSet::default();
        if freed {
            // By priority, then age; of a class that found no place none is tried again.
            loop {
                let head = self
                    .pending
                    .iter()
                    .filter(|(class, _)| !failed.contains(class))
                    .filter_map(|(class, waiting)| waiting.first().map(|first| (*first, *class)))
                    .min();
                let Some(((_, id), class)) = head else { break };
                if !self.try_pod(id) {
                    if self.pods.get(&id).is_some_and(|state| state.pinned.is_some()) {
                        // Pods of a DaemonSet are bound to one node each.
                        self.try_pinned(class);
                    }
                    failed.insert(class);
                }
            }
        }
        let mut order: Vec<(std::cmp::Reverse<i64>, PodId)> = untried
            .into_iter()
            .filter_map(|id| self.pods.get(&id).map(|state| (std::cmp::Reverse(state.shape.priority), id)))
            .collect();
        order.sort_unstable();
        for (_, id) in order {
            let Some(state) = self.pods.get(&id) else { continue };
            if state.bound.is_some() {
                continue;
            }
            let class = state.shape.class;
            if state.pinned.is_none() && failed.contains(&class) || !self.try_pod(id) {
                failed.insert(class);
                self.mark_unschedulable(id);
            }
        }
        true
    }

    /// "0/3 nodes are available": the message of a pod that waits changes with the number of nodes. Karpenter sees an
    /// update, and the pod asks for a round.
    fn update_messages(&mut self) {
        let waiting: Vec<PodId> = self.pending.values().flatten().map(|(_, id)| *id).collect();
        for id in waiting {
            let told =
                |it: &karpsim::model::meta::Condition| it.kind == "PodScheduled" && it.status == "False";
            if let Some(state) = self.pods.get(&id)
                && state.pod.status.conditions.iter().any(told)
            {
                let pod = std::sync::Arc::clone(&state.pod);
                self.tell(Event::Pod(pod));
            }
        }
    }

    fn try_pinned(&mut self, class: u64) {
        let ids: Vec<PodId> = self.pending.get(&class).into_iter().flatten().map(|(_, id)| *id).collect();
        for id in ids {
            self.try_pod(id);
        }
    }

    /// Binds a pod if a node can take it.
    fn try_pod(&mut self, id: PodId) -> bool {
        let Some(state) = self.pods.get(&id) else { return false };
        let bound = || -> Vec<BoundPod<'_>> {
            self.pods
                .values()
                .filter(|other| other.bound.is_some() && !karpsim::kubernetes::pods::is_terminal(&other.pod))
                .map(|other| BoundPod {
                    shape: &other.shape,
                    namespace: &other.pod.metadata.namespace,
                    node: &other.pod.spec.node_name,
                    terminating: is_terminating(&other.pod),
                })
                .collect()
        };
        let view = View {
            nodes: &self.nodes,
            namespaces: &self.namespaces,
            bound: &bound,
            others_have_affinity: !self.affine.is_empty(),
        };
        let namespace = &state.pod.metadata.namespace;
        let owner = match state.owner {
            super::pods::Owner::Workload(_) => state.label.clone(),
            _ => Str::default(),
        };
        match place(&view, &state.shape, namespace, &owner, state.pinned.as_ref()) {
            Some(node) => {
                self.bind(id, &node);
                true
            }
            None => false,
        }
    }

    /// The condition that makes Karpenter look for a node.
    fn mark_unschedulable(&mut self, id: PodId) {
        let Some(state) = self.pods.get(&id) else { return };
        let marked =
            state.pod.status.conditions.iter().any(|it| it.kind == "PodScheduled" && it.status == "False");
        if marked || state.bound.is_some() {
            return;
        }
        let key = state.key.clone();
        self.log("pod", "unschedulable", || vec![("pod", key.as_str().into())]);
        let stamp = self.calendar.stamp(self.now);
        self.change_pod(id, |pod| {
            set_condition(&mut pod.status.conditions, "PodScheduled", "False", "Unschedulable", stamp);
        });
    }
}
