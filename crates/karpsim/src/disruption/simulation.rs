//! What would become of the pods if some nodes were removed, and whether that is worth it.

use super::balanced::sum;
use super::candidates::Candidate;
use crate::compile::min_values;
use crate::compile::types::ReservationId;
use crate::kubernetes::eviction::PodBudgets;
use crate::kubernetes::labels::{self, ON_DEMAND, RESERVED, SPOT};
use crate::kubernetes::pods::is_provisionable;
use crate::provisioning::plan::{MAX_INSTANCE_TYPES, Plan, note};
use crate::provisioning::solver::{RoundRules, Solver};
use crate::requirements::{ConstraintId, Requirement, Undefined};
use std::rc::Rc;

/// A replacement of a spot node must leave so many cheaper types.
const SPOT_TO_SPOT_TYPES: usize = 15;

/// What would become of the pods.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    /// Nodes that would have to be launched, their types ordered by price.
    pub launches: Vec<Plan>,
    /// Pods that are not pending and would have no place, or only one on a node that is not initialised.
    pub stranded: Vec<usize>,
}

/// How a removal is simulated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Question {
    /// For consolidation: nodes under `consolidateAfter` are spared, and one new node is the most.
    pub consolidating: bool,
    /// Pods that cannot be evicted now are to find a place too.
    pub with_held_pods: bool,
    /// The removal frees an instance of this reservation; then nothing but reserved capacity will do where there is some.
    pub freed: Option<Freed>,
}

/// A reservation of which an instance is freed; `None`: one that no instance type is offered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed(Option<ReservationId>);

/// How a node could be replaced.
#[derive(Debug, Clone)]
pub enum Replacement {
    /// By these nodes, which come first.
    Staged(Vec<Plan>),
    /// Once it is gone: only the reservation that it holds can take its pods.
    Afterwards,
    /// Not at all.
    Impossible,
}

/// Nodes to be removed, and what would come in their place.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// What would be launched.
    pub replacements: Vec<Plan>,
}

/// Why some nodes are not consolidated.
#[derive(Debug, Clone, PartialEq)]
pub enum Unconsolidatable {
    /// No NodePool is ready to launch anything, so Karpenter does not even ask.
    NoNodePools,
    /// Pods would have no place.
    Stranded(Vec<usize>),
    /// It would take several new nodes: so many at least.
    NeedsNodes(usize),
    /// No instance type that would do is cheaper.
    NotCheaper {
        /// What the nodes cost now, in dollars an hour.
        price: f64,
        /// The least that a replacement could cost at worst.
        cheapest: Option<f64>,
    },
    /// The cheaper types do not meet `minValues`.
    MinValues,
    /// Spot nodes are not replaced by spot nodes without the feature gate.
    SpotToSpotDisabled,
    /// There are too few cheaper types to replace spot by spot.
    SpotToSpotTypes(usize),
    /// The replacement would be of a type that is being removed, or dearer.
    SameType,
    /// A Balanced NodePool finds that it saves too little for the disruption.
    NotWorthIt,
}

