//! `karpsim optimum`: what the cheapest possible answer to a scenario costs, and what is proven of it.

use crate::failure::Failure;
use crate::optimum_result::{OptimumResult, table};
use crate::replay::{Format, print};
use crate::scenario_file::ScenarioFlags;
use crate::table::dollars;
use clap::{Args, ValueEnum};
use karpsim::scenario::ScenarioKind;
use karpsim_optimum::{Aim, Limits, OptimizationProblem, Optimum, Preferences, Progress, Watch};
use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  karpsim optimum scenario.json
  karpsim optimum recordings.jsonl.zst --scenario binpack/m5-7 --time-limit 10 -o json
  karpsim optimum cluster.json --evictions 20      a running cluster: the cheapest with at most 20 pods evicted

The answer places as many pods as can be placed, those of higher priority first, then costs least. Required rules always
hold. Preferences are left aside unless --preferences respect: then those that Karpenter's decision meets must be met.
Ctrl-C ends the search, and the best answer so far is shown.";

/// Find the cheapest possible answer to a scenario, and prove how far from it Karpenter is
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OptimumCommand {
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// How the result is shown
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// Seconds to search for; 0: until the optimum is proven
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    time_limit: f64,
    /// Stop when the answer is proven to be within so many percent of the optimum
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    gap: f64,
    /// Threads to search with [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// What becomes of preferred affinity, ScheduleAnyway and PreferNoSchedule
    #[arg(long, value_name = "HOW", default_value = "ignore")]
    preferences: PreferenceChoice,
    /// Rearrange the running cluster, with at most N pods evicted
    #[arg(long, value_name = "N")]
    evictions: Option<usize>,
    /// Rearrange the running cluster, with at most N nodes removed
    #[arg(long, value_name = "N")]
    removed_nodes: Option<usize>,
}

/// What becomes of preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreferenceChoice {
    /// They play no part
    Ignore,
    /// Those that Karpenter's decision meets are met
    Respect,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=1e9).contains(seconds));
    seconds.ok_or_else(|| "allowed are seconds, such as 10 or 0.5".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').trim_end().parse::<f64>().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "allowed are percent from 0 to 100, such as 1 or 0.5".to_owned())
}

impl OptimumCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the scenario cannot be read.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let scenario = self.scenario.load()?.scenario;
        let rearranges = scenario.kind == ScenarioKind::Disruption
            || self.evictions.is_some()
            || self.removed_nodes.is_some();
        let aim = if rearranges {
            Aim::Rearrangement { evictions_max: self.evictions, removals_max: self.removed_nodes }
        } else {
            Aim::Provisioning
        };
        let preferences = match self.preferences {
            PreferenceChoice::Ignore => Preferences::LeaveAside,
            PreferenceChoice::Respect => Preferences::Respect,
        };
        let problem = OptimizationProblem { scenario: &scenario, preferences, aim };
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let patience = Patience::new(&scenario.name)?;
        let limits = Limits {
            time: (self.time_limit > 0.0).then(|| Duration::from_secs_f64(self.time_limit)),
            gap: self.gap / 100.0,
            threads: self.threads.unwrap_or_else(cores).max(1),
            watch: &patience,
        };
        let optimum = Optimum::solve(&problem, &limits);
        let seconds = patience.start.elapsed().as_secs_f64();
        drop(patience);
        let result = OptimumResult::new(&scenario, &optimum, seconds);
        print(&self.output.render(&result, |result| table(result, &optimum))?)
    }
}

/// Waits for the search: shows on a terminal how far it is, and ends it on Ctrl-C.
struct Patience {
    start: Instant,
    interrupted: Arc<AtomicBool>,
    name: String,
    /// Nothing is said where nobody looks.
    shown: bool,
    next: Cell<Instant>,
    wrote: Cell<bool>,
}

impl Patience {
    fn new(name: &str) -> Result<Self, Failure> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let failed = |error: std::io::Error| Failure::resources(format!("cannot listen for Ctrl-C: {error}"));
        let interrupt = signal_hook::consts::SIGINT;
        // The second Ctrl-C ends the program: the first has been heard by then.
        signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&interrupted))
            .map_err(failed)?;
        signal_hook::flag::register(interrupt, Arc::clone(&interrupted)).map_err(failed)?;
        let start = Instant::now();
        Ok(Patience {
            start,
            interrupted,
            name: name.to_owned(),
            shown: std::io::stderr().is_terminal(),
            next: Cell::new(start + Duration::from_secs(1)),
            wrote: Cell::new(false),
        })
    }
}

impl Watch for Patience {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn is_cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn progress(&self, progress: Progress) {
        if !self.shown || Instant::now() < self.next.get() {
            return;
        }
        self.next.set(Instant::now() + Duration::from_millis(200));
        self.wrote.set(true);
        let amount = |nanos: Option<i64>| {
            nanos.map_or_else(|| "?".to_owned(), |nanos| dollars(karpsim_optimum::dollars(nanos)))
        };
        let gap = match (progress.bound, progress.best) {
            (Some(bound), Some(best)) if best > 0 => {
                format!(", gap {:.2} %", 100.0 * (best - bound).max(0) as f64 / best as f64)
            }
            _ => String::new(),
        };
        let (bound, best) = (amount(progress.bound), amount(progress.best));
        let seconds = self.start.elapsed().as_secs();
        eprint!("\r\u{1b}[K{} {seconds}s: bound {bound}, best {best}{gap}", self.name);
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        if self.wrote.get() {
            eprint!("\r\u{1b}[K");
        }
    }
}
