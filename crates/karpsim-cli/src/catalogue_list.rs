//! `karpsim catalogue list` and `find`: many types, a line each.

use crate::catalogue::{Changes, Chosen, lines, load, print};
use crate::catalogue_table::{Align, Format, Table, csv, gbps, gib, json, marked, number, yaml};
use crate::embedded;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use karpsim::catalogue::expression::{Expression, Filter};
use karpsim::catalogue::view::{Certainty, OfferingView, View, currency};
use karpsim::catalogue::{Catalogue, allocatable, amount, kwok};
use serde_json::json;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// Family, then size
    Name,
    /// On-demand price (of types without one: the cheapest)
    Price,
    /// Spot price
    Spot,
    /// Price of a GPU
    GpuPrice,
    /// Price of a GiB of GPU memory
    GpuGibPrice,
    /// Price of a vCPU
    VcpuPrice,
    /// vCPUs
    Vcpu,
    /// Memory
    Memory,
    /// GPUs
    Gpu,
    /// Memory of all GPUs
    GpuMemory,
    /// Network bandwidth
    Network,
}

/// How a list is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Showing {
    /// Form of the output
    #[arg(short = 'o', long, value_enum, default_value = "table")]
    output: Format,
    /// What to sort by
    #[arg(long, value_enum, default_value = "name")]
    sort: Sort,
    /// The other way round
    #[arg(long)]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

const LIST_EXAMPLES: &str = "\
Examples:
  karpsim catalogue list
  karpsim catalogue list aws/us-west-2 --sort gpu-memory --reverse --limit 20
  karpsim catalogue list gcp/us-central1 -o csv > types.csv";

/// List the catalogues that the program carries, or the types of one
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct List {
    /// The catalogue whose types are listed [default: the catalogues themselves]
    #[arg(value_name = "NAME|FILE")]
    name: Option<String>,
    /// The same
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "name")]
    catalogue: Option<String>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    showing: Showing,
}

const FIND_EXAMPLES: &str = "\
A requirement is a label (or a resource such as cpu, memory, nvidia.com/gpu, or `price`) and what it must be:
  key  !key  key=value  key!=value  key in (a,b)  key notin (a,b)  key>n  key>=n  key<n  key<=n
All that are given must hold. Requirements on zone, capacity type and price choose offerings.

Examples:
  karpsim catalogue find 'karpenter.k8s.aws/instance-gpu-memory>=24576' --sort price
  karpsim catalogue find 'memory>=64Gi' 'cpu<=16' 'kubernetes.io/arch=arm64' 'karpenter.sh/capacity-type=spot'
  karpsim catalogue find 'karpenter.k8s.aws/instance-family in (g5,g6)' -o json > my-catalogue.json";

/// Find types by requirements
#[derive(Debug, Args)]
#[command(after_help = FIND_EXAMPLES)]
pub(crate) struct Find {
    /// Requirements that all must hold
    #[arg(value_name = "REQUIREMENT", required = true)]
    requirements: Vec<String>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    showing: Showing,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If a catalogue cannot be read.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        if let Some(name) = self.name.as_ref().or(self.catalogue.as_ref()) {
            return self.showing.show(self.changes.apply(load(name)?)?);
        }
        match self.changes.given().or_else(|| self.showing.given()) {
            Some(flag) => {
                Err(Failure::input(format!("{flag} is for the types of one catalogue; none is named"))
                    .hint(format!("karpsim catalogue list NAME {flag} …")))
            }
            None => list_catalogues(self.showing.output),
        }
    }
}

impl Find {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If a requirement is none, or the catalogue has no such key.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut catalogue = self.chosen.load()?;
        let filter = filter(&catalogue, &self.requirements)?;
        say_unknown_values(&filter, &catalogue);
        catalogue.instance_types.retain_mut(|instance_type| match filter.select(instance_type) {
            None => false,
            Some(left) => {
                let mut index = 0;
                Arc::make_mut(instance_type).offerings.retain(|_| {
                    index += 1;
                    left.binary_search(&(index - 1)).is_ok()
                });
                true
            }
        });
        if catalogue.instance_types.is_empty() {
            say!("no instance type of `{}` meets {}", self.chosen.name(), self.requirements.join(" and "));
        }
        self.showing.show(catalogue)
    }
}

/// The filter that requirements make.
///
/// # Errors
///
/// If one is wrong.
pub(crate) fn filter(catalogue: &Catalogue, requirements: &[String]) -> Result<Filter, Failure> {
    requirements
        .iter()
        .map(|text| Expression::parse(text))
        .collect::<Result<Vec<_>, _>>()
        .and_then(|expressions| Filter::new(catalogue, expressions))
        .map_err(|error| match error.hint() {
            Some(hint) => Failure::input(error.to_string()).hint(hint),
            None => Failure::input(error.to_string()),
        })
}

/// Values that no type has are most likely slips.
pub(crate) fn say_unknown_values(filter: &Filter, catalogue: &Catalogue) {
    for unknown in filter.unknown_values(catalogue) {
        let near = unknown.near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        say!("warning: no type or offering has `{}` for `{}`{near}", unknown.value, unknown.key);
    }
}

