//! `karpsim catalogue show`: all about one type.

use crate::failure::Failure;
use crate::flags::catalogue::{Chosen, type_named};
use crate::flags::listing::ListOutputFlag;
use crate::output::figures::{gbps, gib, marked, month, number};
use crate::output::format::ListFormat;
use crate::output::instance_types::{print_catalogue, print_table, short_zones, source, state};
use crate::output::table::{Table, left, right};
use crate::output::{lines, print};
use clap::Args;
use karpsim::catalogue::view::{Gpus, OfferingView, View, currency};
use karpsim::catalogue::{Catalogue, InstanceType, allocatable, amount};
use karpsim::model::meta::Operator;
use std::collections::BTreeSet;
use std::fmt::Write;

const EXAMPLES: &str = "\
Examples:
  karpsim catalogue show g4dn.xlarge
  karpsim catalogue show p5.48xlarge --catalogue aws/us-west-2 -o wide";

/// Show instance types in detail: devices, resources, allocatable and prices
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Show {
    /// Instance types
    #[arg(value_name = "TYPE", required = true)]
    types: Vec<String>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: ListOutputFlag,
}

impl Show {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such type.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut catalogue = self.chosen.load()?;
        let mut chosen = Vec::new();
        for name in &self.types {
            chosen.push(type_named(&catalogue, name, self.chosen.name())?.clone());
        }
        catalogue.instance_types = chosen;
        match self.output.format {
            ListFormat::Table | ListFormat::Wide => {
                let texts: Vec<String> = catalogue
                    .instance_types
                    .iter()
                    .map(|instance_type| {
                        describe(&catalogue, instance_type, self.output.format == ListFormat::Wide)
                    })
                    .collect();
                print_table(&texts.join("\n"), self.output.format == ListFormat::Wide)
            }
            ListFormat::Name => print(&lines(&self.types)),
            ListFormat::Csv => Err(Failure::input("`show` does not support -o csv")
                .hint("use `karpsim catalogue price TYPE -o csv`")),
            format => print_catalogue(&mut catalogue, format),
        }
    }
}

/// `1 × T4 (nvidia), 16 GiB`.
fn gpu_words(gpus: &Gpus) -> String {
    // Short names are product names; longer ones are left as the label has them.
    let name = if gpus.name.contains('-') { gpus.name.clone() } else { gpus.name.to_uppercase() };
    let count = if gpus.count == 0 { "part of 1".to_owned() } else { gpus.count.to_string() };
    let mut text = format!("{count} × {}", if name.is_empty() { "GPU" } else { &name });
    if !gpus.manufacturer.is_empty() {
        let _ = write!(text, " ({})", gpus.manufacturer);
    }
    match gpus.memory_mib {
        Some(mib) if gpus.count > 1 => {
            let _ = write!(text, ", {} of GPU memory each, {} in total", gib(mib), gib(mib * gpus.count));
        }
        Some(mib) => {
            let _ = write!(text, ", {} of GPU memory", gib(mib));
        }
        None => text.push_str(", GPU memory unknown"),
    }
    text
}

