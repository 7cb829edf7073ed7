//! The binary `karpsim`: read, call, show. No decision is made here.
//!
//! Data go to standard output, talk to standard error. Exit codes: 0 done, 1 the answer is no where one was asked for,
//! 2 bad input, 3 out of resources.

#[macro_use]
mod talk;

mod budget;
mod catalogue;
mod catalogue_diff;
mod catalogue_import;
mod catalogue_list;
mod catalogue_price;
mod catalogue_show;
mod catalogue_table;
mod completions;
mod decide;
mod embedded;
mod explain;
mod failure;
mod optimum;
mod optimum_result;
mod ordered;
mod output;
mod overlay;
mod play;
mod processor;
mod progress;
mod records;
mod replay;
mod replay_table;
mod scenario_file;
mod schema;
mod settings;
mod sources;
mod table;
mod trace_file;
mod unpack;
mod variant;
mod whatif;

use clap::{Parser, Subcommand};
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
