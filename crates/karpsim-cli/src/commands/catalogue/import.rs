//! `karpsim catalogue import`: own catalogues and price series.

use crate::failure::Failure;
use crate::flags::catalogue::CapacityFlags;
use crate::flags::time::time;
use crate::input::unpack;
use crate::output::file::OutputFile;
use crate::output::print;
use clap::{Args, Subcommand, ValueEnum};
use karpsim::catalogue::{self, Catalogue, kwok};
use karpsim::model::meta::Time;
use karpsim::problem::Problem;
use karpsim::provider::import::aws::AwsImport;
use karpsim::provider::import::price_series;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Import a catalogue or spot prices from files of other tools
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    Aws(Aws),
    Kwok(Kwok),
    SpotPrices(SpotPrices),
}

const AWS_HELP: &str = "\
FILE is the output of these commands, in any order and any number of files:
  aws ec2 describe-instance-types
  aws ec2 describe-instance-type-offerings --location-type availability-zone
  aws ec2 describe-availability-zones
  aws pricing get-products --region us-east-1 --service-code AmazonEC2 --filters \\
    Type=TERM_MATCH,Field=regionCode,Value=REGION Type=TERM_MATCH,Field=operatingSystem,Value=Linux \\
    Type=TERM_MATCH,Field=preInstalledSw,Value=NA Type=TERM_MATCH,Field=capacitystatus,Value=Used
  aws ec2 describe-spot-price-history --product-descriptions Linux/UNIX 'Linux/UNIX (Amazon VPC)' --start-time NOW

Example:
  karpsim catalogue import aws *.json --output mine.json && karpsim catalogue list mine.json";

/// Import a catalogue from the JSON output of the AWS CLI
#[derive(Debug, Args)]
#[command(after_help = AWS_HELP)]
struct Aws {
    /// Files with the output of AWS CLI commands
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Region, if the files cover more than one
    #[arg(long)]
    region: Option<String>,
    #[command(flatten)]
    capacity: CapacityFlags,
    #[command(flatten)]
    to: To,
}

const KWOK_HELP: &str = "\
Example:
  karpsim catalogue import kwok instance_types.json --output kwok.json";

/// Import a catalogue from the instance types file of Karpenter's KWOK provider
#[derive(Debug, Args)]
#[command(after_help = KWOK_HELP)]
struct Kwok {
    /// Instance types file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    to: To,
}

const SPOT_HELP: &str = "\
The result is a trace with only `price` events, for `karpsim replay TRACE --overlay prices.jsonl`. A history that covers
the trace's own time needs no import: pass it to --overlay directly.

Example:
  aws ec2 describe-spot-price-history --start-time 2026-08-13T00:00:00Z > history.json
  karpsim catalogue import spot-prices history.json --start 2026-08-13 --output prices.jsonl
  karpsim replay trace.json --overlay prices.jsonl";

/// Import a spot price history as price events for a replay
#[derive(Debug, Args)]
#[command(after_help = SPOT_HELP)]
struct SpotPrices {
    /// Output of `aws ec2 describe-spot-price-history`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Time in the history that becomes the start of the trace [default: the first price]
    #[arg(long, value_name = "TIME", value_parser = time)]
    start: Option<Time>,
    #[command(flatten)]
    output: OutputFileFlag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A catalogue file
    Json,
    /// KWOK's instance types file
    Kwok,
}

#[derive(Debug, Args)]
struct To {
    /// Format of the catalogue
    #[arg(short = 'o', long = "form", value_enum, default_value = "json")]
    form: Form,
    #[command(flatten)]
    output: OutputFileFlag,
}

/// Where a result goes.
#[derive(Debug, Args)]
struct OutputFileFlag {
    /// Write to FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl OutputFileFlag {
    fn write(&self, text: &str) -> Result<(), Failure> {
        let Some(path) = &self.output else { return print(text) };
        let mut file = OutputFile::create(path)?;
        if let Err(error) = file.write_all(text.as_bytes()) {
            return Err(file.failure(&error));
        }
        file.finish()
    }
}

impl Import {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If a file is wrong, or parts are missing.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Sub::Aws(command) => command.run(),
            Sub::Kwok(command) => {
                let text = unpack::text(&command.file)?;
                let catalogue = kwok::read(&text).map_err(|problem| in_file(&command.file, &problem))?;
                command.to.write(&catalogue)
            }
            Sub::SpotPrices(command) => command.run(),
        }
    }
}

fn read(files: &[PathBuf]) -> Result<AwsImport, Failure> {
    let mut import = AwsImport::default();
    for path in files {
        let text = unpack::text(path)?;
        import.add(&text).map_err(|problem| in_file(path, &problem))?;
    }
    Ok(import)
}

impl Aws {
    fn run(&self) -> Result<(), Failure> {
        let (catalogue, notes) = read(&self.files)?
            .finish(self.region.as_deref(), &self.capacity.settings())
            .map_err(|problem| {
                let failure = Failure::input(problem.to_string());
                match problem.hint() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            })?;
        for note in notes {
            say!("warning: {note}");
        }
        self.to.write(&catalogue)
    }
}

impl SpotPrices {
    fn run(&self) -> Result<(), Failure> {
        let import = read(&self.files)?;
        let prices = import.spot_prices();
        let start = match self.start {
            Some(start) => start.0,
            None => prices
                .iter()
                .map(|price| price.at)
                .min()
                .ok_or_else(|| Failure::input("the files have no spot prices for Linux"))?,
        };
        let text = price_series::write_trace(&price_series::series(prices, start), start);
        self.output.write(&text)
    }
}

impl To {
    fn write(&self, catalogue: &Catalogue) -> Result<(), Failure> {
        let text = match self.form {
            Form::Json => catalogue::write(catalogue),
            Form::Kwok => kwok::write(catalogue),
        };
        self.output.write(&text)?;
        if let Some(path) = &self.output.output {
            say!("wrote {} instance types to {}", catalogue.instance_types.len(), path.display());
        }
        Ok(())
    }
}

/// A problem in a file that was named on the command line.
fn in_file(path: &Path, problem: &Problem) -> Failure {
    Failure::problem(&unpack::shown(path), 0, problem)
}
