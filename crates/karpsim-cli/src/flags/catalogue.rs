//! Flags that choose a catalogue, and say what becomes of it.

use crate::failure::Failure;
use crate::flags::{OverlayFlag, StrictFlag};
use crate::input::{sources, unpack};
use clap::{Args, ValueEnum};
use karpsim::catalogue::{Catalogue, InstanceType};
use karpsim::problem::near_miss;
use karpsim::provider::azure::NetworkPlugin;
use karpsim::provider::{NodeClass, Settings, recompute};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The catalogue that is meant when none is named.
const DEFAULT: &str = "aws/us-west-2";

/// Karpenter's settings that capacity depends on.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CapacityFlags {
    /// Fraction of memory that the hypervisor uses [default: 0.075; GCP: 0.07]
    #[arg(long, value_name = "FRACTION", env = "VM_MEMORY_OVERHEAD_PERCENT", hide_env_values = true, value_parser = part, allow_hyphen_values = true)]
    vm_memory_overhead_percent: Option<f64>,
    /// Number of network interfaces that pods cannot use (AWS) [default: 0]
    #[arg(long, value_name = "N", env = "RESERVED_ENIS", hide_env_values = true, value_parser = clap::value_parser!(i64).range(0..), allow_hyphen_values = true)]
    reserved_enis: Option<i64>,
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse::<f64>().ok().filter(|part| (0.0..1.0).contains(part));
    part.ok_or_else(|| "expected a number from 0 to below 1; 0.075 is 7.5 %".to_owned())
}

impl CapacityFlags {
    fn is_given(&self) -> bool {
        self.vm_memory_overhead_percent.is_some() || self.reserved_enis.is_some()
    }

    /// The settings.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            vm_memory_overhead_percent: self.vm_memory_overhead_percent,
            reserved_enis: self.reserved_enis.unwrap_or(0),
            ..Settings::default()
        }
    }
}

/// What is made of a catalogue before it is looked at.
#[derive(Debug, Clone, Args)]
pub(crate) struct Changes {
    #[command(flatten)]
    overlay: OverlayFlag,
    /// Node class (EC2NodeClass, GCENodeClass, AKSNodeClass) from which to compute capacity and allocatable
    #[arg(long, value_name = "FILE")]
    node_class: Option<PathBuf>,
    /// Name of the node class, if the file has more than one
    #[arg(long, value_name = "NAME", requires = "node_class")]
    node_class_name: Option<String>,
    #[command(flatten)]
    capacity: CapacityFlags,
    /// Network plugin (AKS) [default: overlay]
    #[arg(long, value_name = "PLUGIN")]
    azure_network: Option<AzureNetwork>,
}

/// Which catalogue, and what is made of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Chosen {
    /// Built-in catalogue, or a catalogue file or KWOK instance types file
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT)]
    catalogue: String,
    #[command(flatten)]
    changes: Changes,
}

impl Chosen {
    /// The catalogue.
    ///
    /// # Errors
    ///
    /// If it, an overlay or the node class cannot be read.
    pub(crate) fn load(&self) -> Result<Catalogue, Failure> {
        self.changes.apply(Arc::unwrap_or_clone(sources::catalogue(&self.catalogue)?))
    }

    /// What was asked for, to be shown.
    pub(crate) fn name(&self) -> &str {
        &self.catalogue
    }
}

impl Changes {
    /// A flag that was given. Those that the environment sets as well do not count: there they are meant for any command.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--overlay", !self.overlay.overlay.is_empty()),
            ("--node-class", self.node_class.is_some()),
            ("--azure-network", self.azure_network.is_some()),
        ];
        flags.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    /// `catalogue` with everything applied that was given.
    ///
    /// # Errors
    ///
    /// If a file is wrong.
    pub(crate) fn apply(&self, mut catalogue: Catalogue) -> Result<Catalogue, Failure> {
        let asked = self.node_class.is_some() || self.capacity.is_given() || self.azure_network.is_some();
        if asked {
            let class = self.node_class.as_deref().map(|path| self.read_class(path)).transpose()?;
            let file = self.node_class.as_deref().map(unpack::shown);
            catalogue = recompute(&catalogue, class.as_ref(), &self.settings()).map_err(|error| {
                Failure::input(file.map_or_else(|| error.to_string(), |file| format!("{file}: {error}")))
            })?;
        }
        let overlays = self.overlay.read()?;
        let overlaid = overlays.apply(Arc::new(catalogue));
        let overlaid = overlaid.map_err(|problem| Failure::input(problem.to_string()))?;
        overlays.warn(StrictFlag::default())?;
        Ok(Arc::unwrap_or_clone(overlaid))
    }

    fn read_class(&self, path: &Path) -> Result<NodeClass, Failure> {
        let text = unpack::text(path)?;
        NodeClass::read(&text, self.node_class_name.as_deref())
            .map_err(|problem| Failure::problem(&unpack::shown(path), 0, &problem))
    }

    fn settings(&self) -> Settings {
        Settings {
            azure_network: self.azure_network.map_or(NetworkPlugin::AzureOverlay, AzureNetwork::plugin),
            ..self.capacity.settings()
        }
    }
}

/// Network plugins of AKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AzureNetwork {
    /// Azure CNI Overlay
    Overlay,
    /// Azure CNI with pod IPs from the node's subnet
    NodeSubnet,
    /// No network plugin
    None,
    /// Any other plugin
    Other,
}

impl AzureNetwork {
    fn plugin(self) -> NetworkPlugin {
        match self {
            AzureNetwork::Overlay => NetworkPlugin::AzureOverlay,
            AzureNetwork::NodeSubnet => NetworkPlugin::AzureNodeSubnet,
            AzureNetwork::None => NetworkPlugin::None,
            AzureNetwork::Other => NetworkPlugin::Other,
        }
    }
}

/// The type called `name`.
///
/// # Errors
///
/// If there is none.
pub(crate) fn type_named<'a>(
    catalogue: &'a Catalogue,
    name: &str,
    sought: &str,
) -> Result<&'a Arc<InstanceType>, Failure> {
    catalogue.instance_types.iter().find(|instance_type| instance_type.name == name).ok_or_else(|| {
        let names = catalogue.instance_types.iter().map(|instance_type| instance_type.name.as_str());
        let failure = Failure::input(format!("instance type `{name}` not found in catalogue `{sought}`"));
        if let Some(near) = near_miss(name, names.clone()) {
            return failure.hint(format!("did you mean `{near}`?"));
        }
        let family = name.split(['.', '-']).next().unwrap_or(name);
        let alike: Vec<&str> = names.filter(|other| other.starts_with(family)).take(5).collect();
        if alike.is_empty() || family.is_empty() {
            failure.hint("run `karpsim catalogue list NAME` to list all")
        } else {
            failure.hint(format!("similar instance types: {}", alike.join(", ")))
        }
    })
}
