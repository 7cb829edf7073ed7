//! EC2NodeClass, `karpenter.k8s.aws/v1`: as far as instance types and launches follow from it.

use super::ami_family::AmiFamily;
use crate::model::core::NodeSelectorRequirement;
use crate::model::meta::{Labels, Str, Time, words};
use crate::model::wire::wire;
use crate::provider::capacity::CapacityError;
use crate::provider::node_class::KubeletConfiguration;
use crate::quantity::Quantity;
use std::collections::BTreeMap;

words! {
    /// What the disks of an instance store are used for.
    pub enum InstanceStorePolicy {
        /// One volume out of all, for pods' ephemeral storage.
        Raid0 = "RAID0",
    }
}

words! {
    /// What a network interface is for.
    pub enum InterfaceType {
        /// IP networking.
        Interface = "interface",
        /// Elastic Fabric Adapter traffic alone.
        EfaOnly = "efa-only",
    }
}

words! {
    /// A switch of the processor.
    pub enum Switch {
        /// On.
        Enabled = "enabled",
        /// Off.
        Disabled = "disabled",
    }
}

words! {
    /// A kind of capacity reservation.
    pub enum ReservationType {
        /// An On-Demand Capacity Reservation.
        Default = "default",
        /// A capacity block for machine learning.
        CapacityBlock = "capacity-block",
    }
}

words! {
    /// Whether a reservation is to be used.
    pub enum ReservationState {
        /// It is.
        Active = "active",
        /// It ends so soon that no node is launched into it.
        Expiring = "expiring",
    }
}

wire! {
    /// Selects machine images.
    pub struct ImageSelectorTerm {
        /// Family and version, as `al2023@latest`.
        alias: Str = "alias",
    }
    passed { "id", "name", "owner", "tags", "ssmParameter" }
    unmodelled { }
}

wire! {
    /// A volume of the cloud.
    pub struct BlockDevice {
        /// Its size.
        volume_size: Option<Quantity> = "volumeSize",
    }
    passed {
        "deleteOnTermination", "encrypted", "iops", "kmsKeyID", "snapshotID", "throughput", "volumeType",
        "volumeInitializationRate",
    }
    unmodelled { }
}

