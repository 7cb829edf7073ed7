//! `karpsim budget`: what the disruption budgets of each NodePool allow over time.

use crate::failure::Failure;
use crate::replay::{Format, print};
use crate::scenario_file::ScenarioFlags;
use crate::table::{Align, Table};
use clap::Args;
use karpsim::explain::BudgetRow;
use karpsim::model::meta::{Duration, Time};
use serde::Serialize;

const EXAMPLES: &str = "\
Examples:
  karpsim budget cluster.yaml --from 2026-01-05T00:00:00Z --to 2026-01-12T00:00:00Z
  karpsim budget cluster.yaml --from 2026-01-05T00:00:00Z --to 2026-01-06T00:00:00Z --step 1h -o json

A row says what holds from its time on; there is one for each NodePool at first, and then whenever something changes.
Nodes stay as they are in the file.";

/// Show how many nodes the disruption budgets of each NodePool allow to be disrupted over time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BudgetCommand {
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// From when, as 2026-01-05T00:00:00Z [default: the scenario's `now`]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until when [default: a week later]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Look only at moments so far apart, as 1h [default: whenever something changes]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    step: Option<String>,
    /// How it is shown
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

const WEEK: Duration = Duration::from_secs(7 * 86_400);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BudgetList {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<BudgetRow>,
}

impl BudgetCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the scenario is wrong, or the times are.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let from = self.from.as_deref().map(|text| time("--from", text)).transpose()?;
        let to = self.to.as_deref().map(|text| time("--to", text)).transpose()?;
        let step = self.step.as_deref().map(step).transpose()?;
        let loaded = self.scenario.load()?;
        let from = from.unwrap_or(loaded.scenario.now);
        let to = to.unwrap_or_else(|| karpsim::explain::later(from, WEEK));
        if to < from {
            return Err(Failure::input(format!("--to: found {}, allowed is {} or later", to.0, from.0)));
        }
        let items = karpsim::explain::budget(&loaded.scenario, from, to, step).map_err(|error| {
            Failure::input(format!("{}: {error}", loaded.shown)).hint("a shorter span, or a longer --step")
        })?;
        let list = BudgetList { api_version: "karpsim.dev/v1alpha1", kind: "BudgetList", items };
        print(&self.output.render(&list, table)?)
    }
}

fn time(flag: &str, text: &str) -> Result<Time, Failure> {
    serde_json::from_value::<Time>(serde_json::Value::String(text.to_owned())).map_err(|_| {
        Failure::input(format!("{flag}: found `{text}`, allowed is a time such as 2026-01-05T00:00:00Z"))
    })
}

fn step(text: &str) -> Result<Duration, Failure> {
    Duration::parse(text).filter(|step| step.nanos >= 1_000_000_000).ok_or_else(|| {
        Failure::input(format!("--step: found `{text}`, allowed is a duration such as 1h, 1s or more"))
    })
}

fn table(list: &BudgetList) -> String {
    let mut table = Table::new(&[
        ("FROM", Align::Left),
        ("NODEPOOL", Align::Left),
        ("NODES", Align::Right),
        ("DISRUPTING", Align::Right),
        ("EMPTY", Align::Right),
        ("DRIFTED", Align::Right),
        ("UNDERUTILIZED", Align::Right),
        ("BUDGETS", Align::Left),
    ]);
    for row in &list.items {
        table.row(vec![
            row.at.0.to_string(),
            row.node_pool.to_string(),
            row.nodes.to_string(),
            row.disrupting.to_string(),
            row.empty.to_string(),
            row.drifted.to_string(),
            row.underutilized.to_string(),
            row.budgets.join("; "),
        ]);
    }
    if table.is_empty() { "no NodePool\n".to_owned() } else { table.to_string() }
}
