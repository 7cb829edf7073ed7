//! `karpsim schema`: the file formats that karpsim reads and writes, as JSON Schema.

use crate::failure::Failure;
use crate::output::format::json;
use crate::output::print;
use clap::Args;
use clap::builder::PossibleValuesParser;
use karpsim::input::documents::Document;

const EXAMPLES: &str = "\
Example:
  karpsim schema scenario > scenario.schema.json";

/// Print the JSON Schema of a file format
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Schema {
    /// File format
    #[arg(value_name = "FORMAT", value_parser = PossibleValuesParser::new(Document::ALL.map(Document::name)))]
    form: String,
}

impl Schema {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If it cannot be printed.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let document = Document::ALL.into_iter().find(|document| document.name() == self.form);
        document.map_or(Ok(()), |document| print(&json(&document.schema())?))
    }
}
