//! Whether a machine can be had under a node class at all.
//!
//! Types that cannot stay among the node class's instance types, but none of their offerings is available.

use super::ami_family::AmiFamily;
use super::machine::Machine;
use super::node_class::{Ec2NodeClassSpec, InterfaceType, NetworkInterface, Switch};
use super::region::PlacementGroup;

/// Whether `machine` fits `spec`, whose family is `family` and whose placement group is `group`. What is not known of the
/// machine fits.
pub(super) fn fits(
    machine: &Machine,
    spec: &Ec2NodeClassSpec,
    family: AmiFamily,
    group: Option<&PlacementGroup>,
) -> bool {
    runs_image(machine, family)
        && spec.network_interfaces.as_ref().is_none_or(|interfaces| takes_interfaces(machine, interfaces))
        && virtualizes(machine, spec)
        && group.is_none_or(|group| joins(machine, group))
        && tracks_connections(machine, spec)
}

/// Amazon Linux 2023 does not run on the first Graviton.
fn runs_image(machine: &Machine, family: AmiFamily) -> bool {
    family != AmiFamily::Al2023 || !machine.name.starts_with("a1.")
}

fn takes_interfaces(machine: &Machine, interfaces: &[NetworkInterface]) -> bool {
    let abilities = &machine.abilities;
    let fits_cards = |interface: &NetworkInterface| {
        abilities.cards.as_ref().is_none_or(|cards| {
            let card = cards.iter().find(|card| card.index == interface.network_card_index);
            // The index must also be below the number of cards, which need not be numbered one after the other.
            (interface.network_card_index < cards.len() as i64)
                && card.is_some_and(|card| interface.device_index < card.interfaces)
        })
    };
    let efa_only = interfaces
        .iter()
        .filter(|interface| interface.interface_type == Some(InterfaceType::EfaOnly))
        .count() as i64;
    abilities.ena != Some(false)
        && abilities.cards.as_ref().is_none_or(|cards| !cards.is_empty())
        && interfaces.iter().all(fits_cards)
        && efa_only <= abilities.efa_interfaces
}

fn virtualizes(machine: &Machine, spec: &Ec2NodeClassSpec) -> bool {
    spec.cpu_options.nested_virtualization != Some(Switch::Enabled)
        || machine.abilities.nested_virtualization != Some(false)
}

fn joins(machine: &Machine, group: &PlacementGroup) -> bool {
    let strategies = machine.abilities.placement_strategies.as_ref();
    strategies.is_none_or(|strategies| strategies.contains(&group.strategy))
}

/// Bare metal has no hypervisor, and so none that could.
fn tracks_connections(machine: &Machine, spec: &Ec2NodeClassSpec) -> bool {
    spec.connection_tracking.is_none() || machine.abilities.hypervisor == "nitro"
}
