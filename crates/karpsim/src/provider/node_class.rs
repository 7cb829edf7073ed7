//! Node classes, as far as capacity, overhead and allocatable follow from them.

use crate::catalogue::read::{typed, value_problem};
use crate::model::core::ResourceList;
use crate::model::meta::{Labels, ObjectMeta, Str};
use crate::model::wire::wire;
use crate::problem::Problem;
use crate::provider::aws::Ec2NodeClass;
use crate::yaml;
use serde_json::Value;

wire! {
    /// Settings of the kubelet.
    pub struct KubeletConfiguration {
        /// The most pods on a node.
        max_pods: Option<i64> = "maxPods",
        /// The most pods a vCPU.
        pods_per_core: Option<i64> = "podsPerCore",
        /// Kept for the kubelet, instead of the default, key by key.
        kube_reserved: ResourceList = "kubeReserved",
        /// Kept for the system.
        system_reserved: ResourceList = "systemReserved",
        /// Signals with a quantity or a percentage; `memory.available` and `nodefs.available` count.
        eviction_hard: Labels = "evictionHard",
    }
    passed {
        "clusterDNS", "cpuCFSQuota", "evictionSoft", "evictionSoftGracePeriod", "evictionMaxPodGracePeriod",
        "imageGCHighThresholdPercent", "imageGCLowThresholdPercent", "cpuManagerPolicy", "cpuCFSQuotaPeriod",
        "topologyManagerPolicy", "allowedUnsafeSysctls", "containerLogMaxSize", "containerLogMaxFiles", "podPidsLimit",
        "singleProcessOOMKill", "failSwapOn", "seccompDefault",
    }
    unmodelled { }
}

wire! {
    /// A disk of a GCENodeClass.
    pub struct GceDisk {
        /// Its size in GiB.
        size_gib: i64 = "sizeGiB",
        /// Its category; `local-ssd` counts as ephemeral storage.
        category: Str = "category",
        /// The disk that the machine boots from.
        boot: bool = "boot",
    }
    passed {
        "secondaryBootImage", "secondaryBootMode", "kmsKeyName", "provisionedIOPS", "provisionedThroughput",
        "kmsKeyServiceAccount", "type",
    }
    unmodelled { }
}

wire! {
    /// `spec` of a GCENodeClass.
    pub struct GceNodeClassSpec {
        /// Disks.
        disks: Vec<GceDisk> = "disks",
        /// Kubelet.
        kubelet_configuration: KubeletConfiguration = "kubeletConfiguration",
    }
    passed {
        "serviceAccount", "imageSelectorTerms", "imageFamily", "subnetRangeName", "labels", "metadata", "networkTags",
        "shieldedInstanceConfig", "networkConfig",
    }
    unmodelled { "autoGPUTaint" }
}

wire! {
    /// `GCENodeClass.karpenter.k8s.gcp`.
    pub struct GceNodeClass {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: GceNodeClassSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// `spec` of an AKSNodeClass.
    pub struct AksNodeClassSpec {
        /// Size of the OS disk in GB; 128.
        os_disk_size_gb: Option<i64> = "osDiskSizeGB",
        /// The most pods on a node; absent: by the network plugin.
        max_pods: Option<i64> = "maxPods",
        /// Image family.
        image_family: Option<Str> = "imageFamily",
        /// `FIPS` or `Disabled`.
        fips_mode: Option<Str> = "fipsMode",
    }
    passed { "vnetSubnetID", "imageVersion", "tags", "kubelet", "linuxOSConfig", "kubernetesVersion" }
    unmodelled { "security", "localDNS", "artifactStreaming", "gpu" }
}

wire! {
    /// `AKSNodeClass.karpenter.azure.com`.
    pub struct AksNodeClass {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: AksNodeClassSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

/// A node class of one of the clouds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeClass {
    /// AWS.
    Ec2(Box<Ec2NodeClass>),
    /// GCP.
    Gce(GceNodeClass),
    /// Azure.
    Aks(AksNodeClass),
}

/// Kinds of node classes that are read.
pub const NODE_CLASS_KINDS: [&str; 3] = ["EC2NodeClass", "GCENodeClass", "AKSNodeClass"];

impl NodeClass {
    /// Reads the one node class in `text` (YAML or JSON, one or many documents or a `List`). With `name`, the one of
    /// that name.
    ///
    /// # Errors
    ///
    /// If there is none, or several, or the text is wrong.
    pub fn read(text: &str, name: Option<&str>) -> Result<NodeClass, Problem> {
        let mut others = Vec::new();
        let mut classes = Vec::new();
        for document in yaml::documents(text)? {
            let objects = match document.value {
                Value::Object(mut list) if list.contains_key("items") => match list.remove("items") {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                },
                Value::Array(items) => items,
                Value::Null => Vec::new(),
                one => vec![one],
            };
            for object in objects {
                let kind =
                    object.get("kind").and_then(Value::as_str).unwrap_or("an object without kind").to_owned();
                let object_name =
                    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("").to_owned();
                if !NODE_CLASS_KINDS.contains(&kind.as_str()) {
                    others.push(kind);
                } else if name.is_none_or(|name| name == object_name) {
                    classes.push((format!("{kind} `{object_name}`"), kind, object));
                } else {
                    others.push(format!("{kind} `{object_name}`"));
                }
            }
        }
        match classes.as_slice() {
            [(place, kind, object)] => match kind.as_str() {
                "EC2NodeClass" => typed(object, place).map(|class| NodeClass::Ec2(Box::new(class))),
                "GCENodeClass" => typed(object, place).map(NodeClass::Gce),
                _ => typed(object, place).map(NodeClass::Aks),
            },
            [] => {
                others.dedup();
                let found = if others.is_empty() { "no object".to_owned() } else { others.join(", ") };
                let wanted = name.map(|name| format!(" named `{name}`")).unwrap_or_default();
                Err(value_problem(
                    "",
                    "",
                    found,
                    format!("a node class{wanted}: {}", NODE_CLASS_KINDS.join(", ")),
                ))
            }
            several => {
                let names: Vec<&str> = several.iter().map(|(place, ..)| place.as_str()).collect();
                Err(value_problem("", "", names.join(", "), "one node class, or the name of one"))
            }
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            NodeClass::Ec2(_) => "EC2NodeClass",
            NodeClass::Gce(_) => "GCENodeClass",
            NodeClass::Aks(_) => "AKSNodeClass",
        }
    }

    /// Fields that it has and that count for its nodes, but not here.
    pub fn unmodelled(&self) -> Vec<String> {
        let leftover = match self {
            NodeClass::Ec2(class) => &class.spec.leftover,
            NodeClass::Gce(class) => &class.spec.leftover,
            NodeClass::Aks(class) => &class.spec.leftover,
        };
        leftover.iter().filter(|field| field.unmodelled).map(|field| format!("spec.{}", field.name)).collect()
    }

    /// The `provider` of the catalogues that it is for.
    pub const fn provider(&self) -> &'static str {
        match self {
            NodeClass::Ec2(_) => "aws",
            NodeClass::Gce(_) => "gcp",
            NodeClass::Aks(_) => "azure",
        }
    }
}
