//! A moment of a cluster.

use super::daemons::daemons;
use super::nodes::{StateNode, fill_nodes, state_nodes};
use super::offers::{Pool, pool_of};
use super::pods::Wishes;
use karpsim::compile::pools::{dynamic_pools, is_managed};
use karpsim::compile::validity::pod_fault;
use karpsim::compile::volumes::Storage;
use karpsim::kubernetes::eviction::PodBudgets;
use karpsim::kubernetes::pods::is_active;
use karpsim::kubernetes::pods::is_provisionable;
use karpsim::label_rules::LabelRules;
use karpsim::model::core::{Node, Pod, Taint, TaintEffect};
use karpsim::model::karpenter::NodePool;
use karpsim::model::meta::Str;
use karpsim::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// A pod of the scenario, in order of namespace and name.
#[derive(Debug, Clone)]
pub(crate) struct PodOf<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) name: Str,
    pub(crate) wishes: Wishes,
    /// A node under `consolidateAfter` takes it: it is pending, or its node is going.
    pub(crate) exempt: bool,
}

/// A moment of a cluster.
pub(crate) struct Cluster<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) rules: LabelRules,
    pub(crate) pods: Vec<PodOf<'a>>,
    pub(crate) pending: Vec<usize>,
    pub(crate) leaving: Vec<usize>,
    pub(crate) ignored: Vec<Str>,
    /// Nodes of the API server by name.
    pub(crate) api_nodes: BTreeMap<Str, &'a Node>,
    /// Nodes of Karpenter's state, by name.
    pub(crate) nodes: Vec<StateNode<'a>>,
    /// NodePools in the order in which they are tried.
    pub(crate) pools: Vec<Pool<'a>>,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let objects = &scenario.objects;
        let rules = LabelRules::new(&scenario.catalogue);
        let respects = scenario.options.respects_preferences();
        let storage = Storage::new(objects);
        let mut nodes = state_nodes(scenario, &rules);
        let marked: BTreeSet<Str> =
            nodes.iter().filter(|node| node.marked).map(|node| node.name.clone()).collect();
        let mut pods: Vec<PodOf<'a>> = objects
            .pods
            .iter()
            .map(|pod| {
                let wishes = Wishes::of(scenario, &rules, pod);
                PodOf {
                    pod,
                    name: format!("{}/{}", pod.metadata.namespace, pod.metadata.name).into(),
                    wishes: if respects { wishes } else { wishes.without_preferences() },
                    exempt: pod.status.phase == "Pending" || marked.contains(&pod.spec.node_name),
                }
            })
            .collect();
        pods.sort_by_key(|it| (it.pod.metadata.namespace.clone(), it.pod.metadata.name.clone()));
        let (mut pending, mut ignored) = (Vec::new(), Vec::new());
        for (at, it) in pods.iter().enumerate() {
            if is_provisionable(it.pod) {
                match pod_fault(&rules, &storage, it.pod) {
                    None => pending.push(at),
                    Some(_) => ignored.push(it.name.clone()),
                }
            }
        }
        let mut daemons = daemons(scenario, &rules);
        let pools = dynamic_pools(objects, &scenario.catalogue.provider)
            .into_iter()
            .map(|pool| pool_of(scenario, &rules, pool, &mut daemons))
            .collect();
        fill_nodes(scenario, &mut nodes, &pods, &daemons);
        let budgets = PodBudgets::new(objects);
        let leaving = nodes
            .iter()
            .filter(|node| node.marked)
            .flat_map(|node| node.pods.iter().copied())
            .filter(|&at| budgets.will_move(pods[at].pod, scenario.now))
            .collect();
        let api_nodes = objects.nodes.iter().map(|node| (node.metadata.name.clone(), &**node)).collect();
        Cluster { scenario, rules, pods, pending, leaving, ignored, api_nodes, nodes, pools }
    }

    pub(crate) fn is_well_known(&self, key: &str) -> bool {
        self.rules.is_well_known(key)
    }
}

/// Whether topologies count the pod: it is bound, and neither over nor ending.
pub(crate) fn counts(pod: &Pod) -> bool {
    !pod.spec.node_name.is_empty() && is_active(pod)
}

/// Whether some NodePool that nodes can be launched from would rather not have pods.
pub(crate) fn some_pool_prefers_no_schedule(cluster: &Cluster<'_>) -> bool {
    let prefers = |taint: &Taint| taint.effect == Some(TaintEffect::PreferNoSchedule);
    cluster.pools.iter().any(|pool| pool.taints().iter().any(prefers))
}

/// NodePools that are Karpenter's, by name.
pub(crate) fn managed_pools(scenario: &Scenario) -> BTreeMap<&str, &NodePool> {
    let pools = scenario.objects.node_pools.iter();
    pools
        .filter(|pool| is_managed(pool, &scenario.catalogue.provider))
        .map(|pool| (pool.metadata.name.as_str(), pool))
        .collect()
}
