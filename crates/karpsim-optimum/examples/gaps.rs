//! The gap table: how far Karpenter's recorded decisions are from the optimum, family by family.
//!
//! ```sh
//! cargo run --release -p karpsim-optimum --example gaps -- [--seconds 2] [--each N] [--family NAME] [--name NAME] [--verbose]
//! ```
//!
//! With `> crates/karpsim-optimum/GAPS.md` it makes the committed table anew. `--verbose` says every scenario on standard
//! error.

use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Status, dollars};
use karpsim_testkit::Recordings;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
struct Row {
    scenarios: usize,
    optimal: usize,
    comparable: usize,
    better: usize,
    more_placed: usize,
    outside: usize,
    karpenter: i64,
    optimum: i64,
    worst: f64,
    sum: f64,
    open: f64,
    open_sum: f64,
    seconds: f64,
    slowest: f64,
}

/// What this thread has computed so far: the limits are seconds of a processor, so that a busy machine gives the same table.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let seconds: f64 = value("--seconds").and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let each: usize = value("--each").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    let only = value("--family");
    let name = value("--name");
    let verbose = arguments.iter().any(|argument| argument == "--verbose");
    let recordings = Recordings::read("provisioning");
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for recording in recordings.iter() {
        let family = recording.family();
        if only.as_ref().is_some_and(|only| only != family)
            || name.as_ref().is_some_and(|name| name != recording.name)
        {
            continue;
        }
        let row = rows.entry(family.to_owned()).or_default();
        if row.scenarios >= each {
            continue;
        }
        let scenario = recording.scenario();
        let start = processor_time();
        let clock = || processor_time().saturating_sub(start);
        let time = Some(Duration::from_secs_f64(seconds));
        let limits = Limits { time, watch: &clock, ..Limits::default() };
        let optimum = Optimum::solve(&OptimizationProblem::new(&scenario), &limits);
        let took = processor_time().saturating_sub(start).as_secs_f64();
        assert!(optimum.bound <= optimum.cost, "{}", scenario.name);
        row.scenarios += 1;
        row.seconds += took;
        row.slowest = row.slowest.max(took);
        row.optimal += usize::from(optimum.status == Status::Optimal);
        row.outside += usize::from(optimum.karpenter_is_outside);
        row.more_placed += usize::from(optimum.unplaced < optimum.karpenter_unplaced);
        row.open = row.open.max(optimum.gap());
        row.open_sum += optimum.gap();
        if optimum.unplaced == optimum.karpenter_unplaced {
            assert!(optimum.cost <= optimum.karpenter_cost, "{}", scenario.name);
            row.karpenter += optimum.karpenter_cost;
            row.optimum += optimum.cost;
            row.better += usize::from(optimum.cost < optimum.karpenter_cost);
        }
        if let Some(gap) = optimum.karpenter_gap() {
            row.comparable += 1;
            row.sum += gap;
            row.worst = row.worst.max(gap);
        }
        if verbose {
            eprintln!(
                "{} {:?} {took:.3}s karpenter {} ({} left) optimum {} ({} left) bound {} gap {:.4}{} | {} | {:?}",
                scenario.name,
                optimum.status,
                dollars(optimum.karpenter_cost),
                optimum.karpenter_unplaced,
                dollars(optimum.cost),
                optimum.unplaced,
                dollars(optimum.bound),
                optimum.gap(),
                if optimum.karpenter_is_outside { " OUTSIDE" } else { "" },
                optimum.difference,
                optimum.relaxed,
            );
        }
    }
    println!(
        "# How far Karpenter's decisions are from the optimum\n\n\
         Every recorded round of provisioning, with at most {seconds} s of one processor each, on one thread; made by\n\
         `cargo run --release -p karpsim-optimum --example gaps > crates/karpsim-optimum/GAPS.md`.\n\n\
         - *proven optimal*: no answer that keeps the rules places more pods or costs less.\n\
         - *Karpenter dearer*: as many pods are placed for less; *more placed*: Karpenter leaves pods that could be placed.\n\
         - *mean*, *worst gap*: the share of the cost of Karpenter's decision that the best answer found saves, where both\n  \
           place as many pods and Karpenter's costs anything. Preferences are left aside: part of what Karpenter pays is for them.\n\
         - *open gap*: how much cheaper an answer could still be, where the optimum is not proven: the mean and the widest.\n\
         - *outside*: Karpenter's decision is none that the model knows, because it rests on a quirk.\n"
    );
    println!(
        "| family | scenarios | proven optimal | Karpenter dearer | more placed | mean gap | worst gap | gap of the \
         sums | mean open gap | widest open gap | mean s | slowest s | outside |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let percent = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    let mut all = Row::default();
    for row in rows.values() {
        all.scenarios += row.scenarios;
        all.optimal += row.optimal;
        all.better += row.better;
        all.more_placed += row.more_placed;
        all.comparable += row.comparable;
        all.sum += row.sum;
        all.karpenter += row.karpenter;
        all.optimum += row.optimum;
        all.worst = all.worst.max(row.worst);
        all.open = all.open.max(row.open);
        all.open_sum += row.open_sum;
        all.seconds += row.seconds;
        all.slowest = all.slowest.max(row.slowest);
        all.outside += row.outside;
    }
    let shown = rows.iter().map(|(name, row)| (format!("`{name}`"), row));
    for (name, row) in shown.chain(std::iter::once(("all".to_owned(), &all))) {
        println!(
            "| {name} | {} | {:.1} % | {} | {} | {:.2} % | {:.1} % | {:.2} % | {:.3} % | {:.2} % | {:.3} | {:.2} | {} |",
            row.scenarios,
            percent(row.optimal as f64, row.scenarios as f64),
            row.better,
            row.more_placed,
            percent(row.sum, row.comparable as f64),
            100.0 * row.worst,
            percent((row.karpenter - row.optimum) as f64, row.karpenter as f64),
            100.0 * row.open_sum / row.scenarios.max(1) as f64,
            100.0 * row.open,
            row.seconds / row.scenarios.max(1) as f64,
            row.slowest,
            row.outside,
        );
    }
}