impl Solver<'_> {
    /// Simulates the removal of `candidates`. `None`: no NodePool is ready.
    pub fn simulate(
        &mut self,
        budgets: &PodBudgets<'_>,
        candidates: &[Candidate<'_>],
        question: Question,
    ) -> Option<Simulation> {
        let Question { consolidating, with_held_pods, freed } = question;
        let problem = self.problem;
        if problem.dynamic.is_empty() {
            return None;
        }
        let moving = candidates
            .iter()
            .flat_map(|candidate| candidate.reschedulable.iter().copied())
            .filter(|&pod| with_held_pods || budgets.will_move(problem.pod(pod), problem.now()));
        let pods: Vec<usize> =
            problem.pending.iter().copied().chain(moving).chain(problem.leaving.iter().copied()).collect();
        let removed: Vec<usize> = candidates.iter().map(|candidate| candidate.node).collect();
        // Consolidation never launches more than one node, so a round that needs two is settled; unless one of them may
        // yet be dropped for its `minValues`.
        let settled =
            problem.templates.iter().all(|template| !self.algebra.has_min_values(template.constraint));
        let most_new_nodes = (consolidating && settled).then_some(1);
        let rules = RoundRules {
            strict_reservations: freed.is_some(),
            spares_young_nodes: consolidating,
            most_new_nodes,
            credited: freed.and_then(|freed| freed.0),
        };
        let outcome = self.run_round(&pods, &removed, rules);
        let mut simulation = Simulation::default();
        let mut strand = |pod: usize| {
            if !is_provisionable(problem.pod(pod)) {
                simulation.stranded.push(pod);
            }
        };
        outcome.failed.iter().for_each(|(pod, _)| strand(*pod));
        for (node, pods) in &outcome.filled {
            if !problem.nodes[*node].initialized {
                // Karpenter does not count on a node that may never come up, but for pods that have to go anyway.
                pods.iter().filter(|pod| !problem.leaving.contains(pod)).for_each(|pod| strand(*pod));
            }
        }
        let mut launches = Vec::with_capacity(outcome.claims.len());
        for claim in &outcome.claims {
            let mut plan = self.plan(claim);
            self.order_by_price(&mut plan);
            plan.types.truncate(MAX_INSTANCE_TYPES);
            if self.truncate(&mut plan) {
                launches.push(plan);
            } else {
                plan.pods.iter().for_each(|pod| strand(*pod));
            }
        }
        simulation.launches = launches;
        Some(simulation)
    }

    /// How `candidate` could be replaced, whatever that costs. `may_go_first`: it may go before there is a replacement if
    /// it holds a reservation. `None`: no NodePool is ready.
    pub fn replace_one(
        &mut self,
        budgets: &PodBudgets<'_>,
        candidate: &Candidate<'_>,
        question: Question,
        may_go_first: bool,
    ) -> Option<Replacement> {
        let candidates = std::slice::from_ref(candidate);
        let simulation = self.simulate(budgets, candidates, question)?;
        if simulation.stranded.is_empty() {
            return Some(Replacement::Staged(simulation.launches));
        }
        if may_go_first && let Some(freed) = self.freed_by(candidate) {
            let simulation =
                self.simulate(budgets, candidates, Question { freed: Some(freed), ..question })?;
            if simulation.stranded.is_empty() {
                return Some(Replacement::Afterwards);
            }
        }
        Some(Replacement::Impossible)
    }

    /// The reservation that `candidate` holds.
    fn freed_by(&self, candidate: &Candidate<'_>) -> Option<Freed> {
        let problem = self.problem;
        let labels = problem.nodes[candidate.node].labels_of(&problem.api_nodes);
        let name = labels.get(problem.rules.reservation_id()).filter(|name| !name.is_empty())?;
        let mut offerings = problem.tables.iter().flat_map(|table| &table.types).flat_map(|it| &it.offerings);
        let known =
            offerings.find(|offering| offering.reservation.is_some() && offering.reservation_name == name);
        (candidate.capacity_type == RESERVED).then(|| Freed(known.and_then(|offering| offering.reservation)))
    }

    /// Whether removing `candidates` pays: their pods fit elsewhere, or on one node that is cheaper than they are.
    pub fn consolidate(
        &mut self,
        budgets: &PodBudgets<'_>,
        candidates: &[Candidate<'_>],
    ) -> Result<Proposal, Unconsolidatable> {
        let question = Question { consolidating: true, ..Question::default() };
        let simulation = self.simulate(budgets, candidates, question).ok_or(Unconsolidatable::NoNodePools)?;
        if !simulation.stranded.is_empty() {
            return Err(Unconsolidatable::Stranded(simulation.stranded));
        }
        let mut launches = simulation.launches;
        let mut plan = match launches.len() {
            0 => return Ok(Proposal::default()),
            1 => launches.remove(0),
            several => return Err(Unconsolidatable::NeedsNodes(several)),
        };
        let price = sum(candidates.iter().map(|candidate| candidate.price));
        let allowed = |solver: &mut Self, plan: &Plan, capacity_type: &str| {
            let key = solver.algebra.key(labels::CAPACITY_TYPE, |_| true);
            let value = solver.algebra.value(key, capacity_type);
            let integers = solver.algebra.integers(key);
            solver.algebra.of(plan.constraint, key).is_none_or(|requirement| requirement.has(value, integers))
        };
        let all_spot = candidates.iter().all(|candidate| candidate.capacity_type == SPOT);
        if all_spot && allowed(self, &plan, SPOT) {
            return self.replace_spot_by_spot(candidates, plan, price);
        }
        self.keep_cheaper(&mut plan, price)?;
        if allowed(self, &plan, SPOT) && allowed(self, &plan, ON_DEMAND) {
            // The types were chosen by their spot prices: should spot be out, the launch must fail.
            plan.constraint = self.narrowed_to_spot(plan.constraint);
        }
        Ok(Proposal { replacements: vec![plan] })
    }

    fn narrowed_to_spot(&mut self, constraint: ConstraintId) -> ConstraintId {
        let key = self.algebra.key(labels::CAPACITY_TYPE, |_| true);
        let spot = self.algebra.value(key, SPOT);
        let spot = self.algebra.constraint([(key, Requirement::any_of([spot]))]);
        self.algebra.sum(constraint, spot)
    }

    fn replace_spot_by_spot(
        &mut self,
        candidates: &[Candidate<'_>],
        mut plan: Plan,
        price: f64,
    ) -> Result<Proposal, Unconsolidatable> {
        if !self.problem.scenario.options.spot_to_spot_consolidation() {
            return Err(Unconsolidatable::SpotToSpotDisabled);
        }
        plan.constraint = self.narrowed_to_spot(plan.constraint);
        let kinds = self.compatible_kinds(plan.table, plan.constraint);
        let table = &self.problem.tables[plan.table];
        plan.types.retain(|&of| {
            table.types[of].offerings.iter().any(|offering| offering.available && kinds[offering.kind])
        });
        self.keep_cheaper(&mut plan, price)?;
        if candidates.len() == 1 {
            // With fewer, the next cheaper type would be found again and again.
            if plan.types.len() < SPOT_TO_SPOT_TYPES {
                return Err(Unconsolidatable::SpotToSpotTypes(plan.types.len()));
            }
            let kept = if self.algebra.has_min_values(plan.constraint) {
                min_values::needed(&self.algebra, table, &plan.types, plan.constraint).max(SPOT_TO_SPOT_TYPES)
            } else {
                SPOT_TO_SPOT_TYPES
            };
            plan.types.truncate(kept);
        }
        Ok(Proposal { replacements: vec![plan] })
    }

    /// Keeps the types that are cheaper than `price` at worst.
    fn keep_cheaper(&mut self, plan: &mut Plan, price: f64) -> Result<(), Unconsolidatable> {
        let worst = self.worst_launch_prices(plan);
        let cheapest = plan
            .types
            .iter()
            .map(|&of| worst[of])
            .fold(None, |least: Option<f64>, price| Some(least.map_or(price, |least| least.min(price))));
        plan.types.retain(|&of| worst[of] < price);
        let table = &self.problem.tables[plan.table];
        if !min_values::unmet_by(&self.algebra, table, &plan.types, plan.constraint).is_empty() {
            return Err(Unconsolidatable::MinValues);
        }
        if plan.types.is_empty() {
            return Err(Unconsolidatable::NotCheaper { price, cheapest });
        }
        Ok(())
    }

    /// What each type can cost at worst: the dearest offering of the first capacity type that it can be launched
    /// as, of reserved, spot, on demand.
    pub(crate) fn worst_launch_prices(&mut self, plan: &Plan) -> Rc<[f64]> {
        let of = (plan.table, plan.constraint);
        if let Some(known) = self.known.prices.worst.get(&of) {
            return Rc::clone(known);
        }
        let kinds = self.compatible_kinds(plan.table, plan.constraint);
        let by_capacity_type = [RESERVED, SPOT, ON_DEMAND].map(|capacity_type| {
            let key = self.algebra.key(labels::CAPACITY_TYPE, |_| true);
            let value = self.algebra.value(key, capacity_type);
            let only = self.algebra.constraint([(key, Requirement::any_of([value]))]);
            self.compatible_kinds(plan.table, only)
        });
        let types = self.problem.tables[plan.table].types.iter();
        let worst = types.map(|it| {
            let launchable =
                || it.offerings.iter().filter(|offering| offering.launchable && kinds[offering.kind]);
            by_capacity_type
                .iter()
                .find_map(|of_type| {
                    let prices =
                        launchable().filter(|offering| of_type[offering.kind]).map(|offering| offering.price);
                    prices.reduce(|dearest, price| if price > dearest { price } else { dearest })
                })
                .unwrap_or(f64::MAX)
        });
        let worst: Rc<[f64]> = worst.collect();
        note(&mut self.known.prices.worst, of, &worst);
        worst
    }

    /// Several nodes are not replaced by one of a type that is among them, or a dearer one: keeping that node would do.
    pub fn filter_same_type(
        &mut self,
        candidates: &[Candidate<'_>],
        proposal: &mut Proposal,
    ) -> Result<(), Unconsolidatable> {
        let Some(plan) = proposal.replacements.first_mut() else { return Ok(()) };
        let problem = self.problem;
        let mut limit = f64::MAX;
        // By candidate: its instance type in the plan's table, and in its own.
        let own_types: Vec<Option<(usize, usize)>> = candidates
            .iter()
            .map(|candidate| {
                let own = candidate.instance_type?;
                let name = &problem.tables[candidate.table].types[own].name;
                problem.tables[plan.table].find(name).map(|of| (of, own))
            })
            .collect();
        for of in plan.types.clone() {
            let mut among = false;
            let mut least: Option<f64> = None;
            for (candidate, own) in candidates.iter().zip(&own_types) {
                let Some((_, own)) = own.filter(|(candidate_of, _)| *candidate_of == of) else { continue };
                let table = &problem.tables[candidate.table];
                among = true;
                let labels = problem.nodes[candidate.node].labels;
                for offering in &table.types[own].offerings {
                    let kind = table.kinds[offering.kind];
                    if self.algebra.compatible(labels, kind, Undefined::WellKnownAllowed)
                        && least.is_none_or(|least| offering.price < least)
                    {
                        least = Some(offering.price);
                    }
                }
            }
            if among {
                // Not offered anywhere: Karpenter's map yields 0.
                limit = limit.min(least.unwrap_or(0.0));
            }
        }
        self.keep_cheaper(plan, limit).map_err(|_| Unconsolidatable::SameType)
    }
}
