//! Time: the rows of `BENCHMARKS.md`, from whole decisions down to the requirement algebra.

mod algebra;
mod consolidation;
mod provisioning;
mod whole;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use std::time::Duration;

/// A group whose rows take so long that few samples must do.
fn slow_group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    group
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    provisioning::rows(&mut criterion);
    consolidation::rows(&mut criterion);
    whole::rows(&mut criterion);
    algebra::rows(&mut criterion);
    criterion.final_summary();
}
