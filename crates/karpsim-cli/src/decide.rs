//! `karpsim decide`: scenarios in, one line with the decision for each out.

use crate::failure::Failure;
use crate::output::OutputFile;
use crate::overlay::CatalogueOverlays;
use crate::processor;
use crate::records::{Body, Record, Records};
use crate::scenario_file::scenario_failure;
use crate::settings::{Settings, SettingsFlags};
use crate::sources::Sources;
use clap::Args;
use karpsim::Decision;
use karpsim::compile::compile;
use karpsim::decision::Method;
use karpsim::disruption::disrupt_compiled;
use karpsim::input::{self, Findings};
use karpsim::provider::aws::scenario::{self, AwsScenario};
use karpsim::provisioning::Round;
use karpsim::scenario::{Scenario, ScenarioKind, ScenarioText};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Scenarios are decided in batches, of which one is read while another is decided: enough to keep every thread busy,
/// and no more text than this in memory.
const BATCH_BYTES: usize = 24 << 20;
const BATCH_RECORDS: usize = 1024;
const FIRST_BATCH_RECORDS: usize = 8;

const EXAMPLES: &str = "\
Examples:
  karpsim decide scenario.json
  karpsim decide recordings.jsonl.zst --root data/conformance > decisions.jsonl
  kubectl get pods,nodes,nodepools,nodeclaims,daemonsets -A -o json | karpsim decide - --catalogue aws/us-west-2

