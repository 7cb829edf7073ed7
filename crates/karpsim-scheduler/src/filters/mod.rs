//! Which nodes can take a pod: the twelve filters of the default profile, in their order.
//!
//! What a filter has to know of the cluster as a whole is worked out once ([`PreFilter`]); then nodes are asked one by one. A
//! plugin whose PreFilter finds nothing to do is skipped for all nodes.

mod affinity;
mod domains;
mod spread;
mod volumes;

pub(crate) use affinity::{AffinityState, seek_all};
pub(crate) use domains::DomainCounts;
pub(crate) use spread::{SpreadCounts, SpreadState, constraints_of, includes, matching_pods};
pub(crate) use volumes::disks_conflict;

use crate::class::{Class, NodeNames};
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::kubernetes::{matches_node, tolerates_all, tolerates_cordon};
use crate::node_info::NodeInfo;
use crate::reason::{CycleError, Plugin, Reason, Refusal};
use crate::resources::Resources;
use crate::storage::{PodClaims, PodVolumes, Verdict};
use karpsim::model::core::Node;
use smallvec::SmallVec;
use std::sync::Arc;
use volumes::Restrictions;

/// A pod, or a node, is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// A plugin refuses.
    Refused(Refusal),
    /// A plugin failed.
    Failed(CycleError),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Rejection::Refused(refusal)
    }
}

impl From<CycleError> for Rejection {
    fn from(error: CycleError) -> Self {
        Rejection::Failed(error)
    }
}

fn unless_error(plugin: Plugin, verdict: Verdict) -> Rejection {
    match verdict {
        Verdict::Refused(reason) => Refusal::unresolvable(plugin, reason).into(),
        Verdict::Error(error) => error.into(),
    }
}

/// What the filters know of a pod and of the cluster as a whole.
#[derive(Debug, Clone)]
pub struct PreFilter {
    pub(crate) info: PodInfo,
    restrictions: Option<Restrictions>,
    counts_limits: bool,
    claims: Option<PodClaims>,
    zones: Vec<crate::storage::ZoneConstraint>,
    pub(crate) spread: Option<Arc<SpreadState>>,
    pub(crate) affinity: Option<Arc<AffinityState>>,
}

/// A node as the filters see it: it may differ from the cluster's by pods that are taken off or put on for a try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeView<'a> {
    pub(crate) index: NodeIndex,
    pub(crate) info: &'a NodeInfo,
    pub(crate) node: &'a Node,
    /// Pods that are not bound and count as if they were; their requests are in `info`.
    pub(crate) extra: &'a [PodInfo],
}

impl Cluster {
    /// What the filters have to know before they see a node; or why the pod can be on none.
    ///
    /// # Errors
    ///
    /// If a plugin refuses the pod whatever the node, or fails.
    pub fn pre_filter(&self, info: &PodInfo) -> Result<PreFilter, Rejection> {
        let spread = || SpreadState::count(self, info).map(Arc::new);
        let affinity = || AffinityState::count(self, info).map(Arc::new);
        self.pre_filter_with(info, spread, affinity)
    }

    /// The same with counts from elsewhere.
    pub(crate) fn pre_filter_with(
        &self,
        info: &PodInfo,
        spread: impl FnOnce() -> Option<Arc<SpreadState>>,
        affinity: impl FnOnce() -> Option<Arc<AffinityState>>,
    ) -> Result<PreFilter, Rejection> {
        let class = &*info.class;
        let pod = &*info.pod;
        if class.node_names == NodeNames::Conflict {
            return Err(Refusal::unresolvable(Plugin::NodeAffinity, Reason::NodeAffinityConflict).into());
        }
        let has_volumes = !pod.spec.volumes.is_empty();
        let (mut restrictions, mut counts_limits, mut claims, mut zones) = (None, false, None, Vec::new());
        if has_volumes {
            restrictions = Restrictions::new(self, pod)
                .map_err(|reason| Refusal::unresolvable(Plugin::VolumeRestrictions, reason))?;
            counts_limits = pod.spec.volumes.iter().any(crate::storage::may_attach);
            claims = self
                .storage
                .claims_of(pod)
                .map_err(|verdict| unless_error(Plugin::VolumeBinding, verdict))?;
            zones =
                self.storage.zones_of(pod).map_err(|verdict| unless_error(Plugin::VolumeZone, verdict))?;
        }
        Ok(PreFilter {
            info: info.clone(),
            restrictions,
            counts_limits,
            claims,
            zones,
            spread: spread(),
            affinity: affinity(),
        })
    }

