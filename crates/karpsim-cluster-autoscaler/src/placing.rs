//! Placing many pods on the nodes there are, with hints of earlier runs.
//!
//! Pods go by priority. Of one priority, those with a hint are tried on the place that was found for them before; then
//! the others look for any. A pod that is like one which has found no place, and has the same controller, is not tried.

use crate::pods::{PodRef, are_alike, controller, identity, is_daemon, priority};
use crate::predicates::Predicates;
use crate::snapshot::{NodeInfo, Snapshot};
use karpsim::model::meta::Str;
use rustc_hash::FxHashMap;

/// Places found in this run and in the last. Asked for one pod at a time, never walked.
#[derive(Debug, Default)]
struct Hints {
    current: FxHashMap<Str, Str>,
    old: FxHashMap<Str, Str>,
}

impl Hints {
    fn get(&self, pod: &str) -> Option<Str> {
        self.current.get(pod).or_else(|| self.old.get(pod)).cloned()
    }

    fn set(&mut self, pod: Str, node: Str) {
        self.current.insert(pod, node);
    }
}

/// Of one controller so many kinds of pods are kept apart. Each pod of a further kind is alone.
pub(crate) const KINDS_OF_A_CONTROLLER: usize = 10;

/// Kinds of pods for which there is no place.
#[derive(Default)]
struct Hopeless {
    by_controller: FxHashMap<Str, Vec<PodRef>>,
}

impl Hopeless {
    fn knows(&self, pod: &PodRef) -> bool {
        controller(pod)
            .and_then(|owner| self.by_controller.get(&owner.uid))
            .is_some_and(|kinds| kinds.iter().any(|kind| are_alike(pod, kind)))
    }

    fn note(&mut self, pod: &PodRef) {
        if is_daemon(pod) {
            return;
        }
        if let Some(owner) = controller(pod) {
            let kinds = self.by_controller.entry(owner.uid.clone()).or_default();
            if kinds.len() < KINDS_OF_A_CONTROLLER {
                kinds.push(pod.clone());
            }
        }
    }
}

/// Finds places for pods and remembers them.
#[derive(Debug, Default)]
pub(crate) struct Placer {
    hints: Hints,
}

impl Placer {
    /// Puts the pods on acceptable nodes. Says of each whether it found a place.
    ///
    /// With `all_or_nothing` a pod without a place ends the search of its priority; lower priorities are still placed, as
    /// the autoscaler's own code does.
    pub(crate) fn place<P: Predicates>(
        &mut self,
        snapshot: &mut Snapshot<P>,
        pods: &[PodRef],
        all_or_nothing: bool,
        acceptable: impl Fn(&NodeInfo) -> bool,
    ) -> Vec<bool> {
        let mut placed = vec![false; pods.len()];
        let mut hopeless = Hopeless::default();
        for group in by_priority(pods) {
            let mut others = Vec::new();
            for at in group {
                if self.place_by_hint(snapshot, &pods[at], &acceptable) {
                    placed[at] = true;
                } else {
                    others.push(at);
                }
            }
            for at in others {
                placed[at] = self.place_anywhere(snapshot, &pods[at], &mut hopeless, &acceptable);
                if !placed[at] && all_or_nothing {
                    break;
                }
            }
        }
        placed
    }

    fn place_by_hint<P: Predicates>(
        &mut self,
        snapshot: &mut Snapshot<P>,
        pod: &PodRef,
        acceptable: impl Fn(&NodeInfo) -> bool,
    ) -> bool {
        let id = identity(pod);
        let Some(node) = self.hints.get(&id) else { return false };
        if !snapshot.get(&node).is_some_and(acceptable) || snapshot.schedule_on(pod, &node).is_err() {
            return false;
        }
        self.hints.set(id, node);
        true
    }

    fn place_anywhere<P: Predicates>(
        &mut self,
        snapshot: &mut Snapshot<P>,
        pod: &PodRef,
        hopeless: &mut Hopeless,
        acceptable: impl Fn(&NodeInfo) -> bool,
    ) -> bool {
        if hopeless.knows(pod) {
            return false;
        }
        match snapshot.schedule_anywhere(pod, acceptable) {
            Some(node) => {
                self.hints.set(identity(pod), node);
                true
            }
            None => {
                hopeless.note(pod);
                false
            }
        }
    }

    /// Forgets the places that were not found again since the last call.
    pub(crate) fn drop_old_hints(&mut self) {
        self.hints.old = std::mem::take(&mut self.hints.current);
    }
}

/// The indexes of the pods of each priority, highest first, in the order of the pods.
fn by_priority(pods: &[PodRef]) -> Vec<Vec<usize>> {
    let mut groups: std::collections::BTreeMap<std::cmp::Reverse<i64>, Vec<usize>> = Default::default();
    for (at, pod) in pods.iter().enumerate() {
        groups.entry(std::cmp::Reverse(priority(pod))).or_default().push(at);
    }
    groups.into_values().collect()
}
