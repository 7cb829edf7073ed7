//! A machine as EC2 describes it, and the labels that Karpenter makes of it.
//!
//! Where the facts are from does not matter: an entry of `aws ec2 describe-instance-types`, or an instance type of a
//! catalogue, which has kept some of them. What is not known of a machine is taken to fit every node class.

use super::capacity::Facts;
use super::labels as aws_labels;
use super::network::network;
use crate::catalogue::InstanceType;
use crate::kubernetes::labels;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Operator, Str};
use crate::problem::{Place, Problem, ProblemKind};
use crate::provider::capacity::{CapacityError, MOST, label};
use crate::quantity::Quantity;
use serde_json::Value;

/// Resources that an instance type always has, if only none of them.
pub(super) const DEVICES: [&str; 7] = [
    "amd.com/gpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "habana.ai/gaudi",
    "nvidia.com/gpu",
    EFA,
    "vpc.amazonaws.com/pod-eni",
];

/// Elastic Fabric Adapters.
pub(super) const EFA: &str = "vpc.amazonaws.com/efa";

/// Addresses of Windows pods.
pub(super) const PRIVATE_IPV4_ADDRESS: &str = "vpc.amazonaws.com/PrivateIPv4Address";

/// A network card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NetworkCard {
    /// Its index.
    pub(super) index: i64,
    /// How many interfaces it takes.
    pub(super) interfaces: i64,
}

/// What node classes may ask of a machine. `None`: not known.
#[derive(Debug, Clone, Default)]
pub(super) struct Abilities {
    /// The hypervisor; empty for bare metal.
    pub(super) hypervisor: Str,
    /// Whether it takes elastic network adapters.
    pub(super) ena: Option<bool>,
    /// Its network cards.
    pub(super) cards: Option<Vec<NetworkCard>>,
    /// The most EFA interfaces.
    pub(super) efa_interfaces: i64,
    /// Whether virtual machines can run in it.
    pub(super) nested_virtualization: Option<bool>,
    /// Strategies of placement groups.
    pub(super) placement_strategies: Option<Vec<Str>>,
}

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(crate) name: Str,
    /// hvm, and x86_64 or arm64.
    pub(crate) for_karpenter: bool,
    pub(crate) bare_metal: bool,
    pub(crate) on_demand: bool,
    pub(crate) spot: bool,
    pub(crate) facts: Facts,
    /// GPUs, accelerators, EFA, branch interfaces; nothing that is zero.
    pub(crate) devices: ResourceList,
    /// Whether bandwidth and branch interfaces are known, which the command does not print.
    pub(crate) network_known: bool,
    pub(super) abilities: Abilities,
    /// Labels with one value; without: there is no such label.
    own: Vec<(Str, Option<Str>)>,
}

