//! The end of a NodeClaim: taint, drain in order, eviction with back-off, end of the instance.

use crate::claim::Claim;
use crate::controller::{Controller, Subject, Timer};
use crate::ready::{Action, NodePatch};
use crate::record::Milestone;
use crate::settings::Profile;
use crate::time::{Nanos, SECOND};
use karpsim::kubernetes::{eviction, pods};
use karpsim::model::core::Pod;
use karpsim::model::meta::Str;
use std::sync::Arc;

/// A drain takes at least this long, from the time of its beginning as it is written.
const DRAIN_AT_LEAST: Nanos = 5 * SECOND;
/// A drain is looked at this often.
const DRAIN_POLL: Nanos = SECOND;
/// A refused eviction is tried again after this, then after twice that, …
const EVICTION_BACKOFF_FIRST: Nanos = SECOND / 10;
/// … up to this.
const EVICTION_BACKOFF_MAX: Nanos = 10 * SECOND;

/// A NodeClaim that is being terminated.
#[derive(Debug, Clone)]
pub(crate) struct Termination {
    /// When its drain began, as it is written.
    began: Nanos,
    /// The instance was told to end.
    ending: bool,
}

/// A pod that is to be evicted.
#[derive(Debug, Clone, Default)]
pub(crate) struct EvictionState {
    refusals: u32,
}

impl Controller {
    /// Deletes a NodeClaim: from here on it goes, whatever happens.
    pub(crate) fn delete_claim(&mut self, name: &Str, now: Nanos) {
        let calendar = self.cluster.calendar;
        let Some(claim) = self.cluster.claim_mut(name).filter(|claim| claim.deleting.is_none()) else {
            return;
        };
        let was_marked = claim.marked;
        claim.deleting = Some(now);
        Arc::make_mut(&mut claim.object).metadata.deletion_timestamp = Some(calendar.stamp(now));
        let (node, instance) = (claim.node().cloned(), claim.provider_id().cloned());
        let pool = claim.pool.clone();
        self.cluster.version += 1;
        if !was_marked {
            self.cluster.mark_unconsolidated(now);
        }
        self.milestone(name, Milestone::Deleting);
        if let Some(node) = node {
            self.delete_node(&node, now);
            self.taint(name, now);
            self.terminations.insert(name.clone(), Termination { began: calendar.cut(now), ending: false });
            self.at(now, Timer::Drain(name.clone()));
        } else if let Some(provider_id) = instance {
            self.ready.act(Action::TerminateInstance { provider_id });
        }
        if self.cluster.static_pool(&pool).is_some() {
            self.at(now, Timer::Static(pool));
        }
    }

    /// Deletes a node, here and in the world; its finalizer keeps it.
    fn delete_node(&mut self, name: &Str, now: Nanos) {
        let stamp = self.cluster.calendar.stamp(now);
        let Some(node) = self.cluster.nodes.get_mut(name) else { return };
        Arc::make_mut(node).metadata.deletion_timestamp = Some(stamp);
        self.cluster.version += 1;
        self.ready.act(Action::DeleteNode { node: name.clone() });
    }

    /// Taints the node of a NodeClaim, so that nothing new comes.
    pub(crate) fn taint(&mut self, claim: &Str, now: Nanos) {
        let Some(node) = self.cluster.claim(claim).and_then(Claim::node).cloned() else { return };
        let tainted = self.cluster.nodes.get(&node).is_none_or(|node| is_tainted(&node.spec.taints));
        if !tainted {
            let taints_added = vec![eviction::disrupted_taint()];
            self.patch_node(&node, NodePatch { taints_added, ..NodePatch::default() });
            self.milestone(claim, Milestone::Disrupted);
        }
        self.trigger_for_node(&node, now);
    }

    /// Takes that taint off again.
    pub(crate) fn untaint(&mut self, claim: &Str, now: Nanos) {
        let node = self.cluster.claim(claim).and_then(Claim::node).cloned();
        if let Some(node) = node
            && self.cluster.nodes.get(&node).is_some_and(|node| is_tainted(&node.spec.taints))
        {
            let taints_removed = vec![eviction::DISRUPTED.into()];
            self.patch_node(&node, NodePatch { taints_removed, ..NodePatch::default() });
            self.milestone(claim, Milestone::Undisrupted);
            self.trigger_for_node(&node, now);
        }
        if let Some(claim) = self.cluster.claim_mut(claim) {
            claim.clear("DisruptionReason");
        }
    }

