//! `ttlSecondsAfterEmpty` of Karpenter v0.6: a node goes so long after it became empty, and that is all.

use crate::controller::{Controller, Timer};
use crate::record::{Cause, Reason};
use crate::settings::Profile;
use crate::time::Nanos;
use karpsim::kubernetes::pods;
use karpsim::model::karpenter::DisruptionReason;
use karpsim::model::meta::{NillableDuration, Str};

impl Controller {
    /// Pods of `node` changed, or it became ready: is it empty?
    pub(crate) fn reconcile_ttl(&mut self, node: &str, now: Nanos) {
        if self.settings.profile != Profile::Karpenter06 {
            return;
        }
        let Some(name) = self.cluster.claim_of_node(node).cloned() else { return };
        let occupied = self.cluster.pods_on(node).any(|pod| {
            !pods::is_terminal(pod) && !pods::is_owned_by_daemon_set(pod) && !pods::is_owned_by_node(pod)
        });
        let Some(claim) = self.cluster.claim_mut(&name) else { return };
        if occupied || claim.initialized.is_none() {
            claim.empty_since = None;
            return;
        }
        let since = *claim.empty_since.get_or_insert(now);
        if let Some(ttl) = self.ttl(&name) {
            self.at(since.saturating_add(ttl), Timer::Ttl(name));
        }
    }

    pub(crate) fn ttl_due(&mut self, name: &Str, now: Nanos) {
        let Some(claim) = self.cluster.claim(name) else { return };
        let (Some(since), Some(ttl)) = (claim.empty_since, self.ttl(name)) else { return };
        if claim.deleting.is_some() || since.saturating_add(ttl) > now {
            return;
        }
        // Nodes that empty together go in one decision.
        let mut together = vec![name.clone()];
        while let Some((at, Timer::Ttl(next))) = self.timers.first().cloned()
            && at <= now
        {
            self.timers.pop_first();
            let due = self.cluster.claim(&next).is_some_and(|claim| {
                claim.deleting.is_none()
                    && claim.empty_since.zip(self.ttl(&next)).is_some_and(|(since, ttl)| since + ttl <= now)
            });
            if due && !together.contains(&next) {
                together.push(next);
            }
        }
        self.decided_removal(Cause::Disrupt, Reason::Disruption(DisruptionReason::Empty), &together);
        for claim in together {
            self.delete_claim(&claim, now);
        }
    }

    fn ttl(&self, name: &Str) -> Option<Nanos> {
        let pool = self.cluster.node_pools.get(&self.cluster.claim(name)?.pool)?;
        match pool.spec.disruption.consolidate_after {
            Some(NillableDuration(after)) => after.map(|after| after.nanos),
            None => Some(0),
        }
    }
}
