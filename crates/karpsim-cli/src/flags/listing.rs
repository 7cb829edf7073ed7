//! Flags for lists of instance types: order, number, format.

use crate::failure::Failure;
use crate::output::format::ListFormat;
use crate::output::instance_types::{Line, comma_separated, print_catalogue, print_table, table};
use crate::output::{lines, print};
use clap::{Args, ValueEnum};
use karpsim::catalogue::Catalogue;
use karpsim::catalogue::view::View;
use std::cmp::Ordering;

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Family, then size
    Name,
    /// On-demand price, or the lowest price if there is none
    Price,
    /// Spot price
    Spot,
    /// Price per GPU
    GpuPrice,
    /// Price per GiB of GPU memory
    GpuGibPrice,
    /// Price per vCPU
    VcpuPrice,
    /// Number of vCPUs
    Vcpu,
    /// Memory
    Memory,
    /// Number of GPUs
    Gpu,
    /// Total GPU memory
    GpuMemory,
    /// Network bandwidth
    Network,
}

/// How a list is shown.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ListOutputFlag {
    /// Output format
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: ListFormat,
}

/// How long a list may be.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct LimitFlag {
    /// Maximum number of rows
    #[arg(long = "limit", value_name = "N")]
    pub(crate) most: Option<usize>,
}

impl LimitFlag {
    /// The number, if any will do a very large one.
    pub(crate) fn most(self) -> usize {
        self.most.unwrap_or(usize::MAX)
    }
}

/// How a list of instance types is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListingFlags {
    #[command(flatten)]
    pub(crate) output: ListOutputFlag,
    /// Sort order
    #[arg(long, value_enum, default_value = "name")]
    sort: Sort,
    /// Reverse the sort order
    #[arg(long)]
    reverse: bool,
    #[command(flatten)]
    limit: LimitFlag,
}

impl ListingFlags {
    /// A flag that was given and is about types.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--sort", self.sort != Sort::Name),
            ("--reverse", self.reverse),
            ("--limit", self.limit.most.is_some()),
        ];
        flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    /// Prints the types of `catalogue`.
    ///
    /// # Errors
    ///
    /// If it cannot be printed.
    pub(crate) fn show(&self, mut catalogue: Catalogue) -> Result<(), Failure> {
        let order: Vec<usize> = {
            let mut lines: Vec<(usize, Line<'_>)> =
                catalogue.instance_types.iter().map(|it| View::new(it)).map(Line::new).enumerate().collect();
            lines.sort_by(|(_, a), (_, b)| {
                let by_key = match (a.key(self.sort), b.key(self.sort)) {
                    (Some(a), Some(b)) if self.reverse => b.total_cmp(&a),
                    (Some(a), Some(b)) => a.total_cmp(&b),
                    // Those that have no such figure come last, whichever way.
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                };
                let by_name = a.by_name(b);
                by_key.then(if self.reverse && self.sort == Sort::Name { by_name.reverse() } else { by_name })
            });
            lines.into_iter().map(|(index, _)| index).collect()
        };
        let mut slots: Vec<Option<_>> =
            std::mem::take(&mut catalogue.instance_types).into_iter().map(Some).collect();
        catalogue.instance_types = order
            .into_iter()
            .take(self.limit.most())
            .filter_map(|index| slots.get_mut(index).and_then(Option::take))
            .collect();
        match self.output.format {
            ListFormat::Table | ListFormat::Wide if catalogue.instance_types.is_empty() => Ok(()),
            ListFormat::Table | ListFormat::Wide => {
                let wide = self.output.format == ListFormat::Wide;
                print_table(&table(&catalogue, wide).to_string(), wide)
            }
            ListFormat::Csv => print(&comma_separated(&catalogue)?),
            ListFormat::Name => print(&lines(catalogue.instance_types.iter().map(|it| it.name.as_str()))),
            format => print_catalogue(&mut catalogue, format),
        }
    }
}
