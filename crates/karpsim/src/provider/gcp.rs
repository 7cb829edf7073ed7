//! GCP: capacity and overhead of a machine type under a GCENodeClass.
//!
//! The provider takes the disks and the kubelet's settings from the node class: `maxPods`, `podsPerCore`, `kubeReserved` key
//! by key, `systemReserved` on top of its own, and of `evictionHard` memory and node storage.

use super::capacity::{
    CapacityError, Figures, MEMORY_BRACKETS, MIB, MOST, Settings, brackets, number, reserved_cpu_milli,
};
use super::node_class::GceNodeClass;
use crate::catalogue::{Catalogue, Overhead};
use crate::model::core::ResourceList;
use crate::quantity::Quantity;
use std::sync::Arc;

/// The part of the memory that the hypervisor takes, if it is not given.
pub const VM_MEMORY_OVERHEAD_PERCENT: f64 = 0.07;

const GIB: i64 = 1 << 30;

/// Capacity and overhead of a machine with so many vCPUs and MiB.
///
/// # Errors
///
/// If a signal of `evictionHard` is neither a quantity nor a percentage.
pub fn figures(
    vcpus: i64,
    memory_mib: i64,
    class: &GceNodeClass,
    settings: &Settings,
) -> Result<Figures, CapacityError> {
    let (mut boot_disk_gib, mut local_ssd_gib, mut local_ssds) = (100_i64, 0_i64, 0);
    for disk in &class.spec.disks {
        if disk.boot {
            boot_disk_gib = disk.size_gib.clamp(0, MOST);
        } else if disk.category == "local-ssd" {
            local_ssd_gib = (local_ssd_gib + disk.size_gib.clamp(0, MOST)).min(MOST);
            local_ssds += 1;
        }
    }
    if local_ssd_gib == 0 {
        local_ssds = 0;
    }
    let storage_gib = if local_ssds > 0 { local_ssd_gib } else { boot_disk_gib };
    let bytes = memory_mib * MIB;
    let percent = settings.vm_memory_overhead_percent.unwrap_or(VM_MEMORY_OVERHEAD_PERCENT);
    let memory = bytes - (bytes as f64 * percent) as i64;
    let mut reserved_mib = 0;
    if memory_mib <= 1024 {
        reserved_mib = 255;
    } else {
        // GKE counts whole MiB in each bracket.
        brackets(memory_mib, &MEMORY_BRACKETS, |part, percent| reserved_mib += part * percent / 100);
    }
    // GKE's documented reservations: of the boot disk a share, rounded as the provider rounds doubles; of local SSDs a size
    // by their number.
    let share = |part: f64, more: f64| (boot_disk_gib as f64 * part + more).round() as i64;
    let reserved_storage_gib = match local_ssds {
        0 => share(0.5, 0.0).min(share(0.35, 6.0)).min(100),
        1 => 50,
        2 => 75,
        _ => 100,
    };
    let kubelet = &class.spec.kubelet_configuration;
    let most_pods = kubelet.max_pods.unwrap_or(110);
    let pods = match kubelet.pods_per_core {
        Some(per_core) if per_core > 0 => most_pods.min(per_core.saturating_mul(vcpus)),
        _ => most_pods,
    };
    let storage = Quantity::from_units(storage_gib * GIB);
    let memory = Quantity::from_units(memory);
    let mut kube_reserved: ResourceList = [
        ("cpu", Quantity::from_milli(reserved_cpu_milli(vcpus))),
        ("memory", Quantity::from_units(reserved_mib * MIB)),
        ("ephemeral-storage", Quantity::from_units(reserved_storage_gib * GIB)),
    ]
    .into_iter()
    .collect();
    for (name, amount) in kubelet.kube_reserved.iter() {
        kube_reserved.insert(name, amount);
    }
    // kube-proxy runs as a static pod on every node.
    let mut system_reserved: ResourceList = [("cpu", Quantity::from_milli(100))].into_iter().collect();
    for (name, amount) in kubelet.system_reserved.iter() {
        let before = system_reserved.get(name).unwrap_or(Quantity::ZERO);
        system_reserved.insert(name, before + amount);
    }
    let mut eviction_threshold: ResourceList = [
        ("memory", Quantity::from_units(100 * MIB)),
        ("ephemeral-storage", Quantity::from_units(storage_gib / 10 * GIB)),
    ]
    .into_iter()
    .collect();
    for (signal, resource, whole) in
        [("memory.available", "memory", memory), ("nodefs.available", "ephemeral-storage", storage)]
    {
        if let Some(value) = kubelet.eviction_hard.get(signal) {
            eviction_threshold.insert(resource, eviction_signal(signal, value, whole)?);
        }
    }
    Ok(Figures {
        capacity: [
            ("cpu", Quantity::from_units(vcpus)),
            ("memory", memory),
            ("ephemeral-storage", storage),
            ("pods", Quantity::from_units(pods)),
        ]
        .into_iter()
        .collect(),
        overhead: Overhead { kube_reserved, system_reserved, eviction_threshold, ..Overhead::default() },
    })
}

/// A quantity, or a percentage of the whole, rounded up. Other than AWS's, the provider does not take 100 % as "off".
fn eviction_signal(signal: &str, value: &str, whole: Quantity) -> Result<Quantity, CapacityError> {
    let wrong = || CapacityError::EvictionSignal { signal: signal.into(), value: value.into() };
    match value.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.parse().map_err(|_| wrong())?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(wrong());
            }
            // In doubles, as the provider has it.
            let part = whole.units_rounded_up() as f64 * percent / 100.0;
            Ok(Quantity::from_units(part.ceil() as i64))
        }
        None => Quantity::parse(value).ok().filter(|amount| !amount.is_negative()).ok_or_else(wrong),
    }
}

/// Every type of `catalogue` under `class`.
pub(super) fn apply(
    catalogue: &mut Catalogue,
    class: &GceNodeClass,
    settings: &Settings,
) -> Result<(), CapacityError> {
    for instance_type in catalogue.instance_types.iter_mut().map(Arc::make_mut) {
        let vcpus = number(instance_type, "karpenter.k8s.gcp/instance-cpu")?;
        let memory_mib = number(instance_type, "karpenter.k8s.gcp/instance-memory")?;
        figures(vcpus, memory_mib, class, settings)?.put_into(instance_type);
    }
    Ok(())
}
