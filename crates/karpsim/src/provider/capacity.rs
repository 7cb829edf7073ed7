//! From raw facts of a machine and a node class to capacity and overhead, for every cloud.
//!
//! The catalogues carry the figures of each provider's default node class. [`recompute`] derives them anew for another
//! node class or other settings of Karpenter, so that allocatable is what Karpenter would reckon with.

use super::node_class::{AksNodeClass, GceNodeClass, NodeClass};
use super::{azure, gcp};
use crate::catalogue::{Catalogue, InstanceType, Overhead};
use crate::model::core::ResourceList;
use crate::model::meta::{Operator, Str};
use crate::provider::aws::{self, Ec2NodeClass};

/// More vCPUs, MiB, GiB or pods than any machine has: figures below it can be multiplied without a second thought.
pub(crate) const MOST: i64 = 1 << 31;

/// MiB.
pub(crate) const MIB: i64 = 1 << 20;

/// Settings of the Karpenter deployment that capacity depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `--vm-memory-overhead-percent`: the part of the memory that the hypervisor takes. Absent: the provider's default,
    /// 0.075 (GCP 0.07).
    pub vm_memory_overhead_percent: Option<f64>,
    /// `--reserved-enis`: interfaces that are not for pods. AWS only.
    pub reserved_enis: i64,
    /// `--network-plugin-mode`: of Azure only; it decides how many pods fit.
    pub azure_network: azure::NetworkPlugin,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            vm_memory_overhead_percent: None,
            reserved_enis: 0,
            azure_network: azure::NetworkPlugin::AzureOverlay,
        }
    }
}

/// Why a figure cannot be derived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapacityError {
    /// The type has no such label, or its value is no number.
    #[error("instance type `{instance_type}`: label `{label}` is missing or not a number")]
    Label {
        /// Instance type.
        instance_type: Str,
        /// Label.
        label: &'static str,
    },
    /// Interfaces and addresses of the type are not known, and the pods depend on them.
    #[error("instance type `{instance_type}`: its network interfaces are unknown; set `maxPods`")]
    Interfaces {
        /// Instance type.
        instance_type: Str,
    },
    /// An eviction signal is neither a quantity nor a percentage.
    #[error(
        "spec.kubelet.evictionHard[\"{signal}\"]: `{value}` is neither a quantity such as `500Mi` nor a percentage such as `5%`"
    )]
    EvictionSignal {
        /// Signal.
        signal: Str,
        /// What was found.
        value: Str,
    },
    /// An image family that is not known.
    #[error("spec.amiFamily: unknown AMI family `{family}`: expected one of {}", aws::AmiFamily::NAMES.join(", "))]
    AmiFamily {
        /// What was found.
        family: Str,
    },
    /// The node class is of another cloud than the catalogue.
    #[error(
        "{kind} is for catalogues of provider `{expected}`, but this catalogue is of provider `{provider}`"
    )]
    Provider {
        /// Kind of the node class.
        kind: &'static str,
        /// Its provider.
        expected: &'static str,
        /// The catalogue's.
        provider: Str,
    },
    /// Nothing is known about machines of this provider.
    #[error("unknown provider `{provider}`: expected one of aws, azure, gcp")]
    NoFormulas {
        /// Provider.
        provider: Str,
    },
}

/// What a type has and what is kept from it, beside its extended resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// cpu, memory, ephemeral-storage, pods.
    pub capacity: ResourceList,
    /// Kept from it.
    pub overhead: Overhead,
}

/// The catalogue with the capacity and overhead that follow from `class` (absent: the provider's default) and `settings`.
///
/// # Errors
///
/// The first type or field that is not understood.
pub fn recompute(
    catalogue: &Catalogue,
    class: Option<&NodeClass>,
    settings: &Settings,
) -> Result<Catalogue, CapacityError> {
    if let Some(class) = class
        && catalogue.provider != class.provider()
    {
        return Err(CapacityError::Provider {
            kind: class.kind(),
            expected: class.provider(),
            provider: catalogue.provider.clone(),
        });
    }
    let mut result = catalogue.clone();
    match (catalogue.provider.as_str(), class) {
        ("aws", Some(NodeClass::Ec2(class))) => aws::apply(&mut result, class, settings)?,
        ("aws", _) => aws::apply(&mut result, &Ec2NodeClass::default(), settings)?,
        ("gcp", Some(NodeClass::Gce(class))) => gcp::apply(&mut result, class, settings)?,
        ("gcp", _) => gcp::apply(&mut result, &GceNodeClass::default(), settings)?,
        ("azure", Some(NodeClass::Aks(class))) => azure::apply(&mut result, class, settings)?,
        ("azure", _) => azure::apply(&mut result, &AksNodeClass::default(), settings)?,
        (provider, _) => return Err(CapacityError::NoFormulas { provider: provider.into() }),
    }
    Ok(result)
}

/// The one value that a type has for a label.
pub(crate) fn label<'a>(instance_type: &'a InstanceType, key: &str) -> Option<&'a str> {
    let requirement = instance_type.requirements.iter().find(|requirement| requirement.key == key)?;
    match (requirement.operator, requirement.values.as_slice()) {
        (Some(Operator::In), [value]) => Some(value.as_str()),
        _ => None,
    }
}

/// The same as a whole number.
pub(crate) fn number(instance_type: &InstanceType, key: &'static str) -> Result<i64, CapacityError> {
    label(instance_type, key)
        .and_then(|value| value.parse().ok())
        .filter(|amount| (0..=MOST).contains(amount))
        .ok_or_else(|| CapacityError::Label { instance_type: instance_type.name.clone(), label: key })
}

impl Figures {
    /// Puts the figures in the place of those of `instance_type`; other resources stay.
    pub(crate) fn put_into(self, instance_type: &mut InstanceType) {
        for (name, amount) in self.capacity.iter() {
            instance_type.capacity.insert(name, amount);
        }
        instance_type.overhead = self.overhead;
    }
}

/// A part of whole MiB, in percent of each bracket (`(up to MiB, percent)`).
pub(super) fn brackets(amount: i64, brackets: &[(i64, i64)], mut take: impl FnMut(i64, i64)) {
    let mut lower = 0;
    for &(upper, percent) in brackets {
        if amount > lower {
            take(amount.min(upper) - lower, percent);
        }
        lower = upper;
    }
}

/// Brackets of reserved memory that GKE and AKS share, in MiB.
pub(super) const MEMORY_BRACKETS: [(i64, i64); 5] =
    [(4 << 10, 25), (8 << 10, 20), (16 << 10, 10), (128 << 10, 6), (i64::MAX, 2)];

/// Reserved cpu as EKS and GKE have it, in thousandths: 6 % of the first core, 1 % of the second, 0.5 % of the next two,
/// 0.25 % of the rest.
pub(crate) fn reserved_cpu_milli(vcpus: i64) -> i64 {
    let part =
        |from: i64, to: i64, per_core_tenths: i64| (vcpus.min(to) - from).max(0) * per_core_tenths / 10;
    part(0, 1, 600) + part(1, 2, 100) + part(2, 4, 50) + part(4, i64::MAX, 25)
}