fn list_catalogues(format: Format) -> Result<(), Failure> {
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("TYPES", Align::Right),
        ("WITH GPU", Align::Right),
        ("ZONES", Align::Right),
        ("CURRENCY", Align::Left),
        ("PRICES", Align::Right),
        ("COMPUTED OR ESTIMATED", Align::Right),
        ("PRICE DATES", Align::Left),
    ]);
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
    let list = json!({"apiVersion": "karpsim.dev/v1alpha1", "kind": "CatalogueList", "items": objects});
    let head =
        ["name", "types", "typesWithGPU", "zones", "currency", "offerings", "estimatedPrices", "priceDates"];
    match format {
        Format::Table | Format::Wide => print(&table.render()),
        Format::Json => print(&json(&list)),
        Format::Yaml => print(&yaml(&list)?),
        Format::Csv => print(&csv(&head, &rows)),
        Format::Name => print(&lines(embedded::names())),
        Format::Kwok => Err(Failure::input("-o kwok shows the types of one catalogue")
            .hint("karpsim catalogue list NAME -o kwok")),
    }
}

/// A type with the prices that a line shows.
struct Line<'a> {
    view: View<'a>,
    on_demand: Option<OfferingView<'a>>,
    spot: Option<OfferingView<'a>>,
    /// What $/GPU and the like are computed from: on demand, else the cheapest.
    price: Option<OfferingView<'a>>,
}

impl<'a> Line<'a> {
    fn new(view: View<'a>) -> Line<'a> {
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

    fn key(&self, sort: Sort) -> Option<f64> {
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
    fn by_name(&self, other: &Self) -> Ordering {
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
fn is_gpu(view: &View<'_>) -> bool {
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

impl Showing {
    /// A flag that was given and is about types.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--sort", self.sort != Sort::Name),
            ("--reverse", self.reverse),
            ("--limit", self.limit.is_some()),
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
            .take(self.limit.unwrap_or(usize::MAX))
            .filter_map(|index| slots.get_mut(index).and_then(Option::take))
            .collect();
        match self.output {
            Format::Table | Format::Wide if catalogue.instance_types.is_empty() => Ok(()),
            Format::Table | Format::Wide => {
                let wide = self.output == Format::Wide;
                print_table(&table(&catalogue, wide), wide)
            }
            Format::Csv => print(&comma_separated(&catalogue)),
            Format::Name => print(&lines(catalogue.instance_types.iter().map(|it| it.name.as_str()))),
            format => print_catalogue(&mut catalogue, format),
        }
    }
}

/// Prints the catalogue in a form in which it can be read again. Its types are put in order of name, as files have them.
///
/// # Errors
///
/// If it cannot be printed.
pub(crate) fn print_catalogue(catalogue: &mut Catalogue, format: Format) -> Result<(), Failure> {
    catalogue.instance_types.sort_by(|a, b| a.name.cmp(&b.name));
    match format {
        Format::Kwok => print(&kwok::write(catalogue)),
        Format::Yaml => print(&yaml(&serde_json::to_value(&*catalogue).unwrap_or_default())?),
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
        say!("~ computed or estimated, no published price of this region; -o wide shows sources and dates");
    }
    Ok(())
}

fn table(catalogue: &Catalogue, wide: bool) -> String {
    let currency = currency(catalogue);
    let mut columns = vec![
        ("NAME".to_owned(), Align::Left),
        ("VCPU".to_owned(), Align::Right),
        ("MEMORY".to_owned(), Align::Right),
        ("GPU".to_owned(), Align::Left),
        ("GPU MEMORY".to_owned(), Align::Right),
        ("NETWORK".to_owned(), Align::Right),
        (format!("ON-DEMAND {currency}/h"), Align::Right),
        (format!("SPOT {currency}/h"), Align::Right),
        (format!("{currency}/GPU-h"), Align::Right),
    ];
    if wide {
        columns.extend([
            (format!("{currency}/GPU-GiB-h"), Align::Right),
            (format!("{currency}/vCPU-h"), Align::Right),
            ("ARCH".to_owned(), Align::Left),
            ("PODS".to_owned(), Align::Right),
            ("ALLOCATABLE CPU".to_owned(), Align::Right),
            ("ALLOCATABLE MEMORY".to_owned(), Align::Right),
            ("ZONES".to_owned(), Align::Left),
            ("ON-DEMAND SOURCE".to_owned(), Align::Left),
            ("SPOT SOURCE".to_owned(), Align::Left),
        ]);
    }
    let mut table = Table::new(columns);
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
    table.render()
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

/// Source and date of a price.
pub(crate) fn source(offering: Option<OfferingView<'_>>) -> String {
    offering.map_or_else(
        || "-".to_owned(),
        |one| format!("{} {}", one.offering.price_source, one.offering.price_date).trim().to_owned(),
    )
}

fn comma_separated(catalogue: &Catalogue) -> String {
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