wire! {
    /// A volume at a device name.
    pub struct BlockDeviceMapping {
        /// The device.
        device_name: Str = "deviceName",
        /// The volume.
        ebs: BlockDevice = "ebs",
        /// The volume that the kubelet keeps its data on.
        root_volume: bool = "rootVolume",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A network interface of the instance.
    pub struct NetworkInterface {
        /// Network card.
        network_card_index: i64 = "networkCardIndex",
        /// Its place on the card.
        device_index: i64 = "deviceIndex",
        /// What it is for.
        interface_type: Option<InterfaceType> = "interfaceType",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Selects a placement group.
    pub struct PlacementGroupSelector {
        /// By its id.
        id: Str = "id",
        /// By its name.
        name: Str = "name",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Options of the processor.
    pub struct CpuOptions {
        /// Virtual machines inside the instance.
        nested_virtualization: Option<Switch> = "nestedVirtualization",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How long connections are tracked. That it is there at all is what decides.
    pub struct ConnectionTracking { }
    passed { "tcpEstablishedTimeout", "udpStreamTimeout", "udpTimeout" }
    unmodelled { }
}

wire! {
    /// `spec` of an EC2NodeClass.
    pub struct Ec2NodeClassSpec {
        /// Image family; absent: that of the alias.
        ami_family: Str = "amiFamily",
        /// Images.
        ami_selector_terms: Vec<ImageSelectorTerm> = "amiSelectorTerms",
        /// Kubelet.
        kubelet: KubeletConfiguration = "kubelet",
        /// Instance store.
        instance_store_policy: Option<InstanceStorePolicy> = "instanceStorePolicy",
        /// Volumes.
        block_device_mappings: Vec<BlockDeviceMapping> = "blockDeviceMappings",
        /// Network interfaces.
        network_interfaces: Option<Vec<NetworkInterface>> = "networkInterfaces",
        /// Placement group.
        placement_group_selector: Option<PlacementGroupSelector> = "placementGroupSelector",
        /// Processor.
        cpu_options: CpuOptions = "cpuOptions",
        /// Connection tracking.
        connection_tracking: Option<ConnectionTracking> = "connectionTracking",
        /// Tags of all that is made for its nodes.
        tags: Labels = "tags",
        /// Sent along with every request to CreateFleet.
        context: Option<Str> = "context",
    }
    passed {
        "associatePublicIPAddress", "capacityReservationSelectorTerms", "detailedMonitoring", "instanceProfile",
        "metadataOptions", "role", "securityGroupSelectorTerms", "subnetSelectorTerms", "userData", "ipPrefixCount",
    }
    unmodelled { }
}

wire! {
    /// A subnet that the node class's selectors have found.
    pub struct Subnet {
        /// Id.
        id: Str = "id",
        /// Zone.
        zone: Str = "zone",
        /// The zone's id, which is the same in every account.
        zone_id: Str = "zoneID",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A security group that the node class's selectors have found.
    pub struct SecurityGroup {
        /// Id.
        id: Str = "id",
    }
    passed { "name" }
    unmodelled { }
}

wire! {
    /// A machine image that the node class's selectors have found.
    pub struct Image {
        /// Id.
        id: Str = "id",
        /// The instance types that it is for.
        requirements: Vec<NodeSelectorRequirement> = "requirements",
    }
    passed { "name", "deprecated" }
    unmodelled { }
}

wire! {
    /// A capacity reservation that the node class's selectors have found.
    pub struct CapacityReservation {
        /// Id.
        id: Str = "id",
        /// Instance type.
        instance_type: Str = "instanceType",
        /// Zone.
        availability_zone: Str = "availabilityZone",
        /// Kind; absent: the default one.
        reservation_type: Option<ReservationType> = "reservationType",
        /// Whether its owner can take the instances back.
        interruptible: bool = "interruptible",
        /// Whether it is to be used; absent: active.
        state: Option<ReservationState> = "state",
    }
    passed { "ownerID", "instanceMatchCriteria", "endTime" }
    unmodelled { }
}

impl CapacityReservation {
    /// Its kind.
    pub fn kind(&self) -> ReservationType {
        self.reservation_type.unwrap_or(ReservationType::Default)
    }
}

wire! {
    /// A condition of a node class.
    pub struct NodeClassCondition {
        /// Type.
        kind: Str = "type",
        /// `True`, `False`, `Unknown`.
        status: Str = "status",
        /// In words.
        message: Str = "message",
        /// The generation of the object that it speaks of.
        observed_generation: i64 = "observedGeneration",
    }
    passed { "reason", "lastTransitionTime" }
    unmodelled { }
}

wire! {
    /// `status` of an EC2NodeClass. The order of subnets and images counts.
    pub struct Ec2NodeClassStatus {
        /// Subnets.
        subnets: Vec<Subnet> = "subnets",
        /// Security groups.
        security_groups: Vec<SecurityGroup> = "securityGroups",
        /// Images.
        amis: Vec<Image> = "amis",
        /// Capacity reservations.
        capacity_reservations: Vec<CapacityReservation> = "capacityReservations",
        /// Conditions.
        conditions: Vec<NodeClassCondition> = "conditions",
    }
    passed { "instanceProfile" }
    unmodelled { }
}

wire! {
    /// `metadata` of a node class.
    pub struct NodeClassMeta {
        /// Name.
        name: Str = "name",
        /// Counts the changes of `spec`.
        generation: i64 = "generation",
        /// When its deletion was asked for.
        deletion_timestamp: Option<Time> = "deletionTimestamp",
        /// Annotations.
        annotations: Labels = "annotations",
    }
    passed {
        "namespace", "uid", "creationTimestamp", "labels", "ownerReferences", "generateName", "resourceVersion",
        "selfLink", "finalizers", "managedFields", "deletionGracePeriodSeconds",
    }
    unmodelled { }
}

wire! {
    /// `EC2NodeClass.karpenter.k8s.aws`.
    pub struct Ec2NodeClass {
        /// Metadata.
        metadata: NodeClassMeta = "metadata",
        /// Spec.
        spec: Ec2NodeClassSpec = "spec",
        /// What its controller has found. Absent: a manifest as it is applied.
        status: Option<Ec2NodeClassStatus> = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

/// A zone in which a node class has subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: Str,
    /// Its id; empty in the status of a node class that an older version of Karpenter resolved.
    pub id: Str,
    /// The ids of its subnets.
    pub subnets: Vec<Str>,
}

impl Ec2NodeClass {
    /// Its family of images.
    ///
    /// # Errors
    ///
    /// If there is no such family.
    pub fn ami_family(&self) -> Result<AmiFamily, CapacityError> {
        AmiFamily::of(&self.spec)
    }

    /// The zones of its subnets, by id. Subnets are gathered by the *id* of their zone, and the first one names it: where
    /// ids are missing all are taken to be in one zone.
    pub fn zones(&self) -> Vec<Zone> {
        let mut zones: BTreeMap<&Str, Zone> = BTreeMap::new();
        for subnet in self.subnets() {
            let zone = zones.entry(&subnet.zone_id).or_insert_with(|| Zone {
                name: subnet.zone.clone(),
                id: subnet.zone_id.clone(),
                subnets: Vec::new(),
            });
            zone.subnets.push(subnet.id.clone());
        }
        zones.into_values().collect()
    }

    /// Its subnets.
    pub fn subnets(&self) -> &[Subnet] {
        self.status.as_ref().map_or(&[], |status| &status.subnets)
    }

    /// Its images.
    pub fn images(&self) -> &[Image] {
        self.status.as_ref().map_or(&[], |status| &status.amis)
    }

    /// Its security groups.
    pub fn security_groups(&self) -> &[SecurityGroup] {
        self.status.as_ref().map_or(&[], |status| &status.security_groups)
    }

    /// Its capacity reservations.
    pub fn capacity_reservations(&self) -> &[CapacityReservation] {
        self.status.as_ref().map_or(&[], |status| &status.capacity_reservations)
    }
}
