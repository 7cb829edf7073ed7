//! Objects that select pods: Services, and the controllers that own pods. A default topology spread counts the pods that
//! they select.

use super::meta::{LabelSelector, Labels, ObjectMeta};
use super::wire::wire;

wire! {
    /// `spec` of a Service.
    pub struct ServiceSpec {
        /// Labels of its pods; absent or empty: none are told apart by it.
        selector: Labels = "selector",
    }
    passed {
        "ports", "clusterIP", "clusterIPs", "type", "externalIPs", "sessionAffinity", "loadBalancerIP",
        "loadBalancerSourceRanges", "externalName", "externalTrafficPolicy", "healthCheckNodePort",
        "publishNotReadyAddresses", "sessionAffinityConfig", "ipFamilies", "ipFamilyPolicy",
        "allocateLoadBalancerNodePorts", "loadBalancerClass", "internalTrafficPolicy", "trafficDistribution",
    }
    unmodelled { }
}

wire! {
    /// A Service.
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
    /// `spec` of a ReplicationController.
    pub struct ReplicationControllerSpec {
        /// Labels of its pods.
        selector: Labels = "selector",
    }
    passed { "replicas", "minReadySeconds", "template" }
    unmodelled { }
}

wire! {
    /// A ReplicationController.
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
    /// `spec` of a ReplicaSet.
    pub struct ReplicaSetSpec {
        /// Its pods.
        selector: LabelSelector = "selector",
    }
    passed { "replicas", "minReadySeconds", "template" }
    unmodelled { }
}

wire! {
    /// A ReplicaSet.
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
    /// `spec` of a StatefulSet.
    pub struct StatefulSetSpec {
        /// Its pods.
        selector: LabelSelector = "selector",
    }
    passed {
        "replicas", "template", "volumeClaimTemplates", "serviceName", "podManagementPolicy", "updateStrategy",
        "revisionHistoryLimit", "minReadySeconds", "persistentVolumeClaimRetentionPolicy", "ordinals",
    }
    unmodelled { }
}

wire! {
    /// A StatefulSet.
    pub struct StatefulSet {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: StatefulSetSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}
