//! Prints the table of `BENCHMARKS.md`, measured here and now: processor seconds of one core, the best of several runs.
//!
//! Its argument is the program `karpsim`; `benches/table` builds both and gives it.

use karpsim::compile::compile;
use karpsim::decision::Method;
use karpsim::disruption::disrupt_compiled;
use karpsim::provisioning::Round;
use karpsim::scenario::Scenario;
use karpsim_benches::{SEED, clusters, files, pods};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How often each row is measured.
const RUNS: usize = 5;

/// What Karpenter v1.14.1 itself needed at best, in processor seconds of the decision alone, on a machine of two shared
/// cores; `benches/against-karpenter/run` measures it anew.
const KARPENTER: [(&str, f64); 5] = [
    ("diverse-5000", 23.2),
    ("diverse-10000", 51.5),
    ("preference-4000", 129.0),
    ("consolidate-500", 7.7),
    ("consolidate-500-fragmented", 5.6),
];

fn main() {
    let program = std::env::args().nth(1).expect("the program karpsim as argument: use benches/table");
    println!("| work | Karpenter | karpsim | | floor | goal |\n|---|--:|--:|--:|--:|--:|");
    decisions();
    compiling();
    growth();
    fruitless();
    processes(&program);
    reading();
}

/// One row: what was done, what Karpenter needs for it, what karpsim needs, and what that comes to.
fn row(work: &str, karpenter: Option<f64>, karpsim: &str, comes_to: &str, floor: &str, goal: &str) {
    let karpenter = karpenter.map_or("–".to_owned(), |seconds| format!("{seconds} s"));
    println!("| {work} | {karpenter} | {karpsim} | {comes_to} | {floor} | {goal} |");
}

fn decisions() {
    for (name, karpenter) in KARPENTER {
        let consolidates = name.starts_with("consolidate");
        let scenario = files::scenario(&files::text(&format!("bench/{name}.json")));
        let seconds = if consolidates {
            consolidation(&scenario, Method::MultiNodeConsolidation)
        } else {
            provisioning(&scenario)
        };
        let work = if consolidates { format!("{name}, multi-node") } else { name.to_owned() };
        let floor = if consolidates { "200 ×" } else { "300 ×" };
        row(&work, Some(karpenter), &shown(seconds), &times(karpenter / seconds), floor, "1,000 ×");
    }
}

fn compiling() {
    let scenario = files::scenario(&files::text("bench/diverse-5000.json"));
    let seconds = best(|| compile(&scenario));
    let share = format!("{:.2} of the decision", seconds / provisioning(&scenario));
    row("compile diverse-5000", None, &shown(seconds), &share, "1", "1");
}

fn growth() {
    let [small, large] =
        [10_000, 50_000].map(|count| provisioning(&files::scenario(&pods::diverse(count, SEED))));
    let grown = format!("{:.1} times as long", large / small);
    row("50,000 generated pods, against 10,000", None, &shown(large), &grown, "8", "5.8 (n log n)");
    let [small, large] = [500, 5_000].map(|nodes| {
        let scenario = files::scenario(&clusters::half_empty(nodes, SEED));
        consolidation(&scenario, Method::MultiNodeConsolidation)
    });
    let grown = format!("{:.1} times as long", large / small);
    row("multi-node, 5,000 half-empty nodes, against 500", None, &shown(large), &grown, "", "");
}

fn fruitless() {
    for (nodes, floor, goal) in [(1_000, "5 s", "1 s"), (5_000, "", "")] {
        let scenario = files::scenario(&clusters::full(nodes, SEED));
        let seconds = consolidation(&scenario, Method::SingleNodeConsolidation);
        row(&format!("single-node, {nodes} full nodes"), None, &shown(seconds), "", floor, goal);
    }
}

fn processes(program: &str) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data");
    let measured = |file: &str| {
        (0..RUNS).map(|_| child_seconds(program, &data, file, "1")).fold(f64::INFINITY, f64::min)
    };
    let seconds = measured("bench/diverse-5000.json.zst");
    let karpenter = KARPENTER[0].1;
    row(
        "whole process on diverse-5000",
        Some(karpenter),
        &shown(seconds),
        &times(karpenter / seconds),
        "200 ×",
        "500 ×",
    );
    let recordings = "conformance/provisioning.jsonl.zst";
    row("whole process on 2,392 recordings", None, &shown(measured(recordings)), "", "20 s", "5 s");
    let [alone, both] = ["1", "2"].map(|threads| {
        let passed = |_| {
            let start = Instant::now();
            child_seconds(program, &data, recordings, threads);
            start.elapsed().as_secs_f64()
        };
        (0..RUNS).map(passed).fold(f64::INFINITY, f64::min)
    });
    let efficiency = format!("{:.2} of two cores used", alone / both / 2.0);
    row("the same with two threads, time passed", None, &shown(both), &efficiency, "0.85", "0.85");
}

fn reading() {
    let inputs = [
        ("diverse-5000", files::text("bench/diverse-5000.json")),
        ("consolidate-500", files::text("bench/consolidate-500.json")),
        ("1,000 full nodes", clusters::full(1_000, SEED)),
    ];
    for (name, text) in inputs {
        let speed = text.len() as f64 / 1e6 / best(|| files::scenario(&text));
        let work = format!("reading {name}, {:.1} MB", text.len() as f64 / 1e6);
        row(&work, None, &format!("{speed:.0} MB/s"), "", "200 MB/s", "500 MB/s");
    }
}

/// The decision alone.
fn provisioning(scenario: &Scenario) -> f64 {
    let (problem, algebra) = compile(scenario);
    best_of(|| algebra.clone(), |algebra| Round::schedule(&problem, algebra))
}

/// The decision alone, the choice of candidates included.
fn consolidation(scenario: &Scenario, method: Method) -> f64 {
    let (problem, algebra) = compile(scenario);
    best_of(|| algebra.clone(), |algebra| disrupt_compiled(&problem, algebra, &[method]))
}

fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    best_of(|| (), |()| work())
}

/// Neither what `work` is given nor the end of what it gives is counted.
fn best_of<I, T>(mut given: impl FnMut() -> I, mut work: impl FnMut(I) -> T) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..RUNS {
        let given = given();
        let start = thread_seconds();
        let made = black_box(work(given));
        least = least.min(thread_seconds() - start);
        drop(made);
    }
    least
}

fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of this thread");
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}

/// Processor seconds of one run of the program, from its start to its end.
fn child_seconds(program: &str, data: &Path, file: &str, threads: &str) -> f64 {
    let before = children_seconds();
    let status = Command::new(program)
        .args(["decide", "--threads", threads, "--root"])
        .arg(data.join("conformance"))
        .arg(data.join(file))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {file}: {status}");
    children_seconds() - before
}

fn children_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("what ended children have used");
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

fn shown(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

fn times(ratio: f64) -> String {
    format!("{ratio:.0} ×")
}
