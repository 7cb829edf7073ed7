//! Whether something that happened may make a plugin let a pod pass that it refused.

use super::Plugins;
use super::event::{Event, NodeChange, PodChange};
use crate::class::{AffinityTerm, Class, SpreadConstraint};
use crate::cluster::{Cluster, PodInfo};
use crate::filters::{constraints_of, disks_conflict, fits_empty};
use crate::kubernetes::{host_ports, matches_node, tolerates_all, tolerates_cordon};
use crate::nominator::is_same;
use crate::reason::Plugin;
use crate::resources::Resources;
use crate::storage::{claim_name, may_attach, zone_labels};
use karpsim::model::core::{CsiNode, Node, PersistentVolumeClaim, Pod, WhenUnsatisfiable};
use karpsim::model::meta::Labels;

/// Whether one of the plugins that refused the pod may be pleased.
pub(super) fn wants(cluster: &Cluster, info: &PodInfo, plugins: Plugins, event: &Event<'_>) -> bool {
    const ALL: [Plugin; 13] = [
        Plugin::NodeUnschedulable,
        Plugin::NodeName,
        Plugin::TaintToleration,
        Plugin::NodeAffinity,
        Plugin::NodePorts,
        Plugin::NodeResourcesFit,
        Plugin::VolumeRestrictions,
        Plugin::NodeVolumeLimits,
        Plugin::VolumeBinding,
        Plugin::VolumeZone,
        Plugin::PodTopologySpread,
        Plugin::InterPodAffinity,
        Plugin::SchedulingGates,
    ];
    ALL.into_iter().any(|plugin| plugins.contains(plugin) && pleases(cluster, info, plugin, event))
}

fn pleases(cluster: &Cluster, info: &PodInfo, plugin: Plugin, event: &Event<'_>) -> bool {
    let (pod, class) = (&*info.pod, &*info.class);
    let spec = &pod.spec;
    let itself = |other: &Pod| is_same(other, pod);
    match (plugin, event) {
        (Plugin::NodeUnschedulable, Event::NodeAdded(node)) => !node.spec.unschedulable,
        (Plugin::NodeUnschedulable, Event::NodeUpdated { old, new, change: NodeChange::Taints }) => {
            old.spec.unschedulable && !new.spec.unschedulable
        }
        (Plugin::NodeUnschedulable, Event::PodUpdated { new, change: PodChange::Tolerations, .. }) => {
            itself(new) && tolerates_cordon(&new.spec.tolerations)
        }
        (Plugin::NodeName, Event::NodeAdded(_)) => true,
        (Plugin::TaintToleration, Event::NodeAdded(node)) => {
            tolerates_all(&spec.tolerations, &node.spec.taints)
        }
        (Plugin::TaintToleration, Event::NodeUpdated { old, new, change: NodeChange::Taints }) => {
            !tolerates_all(&spec.tolerations, &old.spec.taints)
                && tolerates_all(&spec.tolerations, &new.spec.taints)
        }
        (Plugin::TaintToleration, Event::PodUpdated { new, change: PodChange::Tolerations, .. }) => {
            itself(new)
        }
        (Plugin::NodeAffinity, Event::NodeAdded(node)) => matches_node(spec, node),
        (Plugin::NodeAffinity, Event::NodeUpdated { old, new, change: NodeChange::Labels }) => {
            matches_node(spec, new) && !matches_node(spec, old)
        }
        (Plugin::NodePorts, Event::NodeAdded(_)) => true,
        (Plugin::NodePorts, Event::PodDeleted(other)) => {
            let freed = host_ports(&other.spec);
            class.ports.iter().any(|port| freed.iter().any(|freed| freed.conflicts(port)))
        }
        (Plugin::NodeResourcesFit, Event::NodeAdded(node)) => fits_empty(class, node),
        (Plugin::NodeResourcesFit, Event::NodeUpdated { old, new, change: NodeChange::Allocatable }) => {
            fits_empty(class, new) && has_more(class, old, new)
        }
        (Plugin::NodeResourcesFit, Event::PodDeleted(_)) => true,
        (Plugin::NodeResourcesFit, Event::PodUpdated { old, new, change: PodChange::ScaleDown }) => {
            itself(new) || asks_for_less(class, old, new)
        }
        (Plugin::VolumeRestrictions, Event::NodeAdded(_)) => true,
        (Plugin::VolumeRestrictions, Event::PodDeleted(other)) => shares_volume(pod, other),
        (Plugin::VolumeRestrictions | Plugin::NodeVolumeLimits, Event::ClaimAdded(claim)) => uses(pod, claim),
        (Plugin::NodeVolumeLimits, Event::CsiNodeAdded) => true,
        (Plugin::NodeVolumeLimits, Event::CsiNodeUpdated { old, new }) => attaches_more(old, new),
        (Plugin::NodeVolumeLimits, Event::PodDeleted(other)) => other.spec.volumes.iter().any(may_attach),
        (
            Plugin::VolumeBinding | Plugin::VolumeZone,
            Event::ClaimAdded(claim) | Event::ClaimUpdated(claim),
        ) => uses(pod, claim),
        (
            Plugin::VolumeBinding | Plugin::VolumeZone,
            Event::NodeAdded(_) | Event::NodeUpdated { change: NodeChange::Labels, .. } | Event::VolumeAdded,
        ) => true,
        (Plugin::VolumeBinding, Event::VolumeUpdated { .. } | Event::CsiNodeAdded) => true,
        (Plugin::VolumeBinding, Event::StorageClassAdded(_)) => true,
        (Plugin::VolumeBinding, Event::StorageClassUpdated { old, new }) => {
            old.allowed_topologies != new.allowed_topologies
        }
        (Plugin::VolumeBinding, Event::CsiNodeUpdated { old, new }) => {
            const MIGRATED: &str = "storage.alpha.kubernetes.io/migrated-plugins";
            old.metadata.annotations.get(MIGRATED) != new.metadata.annotations.get(MIGRATED)
        }
        (Plugin::VolumeZone, Event::StorageClassAdded(class)) => {
            class.volume_binding_mode == "WaitForFirstConsumer"
        }
        (Plugin::VolumeZone, Event::VolumeUpdated { old, new }) => zone_labels(old) != zone_labels(new),
        (Plugin::PodTopologySpread, event) => spreads_otherwise(cluster, info, event),
        (Plugin::InterPodAffinity, event) => is_nearer(cluster, info, event),
        (Plugin::SchedulingGates, Event::PodUpdated { new, change: PodChange::GatesEliminated, .. }) => {
            itself(new)
        }
        _ => false,
    }
}