Every line of the output is one object: the scenario's name and what Karpenter would do,
  {\"name\": …, \"newNodeClaims\": …}  for provisioning,
  {\"name\": …, \"commands\": …}       for disruption,
  {\"name\": …, \"instanceTypes\": …}  for what an EC2NodeClass makes of EC2's instance types,
  {\"name\": …, \"launches\": …}       for what its provider launches for NodeClaims.
A scenario that cannot be read ends the run with exit code 2, after the decisions before it.";

/// Decide scenarios: what Karpenter would launch or remove
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Decide {
    /// Scenarios as JSON, YAML or JSON Lines, plain or packed with zstd or gzip; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Folder that `catalogue.file` is relative to [default: the scenario's]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Instance types to use, whatever the scenario names: a catalogue of the program, or a file
    #[arg(long, value_name = "NAME|FILE")]
    catalogue: Option<String>,
    /// Discounts, reservations, GPU sharing: a CatalogueOverlay, applied to every catalogue; repeatable
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Write the processor seconds of each scenario to FILE, as JSON Lines
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,
    /// Threads to decide with [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    settings: SettingsFlags,
}

/// Where the time of a scenario went, in processor seconds.
#[derive(Debug, Clone, Default, Serialize)]
struct Timing {
    name: String,
    read: f64,
    compile: f64,
    decide: f64,
    render: f64,
    /// Of disruption, each method.
    methods: BTreeMap<Method, f64>,
}

/// A decided scenario.
struct Decided {
    line: Vec<u8>,
    findings: Findings,
    timing: Timing,
}

/// A record that could not be decided, with what was found in it before.
struct Refused {
    failure: Failure,
    findings: Findings,
}

impl Decide {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// The first scenario that cannot be read, after the decisions before it.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let settings = self.settings.settings()?;
        let overlays = Arc::new(CatalogueOverlays::read(&self.overlay)?);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.unwrap_or(0))
            .use_current_thread()
            .build()
            .map_err(|error| Failure::resources(format!("cannot start threads: {error}")))?;
        let mut timings = self.timings.as_deref().map(OutputFile::create).transpose()?;
        let mut findings = Findings::default();
        let outcome = threads.install(|| {
            self.files.iter().try_for_each(|file| {
                self.decide_file(file, &settings, &overlays, &mut timings, &mut findings)
            })
        });
        for finding in findings.iter().filter(|_| !self.strict) {
            say!("warning: {finding}");
        }
        outcome?;
        overlays.warn(self.strict)?;
        timings.map_or(Ok(()), OutputFile::finish)
    }

    fn decide_file(
        &self,
        file: &Path,
        settings: &Settings,
        overlays: &Arc<CatalogueOverlays>,
        timings: &mut Option<OutputFile>,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        let (root, catalogue) = (self.root.as_deref(), self.catalogue.as_deref());
        let sources = Sources::new(file, root, catalogue, Arc::clone(overlays))?;
        let mut records = Records::open(file)?;
        let one = One {
            shown: records.shown().to_owned(),
            stem: stem(file),
            sources: &sources,
            settings,
            strict: self.strict,
            timed: self.timings.is_some(),
        };
        // The first batch is small: while it has its catalogue read, the next is.
        let mut batch = read_batch(&mut records, FIRST_BATCH_RECORDS);
        while !batch.records.is_empty() {
            let (next, decided) = rayon::join(
                || {
                    if batch.end.is_none() {
                        read_batch(&mut records, BATCH_RECORDS)
                    } else {
                        Batch::default()
                    }
                },
                || -> Vec<Result<Decided, Box<Refused>>> {
                    batch.records.into_par_iter().map(|record| one.decide(record)).collect()
                },
            );
            write_batch(decided, timings, findings)?;
            if let Some(failure) = batch.end {
                return Err(failure);
            }
            batch = next;
        }
        batch.end.map_or(Ok(()), Err)
    }
}

/// Records to be decided together.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    /// Why no more could be read.
    end: Option<Failure>,
}

fn read_batch(records: &mut Records, most: usize) -> Batch {
    let mut batch = Batch::default();
    let mut bytes = 0;
    while bytes < BATCH_BYTES && batch.records.len() < most {
        match records.next() {
            Ok(Some(record)) => {
                bytes += record.bytes();
                batch.records.push(record);
            }
            Ok(None) => break,
            Err(failure) => {
                batch.end = Some(failure);
                break;
            }
        }
    }
    batch
}

/// Writes decisions up to the first refusal, which is returned.
fn write_batch(
    decided: Vec<Result<Decided, Box<Refused>>>,
    timings: &mut Option<OutputFile>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let failed = |error: io::Error| Failure::writing("standard output", &error);
    for result in decided {
        match result {
            Ok(decided) => {
                findings.append(decided.findings);
                output.write_all(&decided.line).map_err(failed)?;
                if let Some(file) = timings {
                    serde_json::to_writer(&mut *file, &decided.timing)
                        .map_err(io::Error::from)
                        .and_then(|()| file.write_all(b"\n"))
                        .map_err(|error| file.failure(&error))?;
                }
            }
            Err(refused) => {
                findings.append(refused.findings);
                output.flush().map_err(failed)?;
                return Err(refused.failure);
            }
        }
    }
    output.flush().map_err(failed)
}

/// The name of a scenario that has none.
fn stem(file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match name.split_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name,
    }
}

/// What deciding one record needs.
struct One<'a> {
    shown: String,
    stem: String,
    sources: &'a Sources,
    settings: &'a Settings,
    strict: bool,
    timed: bool,
}

