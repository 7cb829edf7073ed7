//! What Karpenter wants done, and what it has to tell.

use super::World;
use karpsim::model::meta::Str;
use karpsim_controller::{Action, Milestone, Record, Step};

impl World<'_> {
    /// Does what Karpenter wants, until it wants nothing more. Both go by the order in which they came about: the log is to
    /// show what led to what.
    pub(crate) fn act(&mut self) {
        loop {
            let ready = self.controller.ready();
            if ready.is_empty() {
                return;
            }
            for step in ready.in_order() {
                match step {
                    Step::Action(action) => self.carry_out(action),
                    Step::Record(record) => self.take_down(record),
                }
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::CreateNodeClaim { node_claim, wanted } => self.launch_requested(&node_claim, wanted),
            Action::PatchNode { node, patch } => {
                self.change_node_for_karpenter(&node, |node| patch.apply(node));
            }
            Action::DeleteNode { node } => {
                let stamp = self.calendar.stamp(self.now);
                self.change_node_for_karpenter(&node, |node| node.metadata.deletion_timestamp = Some(stamp));
            }
            Action::RemoveNodeFinalizer { node } => self.remove_node(&node),
            Action::BindPod { pod, node } => {
                if let Some(id) = self.pod_ids.get(&pod).copied()
                    && self.nodes.contains_key(&node)
                    && self.pods.get(&id).is_some_and(|state| state.bound.is_none())
                {
                    self.bind(id, &node);
                }
            }
            Action::EvictPod { pod } => self.evict(&pod, false),
            Action::DeletePod { pod, grace_seconds } => {
                if let Some(id) = self.pod_ids.get(&pod).copied() {
                    self.pod_leaves(id);
                    self.delete_pod(id, Some(grace_seconds));
                }
            }
            Action::TerminateInstance { provider_id } => self.terminate_instance(provider_id),
            unknown => self.warn(format!("not modelled: {unknown:?}")),
        }
    }

    fn take_down(&mut self, record: Record) {
        match record {
            Record::NodeClaim { node_claim, reached } => self.reached(&node_claim, reached),
            Record::Condition { node_claim, condition, is_true, reason } => {
                self.log("nodeclaim", "condition", || {
                    vec![
                        ("nodeclaim", node_claim.as_str().into()),
                        ("type", condition.into()),
                        ("status", if is_true { "True" } else { "gone" }.into()),
                        ("reason", reason.into()),
                    ]
                });
            }
            Record::Pass { of } => self.log("pass", "", || vec![("loop", of.as_str().into())]),
            Record::Decided(decided) => self.record(&decided),
            _ => {}
        }
    }

    fn reached(&mut self, node_claim: &Str, milestone: Milestone) {
        let now = self.now;
        let entry = self.ledger.of_node_claim(node_claim);
        if let Some(entry) = entry.and_then(|id| self.ledger.entry_mut(id)) {
            match milestone {
                Milestone::Registered => entry.registered = Some(now),
                Milestone::Initialized => entry.initialized = Some(now),
                Milestone::Disrupted => entry.disrupted = Some(now),
                Milestone::Undisrupted => entry.disrupted = None,
                Milestone::Deleting => entry.deleting = Some(now),
                Milestone::Deleted => entry.gone = entry.gone.or(Some(now)),
                _ => {}
            }
        }
        self.log("nodeclaim", milestone.as_str(), || vec![("nodeclaim", node_claim.as_str().into())]);
    }
}
