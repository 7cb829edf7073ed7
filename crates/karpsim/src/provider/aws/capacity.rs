//! Capacity and overhead of an EC2 instance under an EC2NodeClass.
//!
//! Prefix delegation is not modelled, as in Karpenter: users set `maxPods` to what the VPC CNI can give,
//! [`prefix_delegation_pods`].

use super::ami_family::AmiFamily;
use super::network::{instance_store_gb, network};
use super::node_class::{Ec2NodeClass, Ec2NodeClassSpec, InstanceStorePolicy, InterfaceType};
use crate::catalogue::{Catalogue, InstanceType, Overhead};
use crate::model::core::ResourceList;
use crate::model::meta::{Operator, Str};
use crate::provider::capacity::{
    CapacityError, Figures, MIB, MOST, Settings, label, number, reserved_cpu_milli,
};
use crate::quantity::Quantity;
use std::sync::Arc;

/// `--vm-memory-overhead-percent` if it is not given.
pub const VM_MEMORY_OVERHEAD_PERCENT: f64 = 0.075;

/// Memory that the kernel of an arm64 machine keeps for contiguous allocations, in MiB.
const ARM64_CMA_MIB: i64 = 64;

/// What decides capacity and overhead of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Name.
    pub instance_type: Str,
    /// vCPUs.
    pub vcpus: i64,
    /// Memory in MiB, before anything is taken from it.
    pub memory_mib: i64,
    /// Whether its first architecture is arm64.
    pub arm64: bool,
    /// Size of the instance store in GB.
    pub instance_store_gb: Option<i64>,
    /// Interfaces of the default network card.
    pub interfaces: Option<i64>,
    /// IPv4 addresses an interface.
    pub ipv4_addresses_per_interface: Option<i64>,
}

impl Facts {
    /// The facts that a catalogue's labels and [`network`] give.
    ///
    /// # Errors
    ///
    /// If a label is missing.
    pub fn of(instance_type: &InstanceType) -> Result<Facts, CapacityError> {
        let network = network(&instance_type.name);
        Ok(Facts {
            instance_type: instance_type.name.clone(),
            vcpus: number(instance_type, "karpenter.k8s.aws/instance-cpu")?,
            memory_mib: number(instance_type, "karpenter.k8s.aws/instance-memory")?,
            arm64: label(instance_type, "kubernetes.io/arch") == Some("arm64"),
            instance_store_gb: label(instance_type, "karpenter.k8s.aws/instance-local-nvme")
                .and_then(|value| value.parse().ok())
                .or_else(|| instance_store_gb(&instance_type.name)),
            interfaces: network.map(|network| network.interfaces),
            ipv4_addresses_per_interface: network.map(|network| network.ipv4_addresses_per_interface),
        })
    }
}

/// Pods that the addresses of the interfaces allow.
pub fn eni_limited_pods(interfaces: i64, ipv4_addresses_per_interface: i64) -> i64 {
    if interfaces <= 0 {
        return 0;
    }
    interfaces.saturating_mul((ipv4_addresses_per_interface - 1).max(0)).saturating_add(2).min(MOST)
}

/// What to set `maxPods` to with prefix delegation: the VPC CNI's figure, capped as AWS recommends (110 up to 30 vCPUs,
/// 250 above).
pub fn prefix_delegation_pods(vcpus: i64, interfaces: i64, ipv4_addresses_per_interface: i64) -> i64 {
    let cap = if vcpus <= 30 { 110 } else { 250 };
    (interfaces * (ipv4_addresses_per_interface - 1) * 16 + 2).min(cap)
}