/// Whether the node has more than before of something that the pod asks for, or can take more pods.
fn has_more(class: &Class, old: &Node, new: &Node) -> bool {
    let (old, new) =
        (Resources::new(old.status.allocatable.iter()), Resources::new(new.status.allocatable.iter()));
    let asked = &class.requests;
    let scalar = |of: &Resources, name: &str| of.scalar(name).unwrap_or(0);
    new.pods > old.pods
        || asked.cpu_milli > 0 && new.cpu_milli > old.cpu_milli
        || asked.memory_bytes > 0 && new.memory_bytes > old.memory_bytes
        || asked.ephemeral_storage_bytes > 0 && new.ephemeral_storage_bytes > old.ephemeral_storage_bytes
        || asked.scalars().any(|(name, amount)| amount > 0 && scalar(&new, name) > scalar(&old, name))
}

/// Whether a bound pod asks for less than before of something that the pod asks for.
fn asks_for_less(class: &Class, old: &Pod, new: &Pod) -> bool {
    let usage = |pod: &Pod| crate::class::Usage::of_pod(pod, true).requested;
    let (old, new) = (usage(old), usage(new));
    let asked = &class.requests;
    let scalar = |of: &Resources, name: &str| of.scalar(name).unwrap_or(0);
    asked.cpu_milli > 0 && old.cpu_milli > new.cpu_milli
        || asked.memory_bytes > 0 && old.memory_bytes > new.memory_bytes
        || asked.ephemeral_storage_bytes > 0 && old.ephemeral_storage_bytes > new.ephemeral_storage_bytes
        || asked.scalars().any(|(name, amount)| amount > 0 && scalar(&old, name) > scalar(&new, name))
}

/// Whether the pod uses a disk or a claim of the other.
fn shares_volume(pod: &Pod, other: &Pod) -> bool {
    let claims = |pod: &Pod| -> Vec<karpsim::model::meta::Str> {
        let sources = pod.spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        sources.map(|source| source.claim_name.clone()).collect()
    };
    let own = claims(pod);
    pod.metadata.namespace == other.metadata.namespace
        && (disks_conflict(pod, other) || claims(other).iter().any(|claim| own.contains(claim)))
}

fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    pod.metadata.namespace == claim.metadata.namespace
        && pod
            .spec
            .volumes
            .iter()
            .filter_map(|volume| claim_name(pod, volume))
            .any(|(name, _)| name == claim.metadata.name)
}

