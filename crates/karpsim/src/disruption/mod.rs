//! Which nodes are removed or replaced.

pub mod balanced;
pub mod budgets;
pub mod candidates;
mod deletion_cost;
mod methods;
pub mod policies;
mod repair;
pub mod simulation;
mod static_pools;

use crate::compile::{ClusterState, compile};
use crate::decision::{Command, DisruptionDecision, Method};
use crate::kubernetes::eviction::PodBudgets;
use crate::provisioning::solver::Solver;
use crate::requirements::Algebra;
use crate::scenario::Scenario;
use simulation::Question;

pub(crate) use deletion_cost::costs as pod_deletion_costs;
pub use methods::Course;

/// Asks each of `methods` for its commands, each from the same state.
pub fn disrupt(scenario: &Scenario, methods: &[Method]) -> DisruptionDecision {
    let (problem, algebra) = compile(scenario);
    disrupt_compiled(&problem, algebra, methods)
}

/// The same on a scenario that is compiled already.
pub fn disrupt_compiled(problem: &ClusterState, algebra: Algebra, methods: &[Method]) -> DisruptionDecision {
    if !problem.is_synced() {
        return DisruptionDecision::default();
    }
    let budgets = PodBudgets::new(&problem.scenario.objects);
    let mut solver = Solver::new(problem, algebra);
    let commands = methods
        .iter()
        .flat_map(|&method| methods::commands(&mut solver, &budgets, method, &mut Course::default()))
        .collect();
    DisruptionDecision { commands, pod_deletion_cost: deletion_cost::costs(problem, &budgets) }
}

/// Asks `method` alone, and tells how it went. Consolidation simulates at most `limit` removals, if there is a limit.
pub fn examine(scenario: &Scenario, method: Method, limit: Option<usize>) -> (Vec<Command>, Course) {
    examine_in_order(scenario, &[(method, limit)]).pop().unwrap_or_default()
}

/// Asks methods one after the other, each with its limit, until one has a command.
pub fn examine_in_order(
    scenario: &Scenario,
    asked: &[(Method, Option<usize>)],
) -> Vec<(Vec<Command>, Course)> {
    let (problem, algebra) = compile(scenario);
    if !problem.is_synced() {
        return Vec::new();
    }
    let budgets = PodBudgets::new(&problem.scenario.objects);
    let mut solver = Solver::new(&problem, algebra);
    let mut found = Vec::with_capacity(asked.len());
    for &(method, limit) in asked {
        let (commands, course) = ask(&mut solver, &budgets, method, limit);
        let ends = !commands.is_empty();
        found.push((commands, course));
        if ends {
            break;
        }
    }
    found
}

/// Asks `method` with at most `limit` simulated removals, and tells how it went.
pub(crate) fn ask(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    method: Method,
    limit: Option<usize>,
) -> (Vec<Command>, Course) {
    let mut course = Course { limit, ..Course::default() };
    let commands = methods::commands(solver, budgets, method, &mut course);
    (commands, course)
}

/// Whether `command`, found earlier, would still be carried out in `scenario` now, as Karpenter asks after its wait: its
/// nodes are candidates still, the budgets allow them, and their pods would go where they were to go.
pub fn still_valid(scenario: &Scenario, command: &Command) -> bool {
    validated(scenario, command).is_some_and(|nodes| nodes.len() == command.candidates.len())
}

/// The nodes of `command` that may still be removed. Empty nodes go one by one: those that are still empty and within
/// budget remain. Consolidation goes all or none. `None`: nothing remains of it.
pub fn validated(scenario: &Scenario, command: &Command) -> Option<Vec<crate::model::meta::Str>> {
    let (problem, algebra) = compile(scenario);
    validated_by(&mut Solver::new(&problem, algebra), command)
}

/// The same with a solver that may know the cluster already.
pub(crate) fn validated_by(
    solver: &mut Solver<'_>,
    command: &Command,
) -> Option<Vec<crate::model::meta::Str>> {
    let problem = solver.problem;
    let budgets = PodBudgets::new(&problem.scenario.objects);
    let mut field = methods::field(problem, &budgets, command.method);
    field.candidates.retain(|candidate| command.candidates.contains(&candidate.name));
    if field.candidates.len() != command.candidates.len() && command.method != Method::Emptiness {
        return None;
    }
    let mut allowances = field.allowances;
    let allowed: Vec<_> = field
        .candidates
        .into_iter()
        .filter(|candidate| match allowances.get_mut(&candidate.pool.metadata.name) {
            Some(allowance) if allowance.allowed > 0 => {
                allowance.allowed -= 1;
                true
            }
            _ => false,
        })
        .collect();
    let names: Vec<_> = allowed.iter().map(|candidate| candidate.name.clone()).collect();
    if command.method == Method::Emptiness {
        return (!names.is_empty()).then_some(names);
    }
    if names.len() != command.candidates.len() {
        return None;
    }
    let simulation =
        solver.simulate(&budgets, &allowed, Question { consolidating: true, ..Question::default() })?;
    let same = match (simulation.launches.as_slice(), command.replacements.as_slice()) {
        ([], []) => true,
        ([launch], [replacement]) => {
            let table = &problem.tables[launch.table];
            let possible: std::collections::BTreeSet<&str> =
                launch.types.iter().map(|&of| table.types[of].name.as_str()).collect();
            replacement.instance_types.iter().all(|name| possible.contains(name.as_str()))
        }
        _ => false,
    };
    (simulation.stranded.is_empty() && same).then_some(names)
}
