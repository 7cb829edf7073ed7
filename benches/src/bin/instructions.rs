//! Counts the instructions of the hot paths with valgrind and holds them against the committed figures: a change that makes
//! one slower is seen without timing anything.
//!
//! `check` fails if a path takes more than the tolerance above its figure in `benches/instructions.txt`; `renew` writes the
//! file anew. Each path runs in a process of its own under `valgrind --tool=callgrind`, which counts only while
//! `measured` runs: making ready and clearing away cost nothing. Counts do not jitter (twice the same program on the
//! same machine gives the same but for some thousandths of a percent), but they belong to the toolchain that
//! `rust-toolchain.toml` names, to valgrind and to the C library. The file says which these were; with others the counts
//! are shown, and nothing fails.

use karpsim::api::Scenario;
use karpsim::api::meta::Str;
use karpsim::compile::compile;
use karpsim::decision::Method;
use karpsim::disruption::disrupt_compiled;
use karpsim::provisioning::Round;
use karpsim::requirements::Algebra;
use karpsim_benches::constraints::{ask_all_pairs, constraints};
use karpsim_benches::{SEED, clusters, files, pods};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// So many thousandths above its figure a path may be.
const TOLERANCE_PER_MILLE: u64 = 30;

/// A hot path: its name, and the function that makes ready and runs it.
type HotPath = (&'static str, fn());

const PATHS: [HotPath; 10] = [
    ("read diverse-1000", || read("diverse-1000")),
    ("read consolidate-200", || read("consolidate-200")),
    ("compile diverse-1000", compiling),
    ("decide diverse-1000", || provisioning(&files::text("bench/diverse-1000.json"))),
    ("decide generated-preference-500", || provisioning(&pods::preference(500, SEED))),
    ("render diverse-1000", rendering),
    ("multi-node consolidate-200", || {
        consolidation(&files::text("bench/consolidate-200.json"), Method::MultiNodeConsolidation);
    }),
    ("multi-node generated-half-empty-200", || {
        consolidation(&clusters::half_empty(200, SEED), Method::MultiNodeConsolidation);
    }),
    ("single-node generated-full-200", || {
        consolidation(&clusters::full(200, SEED), Method::SingleNodeConsolidation);
    }),
    ("algebra of 4,096 pairs", algebra),
];

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    match asked[..] {
        ["run", name] => {
            let (_, path) = PATHS.iter().find(|(known, _)| *known == name).expect("the name of a hot path");
            path();
            ExitCode::SUCCESS
        }
        ["check"] => check(),
        ["renew"] => renew(),
        _ => {
            eprintln!("either `check` or `renew`");
            ExitCode::FAILURE
        }
    }
}

/// Where the figures are: what they belong to, then a line a path, the count and then the name.
fn figures_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

fn figures(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once(' '));
    pairs.filter_map(|(count, name)| Some((name.to_owned(), count.parse().ok()?))).collect()
}

/// What the counts belong to, beside the toolchain.
fn platform() -> String {
    let said = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        let text =
            output.map_or_else(|error| error.to_string(), |it| String::from_utf8_lossy(&it.stdout).into());
        text.lines().next().unwrap_or_default().to_owned()
    };
    format!("# {}, {}, {}", std::env::consts::ARCH, said("ldd"), said("valgrind"))
}

fn check() -> ExitCode {
    let text = std::fs::read_to_string(figures_file()).unwrap_or_default();
    let (figures, platform) = (figures(&text), platform());
    let is_at_home = text.lines().next() == Some(platform.as_str());
    let mut held = true;
    for (name, _) in PATHS {
        let count = counted(name);
        let verdict = match figures.get(name) {
            None => {
                held = false;
                "no figure: renew".to_owned()
            }
            Some(&figure) => {
                let excess = figure / 1000 * TOLERANCE_PER_MILLE;
                let word = if count > figure + excess {
                    held = false;
                    ": SLOWER"
                } else if count + excess < figure {
                    ": faster, renew the figures"
                } else {
                    ""
                };
                format!("{:+.2} %{word}", (count as f64 / figure as f64 - 1.0) * 100.0)
            }
        };
        println!("{count:>14} {name:40} {verdict}");
    }
    if !is_at_home {
        println!(
            "shown only: the figures belong to another platform\n{}\n{platform}",
            text.lines().next().unwrap_or_default()
        );
        return ExitCode::SUCCESS;
    }
    if held {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "more instructions than benches/instructions.txt allows; if there is a good reason, say so in the commit and renew: \
         cargo run --release -p karpsim-benches --bin instructions -- renew"
    );
    ExitCode::FAILURE
}

fn renew() -> ExitCode {
    let mut text = platform();
    text.push('\n');
    for (name, _) in PATHS {
        let count = counted(name);
        println!("{count:>14} {name}");
        writeln!(text, "{count} {name}").expect("a string takes all");
    }
    std::fs::write(figures_file(), text).expect("the figures can be written");
    ExitCode::SUCCESS
}

/// Instructions of the hot path of that name.
fn counted(name: &str) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=instructions::measured*",
        ])
        .arg(program)
        .args(["run", name])
        // Their size would move the stack.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("valgrind");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {talk}");
    let collected = talk.lines().find_map(|line| line.split_once("Collected :")).expect("a count");
    let count = collected.1.trim().parse().expect("a number");
    assert!(count > 0, "{name}: nothing was counted");
    count
}

/// What is counted. Callgrind knows it by its name, which must therefore stay a function of its own.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

fn read(name: &str) {
    let text = files::text(&format!("bench/{name}.json"));
    files::scenario(r#"{"catalogue": {"file": "catalogues/fake-400.json"}, "objects": []}"#); // the catalogue is read once
    let scenario = measured(|| files::scenario(&text));
    assert!(!scenario.objects.pods.is_empty());
}

fn compiling() {
    let scenario: Scenario = files::scenario(&files::text("bench/diverse-1000.json"));
    let (problem, _) = measured(|| compile(&scenario));
    assert_eq!(problem.pending.len(), 1000);
}

fn provisioning(text: &str) {
    let scenario = files::scenario(text);
    let (problem, algebra) = compile(&scenario);
    let round = measured(|| Round::play(&problem, algebra));
    assert!(round.decision().pod_errors.is_empty());
}

fn rendering() {
    let scenario = files::scenario(&files::text("bench/diverse-1000.json"));
    let (problem, algebra) = compile(&scenario);
    let round = Round::play(&problem, algebra);
    let decision = measured(|| serde_json::to_string(&round.decision()).expect("a decision is JSON"));
    assert!(decision.len() > 1000);
}

fn consolidation(text: &str, method: Method) {
    let scenario = files::scenario(text);
    let (problem, algebra) = compile(&scenario);
    let decision = measured(|| disrupt_compiled(&problem, algebra, &[method]));
    assert_eq!(decision.commands.is_empty(), method == Method::SingleNodeConsolidation);
}

fn algebra() {
    let mut algebra = Algebra::default();
    let (zone, of_type) = (algebra.key("zone", |_| true), algebra.key("type", |_| true));
    let names: Vec<Str> = (0..400).map(|index| Str::from(format!("type-{index}"))).collect();
    let compatible = measured(|| {
        let sets = constraints(&mut algebra, zone, of_type, &names, 100);
        ask_all_pairs(&mut algebra, &sets)
    });
    assert_eq!(compatible, 64 * 8);
}
