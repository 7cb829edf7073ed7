//! Static NodePools: drift of their nodes, and what repair needs to know of them.
//!
//! Nothing is simulated for them: a replacement is what the NodePool describes, whatever runs on the node. It must have
//! room: below `limits.nodes`, and in a reservation if there is nothing else to launch from.

use super::candidates::Candidate;
use super::methods::Field;
use crate::compile::ClusterState;
use crate::compile::pools;
use crate::decision::{Command, Method, NewNodeClaim, TerminateFirst};
use crate::kubernetes::labels::{NODE_POOL, RESERVED};
use crate::model::karpenter::NodePool;
use crate::model::meta::{Str, condition_is_true};
use crate::provisioning::plan::decided_requirements;
use crate::provisioning::solver::Solver;
use crate::quantity::Quantity;
use crate::requirements::Undefined;
use std::collections::{BTreeMap, BTreeSet};

/// How a static NodePool stands.
pub(super) struct Standing {
    /// NodeClaims that stay.
    active: i64,
    /// NodeClaims that are going.
    deleting: i64,
}

impl Standing {
    pub(super) fn of(problem: &ClusterState, pool: &str) -> Self {
        let (active, deleting) = node_claim_counts(problem, pool);
        Standing { active, deleting }
    }

    /// Whether it has more nodes than it should have: then it shrinks, and nothing else is done.
    pub(super) fn shrinks(&self, pool: &NodePool) -> bool {
        self.active > pool.spec.replicas.unwrap_or(0)
    }

    /// How many nodes it may have beside those that there are.
    pub(super) fn room(&self, pool: &NodePool) -> i64 {
        let limit = pool.spec.limits.as_ref().and_then(|limits| limits.get("nodes"));
        let limit = limit.map_or(i64::MAX, Quantity::units_rounded_up);
        limit.saturating_sub(self.active + self.deleting).max(0)
    }
}

/// The reservations on offer to `pool`, if it can launch from nothing else and all of them are full.
pub(super) fn full_reservations(solver: &mut Solver<'_>, pool: &NodePool) -> Option<BTreeSet<Str>> {
    let problem = solver.problem;
    let mut offered = BTreeSet::new();
    let Some(&table) = problem.table_of_pool.get(&pool.metadata.name) else { return Some(offered) };
    let written = pools::written_constraint(&mut solver.algebra, &problem.rules, pool);
    let constraint = pools::template_constraint(&mut solver.algebra, &problem.rules, pool, written);
    let kinds = solver.compatible_kinds(table, constraint);
    for it in &problem.tables[table].types {
        if !solver.algebra.compatible(constraint, it.constraint, Undefined::WellKnownAllowed) {
            continue;
        }
        for offering in it.offerings.iter().filter(|offering| kinds[offering.kind]) {
            if offering.reservation.is_none() || offering.launchable {
                return None;
            }
            if offering.available {
                offered.insert(offering.reservation_name.clone());
            }
        }
    }
    Some(offered)
}

/// Whether the node holds an instance of one of these reservations.
pub(super) fn holds_one_of(
    problem: &ClusterState,
    candidate: &Candidate<'_>,
    offered: &BTreeSet<Str>,
) -> bool {
    let labels = problem.nodes[candidate.node].labels_of(&problem.api_nodes);
    let held = labels.get(problem.rules.reservation_id());
    candidate.capacity_type == RESERVED && held.is_some_and(|held| offered.contains(held))
}

/// Whether a node that goes is followed by another: no new ones are made of a NodePool that is not ready or is going.
pub(super) fn is_refilled(pool: &NodePool) -> bool {
    condition_is_true(&pool.status.conditions, "Ready") && pool.metadata.deletion_timestamp.is_none()
}