    /// Looks at a drain: evicts the next group, or ends the instance when all are gone.
    pub(crate) fn poll_drain(&mut self, name: &Str, now: Nanos) {
        let calendar = self.cluster.calendar;
        let Some(claim) = self.cluster.claim(name) else { return };
        let Some(termination) = self.terminations.get(name) else { return };
        if termination.ending {
            return;
        }
        let began = termination.began;
        let instance = claim.provider_id().cloned();
        let deadline = claim.termination_deadline(&calendar);
        let waiting: Vec<Arc<Pod>> = self
            .cluster
            .pods_of(claim)
            .filter(|pod| eviction::is_waiting_for_eviction(pod, calendar.wall(now)))
            .cloned()
            .collect();
        if let Some(deadline) = deadline {
            self.delete_expiring(&waiting, deadline, now);
        }
        // Others first, then critical ones; of each, those of DaemonSets last.
        let group = |pod: &Arc<Pod>| {
            let critical = matches!(
                pod.spec.priority_class_name.as_str(),
                "system-cluster-critical" | "system-node-critical"
            );
            (critical, pods::is_owned_by_daemon_set(pod))
        };
        if let Some(first) = waiting.iter().map(group).min() {
            for pod in waiting
                .iter()
                .filter(|pod| group(pod) == first && eviction::is_evictable(pod, calendar.wall(now)))
            {
                let key = pods::pod_key(pod);
                if !self.evictions.contains_key(&key) {
                    self.evictions.insert(key.clone(), EvictionState::default());
                    self.at(now, Timer::Evict(key));
                }
            }
            self.at(now + DRAIN_POLL, Timer::Drain(name.clone()));
            return;
        }
        if self.settings.profile == Profile::Karpenter1 && now - began < DRAIN_AT_LEAST {
            self.at(now + DRAIN_POLL, Timer::Drain(name.clone()));
            return;
        }
        if let Some(termination) = self.terminations.get_mut(name) {
            termination.ending = true;
        }
        if let Some(provider_id) = instance {
            self.ready.act(Action::TerminateInstance { provider_id });
        }
    }

    /// Pods whose grace period reaches beyond the node's deadline are deleted in time, budgets or not.
    fn delete_expiring(&mut self, waiting: &[Arc<Pod>], deadline: Nanos, now: Nanos) {
        for pod in waiting {
            let deleted = pod.metadata.deletion_timestamp.map(|at| self.cluster.calendar.since_start(at));
            if deleted.is_some_and(|at| at <= deadline) {
                continue;
            }
            let grace = pod.spec.termination_grace_period_seconds.unwrap_or(30);
            if now > deadline.saturating_sub(grace.saturating_mul(SECOND)) {
                let grace_seconds = ((deadline - now) / SECOND).max(1);
                self.ready.act(Action::DeletePod { pod: pods::pod_key(pod), grace_seconds });
            }
        }
    }

    pub(crate) fn evict_due(&mut self, pod: &Str) {
        if self.evictions.contains_key(pod) {
            self.ready.act(Action::EvictPod { pod: pod.clone() });
        }
    }

    /// A budget stands in the way: again, later and later.
    pub(crate) fn eviction_refused(&mut self, now: Nanos, pod: &Str) {
        let Some(state) = self.evictions.get_mut(pod) else { return };
        let wait =
            EVICTION_BACKOFF_FIRST.saturating_mul(1 << state.refusals.min(10)).min(EVICTION_BACKOFF_MAX);
        state.refusals += 1;
        self.at(now + wait, Timer::Evict(pod.clone()));
    }

    /// The instance is gone, as asked or by itself.
    pub(crate) fn instance_gone(&mut self, now: Nanos, provider_id: &str) {
        let Some(claim) = self.cluster.claim_of_instance(provider_id).and_then(|it| self.cluster.claim(it))
        else {
            return;
        };
        let (name, node) = (claim.name().clone(), claim.node().cloned());
        if let Some(node) = node {
            self.cluster.remove_node(&node);
            self.retriggers.remove(&Subject::Node(node.clone()));
            self.ready.act(Action::RemoveNodeFinalizer { node });
        }
        self.claim_gone(&name, now);
    }

    /// The NodeClaim is no more.
    pub(crate) fn claim_gone(&mut self, name: &Str, now: Nanos) {
        let Some(claim) = self.cluster.remove_claim(name) else { return };
        self.terminations.remove(name);
        self.cluster.version += 1;
        self.cluster.mark_unconsolidated(now);
        self.milestone(name, Milestone::Deleted);
        if self.cluster.static_pool(&claim.pool).is_some() {
            self.at(now, Timer::Static(claim.pool));
        }
    }
}

fn is_tainted(taints: &[karpsim::model::core::Taint]) -> bool {
    taints.iter().any(|taint| taint.key == eviction::DISRUPTED)
}
