//! `karpsim completions`: completion scripts for shells.

use crate::failure::Failure;
use crate::output::print;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  karpsim completions bash > ~/.local/share/bash-completion/completions/karpsim
  karpsim completions zsh > ~/.zfunc/_karpsim
  karpsim completions fish > ~/.config/fish/completions/karpsim.fish";

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::CommandLine::command(), "karpsim", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}
