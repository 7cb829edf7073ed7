//! What the cloud takes back: the node is drained at once, and its offering is not asked for for a while.

use crate::capacity::{CAPACITY_TYPE, INSTANCE_TYPE, OfferingKey, ZONE};
use crate::controller::Controller;
use crate::event::Interruption;
use crate::lifecycle::UNAVAILABLE_FOR;
use crate::record::{Cause, Reason};
use crate::time::Nanos;

impl Controller {
    pub(crate) fn interrupted(&mut self, now: Nanos, provider_id: &str, interruption: Interruption) {
        let reason = match interruption {
            // Karpenter says so in an event and leaves it at that.
            Interruption::Rebalance => return,
            Interruption::Spot => Reason::SpotInterrupted,
            Interruption::Maintenance => Reason::ScheduledMaintenance,
            Interruption::Stopped => Reason::InstanceStopped,
        };
        let Some(name) = self.cluster.claim_of_instance(provider_id).cloned() else { return };
        let Some(claim) = self.cluster.claim(&name) else { return };
        if interruption == Interruption::Spot {
            let label = |key: &str| claim.object.metadata.labels.get(key).unwrap_or_default().into();
            let key = OfferingKey {
                instance_type: label(INSTANCE_TYPE),
                zone: label(ZONE),
                capacity_type: label(CAPACITY_TYPE),
            };
            self.cluster.set_unavailable(vec![key], now + UNAVAILABLE_FOR);
        }
        self.remove_claim(Cause::Interrupt, reason, &name, now);
    }
}
