//! What the cloud takes back: the node is drained at once, and its offering is not asked for for a while.

use crate::capacity::{CAPACITY_TYPE, INSTANCE_TYPE, OfferingKey, ZONE};
use crate::controller::Controller;
use crate::event::{DecidedKind, Interruption};
use crate::lifecycle::UNAVAILABLE_FOR;
use crate::time::Nanos;

impl Controller {
    pub(crate) fn interrupted(&mut self, now: Nanos, node: &str, interruption: Interruption) {
        let reason = match interruption {
            // Karpenter says so in an event and leaves it at that.
            Interruption::Rebalance => return,
            Interruption::Spot => "SpotInterrupted",
            Interruption::Maintenance => "ScheduledMaintenance",
            Interruption::Stopped => "InstanceStopped",
        };
        let Some(name) = self.cluster.claim_name_of(node) else { return };
        let Some(claim) = self.cluster.claims.get(&name) else { return };
        if interruption == Interruption::Spot {
            let label = |key: &str| claim.object.metadata.labels.get(key).unwrap_or_default().into();
            let key = OfferingKey {
                instance_type: label(INSTANCE_TYPE),
                zone: label(ZONE),
                capacity_type: label(CAPACITY_TYPE),
            };
            self.cluster.set_unavailable(vec![key], now + UNAVAILABLE_FOR);
        }
        if self.cluster.claims.get(&name).is_some_and(|claim| claim.deleting.is_none()) {
            self.decided_removal(DecidedKind::Interrupt, reason, std::slice::from_ref(&name));
            self.delete_claim(&name, now);
        }
    }
}
