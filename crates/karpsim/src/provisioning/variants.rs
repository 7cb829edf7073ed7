//! Relaxation: what is left of a pod's wishes.
//!
//! Preferences count as required until the pod finds no place; then one is dropped at a time, in a fixed order. A
//! [`Variant`] is a class of pods with what it has left; all pods of a class share their variants.

use crate::compile::ClusterState;
use crate::compile::asked::Asked;
use crate::compile::pods::{Class, ClassId, Spread};
use crate::compile::taints::TolerationsId;
use crate::requirements::Algebra;
use crate::topology::{Kind, Topology, Wanted};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A variant of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariantId(pub u32);

/// What a variant has left, as indexes into the lists of its class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Left {
    class: ClassId,
    required_from: usize,
    preferred_from: usize,
    affinity_from: usize,
    anti_affinity_from: usize,
    spread: SmallVec<[u8; 4]>,
    tolerations: TolerationsId,
}

/// A class of pods with what is left of its wishes.
#[derive(Debug, Clone)]
pub struct Variant {
    left: Left,
    /// Class.
    pub class: ClassId,
    /// What it asks of a node, its heaviest preference included.
    pub asked: Asked,
    /// What it must have of a node.
    pub strict: Asked,
    /// Tolerations.
    pub tolerations: TolerationsId,
    /// Groups that it belongs to.
    pub wanted: Vec<Wanted>,
    /// Groups by which it keeps others away.
    pub shuns: Vec<Wanted>,
    next: Next,
}

/// The variant after one more relaxation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nobody has asked yet.
    Unknown,
    /// There is nothing more to drop.
    Nothing,
    /// This one.
    Variant(VariantId),
}

/// All variants seen so far.
#[derive(Default)]
pub struct Variants {
    variants: Vec<Variant>,
    index: FxHashMap<Left, VariantId>,
}

impl Variants {
    /// The variant behind an id.
    pub fn get(&self, id: VariantId) -> &Variant {
        &self.variants[id.0 as usize]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.variants.len()
    }

    /// A class with all its wishes.
    pub fn whole(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        topology: &mut Topology,
        id: ClassId,
    ) -> VariantId {
        let class = &problem.pods.classes[id.0 as usize];
        let left = Left {
            class: id,
            required_from: 0,
            preferred_from: 0,
            affinity_from: 0,
            anti_affinity_from: 0,
            spread: (0..class.spread.len() as u8).collect(),
            tolerations: class.tolerations,
        };
        self.intern(problem, algebra, topology, left)
    }

    /// The variant with one wish less. `None`: there is nothing more to drop.
    pub fn relaxed(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        topology: &mut Topology,
        id: VariantId,
    ) -> Option<VariantId> {
        match self.get(id).next {
            Next::Unknown => {}
            Next::Nothing => return None,
            Next::Variant(next) => return Some(next),
        }
        let left = self.get(id).left.clone();
        let class = &problem.pods.classes[left.class.0 as usize];
        let next = drop_one(problem, class, left).map(|left| self.intern(problem, algebra, topology, left));
        self.variants[id.0 as usize].next = next.map_or(Next::Nothing, Next::Variant);
        next
    }

    fn intern(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        topology: &mut Topology,
        left: Left,
    ) -> VariantId {
        if let Some(&id) = self.index.get(&left) {
            return id;
        }
        let id = VariantId(self.variants.len() as u32);
        let variant = build(problem, algebra, topology, left.clone());
        self.variants.push(variant);
        self.index.insert(left, id);
        id
    }
}

/// Drops the first thing that there is of: an OR-ed term (but not the last), the heaviest preferred affinity, then
/// anti-affinity, then node affinity, a soft spread constraint (the last one takes its place), the aversion to
/// `PreferNoSchedule` taints.
fn drop_one(problem: &ClusterState, class: &Class, mut left: Left) -> Option<Left> {
    let terms = class.required.as_ref().map_or(0, Vec::len);
    if terms - left.required_from.min(terms) > 1 {
        left.required_from += 1;
    } else if left.affinity_from < class.preferred_affinity.len() {
        left.affinity_from += 1;
    } else if left.anti_affinity_from < class.preferred_anti_affinity.len() {
        left.anti_affinity_from += 1;
    } else if left.preferred_from < class.preferred.len() {
        left.preferred_from += 1;
    } else if let Some(at) = left.spread.iter().position(|&index| class.spread[index as usize].soft) {
        left.spread.swap_remove(at);
    } else if let Some(relaxed) = problem.taints.relaxed(left.tolerations).filter(|_| problem.relaxes_taints)
    {
        left.tolerations = relaxed;
    } else {
        return None;
    }
    Some(left)
}

fn build(problem: &ClusterState, algebra: &mut Algebra, topology: &mut Topology, left: Left) -> Variant {
    let class = &problem.pods.classes[left.class.0 as usize];
    let respects = problem.scenario.options.respects_preferences();
    let required = class.required.as_deref().map(|terms| &terms[left.required_from.min(terms.len())..]);
    let strict = required
        .and_then(|terms| terms.first())
        .map_or(class.selector, |term| class.selector.and(*term, algebra));
    let preferred = class.preferred.get(left.preferred_from).filter(|_| respects);
    let asked = preferred.map_or(strict, |term| strict.and(*term, algebra));

    // A spread constraint counts the nodes that fit the selector with any of the terms that are left.
    let node_terms: Vec<Asked> = match required {
        None => vec![class.selector],
        Some(terms) => terms.iter().map(|term| class.selector.and(*term, algebra)).collect(),
    };
    let spread: Vec<Spread> = left.spread.iter().map(|&index| class.spread[index as usize].clone()).collect();
    let mut wanted: Vec<Wanted> = spread
        .iter()
        .filter(|spread| respects || !spread.soft)
        .map(|spread| {
            topology.want_spread(problem, algebra, left.class, spread, node_terms.clone(), left.tolerations)
        })
        .collect();
    let kept = |from: usize| if respects { from } else { usize::MAX };
    let near = class.affinity.iter().chain(class.preferred_affinity.iter().skip(kept(left.affinity_from)));
    for term in near {
        wanted.push(topology.want_term(problem, Kind::Affinity, term, left.tolerations, false));
    }
    let away = class
        .anti_affinity
        .iter()
        .chain(class.preferred_anti_affinity.iter().skip(kept(left.anti_affinity_from)));
    for term in away {
        wanted.push(topology.want_term(problem, Kind::AntiAffinity, term, left.tolerations, false));
    }
    let shuns = class
        .anti_affinity
        .iter()
        .map(|term| topology.want_term(problem, Kind::AntiAffinity, term, left.tolerations, true))
        .collect();
    Variant {
        class: left.class,
        asked,
        strict,
        tolerations: left.tolerations,
        wanted,
        shuns,
        next: Next::Unknown,
        left,
    }
}
