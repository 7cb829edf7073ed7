//! Core Kubernetes kinds, as far as they decide.

use super::meta::{Condition, IntOrString, LabelSelector, Labels, ObjectMeta, Operator, Str, Time, words};
use super::wire::{leaf, wire};
use crate::quantity::Quantity;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

leaf!(Quantity => r#"{"description": "a Kubernetes quantity such as 100m, 1.5, 2Gi or 1e3",
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$"}]}"#);

/// Amounts by resource name, sorted by name, without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ResourceList(Vec<(Str, Quantity)>);

impl ResourceList {
    /// The amount of `name`, if it is listed.
    pub fn get(&self, name: &str) -> Option<Quantity> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, quantity)| *quantity)
    }

    /// All entries, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, quantity)| (name.as_str(), *quantity))
    }

    /// Sets the amount of `name`.
    pub fn insert(&mut self, name: impl Into<Str>, quantity: Quantity) {
        let name = name.into();
        match self.0.binary_search_by(|(key, _)| key.cmp(&name)) {
            Ok(at) => self.0[at].1 = quantity,
            Err(at) => self.0.insert(at, (name, quantity)),
        }
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<Str>> FromIterator<(K, Quantity)> for ResourceList {
    fn from_iter<I: IntoIterator<Item = (K, Quantity)>>(entries: I) -> Self {
        let mut list = ResourceList::default();
        for (name, quantity) in entries {
            list.insert(name, quantity);
        }
        list
    }
}

impl<'de> Deserialize<'de> for ResourceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = ResourceList;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of resource names to quantities")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResourceList, A::Error> {
                let mut list = ResourceList::default();
                while let Some(name) = map.next_key::<Str>()? {
                    let quantity = map.next_value::<Quantity>()?;
                    list.insert(name, quantity);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_map(ListVisitor)
    }
}

