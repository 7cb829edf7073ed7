//! The binary `karpsim`: it reads files, calls the library and prints. No decision is made here.
//!
//! Data goes to standard output, messages to standard error. Exit codes: 0 success, 1 the answer is no (`catalogue diff`
//! found differences), 2 bad input, 3 out of resources.

#[macro_use]
mod output;

mod commands;
mod failure;
mod flags;
mod input;
mod processor;

use clap::{Parser, Subcommand};
use commands::{budget, catalogue, completions, decide, explain, optimum, replay, schema, whatif};
use std::process::ExitCode;

/// Simulate Karpenter offline: provisioning, disruption and cost
#[derive(Debug, Parser)]
#[command(name = "karpsim", version, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What `karpsim` alone prints.
const FIRST_STEPS: &str = "\
karpsim simulates Karpenter offline: provisioning, disruption and cost.

Things to try first:

  Replay an autoscaling trace and see what Karpenter launches, removes and spends
    karpsim replay data/traces/resnet-gpu.json

  See what Karpenter would launch for the pending pods of your cluster
    kubectl get pods,nodes,nodepools,nodeclaims,daemonsets -A -o json | karpsim decide - --catalogue aws/us-west-2

  Find the cheapest GPU instances
    karpsim catalogue find 'nvidia.com/gpu>=1' --sort gpu-price --limit 5

Run `karpsim --help` for all commands.
";

/// One file a command.
#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Replay),
    #[command(name = "whatif")]
    WhatIf(whatif::WhatIf),
    Decide(decide::Decide),
    Explain(explain::Explain),
    #[command(name = "optimum")]
    Optimum(optimum::OptimumCommand),
    #[command(name = "budget")]
    Budget(budget::BudgetCommand),
    Catalogue(catalogue::CatalogueCommand),
    Schema(schema::Schema),
    Completions(completions::Completions),
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let Some(command) = &command_line.command else { return exit_code(output::print(FIRST_STEPS)) };
    exit_code(match command {
        Command::Replay(command) => command.run(),
        Command::WhatIf(command) => command.run(),
        Command::Decide(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Optimum(command) => command.run(),
        Command::Budget(command) => command.run(),
        Command::Catalogue(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
    })
}

/// Says what went wrong, if something did.
fn exit_code(outcome: Result<(), failure::Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let said = failure.to_string();
            if !said.is_empty() {
                say!("{said}");
            }
            ExitCode::from(failure.code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CommandLine;
    use clap::CommandFactory;

    #[test]
    fn flags_do_not_contradict_each_other() {
        CommandLine::command().debug_assert();
    }
}
