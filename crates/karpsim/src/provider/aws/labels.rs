//! Labels that Karpenter's AWS provider knows (v1.14.1).

use crate::catalogue::Catalogue;
use crate::kubernetes::labels::ZONE;
use crate::label_rules::LabelRules;

/// `karpenter.k8s.aws/capacity-reservation-id`.
pub const RESERVATION_ID: &str = "karpenter.k8s.aws/capacity-reservation-id";
/// `karpenter.k8s.aws/capacity-reservation-type`.
pub const RESERVATION_TYPE: &str = "karpenter.k8s.aws/capacity-reservation-type";
/// `karpenter.k8s.aws/capacity-reservation-interruptible`.
pub const RESERVATION_INTERRUPTIBLE: &str = "karpenter.k8s.aws/capacity-reservation-interruptible";
/// `karpenter.k8s.aws/instance-size`.
pub const INSTANCE_SIZE: &str = "karpenter.k8s.aws/instance-size";
/// `karpenter.k8s.aws/instance-tenancy`.
pub const INSTANCE_TENANCY: &str = "karpenter.k8s.aws/instance-tenancy";
/// `karpenter.k8s.aws/placement-group-id`.
pub const PLACEMENT_GROUP_ID: &str = "karpenter.k8s.aws/placement-group-id";
/// `karpenter.k8s.aws/placement-group-partition`.
pub const PLACEMENT_GROUP_PARTITION: &str = "karpenter.k8s.aws/placement-group-partition";
/// `topology.k8s.aws/zone-id`.
pub const ZONE_ID: &str = "topology.k8s.aws/zone-id";
/// The annotation that core puts on a NodeClaim whose prices an overlay has changed.
pub const PRICE_OVERLAY_APPLIED: &str = "karpenter.sh/price-overlay-applied";
/// The annotation that core puts on a NodeClaim whose `minValues` it has relaxed.
pub const MIN_VALUES_RELAXED: &str = "karpenter.sh/nodeclaim-min-values-relaxed";

/// Labels that tell of a reservation. A type says which ones it can have, but only a reserved node carries them.
pub const RESERVATION: [&str; 3] = [RESERVATION_ID, RESERVATION_INTERRUPTIBLE, RESERVATION_TYPE];

/// Labels that Karpenter can reason about where a node does not define them.
pub const WELL_KNOWN: [&str; 29] = [
    "karpenter.k8s.aws/capacity-reservation-id",
    "karpenter.k8s.aws/capacity-reservation-interruptible",
    "karpenter.k8s.aws/capacity-reservation-type",
    "karpenter.k8s.aws/instance-accelerator-count",
    "karpenter.k8s.aws/instance-accelerator-manufacturer",
    "karpenter.k8s.aws/instance-accelerator-name",
    "karpenter.k8s.aws/instance-capability-flex",
    "karpenter.k8s.aws/instance-category",
    "karpenter.k8s.aws/instance-cpu",
    "karpenter.k8s.aws/instance-cpu-manufacturer",
    "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz",
    "karpenter.k8s.aws/instance-ebs-bandwidth",
    "karpenter.k8s.aws/instance-encryption-in-transit-supported",
    "karpenter.k8s.aws/instance-family",
    "karpenter.k8s.aws/instance-generation",
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.k8s.aws/instance-gpu-manufacturer",
    "karpenter.k8s.aws/instance-gpu-memory",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-hypervisor",
    "karpenter.k8s.aws/instance-local-nvme",
    "karpenter.k8s.aws/instance-memory",
    "karpenter.k8s.aws/instance-network-bandwidth",
    "karpenter.k8s.aws/instance-size",
    "karpenter.k8s.aws/instance-tenancy",
    "karpenter.k8s.aws/placement-group-id",
    "karpenter.k8s.aws/placement-group-partition",
    "node.kubernetes.io/windows-build",
    "topology.k8s.aws/zone-id",
];

/// Domains in which users may set no labels of their own.
pub const RESTRICTED_DOMAINS: [&str; 1] = ["karpenter.k8s.aws"];

/// Other names of labels.
pub const NORMALIZED: [(&str, &str); 1] = [("topology.ebs.csi.aws.com/zone", ZONE)];

/// A catalogue with the labels of the provider and no types.
pub fn catalogue(region: &str) -> Catalogue {
    Catalogue {
        provider: "aws".into(),
        region: region.into(),
        well_known_labels: WELL_KNOWN.map(Into::into).to_vec(),
        restricted_label_domains: RESTRICTED_DOMAINS.map(Into::into).to_vec(),
        normalized_labels: NORMALIZED.into_iter().collect(),
        reservation_id_label: RESERVATION_ID.into(),
        ..Catalogue::default()
    }
}

/// The provider's rules.
pub fn rules() -> LabelRules {
    LabelRules::new(&catalogue(""))
}
