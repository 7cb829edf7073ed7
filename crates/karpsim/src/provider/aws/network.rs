//! Facts about machines that no label and no command of EC2 tells: tables.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Facts about the network of an instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Interfaces of the default network card.
    pub interfaces: i64,
    /// IPv4 addresses an interface.
    pub ipv4_addresses_per_interface: i64,
    /// Branch interfaces for `vpc.amazonaws.com/pod-eni`; 0 without trunking.
    pub branch_interfaces: i64,
    /// Network bandwidth in Mbit/s, if it is published.
    pub bandwidth_mbps: Option<i64>,
}

static NETWORK: LazyLock<BTreeMap<&'static str, Network>> = LazyLock::new(|| {
    include_str!("network.csv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split(',');
            let name = fields.next()?;
            let mut next = || fields.next().and_then(|field| field.parse::<i64>().ok());
            let network = Network {
                interfaces: next()?,
                ipv4_addresses_per_interface: next()?,
                branch_interfaces: next()?,
                bandwidth_mbps: next().filter(|&mbps| mbps > 0),
            };
            Some((name, network))
        })
        .collect()
});

/// Instance stores that no label tells of, in GB.
static INSTANCE_STORE: LazyLock<BTreeMap<&'static str, i64>> = LazyLock::new(|| {
    include_str!("instance_store.csv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(','))
        .filter_map(|(name, gb)| Some((name, gb.parse().ok()?)))
        .collect()
});

/// What is known about the network of an instance type.
pub fn network(instance_type: &str) -> Option<Network> {
    NETWORK.get(instance_type).copied()
}

/// The size of an instance store whose disks are not NVMe, in GB.
pub(super) fn instance_store_gb(instance_type: &str) -> Option<i64> {
    INSTANCE_STORE.get(instance_type).copied()
}
