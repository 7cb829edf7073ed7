//! `karpsim whatif`: a trace as it is, and with changes, side by side.

use crate::failure::Failure;
use crate::flags::OutputFlag;
use crate::flags::StrictFlag;
use crate::flags::play::PlayFlags;
use crate::input::overlay;
use crate::input::trace::{TraceFile, layers_failure};
use crate::output::figures::{HOURS_PER_MONTH, dollars, wait};
use crate::output::format::API_VERSION;
use crate::output::print;
use crate::output::table::{Table, left, right};
use clap::Args;
use karpsim::problem::Notice;
use karpsim_sim::ReplayResult;
use karpsim_sim::result::Percentiles;
use karpsim_sim::variant::Variant;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the trace without changes is called.
const BASE: &str = "base";

const EXAMPLES: &str = "\
Examples:
  karpsim whatif data/traces/resnet-gpu.json \\
    --variant spot=data/variants/resnet-spot.yaml \\
    --variant keep-5m=data/variants/resnet-keep-5m.yaml
  karpsim whatif trace.json --variant savings-plan=discounts.yaml --variant last-week=spot-price-history.json

A patch lists the changes to the trace:
  objects:               # JSON merge patches: null removes a field, lists are replaced
  - kind: NodePool       # patch a Provisioner as its NodePool
    name: gpu
    patch: {spec: {disruption: {consolidateAfter: 5m}}}
  options: {delays: {nodeReady: 30}}
  catalogue: {name: aws/us-east-1}";

/// Replay variants of a trace and compare their cost and pod pending times
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WhatIf {
    /// Trace as JSON, JSON Lines or YAML, optionally compressed with zstd or gzip; `-` reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// Variant to compare: a name and a file with a patch, or any file that --overlay accepts; repeatable
    #[arg(long = "variant", value_name = "NAME=FILE", required = true)]
    variants: Vec<String>,
    #[command(flatten)]
    output: OutputFlag,
    #[command(flatten)]
    strict: StrictFlag,
    #[command(flatten)]
    play: PlayFlags,
}

/// All variants of a trace.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WhatIfResult {
    api_version: &'static str,
    kind: &'static str,
    /// Name of the trace.
    name: String,
    /// How long it is, in seconds.
    seconds: f64,
    /// The trace as it is (`base`), then the variants in the order in which they were given.
    variants: Vec<VariantResult>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VariantResult {
    name: String,
    cost_usd: f64,
    cost_usd_against_base: f64,
    /// Absent if the base costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_percent_against_base: Option<f64>,
    cost_usd_per_month_against_base: f64,
    pods_pending_seconds: Percentiles,
    nodes_launched: usize,
    nodes_removed: usize,
    pods_never_placed: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl WhatIf {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If something in the trace or in a patch is wrong; then nothing is shown.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let variants = self.variants()?;
        let play = self.play.play(&self.trace)?;
        let TraceFile { shown, reader } = TraceFile::open(&self.trace)?;
        let failure = |error| layers_failure(&shown, &error);
        let original = play.with_layers(|layers| layers.original(reader)).map_err(failure)?;
        let jobs: Vec<Option<&Variant>> =
            std::iter::once(None).chain(variants.iter().map(|(_, variant)| Some(variant))).collect();
        let results: Vec<Result<ReplayResult, Failure>> = play.with_layers(|layers| {
            jobs.into_par_iter()
                .map(|variant| layers.replay_variant(&original, variant).map_err(failure))
                .collect()
        });
        // Of several failures the first is said, whichever was there first.
        let mut results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        for result in &mut results {
            result.warnings.extend(play.remarks());
        }
        let names = std::iter::once(BASE).chain(variants.iter().map(|(name, _)| name.as_str()));
        let result = compare(names, results, &original.notices);
        self.strict.warn(Some(&shown), result.warnings())?;
        let text = self.output.format.render(&result, table)?;
        print(&text)
    }

    fn variants(&self) -> Result<Vec<(String, Variant)>, Failure> {
        let mut names = BTreeSet::from([BASE]);
        let mut variants = Vec::with_capacity(self.variants.len());
        for variant in &self.variants {
            let Some((name, file)) =
                variant.split_once('=').filter(|(name, file)| !name.is_empty() && !file.is_empty())
            else {
                return Err(Failure::input(format!(
                    "--variant: invalid value `{variant}`: expected NAME=FILE"
                )));
            };
            if !names.insert(name) {
                let failure = Failure::input(format!("--variant: duplicate name `{name}`"));
                return Err(if name == BASE {
                    failure.hint("`base` is the trace without changes")
                } else {
                    failure
                });
            }
            variants.push((name.to_owned(), overlay::variant(Path::new(file))?));
        }
        Ok(variants)
    }
}

