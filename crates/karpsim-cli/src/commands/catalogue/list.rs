//! `karpsim catalogue list`: the catalogues of the program, or the instance types of one.

use crate::failure::Failure;
use crate::flags::catalogue::Changes;
use crate::flags::listing::ListingFlags;
use crate::input::{embedded, sources};
use crate::output::format::{API_VERSION, ListFormat, csv, json, yaml};
use crate::output::instance_types::is_gpu;
use crate::output::table::{Table, left, right};
use crate::output::{lines, print};
use clap::Args;
use karpsim::catalogue::view::{Certainty, OfferingView, View};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  karpsim catalogue list
  karpsim catalogue list aws/us-west-2 --sort gpu-memory --reverse --limit 20
  karpsim catalogue list gcp/us-central1 -o csv > types.csv";

/// List the built-in catalogues, or the instance types of a catalogue
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    /// Catalogue whose instance types to list [default: list the catalogues]
    #[arg(value_name = "NAME|FILE")]
    name: Option<String>,
    /// Same as the argument
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "name")]
    catalogue: Option<String>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    listing: ListingFlags,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If a catalogue cannot be read.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        if let Some(name) = self.name.as_ref().or(self.catalogue.as_ref()) {
            return self.listing.show(self.changes.apply(Arc::unwrap_or_clone(sources::catalogue(name)?))?);
        }
        match self.changes.given().or_else(|| self.listing.given()) {
            Some(flag) => Err(Failure::input(format!("{flag} needs a catalogue"))
                .hint(format!("use `karpsim catalogue list NAME {flag} …`"))),
            None => list_catalogues(self.listing.output.format),
        }
    }
}

fn list_catalogues(format: ListFormat) -> Result<(), Failure> {
    let mut table = Table::new([
        left("NAME"),
        right("TYPES"),
        right("WITH GPU"),
        right("ZONES"),
        left("CURRENCY"),
        right("PRICES"),
        right("ESTIMATED"),
        left("PRICE DATES"),
    ])
    .without_empty_columns();
    let mut objects = Vec::new();
    let mut rows = Vec::new();
    for name in embedded::names() {
        let catalogue = embedded::load(name).map_err(|problem| Failure::problem(name, 0, &problem))?;
        let views: Vec<View<'_>> = catalogue.instance_types.iter().map(|it| View::new(it)).collect();
        let offerings: Vec<OfferingView<'_>> = views.iter().flat_map(View::offerings).collect();
        let zones: BTreeSet<&str> = offerings.iter().map(|offering| offering.zone).collect();
        let with_gpu = views.iter().filter(|view| is_gpu(view)).count();
        let estimated =
            offerings.iter().filter(|offering| offering.certainty != Certainty::Published).count();
        let dates: BTreeSet<&str> = offerings
            .iter()
            .map(|offering| offering.offering.price_date.as_str())
            .filter(|date| !date.is_empty())
            .collect();
        let dates = match (dates.first(), dates.last()) {
            (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
            (Some(only), _) => (*only).to_owned(),
            _ => String::new(),
        };
        let share = estimated * 100 / offerings.len().max(1);
        let currency = catalogue.currency.as_deref().unwrap_or("USD").to_owned();
        table.row(vec![
            name.to_owned(),
            views.len().to_string(),
            with_gpu.to_string(),
            zones.len().to_string(),
            currency.clone(),
            offerings.len().to_string(),
            format!("{share} %"),
            dates.clone(),
        ]);
        rows.push(vec![
            name.to_owned(),
            views.len().to_string(),
            with_gpu.to_string(),
            zones.len().to_string(),
            currency.clone(),
            offerings.len().to_string(),
            estimated.to_string(),
            dates,
        ]);
        objects.push(json!({
            "name": name, "provider": catalogue.provider.as_str(), "region": catalogue.region.as_str(), "currency": currency,
            "types": views.len(), "typesWithGPU": with_gpu, "zones": zones, "offerings": offerings.len(), "estimatedPrices": estimated,
        }));
    }
    let list = json!({"apiVersion": API_VERSION, "kind": "CatalogueList", "items": objects});
    let head =
        ["name", "types", "typesWithGPU", "zones", "currency", "offerings", "estimatedPrices", "priceDates"];
    match format {
        ListFormat::Table | ListFormat::Wide => print(&table.to_string()),
        ListFormat::Json => print(&json(&list)?),
        ListFormat::Yaml => print(&yaml(&list)?),
        ListFormat::Csv => print(&csv(&head, &rows)?),
        ListFormat::Name => print(&lines(embedded::names())),
        ListFormat::Kwok => {
            Err(Failure::input("-o kwok needs a catalogue").hint("use `karpsim catalogue list NAME -o kwok`"))
        }
    }
}
