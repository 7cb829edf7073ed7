//! PodTopologySpread: hard constraints, and the constraints of pods that have none of their own.

use crate::class::{Class, SpreadConstraint};
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::kubernetes::{HOSTNAME, Selector, ZONE, matches_node, tolerates_all};
use crate::node_info::NodeInfo;
use crate::options::{DefaultConstraint, TopologySpreadDefaults};
use crate::reason::{Plugin, Reason, Refusal};
use crate::storage::namespaced;
use crate::topology::{Domain, NONE};
use karpsim::model::core::{Node, WhenUnsatisfiable};
use karpsim::model::meta::Labels;
use std::borrow::Cow;
use std::sync::Arc;

/// Pods by domain, for each hard constraint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SpreadState {
    pub(crate) constraints: Vec<SpreadCounts>,
}

/// Pods by domain, for one constraint.
#[derive(Debug, Clone)]
pub(crate) struct SpreadCounts {
    pub(crate) constraint: Arc<SpreadConstraint>,
    /// Pods, and nodes that count. Domains without such nodes are none.
    by_domain: Vec<(i32, u32)>,
    domains: usize,
    least: i32,
}

/// Domains that are none make no difference.
impl PartialEq for SpreadCounts {
    fn eq(&self, other: &Self) -> bool {
        let domains = |counts: &Self| -> Vec<(usize, i32, u32)> {
            let all = counts.by_domain.iter().enumerate();
            all.filter(|(_, (_, nodes))| *nodes > 0).map(|(at, (pods, nodes))| (at, *pods, *nodes)).collect()
        };
        self.constraint == other.constraint
            && self.least == other.least
            && self.domains == other.domains
            && domains(self) == domains(other)
    }
}

impl Eq for SpreadCounts {}

impl SpreadCounts {
    pub(crate) fn new(constraint: Arc<SpreadConstraint>) -> Self {
        SpreadCounts { constraint, by_domain: Vec::new(), domains: 0, least: i32::MAX }
    }

    /// A node that counts, with so many pods, comes to a domain, or goes.
    pub(crate) fn add_node(&mut self, domain: Domain, pods: i32, comes: bool) {
        let at = domain as usize;
        if self.by_domain.len() <= at {
            self.by_domain.resize(at + 1, (0, 0));
        }
        let (count, nodes) = &mut self.by_domain[at];
        let before = (*nodes > 0).then_some(*count);
        if comes {
            self.domains += usize::from(*nodes == 0);
            *nodes += 1;
            *count += pods;
        } else {
            *nodes -= 1;
            *count -= pods;
            self.domains -= usize::from(*nodes == 0);
        }
        let after = (*nodes > 0).then_some(*count);
        self.keep_least(before, after);
    }

    /// So many pods come to a node that counts.
    fn add_pods(&mut self, domain: Domain, pods: i32) {
        if let Some((count, _)) = self.by_domain.get_mut(domain as usize) {
            let before = *count;
            *count += pods;
            let after = *count;
            self.keep_least(Some(before), Some(after));
        }
    }

    /// The number in a domain changed, or the domain is new or gone.
    fn keep_least(&mut self, before: Option<i32>, after: Option<i32>) {
        match (before, after) {
            (_, Some(after)) if after <= self.least => self.least = after,
            (Some(before), _) if before == self.least => {
                let numbers = self.by_domain.iter().filter(|(_, nodes)| *nodes > 0).map(|(pods, _)| *pods);
                self.least = numbers.min().unwrap_or(i32::MAX);
            }
            _ => {}
        }
    }

    /// Pods in a domain.
    pub(crate) fn get(&self, domain: Domain) -> i32 {
        self.by_domain.get(domain as usize).filter(|(_, nodes)| *nodes > 0).map_or(0, |(pods, _)| *pods)
    }

    /// The least number in a domain; 0 if there are too few domains.
    fn least(&self) -> i32 {
        if (self.domains as i64) < self.constraint.min_domains { 0 } else { self.least }
    }
}

/// Pods on a node that are not being deleted and that the constraint counts.
pub(crate) fn matching_pods(constraint: &SpreadConstraint, namespace: &str, info: &NodeInfo) -> i32 {
    info.kinds
        .iter()
        .filter(|count| constraint.counts(namespace, &count.kind))
        .map(|count| (count.pods - count.terminating) as i32)
        .sum()
}

impl SpreadState {
    /// Counts all pods. `None`: the pod has no hard constraints.
    pub(crate) fn count(cluster: &Cluster, info: &PodInfo) -> Option<Self> {
        let class = &*info.class;
        let constraints = constraints_of(cluster, class, WhenUnsatisfiable::DoNotSchedule);
        if constraints.is_empty() {
            return None;
        }
        let mut state = SpreadState {
            constraints: constraints.iter().map(|it| SpreadCounts::new(Arc::new(it.clone()))).collect(),
        };
        for (index, node_info, node) in cluster.present() {
            if !state.has_all_labels(cluster, index) {
                continue;
            }
            for counts in &mut state.constraints {
                let constraint = &*counts.constraint;
                if includes(constraint, class, node) {
                    let pods = matching_pods(constraint, class.namespace(), node_info);
                    let domain = cluster.topologies[constraint.topology].domain(index);
                    counts.add_node(domain, pods, true);
                }
            }
        }
        Some(state)
    }