    /// Whether `node` can take the pod as things stand.
    ///
    /// # Errors
    ///
    /// The first refusal, in the order of the filters.
    pub fn filter(&self, prepared: &PreFilter, node: NodeIndex) -> Result<(), Rejection> {
        match self.view(node) {
            Some(view) => prepared.filter(self, view),
            None => Err(Refusal::unresolvable(Plugin::NodeName, Reason::NodeName).into()),
        }
    }

    /// All that refuses the pod on `node`, in the order of the filters: unlike kube-scheduler, which stops at the first.
    ///
    /// # Errors
    ///
    /// If a filter fails.
    pub fn refusals(&self, prepared: &PreFilter, node: NodeIndex) -> Result<Vec<Refusal>, CycleError> {
        let Some(view) = self.view(node) else { return Ok(Vec::new()) };
        let mut refusals = Vec::new();
        for plugin in Plugin::FILTERS {
            match prepared.filter_by(plugin, self, view) {
                Ok(()) => {}
                Err(Rejection::Refused(refusal)) => refusals.push(refusal),
                Err(Rejection::Failed(error)) => return Err(error),
            }
        }
        Ok(refusals)
    }

    pub(crate) fn view(&self, index: NodeIndex) -> Option<NodeView<'_>> {
        let info = self.info(index);
        Some(NodeView { index, info, node: info.node.as_deref()?, extra: &[] })
    }
}

impl PreFilter {
    /// The pod that it is about.
    pub fn pod_info(&self) -> &PodInfo {
        &self.info
    }

    /// The names of the only nodes that are asked, if the pod names some.
    pub(crate) fn node_names(&self) -> Option<&std::collections::BTreeSet<karpsim::model::meta::Str>> {
        match &self.info.class.node_names {
            NodeNames::Only(names) => Some(names),
            NodeNames::Any | NodeNames::Conflict => None,
        }
    }

    pub(crate) fn filter(&self, cluster: &Cluster, view: NodeView<'_>) -> Result<(), Rejection> {
        Plugin::FILTERS.into_iter().try_for_each(|plugin| self.filter_by(plugin, cluster, view))
    }

    /// The filters that do not look at the node [alone](filter_alone).
    pub(crate) fn filter_rest(&self, cluster: &Cluster, view: NodeView<'_>) -> Result<(), Rejection> {
        let rest = if self.looks_at_volumes() { &Plugin::FILTERS[6..] } else { &Plugin::FILTERS[10..] };
        rest.iter().try_for_each(|plugin| self.filter_by(*plugin, cluster, view))
    }

    fn filter_by(&self, plugin: Plugin, cluster: &Cluster, view: NodeView<'_>) -> Result<(), Rejection> {
        match plugin {
            Plugin::VolumeRestrictions => match &self.restrictions {
                Some(restrictions) => Ok(restrictions.check(cluster, &self.info.pod, view)?),
                None => Ok(()),
            },
            Plugin::NodeVolumeLimits => {
                if self.counts_limits && volumes::exceeds_limits(cluster, &self.info.pod, view) {
                    return Err(Refusal::resolvable(plugin, Reason::VolumeLimit).into());
                }
                Ok(())
            }
            Plugin::VolumeBinding => self.volumes_on(cluster, view.node).map(|_| ()),
            Plugin::VolumeZone => {
                if crate::storage::is_in_zones(&view.node.metadata.labels, &self.zones) {
                    return Ok(());
                }
                Err(Refusal::unresolvable(plugin, Reason::VolumeZone).into())
            }
            Plugin::PodTopologySpread => match &self.spread {
                Some(spread) => Ok(spread.check(cluster, &self.info.class, view.index)?),
                None => Ok(()),
            },
            Plugin::InterPodAffinity => match &self.affinity {
                Some(affinity) => Ok(affinity.check(cluster, &self.info.class.kind, view.index)?),
                None => Ok(()),
            },
            _ => Ok(filter_alone(plugin, &self.info, view.info, view.node, view.extra.len())?),
        }
    }

    /// What the pod needs of volumes on a node.
    pub(crate) fn volumes_on(&self, cluster: &Cluster, node: &Node) -> Result<PodVolumes, Rejection> {
        let Some(claims) = &self.claims else { return Ok(PodVolumes::default()) };
        cluster.storage.volumes_on(claims, node).map_err(|verdict| match verdict {
            crate::storage::NodeVerdict::Refused(reasons) => Rejection::Refused(Refusal {
                plugin: Plugin::VolumeBinding,
                reasons: reasons.into(),
                unresolvable: true,
            }),
            crate::storage::NodeVerdict::Error(error) => error.into(),
        })
    }

