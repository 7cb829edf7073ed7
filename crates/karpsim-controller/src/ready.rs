//! What the controller hands out: what is to be done, and what there is to know.
//!
//! An [`Action`] is a call to the API server or to the cloud that somebody has to make. A [`Record`] asks for nothing: it is
//! what Karpenter would write into its log, its metrics and the Events of its objects. Whoever only makes the calls can
//! drop the records, and whoever only counts can drop the actions.

use crate::record::Record;
use karpsim::decision::NewNodeClaim;
use karpsim::model::core::{Node, Taint};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Labels, Str};
use std::sync::Arc;

/// What came of events and wake-ups since the last one was taken ([`Controller::ready`](crate::Controller::ready)).
#[derive(Debug, Clone, Default)]
#[must_use = "actions that nobody carries out leave the controller waiting for their answers"]
pub struct Ready {
    /// Calls to be made, in this order.
    pub actions: Vec<Action>,
    /// What happened, in this order.
    pub records: Vec<Record>,
    /// For every record the number of actions before it.
    actions_before: Vec<usize>,
}

/// One of the two, as [`Ready::in_order`] gives them.
#[derive(Debug, Clone)]
pub enum Step {
    /// To be done.
    Action(Action),
    /// To be known.
    Record(Record),
}

impl Ready {
    /// Whether there is neither anything to be done nor to be known.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.records.is_empty()
    }

    /// Both in the order in which they came about, for a log that shows calls among what led to them.
    pub fn in_order(self) -> impl Iterator<Item = Step> {
        let mut records = self.records.into_iter().zip(self.actions_before).peekable();
        let mut actions = self.actions.into_iter().enumerate().peekable();
        std::iter::from_fn(move || {
            let next = actions.peek().map(|(index, _)| *index);
            match records.next_if(|(_, before)| next.is_none_or(|next| *before <= next)) {
                Some((record, _)) => Some(Step::Record(record)),
                None => actions.next().map(|(_, action)| Step::Action(action)),
            }
        })
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn record(&mut self, record: Record) {
        self.actions_before.push(self.actions.len());
        self.records.push(record);
    }
}

/// A call to the API server or to the cloud.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Action {
    /// Create a NodeClaim, and an instance for it: the cheapest offering that it allows. Answered by
    /// [`Event::Launched`](crate::Event::Launched) or [`Event::LaunchFailed`](crate::Event::LaunchFailed).
    CreateNodeClaim {
        /// The NodeClaim.
        node_claim: Arc<NodeClaim>,
        /// What it can be.
        wanted: Box<NewNodeClaim>,
    },
    /// Patch a node.
    PatchNode {
        /// The node.
        node: Str,
        /// The change.
        patch: Box<NodePatch>,
    },
    /// Delete a node. Its finalizer keeps the object until [`Action::RemoveNodeFinalizer`].
    DeleteNode {
        /// The node.
        node: Str,
    },
    /// Take the finalizer off a node that is being deleted, and with it the object.
    RemoveNodeFinalizer {
        /// The node.
        node: Str,
    },
    /// Bind a pod.
    BindPod {
        /// The pod, `namespace/name`.
        pod: Str,
        /// The node.
        node: Str,
    },
    /// Evict a pod. Answered by [`Event::EvictionAccepted`](crate::Event::EvictionAccepted) or
    /// [`Event::EvictionRefused`](crate::Event::EvictionRefused).
    EvictPod {
        /// The pod, `namespace/name`.
        pod: Str,
    },
    /// Delete a pod, whatever its budgets say.
    DeletePod {
        /// The pod, `namespace/name`.
        pod: Str,
        /// Seconds that it gets to end.
        grace_seconds: i64,
    },
    /// Terminate an instance. Answered by [`Event::InstanceGone`](crate::Event::InstanceGone).
    TerminateInstance {
        /// Its provider id.
        provider_id: Str,
    },
}

/// A change of a node. Others change the same node meanwhile, so it says only what is to be different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodePatch {
    /// Labels to be set.
    pub labels: Labels,
    /// Annotations to be set.
    pub annotations: Labels,
    /// Taints to be added, unless there is one of the same key and effect.
    pub taints_added: Vec<Taint>,
    /// Keys of taints to be taken off.
    pub taints_removed: Vec<Str>,
}

impl NodePatch {
    /// Makes the change.
    pub fn apply(&self, node: &mut Node) {
        for (key, value) in self.labels.iter() {
            node.metadata.labels.insert(key, value);
        }
        for (key, value) in self.annotations.iter() {
            node.metadata.annotations.insert(key, value);
        }
        let taints = &mut node.spec.taints;
        for taint in &self.taints_added {
            if !taints.iter().any(|it| it.key == taint.key && it.effect == taint.effect) {
                taints.push(taint.clone());
            }
        }
        taints.retain(|taint| !self.taints_removed.contains(&taint.key));
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, NodePatch, Ready, Step};
    use crate::record::{Loop, Record};
    use karpsim::model::core::{Node, Taint, TaintEffect};

    #[test]
    fn records_keep_their_place_among_the_actions() {
        let mut ready = Ready::default();
        assert!(ready.is_empty());
        let pass = |of| Record::Pass { of };
        ready.record(pass(Loop::Provisioner));
        ready.act(Action::DeleteNode { node: "a".into() });
        ready.act(Action::DeleteNode { node: "b".into() });
        ready.record(pass(Loop::Disruption));
        ready.act(Action::DeleteNode { node: "c".into() });
        ready.record(pass(Loop::Provisioner));
        let words: Vec<String> = ready
            .in_order()
            .map(|step| match step {
                Step::Action(Action::DeleteNode { node }) => node.to_string(),
                Step::Record(Record::Pass { of }) => of.as_str().to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(words, ["provisioner", "a", "b", "disruption", "c", "provisioner"]);
    }

    #[test]
    fn a_patch_leaves_alone_what_it_does_not_name() {
        let taint =
            |key: &str| Taint { key: key.into(), effect: Some(TaintEffect::NoSchedule), ..Taint::default() };
        let mut node = Node::default();
        node.metadata.labels.insert("zone", "a");
        node.spec.taints = vec![taint("gpu"), taint("starting")];
        let patch = NodePatch {
            labels: [("team", "blue")].into_iter().collect(),
            taints_added: vec![taint("gpu"), taint("disrupted")],
            taints_removed: vec!["starting".into()],
            ..NodePatch::default()
        };
        patch.apply(&mut node);
        patch.apply(&mut node);
        assert_eq!(node.metadata.labels.iter().collect::<Vec<_>>(), [("team", "blue"), ("zone", "a")]);
        assert_eq!(node.spec.taints, [taint("gpu"), taint("disrupted")]);
    }
}
