//! What is kept between cycles, so that a cycle looks only at nodes that changed since the last of its class.
//!
//! Three tables hold what the filters and scores find on each node: [`NodeTable`] for a class of pods what depends on the node
//! alone, [`SpreadTable`] for a class what its spread constraints count, [`AffinityTable`] for a kind of pods what pod affinity
//! counts. Each remembers how far it has read the [log of changes](crate::change_log); what a changed node contributed is taken
//! out of the sums and put in anew. A table that is too far behind is made anew.
//!
//! Tables take room by node. Those that were not used for the longest time are forgotten when all together have more than
//! [`ENTRIES_MAX`] entries.

mod affinity;
mod nodes;
mod spread;

pub(crate) use affinity::AffinityTable;
pub(crate) use nodes::NodeTable;
pub(crate) use spread::SpreadTable;

use crate::class::{Class, ClassId};
use crate::cluster::{Cluster, NodeIndex};
use crate::filters::constraints_of;
use crate::kind::{Kind, KindId};
use karpsim::model::core::WhenUnsatisfiable;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// At most so many nodes in all tables together, each as often as it is in one.
const ENTRIES_MAX: usize = 4_000_000;

/// Reads the log: gives each node that changed to `change`. `false`: the table is too far behind.
fn catch_up(cluster: &Cluster, position: &mut u64, mut change: impl FnMut(NodeIndex)) -> bool {
    let end = cluster.log.end();
    let Some(nodes) = cluster.log.since(*position) else { return false };
    nodes.for_each(&mut change);
    *position = end;
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum TableKey {
    Nodes(ClassId),
    Spread(ClassId, bool),
    Affinity(KindId),
}

/// All tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    nodes: FxHashMap<ClassId, NodeTable>,
    /// By class, and whether constraints are hard.
    spread: FxHashMap<(ClassId, bool), SpreadTable>,
    affinity: FxHashMap<KindId, AffinityTable>,
    /// When each was used last.
    used: FxHashMap<TableKey, u64>,
    by_use: BTreeMap<u64, TableKey>,
    clock: u64,
}

impl Tables {
    /// The table of what depends on nodes alone, up to date.
    pub(crate) fn nodes(&mut self, cluster: &Cluster, class: &Class) -> &NodeTable {
        self.touch(cluster, TableKey::Nodes(class.id));
        let table = self.nodes.entry(class.id).or_default();
        table.catch_up(cluster, class);
        table
    }

    /// The table of hard, or soft, spread constraints, up to date. `None`: there are none.
    pub(crate) fn spread(
        &mut self,
        cluster: &Cluster,
        class: &Class,
        action: WhenUnsatisfiable,
    ) -> Option<&SpreadTable> {
        let is_hard = action == WhenUnsatisfiable::DoNotSchedule;
        let key = (class.id, is_hard);
        let is_stale = self.spread.get(&key).is_none_or(|table| table.owners_epoch != cluster.owners_epoch);
        if is_stale {
            // Services and owners decide on the constraints of pods that have none of their own.
            let constraints = constraints_of(cluster, class, action);
            if constraints.is_empty() {
                self.spread.remove(&key);
                return None;
            }
            let table = self.spread.entry(key).or_default();
            table.set_constraints(&constraints);
            table.owners_epoch = cluster.owners_epoch;
        }
        self.touch(cluster, TableKey::Spread(class.id, is_hard));
        let table = self.spread.get_mut(&key)?;
        table.catch_up(cluster, class, is_hard);
        Some(table)
    }

    /// The table of pod affinity, up to date. `None`: neither the pod nor any that is present has affinity.
    pub(crate) fn affinity(&mut self, cluster: &Cluster, kind: &Kind) -> Option<&AffinityTable> {
        if !kind.has_pod_affinity && !cluster.has_affinity_pods() {
            return None;
        }
        self.touch(cluster, TableKey::Affinity(kind.id));
        let table = self.affinity.entry(kind.id).or_default();
        table.catch_up(cluster, kind);
        Some(table)
    }

    /// Notes that a table is used, and forgets those that were not used for the longest time if there are too many.
    fn touch(&mut self, cluster: &Cluster, key: TableKey) {
        self.clock += 1;
        if let Some(before) = self.used.insert(key, self.clock) {
            self.by_use.remove(&before);
        }
        self.by_use.insert(self.clock, key);
        let most = (ENTRIES_MAX / cluster.node_bound().max(1)).max(4);
        while self.by_use.len() > most {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.used.remove(&oldest);
            match oldest {
                TableKey::Nodes(class) => {
                    self.nodes.remove(&class);
                }
                TableKey::Spread(class, is_hard) => {
                    self.spread.remove(&(class, is_hard));
                }
                TableKey::Affinity(kind) => {
                    self.affinity.remove(&kind);
                }
            }
        }
    }
}
