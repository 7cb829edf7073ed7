//! What people ask about an instance type: devices, memory, network, and what an hour of each costs.
//!
//! All figures here are for showing; none decides.

use super::read::one;
use super::{Catalogue, InstanceType, Offering};
use crate::kubernetes::labels;
use crate::quantity::Quantity;

/// Devices of one kind in a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Gpus {
    /// As the provider's label has it; empty if there is no label.
    pub name: String,
    /// As the provider's label has it; empty if there is no label.
    pub manufacturer: String,
    /// Whole devices. 0: a fraction of one.
    pub count: i64,
    /// Memory of one device (of the fraction, if it is one), in MiB.
    pub memory_mib: Option<i64>,
}

impl Gpus {
    /// Memory of all devices, in GiB.
    pub fn memory_gib(&self) -> Option<f64> {
        self.memory_mib.map(|mib| mib as f64 * self.count.max(1) as f64 / 1024.0)
    }
}

/// Resources that count whole devices, with what they are.
pub const DEVICE_RESOURCES: [(&str, &str); 4] = [
    ("nvidia.com/gpu", "nvidia"),
    ("amd.com/gpu", "amd"),
    ("habana.ai/gaudi", "habana"),
    ("aws.amazon.com/neuron", "aws"),
];

/// What a machine is.
#[derive(Debug, Clone, PartialEq)]
pub struct View<'a> {
    /// The type.
    pub instance_type: &'a InstanceType,
    /// `amd64`, `arm64`.
    pub architecture: &'a str,
    /// vCPUs.
    pub vcpus: f64,
    /// Memory in MiB as the provider sells it; without a label, the capacity.
    pub memory_mib: i64,
    /// Network bandwidth in Mbit/s.
    pub network_mbps: Option<i64>,
    /// GPUs and other accelerators.
    pub gpus: Option<Gpus>,
}

/// Label names, of the first provider that has them.
const CPU: [&str; 3] =
    ["karpenter.k8s.aws/instance-cpu", "karpenter.k8s.gcp/instance-cpu", "karpenter.azure.com/sku-cpu"];
const MEMORY: [&str; 3] = [
    "karpenter.k8s.aws/instance-memory",
    "karpenter.k8s.gcp/instance-memory",
    "karpenter.azure.com/sku-memory",
];
const GPU_NAME: [&str; 3] = [
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.gcp/instance-gpu-name",
    "karpenter.azure.com/sku-gpu-name",
];
const GPU_MANUFACTURER: [&str; 3] = [
    "karpenter.k8s.aws/instance-gpu-manufacturer",
    "karpenter.k8s.gcp/instance-gpu-manufacturer",
    "karpenter.azure.com/sku-gpu-manufacturer",
];
const GPU_COUNT: [&str; 3] = [
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.k8s.gcp/instance-gpu-count",
    "karpenter.azure.com/sku-gpu-count",
];
const GPU_MEMORY: [&str; 2] =
    ["karpenter.k8s.aws/instance-gpu-memory", "karpenter.k8s.gcp/instance-gpu-memory"];
const ACCELERATOR_NAME: &str = "karpenter.k8s.aws/instance-accelerator-name";
const NETWORK: &str = "karpenter.k8s.aws/instance-network-bandwidth";

fn first<'a>(instance_type: &'a InstanceType, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| one(&instance_type.requirements, key))
}

fn first_number(instance_type: &InstanceType, keys: &[&str]) -> Option<i64> {
    first(instance_type, keys)?.parse().ok()
}

impl<'a> View<'a> {
    /// What `instance_type` is.
    pub fn new(instance_type: &'a InstanceType) -> View<'a> {
        let capacity = |name: &str| instance_type.capacity.get(name).unwrap_or(Quantity::ZERO);
        View {
            instance_type,
            architecture: one(&instance_type.requirements, labels::ARCH).unwrap_or(""),
            vcpus: first_number(instance_type, &CPU)
                .map_or_else(|| capacity("cpu").as_f64(), |cpu| cpu as f64),
            memory_mib: first_number(instance_type, &MEMORY)
                .unwrap_or_else(|| capacity("memory").units_rounded_up() >> 20),
            network_mbps: first_number(instance_type, &[NETWORK]),
            gpus: gpus(instance_type),
        }
    }

    /// Offerings in the order in which they are shown: available ones by price, then the others.
    pub fn offerings(&self) -> Vec<OfferingView<'a>> {
        let mut offerings: Vec<_> = self.instance_type.offerings.iter().map(OfferingView::new).collect();
        offerings.sort_by(|a, b| {
            (!a.offering.available)
                .cmp(&!b.offering.available)
                .then(a.offering.price.0.total_cmp(&b.offering.price.0))
                .then_with(|| (a.capacity_type, a.zone).cmp(&(b.capacity_type, b.zone)))
        });
        offerings
    }