impl WhatIfResult {
    /// Every warning once.
    fn warnings(&self) -> impl Iterator<Item = &String> {
        let mut said = BTreeSet::new();
        let all = self.variants.iter().flat_map(|variant| &variant.warnings);
        all.filter(move |warning| said.insert(*warning))
    }
}

fn compare<'a>(
    names: impl Iterator<Item = &'a str>,
    results: Vec<ReplayResult>,
    notices: &[Notice],
) -> WhatIfResult {
    let base = results.first();
    let base_cost = base.map_or(0.0, |base| base.totals.cost_usd);
    let name = base.map(|base| base.name.clone()).unwrap_or_default();
    let seconds = base.map_or(0.0, |base| base.end);
    let variants = names
        .zip(results)
        .enumerate()
        .map(|(index, (name, result))| {
            let totals = &result.totals;
            let against = totals.cost_usd - base_cost;
            let own = if index == 0 { notices } else { &[] };
            VariantResult {
                name: name.to_owned(),
                cost_usd: totals.cost_usd,
                cost_usd_against_base: nanos(against),
                cost_percent_against_base: (base_cost > 0.0)
                    .then(|| (against / base_cost * 1e6).round() / 1e4),
                cost_usd_per_month_against_base: if seconds > 0.0 {
                    nanos(against / seconds * 3600.0 * HOURS_PER_MONTH)
                } else {
                    0.0
                },
                pods_pending_seconds: totals.pods_pending_seconds,
                nodes_launched: totals.nodes_launched,
                nodes_removed: totals.nodes_removed,
                pods_never_placed: totals.pods_never_bound,
                warnings: own.iter().map(ToString::to_string).chain(result.warnings).collect(),
            }
        })
        .collect();
    WhatIfResult { api_version: API_VERSION, kind: "WhatIfResult", name, seconds, variants }
}

/// To the nano-dollar, of which costs are made.
fn nanos(dollars: f64) -> f64 {
    (dollars * 1e9).round() / 1e9
}

fn table(result: &WhatIfResult) -> String {
    let mut table = Table::new([
        left("VARIANT"),
        right("COST"),
        right("DIFFERENCE"),
        right("%"),
        right("PER MONTH"),
        right("PENDING P50"),
        right("PENDING P99"),
        right("LAUNCHED"),
        right("REMOVED"),
        right("NEVER BOUND"),
    ]);
    for (index, variant) in result.variants.iter().enumerate() {
        let base = index == 0;
        let signed = |amount: f64| {
            let sign = if amount > 0.0 { "+" } else { "" };
            if base { "-".to_owned() } else { format!("{sign}{}", dollars(amount)) }
        };
        table.row(vec![
            variant.name.clone(),
            dollars(variant.cost_usd),
            signed(variant.cost_usd_against_base),
            match variant.cost_percent_against_base {
                Some(percent) if !base => format!("{percent:+.1} %"),
                _ => "-".to_owned(),
            },
            signed(variant.cost_usd_per_month_against_base),
            wait(variant.pods_pending_seconds.p50),
            wait(variant.pods_pending_seconds.p99),
            variant.nodes_launched.to_string(),
            variant.nodes_removed.to_string(),
            variant.pods_never_placed.to_string(),
        ]);
    }
    table.to_string()
}
