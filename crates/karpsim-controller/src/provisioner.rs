//! Provisioning: who asks for a round, the round, and what it promises.

use crate::claim::Claim;
use crate::controller::{Controller, Subject, Timer};
use crate::ready::Action;
use crate::record::{Decided, Loop, Record};
use crate::settings::Binding;
use crate::time::{Nanos, SECOND};
use karpsim::decision::{FilledNode, NewNodeClaim};
use karpsim::model::meta::Str;
use std::sync::Arc;

/// Who asks for a round asks again after this, until it has what it wants.
const RETRIGGER: Nanos = 10 * SECOND;

/// A round that made nothing new, and the state of the cluster that it saw: as long as nothing changes, the next one
/// decides the same.
#[derive(Debug, Clone)]
pub(crate) struct LastRound {
    version: u64,
    existing: Vec<FilledNode>,
}

impl Controller {
    /// `subject` asks for a round, now and again 10 s after it last did.
    pub(crate) fn trigger(&mut self, subject: Subject, now: Nanos) {
        let element = match &subject {
            Subject::Node(name) => name.clone(),
            // Names of pods are used again by StatefulSets; UIDs are not.
            Subject::Pod(key) => match self.cluster.pods.get(key) {
                Some(pod) if !pod.metadata.uid.is_empty() => pod.metadata.uid.clone(),
                _ => key.clone(),
            },
        };
        self.window.trigger(now, &element);
        if let Some(old) = self.retriggers.insert(subject.clone(), now + RETRIGGER) {
            self.timers.remove(&(old, Timer::Retrigger(subject.clone())));
        }
        self.at(now + RETRIGGER, Timer::Retrigger(subject));
    }

    pub(crate) fn retrigger_due(&mut self, subject: Subject, now: Nanos) {
        if self.retriggers.get(&subject) == Some(&now) {
            self.retriggers.remove(&subject);
            self.trigger(subject, now);
        }
    }

    /// A round: every pod that waits, and those of nodes that go, get a place or a new NodeClaim.
    pub(crate) fn provision_round(&mut self, now: Nanos) {
        // A round while an instance is being launched would launch it twice. The pods ask again.
        if !self.cluster.is_synced() {
            return;
        }
        self.ready.record(Record::Pass { of: Loop::Provisioner });
        if self.cluster.provisionable.is_empty() && !self.has_pods_on_deleting_nodes() {
            return;
        }
        if let Some(last) = self.last_round.take_if(|last| last.version == self.cluster.version) {
            self.nominate(&last.existing, now);
            self.last_round = Some(last);
            return;
        }
        let moment = self.moment.of(&mut self.cluster, now);
        let version = self.cluster.version;
        let decision = self.decider.provision(moment);
        self.nominate(&decision.existing_nodes, now);
        if self.settings.binding == Binding::Early {
            self.bind_early(&decision.existing_nodes);
        }
        if decision.new_node_claims.is_empty() {
            self.last_round = Some(LastRound { version, existing: decision.existing_nodes.clone() });
        }
        let launched: Vec<(Str, NewNodeClaim)> = decision
            .new_node_claims
            .into_iter()
            .filter_map(|wanted| {
                let name = self.name_claim(&wanted)?;
                self.create_claim(&name, &wanted, now);
                Some((name, wanted))
            })
            .collect();
        self.decided(Decided {
            existing: decision.existing_nodes.into_iter().map(|node| (node.name, node.pods)).collect(),
            failed: decision.pod_errors.into_iter().collect(),
            ..Decided::launching(launched)
        });
    }

    fn has_pods_on_deleting_nodes(&self) -> bool {
        self.cluster
            .claims()
            .filter(|claim| claim.marked || claim.deleting.is_some())
            .any(|claim| !self.cluster.reschedulable_of(claim).is_empty())
    }

    /// Pods are expected on these nodes: for a while they are not disrupted.
    pub(crate) fn nominate(&mut self, nodes: &[FilledNode], now: Nanos) {
        let until = now + self.settings.nomination_window();
        for node in nodes {
            if let Some(name) = self.cluster.claim_in_decision(&node.name).cloned()
                && let Some(claim) = self.cluster.claim_mut(&name)
            {
                claim.nominated_until = claim.nominated_until.max(until);
            }
        }
    }

    /// The name of the NodeClaim that a decision wants. `None` if its NodePool is gone.
    pub(crate) fn name_claim(&mut self, wanted: &NewNodeClaim) -> Option<Str> {
        let pool = self.cluster.node_pools.get(&wanted.node_pool)?;
        Some(self.names.next(self.settings.node_claim_names, &pool.metadata.name))
    }

    /// Makes the NodeClaim that a decision wants.
    pub(crate) fn create_claim(&mut self, name: &Str, wanted: &NewNodeClaim, now: Nanos) {
        let Some(pool) = self.cluster.node_pools.get(&wanted.node_pool) else { return };
        let claim = Claim::new(name, wanted, pool, &self.cluster.calendar, now);
        if let Some(expires) = claim.expires(&self.cluster.calendar) {
            self.at(expires, Timer::Expire(name.clone()));
        }
        let node_claim = Arc::clone(&claim.object);
        self.cluster.insert_claim(claim);
        self.cluster.version += 1;
        self.ready.act(Action::CreateNodeClaim { node_claim, wanted: Box::new(wanted.clone()) });
    }

    /// Karpenter until v0.6 binds pods itself: now if the node is there, else as soon as it is.
    fn bind_early(&mut self, nodes: &[FilledNode]) {
        for node in nodes {
            if self.cluster.nodes.contains_key(&node.name) {
                for pod in &node.pods {
                    self.bind(pod, &node.name);
                }
            } else if let Some(claim) = self.cluster.claim_mut(&node.name) {
                for pod in &node.pods {
                    if !claim.planned_pods.contains(pod) {
                        claim.planned_pods.push(pod.clone());
                    }
                }
            }
        }
    }

    /// Binds `pod` to `node` if it still waits.
    pub(crate) fn bind(&mut self, pod: &Str, node: &Str) {
        if self.cluster.provisionable.contains(pod) {
            self.ready.act(Action::BindPod { pod: pod.clone(), node: node.clone() });
        }
    }
}