/// Capacity and overhead of a machine under a node class.
///
/// # Errors
///
/// If a field of the node class is not understood, or a fact that it needs is missing.
pub fn figures(facts: &Facts, class: &Ec2NodeClass, settings: &Settings) -> Result<Figures, CapacityError> {
    let spec = &class.spec;
    let family = AmiFamily::of(spec)?;
    let memory = memory(facts, settings);
    let storage = ephemeral_storage(facts, spec, family);
    let pods = pods(facts, spec, family, settings)?;
    let reserved_for_pods = match family {
        // Their kubelets know the limit only without what Karpenter reserves.
        AmiFamily::Al2 | AmiFamily::Al2023 | AmiFamily::Custom => match pods_by_interfaces(facts, spec, 0) {
            Ok(pods) => pods,
            Err(_) if spec.kubelet.kube_reserved.get("memory").is_some() => 0,
            Err(error) => return Err(error),
        },
        AmiFamily::Bottlerocket | AmiFamily::Windows { .. } => pods,
    };
    let capacity = [
        ("cpu", Quantity::from_units(facts.vcpus)),
        ("memory", memory),
        ("ephemeral-storage", storage),
        ("pods", Quantity::from_units(pods)),
    ];
    let mut kube_reserved: ResourceList = [
        ("cpu", Quantity::from_milli(reserved_cpu_milli(facts.vcpus))),
        ("memory", Quantity::from_units((11 * reserved_for_pods + 255) * MIB)),
        ("ephemeral-storage", Quantity::from_units(1 << 30)),
    ]
    .into_iter()
    .collect();
    for (name, amount) in spec.kubelet.kube_reserved.iter() {
        kube_reserved.insert(name, amount);
    }
    let mut eviction_threshold: ResourceList =
        [("memory", Quantity::from_units(100 * MIB)), ("ephemeral-storage", percent_of(storage, 10.0))]
            .into_iter()
            .collect();
    for (signal, resource, whole) in
        [("memory.available", "memory", memory), ("nodefs.available", "ephemeral-storage", storage)]
    {
        if let Some(value) = spec.kubelet.eviction_hard.get(signal) {
            eviction_threshold.insert(resource, eviction_signal(signal, value, whole)?);
        }
    }
    Ok(Figures {
        capacity: capacity.into_iter().collect(),
        overhead: Overhead {
            kube_reserved,
            system_reserved: spec.kubelet.system_reserved.clone(),
            eviction_threshold,
            ..Overhead::default()
        },
    })
}

fn memory(facts: &Facts, settings: &Settings) -> Quantity {
    let mib = facts.memory_mib - if facts.arm64 { ARM64_CMA_MIB } else { 0 };
    let percent = settings.vm_memory_overhead_percent.unwrap_or(VM_MEMORY_OVERHEAD_PERCENT);
    // In doubles, as Karpenter has it: the last MiB may hang on the rounding.
    let overhead = ((mib * MIB) as f64 * percent / 1024.0 / 1024.0).ceil() as i64;
    Quantity::from_units((mib - overhead) * MIB)
}

fn ephemeral_storage(facts: &Facts, spec: &Ec2NodeClassSpec, family: AmiFamily) -> Quantity {
    if spec.instance_store_policy == Some(InstanceStorePolicy::Raid0)
        && let Some(gb) = facts.instance_store_gb
    {
        return Quantity::from_units(gb.clamp(0, MOST) * 1_000_000_000);
    }
    let (device, default_size) = family.ephemeral_device();
    let mappings = &spec.block_device_mappings;
    let root =
        mappings.iter().find(|mapping| mapping.root_volume).and_then(|mapping| mapping.ebs.volume_size);
    let chosen = root.or_else(|| match device {
        Some(device) => mappings.iter().find(|mapping| mapping.device_name == device)?.ebs.volume_size,
        None => mappings.last()?.ebs.volume_size,
    });
    chosen.unwrap_or(default_size)
}

/// Interfaces that `networkInterfaces` gives to EFA only and that so carry no pods.
pub(super) fn efa_only(spec: &Ec2NodeClassSpec, card: Option<i64>) -> i64 {
    spec.network_interfaces
        .iter()
        .flatten()
        .filter(|interface| interface.interface_type == Some(InterfaceType::EfaOnly))
        .filter(|interface| card.is_none_or(|card| interface.network_card_index == card))
        .count() as i64
}

