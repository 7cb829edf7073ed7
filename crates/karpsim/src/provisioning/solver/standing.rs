//! Pods on the nodes of the cluster.
//!
//! Rounds begin with the same nodes in the same states, so a node that turns a pod down for good in one round does so in
//! all, until something is placed on it. Each variant of a class therefore keeps the list of nodes that have not; in a
//! cluster of full nodes it is nearly empty.

use super::{Applicant, Refusal, Solver};
use crate::compile::pods::PortsId;
use crate::provisioning::verdicts::{Refusals, Willing};
use crate::requirements::ConstraintId;

/// The version of a node on which the round has placed nothing.
const UNTOUCHED: u32 = 0;

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
        let mut willing = std::mem::take(self.verdicts.willing(variant));
        let mut refusals = std::mem::take(self.verdicts.nodes(variant));
        let found = self.first_that_fits(applicant, &mut willing, &mut refusals);
        *self.verdicts.willing(variant) = willing;
        *self.verdicts.nodes(variant) = refusals;
        let Some((place, constraint)) = found else { return false };

        let index = problem.node_order[place];
        let node = &problem.nodes[index];
        if self.opens[index].pods.is_empty() {
            self.touched.push((place, self.opens[index].clone()));
        }
        if self.opens[index].constraint != constraint
            && let Err(at) = self.relabelled.binary_search(&place)
        {
            self.relabelled.insert(at, place);
        }
        let open = &mut self.opens[index];
        open.constraint = constraint;
        open.version = self.next_version;
        self.next_version += 1;
        open.pods.push(pod);
        for (left, request) in open.remaining.iter_mut().zip(&class.requests) {
            *left -= request;
        }
        if class.ports != PortsId::NONE {
            open.ports.push(class.ports);
        }
        if !class.volumes.attached.is_empty() {
            open.attached.extend(class.volumes.attached.iter().cloned());
            open.attached.sort();
            open.attached.dedup();
        }
        self.record(applicant, node.taints, constraint, (node.host.0, node.host_label));
        true
    }

    /// The place of the first node that takes the pod, and what it is then. Looked at are the nodes that have not turned
    /// the like of it down for good as they were before the round, and those of which the round has made something else:
    /// a node whose room only shrinks does not change its mind.
    fn first_that_fits(
        &mut self,
        applicant: &Applicant<'_>,
        willing: &mut Willing,
        refusals: &mut Refusals,
    ) -> Option<(usize, ConstraintId)> {
        let (mut at, mut others) = (0, 0);
        loop {
            let other = self.relabelled.get(others).copied().unwrap_or(usize::MAX);
            // Most of them the round is without, or they are known to refuse.
            while let Some(&place) = willing.places.get(at)
                && (place as usize) < other
                && self.is_passed_over(place as usize, applicant, refusals)
            {
                at += 1;
            }
            let known = willing.places.get(at).map(|&place| place as usize);
            let next = known.unwrap_or(willing.examined);
            if other < next {
                others += 1;
                if let Ok(constraint) = self.try_place(other, applicant, refusals) {
                    return Some((other, constraint));
                }
                continue;
            }
            if next == self.problem.node_order.len() {
                return None;
            }
            others += usize::from(other == next);
            let tried = self.try_place(next, applicant, refusals);
            let stays = tried != Err(Refused::ForGood);
            match known {
                None => {
                    willing.examined += 1;
                    willing.places.extend(stays.then_some(next as u32));
                }
                Some(_) if !stays => {
                    willing.places.remove(at);
                }
                Some(_) => {}
            }
            at += usize::from(stays);
            if let Ok(constraint) = tried {
                return Some((next, constraint));
            }
        }
    }

    /// Whether the node at `place` is none of the round, not for this pod, or known to refuse it.
    #[inline]
    fn is_passed_over(&self, place: usize, applicant: &Applicant<'_>, refusals: &Refusals) -> bool {
        let index = self.problem.node_order[place];
        self.removed[index]
            || refusals.fails(index, self.opens[index].version, applicant.stamp)
            || (self.rules.spares_young_nodes
                && self.problem.nodes[index].young
                && !self.problem.records[applicant.pod].exempt)
    }

    /// What the node at `place` would be with the pod.
    fn try_place(
        &mut self,
        place: usize,
        applicant: &Applicant<'_>,
        refusals: &mut Refusals,
    ) -> Result<ConstraintId, Refused> {
        if self.is_passed_over(place, applicant, refusals) {
            return Err(Refused::Now);
        }
        let index = self.problem.node_order[place];
        let version = self.opens[index].version;
        self.fits_existing(index, applicant).map_err(|refusal| {
            if version == UNTOUCHED && refusal == Refusal::Lasting {
                return Refused::ForGood;
            }
            refusals.note(index, version, applicant.stamp, refusal == Refusal::Lasting);
            Refused::Now
        })
    }

    /// The nodes on which the round may place pods, in the order of trial.
    pub(super) fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.problem.node_order.iter().copied().filter(|&node| !self.removed[node])
    }

    /// The nodes on which it did, in the order of trial.
    pub(super) fn filled(&self) -> Vec<(usize, Vec<usize>)> {
        let mut places: Vec<usize> = self.touched.iter().map(|(place, _)| *place).collect();
        places.sort_unstable();
        let filled = places.into_iter().map(|place| self.problem.node_order[place]);
        filled.map(|node| (node, self.opens[node].pods.clone())).collect()
    }
}
