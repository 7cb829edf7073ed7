//! Rounds of provisioning: the decision alone, on a scenario that is read and compiled beforehand.

use crate::slow_group;
use criterion::{BatchSize, Criterion};
use karpsim::compile::compile;
use karpsim::provisioning::Round;
use karpsim_benches::{SEED, files, pods};

pub(crate) fn rows(criterion: &mut Criterion) {
    let mut group = slow_group(criterion, "provisioning");
    let mut measure = |name: &str, text: &dyn Fn() -> String| {
        let mut prepared = None;
        group.bench_function(name, |bencher| {
            // Made here, so that only rows that were asked for cost anything.
            let scenario = prepared.get_or_insert_with(|| files::scenario(&text()));
            let (problem, algebra) = compile(scenario);
            bencher.iter_batched(
                || algebra.clone(),
                |algebra| Round::schedule(&problem, algebra),
                BatchSize::PerIteration,
            );
        });
    };
    for name in
        ["diverse-500", "diverse-1000", "diverse-2000", "diverse-5000", "diverse-10000", "preference-4000"]
    {
        measure(name, &|| files::text(&format!("bench/{name}.json")));
    }
    for count in [5_000, 10_000, 50_000] {
        measure(&format!("generated-diverse-{count}"), &|| pods::diverse(count, SEED));
    }
    measure("generated-preference-4000", &|| pods::preference(4_000, SEED));
    group.finish();
}
