//! `karpsim catalogue find`: instance types that meet requirements.

use crate::failure::Failure;
use crate::flags::catalogue::Chosen;
use crate::flags::listing::ListingFlags;
use clap::Args;
use karpsim::catalogue::Catalogue;
use karpsim::catalogue::expression::{Expression, Filter};
use std::sync::Arc;

const EXAMPLES: &str = "\
A requirement compares a label, a resource (cpu, memory, nvidia.com/gpu, …) or `price` with values:
  key  !key  key=value  key!=value  key in (a,b)  key notin (a,b)  key>n  key>=n  key<n  key<=n
Instance types must meet all requirements. Requirements on zone, capacity type and price select offerings.

Examples:
  karpsim catalogue find 'karpenter.k8s.aws/instance-gpu-memory>=24576' --sort price
  karpsim catalogue find 'memory>=64Gi' 'cpu<=16' 'kubernetes.io/arch=arm64' 'karpenter.sh/capacity-type=spot'
  karpsim catalogue find 'karpenter.k8s.aws/instance-family in (g5,g6)' -o json > my-catalogue.json";

/// Find instance types that meet requirements
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Find {
    /// Requirements to meet, all of them
    #[arg(value_name = "REQUIREMENT", required = true)]
    requirements: Vec<String>,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    listing: ListingFlags,
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
            say!("no instance type in `{}` meets {}", self.chosen.name(), self.requirements.join(" and "));
        }
        self.listing.show(catalogue)
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
        say!(
            "warning: no instance type or offering has the value `{}` for `{}`{near}",
            unknown.value,
            unknown.key
        );
    }
}
