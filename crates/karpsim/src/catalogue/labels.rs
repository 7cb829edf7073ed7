//! Names of labels that catalogues speak of.

/// Zone.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";
/// Region.
pub(super) const REGION: &str = "topology.kubernetes.io/region";
/// Instance type.
pub(super) const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// Architecture.
pub(super) const ARCH: &str = "kubernetes.io/arch";
/// Operating system.
pub(super) const OS: &str = "kubernetes.io/os";
/// Windows build.
pub(super) const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";
/// Capacity type.
pub(super) const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
/// The capacity type of reserved offerings.
pub(super) const RESERVED: &str = "reserved";
/// The capacity type of spot offerings.
pub(super) const SPOT: &str = "spot";
/// The capacity type of on-demand offerings.
pub(super) const ON_DEMAND: &str = "on-demand";
