//! Expiration: `expireAfter` counts from the creation time as it is written. No budget is asked and no replacement is
//! waited for. One worker deletes, and sleeps a second after each.

use crate::controller::{Controller, Timer};
use crate::record::{Cause, Reason};
use crate::time::{Nanos, SECOND};
use karpsim::model::meta::Str;

impl Controller {
    pub(crate) fn expire_due(&mut self, name: &Str, now: Nanos) {
        let Some(claim) = self.cluster.claim(name) else { return };
        if claim.deleting.is_some() || claim.expires(&self.cluster.calendar).is_none_or(|at| at > now) {
            return;
        }
        if self.expirer_free_at > now {
            self.at(self.expirer_free_at, Timer::Expire(name.clone()));
            return;
        }
        self.expirer_free_at = now + SECOND;
        self.remove_claim(Cause::Expire, Reason::Expired, name, now);
    }
}
