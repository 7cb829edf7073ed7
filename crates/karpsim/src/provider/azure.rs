//! Azure: capacity and overhead of a VM size under an AKSNodeClass.

use super::capacity::{CapacityError, Figures, MEMORY_BRACKETS, MIB, MOST, Settings, brackets, number};
use super::node_class::AksNodeClass;
use crate::catalogue::overlay::in_one;
use crate::catalogue::{Catalogue, InstanceType, Overhead};
use crate::quantity::Quantity;
use std::sync::Arc;

/// The part of the memory that the hypervisor takes, if it is not given.
pub const VM_MEMORY_OVERHEAD_PERCENT: f64 = 0.075;

/// How pods get their addresses. It decides how many fit unless the node class has `maxPods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkPlugin {
    /// Azure CNI, overlay: 250.
    AzureOverlay,
    /// Azure CNI, node subnet: 30.
    AzureNodeSubnet,
    /// None: 250.
    None,
    /// Others: 110.
    Other,
}

impl NetworkPlugin {
    /// The most pods on a node.
    pub const fn max_pods(self) -> i64 {
        match self {
            NetworkPlugin::AzureOverlay | NetworkPlugin::None => 250,
            NetworkPlugin::AzureNodeSubnet => 30,
            NetworkPlugin::Other => 110,
        }
    }
}

/// Capacity and overhead of a machine with so many vCPUs and MiB.
pub fn figures(vcpus: i64, memory_mib: i64, class: &AksNodeClass, settings: &Settings) -> Figures {
    let bytes = (memory_mib >> 10) << 30;
    let percent = settings.vm_memory_overhead_percent.unwrap_or(VM_MEMORY_OVERHEAD_PERCENT);
    let memory = bytes - (bytes as f64 * percent).ceil() as i64;
    let mut reserved_hundredths = 0;
    brackets(memory_mib, &MEMORY_BRACKETS, |part, percent| reserved_hundredths += part * percent);
    let pods = class.spec.max_pods.unwrap_or(settings.azure_network.max_pods());
    let disk_gb = class.spec.os_disk_size_gb.unwrap_or(128).clamp(0, MOST);
    Figures {
        capacity: [
            ("cpu", Quantity::from_units(vcpus)),
            ("memory", Quantity::from_units(memory)),
            ("ephemeral-storage", Quantity::from_units(disk_gb * 1_000_000_000)),
            ("pods", Quantity::from_units(pods)),
        ]
        .into_iter()
        .collect(),
        overhead: Overhead {
            kube_reserved: [
                ("cpu", Quantity::from_milli(reserved_cpu_milli(vcpus))),
                ("memory", Quantity::from_units(reserved_hundredths / 100 * MIB)),
            ]
            .into_iter()
            .collect(),
            eviction_threshold: [("memory", Quantity::from_units(750 * MIB))].into_iter().collect(),
            ..Overhead::default()
        },
    }
}

/// 6 % of the first core, 4 % of the second, 2 % of the next two, 1 % of the rest. Added up in doubles, as the provider
/// does: for some sizes (120 and 176 vCPUs) that is a thousandth less than the exact sum.
fn reserved_cpu_milli(vcpus: i64) -> i64 {
    let mut cores = 0.0;
    let mut lower = 0;
    for (upper, share) in [(1, 0.06), (2, 0.04), (4, 0.02), (i64::MAX, 0.01)] {
        if vcpus > lower {
            cores += (vcpus.min(upper) - lower) as f64 * share;
        }
        lower = upper;
    }
    (1000.0 * cores) as i64
}

/// Every type of `catalogue` under `class`.
pub(super) fn apply(
    catalogue: &mut Catalogue,
    class: &AksNodeClass,
    settings: &Settings,
) -> Result<(), CapacityError> {
    for instance_type in catalogue.instance_types.iter_mut().map(Arc::make_mut) {
        let vcpus = number(instance_type, "karpenter.azure.com/sku-cpu")?;
        let memory_mib = number(instance_type, "karpenter.azure.com/sku-memory")?;
        figures(vcpus, memory_mib, class, settings).put_into(instance_type);
        label_with_image(instance_type, class);
    }
    Ok(())
}

/// What the image says of a node: its distribution, and whether it is compliant with FIPS. Only where the node class says
/// something of it: catalogues leave these labels out.
fn label_with_image(instance_type: &mut InstanceType, class: &AksNodeClass) {
    let spec = &class.spec;
    if let Some(family) = &spec.image_family {
        // Ubuntu2204 and Ubuntu2404 are versions of one distribution.
        let distribution = if family.starts_with("Ubuntu") { "Ubuntu" } else { family.as_str() };
        set_label(instance_type, "kubernetes.azure.com/os-sku", distribution);
    }
    if spec.fips_mode.as_deref() == Some("FIPS") {
        set_label(instance_type, "kubernetes.azure.com/fips_enabled", "true");
    }
}

fn set_label(instance_type: &mut InstanceType, key: &str, value: &str) {
    let known = instance_type.requirements.iter_mut().find(|requirement| requirement.key == key);
    match known {
        Some(known) => *known = in_one(key, value),
        None => {
            instance_type.requirements.push(in_one(key, value));
            instance_type.requirements.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
}
