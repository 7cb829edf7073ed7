//! Instructions of the hot paths, counted by callgrind and held against the figures below: a change that makes one slower
//! fails here, and nothing is timed.
//!
//! `cargo bench -p karpsim-benches --features instructions --bench instructions` runs them (valgrind and gungraun-runner
//! must be there; `.ci/run` installs both). Where one fails, find what the change costs; if it is worth that, write what
//! was counted into its `figure` here. If it counts clearly less than its figure, do the same.
//!
//! Only the bodies of the benchmarks are counted; making ready and clearing away cost nothing. Counts hardly jitter (some
//! thousandths of a percent between two runs), but they belong to the toolchain that `rust-toolchain.toml` names and,
//! a little, to processor, C library and valgrind: where these are not those of the figures, more is allowed.

#![allow(missing_docs, reason = "of what the macros of gungraun write")]
#![allow(clippy::needless_pass_by_value, reason = "a teardown is given what the benchmark returned")]

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig};
use gungraun::{library_benchmark, library_benchmark_group, main};
use karpsim::compile::{ClusterState, compile};
use karpsim::decision::{Decision, DisruptionDecision, Method};
use karpsim::disruption::disrupt_compiled;
use karpsim::model::meta::Str;
use karpsim::provisioning::Round;
use karpsim::requirements::Algebra;
use karpsim::scenario::Scenario;
use karpsim_benches::constraints::{ask_all_pairs, constraints};
use karpsim_benches::{SEED, clusters, files, pods};
use std::process::Command;
use std::sync::LazyLock;

/// So many thousandths above its figure a benchmark may be.
const TOLERANCE_PER_MILLE: u64 = 30;
/// The same where C library or valgrind are others than those of the figures.
const TOLERANCE_ABROAD_PER_MILLE: u64 = 250;

/// What the figures belong to, beside the toolchain.
const HOME: &str = "x86_64, libc 2.36, valgrind-3.19.0";

/// What may be counted above the figures here, in thousandths.
static TOLERANCE_HERE_PER_MILLE: LazyLock<u64> = LazyLock::new(|| {
    let here = here();
    if here == HOME {
        println!("up to {TOLERANCE_PER_MILLE} thousandths above the figures are allowed");
        return TOLERANCE_PER_MILLE;
    }
    println!(
        "up to {TOLERANCE_ABROAD_PER_MILLE} thousandths above the figures are allowed, which are of {HOME}; this is {here}"
    );
    TOLERANCE_ABROAD_PER_MILLE
});

/// Fails if more instructions are counted than the committed figure and the tolerance.
fn figure(instructions: u64) -> LibraryBenchmarkConfig {
    let most = instructions + instructions / 1000 * *TOLERANCE_HERE_PER_MILLE;
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.hard_limits([(EventKind::Ir, most)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// Processor, C library and valgrind of this machine.
fn here() -> String {
    let first_line = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    };
    // `ldd (Debian GLIBC 2.36-9+deb12u14) 2.36`: the version without the distribution's part.
    let libc = first_line("ldd");
    let libc = libc.rsplit(' ').next().unwrap_or_default();
    format!("{}, libc {libc}, {}", std::env::consts::ARCH, first_line("valgrind"))
}

fn bench_file(name: &str) -> String {
    files::text(&format!("bench/{name}.json"))
}

// What is made ready is leaked: a process counts one benchmark, and what borrows it is cleared away outside of the count.

fn scenario(text: &str) -> &'static Scenario {
    Box::leak(Box::new(files::scenario(text)))
}

fn problem(text: &str) -> (&'static ClusterState, Algebra) {
    let (problem, algebra) = compile(scenario(text));
    (Box::leak(Box::new(problem)), algebra)
}

/// The text of a scenario whose catalogue has been read.
fn unread(name: &str) -> &'static str {
    for catalogue in ["fake-400", "aws-us-west-2"] {
        files::scenario(&format!(
            r#"{{"catalogue": {{"file": "catalogues/{catalogue}.json"}}, "objects": []}}"#
        ));
    }
    bench_file(name).leak()
}

