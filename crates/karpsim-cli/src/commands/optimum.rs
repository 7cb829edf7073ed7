//! `karpsim optimum`: what the cheapest possible answer to a scenario costs, and what is proven of it.

use crate::failure::Failure;
use crate::flags::time::duration;
use crate::flags::{OutputFlag, ThreadsFlag};
use crate::input::scenario::ScenarioFlags;
use crate::output::figures::dollars;
use crate::output::optimum::{OptimumResult, table};
use crate::output::print;
use crate::output::progress::Progress as ProgressLine;
use clap::{Args, ValueEnum};
use karpsim::model::meta::Duration as KubernetesDuration;
use karpsim::scenario::ScenarioKind;
use karpsim_optimum::{Aim, Limits, OptimizationProblem, Optimum, Preferences, Progress, Watch};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  karpsim optimum scenario.json
  karpsim optimum recordings.jsonl.zst --scenario binpack/m5-7 --time-limit 10s -o json
  karpsim optimum cluster.json --evictions 20      rearrange a running cluster, evicting at most 20 pods

The optimum schedules as many pods as possible, in order of priority, at the lowest cost. Required constraints always
hold. Preferences are ignored by default; with --preferences respect, those that Karpenter's decision satisfies must be
satisfied. Press Ctrl-C to end the search and print the best result so far.";

/// Find the cheapest feasible decision for a scenario, and how far Karpenter's is from it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OptimumCommand {
    #[command(flatten)]
    scenario: ScenarioFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Time limit for the search; 0 searches until the optimum is proven
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, allow_hyphen_values = true)]
    time_limit: KubernetesDuration,
    /// Stop once the result is proven to be within PERCENT of the optimum
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    gap: f64,
    #[command(flatten)]
    threads: ThreadsFlag,
    /// How to treat preferred affinity, ScheduleAnyway and PreferNoSchedule
    #[arg(long, value_name = "HOW", default_value = "ignore")]
    preferences: PreferenceChoice,
    /// Rearrange the running cluster, evicting at most N pods
    #[arg(long, value_name = "N")]
    evictions: Option<usize>,
    /// Rearrange the running cluster, removing at most N nodes
    #[arg(long, value_name = "N")]
    removed_nodes: Option<usize>,
}

/// What becomes of preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreferenceChoice {
    /// Ignore them
    Ignore,
    /// Satisfy those that Karpenter's decision satisfies
    Respect,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').trim_end().parse::<f64>().ok();
    let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "expected a percentage from 0 to 100, such as 1 or 0.5".to_owned())
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
            time: u64::try_from(self.time_limit.nanos)
                .ok()
                .filter(|nanos| *nanos > 0)
                .map(Duration::from_nanos),
            gap: self.gap / 100.0,
            threads: self.threads.threads.unwrap_or_else(cores).max(1),
            watch: &patience,
        };
        let optimum = Optimum::solve(&problem, &limits);
        let seconds = patience.start.elapsed().as_secs_f64();
        drop(patience);
        let result = OptimumResult::new(&scenario, &optimum, seconds);
        print(&self.output.format.render(&result, |result| table(result, &optimum))?)
    }
}

/// Waits for the search: shows on a terminal how far it is, and ends it on Ctrl-C.
struct Patience {
    start: Instant,
    interrupted: Arc<AtomicBool>,
    name: String,
    line: RefCell<ProgressLine>,
}

impl Patience {
    fn new(name: &str) -> Result<Self, Failure> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let failed = |error: std::io::Error| Failure::resources(format!("cannot handle Ctrl-C: {error}"));
        let interrupt = signal_hook::consts::SIGINT;
        // The second Ctrl-C ends the program: the first has been heard by then.
        signal_hook::flag::register_conditional_shutdown(interrupt, 130, Arc::clone(&interrupted))
            .map_err(failed)?;
        signal_hook::flag::register(interrupt, Arc::clone(&interrupted)).map_err(failed)?;
        Ok(Patience {
            start: Instant::now(),
            interrupted,
            name: name.to_owned(),
            line: RefCell::new(ProgressLine::new()),
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
        self.line.borrow_mut().say(|| {
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
            format!("{} {}s: bound {bound}, best {best}{gap}", self.name, self.start.elapsed().as_secs())
        });
    }
}