    /// The cheapest available offering of a capacity type (`None`: of any).
    pub fn cheapest(&self, capacity_type: Option<&str>) -> Option<OfferingView<'a>> {
        self.offerings().into_iter().find(|offering| {
            offering.offering.available && capacity_type.is_none_or(|wanted| wanted == offering.capacity_type)
        })
    }

    /// Price of one whole device an hour.
    pub fn per_gpu(&self, price: f64) -> Option<f64> {
        self.gpus.as_ref().filter(|gpus| gpus.count > 0).map(|gpus| price / gpus.count as f64)
    }

    /// Price of one GiB of device memory an hour.
    pub fn per_gpu_gib(&self, price: f64) -> Option<f64> {
        self.gpus.as_ref().and_then(Gpus::memory_gib).filter(|&gib| gib > 0.0).map(|gib| price / gib)
    }

    /// Price of one vCPU an hour.
    pub fn per_vcpu(&self, price: f64) -> Option<f64> {
        (self.vcpus > 0.0).then(|| price / self.vcpus)
    }
}

fn gpus(instance_type: &InstanceType) -> Option<Gpus> {
    let resource = DEVICE_RESOURCES.iter().find_map(|(name, manufacturer)| {
        Some((instance_type.capacity.get(name).filter(|q| !q.is_zero())?, *manufacturer))
    });
    let name = first(instance_type, &GPU_NAME).or_else(|| one(&instance_type.requirements, ACCELERATOR_NAME));
    let memory_mib = first_number(instance_type, &GPU_MEMORY);
    let label_count = first_number(instance_type, &GPU_COUNT);
    // A label of 0 beside a memory means a fraction of a device; without one (Azure's CPU sizes) it means none.
    let count = match (label_count, resource) {
        (Some(count), _) if count > 0 || memory_mib.is_some() => count,
        (_, Some((quantity, _))) => quantity.units_rounded_up(),
        _ => return None,
    };
    Some(Gpus {
        name: name.unwrap_or_default().to_owned(),
        manufacturer: first(instance_type, &GPU_MANUFACTURER)
            .or(resource.map(|(_, manufacturer)| manufacturer))
            .unwrap_or_default()
            .to_owned(),
        count,
        memory_mib,
    })
}

/// How well a price is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Published for this region, or no word about its source.
    Published,
    /// Computed out of published figures of another kind or region.
    Derived,
    /// Guessed from similar types.
    Estimated,
}

impl Certainty {
    /// What a `priceSource` says. Only its first word counts: overlays add theirs behind.
    pub fn of(price_source: &str) -> Certainty {
        match price_source.split([',', ';', ' ']).next().unwrap_or_default() {
            "estimated" => Certainty::Estimated,
            "parity" | "spot-advisor" => Certainty::Derived,
            _ => Certainty::Published,
        }
    }

    /// The mark behind a price that is no published one.
    pub const fn mark(self) -> &'static str {
        match self {
            Certainty::Published => "",
            Certainty::Derived | Certainty::Estimated => "~",
        }
    }
}

/// An offering with its names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OfferingView<'a> {
    /// The offering.
    pub offering: &'a Offering,
    /// Capacity type.
    pub capacity_type: &'a str,
    /// Zone.
    pub zone: &'a str,
    /// How well its price is founded.
    pub certainty: Certainty,
}

impl<'a> OfferingView<'a> {
    /// The names of `offering`.
    pub fn new(offering: &'a Offering) -> OfferingView<'a> {
        OfferingView {
            offering,
            capacity_type: one(&offering.requirements, labels::CAPACITY_TYPE).unwrap_or(""),
            zone: one(&offering.requirements, labels::ZONE).unwrap_or(""),
            certainty: Certainty::of(&offering.price_source),
        }
    }
}

/// The sign before prices of a catalogue: `$`, or the currency's name.
pub fn currency(catalogue: &Catalogue) -> &str {
    match catalogue.currency.as_deref() {
        None | Some("" | "USD") => "$",
        Some(other) => other,
    }
}