impl Machine {
    /// Reads one entry of `aws ec2 describe-instance-types`.
    pub(crate) fn read(entry: &Value, path: &str) -> Result<Machine, Problem> {
        let name: Str = entry
            .get("InstanceType")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| {
                Problem::new(Place::at(path), ProblemKind::Missing { name: "InstanceType".to_owned() })
            })?
            .into();
        let needed = |pointer: &str| {
            let place = || Place::in_object(format!("instance type `{name}`"), format!("{path}.{pointer}"));
            match entry
                .pointer(&format!("/{}", pointer.replace('.', "/")))
                .map(|value| (value.as_i64(), value))
            {
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
        add(EFA, number("/NetworkInfo/EfaInfo/MaximumEfaInterfaces").unwrap_or(0));
        add("vpc.amazonaws.com/pod-eni", known.map_or(0, |network| network.branch_interfaces));

        let (family, size) =
            name.split_once('.').map_or((None, None), |(family, size)| (Some(family), Some(size)));
        let (category, generation) = category_and_generation(&name).unzip();
        let (category, generation) = (category.map(String::from), generation.map(String::from));
        let nvme = word("/InstanceStorageInfo/NvmeSupport") != "unsupported";
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
        let abilities = Abilities {
            hypervisor: word("/Hypervisor").into(),
            ena: entry
                .pointer("/NetworkInfo/EnaSupport")
                .and_then(Value::as_str)
                .map(|support| support != "unsupported"),
            cards: entry.pointer("/NetworkInfo/NetworkCards").and_then(Value::as_array).map(|cards| {
                let number = |card: &Value, field| card.get(field).and_then(Value::as_i64).unwrap_or(0);
                cards
                    .iter()
                    .map(|card| NetworkCard {
                        index: number(card, "NetworkCardIndex"),
                        interfaces: number(card, "MaximumNetworkInterfaces"),
                    })
                    .collect()
            }),
            efa_interfaces: number("/NetworkInfo/EfaInfo/MaximumEfaInterfaces").unwrap_or(0),
            nested_virtualization: Some(
                strings("/ProcessorInfo/SupportedFeatures").contains(&"nested-virtualization"),
            ),
            placement_strategies: entry.pointer("/PlacementGroupInfo").map(|_| {
                strings("/PlacementGroupInfo/SupportedStrategies").into_iter().map(Str::from).collect()
            }),
        };
        let own: Vec<(&str, Option<String>)> = vec![
            ("karpenter.k8s.aws/instance-accelerator-count", of(accelerating, "/Count")),
            (
                "karpenter.k8s.aws/instance-accelerator-manufacturer",
                if neuron.is_some() {
                    Some("aws".to_owned())
                } else {
                    of(accelerator.as_ref(), "/Manufacturer")
                },
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
            // What Karpenter cannot use it names as Go prints a list.
            (
                labels::ARCH,
                Some(
                    architecture.map_or_else(|| format!("[{}]", architectures.join(" ")), ToOwned::to_owned),
                ),
            ),
            (labels::INSTANCE_TYPE, Some(name.to_string())),
        ];
        Ok(Machine {
            for_karpenter: architecture.is_some()
                && strings("/SupportedVirtualizationTypes").contains(&"hvm"),
            bare_metal: entry.get("BareMetal").and_then(Value::as_bool).unwrap_or(false),
            on_demand: usage.contains(&"on-demand"),
            spot: usage.contains(&"spot"),
            facts,
            devices,
            network_known: known.is_some(),
            abilities,
            own: own.into_iter().map(|(key, value)| (key.into(), value.map(Str::from))).collect(),
            name,
        })
    }

    /// What a catalogue knows of the machine behind an instance type.
    ///
    /// # Errors
    ///
    /// If a label is missing that capacity depends on.
    pub(super) fn of(instance_type: &InstanceType) -> Result<Machine, CapacityError> {
        let facts = Facts::of(instance_type)?;
        let known = network(&instance_type.name);
        let values = |key: &str| {
            let found = instance_type.requirements.iter().find(|requirement| requirement.key == key);
            found.map_or(&[][..], |requirement| &requirement.values)
        };
        let classes = values(labels::CAPACITY_TYPE);
        let size = label(instance_type, aws_labels::INSTANCE_SIZE).unwrap_or_default();
        let devices: ResourceList =
            DEVICES.into_iter().filter_map(|name| Some((name, instance_type.capacity.get(name)?))).collect();
        let efa = devices.get(EFA).map_or(0, Quantity::units_rounded_up);
        let own = instance_type
            .requirements
            .iter()
            .filter(|requirement| !OF_THE_NODE_CLASS.contains(&requirement.key.as_str()))
            .map(|requirement| (requirement.key.clone(), requirement.values.first().cloned()))
            .collect();
        Ok(Machine {
            name: instance_type.name.clone(),
            for_karpenter: true,
            bare_metal: size.contains("metal"),
            on_demand: classes.iter().any(|class| class == labels::ON_DEMAND),
            spot: classes.iter().any(|class| class == labels::SPOT),
            devices,
            network_known: known.is_some(),
            abilities: Abilities {
                hypervisor: label(instance_type, "karpenter.k8s.aws/instance-hypervisor")
                    .unwrap_or_default()
                    .into(),
                ena: None,
                cards: None,
                efa_interfaces: efa,
                nested_virtualization: None,
                placement_strategies: None,
            },
            facts,
            own,
        })
    }

    /// Whether its first known architecture is `amd64`.
    pub(super) fn is_amd64(&self) -> bool {
        self.own.iter().any(|(key, value)| key == labels::ARCH && value.as_deref() == Some("amd64"))
    }

    /// Its labels: for those that it has one value for, and for those that it lacks.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, Option<&Str>)> {
        self.own.iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// All labels under the default node class, by key.
    pub(crate) fn requirements(
        &self,
        region: &str,
        zones: &[Str],
        zone_ids: &[Str],
    ) -> Vec<NodeSelectorRequirement> {
        let mut requirements: Vec<NodeSelectorRequirement> =
            self.labels().map(|(key, value)| requirement(key, value.cloned())).collect();
        let mut capacity_types: Vec<Str> = Vec::new();
        if self.on_demand {
            capacity_types.push(labels::ON_DEMAND.into());
        }
        if self.spot {
            capacity_types.push(labels::SPOT.into());
        }
        requirements.push(requirement(labels::CAPACITY_TYPE, capacity_types));
        requirements.push(requirement(labels::OS, ["linux".into()]));
        requirements.push(requirement(labels::WINDOWS_BUILD, []));
        requirements.extend(aws_labels::RESERVATION.map(|key| requirement(key, [])));
        requirements.push(requirement(aws_labels::INSTANCE_TENANCY, TENANCIES.map(Str::from)));
        requirements.push(requirement(labels::REGION, [region.into()]));
        requirements.push(requirement(labels::ZONE, zones.to_vec()));
        if !zone_ids.is_empty() {
            requirements.push(requirement(aws_labels::ZONE_ID, zone_ids.to_vec()));
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        requirements
    }
}

/// Tenancies that every type can have.
pub(super) const TENANCIES: [&str; 2] = ["dedicated", "default"];

/// Labels that follow from the node class and the market rather than from the machine.
const OF_THE_NODE_CLASS: [&str; 12] = [
    labels::CAPACITY_TYPE,
    labels::OS,
    labels::REGION,
    labels::WINDOWS_BUILD,
    labels::ZONE,
    aws_labels::INSTANCE_TENANCY,
    aws_labels::PLACEMENT_GROUP_ID,
    aws_labels::PLACEMENT_GROUP_PARTITION,
    aws_labels::RESERVATION_ID,
    aws_labels::RESERVATION_INTERRUPTIBLE,
    aws_labels::RESERVATION_TYPE,
    aws_labels::ZONE_ID,
];

/// One of `values`, or if there are none no such label.
pub(super) fn requirement(key: &str, values: impl IntoIterator<Item = Str>) -> NodeSelectorRequirement {
    let values: Vec<Str> = values.into_iter().collect();
    NodeSelectorRequirement {
        key: key.into(),
        operator: Some(if values.is_empty() { Operator::DoesNotExist } else { Operator::In }),
        values,
        ..NodeSelectorRequirement::default()
    }
}

fn kebab(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// `c7g.large` is category `c`, generation `7`; `u-6tb1.metal` is `u`, `1` (`-6tb` is passed over). Both or neither: the
/// generation stands at once behind the letters, and a dot somewhere behind it.
fn category_and_generation(name: &str) -> Option<(Str, Str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = name.bytes().take_while(u8::is_ascii_lowercase).count();
    let (category, mut rest) = name.split_at_checked(letters)?;
    if let Some(size) = rest.strip_prefix('-')
        && digits(size) > 0
        && let Some(behind) = size.get(digits(size)..).and_then(|tail| tail.strip_prefix("tb"))
    {
        rest = behind;
    }
    let (generation, behind) = rest.split_at_checked(digits(rest))?;
    (letters > 0 && !generation.is_empty() && behind.contains('.'))
        .then(|| (category.into(), generation.into()))
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
            let expected = Some((category.into(), generation.into()));
            assert_eq!(category_and_generation(name), expected, "{name}");
        }
        for name in ["mac-m4.metal", "c7g", "7g.large", "-6tb1.metal"] {
            assert_eq!(category_and_generation(name), None, "{name}");
        }
    }
}
