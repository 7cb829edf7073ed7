//! `karpsim catalogue diff`: what differs between two catalogues.

use crate::failure::Failure;
use crate::flags::catalogue::Changes;
use crate::flags::listing::ListOutputFlag;
use crate::input::sources;
use crate::output::figures::price;
use crate::output::format::{API_VERSION, ListFormat, json, yaml};
use crate::output::print;
use clap::Args;
use karpsim::catalogue::diff::Change;
use karpsim::catalogue::{amount, diff};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  karpsim catalogue diff aws/us-west-2 aws/us-east-1 --prices-only
  karpsim catalogue diff aws/us-west-2 mine.json
  karpsim catalogue diff aws/us-west-2 --overlay discounts.yaml
  karpsim catalogue diff aws/us-west-2 --node-class nodeclass.yaml

Exit code 0 means that the catalogues are equal, 1 that they differ.";

/// Compare two catalogues: instance types, prices, resources and labels
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// First catalogue
    #[arg(value_name = "NAME|FILE")]
    before: String,
    /// Second catalogue, to which --overlay, --node-class and settings apply [default: the first]
    #[arg(value_name = "NAME|FILE")]
    after: Option<String>,
    #[command(flatten)]
    changes: Changes,
    /// Compare only prices, and only of instance types in both catalogues
    #[arg(long)]
    prices_only: bool,
    /// Show all differences
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    output: ListOutputFlag,
}

/// How many types a short answer names.
const SHOWN: usize = 20;

impl Diff {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If a catalogue cannot be read; [`Failure::No`] if they differ.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let before = sources::catalogue(&self.before)?;
        let after = sources::catalogue(self.after.as_deref().unwrap_or(&self.before))?;
        let after = self.changes.apply(Arc::unwrap_or_clone(after))?;
        let mut found = diff(&before, &after);
        if self.prices_only {
            found.added.clear();
            found.removed.clear();
            for (_, changes) in &mut found.changed {
                changes.retain(|change| matches!(change, Change::Price { .. } | Change::Available { .. }));
            }
            found.changed.retain(|(_, changes)| !changes.is_empty());
        }
        let value = || {
            json!({
                "apiVersion": API_VERSION,
                "kind": "CatalogueDiff",
                "added": found.added,
                "removed": found.removed,
                "changed": found.changed.iter()
                    .map(|(name, changes)| json!({"name": name.as_str(), "changes": changes.iter().map(object).collect::<Vec<_>>()}))
                    .collect::<Vec<_>>(),
            })
        };
        match self.output.format {
            ListFormat::Json => print(&json(&value())?)?,
            ListFormat::Yaml => print(&yaml(&value())?)?,
            ListFormat::Name => {
                let names = found
                    .added
                    .iter()
                    .chain(&found.removed)
                    .chain(found.changed.iter().map(|(name, _)| name));
                print(&crate::output::lines(names))?;
            }
            ListFormat::Csv | ListFormat::Kwok => {
                return Err(Failure::input("`diff` supports -o table, wide, json, yaml and name"));
            }
            ListFormat::Table | ListFormat::Wide => print(&self.text(&found))?,
        }
        if found.is_empty() { Ok(()) } else { Err(Failure::No) }
    }

    fn text(&self, found: &karpsim::catalogue::diff::Diff) -> String {
        let all = self.full || self.output.format == ListFormat::Wide;
        let shown = if all { usize::MAX } else { SHOWN };
        let mut text = String::new();
        let listed = |names: &[karpsim::model::meta::Str]| {
            let first: Vec<&str> = names.iter().take(shown).map(karpsim::model::meta::Str::as_str).collect();
            match names.len() - first.len() {
                0 => first.join(", "),
                more => format!("{} and {more} other(s)", first.join(", ")),
            }
        };
        for (head, names) in [("removed", &found.removed), ("added", &found.added)] {
            if !names.is_empty() {
                let _ = writeln!(text, "{head} ({}): {}", names.len(), listed(names));
            }
        }
        for (name, changes) in found.changed.iter().take(shown) {
            let _ = writeln!(text, "{name}");
            for line in lines(changes) {
                let _ = writeln!(text, "  {line}");
            }
        }
        if found.changed.len() > shown {
            let _ = writeln!(
                text,
                "and {} other(s) that differ (show all with --full)",
                found.changed.len() - shown
            );
        }
        if !found.is_empty() {
            let _ = writeln!(
                text,
                "{} removed, {} added, {} changed",
                found.removed.len(),
                found.added.len(),
                found.changed.len()
            );
        }
        text
    }
}

/// Changes in words; prices that change alike in several zones in one line.
fn lines(changes: &[Change]) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "(none)".to_owned());
    let mut prices: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut rest = Vec::new();
    for change in changes {
        match change {
            Change::Price { capacity_type, zone, before, after } => {
                let percent = match (before, after) {
                    (Some(before), Some(after)) if *before > 0.0 => {
                        format!(" ({:+.1} %)", (after / before - 1.0) * 100.0)
                    }
                    _ => String::new(),
                };
                let text = format!(
                    "{capacity_type}: {} → {}{percent}",
                    or_none(before.map(price)),
                    or_none(after.map(price))
                );
                prices.entry(text).or_default().push(zone);
            }
            Change::Available { capacity_type, zone, after } => {
                rest.push(format!(
                    "{capacity_type}: {} in {zone}",
                    if *after { "available" } else { "unavailable" }
                ));
            }
            Change::Amount { part, resource, before, after } => {
                let shown =
                    |quantity: &Option<_>| or_none(quantity.map(|quantity| amount(resource, quantity)));
                rest.push(format!("{part} {resource}: {} → {}", shown(before), shown(after)));
            }
            Change::Label { key, before, after } => {
                rest.push(format!("{key}: {} → {}", or_none(before.clone()), or_none(after.clone())));
            }
        }
    }
    let with_zones = |(text, zones): (String, Vec<&str>)| match zones.as_slice() {
        [""] => text,
        zones => format!("{text} in {}", zones.join(", ")),
    };
    prices.into_iter().map(with_zones).chain(rest).collect()
}

fn object(change: &Change) -> Value {
    match change {
        Change::Price { capacity_type, zone, before, after } => json!({
            "field": "price", "capacityType": capacity_type.as_str(), "zone": zone.as_str(), "before": before, "after": after,
        }),
        Change::Available { capacity_type, zone, after } => json!({
            "field": "available", "capacityType": capacity_type.as_str(), "zone": zone.as_str(), "before": !after, "after": after,
        }),
        Change::Amount { part, resource, before, after } => json!({
            "field": part, "resource": resource.as_str(),
            "before": before.map(|quantity| amount(resource, quantity)), "after": after.map(|quantity| amount(resource, quantity)),
        }),
        Change::Label { key, before, after } => {
            json!({"field": "label", "key": key.as_str(), "before": before, "after": after})
        }
    }
}
