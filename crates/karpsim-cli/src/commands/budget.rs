//! `karpsim budget`: what the disruption budgets of each NodePool allow over time.

use crate::failure::Failure;
use crate::flags::OutputFlag;
use crate::flags::time::{duration, time};
use crate::input::scenario::ScenarioFlags;
use crate::output::format::API_VERSION;
use crate::output::print;
use crate::output::table::{Table, left, right};
use clap::Args;
use karpsim::explain::BudgetRow;
use karpsim::model::meta::{Duration, Time};
use serde::Serialize;

const EXAMPLES: &str = "\
Examples:
  karpsim budget cluster.yaml --from 2026-01-05 --to 2026-01-12
  karpsim budget cluster.yaml --from 2026-01-05 --to 2026-01-06 --step 1h -o json

Each row holds from its time on. There is one row for each NodePool at the start, and one whenever a number changes.
The nodes are those in the file throughout.";

/// Show how many nodes each NodePool's disruption budgets allow to be disrupted over time
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BudgetCommand {
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// Start, such as 2026-01-05 or 2026-01-05T09:00:00Z [default: the scenario's `now`]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Time>,
    /// End [default: one week after the start]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Time>,
    /// Check only at this interval, such as 1h [default: whenever a number changes]
    #[arg(long, value_name = "DURATION", value_parser = step, allow_hyphen_values = true)]
    step: Option<Duration>,
    #[command(flatten)]
    output: OutputFlag,
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
        let loaded = self.scenario.load()?;
        let from = self.from.unwrap_or(loaded.scenario.now);
        let to = self.to.unwrap_or_else(|| karpsim::explain::later(from, WEEK));
        if to < from {
            return Err(Failure::input(format!(
                "--to: invalid value `{}`: expected {} or later",
                to.0, from.0
            )));
        }
        let items = karpsim::explain::budget(&loaded.scenario, from, to, self.step).map_err(|error| {
            Failure::input(format!("{}: {error}", loaded.shown)).hint("use a shorter span or a longer --step")
        })?;
        let list = BudgetList { api_version: API_VERSION, kind: "BudgetList", items };
        print(&self.output.format.render(&list, table)?)
    }
}

fn step(text: &str) -> Result<Duration, String> {
    duration(text)
        .ok()
        .filter(|step| step.nanos >= 1_000_000_000)
        .ok_or_else(|| "expected a duration of 1s or more, such as 1h".to_owned())
}

fn table(list: &BudgetList) -> String {
    let mut table = Table::new([
        left("FROM"),
        left("NODEPOOL"),
        right("NODES"),
        right("DISRUPTING"),
        right("EMPTY"),
        right("DRIFTED"),
        right("UNDERUTILIZED"),
        left("BUDGETS"),
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
    if table.is_empty() { "No NodePools.\n".to_owned() } else { table.to_string() }
}
