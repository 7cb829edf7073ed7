//! Conditions of NodeClaims that disruption reads: `Consolidatable` and `Drifted`, and `lastPodEventTime`.

use crate::controller::{Controller, Timer};
use crate::drift;
use crate::record::Record;
use crate::time::{Nanos, SECOND};
use karpsim::model::meta::{NillableDuration, Str};
use std::sync::Arc;

/// Pod events closer together than this are written once.
const POD_EVENTS_APART: Nanos = 10 * SECOND;

impl Controller {
    /// A pod came to `node`, ended on it or began to be deleted.
    pub(crate) fn pod_event(&mut self, node: &str, now: Nanos) {
        let calendar = self.cluster.calendar;
        let Some(name) = self.cluster.claim_of_node(node).cloned() else { return };
        let Some(claim) = self.cluster.claim_mut(&name) else { return };
        if claim.last_pod_event.is_some_and(|last| now - last < POD_EVENTS_APART) {
            return;
        }
        claim.last_pod_event = Some(calendar.cut(now));
        Arc::make_mut(&mut claim.object).status.last_pod_event_time = Some(calendar.stamp(now));
        self.cluster.version += 1;
        self.reconcile_conditions(&name, now);
    }

    /// Brings `Consolidatable` and `Drifted` up to date.
    pub(crate) fn reconcile_conditions(&mut self, name: &Str, now: Nanos) {
        let calendar = self.cluster.calendar;
        let Some((claim, pool)) = self.cluster.claim_and_pool(name) else { return };
        if claim.deleting.is_some() {
            return;
        }
        // Type, whether it is true now, reason.
        let mut changes: Vec<(&'static str, bool, &'static str)> = Vec::new();
        let stamp = calendar.stamp(now);
        match drift::drifted(claim, pool).filter(|_| claim.launched.is_some()) {
            Some(reason) => {
                if claim.set_true("Drifted", reason, stamp) {
                    changes.push(("Drifted", true, reason));
                }
            }
            None => {
                if claim.clear("Drifted") {
                    changes.push(("Drifted", false, ""));
                }
            }
        }
        // Nodes of static NodePools are never consolidated.
        let mut again = None;
        if pool.spec.replicas.is_none() {
            let after = match pool.spec.disruption.consolidate_after {
                Some(NillableDuration(None)) => None,
                Some(NillableDuration(Some(after))) => Some(after.nanos),
                None => Some(0),
            };
            let since = claim.initialized.map(|at| claim.last_pod_event.unwrap_or_else(|| calendar.cut(at)));
            let due = after
                .zip(since)
                .map(|(after, since)| if after == 0 { now } else { since.saturating_add(after) });
            match due {
                Some(due) if due <= now => {
                    if claim.set_true("Consolidatable", "Consolidatable", stamp) {
                        changes.push(("Consolidatable", true, ""));
                    }
                }
                _ => {
                    again = due;
                    if claim.clear("Consolidatable") {
                        changes.push(("Consolidatable", false, ""));
                    }
                }
            }
        }
        if let Some(due) = again {
            self.at(due, Timer::Condition(name.clone()));
        }
        for (condition, is_true, reason) in changes {
            self.cluster.version += 1;
            self.ready.record(Record::Condition { node_claim: name.clone(), condition, is_true, reason });
        }
    }
}
