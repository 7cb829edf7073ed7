//! `karpsim catalogue`: its subcommands.

mod diff;
mod find;
mod import;
mod list;
mod price;
mod show;

use crate::failure::Failure;
use clap::{Args, Subcommand};

const AFTER_HELP: &str = "\
Prices marked with ~ are not published for their region: they are derived from other published
prices or estimated. `-o wide` shows the source and date of every price.";

/// List, search, compare and import instance types and their prices
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CatalogueCommand {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    List(list::List),
    Show(show::Show),
    Find(find::Find),
    Price(price::Price),
    Diff(diff::Diff),
    Import(import::Import),
}

impl CatalogueCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the input is wrong.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Sub::List(command) => command.run(),
            Sub::Show(command) => command.run(),
            Sub::Find(command) => command.run(),
            Sub::Price(command) => command.run(),
            Sub::Diff(command) => command.run(),
            Sub::Import(command) => command.run(),
        }
    }
}
