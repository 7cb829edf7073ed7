//! The hash of a node class's static fields, by which Karpenter tells that nodes have drifted from it.
//!
//! The provider writes the hash into an annotation of the node class, and into one of each NodeClaim when it is launched;
//! where they differ (and the version of the hash is the same) the NodeClaim has drifted. Fields that find things in the
//! cloud (subnets, security groups, images, reservations) are not hashed; what they find is compared itself.
//!
//! The hash is that of a Go library over Go's structs: FNV-1 with 64 bits; the fields of a struct by their Go names, each
//! mixed in after the other; maps and lists as sets, so that equal elements of a list cancel in pairs. Fields at their
//! zero value do not count. What the API server would have filled in is filled in here, so that a manifest hashes as the
//! object that it becomes.

use super::ami_family::AmiFamily;
use super::node_class::Ec2NodeClass;
use crate::catalogue::read::{typed, value_problem};
use crate::model::meta::Duration;
use crate::problem::Problem;
use crate::quantity::Quantity;
use serde_json::{Map, Value};

/// The version of the hash that Karpenter v1.14.1 computes.
pub const HASH_VERSION: &str = "v5";

/// The annotation that holds the hash.
pub const HASH_ANNOTATION: &str = "karpenter.k8s.aws/ec2nodeclass-hash";
/// The annotation that holds the version of the hash.
pub const HASH_VERSION_ANNOTATION: &str = "karpenter.k8s.aws/ec2nodeclass-hash-version";

/// The hash of an EC2NodeClass, `karpenter.k8s.aws/v1`. `ca_bundle` is the cluster's certificate, empty if none is known: it
/// is the same for all node classes of a cluster.
///
/// # Errors
///
/// If a field has not the type that it must have.
pub fn static_hash(class: &Value, ca_bundle: &str) -> Result<String, Problem> {
    let known: Ec2NodeClass = typed(class, "")?;
    let mut spec = class.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
    fill_in(&mut spec);
    let family = family_name(&known, &spec)?;
    let fields = structure(&EC2_NODE_CLASS_SPEC, &spec, "spec")?;
    // A list of three, as a set.
    let hash = fields ^ text(&family) ^ text(ca_bundle);
    Ok(hash.to_string())
}

/// What the API server fills in: metadata options, as a whole and one by one.
fn fill_in(spec: &mut Map<String, Value>) {
    let options = spec.entry("metadataOptions").or_insert_with(|| Value::Object(Map::new()));
    if options.is_null() {
        *options = Value::Object(Map::new());
    }
    if let Some(options) = options.as_object_mut() {
        for (name, value) in [
            ("httpEndpoint", Value::from("enabled")),
            ("httpProtocolIPv6", Value::from("disabled")),
            ("httpPutResponseHopLimit", Value::from(1)),
            ("httpTokens", Value::from("required")),
        ] {
            options.entry(name).or_insert(value);
        }
    }
}

/// The family by its name: it is hashed as resolved, so that naming what an alias says already changes nothing.
fn family_name(class: &Ec2NodeClass, spec: &Map<String, Value>) -> Result<String, Problem> {
    if let Some(family) = spec.get("amiFamily").and_then(Value::as_str) {
        return Ok(family.to_owned());
    }
    let alias = class.spec.ami_selector_terms.iter().find(|term| !term.alias.is_empty());
    let Some(alias) = alias else { return Ok("Custom".to_owned()) };
    let family = alias.alias.split('@').next().unwrap_or_default();
    let name = AmiFamily::NAMES.into_iter().find(|name| name.to_lowercase() == family && *name != "Custom");
    name.map(str::to_owned).ok_or_else(|| {
        value_problem(
            "",
            "spec.amiSelectorTerms",
            format!("alias `{}`", alias.alias),
            "an alias such as al2023@latest",
        )
    })
}

