//! The eviction subresource of the API server.

use super::pods::{Owner, PodState};
use super::{Happening, World};
use crate::scheduler::PodId;
use karpsim::kubernetes::pods::{is_terminal, is_terminating};
use karpsim::model::meta::Str;
use karpsim_controller::{Event, Nanos, SECOND};

/// An eviction that met another one at the same budget is looked at again after this.
const CONFLICT: Nanos = SECOND / 2;

/// What the API server says.
enum Verdict {
    Evicted,
    /// 429.
    Refused,
    /// Another eviction wrote the budget at the same moment.
    Conflict,
}

impl World<'_> {
    /// An eviction is asked for. Of those that come at one moment for one budget the first is decided; the others lose
    /// the race for its status, and are decided half a second later (`again`).
    pub(crate) fn evict(&mut self, pod: &Str, again: bool) {
        let Some(id) = self.pod_ids.get(pod).copied() else {
            self.tell(Event::EvictionAccepted(pod.clone()));
            return;
        };
        match self.judge(id, again) {
            Verdict::Evicted => {
                let key = pod.clone();
                self.log("pod", "evicted", || vec![("pod", key.as_str().into())]);
                self.pod_leaves(id);
                self.delete_pod(id, None);
                self.tell(Event::EvictionAccepted(pod.clone()));
            }
            Verdict::Refused => self.tell(Event::EvictionRefused(pod.clone())),
            Verdict::Conflict => self.after(CONFLICT, Happening::EvictionRetry(pod.clone())),
        }
    }

    fn judge(&mut self, id: PodId, again: bool) -> Verdict {
        // What happened at this moment counts already.
        if std::mem::take(&mut self.budgets_dirty) {
            self.reconcile_budgets();
        }
        let Some(state) = self.pods.get(&id) else { return Verdict::Evicted };
        if is_terminating(&state.pod) || is_terminal(&state.pod) || state.bound.is_none() {
            return Verdict::Evicted;
        }
        let ready = state.is_ready();
        let mut matching = self.budgets.iter().filter(|(_, budget)| budget.selects(state));
        let (key, budget) = match (matching.next(), matching.next()) {
            (None, _) => return Verdict::Evicted,
            (Some(one), None) => one,
            // "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            (Some(_), Some(_)) => return Verdict::Refused,
        };
        let key = key.clone();
        if !ready {
            let always = budget.object.spec.unhealthy_pod_eviction_policy == "AlwaysAllow";
            // A pod that does not run yet needs no budget, nor one that is broken while enough others are well.
            if always || state.running.is_none() || (budget.desired > 0 && budget.healthy >= budget.desired) {
                return Verdict::Evicted;
            }
        }
        if !again && self.evicted_at.get(&key) == Some(&self.now) {
            return Verdict::Conflict;
        }
        if budget.allowed() <= 0 {
            return Verdict::Refused;
        }
        self.evicted_at.insert(key, self.now);
        Verdict::Evicted
    }

    /// A pod leaves before its time: a batch makes another one, and a job remembers the failure.
    pub(crate) fn pod_leaves(&mut self, id: PodId) {
        let Some(state) = self.pods.get(&id) else { return };
        if !state.is_active() {
            return;
        }
        match &state.owner {
            Owner::Workload(key) => {
                let key = key.clone();
                self.pod_failed(&key);
            }
            Owner::Batch(_) => self.restart_batch_pod(id),
            Owner::None => {
                let PodState { key, .. } = state;
                let text = format!("pod `{key}` has no controller, so it is not recreated after eviction");
                self.warn(text);
            }
        }
    }
}
