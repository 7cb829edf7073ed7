//! What pod affinity and anti-affinity count.

use super::catch_up;
use crate::class::AffinityTerm;
use crate::cluster::{Cluster, NodeIndex};
use crate::filters::{AffinityState, seek_all};
use crate::kind::{Kind, KindId};
use crate::scores::{AffinityScores, weights_between};
use crate::topology::{Domain, NONE, TopologyId};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;

/// Numbers and weights by domain, for pods of a kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct AffinityTable {
    position: u64,
    is_made: bool,
    namespaces_epoch: u64,
    state: Arc<AffinityState>,
    scores: AffinityScores,
    /// How many contributions the scores have.
    scored: usize,
    relations: FxHashMap<KindId, Arc<[Relation]>>,
    contributions: FxHashMap<NodeIndex, SmallVec<[Contribution; 2]>>,
}

/// More kinds than this are not remembered.
const KINDS_MAX: usize = 8192;

/// What a pod of another kind counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// Its required anti-affinity means this kind.
    Existing,
    /// All required affinity of this kind means it.
    Affinity,
    /// Required anti-affinity of this kind means it.
    AntiAffinity,
    /// Somebody prefers that they are near to, or away from, each other.
    Score,
}

/// What one pod of another kind counts for in its domain of a label.
#[derive(Debug, Clone, Copy)]
struct Relation {
    count: Count,
    topology: TopologyId,
    weight: i64,
}

/// What a node adds to a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contribution {
    count: Count,
    topology: TopologyId,
    domain: Domain,
    weight: i64,
}

impl AffinityTable {
    /// What the filter counts. `None`: there is nothing to check.
    pub(crate) fn state(&self, kind: &Kind) -> Option<&Arc<AffinityState>> {
        (!self.state.is_idle(kind)).then_some(&self.state)
    }

    /// What the scores count. `None`: no term means anybody.
    pub(crate) fn scores(&self) -> Option<&AffinityScores> {
        (self.scored > 0).then_some(&self.scores)
    }

    pub(super) fn catch_up(&mut self, cluster: &Cluster, kind: &Kind) {
        let mut position = self.position;
        let is_near = self.is_made
            && self.namespaces_epoch == cluster.namespaces_epoch
            && catch_up(cluster, &mut position, |node| self.renew(cluster, kind, node));
        if is_near {
            self.position = position;
            return;
        }
        *self = AffinityTable {
            position: cluster.log.end(),
            is_made: true,
            namespaces_epoch: cluster.namespaces_epoch,
            ..AffinityTable::default()
        };
        for (node, ..) in cluster.present() {
            self.renew(cluster, kind, node);
        }
    }

    fn renew(&mut self, cluster: &Cluster, kind: &Kind, index: NodeIndex) {
        let info = cluster.info(index);
        let mut after: SmallVec<[Contribution; 2]> = SmallVec::new();
        if info.node.is_some() {
            for count in &info.kinds {
                let relations = self.relation(cluster, kind, &count.kind);
                for relation in relations.iter() {
                    let domain = cluster.topologies[relation.topology].domain(index);
                    if domain != NONE {
                        after.push(Contribution {
                            count: relation.count,
                            topology: relation.topology,
                            domain,
                            weight: relation.weight * i64::from(count.pods),
                        });
                    }
                }
            }
        }
        let before = if after.is_empty() {
            self.contributions.remove(&index).unwrap_or_default()
        } else if self.contributions.get(&index) == Some(&after) {
            return;
        } else {
            self.contributions.insert(index, after.clone()).unwrap_or_default()
        };
        for contribution in after {
            self.add(contribution, 1);
        }
        for contribution in before {
            self.add(contribution, -1);
        }
    }

    fn add(&mut self, contribution: Contribution, sign: i64) {
        let Contribution { count, topology, domain, weight } = contribution;
        let weight = weight * sign;
        if count == Count::Score {
            self.scores.add(topology, domain, weight);
            self.scored = self.scored.saturating_add_signed(sign as isize);
            return;
        }
        let state = Arc::make_mut(&mut self.state);
        let counts = match count {
            Count::Existing => &mut state.existing,
            Count::Affinity => &mut state.affinity,
            _ => &mut state.anti_affinity,
        };
        counts.add(topology, domain, weight as i32);
    }

    fn relation(&mut self, cluster: &Cluster, kind: &Kind, other: &Kind) -> Arc<[Relation]> {
        if let Some(known) = self.relations.get(&other.id) {
            return Arc::clone(known);
        }
        if self.relations.len() > KINDS_MAX {
            self.relations.clear();
        }
        let home = cluster.namespace_labels(&kind.namespace);
        let theirs = cluster.namespace_labels(&other.namespace);
        let one = |count: Count, term: &AffinityTerm| Relation { count, topology: term.topology, weight: 1 };
        let mut relations: Vec<Relation> = Vec::new();
        for term in &other.required_anti_affinity {
            if term.meets(&kind.namespace, home, &kind.labels) {
                relations.push(one(Count::Existing, term));
            }
        }
        if seek_all(&kind.required_affinity, other, theirs) {
            relations.extend(kind.required_affinity.iter().map(|term| one(Count::Affinity, term)));
        }
        for term in &kind.required_anti_affinity {
            if term.seeks(&other.namespace, theirs, &other.labels) {
                relations.push(one(Count::AntiAffinity, term));
            }
        }
        for (topology, weight) in weights_between(cluster, kind, other) {
            relations.push(Relation { count: Count::Score, topology, weight });
        }
        let relations: Arc<[Relation]> = relations.into();
        self.relations.insert(other.id, Arc::clone(&relations));
        relations
    }
}
