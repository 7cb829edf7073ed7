//! `karpsim replay`: a trace is played, and what happened is shown.

use crate::failure::Failure;
use crate::flags::play::PlayFlags;
use crate::flags::{OutputFlag, StrictFlag};
use crate::input::trace::{TraceFile, layers_failure};
use crate::output::figures::clock;
use crate::output::file::OutputFile;
use crate::output::progress::Progress;
use crate::output::{self, print};
use clap::Args;
use karpsim_sim::LogEvent;
use std::io::{self, Write};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  karpsim replay data/traces/resnet-gpu.json
  karpsim replay trace.jsonl.zst -o json --events events.jsonl
  karpsim replay trace.json --overlay discounts.yaml --overlay spot-price-history.json
  karpsim replay trace.json --delays nodeCreated=20s..60s --seed 3
  karpsim replay trace.yaml --delays none --binding scheduler --batch-max-duration 30s";

/// Replay a trace: what Karpenter launches and removes over time, and what it costs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// Trace as JSON, JSON Lines or YAML, optionally compressed with zstd or gzip; `-` reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    #[command(flatten)]
    output: OutputFlag,
    /// Show all decisions, nodes and pods in tables
    #[arg(long)]
    full: bool,
    /// Write every event to FILE, as JSON Lines
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    #[command(flatten)]
    strict: StrictFlag,
    #[command(flatten)]
    play: PlayFlags,
}

impl Replay {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If something in the trace is wrong; then nothing is written.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let play = self.play.play(&self.trace)?;
        let trace = TraceFile::open(&self.trace)?;
        let name = trace.reader.header.name.clone();
        let mut events = self.events.as_deref().map(OutputFile::create).transpose()?;
        let mut writing: Option<Failure> = None;
        let mut progress = Progress::new();
        let mut count = 0_u32;
        let mut observe = |event: &LogEvent| {
            count += 1;
            // To ask for the time takes longer than an event does.
            if count.is_multiple_of(256) {
                progress.say(|| format!("{name} {}", clock(event.at as f64 / 1e9)));
            }
            if let Some(file) = events.as_mut().filter(|_| writing.is_none()) {
                let written = serde_json::to_writer(&mut *file, event)
                    .map_err(io::Error::from)
                    .and_then(|()| file.write_all(b"\n"));
                writing = written.err().map(|error| file.failure(&error));
            }
        };
        let result = play.with_layers(|layers| layers.replay(trace.reader, Some(&mut observe)));
        drop(progress);
        let mut result = result.map_err(|error| layers_failure(&trace.shown, &error))?;
        result.warnings.extend(play.remarks());
        if let Some(failure) = writing {
            return Err(failure);
        }
        self.strict.warn(Some(&trace.shown), &result.warnings)?;
        events.map_or(Ok(()), OutputFile::finish)?;
        let text = self.output.format.render(&result, |result| output::replay::table(result, self.full))?;
        print(&text)
    }
}
