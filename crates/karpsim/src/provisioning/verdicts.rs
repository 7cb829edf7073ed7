//! Which nodes have refused a pod, as long as nothing can have changed their mind.
//!
//! Every state of a node has a version of its own, in whatever round; a lasting refusal holds for that version. A passing
//! one holds as long as the stamp of what it depended on beside the node is the same, too.

use super::variants::VariantId;

/// Refusals of one variant by nodes of one sort.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusals {
    lasting: Vec<u32>,
    passing: Vec<(u32, u64)>,
    all: Option<(u64, usize)>,
}

/// All refusals that are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdicts {
    claims: Vec<Refusals>,
    nodes: Vec<Refusals>,
    willing: Vec<Willing>,
}

/// Nodes of the cluster that have not turned a variant down for good, as they are before a round.
#[derive(Debug, Clone, Default)]
pub(super) struct Willing {
    /// Their indexes, in the order of trial.
    pub nodes: Vec<u32>,
    /// How many places of the order were looked at so far.
    pub examined: usize,
}

impl Verdicts {
    /// Refusals by nodes of the round.
    pub(super) fn claims(&mut self, variant: VariantId) -> &mut Refusals {
        of(&mut self.claims, variant)
    }

    /// Refusals by nodes of the cluster.
    pub(super) fn nodes(&mut self, variant: VariantId) -> &mut Refusals {
        of(&mut self.nodes, variant)
    }

    /// A node is not what it was: whoever it has turned down may ask it again. `places`: the order of trial.
    pub(super) fn ask_again(&mut self, node: usize, places: &[u32]) {
        let Some(&place) = places.get(node) else { return };
        for willing in &mut self.willing {
            if (place as usize) < willing.examined
                && let Err(at) = willing.nodes.binary_search_by_key(&place, |&node| places[node as usize])
            {
                willing.nodes.insert(at, node as u32);
            }
        }
    }

    /// The order of trial is another one.
    pub(super) fn forget_order(&mut self) {
        self.willing.clear();
    }

    /// Forgets what rested on counts of topologies.
    pub(super) fn forget_passing(&mut self) {
        for refusals in self.claims.iter_mut().chain(&mut self.nodes) {
            refusals.passing.clear();
            refusals.all = None;
        }
    }

    /// Nodes of the cluster that are worth a trial.
    pub(super) fn willing(&mut self, variant: VariantId) -> &mut Willing {
        of(&mut self.willing, variant)
    }
}

fn of<T: Default>(all: &mut Vec<T>, variant: VariantId) -> &mut T {
    let at = variant.0 as usize;
    if all.len() <= at {
        all.resize_with(at + 1, T::default);
    }
    &mut all[at]
}

impl Refusals {
    /// Whether the node is known to refuse. Versions are shifted by one, so that 0 is no version.
    pub(super) fn fails(&self, node: usize, version: u32, stamp: u64) -> bool {
        self.lasting.get(node) == Some(&(version.wrapping_add(1)))
            || self.passing.get(node) == Some(&(version.wrapping_add(1), stamp))
    }

    /// Notes that all nodes have refused, after so many changes of nodes in the round.
    pub(super) fn all_refused(&mut self, stamp: u64, changes: usize) {
        self.all = Some((stamp, changes));
    }

    /// After how many changes all nodes last refused, if what passing refusals depend on is the same.
    pub(super) fn all_refused_at(&self, stamp: u64) -> Option<usize> {
        self.all.filter(|(at, _)| *at == stamp).map(|(_, changes)| changes)
    }

    /// Notes a refusal.
    pub(super) fn note(&mut self, node: usize, version: u32, stamp: u64, lasting: bool) {
        if lasting {
            if self.lasting.len() <= node {
                self.lasting.resize(node + 1, 0);
            }
            self.lasting[node] = version.wrapping_add(1);
        } else {
            if self.passing.len() <= node {
                self.passing.resize(node + 1, (0, 0));
            }
            self.passing[node] = (version.wrapping_add(1), stamp);
        }
    }
}