/// Whether the node can attach more volumes of some driver than before.
fn attaches_more(old: &CsiNode, new: &CsiNode) -> bool {
    let limit = |node: &CsiNode, name: &str| {
        let driver = node.spec.drivers.iter().find(|driver| driver.name == name);
        driver.and_then(|driver| driver.allocatable.as_ref()?.count).unwrap_or(0)
    };
    new.spec.drivers.iter().any(|driver| limit(new, &driver.name) > limit(old, &driver.name))
}

/// Whether the counts of a hard spread constraint, or the nodes that count, are others now.
fn spreads_otherwise(cluster: &Cluster, info: &PodInfo, event: &Event<'_>) -> bool {
    let class = &*info.class;
    let constraints = constraints_of(cluster, class, WhenUnsatisfiable::DoNotSchedule);
    let selects = |labels: &Labels| constraints.iter().any(|it| it.selector.matches(labels));
    let has_all = |node: &Node| {
        constraints.iter().all(|it| node.metadata.labels.get(cluster.topologies.key(it.topology)).is_some())
    };
    let concerns = |pod: &Pod| {
        is_same(pod, &info.pod)
            || (!pod.spec.node_name.is_empty() || !pod.status.nominated_node_name.is_empty())
                && pod.metadata.namespace == class.namespace()
    };
    match event {
        Event::PodAdded(pod) | Event::PodDeleted(pod) => concerns(pod) && selects(&pod.metadata.labels),
        Event::PodUpdated { old, new, change: PodChange::Labels | PodChange::Tolerations } => {
            if !concerns(old) || !concerns(new) {
                return false;
            }
            let honors_taints = |it: &SpreadConstraint| it.honors_taints;
            if is_same(new, &info.pod)
                && old.spec.tolerations != new.spec.tolerations
                && constraints.iter().any(honors_taints)
            {
                return true;
            }
            constraints.iter().any(|it| {
                it.selector.matches(&old.metadata.labels) != it.selector.matches(&new.metadata.labels)
            })
        }
        Event::NodeAdded(node) | Event::NodeDeleted(node) => has_all(node),
        Event::NodeUpdated { old, new, change: NodeChange::Labels | NodeChange::Taints } => {
            let value = |node: &Node, it: &SpreadConstraint| {
                node.metadata.labels.get(cluster.topologies.key(it.topology)).map(str::to_owned)
            };
            has_all(old) != has_all(new)
                || has_all(new)
                    && (old.spec.taints != new.spec.taints
                        || constraints.iter().any(|it| value(old, it) != value(new, it)))
        }
        _ => false,
    }
}

/// Whether pods that the pod wants to be near to came, or those that it wants to be away from went.
fn is_nearer(cluster: &Cluster, info: &PodInfo, event: &Event<'_>) -> bool {
    let class = &*info.class;
    // Labels of namespaces have no say here.
    let seek = |terms: &[AffinityTerm], pod: &Pod| {
        let metadata = &pod.metadata;
        !terms.is_empty() && terms.iter().all(|term| term.meets(&metadata.namespace, None, &metadata.labels))
    };
    let (near, away) = (&class.required_affinity, &class.required_anti_affinity);
    let counts = |pod: &Pod| !pod.spec.node_name.is_empty() || !pod.status.nominated_node_name.is_empty();
    let value = |node: &Node, term: &AffinityTerm| {
        node.metadata.labels.get(cluster.topologies.key(term.topology)).map(str::to_owned)
    };
    match event {
        Event::PodUpdated { old, new, change: PodChange::Labels } => {
            is_same(new, &info.pod)
                || counts(old)
                    && counts(new)
                    && (!seek(near, old) && seek(near, new) || seek(away, old) && !seek(away, new))
        }
        Event::PodAdded(pod) => counts(pod) && seek(near, pod),
        Event::PodDeleted(pod) => counts(pod) && (seek(away, pod) || repels(cluster, pod, class)),
        Event::NodeAdded(node) => near.iter().any(|term| value(node, term).is_some()) || !away.is_empty(),
        Event::NodeUpdated { old, new, change: NodeChange::Labels } => {
            near.iter().any(|term| {
                let (old, new) = (value(old, term), value(new, term));
                new.is_some() && old != new
            }) || away.iter().any(|term| {
                let (old, new) = (value(old, term), value(new, term));
                old.is_some() && old != new
            })
        }
        _ => false,
    }
}

/// Whether the anti-affinity of a pod, all of its terms, means the class.
fn repels(cluster: &Cluster, pod: &Pod, class: &Class) -> bool {
    let terms = cluster.anti_affinity_of(pod);
    !terms.is_empty() && terms.iter().all(|term| term.meets(class.namespace(), None, class.labels()))
}
