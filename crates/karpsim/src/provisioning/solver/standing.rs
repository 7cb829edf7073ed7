//! Pods on the nodes of the cluster.
//!
//! Rounds begin with the same nodes in the same states, so a node that turns a pod down for good in one round does so in
//! all, until something is placed on it. Each variant of a class therefore keeps the list of nodes that have not; in a
//! cluster of full nodes it is nearly empty.

use super::{Applicant, Refusal, Solver};
use crate::compile::pods::PortsId;

/// The version of a node on which the round has placed nothing.
const UNTOUCHED: u32 = 0;

impl Solver<'_> {
    /// The places, in the order of trial, of the nodes that might take a pod: those that have not turned it down for good
    /// as they were before the round, and those that the round has changed. `at` is how far the trial is.
    fn next_place(&mut self, applicant: &Applicant<'_>, at: &mut Trial) -> Option<usize> {
        let total = self.problem.node_order.len();
        let willing = self.verdicts.willing(applicant.variant);
        let known = willing.places.get(at.willing).map(|&place| place as usize);
        let touched = self.touched_places.get(at.touched).map(|&place| place as usize);
        let frontier = (willing.examined < total).then_some(willing.examined);
        let next = [known.or(frontier), touched].into_iter().flatten().min()?;
        at.is_new = known.is_none() && Some(next) == frontier;
        if at.is_new {
            willing.examined += 1;
            willing.places.push(next as u32);
        }
        if at.is_new || known == Some(next) {
            at.willing += 1;
        }
        if touched == Some(next) {
            at.touched += 1;
        }
        Some(next)
    }

    pub(super) fn place_on_existing(&mut self, applicant: &Applicant<'_>) -> bool {
        let problem = self.problem;
        let &Applicant { pod, class, variant, stamp, .. } = applicant;
        let exempt = problem.records[pod].exempt;
        let mut trial = Trial::default();
        while let Some(place) = self.next_place(applicant, &mut trial) {
            let index = problem.node_order[place];
            let node = &problem.nodes[index];
            if self.removed[index] || (self.rules.spares_young_nodes && node.young && !exempt) {
                continue;
            }
            let version = self.opens[index].version;
            if self.verdicts.nodes(variant).fails(index, version, stamp) {
                continue;
            }
            let constraint = match self.fits_existing(index, applicant) {
                Ok(constraint) => constraint,
                Err(Refusal::Lasting) if version == UNTOUCHED && trial.is_new => {
                    self.verdicts.willing(variant).places.pop();
                    trial.willing -= 1;
                    continue;
                }
                Err(refusal) => {
                    self.verdicts.nodes(variant).note(index, version, stamp, refusal == Refusal::Lasting);
                    continue;
                }
            };
            self.touch(index, place);
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
            return true;
        }
        false
    }

    /// Notes what the node is, before the first pod is placed on it.
    fn touch(&mut self, node: usize, place: usize) {
        if self.opens[node].pods.is_empty() {
            self.touched.push((node, self.opens[node].clone()));
            let at = self.touched_places.partition_point(|&before| (before as usize) < place);
            self.touched_places.insert(at, place as u32);
        }
    }

    /// The nodes on which the round may place pods, in the order of trial.
    pub(super) fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.problem.node_order.iter().copied().filter(|&node| !self.removed[node])
    }

    /// The nodes on which it did, in the order of trial.
    pub(super) fn filled(&self) -> Vec<(usize, Vec<usize>)> {
        let filled = self.touched_places.iter().map(|&place| self.problem.node_order[place as usize]);
        filled.map(|node| (node, self.opens[node].pods.clone())).collect()
    }
}

/// How far a trial of nodes is.
#[derive(Debug, Default)]
struct Trial {
    /// In the variant's list.
    willing: usize,
    /// In the list of changed nodes.
    touched: usize,
    /// The node that is being tried was never tried with the variant before.
    is_new: bool,
}
