//! Families of machine images, and what differs from one to another.

use super::node_class::Ec2NodeClassSpec;
use crate::provider::capacity::CapacityError;
use crate::quantity::Quantity;

/// A family of machine images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmiFamily {
    /// Amazon Linux 2.
    Al2,
    /// Amazon Linux 2023.
    Al2023,
    /// Bottlerocket.
    Bottlerocket,
    /// Windows, with the build of its label.
    Windows {
        /// `node.kubernetes.io/windows-build`.
        build: &'static str,
    },
    /// The user's own.
    Custom,
}

/// A volume that an image family brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultVolume {
    /// Its device.
    pub device: &'static str,
    /// Its size in GiB.
    pub gib: i64,
}

const fn volume(device: &'static str, gib: i64) -> DefaultVolume {
    DefaultVolume { device, gib }
}

const XVDA: [DefaultVolume; 1] = [volume("/dev/xvda", 20)];
const BOTTLEROCKET: [DefaultVolume; 2] = [volume("/dev/xvda", 4), volume("/dev/xvdb", 20)];
const SDA1: [DefaultVolume; 1] = [volume("/dev/sda1", 50)];

impl AmiFamily {
    /// Names that `spec.amiFamily` can have; an alias is a lower-case one of them.
    pub const NAMES: [&'static str; 7] =
        ["AL2", "AL2023", "Bottlerocket", "Windows2019", "Windows2022", "Windows2025", "Custom"];

    /// The family of a node class: `amiFamily`, else that of the alias, else `Custom`. Without any image selector, which
    /// the API server would refuse, it is AL2023.
    ///
    /// # Errors
    ///
    /// If there is no such family.
    pub fn of(spec: &Ec2NodeClassSpec) -> Result<AmiFamily, CapacityError> {
        let alias =
            spec.ami_selector_terms.iter().map(|term| term.alias.as_str()).find(|alias| !alias.is_empty());
        let family = match (spec.ami_family.as_str(), alias) {
            ("", Some(alias)) => alias.split('@').next().unwrap_or_default(),
            ("", None) if spec.ami_selector_terms.is_empty() => "AL2023",
            ("", None) => "Custom",
            (family, _) => family,
        };
        match family.to_ascii_lowercase().as_str() {
            "al2" => Ok(AmiFamily::Al2),
            "al2023" => Ok(AmiFamily::Al2023),
            "bottlerocket" => Ok(AmiFamily::Bottlerocket),
            "windows2019" => Ok(AmiFamily::Windows { build: "10.0.17763" }),
            "windows2022" => Ok(AmiFamily::Windows { build: "10.0.20348" }),
            "windows2025" => Ok(AmiFamily::Windows { build: "10.0.26100" }),
            "custom" => Ok(AmiFamily::Custom),
            _ => Err(CapacityError::AmiFamily { family: family.into() }),
        }
    }

    /// The volumes of its nodes if the node class maps none. Custom images bring their own, which nobody knows here.
    pub fn default_volumes(self) -> &'static [DefaultVolume] {
        match self {
            AmiFamily::Al2 | AmiFamily::Al2023 => &XVDA,
            AmiFamily::Bottlerocket => &BOTTLEROCKET,
            AmiFamily::Windows { .. } => &SDA1,
            AmiFamily::Custom => &[],
        }
    }

    /// The device that holds the kubelet's data, and its size unless the node class says otherwise.
    pub(super) fn ephemeral_device(self) -> (Option<&'static str>, Quantity) {
        match self.default_volumes().last() {
            Some(volume) => (Some(volume.device), Quantity::from_units(volume.gib << 30)),
            None => (None, Quantity::from_units(20 << 30)),
        }
    }
}
