//! What pods and daemons mean for a node.

use super::PodRecord;
use super::asked::{Asked, Host};
use super::nodes::{self, ApiNode, StateNode};
use super::pods::{Pods, PortsId};
use super::pools::{self, Daemon};
use super::resources::Resources;
use super::taints::TaintRules;
use crate::kubernetes::pods::{is_owned_by_daemon_set, is_terminal};
use crate::kubernetes::requests::{RawAmounts, add};
use crate::model::core::{CsiNode, Pod};
use crate::model::meta::condition;
use crate::requirements::{Algebra, Undefined};
use crate::scenario::Scenario;
use std::sync::Arc;

/// Fills in what follows from the node itself, the daemons and its NodePool.
pub(super) fn settle(
    node: &mut StateNode,
    algebra: &mut Algebra,
    taints: &TaintRules,
    daemons: &[Daemon],
    scenario: &Scenario,
    api_nodes: &[ApiNode],
    csi_node: Option<&CsiNode>,
) {
    let mut belonging = RawAmounts::new();
    for daemon in daemons {
        let asked: Asked = daemon.asked(algebra);
        if taints.tolerated(node.taints, daemon.tolerations)
            && asked.met_by(node.labels, node.host_label, Undefined::Denied, algebra)
        {
            add(&mut belonging, &daemon.requests);
        }
    }
    node.belonging = belonging;
    if let Some(csi) = csi_node {
        let drivers = csi.spec.drivers.iter();
        node.attach_limits = drivers
            .filter_map(|driver| {
                driver.allocatable.as_ref().map(|limit| (driver.name.clone(), limit.count.unwrap_or(0)))
            })
            .collect();
    }
    node.young_until = young_until(scenario, api_nodes, node);
    if node.host_label == Host::None {
        // Karpenter adds the hostname by itself.
        node.host_label = Host::Named(node.host);
    }
}

/// Fills in what its pods leave of it.
pub(super) fn fill(
    node: &mut StateNode,
    pods: &Pods,
    resources: &Resources,
    records: &[PodRecord],
    objects: &[Arc<Pod>],
) {
    let present = || node.pods.iter().copied().filter(|&pod| !is_terminal(&objects[pod]));
    let class_of = |pod: usize| &pods.classes[records[pod].class.0 as usize];
    let used = nodes::sum(present().map(|pod| &class_of(pod).raw_requests));
    let of_daemons = nodes::sum(
        present().filter(|&pod| is_owned_by_daemon_set(&objects[pod])).map(|pod| &class_of(pod).raw_requests),
    );
    let to_come = nodes::daemons_to_come(&node.belonging, &of_daemons);
    let remaining = resources.dense(&nodes::remaining(&node.allocatable, &used, &to_come));
    let ports = present().map(|pod| class_of(pod).ports).filter(|ports| *ports != PortsId::NONE).collect();
    let mut attached: Vec<_> =
        present().flat_map(|pod| class_of(pod).volumes.attached.iter().cloned()).collect();
    attached.sort();
    attached.dedup();
    node.remaining = remaining;
    node.ports = ports;
    node.attached = attached;
}

/// Until when a node is under its NodePool's `consolidateAfter`: since the last pod event, or since it was initialised.
pub(super) fn young_until(scenario: &Scenario, api_nodes: &[ApiNode], node: &StateNode) -> Option<i128> {
    let name = node.pool(api_nodes)?;
    let provider = &scenario.catalogue.provider;
    let pool = scenario
        .objects
        .node_pools
        .iter()
        .find(|pool| pool.metadata.name == name && pools::is_dynamic(pool, provider))?;
    let claim = node.claim.as_ref()?;
    let wait = pool.spec.disruption.consolidate_after.and_then(|after| after.0)?;
    let initialized = condition(&claim.status.conditions, "Initialized")?;
    if wait.nanos == 0 || initialized.status != "True" {
        return None;
    }
    let since = claim.status.last_pod_event_time.or(initialized.last_transition_time).unwrap_or_default();
    Some(since.0.as_nanosecond() + i128::from(wait.nanos))
}