/// A command that replaces `candidate` by what its NodePool describes.
pub(super) fn replace(solver: &mut Solver<'_>, method: Method, candidate: &Candidate<'_>) -> Command {
    let (problem, pool) = (solver.problem, candidate.pool);
    let written = pools::written_constraint(&mut solver.algebra, &problem.rules, pool);
    let constraint = pools::template_constraint(&mut solver.algebra, &problem.rules, pool, written);
    let replacement = NewNodeClaim {
        node_pool: pool.metadata.name.clone(),
        pods: Vec::new(),
        instance_types: std::sync::Arc::default(),
        requirements: decided_requirements(&mut solver.algebra, constraint, None),
        requests: BTreeMap::new(),
        launch: None,
    };
    Command::new(method, vec![candidate.name.clone()], vec![replacement])
}

/// A command that removes `candidate` before there is a replacement.
pub(super) fn go_first(method: Method, candidate: &Candidate<'_>, why: TerminateFirst) -> Command {
    let mut command = Command::new(method, vec![candidate.name.clone()], Vec::new());
    command.terminate_first = Some(why);
    command
}

/// Drifted nodes of static NodePools, each with a replacement: as many as budget and `limits.nodes` leave room for. Where
/// there is no room for any, nodes go first, if they may: as many as the budget allows.
pub(super) fn static_drift(solver: &mut Solver<'_>, field: &Field<'_>) -> Vec<Command> {
    let problem = solver.problem;
    let mut by_pool: BTreeMap<&str, Vec<&Candidate<'_>>> = BTreeMap::new();
    for candidate in &field.candidates {
        by_pool.entry(candidate.pool.metadata.name.as_str()).or_default().push(candidate);
    }
    let may_go_first = problem.scenario.options.terminates_first_for_drift();
    let mut commands = Vec::new();
    for (name, members) in by_pool {
        let pool = members[0].pool;
        let budget = field.allowances.get(name).map_or(0, |allowance| allowance.allowed);
        let standing = Standing::of(problem, name);
        if budget == 0 || standing.shrinks(pool) {
            continue;
        }
        let most = usize::try_from(budget).unwrap_or(0).min(members.len());
        if may_go_first && let Some(offered) = full_reservations(solver, pool) {
            // Only what frees an instance of a reservation can be replaced at all.
            let freeing = members.iter().filter(|candidate| holds_one_of(problem, candidate, &offered));
            if is_refilled(pool) {
                commands.extend(freeing.take(most).map(|candidate| {
                    go_first(Method::StaticDrift, candidate, TerminateFirst::NoReservedCapacity)
                }));
            }
            continue;
        }
        let room = standing.room(pool);
        if room == 0 && may_go_first && is_refilled(pool) {
            let going = members.iter().take(most);
            commands
                .extend(going.map(|candidate| {
                    go_first(Method::StaticDrift, candidate, TerminateFirst::StaticAtLimit)
                }));
            continue;
        }
        let most = most.min(usize::try_from(room).unwrap_or(usize::MAX));
        for candidate in members.into_iter().take(most) {
            commands.push(replace(solver, Method::StaticDrift, candidate));
        }
    }
    commands
}

/// NodeClaims of a NodePool: those that stay, and those that are going.
fn node_claim_counts(problem: &ClusterState, pool: &str) -> (i64, i64) {
    let provider = &problem.scenario.catalogue.provider;
    let (mut active, mut deleting) = (0, 0);
    for claim in &problem.scenario.objects.node_claims {
        let ours = crate::label_rules::is_known_node_class(provider, &claim.spec.node_class_ref);
        if !ours || claim.metadata.labels.get(NODE_POOL) != Some(pool) {
            continue;
        }
        let state = problem
            .nodes
            .iter()
            .find(|node| node.claim.as_ref().is_some_and(|own| own.metadata.name == claim.metadata.name));
        let going = match state {
            Some(node) => node.marked,
            None => {
                claim.metadata.deletion_timestamp.is_some()
                    || condition_is_true(&claim.status.conditions, "InstanceTerminating")
            }
        };
        *(if going { &mut deleting } else { &mut active }) += 1;
    }
    (active, deleting)
}
