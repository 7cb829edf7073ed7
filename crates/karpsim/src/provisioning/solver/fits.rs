//! Whether a node can take a pod, and what it would be with it.

use super::{Applicant, Claim, Placement, Refusal, Solver};
use crate::compile::asked::{Asked, Host};
use crate::compile::min_values;
use crate::compile::pods::{Class, PortsId};
use crate::compile::resources::Amounts;
use crate::compile::shapes::ShapeSet;
use crate::compile::types::ReservationId;
use crate::model::meta::Str;
use crate::provisioning::stances::{Answer, Ground, GroundId, Stance, StanceId};
use crate::requirements::{ConstraintId, KeyId, Requirement, Undefined};
use crate::topology::HostId;
use smallvec::SmallVec;
use std::rc::Rc;

/// A node of the round, or one that would be.
pub(super) enum ClaimRef<'c> {
    Open(usize),
    New(&'c Claim),
}

impl ClaimRef<'_> {
    fn of<'a>(&'a self, claims: &'a [Claim]) -> &'a Claim {
        match self {
            ClaimRef::Open(index) => &claims[*index],
            ClaimRef::New(claim) => claim,
        }
    }
}

impl Solver<'_> {
    /// What a node of the cluster would be with the pod; refused if it cannot take it.
    pub(super) fn fits_existing(
        &mut self,
        index: usize,
        applicant: &Applicant<'_>,
    ) -> Result<ConstraintId, Refusal> {
        let problem = self.problem;
        let (node, open) = (&problem.nodes[index], &self.existing.opens[index]);
        let class = applicant.class;
        if !class.requests.iter().zip(&open.remaining).all(|(request, left)| request <= left && *left >= 0)
            || exceeds_attach_limits(node, &open.attached, class)
            || open.ports.iter().any(|&ports| problem.pods.ports_conflict(ports, class.ports))
        {
            return Err(Refusal::Lasting);
        }
        let ground =
            Ground { taints: node.taints, constraint: open.constraint, undefined: Undefined::Denied };
        self.reached(applicant, ground, (node.host.0, node.host_label), |_, _, narrowed| Ok(narrowed))
    }

    /// What a new node would be with the pod.
    pub(super) fn fits_claim(
        &mut self,
        claim: &ClaimRef<'_>,
        applicant: &Applicant<'_>,
        relaxes_min_values: bool,
    ) -> Result<Placement, Refusal> {
        let (ground, host) = {
            let claim = claim.of(&self.round.claims);
            let taints = self.problem.templates[claim.template].taints;
            let undefined = Undefined::WellKnownAllowed;
            (Ground { taints, constraint: claim.constraint, undefined }, (claim.host, Host::Unnamed))
        };
        self.reached(applicant, ground, host, |solver, constraint, narrowed| {
            match solver.choose_types(claim, applicant.class, narrowed, relaxes_min_values) {
                Err(Refusal::Lasting) if narrowed != constraint => Err(Refusal::Passing),
                chosen => chosen,
            }
        })
    }

    /// Asks labels, taints and topology whether a node on `ground` may take the pod, and `then`, with what the node would
    /// be without and with topology, whether it does. A pod with volumes is asked about once for each way to reach them.
    fn reached<T>(
        &mut self,
        applicant: &Applicant<'_>,
        ground: Ground,
        host: (HostId, Host),
        mut then: impl FnMut(&mut Self, ConstraintId, ConstraintId) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if !self.known.stances.get(applicant.stance).asked.hostname_met_by(host.1, &self.algebra) {
            return Err(Refusal::Lasting);
        }
        let alternatives = &applicant.class.volumes.alternatives;
        if alternatives.is_empty() {
            let ground = self.known.stances.ground(ground);
            return match self.answer(applicant, ground) {
                Answer::Never => Err(Refusal::Lasting),
                Answer::NotNow => Err(Refusal::Passing),
                Answer::Yes { .. } if !self.hosts_allow(applicant.stance, host) => Err(Refusal::Passing),
                Answer::Yes { base, narrowed } => then(self, base, narrowed),
            };
        }
        let base = self.labels_allow(applicant.stance, ground).ok_or(Refusal::Lasting)?;
        let mut last = Refusal::Lasting;
        let reached =
            self.with_alternatives(alternatives, base, host, ground.undefined, |solver, constraint| {
                let narrowed =
                    solver.narrow_by_topology(applicant.stance, constraint, host, ground.undefined);
                let attempt =
                    narrowed.ok_or(Refusal::Passing).and_then(|narrowed| then(solver, constraint, narrowed));
                attempt.map_err(|refusal| last = refusal).ok()
            });
        // With several ways to reach its volumes, the last refusal does not speak for all.
        reached.ok_or(if alternatives.len() > 1 && last == Refusal::Lasting {
            Refusal::Passing
        } else {
            last
        })
    }

    /// Tries each way in which the pod's volumes can be reached; without volumes, once.
    pub(super) fn with_alternatives<T>(
        &mut self,
        alternatives: &[Asked],
        base: ConstraintId,
        host: (HostId, Host),
        undefined: Undefined,
        mut attempt: impl FnMut(&mut Self, ConstraintId) -> Option<T>,
    ) -> Option<T> {
        if alternatives.is_empty() {
            return attempt(self, base);
        }
        alternatives.iter().find_map(|alternative| {
            if !alternative.met_by(base, host.1, undefined, &mut self.algebra) {
                return None;
            }
            let constraint = self.algebra.sum(base, alternative.constraint);
            attempt(self, constraint)
        })
    }

    /// What labels, taints and shared domains say of a pod on a ground; its volumes aside.
    pub(super) fn answer(&mut self, applicant: &Applicant<'_>, ground: GroundId) -> Answer {
        let &Applicant { stance, counts, .. } = applicant;
        if let Some(known) = self.known.stances.known(stance, ground, counts) {
            return known;
        }
        let on = self.known.stances.get_ground(ground);
        let answer = match self.labels_allow(stance, on) {
            None => Answer::Never,
            Some(base) => match self.narrow_to_domains(stance, base, on.undefined) {
                None => Answer::NotNow,
                Some(narrowed) => Answer::Yes { base, narrowed },
            },
        };
        self.known.stances.note(stance, ground, counts, answer);
        answer
    }

    /// What a node on `ground` would be with the pod, if its taints are tolerated and its labels can meet what is asked;
    /// hostname and topology aside.
    fn labels_allow(&mut self, stance: StanceId, ground: Ground) -> Option<ConstraintId> {
        let &Stance { asked, tolerations, .. } = self.known.stances.get(stance);
        let allowed = self.problem.taints.tolerated(ground.taints, tolerations)
            && self.algebra.compatible(ground.constraint, asked.constraint, ground.undefined);
        allowed.then(|| self.algebra.sum(ground.constraint, asked.constraint))
    }

    /// `node` narrowed to the domains that the groups with a say allow. `None` if they allow none.
    pub(super) fn narrow_by_topology(
        &mut self,
        stance: StanceId,
        node: ConstraintId,
        host: (HostId, Host),
        undefined: Undefined,
    ) -> Option<ConstraintId> {
        if self.hosts_allow(stance, host) { self.narrow_to_domains(stance, node, undefined) } else { None }
    }

    /// Whether the groups over hostnames let a pod onto `host`.
    fn hosts_allow(&self, stance: StanceId, host: (HostId, Host)) -> bool {
        let stance = self.known.stances.get(stance);
        stance.by_host.iter().all(|&(group, selects)| {
            self.topology.group(group).allows_host(&self.algebra, selects, stance.strict, host)
        })
    }

    /// The same as [`Self::narrow_by_topology`] for the domains that nodes share.
    fn narrow_to_domains(
        &mut self,
        stance: StanceId,
        node: ConstraintId,
        undefined: Undefined,
    ) -> Option<ConstraintId> {
        let stance = self.known.stances.get(stance);
        let mut narrowed: SmallVec<[(KeyId, Requirement); 4]> = SmallVec::new();
        for &(group, selects) in &stance.shared {
            let group = self.topology.group(group);
            let key = group.key;
            let of_pod = self.algebra.of(stance.strict.constraint, key);
            let of_node = self.algebra.of(node, key);
            let integers = self.algebra.integers(key);
            let domains = group.next_domains(selects, of_pod, of_node, integers);
            if domains.values.is_empty() {
                return None;
            }
            if let Some((_, so_far)) = narrowed.iter_mut().find(|(known, _)| *known == key) {
                *so_far = domains.intersection(so_far, integers);
            } else {
                let both = of_node
                    .map_or_else(|| domains.clone(), |of_node| domains.intersection(of_node, integers));
                narrowed.push((key, both));
            }
        }
        let mut constraint = node;
        for (key, requirement) in narrowed {
            let reconciled = match self.algebra.of(node, key) {
                Some(existing) => existing.reconciles(&requirement, self.algebra.integers(key)),
                None => requirement.allows_absence() || self.may_be_undefined(key, undefined),
            };
            if !reconciled {
                return None;
            }
            constraint = self.algebra.with(constraint, key, requirement);
        }
        Some(constraint)
    }

    pub(super) fn may_be_undefined(&self, key: KeyId, undefined: Undefined) -> bool {
        undefined == Undefined::WellKnownAllowed && self.algebra.is_well_known(key)
    }

    /// The instance types that remain, and the reservations that the node would hold.
    fn choose_types(
        &mut self,
        claim: &ClaimRef<'_>,
        class: &Class,
        mut constraint: ConstraintId,
        relaxes_min_values: bool,
    ) -> Result<Placement, Refusal> {
        let problem = self.problem;
        let template = &problem.templates[claim.of(&self.round.claims).template];
        let table = &problem.tables[template.table];
        let allowed = self.allowed(template.table, constraint);
        let claim = claim.of(&self.round.claims);
        let clashes = |theirs: PortsId| problem.pods.ports_conflict(theirs, class.ports);
        let shapes = if claim.ports.iter().any(|&ports| clashes(ports)) {
            ShapeSet::none(table.shapes.len())
        } else {
            let mut options = claim.shapes.clone();
            options.keep(&allowed);
            if !class.volumes.attached.is_empty() {
                table.keep_attaching(&mut options, &both_attached(&claim.attached, class));
            }
            let requests: Amounts = claim.requests.iter().zip(&class.requests).map(|(a, b)| a + b).collect();
            template.fitting(table, &options, &requests, clashes)
        };
        if shapes.is_empty() {
            return Err(Refusal::Lasting);
        }
        for (key, count) in min_values::unmet(&self.algebra, table, &shapes, constraint) {
            if !relaxes_min_values {
                return Err(Refusal::Lasting);
            }
            if let Some(requirement) = self.algebra.of(constraint, key).cloned() {
                let lowered = Requirement { min_values: Some(count), ..requirement };
                constraint = self.algebra.with(constraint, key, lowered);
            }
        }
        let held = claim.reserved.clone();
        let reserved = self.reserve(template.table, &shapes, constraint, &held)?;
        Ok(Placement { constraint, shapes, reserved })
    }

    /// Reservations that a node could hold. Under strict rules it is refused if there are some but it gets none, or if
    /// it would lose the last that it holds. A full reservation is worth waiting for only if there is nothing else.
    pub(super) fn reserve(
        &mut self,
        table: usize,
        shapes: &ShapeSet,
        constraint: ConstraintId,
        held: &[ReservationId],
    ) -> Result<SmallVec<[ReservationId; 2]>, Refusal> {
        let mut reserved: SmallVec<[ReservationId; 2]> = SmallVec::new();
        if !self.problem.scenario.options.reserved_capacity()
            || self.known.reserved_offerings[table].is_empty()
        {
            return Ok(reserved);
        }
        let falls_back = self.problem.karpenter().full_reservations_fall_back;
        let of_table = &self.problem.tables[table];
        let types = of_table.types_of(shapes);
        let (mut with_room, mut full) = (false, false);
        for offering in &self.known.reserved_offerings[table] {
            let kind = of_table.kinds[offering.kind];
            if types.binary_search(&offering.of).is_err()
                || !self.algebra.compatible(constraint, kind, Undefined::WellKnownAllowed)
            {
                continue;
            }
            let reservation = offering.reservation;
            if falls_back && offering.full && self.round.rules.credited != Some(reservation) {
                full = true;
                continue;
            }
            with_room = true;
            if held.contains(&reservation) || self.round.reservations_left[reservation.0 as usize] > 0 {
                reserved.push(reservation);
            }
        }
        reserved.sort_unstable();
        reserved.dedup();
        let strict = self.round.rules.strict_reservations;
        if strict && reserved.is_empty() && with_room {
            return Err(Refusal::Reserved);
        }
        if full && !with_room && !self.has_unreserved(table, &types, constraint) {
            // Not strictly, a later NodePool may do.
            return Err(if strict { Refusal::Reserved } else { Refusal::Lasting });
        }
        if strict && reserved.is_empty() && !held.is_empty() {
            return Err(Refusal::Reserved);
        }
        Ok(reserved)
    }

    /// Whether one of `types` is on offer without a reservation.
    fn has_unreserved(&mut self, table: usize, types: &[usize], constraint: ConstraintId) -> bool {
        let kinds = self.compatible_kinds(table, constraint);
        let of_table = &self.problem.tables[table];
        types.iter().any(|&of| {
            of_table.types[of]
                .offerings
                .iter()
                .any(|offering| offering.available && offering.reservation.is_none() && kinds[offering.kind])
        })
    }

    /// The shapes that `constraint` allows and that are on offer.
    fn allowed(&mut self, table: usize, constraint: ConstraintId) -> Rc<ShapeSet> {
        if let Some(known) = self.known.allowed[table].get(&constraint) {
            return known.clone();
        }
        let of_table = &self.problem.tables[table];
        let mut shapes = of_table.compatible(&self.algebra, constraint);
        shapes.keep(&of_table.offered(&mut self.algebra, constraint));
        let shapes = Rc::new(shapes);
        self.known.allowed[table].insert(constraint, shapes.clone());
        shapes
    }
}

/// The volumes of `attached` and those of a pod of `class`, sorted, each once.
pub(super) fn both_attached(attached: &[(Str, Str)], class: &Class) -> Vec<(Str, Str)> {
    let mut both: Vec<_> = attached.iter().chain(&class.volumes.attached).cloned().collect();
    both.sort();
    both.dedup();
    both
}

/// Whether the node could not attach the pod's volumes beside those it has.
pub(super) fn exceeds_attach_limits(
    node: &crate::compile::nodes::StateNode,
    attached: &[(Str, Str)],
    class: &Class,
) -> bool {
    node.attach_limits.iter().any(|(driver, limit)| {
        let here = attached.iter().filter(|(of, _)| of == driver).count();
        let more = class
            .volumes
            .attached
            .iter()
            .filter(|one| one.0 == *driver && attached.binary_search(one).is_err());
        (here + more.count()) as i64 > *limit
    })
}
