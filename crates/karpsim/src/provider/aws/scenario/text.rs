//! A scenario as it is written.

use crate::catalogue::Price;
use crate::model::core::ResourceList;
use crate::model::karpenter::{NodeClassReference, NodeOverlay, NodePool, RequirementWithMinValues};
use crate::model::meta::{ObjectMeta, Str, Time};
use crate::model::wire::{leaf, wire};
use crate::provider::aws::node_class::Ec2NodeClass;
use crate::quantity::Quantity;
use crate::scenario::{FeatureGates, MinValuesPolicy};
use serde_json::Value;
use std::collections::BTreeMap;

leaf!(Value);
leaf!(BTreeMap<Str, Vec<Str>> => r#"{"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}"#);
leaf!(BTreeMap<Str, i64> => r#"{"type": "object", "additionalProperties": {"type": "integer"}}"#);
leaf!(BTreeMap<Str, Quantity> => r#"{"type": "object", "additionalProperties": {"type": ["string", "number"]}}"#);
leaf!(BTreeMap<Str, Price> => r#"{"type": "object", "additionalProperties": {"type": "number"}}"#);
leaf!(BTreeMap<Str, BTreeMap<Str, Price>> => r#"{"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}}}"#);

wire! {
    /// Settings of Karpenter.
    pub struct OptionsText {
        /// `--vm-memory-overhead-percent`; 0.075.
        vm_memory_overhead_percent: Option<Price> = "vmMemoryOverheadPercent",
        /// `--reserved-enis`.
        reserved_enis: i64 = "reservedENIs",
        /// `--min-values-policy`.
        min_values_policy: Option<MinValuesPolicy> = "minValuesPolicy",
        /// Feature gates.
        feature_gates: FeatureGates = "featureGates",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Free addresses of a subnet, as last seen.
    pub struct SubnetText {
        /// Id.
        id: Str = "id",
        /// Free addresses.
        available_ips: i64 = "availableIPs",
    }
    passed { "zone", "zoneID" }
    unmodelled { }
}

wire! {
    /// A placement group.
    pub struct PlacementGroupText {
        /// Id.
        id: Str = "id",
        /// Name.
        name: Str = "name",
        /// `cluster`, `partition`, `spread`.
        strategy: Str = "strategy",
        /// How many partitions.
        partition_count: i64 = "partitionCount",
    }
    passed { "spreadLevel" }
    unmodelled { }
}

wire! {
    /// What EC2 tells.
    pub struct Ec2Text {
        /// Entries of `aws ec2 describe-instance-types`.
        instance_types: Vec<Value> = "instanceTypes",
        /// The zones that sell a type.
        offerings: BTreeMap<Str, Vec<Str>> = "offerings",
        /// Subnets.
        subnets: Vec<SubnetText> = "subnets",
        /// Placement groups that exist.
        placement_groups: Vec<PlacementGroupText> = "placementGroups",
        /// What the controller believes that reservations have left.
        capacity_reservations: BTreeMap<Str, i64> = "capacityReservations",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Prices that the controller knows.
    pub struct PricesText {
        /// By type.
        on_demand: BTreeMap<Str, Price> = "onDemand",
        /// By type and zone.
        spot: BTreeMap<Str, BTreeMap<Str, Price>> = "spot",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// An offering that could not be had.
    pub struct UnavailableOfferingText {
        /// Capacity type.
        capacity_type: Str = "capacityType",
        /// Instance type.
        instance_type: Str = "instanceType",
        /// Zone.
        zone: Str = "zone",
        /// Only in this placement group.
        placement_group: Str = "placementGroup",
        /// Only in this partition of it.
        partition: Str = "partition",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// What is in the cache of unavailable offerings.
    pub struct UnavailableText {
        /// Offerings.
        offerings: Vec<UnavailableOfferingText> = "offerings",
        /// Capacity types as a whole.
        capacity_types: Vec<Str> = "capacityTypes",
        /// Subnets without addresses.
        subnets: Vec<Str> = "subnets",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// What a NodeClaim's pods ask for.
    pub struct ResourcesText {
        /// Requests.
        requests: ResourceList = "requests",
    }
    passed { "limits", "claims" }
    unmodelled { }
}

wire! {
    /// `spec` of a NodeClaim.
    pub struct ClaimSpecText {
        /// Node class.
        node_class_ref: NodeClassReference = "nodeClassRef",
        /// What the node can be.
        requirements: Vec<RequirementWithMinValues> = "requirements",
        /// What its pods ask for.
        resources: ResourcesText = "resources",
    }
    passed { "taints", "startupTaints", "terminationGracePeriod", "expireAfter" }
    unmodelled { }
}

wire! {
    /// A NodeClaim as core hands it over.
    pub struct ClaimText {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: ClaimSpecText = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// An error of the call itself.
    pub struct ApiErrorText {
        /// Code.
        code: Str = "code",
        /// Words.
        message: Str = "message",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Pools that refuse. A field that is missing fits every pool.
    pub struct RefusalText {
        /// Capacity type.
        capacity_type: Option<Str> = "capacityType",
        /// Instance type.
        instance_type: Option<Str> = "instanceType",
        /// Zone.
        zone: Option<Str> = "zone",
        /// Subnet.
        subnet: Option<Str> = "subnet",
        /// Reservation.
        reservation: Option<Str> = "reservation",
        /// EC2's code.
        code: Str = "code",
        /// EC2's words.
        message: Str = "message",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How EC2 answers.
    pub struct FleetText {
        /// One for each call, in order.
        api_errors: Vec<ApiErrorText> = "apiErrors",
        /// The first that fits refuses a pool.
        refuse: Vec<RefusalText> = "refuse",
        /// What EC2 itself counts that reservations have left, from now on.
        reservations: BTreeMap<Str, i64> = "reservations",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A launch.
    pub struct LaunchText {
        /// The NodeClaim.
        node_claim: ClaimText = "nodeClaim",
        /// EC2.
        fleet: FleetText = "fleet",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A scenario of the provider.
    pub struct AwsScenarioText {
        /// Name.
        name: Str = "name",
        /// `aws-instance-types` or `aws-launch`.
        kind: Str = "kind",
        /// The clock, which stands still.
        now: Option<Time> = "now",
        /// Region.
        region: Str = "region",
        /// Settings.
        options: OptionsText = "options",
        /// The EC2NodeClass, with status.
        node_class: Ec2NodeClass = "nodeClass",
        /// What EC2 tells.
        ec2: Ec2Text = "ec2",
        /// Prices.
        prices: PricesText = "prices",
        /// Memory that nodes have reported, by type.
        discovered_memory: BTreeMap<Str, Quantity> = "discoveredMemory",
        /// What could not be had lately.
        unavailable: UnavailableText = "unavailable",
        /// Ids of the zones that traffic is shifted away from.
        zonal_shifts: Vec<Str> = "zonalShifts",
        /// The NodePool, with NodeOverlays.
        node_pool: Option<NodePool> = "nodePool",
        /// NodeOverlays.
        node_overlays: Vec<NodeOverlay> = "nodeOverlays",
        /// Launches, in order.
        launches: Vec<LaunchText> = "launches",
    }
    passed { }
    unmodelled { }
}