fn has_pods(scenario: Scenario) {
    assert!(!scenario.objects.pods.is_empty());
}

#[library_benchmark(setup = unread, teardown = has_pods)]
#[bench::diverse_1000(args = ("diverse-1000"), config = figure(20_438_000))]
#[bench::consolidate_200(args = ("consolidate-200"), config = figure(155_284_000))]
fn read(text: &str) -> Scenario {
    files::scenario(text)
}

fn has_1000_pending((problem, _): (ClusterState, Algebra)) {
    assert_eq!(problem.pending.len(), 1000);
}

#[library_benchmark(setup = scenario, teardown = has_1000_pending)]
#[bench::diverse_1000(args = (&bench_file("diverse-1000")), config = figure(23_160_000))]
fn compiled(scenario: &'static Scenario) -> (ClusterState, Algebra) {
    compile(scenario)
}

fn has_no_pod_errors(round: Round<'_>) {
    assert!(round.decision().pod_errors.is_empty());
}

#[library_benchmark(setup = problem, teardown = has_no_pod_errors)]
#[bench::diverse_1000(args = (&bench_file("diverse-1000")), config = figure(24_625_000))]
#[bench::generated_preference_500(args = (&pods::preference(500, SEED)), config = figure(47_418_000))]
fn decided((problem, algebra): (&'static ClusterState, Algebra)) -> Round<'static> {
    Round::schedule(problem, algebra)
}

fn round(text: &str) -> Round<'static> {
    let (problem, algebra) = problem(text);
    Round::schedule(problem, algebra)
}

fn is_long(decision: Vec<u8>) {
    assert!(decision.len() > 1000);
}

#[library_benchmark(setup = round, teardown = is_long)]
#[bench::diverse_1000(args = (&bench_file("diverse-1000")), config = figure(19_048_000))]
fn rendered(round: Round<'static>) -> Vec<u8> {
    let mut text = Vec::new();
    Decision::Provisioning(round.decision()).write_json(&mut text).expect("a decision is JSON");
    text
}

fn has_commands(decision: DisruptionDecision) {
    assert!(!decision.commands.is_empty());
}

#[library_benchmark(setup = problem, teardown = has_commands)]
#[bench::consolidate_200(args = (&bench_file("consolidate-200")), config = figure(20_524_000))]
#[bench::generated_half_empty_200(args = (&clusters::half_empty(200, SEED)), config = figure(31_029_000))]
fn multi_node((problem, algebra): (&'static ClusterState, Algebra)) -> DisruptionDecision {
    disrupt_compiled(problem, algebra, &[Method::MultiNodeConsolidation])
}

fn has_no_commands(decision: DisruptionDecision) {
    assert!(decision.commands.is_empty());
}

#[library_benchmark(setup = problem, teardown = has_no_commands)]
#[bench::generated_full_200(args = (&clusters::full(200, SEED)), config = figure(32_601_000))]
fn single_node((problem, algebra): (&'static ClusterState, Algebra)) -> DisruptionDecision {
    disrupt_compiled(problem, algebra, &[Method::SingleNodeConsolidation])
}

fn instance_types() -> &'static [Str] {
    (0..400).map(|index| Str::from(format!("type-{index}"))).collect::<Vec<_>>().leak()
}

fn are_an_eighth_of_the_pairs(compatible: usize) {
    assert_eq!(compatible, 64 * 8);
}

#[library_benchmark(setup = instance_types, teardown = are_an_eighth_of_the_pairs)]
#[bench::all_pairs_of_64(config = figure(4_549_000))]
fn compatible(names: &[Str]) -> usize {
    let mut algebra = Algebra::default();
    let (zone, of_type) = (algebra.key("zone", |_| true), algebra.key("type", |_| true));
    let constraints = constraints(&mut algebra, zone, of_type, names, 100);
    ask_all_pairs(&mut algebra, &constraints)
}

library_benchmark_group!(
    name = hot_paths;
    benchmarks = read, compiled, decided, rendered, multi_node, single_node, compatible
);

main!(library_benchmark_groups = hot_paths);
