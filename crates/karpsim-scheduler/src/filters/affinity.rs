//! InterPodAffinity: required affinity and anti-affinity, of the pod itself and of those that are present.

use super::DomainCounts;
use crate::class::AffinityTerm;
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::kind::Kind;
use crate::reason::{Plugin, Reason, Refusal};
use crate::topology::NONE;
use karpsim::model::meta::Labels;

/// Pods that the terms mean, by domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AffinityState {
    /// Pods whose anti-affinity means this pod.
    pub(crate) existing: DomainCounts,
    /// Pods that all affinity terms of this pod mean.
    pub(crate) affinity: DomainCounts,
    /// Pods that an anti-affinity term of this pod means.
    pub(crate) anti_affinity: DomainCounts,
}

impl AffinityState {
    /// Counts all pods. `None`: there is nothing to check.
    pub(crate) fn count(cluster: &Cluster, info: &PodInfo) -> Option<Self> {
        let kind = &*info.class.kind;
        if !kind.has_pod_affinity && !cluster.has_anti_affinity_pods() {
            return None;
        }
        let mut state = AffinityState::default();
        for (node, node_info, _) in cluster.present() {
            for count in &node_info.kinds {
                state.update(cluster, kind, node, &count.kind, count.pods as i32);
            }
        }
        (!state.is_idle(kind)).then_some(state)
    }

    /// Whether there is nothing to check.
    pub(crate) fn is_idle(&self, kind: &Kind) -> bool {
        self.existing.is_zero() && kind.required_affinity.is_empty() && kind.required_anti_affinity.is_empty()
    }

    /// So many pods of a kind come to a node, or leave it.
    pub(crate) fn update(
        &mut self,
        cluster: &Cluster,
        kind: &Kind,
        node: NodeIndex,
        other: &Kind,
        pods: i32,
    ) {
        let domain = |term: &AffinityTerm| cluster.topologies[term.topology].domain(node);
        let home = cluster.namespace_labels(&kind.namespace);
        for term in &other.required_anti_affinity {
            if term.meets(&kind.namespace, home, &kind.labels) {
                self.existing.add(term.topology, domain(term), pods);
            }
        }
        if kind.required_affinity.is_empty() && kind.required_anti_affinity.is_empty() {
            return;
        }
        let theirs = cluster.namespace_labels(&other.namespace);
        if seek_all(&kind.required_affinity, other, theirs) {
            for term in &kind.required_affinity {
                self.affinity.add(term.topology, domain(term), pods);
            }
        }
        for term in &kind.required_anti_affinity {
            if term.seeks(&other.namespace, theirs, &other.labels) {
                self.anti_affinity.add(term.topology, domain(term), pods);
            }
        }
    }

    pub(crate) fn check(&self, cluster: &Cluster, kind: &Kind, node: NodeIndex) -> Result<(), Refusal> {
        let plugin = Plugin::InterPodAffinity;
        let domain = |term: &AffinityTerm| cluster.topologies[term.topology].domain(node);
        let mut all_near = true;
        for term in &kind.required_affinity {
            match domain(term) {
                NONE => return Err(Refusal::unresolvable(plugin, Reason::PodAffinity)),
                domain => all_near &= self.affinity.get(term.topology, domain) > 0,
            }
        }
        // The first of its kind may go anywhere.
        let is_first = || {
            self.affinity.is_zero()
                && seek_all(&kind.required_affinity, kind, cluster.namespace_labels(&kind.namespace))
        };
        if !all_near && !is_first() {
            return Err(Refusal::unresolvable(plugin, Reason::PodAffinity));
        }
        let avoided = |term: &AffinityTerm| {
            let domain = domain(term);
            domain != NONE && self.anti_affinity.get(term.topology, domain) > 0
        };
        if kind.required_anti_affinity.iter().any(avoided) {
            return Err(Refusal::resolvable(plugin, Reason::PodAntiAffinity));
        }
        let unwelcome = self.existing.topologies().any(|(topology, counts)| {
            let domain = cluster.topologies[topology].domain(node);
            counts.get(domain as usize).is_some_and(|count| *count > 0)
        });
        if unwelcome {
            return Err(Refusal::resolvable(plugin, Reason::ExistingPodAntiAffinity));
        }
        Ok(())
    }
}

/// Whether all terms mean pods of the kind. No terms mean nobody.
pub(crate) fn seek_all(terms: &[AffinityTerm], other: &Kind, namespace_labels: Option<&Labels>) -> bool {
    !terms.is_empty()
        && terms.iter().all(|term| term.seeks(&other.namespace, namespace_labels, &other.labels))
}
