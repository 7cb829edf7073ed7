//! GPU sharing: what NVIDIA's device plugin makes of a machine's GPUs.
//!
//! - *time slicing*: each GPU counts as `replicas`, under its own name or as `nvidia.com/gpu.shared`;
//! - *MIG*: each GPU (or the first `gpus` of them) is cut into profiles, which are resources of their own
//!   (`nvidia.com/mig-1g.5gb`, strategy `mixed`) or all count as `nvidia.com/gpu` (strategy `single`);
//! - *shares*: a resource that counts parts of GPUs (`example.com/gpu-milli`, 1000 a GPU) beside the whole ones.
//!
//! Types with a fraction of a GPU (g6f, gr6f) have no GPU at all in Karpenter's eyes: `resources` of an overlay gives
//! them one.

use super::InstanceType;
use super::overlay::{devices, set_resources};
use super::read::value_problem;
use super::view::View;
use crate::api::core::{NodeSelectorRequirement, ResourceList};
use crate::api::meta::{Str, words};
use crate::api::problem::{Place, Problem, ProblemKind};
use crate::api::wire::wire;
use crate::quantity::Quantity;

/// The resource that is shared.
const GPU: &str = "nvidia.com/gpu";

words! {
    /// How MIG devices are named.
    pub enum MigStrategy {
        /// Each profile is a resource.
        Mixed = "mixed",
        /// There is one profile, and its devices are `nvidia.com/gpu`.
        Single = "single",
    }
}

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
    /// MIG.
    pub struct Mig {
        /// Devices of each profile on one GPU, as `{"1g.5gb": 7}`.
        profiles: ResourceList = "profiles",
        /// Absent: `mixed`.
        strategy: Option<MigStrategy> = "strategy",
        /// How many GPUs of the machine are cut; absent: all. Not with `single`.
        gpus: Option<i64> = "gpus",
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
    #[error("`{path}.mig.profiles`: a {gpu} ({instance_type}) has no profile `{profile}`; it has {}", allowed.join(", "))]
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
        "`{path}.mig.profiles`: they need {compute} of {compute_most} compute slices and {memory} of {memory_most} memory slices of a {gpu} ({instance_type})"
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
    #[error("`{path}`: a {gpu} ({instance_type}) has no MIG; GPUs that have it are {}", MIG_GPUS.map(|gpu| gpu.name).join(", "))]
    NoMig {
        /// Path of the rule.
        path: String,
        /// Instance type.
        instance_type: Str,
        /// GPU, as the label has it.
        gpu: String,
    },
}

/// A GPU that MIG can cut.
struct MigGpu {
    name: &'static str,
    /// Part of the label of every provider.
    label: &'static str,
    /// Memory in MiB, at least and below.
    memory_mib: (i64, i64),
    compute_slices: i64,
    memory_slices: i64,
    /// Profile, compute slices, memory slices.
    profiles: &'static [(&'static str, i64, i64)],
}

/// From NVIDIA's MIG user guide, "Supported MIG profiles".
const MIG_GPUS: [MigGpu; 7] = [
    MigGpu {
        name: "A30",
        label: "a30",
        memory_mib: (0, i64::MAX),
        compute_slices: 4,
        memory_slices: 4,
        profiles: &[("1g.6gb", 1, 1), ("2g.12gb", 2, 2), ("4g.24gb", 4, 4)],
    },
    MigGpu {
        name: "A100 40GB",
        label: "a100",
        memory_mib: (0, 60_000),
        compute_slices: 7,
        memory_slices: 8,
        profiles: &[
            ("1g.5gb", 1, 1),
            ("1g.10gb", 1, 2),
            ("2g.10gb", 2, 2),
            ("3g.20gb", 3, 4),
            ("4g.20gb", 4, 4),
            ("7g.40gb", 7, 8),
        ],
    },
    MigGpu {
        name: "A100 80GB",
        label: "a100",
        memory_mib: (60_000, i64::MAX),
        compute_slices: 7,
        memory_slices: 8,
        profiles: &[
            ("1g.10gb", 1, 1),
            ("1g.20gb", 1, 2),
            ("2g.20gb", 2, 2),
            ("3g.40gb", 3, 4),
            ("4g.40gb", 4, 4),
            ("7g.80gb", 7, 8),
        ],
    },
    MigGpu {
        name: "H100 80GB",
        label: "h100",
        memory_mib: (0, i64::MAX),
        compute_slices: 7,
        memory_slices: 8,
        profiles: &[
            ("1g.10gb", 1, 1),
            ("1g.20gb", 1, 2),
            ("2g.20gb", 2, 2),
            ("3g.40gb", 3, 4),
            ("4g.40gb", 4, 4),
            ("7g.80gb", 7, 8),
        ],
    },
    MigGpu {
        name: "H200",
        label: "h200",
        memory_mib: (0, i64::MAX),
        compute_slices: 7,
        memory_slices: 8,
        profiles: &[
            ("1g.18gb", 1, 1),
            ("1g.35gb", 1, 2),
            ("2g.35gb", 2, 2),
            ("3g.71gb", 3, 4),
            ("4g.71gb", 4, 4),
            ("7g.141gb", 7, 8),
        ],
    },
    MigGpu {
        name: "B200",
        label: "b200",
        memory_mib: (0, i64::MAX),
        compute_slices: 7,
        memory_slices: 8,
        profiles: &[
            ("1g.23gb", 1, 1),
            ("1g.45gb", 1, 2),
            ("2g.45gb", 2, 2),
            ("3g.90gb", 3, 4),
            ("4g.90gb", 4, 4),
            ("7g.180gb", 7, 8),
        ],
    },
    MigGpu {
        name: "RTX PRO 6000",
        label: "rtx-pro-server-6000",
        memory_mib: (0, i64::MAX),
        compute_slices: 4,
        memory_slices: 4,
        profiles: &[("1g.24gb", 1, 1), ("2g.48gb", 2, 2), ("4g.96gb", 4, 4)],
    },
];

