//! Numbers by domain.

use crate::topology::{Domain, NONE, TopologyId};
use smallvec::SmallVec;

/// Numbers of pods by the domains of several labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DomainCounts {
    by_topology: SmallVec<[(TopologyId, Vec<i32>); 2]>,
    /// Domains whose number is not 0.
    nonzero: usize,
}

impl DomainCounts {
    pub(crate) fn get(&self, topology: TopologyId, domain: Domain) -> i32 {
        self.by_topology
            .iter()
            .find(|(known, _)| *known == topology)
            .and_then(|(_, counts)| counts.get(domain as usize))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.nonzero == 0
    }

    /// Adds to the number of a domain; a node without the label has none.
    pub(crate) fn add(&mut self, topology: TopologyId, domain: Domain, more: i32) {
        if domain == NONE || more == 0 {
            return;
        }
        let at = match self.by_topology.iter().position(|(known, _)| *known == topology) {
            Some(at) => at,
            None => {
                self.by_topology.push((topology, Vec::new()));
                self.by_topology.len() - 1
            }
        };
        let counts = &mut self.by_topology[at].1;
        if counts.len() <= domain as usize {
            counts.resize(domain as usize + 1, 0);
        }
        let count = &mut counts[domain as usize];
        let before = *count;
        *count += more;
        match (before == 0, *count == 0) {
            (true, false) => self.nonzero += 1,
            (false, true) => self.nonzero -= 1,
            _ => {}
        }
    }

    /// The labels that something was counted for.
    pub(crate) fn topologies(&self) -> impl Iterator<Item = (TopologyId, &[i32])> {
        self.by_topology.iter().map(|(topology, counts)| (*topology, counts.as_slice()))
    }
}
