//! Instance types as tables and as comma-separated values.

use crate::failure::Failure;
use crate::flags::listing::Sort;
use crate::output::figures::{gbps, gib, marked, number};
use crate::output::format::{ListFormat, csv, yaml};
use crate::output::print;
use crate::output::table::{Table, left, right};
use karpsim::catalogue::view::{Certainty, OfferingView, View, currency};
use karpsim::catalogue::{Catalogue, allocatable, amount, kwok};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// A type with the prices that a line shows.
pub(crate) struct Line<'a> {
    view: View<'a>,
    on_demand: Option<OfferingView<'a>>,
    spot: Option<OfferingView<'a>>,
    /// What $/GPU and the like are computed from: on demand, else the cheapest.
    price: Option<OfferingView<'a>>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(view: View<'a>) -> Line<'a> {
        let on_demand = view.cheapest(Some("on-demand"));
        let spot = view.cheapest(Some("spot"));
        let price = on_demand.or_else(|| view.cheapest(None));
        Line { view, on_demand, spot, price }
    }

    /// A figure that follows from the price, and its mark.
    fn derived(&self, figure: impl Fn(f64) -> Option<f64>) -> String {
        let mark = self.price.map_or("", |offering| offering.certainty.mark());
        marked(self.price.and_then(|offering| figure(offering.offering.price.0)), mark)
    }

    pub(crate) fn key(&self, sort: Sort) -> Option<f64> {
        let price = self.price.map(|offering| offering.offering.price.0);
        let gpus = self.view.gpus.as_ref();
        match sort {
            Sort::Name => None,
            Sort::Price => price,
            Sort::Spot => self.spot.map(|offering| offering.offering.price.0),
            Sort::GpuPrice => price.and_then(|price| self.view.per_gpu(price)),
            Sort::GpuGibPrice => price.and_then(|price| self.view.per_gpu_gib(price)),
            Sort::VcpuPrice => price.and_then(|price| self.view.per_vcpu(price)),
            Sort::Vcpu => Some(self.view.vcpus),
            Sort::Memory => Some(self.view.memory_mib as f64),
            Sort::Gpu => gpus.map(|gpus| gpus.count as f64),
            Sort::GpuMemory => gpus.and_then(karpsim::catalogue::view::Gpus::memory_gib),
            Sort::Network => self.view.network_mbps.map(|mbps| mbps as f64),
        }
    }

    /// Family, vCPUs, name: small sizes before large ones.
    pub(crate) fn by_name(&self, other: &Self) -> Ordering {
        let family = |line: &Self| {
            let name = line.view.instance_type.name.as_str();
            name.split_once('.').map_or_else(
                || name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(),
                |(family, _)| family.to_owned(),
            )
        };
        family(self)
            .cmp(&family(other))
            .then(self.view.vcpus.total_cmp(&other.view.vcpus))
            .then_with(|| self.view.instance_type.name.cmp(&other.view.instance_type.name))
    }
}

/// Whether a type has whole GPUs; other accelerators do not count.
pub(crate) fn is_gpu(view: &View<'_>) -> bool {
    ["nvidia.com/gpu", "amd.com/gpu"]
        .iter()
        .any(|name| view.instance_type.capacity.get(name).is_some_and(|q| !q.is_zero()))
}

/// `8×h100`; a fraction of one is `<1×l4`.
pub(crate) fn gpus(view: &View<'_>) -> String {
    view.gpus.as_ref().map_or_else(
        || "-".to_owned(),
        |gpus| {
            let count = if gpus.count == 0 { "<1".to_owned() } else { gpus.count.to_string() };
            let name = if gpus.name.is_empty() { gpus.manufacturer.as_str() } else { gpus.name.as_str() };
            format!("{count}×{name}")
        },
    )
}

/// Prints the catalogue in a form in which it can be read again. Its types are put in order of name, as files have them.
///
/// # Errors
///
/// If it cannot be printed.
pub(crate) fn print_catalogue(catalogue: &mut Catalogue, format: ListFormat) -> Result<(), Failure> {
    catalogue.instance_types.sort_by(|a, b| a.name.cmp(&b.name));
    match format {
        ListFormat::Kwok => print(&kwok::write(catalogue)),
        ListFormat::Yaml => print(&yaml(catalogue)?),
        _ => print(&karpsim::catalogue::write(catalogue)),
    }
}

/// Prints a table, and one line about the mark if it stands there without its sources.
///
/// # Errors
///
/// If it cannot be printed.
pub(crate) fn print_table(text: &str, wide: bool) -> Result<(), Failure> {
    print(text)?;
    if !wide && text.contains('~') {
        say!(
            "~ derived or estimated, not a published price for this region; -o wide shows sources and dates"
        );
    }
    Ok(())
}

