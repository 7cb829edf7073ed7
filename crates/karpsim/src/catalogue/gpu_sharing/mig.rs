//! MIG: which GPUs it cuts into which profiles, and whether those that are asked for fit.

use super::GpuSharingError;
use crate::catalogue::InstanceType;
use crate::catalogue::read::value_problem;
use crate::catalogue::view::View;
use crate::model::core::ResourceList;
use crate::model::meta::words;
use crate::model::wire::wire;
use crate::problem::{Place, Problem, ProblemKind};
use crate::quantity::Quantity;

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

/// A GPU that MIG can cut.
pub(super) struct MigGpu {
    pub(super) name: &'static str,
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
pub(super) const MIG_GPUS: [MigGpu; 8] = [
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
        memory_mib: (0, 90_000),
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
        name: "H100 94GB",
        label: "h100",
        memory_mib: (90_000, i64::MAX),
        compute_slices: 7,
        memory_slices: 8,
        profiles: &[
            ("1g.12gb", 1, 1),
            ("1g.24gb", 1, 2),
            ("2g.24gb", 2, 2),
            ("3g.47gb", 3, 4),
            ("4g.47gb", 4, 4),
            ("7g.94gb", 7, 8),
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

/// GPU and its memory in MiB of the sizes of Azure whose labels do not tell: begin and end of the size's name. From
/// Microsoft's documentation of sizes.
const AZURE_GPUS: [(&str, &str, &str, i64); 8] = [
    ("Standard_NC", "rs_v3", "v100", 16_384),
    ("Standard_NC", "s_v3", "v100", 16_384),
    ("Standard_ND", "rs_v2", "v100", 32_768),
    ("Standard_NV", "s_v3", "m60", 8192),
    ("Standard_ND", "asr_v4", "a100", 40_960),
    ("Standard_ND", "amsr_A100_v4", "a100", 81_920),
    ("Standard_NC", "ads_A100_v4", "a100", 81_920),
    ("Standard_NC", "_H100_v5", "h100", 96_256),
];

/// Newer GPUs whose profiles are not listed here: theirs are taken as they are.
const UNLISTED: [&str; 2] = ["b300", "gb200"];

impl Mig {
    pub(super) fn check(&self, path: &str) -> Result<(), Problem> {
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
    pub(super) fn fits(&self, instance_type: &InstanceType, path: &str) -> Result<(), GpuSharingError> {
        let gpus = View::new(instance_type).gpus;
        let label = gpus.as_ref().map(|gpus| gpus.name.to_lowercase()).unwrap_or_default();
        let azure = AZURE_GPUS.iter().find(|(begin, end, ..)| {
            instance_type.name.starts_with(begin) && instance_type.name.ends_with(end)
        });
        let label = azure.map_or(label, |(_, _, gpu, _)| (*gpu).to_owned());
        let memory_mib =
            gpus.and_then(|gpus| gpus.memory_mib).or(azure.map(|(.., memory_mib)| *memory_mib)).unwrap_or(0);
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
