//! Passes of consolidation, and one simulation of a removal.

use crate::slow_group;
use criterion::{BatchSize, Criterion};
use karpsim::compile::compile;
use karpsim::decision::Method;
use karpsim::disruption::candidates::{Candidate, candidates};
use karpsim::disruption::disrupt_compiled;
use karpsim::kubernetes::eviction::PodBudgets;
use karpsim::provisioning::solver::Solver;
use karpsim_benches::{SEED, clusters, files};

pub(crate) fn rows(criterion: &mut Criterion) {
    passes(criterion);
    simulations(criterion);
}

/// The decision alone, the choice of candidates included.
fn passes(criterion: &mut Criterion) {
    let mut group = slow_group(criterion, "consolidation");
    let mut measure = |kind: &str, name: &str, method: Method, text: &dyn Fn() -> String| {
        let mut prepared = None;
        group.bench_function(format!("{kind}/{name}"), |bencher| {
            let scenario = prepared.get_or_insert_with(|| files::scenario(&text()));
            let (problem, algebra) = compile(scenario);
            bencher.iter_batched(
                || algebra.clone(),
                |algebra| disrupt_compiled(&problem, algebra, &[method]),
                BatchSize::PerIteration,
            );
        });
    };
    for name in
        ["consolidate-200", "consolidate-500", "consolidate-200-fragmented", "consolidate-500-fragmented"]
    {
        let text = || files::text(&format!("bench/{name}.json"));
        measure("multi-node", name, Method::MultiNodeConsolidation, &text);
        measure("single-node", name, Method::SingleNodeConsolidation, &text);
    }
    for nodes in [1_000, 5_000] {
        let text = || clusters::full(nodes, SEED);
        measure("single-node", &format!("generated-full-{nodes}"), Method::SingleNodeConsolidation, &text);
    }
    for nodes in [500, 5_000] {
        let text = || clusters::half_empty(nodes, SEED);
        measure(
            "multi-node",
            &format!("generated-half-empty-{nodes}"),
            Method::MultiNodeConsolidation,
            &text,
        );
    }
    group.finish();
}

/// One removal: the first that a solver is asked for, and one node after the other when it has seen the cluster.
fn simulations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulation");
    group.sample_size(20);
    let mut prepared = None;
    let mut measure = |name: &str, first: bool, count: usize| {
        group.bench_function(name, |bencher| {
            let scenario =
                prepared.get_or_insert_with(|| files::scenario(&files::text("bench/consolidate-500.json")));
            let (problem, algebra) = compile(scenario);
            let budgets = PodBudgets::new(&scenario.objects);
            let all: Vec<Candidate<'_>> = candidates(&problem, &budgets, Method::MultiNodeConsolidation)
                .into_iter()
                .filter_map(Result::ok)
                .filter(|candidate| candidate.obstacle(&problem, Method::MultiNodeConsolidation).is_none())
                .collect();
            let mut sets = all.chunks_exact(count).cycle();
            let mut next = || sets.next().expect("more candidates than are removed at once");
            if first {
                bencher.iter_batched_ref(
                    || Solver::new(&problem, algebra.clone()),
                    |solver| solver.consolidate(&budgets, next()).is_ok(),
                    BatchSize::PerIteration,
                );
            } else {
                let mut solver = Solver::new(&problem, algebra);
                bencher.iter(|| solver.consolidate(&budgets, next()).is_ok());
            }
        });
    };
    measure("one node of 500, the first time", true, 1);
    measure("one node of 500, again and again", false, 1);
    measure("50 nodes of 500 together, the first time", true, 50);
    group.finish();
}