pub(crate) fn table(catalogue: &Catalogue, wide: bool) -> Table {
    let currency = currency(catalogue);
    let mut columns = vec![
        left("NAME"),
        right("VCPU"),
        right("MEMORY"),
        left("GPU"),
        right("GPU MEMORY"),
        right("NETWORK"),
        right(format!("ON-DEMAND {currency}/h")),
        right(format!("SPOT {currency}/h")),
        right(format!("{currency}/GPU-h")),
    ];
    if wide {
        columns.extend([
            right(format!("{currency}/GPU-GiB-h")),
            right(format!("{currency}/vCPU-h")),
            left("ARCH"),
            right("PODS"),
            right("ALLOCATABLE CPU"),
            right("ALLOCATABLE MEMORY"),
            left("ZONES"),
            left("ON-DEMAND SOURCE"),
            left("SPOT SOURCE"),
        ]);
    }
    let mut table = Table::new(columns).without_empty_columns();
    for instance_type in &catalogue.instance_types {
        let line = Line::new(View::new(instance_type));
        let view = &line.view;
        let price = |offering: Option<OfferingView<'_>>| {
            marked(offering.map(|one| one.offering.price.0), offering.map_or("", |one| one.certainty.mark()))
        };
        let mut row = vec![
            instance_type.name.to_string(),
            number(view.vcpus),
            gib(view.memory_mib),
            gpus(view),
            view.gpus.as_ref().and_then(|gpus| gpus.memory_mib).map_or_else(|| "-".to_owned(), gib),
            view.network_mbps.map_or_else(|| "-".to_owned(), gbps),
            price(line.on_demand),
            price(line.spot),
            line.derived(|price| view.per_gpu(price)),
        ];
        if wide {
            let left = allocatable(instance_type);
            let amount_of =
                |name: &str| left.get(name).map_or_else(String::new, |quantity| amount(name, quantity));
            let zones: BTreeSet<&str> = view.offerings().iter().map(|offering| offering.zone).collect();
            row.extend([
                line.derived(|price| view.per_gpu_gib(price)),
                line.derived(|price| view.per_vcpu(price)),
                view.architecture.to_owned(),
                left.get("pods").map_or_else(String::new, |pods| pods.to_string()),
                amount_of("cpu"),
                amount_of("memory"),
                short_zones(&zones, &catalogue.region),
                source(line.on_demand),
                source(line.spot),
            ]);
        }
        table.row(row);
    }
    table
}

/// `a,b,c` for zones that are their region with a letter behind, else the names.
pub(crate) fn short_zones(zones: &BTreeSet<&str>, region: &str) -> String {
    let short: Option<Vec<&str>> = zones
        .iter()
        .map(|zone| {
            zone.strip_prefix(region).map(|rest| rest.trim_start_matches('-')).filter(|rest| rest.len() == 1)
        })
        .collect();
    short.unwrap_or_else(|| zones.iter().copied().collect()).join(",")
}

/// What is special about an offering.
pub(crate) fn state(offering: OfferingView<'_>) -> String {
    match (offering.offering.available, offering.offering.reservation_capacity) {
        (false, _) => "unavailable".to_owned(),
        (true, 0) => String::new(),
        (true, count) => format!("{count} left"),
    }
}

/// Source and date of a price.
pub(crate) fn source(offering: Option<OfferingView<'_>>) -> String {
    offering.map_or_else(
        || "-".to_owned(),
        |one| format!("{} {}", one.offering.price_source, one.offering.price_date).trim().to_owned(),
    )
}

pub(crate) fn comma_separated(catalogue: &Catalogue) -> Result<String, Failure> {
    let head = [
        "name",
        "architecture",
        "vcpus",
        "memoryMiB",
        "gpuName",
        "gpuCount",
        "gpuMemoryMiB",
        "networkMbps",
        "currency",
        "onDemandPrice",
        "onDemandEstimated",
        "onDemandSource",
        "onDemandDate",
        "spotPrice",
        "spotEstimated",
        "spotSource",
        "spotDate",
        "pricePerGPU",
        "pricePerGPUGiB",
        "pricePerVCPU",
    ];
    let rows: Vec<Vec<String>> = catalogue
        .instance_types
        .iter()
        .map(|instance_type| {
            let line = Line::new(View::new(instance_type));
            let view = &line.view;
            let gpus = view.gpus.as_ref();
            let maybe = |value: Option<f64>| value.map_or_else(String::new, number);
            let whole = |value: Option<i64>| value.map_or_else(String::new, |value| value.to_string());
            let price = line.price.map(|offering| offering.offering.price.0);
            let mut row = vec![
                instance_type.name.to_string(),
                view.architecture.to_owned(),
                number(view.vcpus),
                view.memory_mib.to_string(),
                gpus.map_or_else(String::new, |gpus| gpus.name.clone()),
                whole(gpus.map(|gpus| gpus.count)),
                whole(gpus.and_then(|gpus| gpus.memory_mib)),
                whole(view.network_mbps),
                catalogue.currency.as_deref().unwrap_or("USD").to_owned(),
            ];
            for offering in [line.on_demand, line.spot] {
                row.extend(match offering {
                    Some(one) => [
                        one.offering.price.0.to_string(),
                        (one.certainty != Certainty::Published).to_string(),
                        one.offering.price_source.to_string(),
                        one.offering.price_date.to_string(),
                    ],
                    None => [const { String::new() }; 4],
                });
            }
            row.extend([
                maybe(price.and_then(|price| view.per_gpu(price))),
                maybe(price.and_then(|price| view.per_gpu_gib(price))),
                maybe(price.and_then(|price| view.per_vcpu(price))),
            ]);
            row
        })
        .collect();
    csv(&head, &rows)
}
