//! Flags that commands share.

pub(crate) mod catalogue;
pub(crate) mod listing;
pub(crate) mod play;
pub(crate) mod settings;
pub(crate) mod time;

use crate::failure::Failure;
use crate::input::overlay::{self, OverlaidCatalogues};
use crate::input::sources::Sources;
use crate::output::format::Format;
use clap::Args;
use karpsim::model::meta::Time;
use karpsim::scenario::ScenarioText;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a result is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputFlag {
    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// Where instance types come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceFlags {
    /// Directory that `catalogue.file` is relative to [default: the directory of the input file]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Catalogue of instance types, in place of the one that the input names: a built-in catalogue or a file
    #[arg(long, value_name = "NAME|FILE")]
    catalogue: Option<String>,
}

impl SourceFlags {
    /// Where the input in `file` finds its catalogues, which `overlays` change.
    ///
    /// # Errors
    ///
    /// If the catalogue cannot be had.
    pub(crate) fn sources(&self, file: &Path, overlays: Arc<OverlaidCatalogues>) -> Result<Sources, Failure> {
        Sources::new(file, self.root.as_deref(), self.catalogue.as_deref(), overlays)
    }
}

/// What changes catalogues where no time passes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OverlayFlag {
    /// CatalogueOverlay to apply to the catalogue: discounts, reservations, GPU sharing; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Vec<PathBuf>,
}

impl OverlayFlag {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// If a file is wrong, or is for a trace.
    pub(crate) fn read(&self) -> Result<OverlaidCatalogues, Failure> {
        overlay::of_catalogue(&self.overlay).map(OverlaidCatalogues::new)
    }
}

/// When a scenario is decided.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct NowFlag {
    /// Current time, such as 2026-09-01 or 2026-09-01T12:00:00Z [default: the scenario's `now`]
    #[arg(long, value_name = "TIME", value_parser = time::time)]
    now: Option<Time>,
}

impl NowFlag {
    /// Sets the clock of `scenario`, if the flag is given.
    pub(crate) fn apply(self, scenario: &mut ScenarioText) {
        scenario.now = self.now.or(scenario.now);
    }
}

/// Whether warnings are errors.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct StrictFlag {
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

impl StrictFlag {
    /// Says warnings; an error names the file `shown` too, if it is not in the warnings.
    ///
    /// # Errors
    ///
    /// With the flag, if there is one.
    pub(crate) fn warn<W: Display>(
        self,
        shown: Option<&str>,
        warnings: impl IntoIterator<Item = W>,
    ) -> Result<(), Failure> {
        for warning in warnings {
            if self.strict {
                let place = shown.map(|shown| format!("{shown}: ")).unwrap_or_default();
                return Err(strict_failure(format!("{place}{warning}")));
            }
            say!("warning: {warning}");
        }
        Ok(())
    }
}

/// A warning as an error.
pub(crate) fn strict_failure(warning: String) -> Failure {
    Failure::input(warning).hint("--strict treats warnings as errors")
}

/// How many threads compute.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ThreadsFlag {
    /// Number of threads [default: number of CPUs]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}
