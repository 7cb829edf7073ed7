//! An answer with names, in the form of Karpenter's decisions.

use crate::model::existing_nodes::ExistingNodes;
use crate::model::rules::alternatives;
use crate::model::slots::Place;
use crate::money::nanos;
use crate::result::answer::{Answer, PlannedNode};
use crate::result::check::base_constraint;
use karpsim::compile::ClusterState;
use karpsim::compile::asked::{Asked, Host};
use karpsim::compile::min_values;
use karpsim::decision::reasons::PodError;
use karpsim::decision::{FilledNode, NewNodeClaim, ProvisioningDecision};
use karpsim::kubernetes::requests::{RawAmounts, add};
use karpsim::provisioning::by_first_pod;
use karpsim::provisioning::plan::Plan;
use karpsim::provisioning::solver::Solver;
use karpsim::requirements::{Algebra, ConstraintId, Requirement, Undefined};

/// The decision that an answer comes to, without pods that stay where they are; and what is launched costs.
pub(crate) fn render(
    problem: &ClusterState,
    algebra: &mut Algebra,
    answer: &Answer,
    existing_nodes: &ExistingNodes,
    karpenter: &ProvisioningDecision,
) -> (ProvisioningDecision, i64) {
    let mut solver = Solver::new(problem, algebra.clone());
    let mut decision = ProvisioningDecision {
        ignored_pods: karpenter.ignored_pods.clone(),
        ..ProvisioningDecision::default()
    };
    let mut cost = 0;
    let mut placed = vec![false; problem.records.len()];
    for node in &answer.nodes {
        node.pods.iter().for_each(|&pod| placed[pod] = true);
        match node.place {
            Place::Existing { node: index } => {
                let comes = |pod: &&usize| existing_nodes.homes.get(pod) != Some(&index);
                let mut pods: Vec<_> =
                    node.pods.iter().filter(comes).map(|&pod| problem.pod_name(pod)).collect();
                if pods.is_empty() {
                    continue;
                }
                pods.sort();
                decision.existing_nodes.push(FilledNode { name: problem.nodes[index].name.clone(), pods });
            }
            Place::New { .. } => {
                let claim = claim(&mut solver, node);
                cost += claim.launch.as_ref().map_or(0, |launch| nanos(launch.price.0));
                decision.new_node_claims.push(claim);
            }
        }
    }
    decision.new_node_claims.sort_by(by_first_pod);
    decision.existing_nodes.sort_by(|a, b| a.name.cmp(&b.name));
    for &pod in problem.pending.iter().chain(&problem.leaving) {
        if !placed[pod] {
            let name = problem.pod_name(pod);
            let error = karpenter.pod_errors.get(&name).cloned();
            decision.pod_errors.insert(name, error.unwrap_or(PodError::NotInAnswer));
        }
    }
    (decision, cost)
}

fn claim(solver: &mut Solver<'_>, node: &PlannedNode) -> NewNodeClaim {
    let problem = solver.problem;
    let Place::New { template: index, shape, offering } = node.place else {
        unreachable!("only new nodes become NodeClaims")
    };
    let template = &problem.templates[index];
    let table = &problem.tables[template.table];
    let of = table.shapes[shape].of;
    let kind = table.kinds[table.types[of].offerings[offering].kind];
    let algebra = &mut solver.algebra;
    let mut classes: Vec<_> = node.pods.iter().map(|&pod| problem.records[pod].class).collect();
    classes.sort_unstable();
    classes.dedup();
    let asked: Vec<Vec<Asked>> =
        classes.iter().map(|class| alternatives(&problem.pods.classes[class.0 as usize], algebra)).collect();
    let base = base_constraint(algebra, template.constraint, &node.chosen);
    let constraint = narrowed(algebra, (table, shape, kind), base, &asked).unwrap_or(base);
    // The one type at the one offering, unless `minValues` want more to choose from.
    let pinned = algebra.sum(constraint, kind);
    let mut plan = Plan {
        template: index,
        table: template.table,
        constraint: pinned,
        types: vec![of],
        requests: RawAmounts::new(),
        pods: node.pods.clone(),
    };
    for &pod in &node.pods {
        add(&mut plan.requests, &problem.pods.classes[problem.records[pod].class.0 as usize].raw_requests);
    }
    if let Some(overhead) =
        template.groups.iter().find(|group| group.shapes.has(shape)).and_then(|group| group.overhead.as_ref())
    {
        add(&mut plan.requests, overhead);
    }
    if algebra.has_min_values(constraint) {
        choose_more(solver, &mut plan, constraint, node, &classes);
    }
    solver.render(&plan)
}

/// Chooses among what is asked such that the type and the offering remain.
fn narrowed(
    algebra: &mut Algebra,
    node: (&karpsim::compile::types::TypeTable, usize, ConstraintId),
    constraint: ConstraintId,
    asked: &[Vec<Asked>],
) -> Option<ConstraintId> {
    let Some((first, rest)) = asked.split_first() else {
        let possible = node.0.compatible(algebra, constraint).has(node.1)
            && algebra.compatible(constraint, node.2, Undefined::WellKnownAllowed);
        return possible.then_some(constraint);
    };
    first.iter().find_map(|one| {
        if !one.met_by(constraint, Host::Unnamed, Undefined::WellKnownAllowed, algebra) {
            return None;
        }
        let both = algebra.sum(constraint, one.constraint);
        narrowed(algebra, node, both, rest)
    })
}

/// Lists as many types as `minValues` want, the cheapest first. If they cannot be had at the one offering, the offering is
/// left open; if they cannot be had at all, `minValues` are lowered to what can.
fn choose_more(
    solver: &mut Solver<'_>,
    plan: &mut Plan,
    constraint: ConstraintId,
    node: &PlannedNode,
    classes: &[karpsim::compile::pods::ClassId],
) {
    let problem = solver.problem;
    let template = &problem.templates[plan.template];
    let table = &problem.tables[plan.table];
    let mut requests = karpsim::compile::resources::Amounts::from_elem(0, problem.resources.len());
    for &pod in &node.pods {
        let class = &problem.pods.classes[problem.records[pod].class.0 as usize];
        for (sum, request) in requests.iter_mut().zip(&class.requests) {
            *sum += request;
        }
    }
    for attempt in [plan.constraint, constraint] {
        let algebra = &mut solver.algebra;
        let mut options = table.compatible(algebra, attempt);
        options.keep(&table.offered(algebra, attempt));
        options.keep(&template.shapes);
        let fitting = template.fitting(table, &options, &requests, |theirs| {
            classes.iter().any(|class| {
                problem.pods.ports_conflict(theirs, problem.pods.classes[class.0 as usize].ports)
            })
        });
        let mut more = Plan { constraint: attempt, types: table.types_of(&fitting), ..plan.clone() };
        solver.order_by_price(&mut more);
        let needed = min_values::needed(&solver.algebra, table, &more.types, attempt);
        more.types.truncate(needed.max(1));
        for of in &plan.types {
            if !more.types.contains(of) {
                more.types.push(*of);
            }
        }
        if min_values::unmet_by(&solver.algebra, table, &more.types, attempt).is_empty() {
            *plan = more;
            return;
        }
    }
    if problem.scenario.options.relaxes_min_values() {
        for (key, count) in min_values::unmet_by(&solver.algebra, table, &plan.types, plan.constraint) {
            if let Some(requirement) = solver.algebra.of(plan.constraint, key).cloned() {
                let lowered = Requirement { min_values: Some(count), ..requirement };
                plan.constraint = solver.algebra.with(plan.constraint, key, lowered);
            }
        }
    }
}
