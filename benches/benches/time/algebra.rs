//! The requirement algebra: what the first question costs, and the second.

use criterion::{BatchSize, Criterion};
use karpsim::model::meta::{Operator, Str};
use karpsim::requirements::Algebra;
use karpsim_benches::constraints::{ask_all_pairs, constraints};

pub(crate) fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("algebra");
    let mut algebra = Algebra::default();
    let key = algebra.key("node.kubernetes.io/instance-type", |_| true);
    let names: Vec<Str> = (0..400).map(|index| Str::from(format!("fake-it-{index}"))).collect();
    let odd: Vec<Str> = names.iter().skip(1).step_by(2).cloned().collect();
    let all = algebra.requirement(key, Operator::In, &names, None);
    let half = algebra.requirement(key, Operator::In, &odd, None);
    let but_half = algebra.requirement(key, Operator::NotIn, &odd, None);
    group.bench_function("intersection of 400 and 200 values", |bencher| {
        bencher.iter(|| all.intersection(&half, algebra.integers(key)));
    });
    group.bench_function("has_intersection, none", |bencher| {
        bencher.iter(|| half.has_intersection(&but_half, algebra.integers(key)));
    });

    let zone = algebra.key("topology.kubernetes.io/zone", |_| true);
    let sets = constraints(&mut algebra, zone, key, &names, 1);
    group.bench_function("4096 pairs asked the first time", |bencher| {
        bencher.iter_batched_ref(
            || algebra.clone(),
            |algebra| ask_all_pairs(algebra, &sets),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("4096 pairs asked again", |bencher| {
        let mut known = algebra.clone();
        ask_all_pairs(&mut known, &sets);
        bencher.iter(|| ask_all_pairs(&mut known, &sets));
    });
    group.finish();
}
