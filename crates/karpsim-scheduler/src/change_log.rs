//! Which nodes changed, in turn: whoever keeps something by node looks up where it left off.

use crate::cluster::NodeIndex;
use std::collections::VecDeque;

/// Nodes that changed. The oldest entries are forgotten.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeLog {
    /// The number of the first entry that is kept.
    first: u64,
    nodes: VecDeque<NodeIndex>,
}

/// More entries than this many times the number of nodes are not kept: who is further behind had better begin anew.
const FACTOR: usize = 4;
const MIN: usize = 1024;

impl ChangeLog {
    pub(crate) fn push(&mut self, node: NodeIndex, node_bound: usize) {
        self.nodes.push_back(node);
        while self.nodes.len() > (node_bound * FACTOR).max(MIN) {
            self.nodes.pop_front();
            self.first += 1;
        }
    }

    /// The position after the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.nodes.len() as u64
    }

    /// The nodes that changed since a position, those that changed often perhaps often. `None`: some are forgotten.
    pub(crate) fn since(&self, position: u64) -> Option<impl Iterator<Item = NodeIndex>> {
        let skip = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let mut last = None;
        Some(
            self.nodes
                .range(skip.min(self.nodes.len())..)
                .copied()
                .filter(move |node| last.replace(*node) != Some(*node)),
        )
    }
}
