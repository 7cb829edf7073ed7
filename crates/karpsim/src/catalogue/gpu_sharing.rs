//! GPU sharing: what NVIDIA's device plugin makes of a machine's GPUs.
//!
//! - *time slicing*: each GPU counts as `replicas`, under its own name or as `nvidia.com/gpu.shared`;
//! - *MIG*: each GPU (or the first `gpus` of them) is cut into profiles, which are resources of their own
//!   (`nvidia.com/mig-1g.5gb`, strategy `mixed`) or all count as `nvidia.com/gpu` (strategy `single`);
//! - *shares*: a resource that counts parts of GPUs (`example.com/gpu-milli`, 1000 a GPU) beside the whole ones.
//!
//! Types with a fraction of a GPU (g6f, gr6f) have no GPU at all in Karpenter's eyes: `resources` of an overlay gives
//! them one.

mod mig;

pub use mig::{Mig, MigStrategy};

use super::InstanceType;
use super::overlay::{devices, set_resources};
use super::read::value_problem;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::Str;
use crate::model::wire::wire;
use crate::problem::{Place, Problem, ProblemKind};
use crate::quantity::Quantity;

/// The resource that is shared.
const GPU: &str = "nvidia.com/gpu";

wire! {
    /// Time slicing, with the words of the device plugin's configuration.
    pub struct TimeSlicing {
        /// How often each device is counted.
        replicas: i64 = "replicas",
        /// Which resource; absent: `nvidia.com/gpu`. A MIG profile's can be sliced too.
        resource: Str = "resource",
        /// Whether the slices are called `RESOURCE.shared`.
        rename_by_default: bool = "renameByDefault",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Parts of devices.
    pub struct Shares {
        /// The resource that counts parts.
        resource: Str = "resource",
        /// How many a device.
        per_device: i64 = "perDevice",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How GPUs of some types are shared. Exactly one of `timeSlicing`, `mig`, `shares`.
    pub struct GpuSharing {
        /// Only these types.
        instance_types: Option<Vec<Str>> = "instanceTypes",
        /// Only where these hold for the labels of the type.
        requirements: Vec<NodeSelectorRequirement> = "requirements",
        /// Time slicing.
        time_slicing: Option<TimeSlicing> = "timeSlicing",
        /// MIG.
        mig: Option<Mig> = "mig",
        /// Parts of devices.
        shares: Option<Shares> = "shares",
    }
    passed { }
    unmodelled { }
}

/// MIG profiles that do not fit the GPU they are for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuSharingError {
    /// The GPU has no such profile.
    #[error("`{path}.mig.profiles`: {gpu} ({instance_type}) has no MIG profile `{profile}`: expected one of {}", allowed.join(", "))]
    Profile {
        /// Path of the rule.
        path: String,
        /// Instance type.
        instance_type: Str,
        /// GPU.
        gpu: &'static str,
        /// What was asked for.
        profile: Str,
        /// What there is.
        allowed: Vec<String>,
    },
    /// They are too many.
    #[error(
        "`{path}.mig.profiles`: the profiles need {compute} of {compute_most} compute slices and {memory} of {memory_most} memory slices of {gpu} ({instance_type})"
    )]
    Slices {
        /// Path of the rule.
        path: String,
        /// Instance type.
        instance_type: Str,
        /// GPU.
        gpu: &'static str,
        /// Compute slices that they need.
        compute: i64,
        /// Compute slices that there are.
        compute_most: i64,
        /// Memory slices that they need.
        memory: i64,
        /// Memory slices that there are.
        memory_most: i64,
    },
    /// The GPU cannot be cut.
    #[error("`{path}`: {gpu} ({instance_type}) does not support MIG; these GPUs do: {}", mig::MIG_GPUS.map(|gpu| gpu.name).join(", "))]
    NoMig {
        /// Path of the rule.
        path: String,
        /// Instance type.
        instance_type: Str,
        /// GPU, as the label has it.
        gpu: String,
    },
}

impl GpuSharing {
    pub(super) fn check(&self, path: &str) -> Result<(), Problem> {
        let given: Vec<&'static str> = [
            ("timeSlicing", self.time_slicing.is_some()),
            ("mig", self.mig.is_some()),
            ("shares", self.shares.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect();
        match given.as_slice() {
            [] => {
                return Err(value_problem("", path, "none", "exactly one of timeSlicing, mig, shares"));
            }
            [_] => {}
            [first, second, ..] => {
                return Err(Problem::new(Place::at(path), ProblemKind::Exclusive { first, second }));
            }
        }
        if let Some(slicing) = &self.time_slicing
            && slicing.replicas < 2
        {
            let path = format!("{path}.timeSlicing.replicas");
            return Err(value_problem("", path, slicing.replicas.to_string(), "a number above 1"));
        }
        if let Some(mig) = &self.mig {
            mig.check(path)?;
        }
        if let Some(shares) = &self.shares {
            if !shares.resource.contains('/') {
                let path = format!("{path}.shares.resource");
                return Err(value_problem(
                    "",
                    path,
                    format!("`{}`", shares.resource),
                    "a name such as `example.com/gpu-milli`",
                ));
            }
            if shares.per_device < 1 {
                let path = format!("{path}.shares.perDevice");
                return Err(value_problem("", path, shares.per_device.to_string(), "a number above 0"));
            }
        }
        Ok(())
    }
}

/// Shares the GPUs of one type. `false`: it has none.
pub(super) fn apply(
    sharing: &GpuSharing,
    instance_type: &mut InstanceType,
    path: &str,
) -> Result<bool, GpuSharingError> {
    let mut changed = ResourceList::default();
    if let Some(slicing) = &sharing.time_slicing {
        let resource = if slicing.resource.is_empty() { GPU } else { slicing.resource.as_str() };
        let count = devices(instance_type, resource);
        if count == 0 {
            return Ok(false);
        }
        let sliced = Quantity::from_units(count.saturating_mul(slicing.replicas));
        if slicing.rename_by_default {
            changed.insert(resource, Quantity::ZERO);
            changed.insert(format!("{resource}.shared"), sliced);
        } else {
            changed.insert(resource, sliced);
        }
    }
    if let Some(mig) = &sharing.mig {
        let count = devices(instance_type, GPU);
        if count == 0 {
            return Ok(false);
        }
        mig.fits(instance_type, path)?;
        let cut = mig.gpus.unwrap_or(count).min(count);
        changed.insert(GPU, Quantity::from_units(count - cut));
        for (profile, each) in mig.profiles.iter() {
            let resource = match mig.strategy {
                Some(MigStrategy::Single) => GPU.to_owned(),
                _ => format!("nvidia.com/mig-{profile}"),
            };
            changed.insert(resource, Quantity::from_units(cut.saturating_mul(each.units_rounded_up())));
        }
    }
    if let Some(shares) = &sharing.shares {
        let count = devices(instance_type, GPU);
        if count == 0 {
            return Ok(false);
        }
        changed
            .insert(shares.resource.clone(), Quantity::from_units(count.saturating_mul(shares.per_device)));
    }
    set_resources(instance_type, &changed);
    Ok(true)
}
