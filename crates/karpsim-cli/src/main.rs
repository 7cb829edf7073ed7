//! The binary `karpsim`: read, call, show. No decision is made here.
//!
//! Data go to standard output, talk to standard error. Exit codes: 0 done, 1 the answer is no where one was asked for,
//! 2 bad input, 3 out of resources.

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

/// What Karpenter would do, offline: provisioning, disruption, cost
#[derive(Debug, Parser)]
#[command(name = "karpsim", version, arg_required_else_help = true, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

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
    let outcome = match &command_line.command {
        Command::Replay(command) => command.run(),
        Command::WhatIf(command) => command.run(),
        Command::Decide(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Optimum(command) => command.run(),
        Command::Budget(command) => command.run(),
        Command::Catalogue(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
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