    fn has_all_labels(&self, cluster: &Cluster, node: NodeIndex) -> bool {
        self.constraints
            .iter()
            .all(|counts| cluster.topologies[counts.constraint.topology].domain(node) != NONE)
    }

    /// A pod comes or goes. Unlike in the first count, one that is being deleted counts, and so does an empty selector.
    pub(crate) fn update(
        &mut self,
        cluster: &Cluster,
        class: &Class,
        node: NodeIndex,
        other: &Class,
        sign: i32,
    ) {
        if other.namespace() != class.namespace() || !self.has_all_labels(cluster, node) {
            return;
        }
        let Some(object) = cluster.node(node) else { return };
        for counts in &mut self.constraints {
            let constraint = &*counts.constraint;
            if constraint.selector.matches(other.labels()) && includes(constraint, class, object) {
                let domain = cluster.topologies[constraint.topology].domain(node);
                counts.add_pods(domain, sign);
            }
        }
    }

    pub(crate) fn check(&self, cluster: &Cluster, class: &Class, node: NodeIndex) -> Result<(), Refusal> {
        for counts in &self.constraints {
            let constraint = &*counts.constraint;
            let domain = cluster.topologies[constraint.topology].domain(node);
            if domain == NONE {
                return Err(Refusal::unresolvable(Plugin::PodTopologySpread, Reason::TopologySpreadLabel));
            }
            let own = i64::from(constraint.selector.matches(class.labels()));
            let skew = i64::from(counts.get(domain)) + own - i64::from(counts.least());
            if skew > constraint.max_skew {
                return Err(Refusal::resolvable(Plugin::PodTopologySpread, Reason::TopologySpread));
            }
        }
        Ok(())
    }
}

/// Whether the policies of the constraint count the node.
pub(crate) fn includes(constraint: &SpreadConstraint, class: &Class, node: &Node) -> bool {
    let spec = class.spec();
    (!constraint.honors_affinity || matches_node(spec, node))
        && (!constraint.honors_taints || tolerates_all(&spec.tolerations, &node.spec.taints))
}

/// The hard, or the soft, constraints of a class: its own, or the defaults.
pub(crate) fn constraints_of<'a>(
    cluster: &Cluster,
    class: &'a Class,
    action: WhenUnsatisfiable,
) -> Cow<'a, [SpreadConstraint]> {
    if class.spec().topology_spread_constraints.is_empty() {
        return Cow::Owned(default_constraints(cluster, class, action));
    }
    Cow::Borrowed(match action {
        WhenUnsatisfiable::DoNotSchedule => &class.hard_spread,
        WhenUnsatisfiable::ScheduleAnyway => &class.soft_spread,
    })
}

/// The default constraints, over the pods that the services and the owner of the pods select. Without any of them there are
/// none.
pub(crate) fn default_constraints(
    cluster: &Cluster,
    class: &Class,
    action: WhenUnsatisfiable,
) -> Vec<SpreadConstraint> {
    let system;
    let defaults: &[DefaultConstraint] = match &cluster.options.topology_spread_defaults {
        TopologySpreadDefaults::List(list) => list,
        TopologySpreadDefaults::System => {
            let soft = WhenUnsatisfiable::ScheduleAnyway;
            let one = |key: &str, max_skew| DefaultConstraint {
                max_skew,
                topology_key: key.into(),
                when_unsatisfiable: soft,
            };
            system = [one(HOSTNAME, 3), one(ZONE, 5)];
            &system
        }
    };
    let wanted = || defaults.iter().filter(|constraint| constraint.when_unsatisfiable == action);
    if wanted().next().is_none() {
        return Vec::new();
    }
    let selector = default_selector(cluster, class);
    if selector.is_everything() {
        return Vec::new();
    }
    wanted()
        .filter_map(|constraint| {
            Some(SpreadConstraint {
                topology: cluster.topologies.find(&constraint.topology_key)?,
                is_hostname: constraint.topology_key == HOSTNAME,
                max_skew: constraint.max_skew,
                min_domains: 1,
                selector: selector.clone(),
                honors_affinity: true,
                honors_taints: false,
            })
        })
        .collect()
}

/// What services and owner select. Services without a selector have no pods.
fn default_selector(cluster: &Cluster, class: &Class) -> Selector {
    let mut labels = Labels::default();
    for service in cluster.services_in(class.namespace()) {
        let wanted = &service.spec.selector;
        if !wanted.is_empty() && wanted.iter().all(|(key, value)| class.labels().get(key) == Some(value)) {
            for (key, value) in wanted.iter() {
                labels.insert(key, value);
            }
        }
    }
    let Some(owner) = class.controller() else { return Selector::of_labels(&labels) };
    let key = namespaced(class.namespace(), &owner.name);
    let own = match (owner.api_version.as_str(), owner.kind.as_str()) {
        ("v1", "ReplicationController") => {
            for (key, value) in
                cluster.replication_controller(&key).iter().flat_map(|owner| owner.spec.selector.iter())
            {
                labels.insert(key, value);
            }
            None
        }
        ("apps/v1", "ReplicaSet") => cluster.replica_set(&key).map(|owner| owner.spec.selector.as_ref()),
        ("apps/v1", "StatefulSet") => cluster.stateful_set(&key).map(|owner| owner.spec.selector.as_ref()),
        _ => None,
    };
    let mut selector = Selector::of_labels(&labels);
    if let Some(own) = own {
        selector.narrow(Selector::new(own));
    }
    selector
}