    /// Whether a claim of the pod is to be bound or provisioned.
    pub(crate) fn has_claims(&self) -> bool {
        self.claims.is_some()
    }

    /// Whether the pod has volumes that filters look at.
    pub(crate) fn looks_at_volumes(&self) -> bool {
        self.restrictions.is_some() || self.counts_limits || self.claims.is_some() || !self.zones.is_empty()
    }

    /// A pod comes to (`sign` 1) or leaves (−1) a node, for a try. Only plugins that are not skipped take notice.
    pub(crate) fn update(&mut self, cluster: &Cluster, node: NodeIndex, other: &PodInfo, sign: i32) {
        if let Some(restrictions) = &mut self.restrictions {
            restrictions.update(&other.pod, sign);
        }
        if let Some(spread) = &mut self.spread {
            Arc::make_mut(spread).update(cluster, &self.info.class, node, &other.class, sign);
        }
        if let Some(affinity) = &mut self.affinity {
            Arc::make_mut(affinity).update(cluster, &self.info.class.kind, node, &other.class.kind, sign);
        }
    }
}

/// The filters that look at the node alone and not at volumes.
pub(crate) fn filter_alone(
    plugin: Plugin,
    pod: &PodInfo,
    info: &NodeInfo,
    node: &Node,
    extra_pods: usize,
) -> Result<(), Refusal> {
    let named = &pod.pod.spec.node_name;
    if plugin == Plugin::NodeName && !named.is_empty() && *named != node.metadata.name {
        return Err(Refusal::unresolvable(plugin, Reason::NodeName));
    }
    filter_class(plugin, &pod.class, info, node, extra_pods)
}

/// Those of them that are the same for all pods of a class.
pub(crate) fn filter_class(
    plugin: Plugin,
    class: &Class,
    info: &NodeInfo,
    node: &Node,
    extra_pods: usize,
) -> Result<(), Refusal> {
    let spec = class.spec();
    let refused = |reason: Reason| Err(Refusal::unresolvable(plugin, reason));
    match plugin {
        Plugin::NodeUnschedulable if node.spec.unschedulable && !tolerates_cordon(&spec.tolerations) => {
            refused(Reason::NodeUnschedulable)
        }
        Plugin::TaintToleration if !tolerates_all(&spec.tolerations, &node.spec.taints) => {
            refused(Reason::UntoleratedTaint)
        }
        Plugin::NodeAffinity if !matches_node(spec, node) => refused(Reason::NodeAffinity),
        Plugin::NodePorts
            if class.ports.iter().any(|port| info.used_ports.iter().any(|used| used.conflicts(port))) =>
        {
            Err(Refusal::resolvable(plugin, Reason::HostPorts))
        }
        Plugin::NodeResourcesFit => {
            fits(&class.requests, &info.allocatable, &info.requested, info.pods.len() + extra_pods)
        }
        _ => Ok(()),
    }
}

/// Whether a node has enough left. A node that would be too small even if it were empty is refused for good.
fn fits(
    asked: &Resources,
    allocatable: &Resources,
    requested: &Resources,
    pods: usize,
) -> Result<(), Refusal> {
    let mut reasons: SmallVec<[Reason; 1]> = SmallVec::new();
    let mut unresolvable = false;
    if pods as i64 + 1 > allocatable.pods {
        reasons.push(Reason::TooManyPods);
    }
    let mut check = |name: &str, asked: i64, has: i64, used: i64| {
        if asked > 0 && asked > has - used {
            reasons.push(Reason::Insufficient(name.into()));
            unresolvable |= asked > has;
        }
    };
    check("cpu", asked.cpu_milli, allocatable.cpu_milli, requested.cpu_milli);
    check("memory", asked.memory_bytes, allocatable.memory_bytes, requested.memory_bytes);
    check(
        "ephemeral-storage",
        asked.ephemeral_storage_bytes,
        allocatable.ephemeral_storage_bytes,
        requested.ephemeral_storage_bytes,
    );
    for (name, amount) in asked.scalars() {
        check(name, amount, allocatable.scalar(name).unwrap_or(0), requested.scalar(name).unwrap_or(0));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Refusal { plugin: Plugin::NodeResourcesFit, reasons, unresolvable })
}

/// Whether an empty node can take a pod of the class, as far as resources go.
pub(crate) fn fits_empty(class: &Class, node: &Node) -> bool {
    let has = Resources::new(node.status.allocatable.iter());
    fits(&class.requests, &has, &Resources::default(), 0).is_ok()
}
