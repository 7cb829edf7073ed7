//! Pods on the nodes of the cluster.
//!
//! Rounds begin with the same nodes in the same states, so a node that turns a pod down for good in one round does so in
//! all, until something is placed on it. Each variant of a class therefore keeps the list of nodes that have not; in a
//! cluster of full nodes it is nearly empty.

use super::fits::both_attached;
use super::{Applicant, Open, Refusal, Solver};
use crate::compile::pods::PortsId;
use crate::provisioning::verdicts::{Refusals, Willing};
use crate::requirements::ConstraintId;

/// What a node that does not take a pod says of other rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Nothing; perhaps it was not even asked.
    Now,
    /// It refuses as it was before the round, and so in all.
    ForGood,
}

impl Solver<'_> {
    pub(super) fn place_on_existing(&mut self, applicant: &Applicant<'_>) -> bool {
        let problem = self.problem;
        let &Applicant { pod, class, variant, .. } = applicant;
        let mut willing = std::mem::take(self.known.verdicts.willing(variant));
        let mut refusals = std::mem::take(self.known.verdicts.nodes(variant));
        let found = self.first_that_fits(applicant, &mut willing, &mut refusals);
        *self.known.verdicts.willing(variant) = willing;
        *self.known.verdicts.nodes(variant) = refusals;
        let Some((index, constraint)) = found else { return false };

        let node = &problem.nodes[index];
        if self.existing.opens[index].pods.is_empty() {
            self.round.touched.push((index, self.existing.opens[index].clone()));
        }
        if self.existing.opens[index].constraint != constraint
            && let Err(at) = self
                .round
                .relabelled
                .binary_search_by_key(&self.existing.places[index], |&node| self.existing.places[node])
        {
            self.round.relabelled.insert(at, index);
        }
        let open = &mut self.existing.opens[index];
        open.constraint = constraint;
        open.version = self.existing.next_version;
        self.existing.next_version = self.existing.next_version.wrapping_add(1);
        open.pods.push(pod);
        for (left, request) in open.remaining.iter_mut().zip(&class.requests) {
            *left -= request;
        }
        if class.ports != PortsId::NONE {
            open.ports.push(class.ports);
        }
        if !class.volumes.attached.is_empty() {
            open.attached = both_attached(&open.attached, class);
        }
        self.record(applicant, node.taints, constraint, (node.host.0, node.host_label));
        true
    }

    /// The first node that takes the pod, and what it is then. Looked at are the nodes that have not turned the like of it
    /// down for good as they were before the round, and those of which the round has made something else: a node whose
    /// room only shrinks does not change its mind.
    fn first_that_fits(
        &mut self,
        applicant: &Applicant<'_>,
        willing: &mut Willing,
        refusals: &mut Refusals,
    ) -> Option<(usize, ConstraintId)> {
        let (mut at, mut others) = (0, 0);
        loop {
            let other = self.round.relabelled.get(others).copied();
            let other_place = other.map_or(u32::MAX, |node| self.existing.places[node]);
            // Most of them the round is without, or they are known to refuse.
            while let Some(&node) = willing.nodes.get(at)
                && self.existing.places[node as usize] < other_place
                && self.is_passed_over(node as usize, applicant, refusals)
            {
                at += 1;
            }
            let known = willing.nodes.get(at).map(|&node| node as usize);
            let next_place = known.map_or(willing.examined as u32, |node| self.existing.places[node]);
            if let Some(other) = other.filter(|_| other_place < next_place) {
                others += 1;
                if let Ok(constraint) = self.try_node(other, applicant, refusals) {
                    return Some((other, constraint));
                }
                continue;
            }
            let &next = self.problem.node_order.get(next_place as usize)?;
            others += usize::from(other_place == next_place);
            let tried = self.try_node(next, applicant, refusals);
            let stays = tried != Err(Refused::ForGood);
            match known {
                None => {
                    willing.examined += 1;
                    willing.nodes.extend(stays.then_some(next as u32));
                }
                Some(_) if !stays => {
                    willing.nodes.remove(at);
                }
                Some(_) => {}
            }
            at += usize::from(stays);
            if let Ok(constraint) = tried {
                return Some((next, constraint));
            }
        }
    }

    /// Whether the node is none of the round, not for this pod, or known to refuse it.
    #[inline]
    fn is_passed_over(&self, node: usize, applicant: &Applicant<'_>, refusals: &Refusals) -> bool {
        self.round.removed[node]
            || refusals.fails(node, self.existing.opens[node].version, applicant.stamp)
            || (self.round.rules.spares_young_nodes
                && self.problem.is_young(node)
                && !self.problem.records[applicant.pod].exempt)
    }

    /// What the node would be with the pod.
    fn try_node(
        &mut self,
        node: usize,
        applicant: &Applicant<'_>,
        refusals: &mut Refusals,
    ) -> Result<ConstraintId, Refused> {
        if self.is_passed_over(node, applicant, refusals) {
            return Err(Refused::Now);
        }
        let Open { version, ref pods, .. } = self.existing.opens[node];
        let untouched = pods.is_empty();
        self.fits_existing(node, applicant).map_err(|refusal| {
            if untouched && refusal == Refusal::Lasting {
                return Refused::ForGood;
            }
            refusals.note(node, version, applicant.stamp, refusal == Refusal::Lasting);
            Refused::Now
        })
    }

    /// The nodes on which the round may place pods, in the order of trial.
    pub(super) fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.problem.node_order.iter().copied().filter(|&node| !self.round.removed[node])
    }

    /// The nodes on which it did, in the order of trial.
    pub(super) fn filled(&self) -> Vec<(usize, Vec<usize>)> {
        let mut nodes: Vec<usize> = self.round.touched.iter().map(|(node, _)| *node).collect();
        nodes.sort_unstable_by_key(|&node| self.existing.places[node]);
        nodes.into_iter().map(|node| (node, self.existing.opens[node].pods.clone())).collect()
    }
}
