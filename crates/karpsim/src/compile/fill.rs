//! What pods and daemons mean for a node.

use super::PodRecord;
use super::asked::{Asked, Host};
use super::nodes::{self, ApiNode, StateNode};
use super::pods::{Pods, PortsId};
use super::pools::{self, Daemon};
use super::resources::Resources;
use super::taints::TaintRules;
use super::types::{Type, TypeTable};
use crate::kubernetes::labels;
use crate::kubernetes::pods::{is_owned_by_daemon_set, is_terminal};
use crate::kubernetes::requests::{RawAmounts, add};
use crate::model::core::{CsiNode, Pod};
use crate::model::meta::{Str, condition};
use crate::requirements::{Algebra, Undefined};
use crate::scenario::Scenario;
use crate::version::Rules;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Fills in what follows from the node itself, the daemons and its NodePool.
pub(super) fn settle(
    node: &mut StateNode,
    algebra: &mut Algebra,
    (taints, daemons): (&TaintRules, &[Daemon]),
    scenario: &Scenario,
    api_nodes: &[ApiNode],
    csi_node: Option<&CsiNode>,
    instance_type: Option<&Type>,
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
    node.attach_limits = attach_limits(scenario.options.rules(), csi_node, instance_type);
    node.young_until = young_until(scenario, api_nodes, node);
    if node.host_label == Host::None {
        // Karpenter adds the hostname by itself.
        node.host_label = Host::Named(node.host);
    }
}

/// How many volumes a node can attach: what its CSINode says, and of drivers that it does not name what the instance type
/// says.
fn attach_limits(rules: &Rules, csi_node: Option<&CsiNode>, instance_type: Option<&Type>) -> Vec<(Str, i64)> {
    let drivers = csi_node.map_or(&[][..], |csi| &csi.spec.drivers);
    let mut limits: Vec<(Str, i64)> = drivers
        .iter()
        .filter_map(|driver| {
            let count = driver.allocatable.as_ref()?.count;
            let count =
                if rules.csi_drivers_without_count_are_unbounded { count? } else { count.unwrap_or(0) };
            Some((driver.name.clone(), count))
        })
        .collect();
    let of_type = instance_type.map_or(&[][..], |it| &it.attach_limits);
    limits.extend(
        of_type.iter().filter(|(name, _)| drivers.iter().all(|driver| driver.name != *name)).cloned(),
    );
    limits
}

/// The instance type of a node, if its NodePool is offered it.
pub(super) fn instance_type_of<'t>(
    node: &StateNode,
    api_nodes: &[ApiNode],
    tables: &'t [Arc<TypeTable>],
    table_of_pool: &FxHashMap<Str, usize>,
) -> Option<&'t Type> {
    let labels = node.labels_of(api_nodes);
    let table = &tables[*table_of_pool.get(labels.get(labels::NODE_POOL)?)?];
    table.find(labels.get(labels::INSTANCE_TYPE)?).map(|of| &table.types[of])
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
