//! `karpsim catalogue price`: offerings, a line each.

use crate::commands::catalogue::find::{filter, say_unknown_values};
use crate::failure::Failure;
use crate::flags::catalogue::{Chosen, type_named};
use crate::flags::listing::{LimitFlag, ListOutputFlag};
use crate::output::figures::{marked, month, number};
use crate::output::format::{API_VERSION, ListFormat, csv, json, yaml};
use crate::output::instance_types::{print_table, state};
use crate::output::table::{Table, left, right};
use crate::output::{lines, print};
use clap::Args;
use karpsim::catalogue::view::{Certainty, OfferingView, View, currency};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  karpsim catalogue price g4dn.xlarge
  karpsim catalogue price g4dn.xlarge g5.xlarge g6.xlarge 'karpenter.sh/capacity-type=spot' -o wide
  karpsim catalogue price 'nvidia.com/gpu>=8' 'price<40' --overlay discounts.yaml";

/// Show prices by capacity type and zone
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Price {
    /// Instance types, and requirements as in `catalogue find` [default: all offerings]
    #[arg(value_name = "TYPE|REQUIREMENT")]
    wanted: Vec<String>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: ListOutputFlag,
    #[command(flatten)]
    limit: LimitFlag,
}

impl Price {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If there is no such type, or a requirement is wrong.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let catalogue = self.chosen.load()?;
        let is_requirement = |text: &str| text.contains(['=', '<', '>', '!', '/', '(', ' ']);
        let (requirements, names): (Vec<String>, Vec<String>) =
            self.wanted.iter().cloned().partition(|text| is_requirement(text));
        let filter = filter(&catalogue, &requirements)?;
        say_unknown_values(&filter, &catalogue);
        let types = if names.is_empty() {
            catalogue.instance_types.iter().map(|it| &**it).collect()
        } else {
            names
                .iter()
                .map(|name| type_named(&catalogue, name, self.chosen.name()).map(|it| &**it))
                .collect::<Result<Vec<_>, _>>()?
        };
        let mut rows: Vec<(View<'_>, OfferingView<'_>)> = Vec::new();
        for instance_type in types {
            for index in filter.select(instance_type).unwrap_or_default() {
                if let Some(offering) = instance_type.offerings.get(index) {
                    rows.push((View::new(instance_type), OfferingView::new(offering)));
                }
            }
        }
        rows.sort_by(|(a_type, a), (b_type, b)| {
            (!a.offering.available)
                .cmp(&!b.offering.available)
                .then(a.offering.price.0.total_cmp(&b.offering.price.0))
                .then_with(|| a_type.instance_type.name.cmp(&b_type.instance_type.name))
                .then_with(|| (a.capacity_type, a.zone).cmp(&(b.capacity_type, b.zone)))
        });
        rows.truncate(self.limit.most());
        let unit = currency(&catalogue);
        match self.output.format {
            ListFormat::Table | ListFormat::Wide => {
                let wide = self.output.format == ListFormat::Wide;
                if rows.is_empty() {
                    say!("no offering in `{}` meets {}", self.chosen.name(), self.wanted.join(" and "));
                    return Ok(());
                }
                print_table(&table(&rows, unit, wide), wide)
            }
            ListFormat::Csv => {
                let head = [
                    "instanceType",
                    "capacityType",
                    "zone",
                    "price",
                    "estimated",
                    "available",
                    "pricePerGPU",
                    "pricePerGPUGiB",
                    "pricePerVCPU",
                    "source",
                    "date",
                ];
                let rows: Vec<Vec<String>> = rows
                    .iter()
                    .map(|(view, one)| {
                        let price = one.offering.price.0;
                        let maybe = |value: Option<f64>| value.map_or_else(String::new, number);
                        vec![
                            view.instance_type.name.to_string(),
                            one.capacity_type.to_owned(),
                            one.zone.to_owned(),
                            price.to_string(),
                            (one.certainty != Certainty::Published).to_string(),
                            one.offering.available.to_string(),
                            maybe(view.per_gpu(price)),
                            maybe(view.per_gpu_gib(price)),
                            maybe(view.per_vcpu(price)),
                            one.offering.price_source.to_string(),
                            one.offering.price_date.to_string(),
                        ]
                    })
                    .collect();
                print(&csv(&head, &rows)?)
            }
            ListFormat::Name => print(&lines(rows.iter().map(|(view, one)| {
                format!("{}/{}/{}", view.instance_type.name, one.capacity_type, one.zone)
            }))),
            ListFormat::Json | ListFormat::Yaml => {
                let list = json!({
                    "apiVersion": API_VERSION,
                    "kind": "PriceList",
                    "catalogue": self.chosen.name(),
                    "currency": catalogue.currency.as_deref().unwrap_or("USD"),
                    "items": rows.iter().map(|(view, one)| item(view, one)).collect::<Vec<_>>(),
                });
                print(&if self.output.format == ListFormat::Json { json(&list)? } else { yaml(&list)? })
            }
            ListFormat::Kwok => Err(Failure::input("`price` does not support -o kwok")
                .hint("use `karpsim catalogue find REQUIREMENT -o kwok`")),
        }
    }
}

fn item(view: &View<'_>, one: &OfferingView<'_>) -> Value {
    let price = one.offering.price.0;
    let mut item = json!({
        "instanceType": view.instance_type.name.as_str(),
        "capacityType": one.capacity_type,
        "zone": one.zone,
        "price": price,
        "available": one.offering.available,
        "estimated": one.certainty != Certainty::Published,
    });
    for (name, value) in [
        ("pricePerGPU", view.per_gpu(price)),
        ("pricePerGPUGiB", view.per_gpu_gib(price)),
        ("pricePerVCPU", view.per_vcpu(price)),
    ] {
        if let Some(value) = value {
            item[name] = value.into();
        }
    }
    for (name, text) in [("priceSource", &one.offering.price_source), ("priceDate", &one.offering.price_date)]
    {
        if !text.is_empty() {
            item[name] = text.as_str().into();
        }
    }
    item
}

fn table(rows: &[(View<'_>, OfferingView<'_>)], unit: &str, wide: bool) -> String {
    let mut columns = vec![
        left("TYPE"),
        left("CAPACITY TYPE"),
        left("ZONE"),
        right(format!("{unit}/h")),
        right(format!("{unit}/GPU-h")),
        right(format!("{unit}/GPU-GiB-h")),
        right(format!("{unit}/vCPU-h")),
        right(format!("{unit}/month")),
        left("STATE"),
    ];
    if wide {
        columns.extend([left("SOURCE"), left("DATE")]);
    }
    let mut table = Table::new(columns).without_empty_columns();
    for (view, one) in rows {
        let price = one.offering.price.0;
        let mark = one.certainty.mark();
        let mut row = vec![
            view.instance_type.name.to_string(),
            one.capacity_type.to_owned(),
            one.zone.to_owned(),
            marked(Some(price), mark),
            marked(view.per_gpu(price), mark),
            marked(view.per_gpu_gib(price), mark),
            marked(view.per_vcpu(price), mark),
            month(price, mark),
            state(*one),
        ];
        if wide {
            row.extend([one.offering.price_source.to_string(), one.offering.price_date.to_string()]);
        }
        table.row(row);
    }
    table.to_string()
}
