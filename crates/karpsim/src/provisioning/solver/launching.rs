//! Pods on the nodes that a round launches.

use super::fits::{ClaimRef, both_attached};
use super::{Applicant, Claim, Placement, Refusal, Solver};
use crate::compile::asked::Host;
use crate::compile::pods::{Class, PortsId};
use crate::compile::shapes::ShapeSet;
use crate::provisioning::stances::{Answer, Ground};
use crate::requirements::Undefined;
use crate::topology::HostId;
use smallvec::SmallVec;

impl Solver<'_> {
    pub(super) fn place_on_open_claim(&mut self, applicant: &Applicant<'_>) -> bool {
        let &Applicant { class, variant, stamp, .. } = applicant;
        if self.all_refuse_still(applicant) {
            return false;
        }
        self.round.barred.begin();
        for place in 0..self.round.order.len() {
            let index = self.round.order.node(place);
            if self.round.barred.has(self.round.claim_grounds[index]) || self.is_too_full(index, class) {
                continue;
            }
            if self.known.verdicts.claims(variant).fails(index, self.round.claim_versions[index], stamp) {
                continue;
            }
            if self.ground_refuses(index, applicant) {
                self.round.barred.note(self.round.claim_grounds[index]);
                continue;
            }
            match self.fits_claim(&ClaimRef::Open(index), applicant, false) {
                Ok(placement) => {
                    self.round.order.raise(place);
                    self.commit(index, applicant, placement);
                    return true;
                }
                Err(refusal) => {
                    let version = self.round.claim_versions[index];
                    self.known.verdicts.claims(variant).note(
                        index,
                        version,
                        stamp,
                        refusal == Refusal::Lasting,
                    );
                }
            }
        }
        self.known.verdicts.claims(variant).all_refused(stamp, self.round.changed_claims.len());
        false
    }

    /// Whether all nodes that are, as to labels, taints and domains, what this one is turn the pod down now.
    fn ground_refuses(&mut self, index: usize, applicant: &Applicant<'_>) -> bool {
        // The volumes of a pod may make more of a ground than it is.
        applicant.class.volumes.alternatives.is_empty()
            && matches!(
                self.answer(applicant, self.round.claim_grounds[index]),
                Answer::Never | Answer::NotNow
            )
    }

    /// Whether all nodes of the round have refused the like of the pod, and those that have changed since do so again.
    fn all_refuse_still(&mut self, applicant: &Applicant<'_>) -> bool {
        let &Applicant { class, variant, stamp, .. } = applicant;
        let Some(since) = self.known.verdicts.claims(variant).all_refused_at(stamp) else { return false };
        for at in since..self.round.changed_claims.len() {
            let index = self.round.changed_claims[at] as usize;
            if self.is_too_full(index, class) {
                continue;
            }
            let version = self.round.claim_versions[index];
            if self.known.verdicts.claims(variant).fails(index, version, stamp) {
                continue;
            }
            match self.fits_claim(&ClaimRef::Open(index), applicant, false) {
                Ok(_) => return false,
                Err(refusal) => {
                    self.known.verdicts.claims(variant).note(
                        index,
                        version,
                        stamp,
                        refusal == Refusal::Lasting,
                    );
                }
            }
        }
        self.known.verdicts.claims(variant).all_refused(stamp, self.round.changed_claims.len());
        true
    }

    pub(super) fn place_on_new_claim(&mut self, applicant: &Applicant<'_>) -> Result<(), Refusal> {
        let problem = self.problem;
        for (index, template) in problem.templates.iter().enumerate() {
            let Some(shapes) = self.within_limits(template.dynamic, template.table, &template.shapes) else {
                continue;
            };
            let claim = Claim {
                template: index,
                constraint: template.constraint,
                shapes,
                requests: SmallVec::from_elem(0, problem.resources.len()),
                pods: Vec::new(),
                ports: SmallVec::new(),
                reserved: SmallVec::new(),
                attached: Vec::new(),
                host: self.round.first_new_host + self.round.claims.len() as HostId,
            };
            let relaxes = problem.scenario.options.relaxes_min_values();
            match self.fits_claim(&ClaimRef::New(&claim), applicant, relaxes) {
                Ok(placement) => {
                    let at = self.round.claims.len();
                    self.round.claims.push(claim);
                    self.round.order.append(at);
                    self.round.claim_versions.push(0);
                    self.commit(at, applicant, placement);
                    self.charge_limits(template.dynamic, template.table, at);
                    return Ok(());
                }
                // Reserved capacity of this NodePool is worth waiting for: no later one is tried.
                Err(Refusal::Reserved) => return Err(Refusal::Reserved),
                Err(_) => {}
            }
        }
        Err(Refusal::Passing)
    }

    /// The instance types that what is left of the pool's limits allows. `None`: none.
    fn within_limits(&self, pool: usize, table: usize, shapes: &ShapeSet) -> Option<ShapeSet> {
        let limits = &self.round.limits[pool];
        let mut left = shapes.clone();
        if limits.is_empty() {
            return Some(left);
        }
        let table = &self.problem.tables[table];
        for limit in limits {
            match limit.resource {
                None if limit.left <= 0 => return None,
                None => {}
                Some(resource) => {
                    for shape in shapes.iter() {
                        if table.types[table.shapes[shape].of].capacity[resource] > limit.left {
                            left.remove(shape);
                        }
                    }
                }
            }
        }
        (!left.is_empty()).then_some(left)
    }

    /// A new node counts against its pool's limits as the largest instance type that it can be.
    fn charge_limits(&mut self, pool: usize, table: usize, claim: usize) {
        let table = &self.problem.tables[table];
        for limit in &mut self.round.limits[pool] {
            let Some(resource) = limit.resource else { continue };
            let shapes = self.round.claims[claim].shapes.iter();
            let largest = shapes.map(|shape| table.types[table.shapes[shape].of].capacity[resource]).max();
            limit.left -= largest.unwrap_or(0);
        }
    }

    /// Whether the pod asks for more of a resource than the largest of the node's instance types has left. Found out
    /// without looking at types; most nodes that are tried are full.
    fn is_too_full(&self, index: usize, class: &Class) -> bool {
        let width = class.requests.len();
        let left = &self.round.room.left[index * width..(index + 1) * width];
        class.requests.iter().zip(left).any(|(request, left)| request > left)
    }

    /// Notes how much of each resource the largest of a node's instance types has left.
    fn note_most_left(&mut self, index: usize, shapes_changed: bool) {
        let claim = &self.round.claims[index];
        let table = &self.problem.tables[self.problem.templates[claim.template].table];
        let width = claim.requests.len();
        if self.round.room.most.len() <= index * width {
            self.round.room.most.resize((index + 1) * width, 0);
            self.round.room.left.resize((index + 1) * width, 0);
        }
        let range = index * width..(index + 1) * width;
        if shapes_changed {
            table.most(&claim.shapes, &mut self.round.room.most[range.clone()]);
        }
        for ((left, most), request) in self.round.room.left[range.clone()]
            .iter_mut()
            .zip(&self.round.room.most[range])
            .zip(&claim.requests)
        {
            *left = most - request;
        }
    }

    /// Puts the pod on a node of the round.
    fn commit(&mut self, at: usize, applicant: &Applicant<'_>, placement: Placement) {
        let &Applicant { pod, class, .. } = applicant;
        let problem = self.problem;
        let claim = &mut self.round.claims[at];
        claim.pods.push(pod);
        self.round.changed_claims.push(at as u32);
        self.round.claim_versions[at] = self.existing.next_version;
        self.existing.next_version = self.existing.next_version.wrapping_add(1);
        let taints = problem.templates[claim.template].taints;
        let is_new = claim.pods.len() == 1;
        if is_new || claim.constraint != placement.constraint {
            let undefined = Undefined::WellKnownAllowed;
            let ground =
                self.known.stances.ground(Ground { taints, constraint: placement.constraint, undefined });
            if is_new {
                self.round.claim_grounds.push(ground);
            } else {
                self.round.claim_grounds[at] = ground;
            }
        }
        claim.constraint = placement.constraint;
        let shapes_changed = is_new || claim.shapes != placement.shapes;
        claim.shapes = placement.shapes;
        for (sum, request) in claim.requests.iter_mut().zip(&class.requests) {
            *sum += request;
        }
        if class.ports != PortsId::NONE {
            claim.ports.push(class.ports);
        }
        if !class.volumes.attached.is_empty() {
            claim.attached = both_attached(&claim.attached, class);
        }
        let before = std::mem::replace(&mut claim.reserved, placement.reserved);
        if claim.reserved != before {
            self.round.reservation_changes += 1;
        }
        for reservation in claim.reserved.iter().filter(|reservation| !before.contains(reservation)) {
            self.round.reservations_left[reservation.0 as usize] -= 1;
        }
        for reservation in before.iter().filter(|reservation| !claim.reserved.contains(reservation)) {
            self.round.reservations_left[reservation.0 as usize] += 1;
        }
        let host = (claim.host, Host::Unnamed);
        self.note_most_left(at, shapes_changed);
        self.record(applicant, taints, placement.constraint, host);
    }
}
