//! `karpsim catalogue`: which catalogue is meant, and its subcommands.

use crate::catalogue_diff::Diff;
use crate::catalogue_import::Import;
use crate::catalogue_list::{Find, List};
use crate::catalogue_price::Price;
use crate::catalogue_show::Show;
use crate::embedded;
use crate::failure::Failure;
use crate::overlay::CatalogueOverlays;
use crate::unpack;
use clap::{Args, Subcommand};
use karpsim::catalogue::azure::NetworkPlugin;
use karpsim::catalogue::{self, Catalogue, InstanceType, NodeClass, Settings, recompute};
use karpsim::problem::{Problem, near_miss};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The catalogue that is meant when none is named.
const DEFAULT: &str = "aws/us-west-2";

const AFTER_HELP: &str = "\
A price with ~ is no published price of its region: it is computed from other published figures
or estimated. `-o wide` shows the source and date of every price.";

/// Instance types: look at them, find some, compare, import your own
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CatalogueCommand {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    List(List),
    Show(Show),
    Find(Find),
    Price(Price),
    Diff(Diff),
    Import(Import),
}

impl CatalogueCommand {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the input is wrong.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Sub::List(command) => command.run(),
            Sub::Show(command) => command.run(),
            Sub::Find(command) => command.run(),
            Sub::Price(command) => command.run(),
            Sub::Diff(command) => command.run(),
            Sub::Import(command) => command.run(),
        }
    }
}

/// What is made of a catalogue before it is looked at.
#[derive(Debug, Clone, Args)]
pub(crate) struct Changes {
    /// Discounts, reservations, GPU sharing: a CatalogueOverlay, applied to the catalogue; repeatable
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// Node class (EC2NodeClass, GCENodeClass, AKSNodeClass) that capacity and allocatable follow from
    #[arg(long, value_name = "FILE")]
    node_class: Option<PathBuf>,
    /// Which one, where the file has several node classes
    #[arg(long, value_name = "NAME", requires = "node_class")]
    node_class_name: Option<String>,
    /// Part of the memory that the hypervisor takes [default: 0.075; GCP 0.07]
    #[arg(long, value_name = "PART", env = "VM_MEMORY_OVERHEAD_PERCENT", hide_env_values = true)]
    vm_memory_overhead_percent: Option<f64>,
    /// Network interfaces that are not for pods (AWS) [default: 0]
    #[arg(long, value_name = "N", env = "RESERVED_ENIS", hide_env_values = true)]
    reserved_enis: Option<i64>,
    /// How pods get addresses (Azure): overlay, node-subnet, none, other [default: overlay]
    #[arg(long, value_name = "PLUGIN")]
    azure_network: Option<String>,
}

/// Which catalogue, and what is made of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Chosen {
    /// A catalogue of the program, or a file (also KWOK's instance types)
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
        self.changes.apply(load(&self.catalogue)?)
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
            ("--overlay", !self.overlay.is_empty()),
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
        if let Some(percent) = self.vm_memory_overhead_percent
            && !(0.0..1.0).contains(&percent)
        {
            return Err(Failure::input(format!(
                "--vm-memory-overhead-percent: found {percent}, allowed is a number from 0 to below 1"
            ))
            .hint("0.075 is 7.5 %"));
        }
        if let Some(count) = self.reserved_enis.filter(|&count| count < 0) {
            return Err(Failure::input(format!(
                "--reserved-enis: found {count}, allowed is a number not below 0"
            )));
        }
        let asked = self.node_class.is_some()
            || self.vm_memory_overhead_percent.is_some()
            || self.reserved_enis.is_some()
            || self.azure_network.is_some();
        if asked {
            let class = self.node_class.as_deref().map(|path| self.read_class(path)).transpose()?;
            let file = self.node_class.as_deref().map(unpack::shown);
            catalogue = recompute(&catalogue, class.as_ref(), &self.settings()?).map_err(|error| {
                Failure::input(file.map_or_else(|| error.to_string(), |file| format!("{file}: {error}")))
            })?;
        }
        let overlays = CatalogueOverlays::read(&self.overlay)?;
        let overlaid = overlays.apply(Arc::new(catalogue));
        let overlaid = overlaid.map_err(|problem| Failure::input(problem.to_string()))?;
        overlays.warn(false)?;
        Ok(Arc::unwrap_or_clone(overlaid))
    }

    fn read_class(&self, path: &Path) -> Result<NodeClass, Failure> {
        let text = unpack::text(path)?;
        NodeClass::read(&text, self.node_class_name.as_deref())
            .map_err(|problem| Failure::problem(&unpack::shown(path), 0, &problem))
    }

    /// Karpenter's settings that capacity depends on.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let words = ["overlay", "node-subnet", "none", "other"];
        let azure_network = match self.azure_network.as_deref() {
            None | Some("overlay") => NetworkPlugin::AzureOverlay,
            Some("node-subnet") => NetworkPlugin::AzureNodeSubnet,
            Some("none") => NetworkPlugin::None,
            Some("other") => NetworkPlugin::Other,
            Some(word) => {
                let failure = Failure::input(format!(
                    "--azure-network: found `{word}`, allowed is one of {}",
                    words.join(", ")
                ));
                return Err(match near_miss(word, words) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure,
                });
            }
        };
        Ok(Settings {
            vm_memory_overhead_percent: self.vm_memory_overhead_percent,
            reserved_enis: self.reserved_enis.unwrap_or(0),
            azure_network,
        })
    }
}

/// A catalogue of the program, or in a file.
///
/// # Errors
///
/// If there is none of that name, or the file is wrong.
pub(crate) fn load(name: &str) -> Result<Catalogue, Failure> {
    if embedded::is_name(name) {
        return embedded::load(name)
            .map(|catalogue| (*catalogue).clone())
            .map_err(|problem| Failure::problem("--catalogue", 0, &problem));
    }
    let path = Path::new(name);
    if name != "-" && !path.is_file() {
        let failure = Failure::input(format!(
            "no catalogue `{name}`: no such file, and none of that name in the program"
        ));
        return Err(failure.hint(match near_miss(name, embedded::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the program carries {}", embedded::names().collect::<Vec<_>>().join(", ")),
        }));
    }
    let text = unpack::text(path)?;
    catalogue::read(&text).map_err(|problem| Failure::problem(&unpack::shown(path), 0, &problem))
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
        let failure = Failure::input(format!("no instance type `{name}` in catalogue `{sought}`"));
        if let Some(near) = near_miss(name, names.clone()) {
            return failure.hint(format!("did you mean `{near}`?"));
        }
        let family = name.split(['.', '-']).next().unwrap_or(name);
        let alike: Vec<&str> = names.filter(|other| other.starts_with(family)).take(5).collect();
        if alike.is_empty() || family.is_empty() {
            failure.hint("`karpsim catalogue list NAME` lists all")
        } else {
            failure.hint(format!("there are {}", alike.join(", ")))
        }
    })
}

/// Writes data to standard output.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::writing("standard output", &error))
}

/// One a line.
pub(crate) fn lines(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for name in names {
        text.push_str(name.as_ref());
        text.push('\n');
    }
    text
}

/// A problem in a file that was named on the command line.
pub(crate) fn in_file(path: &Path, problem: &Problem) -> Failure {
    Failure::problem(&unpack::shown(path), 0, problem)
}