fn describe(catalogue: &Catalogue, instance_type: &InstanceType, wide: bool) -> String {
    let view = View::new(instance_type);
    let label = |key: &str| {
        let requirement = instance_type.requirements.iter().find(|requirement| requirement.key == key)?;
        (requirement.operator == Some(Operator::In)).then(|| requirement.values.join(", "))
    };
    let mut text = format!("{}  ({}/{})\n", instance_type.name, catalogue.provider, catalogue.region);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<16}{value}");
    };
    let maker = label("karpenter.k8s.aws/instance-cpu-manufacturer")
        .map(|maker| format!(", {maker}"))
        .unwrap_or_default();
    line("vCPU", format!("{} ({}{maker})", number(view.vcpus), view.architecture));
    line("Memory", gib(view.memory_mib));
    if let Some(gpus) = &view.gpus {
        line(if gpus.manufacturer == "aws" { "Accelerator" } else { "GPU" }, gpu_words(gpus));
    }
    if let Some(mbps) = view.network_mbps {
        line("Network", gbps(mbps));
    }
    if let Some(mbps) = label("karpenter.k8s.aws/instance-ebs-bandwidth").and_then(|mbps| mbps.parse().ok()) {
        line("EBS", gbps(mbps));
    }
    if let Some(gb) = label("karpenter.k8s.aws/instance-local-nvme") {
        line("Instance store", format!("{gb} GB NVMe"));
    }
    let zones: BTreeSet<&str> = view.offerings().iter().map(|offering| offering.zone).collect();
    line("Zones", zones.into_iter().collect::<Vec<_>>().join(", "));
    text.push('\n');
    text.push_str(&resources(instance_type));
    text.push('\n');
    text.push_str(&prices(catalogue, &view, wide));
    if wide {
        text.push('\n');
        let mut table = Table::new([left("LABEL"), left("VALUES")]).indented().without_empty_columns();
        for requirement in &instance_type.requirements {
            let values = match requirement.operator {
                Some(Operator::In) => requirement.values.join(", "),
                Some(Operator::DoesNotExist) => "(none)".to_owned(),
                operator => {
                    format!("{} {}", operator.map_or("", Operator::as_str), requirement.values.join(", "))
                }
            };
            table.row(vec![requirement.key.to_string(), values]);
        }
        text.push_str(&table.to_string());
    }
    text
}

fn resources(instance_type: &InstanceType) -> String {
    let mut table = Table::new([
        left("RESOURCE"),
        right("CAPACITY"),
        right("KUBE-RESERVED"),
        right("SYSTEM-RESERVED"),
        right("EVICTION"),
        right("ALLOCATABLE"),
    ])
    .indented()
    .without_empty_columns();
    let left = allocatable(instance_type);
    let overhead = &instance_type.overhead;
    for (name, capacity) in instance_type.capacity.iter() {
        let shown = |quantity| amount(name, quantity);
        let kept = |list: &karpsim::model::core::ResourceList| list.get(name).map_or_else(String::new, shown);
        table.row(vec![
            name.to_owned(),
            shown(capacity),
            kept(&overhead.kube_reserved),
            kept(&overhead.system_reserved),
            kept(&overhead.eviction_threshold),
            left.get(name).map_or_else(String::new, shown),
        ]);
    }
    table.to_string()
}

fn prices(catalogue: &Catalogue, view: &View<'_>, wide: bool) -> String {
    let currency = currency(catalogue);
    let mut table = Table::new([
        left("CAPACITY TYPE"),
        left("ZONES"),
        right(format!("{currency}/h")),
        right(format!("{currency}/GPU-h")),
        right(format!("{currency}/GPU-GiB-h")),
        right(format!("{currency}/vCPU-h")),
        right(format!("{currency}/month")),
        left("STATE"),
        left("SOURCE"),
    ])
    .indented()
    .without_empty_columns();
    // Zones of one price stand in one row; in the wide form each has its own.
    let mut groups: Vec<Vec<OfferingView<'_>>> = Vec::new();
    for offering in view.offerings() {
        let alike = |group: &&mut Vec<OfferingView<'_>>| {
            group.first().is_some_and(|first| {
                first.capacity_type == offering.capacity_type
                    && first.offering.price == offering.offering.price
                    && first.offering.available == offering.offering.available
                    && first.offering.price_source == offering.offering.price_source
                    && first.offering.price_date == offering.offering.price_date
            })
        };
        match groups.iter_mut().find(alike).filter(|_| !wide) {
            Some(group) => group.push(offering),
            None => groups.push(vec![offering]),
        }
    }
    groups.sort_by_key(|group| group.first().map(|first| (!first.offering.available, first.capacity_type)));
    for group in groups {
        let Some(first) = group.first() else { continue };
        let price = first.offering.price.0;
        let mark = first.certainty.mark();
        let zones: BTreeSet<&str> = group.iter().map(|offering| offering.zone).collect();
        table.row(vec![
            first.capacity_type.to_owned(),
            if wide { first.zone.to_owned() } else { short_zones(&zones, &catalogue.region) },
            marked(Some(price), mark),
            marked(view.per_gpu(price), mark),
            marked(view.per_gpu_gib(price), mark),
            marked(view.per_vcpu(price), mark),
            month(price, mark),
            state(*first),
            source(Some(*first)),
        ]);
    }
    table.to_string()
}