impl crate::model::wire::Audit for ResourceList {
    fn audit(&self, _: &crate::model::wire::Path<'_>, _: &mut dyn crate::model::wire::Sink) {}
}

impl crate::model::wire::Field for ResourceList {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

words! {
    /// What a taint does to pods that do not tolerate it.
    pub enum TaintEffect {
        /// New pods stay away.
        NoSchedule = "NoSchedule",
        /// New pods stay away if they can.
        PreferNoSchedule = "PreferNoSchedule",
        /// New pods stay away and running ones are evicted.
        NoExecute = "NoExecute",
    }
}

words! {
    /// How a toleration compares.
    pub enum TolerationOperator {
        /// Key and value are equal.
        Equal = "Equal",
        /// The key is equal; without a key, every taint.
        Exists = "Exists",
        /// The taint's value is an integer below the toleration's.
        Lt = "Lt",
        /// The taint's value is an integer above the toleration's.
        Gt = "Gt",
    }
}

words! {
    /// What to do with a pod that a topology spread constraint refuses.
    pub enum WhenUnsatisfiable {
        /// It stays pending.
        DoNotSchedule = "DoNotSchedule",
        /// It goes where the skew grows least.
        ScheduleAnyway = "ScheduleAnyway",
    }
}

words! {
    /// Whether nodes are counted that the pod could not use.
    pub enum NodeInclusionPolicy {
        /// Only nodes that the pod could use.
        Honor = "Honor",
        /// All nodes.
        Ignore = "Ignore",
    }
}

wire! {
    /// A taint on a node.
    pub struct Taint {
        /// Key.
        key: Str = "key",
        /// Value.
        value: Str = "value",
        /// Effect.
        effect: Option<TaintEffect> = "effect",
    }
    passed { "timeAdded" }
    unmodelled { }
}

wire! {
    /// A taint that a pod puts up with.
    pub struct Toleration {
        /// Key; empty means every key, with `Exists`.
        key: Str = "key",
        /// Absent: `Equal`.
        operator: Option<TolerationOperator> = "operator",
        /// Value, for `Equal`.
        value: Str = "value",
        /// Absent: every effect.
        effect: Option<TaintEffect> = "effect",
        /// How long a running pod stays on a node that gets the taint.
        toleration_seconds: Option<i64> = "tolerationSeconds",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// One expression over the labels of a node.
    pub struct NodeSelectorRequirement {
        /// Label.
        key: Str = "key",
        /// Operator.
        operator: Option<Operator> = "operator",
        /// Values.
        values: Vec<Str> = "values",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Expressions that must all hold.
    pub struct NodeSelectorTerm {
        /// Over labels.
        match_expressions: Option<Vec<NodeSelectorRequirement>> = "matchExpressions",
        /// Over fields (`metadata.name`). Karpenter refuses pods that use it.
        match_fields: Option<Vec<NodeSelectorRequirement>> = "matchFields",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Terms of which one must hold.
    pub struct NodeSelector {
        /// The terms.
        node_selector_terms: Vec<NodeSelectorTerm> = "nodeSelectorTerms",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A preference for nodes.
    pub struct PreferredSchedulingTerm {
        /// 1 to 100.
        weight: i64 = "weight",
        /// What is preferred.
        preference: NodeSelectorTerm = "preference",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Which nodes a pod wants.
    pub struct NodeAffinity {
        /// Must hold.
        required: Option<NodeSelector> = "requiredDuringSchedulingIgnoredDuringExecution",
        /// Should hold.
        preferred: Vec<PreferredSchedulingTerm> = "preferredDuringSchedulingIgnoredDuringExecution",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Pods to be near to, or away from.
    pub struct PodAffinityTerm {
        /// Which pods.
        label_selector: Option<LabelSelector> = "labelSelector",
        /// In which namespaces.
        namespaces: Vec<Str> = "namespaces",
        /// And in namespaces with these labels.
        namespace_selector: Option<LabelSelector> = "namespaceSelector",
        /// The node label whose equal values are "near".
        topology_key: Str = "topologyKey",
    }
    passed { "matchLabelKeys", "mismatchLabelKeys" }
    unmodelled { }
}

wire! {
    /// A [`PodAffinityTerm`] with a weight.
    pub struct WeightedPodAffinityTerm {
        /// 1 to 100.
        weight: i64 = "weight",
        /// The term.
        pod_affinity_term: PodAffinityTerm = "podAffinityTerm",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Affinity, or anti-affinity, to other pods.
    pub struct PodAffinity {
        /// Must hold.
        required: Vec<PodAffinityTerm> = "requiredDuringSchedulingIgnoredDuringExecution",
        /// Should hold.
        preferred: Vec<WeightedPodAffinityTerm> = "preferredDuringSchedulingIgnoredDuringExecution",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec.affinity`.
    pub struct Affinity {
        /// To nodes.
        node_affinity: Option<NodeAffinity> = "nodeAffinity",
        /// To pods.
        pod_affinity: Option<PodAffinity> = "podAffinity",
        /// Away from pods.
        pod_anti_affinity: Option<PodAffinity> = "podAntiAffinity",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How pods are spread over domains.
    pub struct TopologySpreadConstraint {
        /// By how much domains may differ.
        max_skew: i64 = "maxSkew",
        /// The node label whose values are the domains.
        topology_key: Str = "topologyKey",
        /// Hard or soft.
        when_unsatisfiable: Option<WhenUnsatisfiable> = "whenUnsatisfiable",
        /// Which pods are counted.
        label_selector: Option<LabelSelector> = "labelSelector",
        /// With fewer eligible domains the least count is taken as 0.
        min_domains: Option<i64> = "minDomains",
        /// Absent: `Honor`.
        node_affinity_policy: Option<NodeInclusionPolicy> = "nodeAffinityPolicy",
        /// Absent: `Ignore`.
        node_taints_policy: Option<NodeInclusionPolicy> = "nodeTaintsPolicy",
        /// Labels whose values on the pod narrow the selector.
        match_label_keys: Vec<Str> = "matchLabelKeys",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// What a container, or a whole pod, asks for.
    pub struct ResourceRequirements {
        /// Reserved.
        requests: ResourceList = "requests",
        /// The most it can use.
        limits: ResourceList = "limits",
        /// Dynamic resource claims.
        claims: Vec<ContainerResourceClaim> = "claims",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A container's reference to a claim of the pod.
    pub struct ContainerResourceClaim {
        /// Name in `spec.resourceClaims`.
        name: Str = "name",
    }
    passed { "request" }
    unmodelled { }
}

wire! {
    /// A port of a container.
    pub struct ContainerPort {
        /// 0: none.
        host_port: i64 = "hostPort",
        /// Empty: every address.
        host_ip: Str = "hostIP",
        /// `TCP`, `UDP` or `SCTP`.
        protocol: Str = "protocol",
    }
    passed { "containerPort", "name" }
    unmodelled { }
}

wire! {
    /// A container.
    pub struct Container {
        /// Name.
        name: Str = "name",
        /// What it asks for.
        resources: ResourceRequirements = "resources",
        /// Ports.
        ports: Vec<ContainerPort> = "ports",
        /// `Always` makes an init container a sidecar.
        restart_policy: Str = "restartPolicy",
        /// Image; kube-scheduler prefers nodes that have it.
        image: Str = "image",
    }
    passed {
        "command", "args", "env", "envFrom", "imagePullPolicy", "lifecycle", "livenessProbe", "readinessProbe",
        "startupProbe", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy",
        "tty", "volumeDevices", "volumeMounts", "workingDir", "resizePolicy", "restartPolicyRules",
    }
    unmodelled { }
}

wire! {
    /// Reference to a claim in the pod's namespace.
    pub struct PersistentVolumeClaimVolumeSource {
        /// Its name.
        claim_name: Str = "claimName",
    }
    passed { "readOnly" }
    unmodelled { }
}

wire! {
    /// A claim made with the pod, named `POD-VOLUME`.
    pub struct EphemeralVolumeSource {
        /// What the claim will be.
        volume_claim_template: Option<PersistentVolumeClaimTemplate> = "volumeClaimTemplate",
    }
    passed { "readOnly" }
    unmodelled { }
}

wire! {
    /// Template of an ephemeral claim.
    pub struct PersistentVolumeClaimTemplate {
        /// Its spec.
        spec: PersistentVolumeClaimSpec = "spec",
    }
    passed { "metadata" }
    unmodelled { }
}

wire! {
    /// A disk of AWS.
    pub struct AwsElasticBlockStoreVolumeSource {
        /// Which.
        volume_id: Str = "volumeID",
    }
    passed { "fsType", "partition", "readOnly" }
    unmodelled { }
}

wire! {
    /// A disk of GCE.
    pub struct GcePersistentDiskVolumeSource {
        /// Which.
        pd_name: Str = "pdName",
        /// Several pods can read it.
        read_only: bool = "readOnly",
    }
    passed { "fsType", "partition" }
    unmodelled { }
}

wire! {
    /// A disk of Azure.
    pub struct AzureDiskVolumeSource {
        /// Which.
        disk_uri: Str = "diskURI",
    }
    passed { "diskName", "cachingMode", "fsType", "readOnly", "kind" }
    unmodelled { }
}

wire! {
    /// A disk of OpenStack.
    pub struct CinderVolumeSource {
        /// Which.
        volume_id: Str = "volumeID",
    }
    passed { "fsType", "readOnly", "secretRef" }
    unmodelled { }
}

wire! {
    /// A disk over iSCSI.
    pub struct IscsiVolumeSource {
        /// Which.
        iqn: Str = "iqn",
        /// Several pods can read it.
        read_only: bool = "readOnly",
    }
    passed {
        "targetPortal", "lun", "iscsiInterface", "fsType", "portals", "chapAuthDiscovery", "chapAuthSession", "secretRef",
        "initiatorName",
    }
    unmodelled { }
}

wire! {
    /// A disk of Ceph.
    pub struct RbdVolumeSource {
        /// Where.
        monitors: Vec<Str> = "monitors",
        /// Pool; absent: `rbd`.
        pool: Str = "pool",
        /// Which.
        image: Str = "image",
        /// Several pods can read it.
        read_only: bool = "readOnly",
    }
    passed { "fsType", "user", "keyring", "secretRef" }
    unmodelled { }
}

wire! {
    /// An image that is mounted.
    pub struct ImageVolumeSource {
        /// Which.
        reference: Str = "reference",
    }
    passed { "pullPolicy" }
    unmodelled { }
}

wire! {
    /// A folder that lives as long as the pod.
    pub struct EmptyDirVolumeSource {
        /// `Memory`: it is no disk of the node.
        medium: Str = "medium",
    }
    passed { "sizeLimit" }
    unmodelled { }
}

wire! {
    /// A folder of the node.
    pub struct HostPathVolumeSource {
        /// Which.
        path: Str = "path",
    }
    passed { "type" }
    unmodelled { }
}

wire! {
    /// Files that the kubelet writes for the pod; only its being there matters.
    pub struct ProjectedVolumeSource {}
    passed { "sources", "defaultMode" }
    unmodelled { }
}

wire! {
    /// A volume of a pod.
    pub struct Volume {
        /// Name.
        name: Str = "name",
        /// A folder that lives as long as the pod.
        empty_dir: Option<Box<EmptyDirVolumeSource>> = "emptyDir",
        /// A folder of the node.
        host_path: Option<Box<HostPathVolumeSource>> = "hostPath",
        /// Files that the kubelet writes.
        projected: Option<Box<ProjectedVolumeSource>> = "projected",
        /// An existing claim.
        persistent_volume_claim: Option<PersistentVolumeClaimVolumeSource> = "persistentVolumeClaim",
        /// A claim made with the pod.
        ephemeral: Option<EphemeralVolumeSource> = "ephemeral",
        /// A disk of AWS, by name.
        aws_elastic_block_store: Option<Box<AwsElasticBlockStoreVolumeSource>> = "awsElasticBlockStore",
        /// A disk of GCE, by name.
        gce_persistent_disk: Option<Box<GcePersistentDiskVolumeSource>> = "gcePersistentDisk",
        /// A disk of Azure, by name.
        azure_disk: Option<Box<AzureDiskVolumeSource>> = "azureDisk",
        /// A disk of OpenStack, by name.
        cinder: Option<Box<CinderVolumeSource>> = "cinder",
        /// A disk over iSCSI.
        iscsi: Option<Box<IscsiVolumeSource>> = "iscsi",
        /// A disk of Ceph.
        rbd: Option<Box<RbdVolumeSource>> = "rbd",
        /// An image.
        image: Option<Box<ImageVolumeSource>> = "image",
    }
    passed {
        "configMap", "secret", "downwardAPI", "nfs", "csi", "fc",
        "cephfs", "glusterfs", "gitRepo", "azureFile", "flexVolume",
        "flocker", "photonPersistentDisk", "portworxVolume", "quobyte", "scaleIO", "storageos",
        "vsphereVolume",
    }
    unmodelled { }
}

wire! {
    /// A pod's reference to a dynamic resource claim.
    pub struct PodResourceClaim {
        /// Name in the pod.
        name: Str = "name",
        /// An existing claim.
        resource_claim_name: Str = "resourceClaimName",
        /// Or a template.
        resource_claim_template_name: Str = "resourceClaimTemplateName",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Something that must happen before a pod is scheduled.
    pub struct PodSchedulingGate {
        /// Name.
        name: Str = "name",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec` of a pod.
    pub struct PodSpec {
        /// The node it is bound to; empty: none.
        node_name: Str = "nodeName",
        /// Labels that the node must have.
        node_selector: Labels = "nodeSelector",
        /// Affinity.
        affinity: Option<Box<Affinity>> = "affinity",
        /// Tolerations.
        tolerations: Vec<Toleration> = "tolerations",
        /// Spreading.
        topology_spread_constraints: Vec<TopologySpreadConstraint> = "topologySpreadConstraints",
        /// Containers.
        containers: Vec<Container> = "containers",
        /// Init containers and sidecars.
        init_containers: Vec<Container> = "initContainers",
        /// What the runtime adds.
        overhead: ResourceList = "overhead",
        /// Requests of the pod as a whole.
        resources: Option<Box<ResourceRequirements>> = "resources",
        /// Volumes.
        volumes: Vec<Volume> = "volumes",
        /// Priority, resolved.
        priority: Option<i64> = "priority",
        /// Class of priority.
        priority_class_name: Str = "priorityClassName",
        /// How long it may take to end, in seconds.
        termination_grace_period_seconds: Option<i64> = "terminationGracePeriodSeconds",
        /// Dynamic resource claims.
        resource_claims: Vec<PodResourceClaim> = "resourceClaims",
        /// It shares the node's network.
        host_network: bool = "hostNetwork",
        /// `Never`: it evicts no other pods. Absent: `PreemptLowerPriority`.
        preemption_policy: Str = "preemptionPolicy",
        /// While there are any it is not scheduled.
        scheduling_gates: Vec<PodSchedulingGate> = "schedulingGates",
    }
    passed {
        "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "restartPolicy", "dnsPolicy", "dnsConfig",
        "schedulerName", "securityContext", "enableServiceLinks", "hostPID", "hostIPC", "hostUsers",
        "hostname", "subdomain", "hostAliases", "imagePullSecrets", "readinessGates", "runtimeClassName",
        "activeDeadlineSeconds", "setHostnameAsFQDN", "shareProcessNamespace", "os", "ephemeralContainers",
        "hostnameOverride", "workloadRef",
    }
    unmodelled { }
}

wire! {
    /// `status` of a pod.
    pub struct PodStatus {
        /// `Pending`, `Running`, `Succeeded`, `Failed`.
        phase: Str = "phase",
        /// Conditions.
        conditions: Vec<Condition> = "conditions",
        /// A node that preemption makes room on.
        nominated_node_name: Str = "nominatedNodeName",
        /// When the kubelet took it.
        start_time: Option<Time> = "startTime",
        /// Status of containers, for resizes in place.
        container_statuses: Vec<ContainerStatus> = "containerStatuses",
        /// The same of init containers.
        init_container_statuses: Vec<ContainerStatus> = "initContainerStatuses",
    }
    passed {
        "hostIP", "hostIPs", "podIP", "podIPs", "qosClass", "message", "reason", "resize", "observedGeneration",
        "ephemeralContainerStatuses", "resourceClaimStatuses", "extendedResourceClaimStatus", "allocatedResources",
        "resources",
    }
    unmodelled { }
}

wire! {
    /// What the kubelet has set aside for a container.
    pub struct ContainerStatus {
        /// Name.
        name: Str = "name",
        /// Set aside.
        allocated_resources: ResourceList = "allocatedResources",
        /// In force.
        resources: Option<ResourceRequirements> = "resources",
    }
    passed {
        "containerID", "image", "imageID", "lastState", "ready", "restartCount", "started", "state", "volumeMounts", "user",
        "allocatedResourcesStatus", "stopSignal",
    }
    unmodelled { }
}

wire! {
    /// A pod.
    pub struct Pod {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: PodSpec = "spec",
        /// Status.
        status: PodStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// `spec` of a node.
    pub struct NodeSpec {
        /// The cloud's name for it.
        provider_id: Str = "providerID",
        /// Taints.
        taints: Vec<Taint> = "taints",
        /// Cordoned.
        unschedulable: bool = "unschedulable",
    }
    passed { "podCIDR", "podCIDRs", "externalID", "configSource" }
    unmodelled { }
}

wire! {
    /// An image that a node has.
    pub struct ContainerImage {
        /// All its names.
        names: Vec<Str> = "names",
        /// Its size.
        size_bytes: i64 = "sizeBytes",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `status` of a node.
    pub struct NodeStatus {
        /// All it has.
        capacity: ResourceList = "capacity",
        /// What pods can have.
        allocatable: ResourceList = "allocatable",
        /// Conditions.
        conditions: Vec<Condition> = "conditions",
        /// Images that it has.
        images: Vec<ContainerImage> = "images",
    }
    passed {
        "addresses", "daemonEndpoints", "nodeInfo", "phase", "runtimeHandlers", "volumesAttached", "volumesInUse",
        "config", "features", "declaredFeatures",
    }
    unmodelled { }
}

wire! {
    /// A node.
    pub struct Node {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: NodeSpec = "spec",
        /// Status.
        status: NodeStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// A namespace.
    pub struct Namespace {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
    }
    passed { "apiVersion", "kind", "spec", "status" }
    unmodelled { }
}

wire! {
    /// A template of pods.
    pub struct PodTemplateSpec {
        /// Metadata of the pods.
        metadata: ObjectMeta = "metadata",
        /// Spec of the pods.
        spec: PodSpec = "spec",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec` of a daemon set.
    pub struct DaemonSetSpec {
        /// Its pods.
        selector: Option<LabelSelector> = "selector",
        /// Their template.
        template: PodTemplateSpec = "template",
    }
    passed { "updateStrategy", "minReadySeconds", "revisionHistoryLimit" }
    unmodelled { }
}

wire! {
    /// A daemon set.
    pub struct DaemonSet {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: DaemonSetSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// Reference to a CSI volume.
    pub struct CsiVolumeSource {
        /// Driver.
        driver: Str = "driver",
        /// The driver's name for it.
        volume_handle: Str = "volumeHandle",
    }
    passed {
        "fsType", "readOnly", "volumeAttributes", "controllerExpandSecretRef",
        "controllerPublishSecretRef", "nodeExpandSecretRef", "nodePublishSecretRef", "nodeStageSecretRef",
    }
    unmodelled { }
}

wire! {
    /// A volume source of which only the presence matters.
    pub struct AnyVolumeSource {}
    passed { "path", "type", "fsType", "volumeID", "partition", "readOnly" }
    unmodelled { }
}

wire! {
    /// Which nodes can reach a volume.
    pub struct VolumeNodeAffinity {
        /// Must hold.
        required: Option<NodeSelector> = "required",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// The claim that has a volume.
    pub struct ClaimReference {
        /// Its namespace.
        namespace: Str = "namespace",
        /// Its name.
        name: Str = "name",
        /// Its UID; empty: whichever has the name.
        uid: Str = "uid",
    }
    passed { "apiVersion", "kind", "resourceVersion", "fieldPath" }
    unmodelled { }
}

wire! {
    /// `status` of a volume.
    pub struct PersistentVolumeStatus {
        /// `Available`, `Bound`, `Released`, `Failed`.
        phase: Str = "phase",
    }
    passed { "message", "reason", "lastPhaseTransitionTime" }
    unmodelled { }
}

wire! {
    /// `spec` of a volume.
    pub struct PersistentVolumeSpec {
        /// CSI.
        csi: Option<CsiVolumeSource> = "csi",
        /// In-tree EBS.
        aws_elastic_block_store: Option<Box<AwsElasticBlockStoreVolumeSource>> = "awsElasticBlockStore",
        /// In-tree GCE disk.
        gce_persistent_disk: Option<Box<GcePersistentDiskVolumeSource>> = "gcePersistentDisk",
        /// In-tree Azure disk.
        azure_disk: Option<Box<AzureDiskVolumeSource>> = "azureDisk",
        /// In-tree OpenStack disk.
        cinder: Option<Box<CinderVolumeSource>> = "cinder",
        /// A disk of one node.
        local: Option<AnyVolumeSource> = "local",
        /// A folder of one node.
        host_path: Option<AnyVolumeSource> = "hostPath",
        /// Where it can be reached.
        node_affinity: Option<VolumeNodeAffinity> = "nodeAffinity",
        /// How it can be used.
        access_modes: Vec<Str> = "accessModes",
        /// How large it is.
        capacity: ResourceList = "capacity",
        /// Whose it is.
        claim_ref: Option<Box<ClaimReference>> = "claimRef",
        /// Its class; empty: none.
        storage_class_name: Str = "storageClassName",
        /// `Filesystem` or `Block`; absent: `Filesystem`.
        volume_mode: Str = "volumeMode",
        /// Its class of attributes.
        volume_attributes_class_name: Str = "volumeAttributesClassName",
    }
    passed {
        "mountOptions", "persistentVolumeReclaimPolicy", "nfs", "iscsi", "fc", "rbd", "cephfs", "glusterfs",
        "azureFile", "flexVolume", "flocker", "photonPersistentDisk", "portworxVolume",
        "quobyte", "scaleIO", "storageos", "vsphereVolume",
    }
    unmodelled { }
}

wire! {
    /// A volume.
    pub struct PersistentVolume {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: PersistentVolumeSpec = "spec",
        /// Status.
        status: PersistentVolumeStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// What a claim asks for.
    pub struct VolumeResourceRequirements {
        /// At least.
        requests: ResourceList = "requests",
    }
    passed { "limits" }
    unmodelled { }
}

wire! {
    /// `spec` of a claim.
    pub struct PersistentVolumeClaimSpec {
        /// Absent: the default class, as the API server would have filled in.
        storage_class_name: Option<Str> = "storageClassName",
        /// The volume; empty: unbound.
        volume_name: Str = "volumeName",
        /// How it is to be used.
        access_modes: Vec<Str> = "accessModes",
        /// How large it must be.
        resources: VolumeResourceRequirements = "resources",
        /// Labels that the volume must have.
        selector: Option<LabelSelector> = "selector",
        /// `Filesystem` or `Block`; absent: `Filesystem`.
        volume_mode: Str = "volumeMode",
        /// Its class of attributes.
        volume_attributes_class_name: Str = "volumeAttributesClassName",
    }
    passed { "dataSource", "dataSourceRef" }
    unmodelled { }
}

wire! {
    /// `status` of a claim.
    pub struct PersistentVolumeClaimStatus {
        /// `Pending`, `Bound`, `Lost`.
        phase: Str = "phase",
    }
    passed {
        "accessModes", "allocatedResources", "allocatedResourceStatuses", "capacity", "conditions",
        "currentVolumeAttributesClassName", "modifyVolumeStatus",
    }
    unmodelled { }
}

wire! {
    /// A claim.
    pub struct PersistentVolumeClaim {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: PersistentVolumeClaimSpec = "spec",
        /// Status.
        status: PersistentVolumeClaimStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// One label of a [`TopologySelectorTerm`].
    pub struct TopologySelectorLabelRequirement {
        /// Label.
        key: Str = "key",
        /// Its allowed values.
        values: Vec<Str> = "values",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Where volumes of a class can be made.
    pub struct TopologySelectorTerm {
        /// All must hold.
        match_label_expressions: Vec<TopologySelectorLabelRequirement> = "matchLabelExpressions",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A storage class.
    pub struct StorageClass {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Driver.
        provisioner: Str = "provisioner",
        /// `Immediate` or `WaitForFirstConsumer`.
        volume_binding_mode: Str = "volumeBindingMode",
        /// One must hold.
        allowed_topologies: Vec<TopologySelectorTerm> = "allowedTopologies",
    }
    passed { "apiVersion", "kind", "reclaimPolicy", "parameters", "mountOptions", "allowVolumeExpansion" }
    unmodelled { }
}

wire! {
    /// How many volumes a node can attach.
    pub struct VolumeNodeResources {
        /// Absent: no limit.
        count: Option<i64> = "count",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A driver on a node.
    pub struct CsiNodeDriver {
        /// Name.
        name: Str = "name",
        /// Limit.
        allocatable: Option<VolumeNodeResources> = "allocatable",
    }
    passed { "nodeID", "topologyKeys" }
    unmodelled { }
}

wire! {
    /// `spec` of a CSI node.
    pub struct CsiNodeSpec {
        /// Drivers.
        drivers: Vec<CsiNodeDriver> = "drivers",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// The storage drivers of a node.
    pub struct CsiNode {
        /// Metadata; the name is the node's.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: CsiNodeSpec = "spec",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// `spec` of a disruption budget.
    pub struct PodDisruptionBudgetSpec {
        /// Whose pods.
        selector: Option<LabelSelector> = "selector",
        /// The most that may be away.
        max_unavailable: Option<IntOrString> = "maxUnavailable",
        /// The least that must be there.
        min_available: Option<IntOrString> = "minAvailable",
        /// `AlwaysAllow` or `IfHealthyBudget`.
        unhealthy_pod_eviction_policy: Str = "unhealthyPodEvictionPolicy",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `status` of a disruption budget.
    pub struct PodDisruptionBudgetStatus {
        /// Evictions that are allowed now.
        disruptions_allowed: i64 = "disruptionsAllowed",
        /// Pods whose eviction is under way, and since when.
        disrupted_pods: Labels = "disruptedPods",
    }
    passed { "currentHealthy", "desiredHealthy", "expectedPods", "observedGeneration", "conditions" }
    unmodelled { }
}

wire! {
    /// A disruption budget.
    pub struct PodDisruptionBudget {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: PodDisruptionBudgetSpec = "spec",
        /// Status.
        status: PodDisruptionBudgetStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// `spec` of a service.
    pub struct ServiceSpec {
        /// Its pods; without any, none.
        selector: Labels = "selector",
    }
    passed {
        "ports", "clusterIP", "clusterIPs", "type", "externalIPs", "sessionAffinity", "loadBalancerIP",
        "loadBalancerSourceRanges", "externalName", "externalTrafficPolicy", "healthCheckNodePort",
        "publishNotReadyAddresses", "sessionAffinityConfig", "ipFamilies", "ipFamilyPolicy", "allocateLoadBalancerNodePorts",
        "loadBalancerClass", "internalTrafficPolicy", "trafficDistribution",
    }
    unmodelled { }
}

wire! {
    /// A service: kube-scheduler spreads its pods.
    pub struct Service {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: ServiceSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// `spec` of a replication controller.
    pub struct ReplicationControllerSpec {
        /// Its pods.
        selector: Labels = "selector",
    }
    passed { "replicas", "minReadySeconds", "template" }
    unmodelled { }
}

wire! {
    /// A replication controller.
    pub struct ReplicationController {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: ReplicationControllerSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// `spec` of a replica set or a stateful set, as far as it says which pods are its own.
    pub struct ReplicaSetSpec {
        /// Its pods.
        selector: Option<LabelSelector> = "selector",
    }
    passed {
        "replicas", "minReadySeconds", "template", "serviceName", "podManagementPolicy", "updateStrategy",
        "revisionHistoryLimit", "volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy", "ordinals",
    }
    unmodelled { }
}

wire! {
    /// A replica set.
    pub struct ReplicaSet {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: ReplicaSetSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// A stateful set.
    pub struct StatefulSet {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: ReplicaSetSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}