impl One<'_> {
    fn decide(&self, record: Record) -> Result<Decided, Box<Refused>> {
        let line = record.line;
        let start = processor::seconds();
        let mut findings = Findings::default();
        if let Body::Json(text) = &record.body
            && scenario::is_one(text)
        {
            return self.decide_provider(text, line, start);
        }
        let scenario = match self.scenario(record, &mut findings) {
            Ok(scenario) => scenario,
            Err(failure) => return Err(Box::new(Refused { failure, findings })),
        };
        let first = if self.strict { findings.iter().next().map(ToString::to_string) } else { None };
        if let Some(finding) = first {
            let place = if line > 1 { format!("{}:{line}", self.shown) } else { self.shown.clone() };
            let failure =
                Failure::input(format!("{place}: {finding}")).hint("--strict takes warnings for errors");
            return Err(Box::new(Refused { failure, findings }));
        }
        let mut timing = Timing { name: scenario.name.to_string(), ..Timing::default() };
        timing.read = processor::seconds() - start;
        let decision = decide(&scenario, self.timed, &mut timing);
        let start = processor::seconds();
        let line = render(&scenario.name, &decision).map_err(|error| {
            Box::new(Refused {
                failure: Failure::resources(error.to_string()),
                findings: Findings::default(),
            })
        })?;
        timing.render += processor::seconds() - start;
        Ok(Decided { line, findings, timing })
    }

    /// Decides a scenario of Karpenter's AWS provider.
    fn decide_provider(&self, text: &str, line: usize, start: f64) -> Result<Decided, Box<Refused>> {
        let mut scenario = AwsScenario::read(text).map_err(|problem| {
            let failure = scenario_failure(&self.shown, line, &problem);
            Box::new(Refused { failure, findings: Findings::default() })
        })?;
        if scenario.name.is_empty() {
            scenario.name = self.stem.as_str().into();
        }
        let mut timing = Timing { name: scenario.name.to_string(), ..Timing::default() };
        let read = processor::seconds();
        let decision = scenario.decide();
        let decided = processor::seconds();
        let line =
            with_name(&scenario.name, |line| serde_json::to_writer(line, &decision)).map_err(|error| {
                let failure = Failure::resources(error.to_string());
                Box::new(Refused { failure, findings: Findings::default() })
            })?;
        timing.read = read - start;
        timing.decide = decided - read;
        timing.render = processor::seconds() - decided;
        Ok(Decided { line, findings: Findings::default(), timing })
    }

    fn scenario(&self, record: Record, findings: &mut Findings) -> Result<Scenario, Failure> {
        let line = record.line;
        let read = match record.body {
            Body::Json(text) => input::read_json(&text),
            Body::Yaml(read) => Ok(*read),
        };
        read.and_then(|read| {
            let mut text: ScenarioText = read.text;
            if text.name.is_empty() {
                text.name = self.stem.as_str().into();
            }
            self.settings.apply(&mut text.options);
            input::validate(text, self.sources, findings)
        })
        .map_err(|problem| scenario_failure(&self.shown, line, &problem))
    }
}

/// Decides, and notes where the time went. The methods of disruption are asked one by one if each is to be timed.
fn decide(scenario: &Scenario, timed: bool, timing: &mut Timing) -> Decision {
    let start = processor::seconds();
    let (problem, algebra) = compile(scenario);
    let compiled = processor::seconds();
    timing.compile = compiled - start;
    let decision = match scenario.kind {
        ScenarioKind::Provisioning => {
            let round = Round::schedule(&problem, algebra);
            timing.decide = processor::seconds() - compiled;
            let decision = round.decision();
            timing.render = processor::seconds() - compiled - timing.decide;
            return Decision::Provisioning(decision);
        }
        ScenarioKind::Disruption if timed => {
            let mut commands = Vec::new();
            for method in Method::ALL {
                let start = processor::seconds();
                commands.extend(disrupt_compiled(&problem, algebra.clone(), &[method]).commands);
                timing.methods.insert(method, processor::seconds() - start);
            }
            let mut decision = disrupt_compiled(&problem, algebra, &[]);
            decision.commands = commands;
            Decision::Disruption(decision)
        }
        ScenarioKind::Disruption => Decision::Disruption(disrupt_compiled(&problem, algebra, &Method::ALL)),
    };
    timing.decide = processor::seconds() - compiled;
    decision
}

/// `{"name": …` and the decision's own fields.
fn render(name: &str, decision: &Decision) -> serde_json::Result<Vec<u8>> {
    with_name(name, |line| decision.write_json(line))
}

/// A line with an object that `write` writes, and in it `name` as the first field.
fn with_name(
    name: &str,
    write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> serde_json::Result<Vec<u8>> {
    let mut line = b"{\"name\":".to_vec();
    serde_json::to_writer(&mut line, name)?;
    let fields = line.len();
    write(&mut line)?;
    // The decision's own bracket becomes the comma: an object with a field more.
    if let Some(bracket) = line.get_mut(fields) {
        *bracket = b',';
    }
    line.push(b'\n');
    Ok(line)
}
