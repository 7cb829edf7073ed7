//! What nodes' labels, taints and domains are held against, and what came of it.
//!
//! A [`Stance`] is all of a pod but its size, ports and volumes: what it asks of labels, what it tolerates, the topology
//! groups that have a say in where it goes. Few stances stand behind many classes of pods, as few sets of labels stand
//! behind many nodes; so an answer found for one pair serves thousands, as long as no count that it rests on changes.

use crate::compile::asked::Asked;
use crate::compile::taints::{TaintsId, TolerationsId};
use crate::requirements::{ConstraintId, Undefined};
use crate::topology::GroupId;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A stance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StanceId(u32);

/// A group that has a say, and whether it counts the pod itself.
pub(super) type Say = (GroupId, bool);

/// See the module's head.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stance {
    /// What is asked of a node, the heaviest preference included.
    pub asked: Asked,
    /// What a node must have.
    pub strict: Asked,
    /// Taints that do not matter.
    pub tolerations: TolerationsId,
    /// Groups over domains that nodes share: zones and the like.
    pub shared: SmallVec<[Say; 4]>,
    /// Groups over hostnames.
    pub by_host: SmallVec<[Say; 4]>,
}

/// A ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct GroundId(u32);

/// What nodes that are alike have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ground {
    /// Its taints.
    pub taints: TaintsId,
    /// Its labels, or what a node to be launched requires of them; the hostname aside.
    pub constraint: ConstraintId,
    /// Which labels it may leave undefined.
    pub undefined: Undefined,
}

/// What a node would be with a pod of a stance, as far as all nodes on that ground are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Labels or taints stand against it.
    Never,
    /// Topology does, as it counts now.
    NotNow,
    /// This, by labels alone and with what topology adds.
    Yes {
        /// Without topology.
        base: ConstraintId,
        /// With it.
        narrowed: ConstraintId,
    },
}

/// All stances, and all answers.
#[derive(Debug, Default)]
pub(super) struct Stances {
    stances: Vec<Stance>,
    index: FxHashMap<Stance, StanceId>,
    grounds: Vec<Ground>,
    ground_index: FxHashMap<Ground, GroundId>,
    /// With the counts that they rest on.
    answers: FxHashMap<(StanceId, GroundId), (u64, Answer)>,
}

impl Stances {
    /// The id of a stance.
    pub(super) fn intern(&mut self, stance: Stance) -> StanceId {
        let next = StanceId(self.stances.len() as u32);
        *self.index.entry(stance).or_insert_with_key(|stance| {
            self.stances.push(stance.clone());
            next
        })
    }

    /// How many stances, grounds and answers there are.
    pub(super) fn len(&self) -> usize {
        self.stances.len() + self.grounds.len() + self.answers.len()
    }

    /// The stance behind an id.
    pub(super) fn get(&self, id: StanceId) -> &Stance {
        &self.stances[id.0 as usize]
    }

    /// The id of a ground.
    pub(super) fn ground(&mut self, ground: Ground) -> GroundId {
        let next = GroundId(self.grounds.len() as u32);
        *self.ground_index.entry(ground).or_insert_with(|| {
            self.grounds.push(ground);
            next
        })
    }

    /// The ground behind an id.
    pub(super) fn get_ground(&self, id: GroundId) -> Ground {
        self.grounds[id.0 as usize]
    }

    /// The answer, if it was found while the counts were what they are. `counts` never takes one value for two states of
    /// the groups over shared domains.
    pub(super) fn known(&self, stance: StanceId, ground: GroundId, counts: u64) -> Option<Answer> {
        self.answers.get(&(stance, ground)).filter(|(at, _)| *at == counts).map(|(_, answer)| *answer)
    }

    /// Notes an answer.
    pub(super) fn note(&mut self, stance: StanceId, ground: GroundId, counts: u64, answer: Answer) {
        self.answers.insert((stance, ground), (counts, answer));
    }
}

/// Grounds that have turned a pod down while it is tried on one node after another.
#[derive(Debug, Default)]
pub(super) struct Barred {
    /// By ground: the trial in which it last did.
    last: Vec<u32>,
    trial: u32,
}

impl Barred {
    /// Begins a trial in which no ground has turned the pod down yet.
    pub(super) fn begin(&mut self) {
        self.trial = self.trial.checked_add(1).unwrap_or_else(|| {
            self.last.clear();
            1
        });
    }

    /// Whether all nodes on `ground` are known to turn the pod down.
    pub(super) fn has(&self, ground: GroundId) -> bool {
        self.last.get(ground.0 as usize) == Some(&self.trial)
    }

    /// Notes that they do.
    pub(super) fn note(&mut self, ground: GroundId) {
        let at = ground.0 as usize;
        if self.last.len() <= at {
            self.last.resize(at + 1, 0);
        }
        self.last[at] = self.trial;
    }
}
