//! What Karpenter knows of EC2 in its region: machines, where they are sold, at which price.

use super::machine::Machine;
use crate::model::meta::Str;
use crate::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// The strategy of placement groups whose instances are told apart by partitions.
pub(super) const PARTITION: &str = "partition";

/// A placement group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementGroup {
    /// Id.
    pub id: Str,
    /// Name.
    pub name: Str,
    /// `cluster`, `partition`, `spread`.
    pub strategy: Str,
    /// How many partitions it has.
    pub partition_count: i64,
}

impl PlacementGroup {
    /// The names of its partitions, if it tells them apart.
    pub(super) fn partitions(&self) -> Vec<Str> {
        let count = if self.strategy == PARTITION { self.partition_count } else { 0 };
        (1..=count).map(|partition| Str::from(partition.to_string())).collect()
    }
}

/// Prices of an instance type in dollars an hour, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// On demand, in every zone.
    pub on_demand: Option<f64>,
    /// Spot, by zone.
    pub spot: BTreeMap<Str, f64>,
}

/// A region of EC2 as Karpenter knows it.
#[derive(Debug, Clone, Default)]
pub struct Region {
    /// Its name.
    pub name: Str,
    /// Machines, by name.
    pub machines: BTreeMap<Str, Machine>,
    /// The zones that sell a type.
    pub zones_of: BTreeMap<Str, BTreeSet<Str>>,
    /// Placement groups that exist.
    pub placement_groups: Vec<PlacementGroup>,
    /// Prices by type.
    pub prices: BTreeMap<Str, Prices>,
    /// Prices that NodeOverlays give to types, for where EC2's is not known.
    pub overlay_prices: BTreeMap<Str, f64>,
    /// Memory that nodes of a type have reported.
    pub discovered_memory: BTreeMap<Str, Quantity>,
    /// Ids of the zones that traffic is shifted away from.
    pub shifted_zone_ids: BTreeSet<Str>,
}

impl Region {
    /// Every zone in which anything is sold.
    pub(super) fn zones(&self) -> BTreeSet<&Str> {
        self.zones_of.values().flatten().collect()
    }
}
