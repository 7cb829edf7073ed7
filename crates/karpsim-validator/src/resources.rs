//! What pods reserve and what instance types offer ("Resource Management for Pods and Containers", "Reserve Compute
//! Resources for System Daemons").

use karpsim::catalogue::{InstanceType, Offering, Overhead};
use karpsim::model::core::{Container, ContainerStatus, Pod, ResourceList};
use karpsim::model::meta::condition;
use karpsim::quantity::Quantity;
use std::collections::BTreeMap;

/// Amounts by resource.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// A list as amounts.
pub(crate) fn amounts(list: &ResourceList) -> Amounts {
    list.iter().map(|(name, quantity)| (name.to_owned(), quantity)).collect()
}

/// Adds `more`.
pub(crate) fn add(amounts: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        *amounts.entry(name.clone()).or_default() += *quantity;
    }
}

/// Raises every amount to that of `other`, where that is more.
pub(crate) fn raise(amounts: &mut Amounts, other: &Amounts) {
    for (name, quantity) in other {
        let amount = amounts.entry(name.clone()).or_default();
        *amount = (*amount).max(*quantity);
    }
}

/// What all of `pods` reserve together.
pub(crate) fn requests_of<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Amounts {
    let mut sum = Amounts::new();
    for pod in pods {
        add(&mut sum, &requests(pod));
    }
    sum
}

/// What `pod` reserves: the more of what runs for good and of what any init container needs beside the sidecars that
/// were started before it; then what the pod says of itself as a whole; then its overhead.
pub(crate) fn requests(pod: &Pod) -> Amounts {
    let is_sidecar = |container: &&Container| container.restart_policy == "Always";
    let of = |container: &Container| {
        let lasting =
            !pod.spec.init_containers.iter().any(|init| init == container) || is_sidecar(&container);
        if lasting { with_status(pod, container) } else { amounts(&container.resources.requests) }
    };
    let mut for_good = Amounts::new();
    for container in pod.spec.containers.iter().chain(pod.spec.init_containers.iter().filter(is_sidecar)) {
        add(&mut for_good, &of(container));
    }
    let mut sidecars = Amounts::new();
    for init in &pod.spec.init_containers {
        if is_sidecar(&init) {
            add(&mut sidecars, &of(init));
            raise(&mut for_good, &sidecars);
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, &of(init));
            raise(&mut for_good, &beside);
        }
    }
    if let Some(whole) = &pod.spec.resources {
        for (name, quantity) in whole.requests.iter() {
            if name == "cpu" || name == "memory" || name.starts_with("hugepages-") {
                for_good.insert(name.to_owned(), quantity);
            }
        }
    }
    add(&mut for_good, &amounts(&pod.spec.overhead));
    for_good.insert("pods".to_owned(), Quantity::from_units(1));
    for_good
}

/// A container that is being resized holds what it asks for and what it still has.
fn with_status(pod: &Pod, container: &Container) -> Amounts {
    let mut wanted = amounts(&container.resources.requests);
    let statuses = pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses);
    let of_this = |status: &&ContainerStatus| status.name == container.name;
    if let Some(status) = statuses.into_iter().find(of_this)
        && let Some(in_force) = &status.resources
    {
        let infeasible =
            condition(&pod.status.conditions, "PodResizePending").is_some_and(|it| it.reason == "Infeasible");
        if infeasible {
            wanted.clear();
        }
        raise(&mut wanted, &amounts(&in_force.requests));
        raise(&mut wanted, &amounts(&status.allocated_resources));
    }
    wanted
}

/// What pods can have of an instance: capacity less overhead. What an offering says of them is added to what its type says,
/// or `replaces` it. Memory set aside for huge pages is not there for others.
pub(crate) fn allocatable(instance_type: &InstanceType, offering: &Offering, replaces: bool) -> Amounts {
    let mut room = amounts(&instance_type.capacity);
    for (name, quantity) in offering.capacity_override.iter() {
        let amount = room.entry(name.to_owned()).or_default();
        *amount = if replaces { quantity } else { *amount + quantity };
    }
    let huge: Vec<Quantity> = room
        .iter()
        .filter(|(name, _)| name.starts_with("hugepages-"))
        .map(|(_, quantity)| *quantity)
        .collect();
    let total = |overhead: &Overhead| {
        let mut total = Amounts::new();
        for list in [&overhead.kube_reserved, &overhead.system_reserved, &overhead.eviction_threshold] {
            for (name, quantity) in list.iter() {
                *total.entry(name.to_owned()).or_default() += quantity;
            }
        }
        total
    };
    let mut kept = total(&instance_type.overhead);
    for (name, quantity) in offering.overhead_override.as_ref().map(total).into_iter().flatten() {
        let amount = kept.entry(name).or_default();
        *amount = if replaces { quantity } else { *amount + quantity };
    }
    for (name, quantity) in kept {
        let amount = room.entry(name).or_default();
        *amount = *amount - quantity;
    }
    for quantity in huge {
        let memory = room.entry("memory".to_owned()).or_default();
        *memory = (*memory - quantity).max(Quantity::ZERO);
    }
    room
}

/// The first resource of which `wanted` is more than `room`, of those that are asked for at all.
pub(crate) fn first_missing(wanted: &Amounts, room: &Amounts) -> Option<String> {
    wanted.iter().find_map(|(name, wanted)| {
        let room = room.get(name).copied().unwrap_or_default();
        (!wanted.is_zero() && *wanted > room).then(|| format!("{name}: {wanted} of {room}"))
    })
}
