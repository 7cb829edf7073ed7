//! Kinds of pods: what other pods see of a pod, which is its namespace, its labels and its terms about pods. Classes that differ
//! only in what concerns themselves, such as requests or the name of a node, are of one kind.

use crate::class::AffinityTerm;
use karpsim::model::meta::{Labels, Str};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

/// The number of a kind; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KindId(pub(crate) u64);

/// A kind of pods.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) id: KindId,
    pub(crate) namespace: Str,
    pub(crate) labels: Labels,
    pub(crate) required_affinity: Vec<AffinityTerm>,
    pub(crate) required_anti_affinity: Vec<AffinityTerm>,
    /// With weights, which are below 0 for anti-affinity.
    pub(crate) preferred_affinity: Vec<(AffinityTerm, i64)>,
    /// It has pod affinity or anti-affinity, be it empty.
    pub(crate) has_pod_affinity: bool,
}

impl Kind {
    fn is_same(&self, other: &Kind) -> bool {
        self.namespace == other.namespace
            && self.labels == other.labels
            && self.has_pod_affinity == other.has_pod_affinity
            && self.required_affinity == other.required_affinity
            && self.required_anti_affinity == other.required_anti_affinity
            && self.preferred_affinity == other.preferred_affinity
    }

    fn hash(&self) -> u64 {
        let mut state = FxHasher::default();
        self.namespace.hash(&mut state);
        self.labels.hash(&mut state);
        self.required_affinity.hash(&mut state);
        self.required_anti_affinity.hash(&mut state);
        self.preferred_affinity.hash(&mut state);
        state.finish()
    }
}

/// All kinds that a class has. One that none has any more is forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kinds {
    by_hash: FxHashMap<u64, SmallVec<[Weak<Kind>; 1]>>,
    next: u64,
    /// At so many the forgotten ones are swept out.
    sweep_at: usize,
}

impl Kinds {
    /// The known kind that is the same; `kind` itself becomes known if there is none.
    pub(crate) fn intern(&mut self, kind: Arc<Kind>) -> Arc<Kind> {
        if self.by_hash.len() >= self.sweep_at {
            self.by_hash.retain(|_, alike| {
                alike.retain(|kind| kind.strong_count() > 0);
                !alike.is_empty()
            });
            self.sweep_at = 64 + 2 * self.by_hash.len();
        }
        let alike = self.by_hash.entry(kind.hash()).or_default();
        if let Some(known) = alike.iter().filter_map(Weak::upgrade).find(|known| known.is_same(&kind)) {
            return known;
        }
        self.next += 1;
        let id = KindId(self.next);
        let kind = match Arc::try_unwrap(kind) {
            Ok(kind) => Arc::new(Kind { id, ..kind }),
            // Somebody else has it: it is known elsewhere by its own number.
            Err(shared) => shared,
        };
        alike.push(Arc::downgrade(&kind));
        kind
    }
}