/// Newer GPUs whose profiles are not listed here: theirs are taken as they are.
const UNLISTED: [&str; 2] = ["b300", "gb200"];

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
                return Err(value_problem(
                    "",
                    path,
                    "none of them",
                    "exactly one of timeSlicing, mig, shares",
                ));
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

impl Mig {
    fn check(&self, path: &str) -> Result<(), Problem> {
        let profiles = format!("{path}.mig.profiles");
        if self.profiles.is_empty() {
            return Err(Problem::new(
                Place::at(format!("{path}.mig")),
                ProblemKind::Missing { name: "profiles".into() },
            ));
        }
        for (profile, count) in self.profiles.iter() {
            let form = profile.split_once("g.").is_some_and(|(slices, memory)| {
                slices.parse::<u8>().is_ok()
                    && memory.strip_suffix("gb").is_some_and(|gb| gb.parse::<u16>().is_ok())
            });
            if !form {
                return Err(value_problem("", profiles, format!("`{profile}`"), "names such as `1g.5gb`"));
            }
            if count < Quantity::from_units(1) || count != Quantity::from_units(count.units_rounded_up()) {
                return Err(value_problem(
                    "",
                    format!("{profiles}.{profile}"),
                    count.to_string(),
                    "a whole number above 0",
                ));
            }
        }
        if self.strategy == Some(MigStrategy::Single) {
            if self.profiles.iter().count() != 1 {
                return Err(value_problem("", profiles, "several profiles", "one, with strategy `single`"));
            }
            if self.gpus.is_some() {
                let place = Place::at(format!("{path}.mig"));
                return Err(Problem::new(
                    place,
                    ProblemKind::Exclusive { first: "gpus", second: "strategy: single" },
                ));
            }
        }
        match self.gpus {
            Some(gpus) if gpus < 1 => {
                Err(value_problem("", format!("{path}.mig.gpus"), gpus.to_string(), "a number above 0"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the profiles fit on one GPU of the type.
    fn fits(&self, instance_type: &InstanceType, path: &str) -> Result<(), GpuSharingError> {
        let gpus = View::new(instance_type).gpus;
        let label = gpus.as_ref().map(|gpus| gpus.name.to_lowercase()).unwrap_or_default();
        // Azure's label does not tell the two A100s apart; only the NC…ads and ND96amsr sizes have 80 GB.
        let azure_large = instance_type.name.contains("ads_A100") || instance_type.name.contains("amsr_A100");
        let memory_mib =
            gpus.and_then(|gpus| gpus.memory_mib).unwrap_or(if azure_large { 81_920 } else { 0 });
        if label.is_empty() || UNLISTED.iter().any(|unlisted| label.contains(unlisted)) {
            return Ok(());
        }
        let known = MIG_GPUS.iter().find(|gpu| {
            label.contains(gpu.label) && (gpu.memory_mib.0..gpu.memory_mib.1).contains(&memory_mib)
        });
        let Some(gpu) = known else {
            return Err(GpuSharingError::NoMig {
                path: path.to_owned(),
                instance_type: instance_type.name.clone(),
                gpu: label,
            });
        };
        let (mut compute, mut memory) = (0, 0);
        for (profile, count) in self.profiles.iter() {
            let Some((_, compute_slices, memory_slices)) =
                gpu.profiles.iter().find(|(name, ..)| *name == profile)
            else {
                return Err(GpuSharingError::Profile {
                    path: path.to_owned(),
                    instance_type: instance_type.name.clone(),
                    gpu: gpu.name,
                    profile: profile.into(),
                    allowed: gpu.profiles.iter().map(|(name, ..)| (*name).to_owned()).collect(),
                });
            };
            compute = count.units_rounded_up().saturating_mul(*compute_slices).saturating_add(compute);
            memory = count.units_rounded_up().saturating_mul(*memory_slices).saturating_add(memory);
        }
        if compute > gpu.compute_slices || memory > gpu.memory_slices {
            return Err(GpuSharingError::Slices {
                path: path.to_owned(),
                instance_type: instance_type.name.clone(),
                gpu: gpu.name,
                compute,
                compute_most: gpu.compute_slices,
                memory,
                memory_most: gpu.memory_slices,
            });
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
