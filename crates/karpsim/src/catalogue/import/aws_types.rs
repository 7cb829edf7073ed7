//! `aws ec2 describe-instance-types`: what Karpenter makes of each entry.

use super::aws::text;
use crate::catalogue::aws::{Facts, network};
use crate::catalogue::capacity::MOST;
use crate::kubernetes::labels;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Operator, Str};
use crate::problem::{Place, Problem, ProblemKind};
use crate::quantity::Quantity;
use serde_json::Value;

/// Labels that the provider knows (v1.14.1).
pub(super) const WELL_KNOWN_LABELS: [&str; 29] = [
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

/// One entry, understood.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a machine")]
#[derive(Debug)]
pub(super) struct RawType {
    pub(super) name: Str,
    /// hvm, and x86_64 or arm64.
    pub(super) for_karpenter: bool,
    pub(super) bare_metal: bool,
    pub(super) on_demand: bool,
    pub(super) spot: bool,
    pub(super) facts: Facts,
    /// GPUs, accelerators, EFA, branch interfaces; nothing that is zero.
    pub(super) devices: ResourceList,
    /// Whether bandwidth and branch interfaces are known, which the command does not print.
    pub(super) network_known: bool,
    /// Labels with one value; `None`: there is no such label.
    own: Vec<(&'static str, Option<String>)>,
}

/// Reads one entry.
pub(super) fn read(entry: &Value, path: &str) -> Result<RawType, Problem> {
    let name: Str = text(entry, path, "InstanceType")?.into();
    let needed = |pointer: &str| {
        let place = || Place::in_object(format!("instance type `{name}`"), format!("{path}.{pointer}"));
        match entry.pointer(&format!("/{}", pointer.replace('.', "/"))).map(|value| (value.as_i64(), value)) {
            Some((Some(amount), _)) if (0..=MOST).contains(&amount) => Ok(amount),
            Some((_, found)) => {
                let kind = ProblemKind::Value {
                    found: found.to_string(),
                    allowed: format!("a whole number from 0 to {MOST}"),
                    near: None,
                };
                Err(Problem::new(place(), kind))
            }
            None => {
                let place = Place::in_object(format!("instance type `{name}`"), path);
                Err(Problem::new(place, ProblemKind::Missing { name: pointer.to_owned() }))
            }
        }
    };
    let strings = |pointer: &str| -> Vec<&str> {
        let list = entry.pointer(pointer).and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| list.iter().filter_map(Value::as_str).collect())
    };
    let number = |pointer: &str| {
        entry.pointer(pointer).and_then(Value::as_i64).filter(|amount| (0..=MOST).contains(amount))
    };
    let word = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let architectures = strings("/ProcessorInfo/SupportedArchitectures");
    let architecture = architectures.iter().find_map(|name| match *name {
        "x86_64" => Some("amd64"),
        "arm64" => Some("arm64"),
        _ => None,
    });
    let usage = strings("/SupportedUsageClasses");
    let card = number("/NetworkInfo/DefaultNetworkCardIndex").unwrap_or(0);
    let interfaces = number(&format!("/NetworkInfo/NetworkCards/{card}/MaximumNetworkInterfaces"))
        .or_else(|| number("/NetworkInfo/MaximumNetworkInterfaces"));
    let store_gb = number("/InstanceStorageInfo/TotalSizeInGB");
    let known = network(&name);
    let facts = Facts {
        instance_type: name.clone(),
        vcpus: needed("VCpuInfo.DefaultVCpus")?,
        memory_mib: needed("MemoryInfo.SizeInMiB")?,
        arm64: architectures.first() == Some(&"arm64"),
        instance_store_gb: store_gb,
        interfaces,
        ipv4_addresses_per_interface: number("/NetworkInfo/Ipv4AddressesPerInterface"),
    };
    let mut devices = ResourceList::default();
    let mut add = |resource: &str, count: i64| {
        if count > 0 {
            let before = devices.get(resource).unwrap_or(Quantity::ZERO);
            devices.insert(resource, before + Quantity::from_units(count));
        }
    };
    let list =
        |pointer: &str| entry.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let gpus = list("/GpuInfo/Gpus");
    for gpu in gpus {
        let resource = match gpu.get("Manufacturer").and_then(Value::as_str) {
            Some("NVIDIA") => "nvidia.com/gpu",
            Some("AMD") => "amd.com/gpu",
            Some("Habana") => "habana.ai/gaudi",
            _ => continue,
        };
        add(resource, gpu.get("Count").and_then(Value::as_i64).unwrap_or(0));
    }
    let neurons = list("/NeuronInfo/NeuronDevices");
    for device in neurons {
        let count = device.get("Count").and_then(Value::as_i64).unwrap_or(0);
        add("aws.amazon.com/neuron", count);
    }
    if let Some(device) = neurons.first() {
        // Karpenter counts the cores of the first kind.
        let count = device.get("Count").and_then(Value::as_i64).unwrap_or(0);
        add(
            "aws.amazon.com/neuroncore",
            device.pointer("/CoreInfo/Count").and_then(Value::as_i64).unwrap_or(0).saturating_mul(count),
        );
    }
    add("vpc.amazonaws.com/efa", number("/NetworkInfo/EfaInfo/MaximumEfaInterfaces").unwrap_or(0));
    add("vpc.amazonaws.com/pod-eni", known.map_or(0, |network| network.branch_interfaces));

    let (family, size) =
        name.split_once('.').map_or((None, None), |(family, size)| (Some(family), Some(size)));
    let (category, generation) = category_and_generation(&name);
    let nvme = word("/InstanceStorageInfo/NvmeSupport") != "unsupported"
        && entry.get("InstanceStorageInfo").is_some();
    let ebs = word("/EbsInfo/EbsOptimizedSupport") == "default";
    let one = |list: &'_ [Value]| (list.len() == 1).then(|| list.first().cloned()).flatten();
    let gpu = one(gpus);
    let accelerator =
        one(list("/InferenceAcceleratorInfo/Accelerators")).filter(|_| entry.get("NeuronInfo").is_none());
    let neuron = one(neurons);
    let of = |device: Option<&Value>, pointer: &str| -> Option<String> {
        device?.pointer(pointer).map(|value| value.as_str().map_or_else(|| value.to_string(), kebab))
    };
    let accelerating = neuron.as_ref().or(accelerator.as_ref());
    let clock =
        entry.pointer("/ProcessorInfo/SustainedClockSpeedInGhz").and_then(Value::as_f64).unwrap_or(0.0);
    let text_of = |value: Option<i64>| value.map(|value| value.to_string());
    let own = vec![
        ("karpenter.k8s.aws/capacity-reservation-id", None),
        ("karpenter.k8s.aws/capacity-reservation-interruptible", None),
        ("karpenter.k8s.aws/capacity-reservation-type", None),
        ("karpenter.k8s.aws/instance-accelerator-count", of(accelerating, "/Count")),
        (
            "karpenter.k8s.aws/instance-accelerator-manufacturer",
            if neuron.is_some() { Some("aws".to_owned()) } else { of(accelerator.as_ref(), "/Manufacturer") },
        ),
        ("karpenter.k8s.aws/instance-accelerator-name", of(accelerating, "/Name")),
        (
            "karpenter.k8s.aws/instance-capability-flex",
            Some(family.unwrap_or(&name).contains("-flex").to_string()),
        ),
        ("karpenter.k8s.aws/instance-category", category),
        ("karpenter.k8s.aws/instance-cpu", Some(facts.vcpus.to_string())),
        ("karpenter.k8s.aws/instance-cpu-manufacturer", Some(kebab(word("/ProcessorInfo/Manufacturer")))),
        (
            "karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz",
            Some(((clock * 1000.0).round() as i64).to_string()),
        ),
        (
            "karpenter.k8s.aws/instance-ebs-bandwidth",
            text_of(number("/EbsInfo/EbsOptimizedInfo/MaximumBandwidthInMbps").filter(|_| ebs)),
        ),
        (
            "karpenter.k8s.aws/instance-encryption-in-transit-supported",
            Some(
                entry
                    .pointer("/NetworkInfo/EncryptionInTransitSupported")
                    .and_then(Value::as_bool)
                    .unwrap_or(false)
                    .to_string(),
            ),
        ),
        ("karpenter.k8s.aws/instance-family", family.map(ToOwned::to_owned)),
        ("karpenter.k8s.aws/instance-generation", generation),
        ("karpenter.k8s.aws/instance-gpu-count", of(gpu.as_ref(), "/Count")),
        ("karpenter.k8s.aws/instance-gpu-manufacturer", of(gpu.as_ref(), "/Manufacturer")),
        ("karpenter.k8s.aws/instance-gpu-memory", of(gpu.as_ref(), "/MemoryInfo/SizeInMiB")),
        ("karpenter.k8s.aws/instance-gpu-name", of(gpu.as_ref(), "/Name")),
        ("karpenter.k8s.aws/instance-hypervisor", Some(word("/Hypervisor").to_owned())),
        ("karpenter.k8s.aws/instance-local-nvme", text_of(store_gb.filter(|_| nvme))),
        ("karpenter.k8s.aws/instance-memory", Some(facts.memory_mib.to_string())),
        (
            "karpenter.k8s.aws/instance-network-bandwidth",
            text_of(known.and_then(|network| network.bandwidth_mbps)),
        ),
        ("karpenter.k8s.aws/instance-size", size.map(ToOwned::to_owned)),
        (labels::ARCH, architecture.map(ToOwned::to_owned)),
        (labels::OS, Some("linux".to_owned())),
        (labels::INSTANCE_TYPE, Some(name.to_string())),
        (labels::WINDOWS_BUILD, None),
    ];
    Ok(RawType {
        for_karpenter: architecture.is_some() && strings("/SupportedVirtualizationTypes").contains(&"hvm"),
        bare_metal: entry.get("BareMetal").and_then(Value::as_bool).unwrap_or(false),
        on_demand: usage.contains(&"on-demand"),
        spot: usage.contains(&"spot"),
        facts,
        devices,
        network_known: known.is_some(),
        own,
        name,
    })
}

impl RawType {
    /// All labels, by key.
    pub(super) fn requirements(
        &self,
        region: &str,
        zones: &[Str],
        zone_ids: &[Str],
    ) -> Vec<NodeSelectorRequirement> {
        let requirement = |key: &str, values: Vec<Str>| NodeSelectorRequirement {
            key: key.into(),
            operator: Some(if values.is_empty() { Operator::DoesNotExist } else { Operator::In }),
            values,
            ..NodeSelectorRequirement::default()
        };
        let mut requirements: Vec<NodeSelectorRequirement> = self
            .own
            .iter()
            .map(|(key, value)| requirement(key, value.iter().map(Str::from).collect()))
            .collect();
        let mut capacity_types: Vec<Str> = Vec::new();
        if self.on_demand {
            capacity_types.push(labels::ON_DEMAND.into());
        }
        if self.spot {
            capacity_types.push(labels::SPOT.into());
        }
        requirements.push(requirement(labels::CAPACITY_TYPE, capacity_types));
        requirements.push(requirement(
            "karpenter.k8s.aws/instance-tenancy",
            vec!["dedicated".into(), "default".into()],
        ));
        requirements.push(requirement(labels::REGION, vec![region.into()]));
        requirements.push(requirement(labels::ZONE, zones.to_vec()));
        if !zone_ids.is_empty() {
            requirements.push(requirement("topology.k8s.aws/zone-id", zone_ids.to_vec()));
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        requirements
    }
}

fn kebab(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// `c7g.large` is category `c`, generation `7`; `u-6tb1.metal` is `u`, `1` (`-6tb` is passed over).
fn category_and_generation(name: &str) -> (Option<String>, Option<String>) {
    let letters: String = name.chars().take_while(char::is_ascii_lowercase).collect();
    let mut rest = name.get(letters.len()..).unwrap_or_default();
    if let Some(size) = rest.strip_prefix('-') {
        let digits = size.chars().take_while(char::is_ascii_digit).count();
        if digits > 0 && size.get(digits..).is_some_and(|tail| tail.starts_with("tb")) {
            rest = size.get(digits + 2..).unwrap_or_default();
        }
    }
    let generation: String = rest
        .chars()
        .skip_while(|character| !character.is_ascii_digit() && *character != '.')
        .take_while(char::is_ascii_digit)
        .collect();
    let there = |text: String| (!text.is_empty()).then_some(text);
    if generation.is_empty() || letters.is_empty() {
        return (None, None);
    }
    (there(letters), there(generation))
}

#[cfg(test)]
mod tests {
    use super::category_and_generation;

    #[test]
    fn names_tell_category_and_generation() {
        for (name, category, generation) in [
            ("c7g.large", "c", "7"),
            ("g4dn.xlarge", "g", "4"),
            ("gr6f.4xlarge", "gr", "6"),
            ("inf2.24xlarge", "inf", "2"),
            ("m7i-flex.large", "m", "7"),
            ("u-6tb1.metal", "u", "1"),
            ("u7i-12tb.224xlarge", "u", "7"),
            ("x2iedn.32xlarge", "x", "2"),
        ] {
            let expected = (Some(category.to_owned()), Some(generation.to_owned()));
            assert_eq!(category_and_generation(name), expected, "{name}");
        }
    }
}
