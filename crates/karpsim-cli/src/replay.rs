//! `karpsim replay`: a trace is played, and what happened is shown.

use crate::failure::Failure;
use crate::output::OutputFile;
use crate::play::PlayFlags;
use crate::progress::Progress;
use crate::trace_file::{TraceFile, trace_failure};
use crate::{ordered, replay_table};
use clap::{Args, ValueEnum};
use karpsim_sim::{LogEvent, ReplayResult, replay_events};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  karpsim replay data/traces/resnet-gpu.json
  karpsim replay trace.jsonl.zst -o json --events events.jsonl
  karpsim replay trace.json --overlay discounts.yaml --overlay spot-price-history.json
  karpsim replay trace.json --delays nodeCreated=20s..60s --seed 3
  karpsim replay trace.yaml --delays none --binding scheduler --batch-max-duration 30s";

/// Play a trace: what Karpenter launches and removes over time, and what it costs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// A trace as JSON, JSON Lines or YAML, plain or packed with zstd or gzip; `-` is standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// How the result is shown
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
    /// Show every node and pod in tables, however many there are
    #[arg(long)]
    full: bool,
    /// Write everything that happens to FILE, as JSON Lines
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    play: PlayFlags,
}

/// Forms of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// The same as YAML.
    Yaml,
}

impl Format {
    /// `value` in this form; `table` makes the table.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn render<T: Serialize>(
        self,
        value: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<String, Failure> {
        match self {
            Format::Table => Ok(table(value)),
            Format::Json => serde_json::to_string_pretty(value).map(|text| text + "\n"),
            Format::Yaml => ordered::yaml(value),
        }
        .map_err(|error| Failure::resources(format!("cannot write the result: {error}")))
    }
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
        let header = play.overlays.header(&trace.reader.header);
        let mut header = header.map_err(|error| trace_failure(&trace.shown, &error))?;
        play.settings.apply(&mut header.options.karpenter);
        let named_in = play.overlays.catalogue_file().unwrap_or(&trace.shown);
        let catalogue = play.catalogue(named_in, &header.catalogue)?;
        let mut events = self.events.as_deref().map(OutputFile::create).transpose()?;
        let mut writing: Option<Failure> = None;
        let mut progress = Progress::new(&header.name);
        let mut observe = |event: &LogEvent| {
            progress.at(event.at as f64 / 1e9);
            if let Some(file) = events.as_mut().filter(|_| writing.is_none()) {
                let written = serde_json::to_writer(&mut *file, event)
                    .map_err(io::Error::from)
                    .and_then(|()| file.write_all(b"\n"));
                writing = written.err().map(|error| file.failure(&error));
            }
        };
        let laid = play.overlays.events(Box::new(trace.reader), play.has_end(&header));
        let laid = play.with_prices(laid, &header, &catalogue);
        let result = replay_events(&header, laid, &play.options, catalogue, Some(&mut observe));
        drop(progress);
        let mut result = result.map_err(|error| trace_failure(&trace.shown, &error))?;
        result.warnings.extend(play.remarks(&header, result.end));
        if let Some(failure) = writing {
            return Err(failure);
        }
        warn(&trace.shown, &result, self.strict)?;
        events.map_or(Ok(()), OutputFile::finish)?;
        let text = self.output.render(&result, |result| replay_table::render(result, self.full))?;
        print(&text)
    }
}

/// Says the warnings of a replay.
///
/// # Errors
///
/// With `strict`, if there is one.
pub(crate) fn warn(shown: &str, result: &ReplayResult, strict: bool) -> Result<(), Failure> {
    if let Some(first) = result.warnings.first().filter(|_| strict) {
        return Err(Failure::input(format!("{shown}: {first}")).hint("--strict takes warnings for errors"));
    }
    for warning in &result.warnings {
        say!("warning: {warning}");
    }
    Ok(())
}

/// Writes to standard output.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Failure::writing("standard output", &error))
}