fn pods_by_interfaces(facts: &Facts, spec: &Ec2NodeClassSpec, reserved: i64) -> Result<i64, CapacityError> {
    match (facts.interfaces, facts.ipv4_addresses_per_interface) {
        (Some(interfaces), Some(addresses)) => Ok(eni_limited_pods(
            interfaces.saturating_sub(reserved).saturating_sub(efa_only(spec, Some(0))),
            addresses,
        )),
        _ => Err(CapacityError::Interfaces { instance_type: facts.instance_type.clone() }),
    }
}

fn pods(
    facts: &Facts,
    spec: &Ec2NodeClassSpec,
    family: AmiFamily,
    settings: &Settings,
) -> Result<i64, CapacityError> {
    let most = match (spec.kubelet.max_pods, family) {
        (Some(pods), _) => pods.clamp(0, MOST),
        (None, AmiFamily::Windows { .. }) => 110,
        (None, _) => pods_by_interfaces(facts, spec, settings.reserved_enis)?,
    };
    Ok(match spec.kubelet.pods_per_core {
        // Bottlerocket's kubelet has no such setting.
        Some(per_core) if per_core > 0 && family != AmiFamily::Bottlerocket => {
            most.min(per_core.saturating_mul(facts.vcpus))
        }
        _ => most,
    })
}

fn percent_of(whole: Quantity, percent: f64) -> Quantity {
    Quantity::from_units((whole.as_f64() / 100.0 * percent).ceil() as i64)
}

fn eviction_signal(signal: &str, value: &str, whole: Quantity) -> Result<Quantity, CapacityError> {
    let wrong = || CapacityError::EvictionSignal { signal: signal.into(), value: value.into() };
    match value.strip_suffix('%') {
        Some(percent) => {
            let percent = percent
                .parse::<f64>()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .ok_or_else(wrong)?;
            // The kubelet takes 100 % as "off".
            Ok(if percent >= 100.0 { Quantity::ZERO } else { percent_of(whole, percent) })
        }
        None => Quantity::parse(value).ok().filter(|amount| !amount.is_negative()).ok_or_else(wrong),
    }
}

/// Every type of `catalogue` under `class`.
pub(crate) fn apply(
    catalogue: &mut Catalogue,
    class: &Ec2NodeClass,
    settings: &Settings,
) -> Result<(), CapacityError> {
    let family = AmiFamily::of(&class.spec)?;
    if let AmiFamily::Windows { build } = family {
        catalogue.instance_types.retain(|it| label(it, "kubernetes.io/arch") == Some("amd64"));
        for instance_type in catalogue.instance_types.iter_mut().map(Arc::make_mut) {
            set_label(instance_type, "kubernetes.io/os", "windows");
            set_label(instance_type, "node.kubernetes.io/windows-build", build);
            if let Some(network) = network(&instance_type.name) {
                let addresses = Quantity::from_units(network.ipv4_addresses_per_interface - 1);
                instance_type.capacity.insert("vpc.amazonaws.com/PrivateIPv4Address", addresses);
            }
        }
    }
    for instance_type in catalogue.instance_types.iter_mut().map(Arc::make_mut) {
        figures(&Facts::of(instance_type)?, class, settings)?.put_into(instance_type);
        if class.spec.network_interfaces.is_some() {
            instance_type
                .capacity
                .insert("vpc.amazonaws.com/efa", Quantity::from_units(efa_only(&class.spec, None)));
        }
    }
    Ok(())
}

fn set_label(instance_type: &mut InstanceType, key: &str, value: &str) {
    if let Some(requirement) =
        instance_type.requirements.iter_mut().find(|requirement| requirement.key == key)
    {
        requirement.operator = Some(Operator::In);
        requirement.values = vec![value.into()];
    }
}
