//! InterPodAffinity: required affinity and anti-affinity, of the pod itself and of those that are present.

use super::DomainCounts;
use crate::class::{AffinityTerm, Class};
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::reason::{Plugin, Reason, Refusal};
use crate::topology::NONE;
use karpsim::model::meta::Labels;

/// Pods that the terms mean, by domain.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let class = &*info.class;
        let mut state = AffinityState {
            existing: DomainCounts::default(),
            affinity: DomainCounts::default(),
            anti_affinity: DomainCounts::default(),
        };
        for (node, node_info, _) in cluster.present() {
            for pod in cluster.pods_of(node_info) {
                state.update(cluster, class, node, &pod.class, 1);
            }
        }
        state.unless_idle(class)
    }

    /// `None` if there is nothing to check.
    pub(crate) fn unless_idle(self, class: &Class) -> Option<Self> {
        let idle = self.existing.is_zero()
            && class.required_affinity.is_empty()
            && class.required_anti_affinity.is_empty();
        (!idle).then_some(self)
    }

    pub(crate) fn update(
        &mut self,
        cluster: &Cluster,
        class: &Class,
        node: NodeIndex,
        other: &Class,
        sign: i32,
    ) {
        let domain = |term: &AffinityTerm| cluster.topologies[term.topology].domain(node);
        let home = cluster.namespace_labels(class.namespace());
        for term in &other.required_anti_affinity {
            if term.meets(class.namespace(), home, class.labels()) {
                self.existing.add(term.topology, domain(term), sign);
            }
        }
        if class.required_affinity.is_empty() && class.required_anti_affinity.is_empty() {
            return;
        }
        let theirs = cluster.namespace_labels(other.namespace());
        if seek_all(&class.required_affinity, other, theirs) {
            for term in &class.required_affinity {
                self.affinity.add(term.topology, domain(term), sign);
            }
        }
        for term in &class.required_anti_affinity {
            if term.seeks(other.namespace(), theirs, other.labels()) {
                self.anti_affinity.add(term.topology, domain(term), sign);
            }
        }
    }

    pub(crate) fn check(&self, cluster: &Cluster, class: &Class, node: NodeIndex) -> Result<(), Refusal> {
        let plugin = Plugin::InterPodAffinity;
        let domain = |term: &AffinityTerm| cluster.topologies[term.topology].domain(node);
        let mut all_near = true;
        for term in &class.required_affinity {
            match domain(term) {
                NONE => return Err(Refusal::unresolvable(plugin, Reason::PodAffinity)),
                domain => all_near &= self.affinity.get(term.topology, domain) > 0,
            }
        }
        // The first of its kind may go anywhere.
        let is_first = || {
            self.affinity.is_zero()
                && seek_all(&class.required_affinity, class, cluster.namespace_labels(class.namespace()))
        };
        if !all_near && !is_first() {
            return Err(Refusal::unresolvable(plugin, Reason::PodAffinity));
        }
        let avoided = |term: &AffinityTerm| {
            let domain = domain(term);
            domain != NONE && self.anti_affinity.get(term.topology, domain) > 0
        };
        if class.required_anti_affinity.iter().any(avoided) {
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

/// Whether all terms mean pods of the class. No terms mean nobody.
pub(crate) fn seek_all(terms: &[AffinityTerm], other: &Class, namespace_labels: Option<&Labels>) -> bool {
    !terms.is_empty()
        && terms.iter().all(|term| term.seeks(other.namespace(), namespace_labels, other.labels()))
}
