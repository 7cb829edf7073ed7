//! What Karpenter wants done.

use super::World;
use karpsim::model::meta::Str;
use karpsim_controller::{Action, Milestone};
use std::sync::Arc;

impl World<'_> {
    /// Does what Karpenter wants, until it wants nothing more.
    pub(crate) fn act(&mut self) {
        loop {
            let actions = self.controller.take_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Launch { claim, wanted } => self.launch_requested(&claim, wanted),
            Action::UpdateNode(node) => {
                // What Karpenter has in mind now, if it changed again in between.
                let latest = self.controller.cluster().node(&node.metadata.name).map_or(node, Arc::clone);
                self.update_node(latest);
            }
            Action::Bind { pod, node } => {
                if let Some(id) = self.pod_ids.get(&pod).copied()
                    && self.nodes.contains_key(&node)
                    && self.pods.get(&id).is_some_and(|state| state.bound.is_none())
                {
                    self.bind(id, &node);
                }
            }
            Action::Evict(pod) => self.evict(&pod, false),
            Action::DeletePod { pod, grace_seconds } => {
                if let Some(id) = self.pod_ids.get(&pod).copied() {
                    self.pod_leaves(id);
                    self.delete_pod(id, Some(grace_seconds));
                }
            }
            Action::TerminateInstance(claim) => self.terminate_instance(&claim),
            Action::RemoveNode(node) => self.remove_node(&node),
            Action::Milestone { claim, milestone } => self.reached(&claim, milestone),
            Action::Condition { claim, kind, status, reason } => self.log("nodeclaim", "condition", || {
                vec![
                    ("nodeclaim", claim.as_str().into()),
                    ("type", kind.into()),
                    ("status", status.into()),
                    ("reason", reason.into()),
                ]
            }),
            Action::Pass(of) => self.log("pass", "", || vec![("loop", of.into())]),
            Action::Decided(decided) => self.record(&decided),
        }
    }

    fn reached(&mut self, claim: &Str, milestone: Milestone) {
        let now = self.now;
        if let Some(entry) = self.ledger.entry(claim) {
            match milestone {
                Milestone::Registered => entry.registered = Some(now),
                Milestone::Initialized => entry.initialized = Some(now),
                Milestone::Disrupted => entry.disrupted = Some(now),
                Milestone::Undisrupted => entry.disrupted = None,
                Milestone::Deleting => entry.deleting = Some(now),
                Milestone::Gone => entry.gone = entry.gone.or(Some(now)),
            }
        }
        let event = match milestone {
            Milestone::Registered => "registered",
            Milestone::Initialized => "initialized",
            Milestone::Disrupted => "disrupted",
            Milestone::Undisrupted => "undisrupted",
            Milestone::Deleting => "deleting",
            Milestone::Gone => "deleted",
        };
        self.log("nodeclaim", event, || vec![("nodeclaim", claim.as_str().into())]);
    }
}