/// How a field is written in Go.
enum Kind {
    /// A string behind a pointer: counts even if it is empty.
    Text,
    /// A string: counts if it is not empty.
    PlainText,
    /// `*bool`.
    Bool,
    /// `bool`: counts if it is true.
    PlainBool,
    /// `*int32`.
    Int32,
    /// `int32`: counts if it is not 0.
    PlainInt32,
    /// `*int64`.
    Int64,
    /// `*resource.Quantity`, hashed as it is printed.
    Quantity,
    /// `map[string]string`.
    TextMap,
    /// `map[string]metav1.Duration`.
    DurationMap,
    /// `[]string`.
    TextList,
    /// A struct behind a pointer.
    Struct(&'static Struct),
    /// A list of pointers to structs.
    StructList(&'static Struct),
}

/// A Go struct: its name, and of each field that is hashed the Go name, the JSON name and the kind, in Go's order.
struct Struct {
    name: &'static str,
    fields: &'static [(&'static str, &'static str, Kind)],
}

static EC2_NODE_CLASS_SPEC: Struct = Struct {
    name: "EC2NodeClassSpec",
    fields: &[
        ("PlacementGroupSelector", "placementGroupSelector", Kind::Struct(&PLACEMENT_GROUP_SELECTOR)),
        ("AssociatePublicIPAddress", "associatePublicIPAddress", Kind::Bool),
        ("UserData", "userData", Kind::Text),
        ("Role", "role", Kind::PlainText),
        ("InstanceProfile", "instanceProfile", Kind::Text),
        ("Tags", "tags", Kind::TextMap),
        ("Kubelet", "kubelet", Kind::Struct(&KUBELET_CONFIGURATION)),
        ("BlockDeviceMappings", "blockDeviceMappings", Kind::StructList(&BLOCK_DEVICE_MAPPING)),
        ("InstanceStorePolicy", "instanceStorePolicy", Kind::Text),
        ("NetworkInterfaces", "networkInterfaces", Kind::StructList(&NETWORK_INTERFACE)),
        ("DetailedMonitoring", "detailedMonitoring", Kind::Bool),
        ("MetadataOptions", "metadataOptions", Kind::Struct(&METADATA_OPTIONS)),
        ("ConnectionTracking", "connectionTracking", Kind::Struct(&CONNECTION_TRACKING)),
        ("Context", "context", Kind::Text),
        ("CPUOptions", "cpuOptions", Kind::Struct(&CPU_OPTIONS)),
    ],
};

static PLACEMENT_GROUP_SELECTOR: Struct = Struct {
    name: "PlacementGroupSelector",
    fields: &[("Name", "name", Kind::Text), ("ID", "id", Kind::Text)],
};

static KUBELET_CONFIGURATION: Struct = Struct {
    name: "KubeletConfiguration",
    fields: &[
        ("ClusterDNS", "clusterDNS", Kind::TextList),
        ("MaxPods", "maxPods", Kind::Int32),
        ("PodsPerCore", "podsPerCore", Kind::Int32),
        ("SystemReserved", "systemReserved", Kind::TextMap),
        ("KubeReserved", "kubeReserved", Kind::TextMap),
        ("EvictionHard", "evictionHard", Kind::TextMap),
        ("EvictionSoft", "evictionSoft", Kind::TextMap),
        ("EvictionSoftGracePeriod", "evictionSoftGracePeriod", Kind::DurationMap),
        ("EvictionMaxPodGracePeriod", "evictionMaxPodGracePeriod", Kind::Int32),
        ("ImageGCHighThresholdPercent", "imageGCHighThresholdPercent", Kind::Int32),
        ("ImageGCLowThresholdPercent", "imageGCLowThresholdPercent", Kind::Int32),
        ("CPUCFSQuota", "cpuCFSQuota", Kind::Bool),
    ],
};

static BLOCK_DEVICE_MAPPING: Struct = Struct {
    name: "BlockDeviceMapping",
    fields: &[
        ("DeviceName", "deviceName", Kind::Text),
        ("EBS", "ebs", Kind::Struct(&BLOCK_DEVICE)),
        ("RootVolume", "rootVolume", Kind::PlainBool),
    ],
};

static BLOCK_DEVICE: Struct = Struct {
    name: "BlockDevice",
    fields: &[
        ("DeleteOnTermination", "deleteOnTermination", Kind::Bool),
        ("Encrypted", "encrypted", Kind::Bool),
        ("IOPS", "iops", Kind::Int64),
        ("KMSKeyID", "kmsKeyID", Kind::Text),
        ("SnapshotID", "snapshotID", Kind::Text),
        ("Throughput", "throughput", Kind::Int64),
        ("VolumeInitializationRate", "volumeInitializationRate", Kind::Int32),
        ("VolumeSize", "volumeSize", Kind::Quantity),
        ("VolumeType", "volumeType", Kind::Text),
    ],
};

static NETWORK_INTERFACE: Struct = Struct {
    name: "NetworkInterface",
    fields: &[
        ("NetworkCardIndex", "networkCardIndex", Kind::PlainInt32),
        ("DeviceIndex", "deviceIndex", Kind::PlainInt32),
        ("InterfaceType", "interfaceType", Kind::PlainText),
    ],
};

static METADATA_OPTIONS: Struct = Struct {
    name: "MetadataOptions",
    fields: &[
        ("HTTPEndpoint", "httpEndpoint", Kind::Text),
        ("HTTPProtocolIPv6", "httpProtocolIPv6", Kind::Text),
        ("HTTPPutResponseHopLimit", "httpPutResponseHopLimit", Kind::Int64),
        ("HTTPTokens", "httpTokens", Kind::Text),
    ],
};

static CONNECTION_TRACKING: Struct = Struct {
    name: "ConnectionTracking",
    fields: &[
        ("TCPEstablishedTimeout", "tcpEstablishedTimeout", Kind::Int32),
        ("UDPStreamTimeout", "udpStreamTimeout", Kind::Int32),
        ("UDPTimeout", "udpTimeout", Kind::Int32),
    ],
};

static CPU_OPTIONS: Struct =
    Struct { name: "CPUOptions", fields: &[("NestedVirtualization", "nestedVirtualization", Kind::Text)] };

/// FNV-1 with 64 bits.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    bytes.into_iter().fold(start, |hash, byte| hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte))
}

fn text(text: &str) -> u64 {
    fnv(text.bytes())
}

/// A pair whose order counts.
fn ordered(a: u64, b: u64) -> u64 {
    fnv(a.to_le_bytes().into_iter().chain(b.to_le_bytes()))
}

/// What is done with a sum of elements, lest equal sums cancel further up.
fn finished(sum: u64) -> u64 {
    fnv(sum.to_le_bytes())
}

/// A struct: its name, and into it each field in turn.
fn structure(of: &Struct, object: &Map<String, Value>, path: &str) -> Result<u64, Problem> {
    let mut hash = text(of.name);
    for (go_name, json_name, kind) in of.fields {
        let Some(value) = object.get(*json_name).filter(|value| !value.is_null()) else { continue };
        if let Some(value) = field(kind, value, &format!("{path}.{json_name}"))? {
            hash = finished(hash ^ ordered(text(go_name), value));
        }
    }
    Ok(hash)
}

/// The hash of a field; `None`: it is at its zero value.
fn field(kind: &Kind, value: &Value, path: &str) -> Result<Option<u64>, Problem> {
    let wrong = |allowed: &str| value_problem("", path, value.to_string(), allowed);
    let integer = || value.as_i64().ok_or_else(|| wrong("a whole number"));
    let int32 =
        || integer().and_then(|number| i32::try_from(number).map_err(|_| wrong("a number of 32 bits")));
    let string = || value.as_str().ok_or_else(|| wrong("a string"));
    let boolean = || value.as_bool().ok_or_else(|| wrong("true or false"));
    let object = || value.as_object().ok_or_else(|| wrong("an object"));
    let list = || value.as_array().ok_or_else(|| wrong("a list"));
    Ok(Some(match kind {
        Kind::Text => text(string()?),
        Kind::PlainText => match string()? {
            "" => return Ok(None),
            other => text(other),
        },
        Kind::Bool => fnv([u8::from(boolean()?)]),
        Kind::PlainBool => {
            if !boolean()? {
                return Ok(None);
            }
            fnv([1])
        }
        Kind::Int32 => fnv(int32()?.to_le_bytes()),
        Kind::PlainInt32 => match int32()? {
            0 => return Ok(None),
            number => fnv(number.to_le_bytes()),
        },
        Kind::Int64 => fnv(integer()?.to_le_bytes()),
        Kind::Quantity => {
            let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text(&canonical(&written).ok_or_else(|| wrong("a quantity such as 20Gi"))?)
        }
        Kind::TextMap => {
            let mut sum = 0;
            for (key, value) in object()? {
                let value = value.as_str().ok_or_else(|| wrong("a map of strings to strings"))?;
                sum ^= ordered(text(key), text(value));
            }
            finished(sum)
        }
        Kind::DurationMap => {
            let mut sum = 0;
            for (key, value) in object()? {
                let duration = value.as_str().and_then(Duration::parse);
                let nanos = duration.ok_or_else(|| wrong("durations such as 1m30s"))?.nanos;
                sum ^= ordered(text(key), duration_hash(nanos));
            }
            finished(sum)
        }
        Kind::TextList => {
            let mut sum = 0;
            for element in list()? {
                sum ^= text(element.as_str().ok_or_else(|| wrong("a list of strings"))?);
            }
            sum
        }
        Kind::Struct(of) => structure(of, object()?, path)?,
        Kind::StructList(of) => {
            let mut sum = 0;
            for (index, element) in list()?.iter().enumerate() {
                let element = element.as_object().ok_or_else(|| wrong("a list of objects"))?;
                sum ^= structure(of, element, &format!("{path}[{index}]"))?;
            }
            sum
        }
    }))
}

/// A duration is a struct around a number.
fn duration_hash(nanos: i64) -> u64 {
    let name = text("Duration");
    if nanos == 0 { name } else { finished(name ^ ordered(name, fnv(nanos.to_le_bytes()))) }
}

/// A quantity as Kubernetes prints it: the greatest suffix of its kind that leaves a whole number.
fn canonical(written: &str) -> Option<String> {
    let nanos = Quantity::parse(written).ok()?.nanos();
    let units_nanos = 1_000_000_000_i128;
    let is_small = nanos.abs() < 1024 * units_nanos;
    if written.ends_with('i') && !is_small {
        let mut amount = nanos.div_euclid(units_nanos) + i128::from(nanos.rem_euclid(units_nanos) != 0);
        let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
        let mut suffix = suffixes.next()?;
        while amount != 0 && amount % 1024 == 0 {
            let Some(next) = suffixes.next() else { break };
            (amount, suffix) = (amount / 1024, next);
        }
        return Some(format!("{amount}{suffix}"));
    }
    let is_exponent = written.trim_start_matches(['+', '-']).contains(['e', 'E']) && !written.ends_with('E');
    let mut amount = nanos;
    let mut exponent = -9;
    while amount != 0 && amount % 1000 == 0 && exponent < 18 {
        (amount, exponent) = (amount / 1000, exponent + 3);
    }
    if amount == 0 {
        return Some("0".to_owned());
    }
    let suffix = match exponent {
        0 => "",
        _ if is_exponent => return Some(format!("{amount}e{exponent}")),
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        _ => "E",
    };
    Some(format!("{amount}{suffix}"))
}
