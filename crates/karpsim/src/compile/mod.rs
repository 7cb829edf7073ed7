//! From objects to a [`ClusterState`]: names become small integers, requirements sets over them, quantities integers, pods
//! that differ only in name one class. After this no string is compared and nothing is parsed.

pub mod asked;
pub(crate) mod changes;
pub mod default_spread;
mod fill;
pub mod min_values;
pub mod nodes;
pub mod offers;
pub mod overlays;
pub mod pods;
pub mod pools;
pub mod resources;
pub mod selectors;
pub mod shapes;
pub mod taints;
pub mod types;
pub mod validity;
pub mod volumes;

use crate::kubernetes::labels::{DO_NOT_DISRUPT, HOSTNAME};
use crate::kubernetes::pods::{eviction_cost, is_active, is_disruptable, is_provisionable, is_reschedulable};
use crate::kubernetes::requests::raw;
use crate::label_rules::LabelRules;
use crate::model::core::{CsiNode, Pod};
use crate::model::karpenter::NodePool;
use crate::model::meta::{Str, Time};
use crate::requirements::{Algebra, KeyId, ValueId};
use crate::scenario::Scenario;
use crate::version::Rules;
use default_spread::DefaultSpread;
use nodes::{ApiNode, StateNode};
use offers::Offers;
use pods::{ClassId, Pods, Tools};
use pools::{Daemon, DynamicPool, Template};
use resources::{Amounts, Resources};
use rustc_hash::{FxHashMap, FxHashSet};
use selectors::Selectors;
use std::sync::Arc;
use taints::TaintRules;
use types::TypeTable;
use validity::{PodFault, pod_fault};
use volumes::Storage;

/// A pod, compiled.
#[derive(Debug, Clone, Default)]
pub struct PodRecord {
    /// Its class.
    pub class: ClassId,
    /// The node it is bound to, as an index among the API nodes; `None` also if that node does not exist.
    pub node: Option<usize>,
    /// Whether topologies count it: bound, not ended, not ending.
    pub counts: bool,
    /// Whether a node under `consolidateAfter` may take it: it is pending, or its node is being deleted.
    pub exempt: bool,
    /// Whether it will be made again elsewhere when its node goes.
    pub reschedulable: bool,
    /// Whether it has the annotation that can hold it to its node.
    pub annotated: bool,
    /// What it costs to evict it.
    pub eviction_cost: f64,
}

/// A limit of a NodePool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The resource; `None`: the number of nodes.
    pub resource: Option<usize>,
    /// How much is left.
    pub left: i64,
}

/// A scenario, compiled.
pub struct ClusterState {
    /// What it was compiled from.
    pub scenario: Scenario,
    /// Labels.
    pub rules: LabelRules,
    /// Units.
    pub resources: Resources,
    /// Taints and tolerations.
    pub taints: TaintRules,
    /// Classes of pods.
    pub pods: Pods,
    /// The pods of the scenario, in its order.
    pub records: Vec<PodRecord>,
    /// Order of namespace and name.
    pub pods_by_name: Vec<usize>,
    /// Pending pods that Karpenter considers, in order of namespace and name.
    pub pending: Vec<usize>,
    /// Pending pods that it keeps out, and why.
    pub ignored: Vec<(usize, PodFault)>,
    /// Pods of nodes that are being removed, as far as they will move.
    pub leaving: Vec<usize>,
    /// Nodes of the API server.
    pub api_nodes: Vec<ApiNode>,
    /// Nodes of Karpenter's state. In a cluster that has changed some places are vacant.
    pub nodes: Vec<StateNode>,
    /// Those that are there, by name.
    pub nodes_by_name: Vec<usize>,
    /// Those that stay, in the order in which they are tried.
    pub node_order: Vec<usize>,
    /// Tables of instance types.
    pub tables: Vec<Arc<TypeTable>>,
    /// The table of each NodePool, by name; NodePools without any have none.
    pub table_of_pool: FxHashMap<Str, usize>,
    /// What each reservation has left.
    pub reservations: Vec<i64>,
    /// NodePools that provisioning can use, in the order in which they are tried.
    pub dynamic: Vec<DynamicPool>,
    /// What is left of their limits.
    pub limits: Vec<Vec<Limit>>,
    /// Those of them that allow any instance type.
    pub templates: Vec<Template>,
    /// Daemons, by namespace and name of their sets.
    pub daemons: Vec<Daemon>,
    /// Whether pods come to tolerate `PreferNoSchedule` in the end.
    pub relaxes_taints: bool,
    /// `kubernetes.io/hostname`.
    pub hostname: KeyId,
}

/// Compiles `scenario` from nothing.
pub fn compile(scenario: &Scenario) -> (ClusterState, Algebra) {
    let mut offers = Offers::new(&scenario.catalogue, scenario.options.version());
    let algebra = std::mem::take(&mut offers.algebra);
    compile_with(scenario.clone(), &mut offers, algebra)
}

/// Compiles `scenario`, whose catalogue is compiled already. `algebra` begins as that of `offers`.
pub fn compile_with(
    scenario: Scenario,
    offers: &mut Offers,
    mut algebra: Algebra,
) -> (ClusterState, Algebra) {
    let objects = &scenario.objects;
    let rules = offers.rules.clone();
    let provider = scenario.catalogue.provider.as_str();
    let mut resources = offers.resources.clone();
    let mut taints = TaintRules::default();
    taints.taints(&[]);
    taints.tolerations(&[]);
    let hostname = algebra.key(HOSTNAME, |_| false);
    let storage = Storage::new(objects);
    let mut pods = Pods::new(&objects.namespaces);

    let api_nodes = nodes::api_nodes(&mut algebra, &rules, &mut taints, objects);
    let mut nodes = nodes::state_nodes(
        &mut algebra,
        &rules,
        &mut taints,
        objects,
        &api_nodes,
        (&scenario.memory, &scenario.options),
        provider,
    );
    for node in &api_nodes {
        algebra.value(hostname, &node.node.metadata.name.clone());
    }
    let node_index: FxHashMap<&str, usize> =
        api_nodes.iter().enumerate().map(|(index, node)| (node.node.metadata.name.as_str(), index)).collect();

    let classes = {
        let mut tools = Tools {
            algebra: &mut algebra,
            rules: &rules,
            resources: &mut resources,
            taints: &mut taints,
            storage: &storage,
            default_spread: &DefaultSpread::new(&scenario),
        };
        pods.classify(&mut tools, objects.pods.iter().map(|pod| &**pod))
    };
    let mut pods_by_name: Vec<usize> = (0..objects.pods.len()).collect();
    let name_of = |pod: &usize| (&objects.pods[*pod].metadata.namespace, &objects.pods[*pod].metadata.name);
    if !pods_by_name.is_sorted_by_key(name_of) {
        pods_by_name.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
    }
    let marked: FxHashSet<&str> =
        nodes.iter().filter(|node| node.marked).map(|node| node.name.as_str()).collect();
    let cost_source = scenario.options.cost_source();
    let records: Vec<PodRecord> = objects
        .pods
        .iter()
        .zip(&classes)
        .map(|(pod, &class)| PodRecord {
            class,
            node: node_index.get(pod.spec.node_name.as_str()).copied(),
            counts: !pod.spec.node_name.is_empty() && is_active(pod),
            exempt: pod.status.phase == "Pending" || marked.contains(pod.spec.node_name.as_str()),
            reschedulable: is_reschedulable(pod),
            annotated: pod.metadata.annotations.get(DO_NOT_DISRUPT).is_some(),
            eviction_cost: eviction_cost(pod, cost_source),
        })
        .collect();

    let mut pending = Vec::new();
    let mut ignored = Vec::new();
    for &pod in &pods_by_name {
        if is_provisionable(&objects.pods[pod]) {
            match pod_fault(&rules, &storage, &objects.pods[pod]) {
                None => pending.push(pod),
                Some(fault) => ignored.push((pod, fault)),
            }
        }
    }

    let mut daemons = pools::daemons(&mut algebra, &rules, &mut taints, &mut pods, objects);
    for daemon in &daemons {
        resources.note(&daemon.requests);
    }
    let pool_objects = pools::dynamic_pools(objects, provider);
    for pool in &pool_objects {
        taints.taints(&pool.spec.template.spec.taints);
    }

    let raw_tables = offers.raw_tables(&scenario, &mut algebra, &mut resources);
    note_nodes(&mut resources, &nodes, &pool_objects);
    if resources.are_fine() {
        let of_nodes = nodes.iter().flat_map(|node| &node.allocatable);
        for (name, amount) in offers.amounts(&raw_tables).chain(of_nodes) {
            resources.make_room(name, *amount);
        }
    }
    // The units are settled from here on.
    let tables = offers.tables(raw_tables, &algebra, &resources);

    let mut templates = Vec::new();
    let mut dynamic = Vec::new();
    let mut limits = Vec::new();
    for pool in &pool_objects {
        let table = tables.of_pool.get(&pool.metadata.name).copied().unwrap_or(0);
        let written = pools::written_constraint(&mut algebra, &rules, pool);
        let pool_taints = taints.taints(&pool.spec.template.spec.taints);
        let constraint = pools::template_constraint(&mut algebra, &rules, pool, written);
        let shapes = allowed_shapes(&mut algebra, &tables.all[table], constraint, &scenario);
        if let Some(shapes) = shapes {
            let groups = pools::daemon_groups(
                &mut algebra,
                &taints,
                &tables.all[table],
                (constraint, pool_taints),
                &shapes,
                &mut daemons,
            );
            templates.push(Template {
                pool: pool.metadata.name.clone(),
                table,
                constraint,
                taints: pool_taints,
                shapes,
                groups,
                dynamic: dynamic.len(),
            });
        }
        dynamic.push(dynamic_pool(pool, table, written, pool_taints));
        limits.push(Vec::new());
    }

    // Units are settled when the daemons have been asked for, so that their sums are whole too.
    for template in &mut templates {
        for group in &mut template.groups {
            group.dense =
                group.overhead.as_ref().map(|overhead| resources.dense(overhead)).unwrap_or_default();
        }
    }
    for class in &mut pods.classes {
        class.requests = resources.dense(&class.raw_requests);
    }
    let mut state_of: Vec<Option<usize>> = vec![None; api_nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        if let Some(api) = node.node {
            state_of[api] = Some(index);
        }
    }
    for &pod in &pods_by_name {
        if let Some(state) = records[pod].node.and_then(|node| state_of[node]) {
            nodes[state].pods.push(pod);
        }
    }
    let csi_nodes: FxHashMap<&str, &CsiNode> =
        objects.csi_nodes.iter().map(|node| (node.metadata.name.as_str(), node)).collect();
    for node in &mut nodes {
        let csi_node =
            node.node.and_then(|api| csi_nodes.get(api_nodes[api].node.metadata.name.as_str()).copied());
        let instance_type = fill::instance_type_of(node, &api_nodes, &tables.all, &tables.of_pool);
        fill::settle(node, &mut algebra, (&taints, &daemons), &scenario, &api_nodes, csi_node, instance_type);
        fill::fill(node, &pods, &resources, &records, &scenario.objects.pods);
    }
    for (pool, limits) in dynamic.iter().zip(&mut limits) {
        *limits = limits_of(&resources, pool);
    }
    let mut node_order: Vec<usize> = (0..nodes.len()).filter(|&node| !nodes[node].marked).collect();
    node_order.sort_by_key(|&node| !nodes[node].initialized);

    let mut problem = ClusterState {
        scenario,
        rules,
        resources,
        relaxes_taints: dynamic.iter().any(|pool: &DynamicPool| pool.prefers_no_schedule),
        taints,
        pods,
        records,
        pods_by_name,
        pending,
        ignored,
        leaving: Vec::new(),
        api_nodes,
        nodes_by_name: (0..nodes.len()).collect(),
        nodes,
        node_order,
        daemons,
        tables: tables.all,
        table_of_pool: tables.of_pool,
        reservations: tables.reservations,
        dynamic,
        limits,
        templates,
        hostname,
    };
    problem.find_leaving();
    (problem, algebra)
}

impl ClusterState {
    /// A pod of the scenario.
    pub fn pod(&self, pod: usize) -> &Pod {
        &self.scenario.objects.pods[pod]
    }

    /// `namespace/name` of a pod.
    pub fn pod_name(&self, pod: usize) -> Str {
        let metadata = &self.pod(pod).metadata;
        compact_str::format_compact!("{}/{}", metadata.namespace, metadata.name)
    }

    /// Whether Karpenter knows what every NodeClaim has become: until all are launched it decides nothing.
    pub fn is_synced(&self) -> bool {
        let Scenario { catalogue, objects, .. } = &self.scenario;
        !objects
            .node_claims
            .iter()
            .any(|claim| crate::label_rules::is_being_launched(claim, &catalogue.provider))
    }

    /// The rules of Karpenter's version.
    pub fn karpenter(&self) -> &'static Rules {
        self.scenario.options.rules()
    }

    /// Whether a node is under its NodePool's `consolidateAfter`.
    pub fn is_young(&self, node: usize) -> bool {
        self.nodes[node].young_until.is_some_and(|until| self.scenario.now.0.as_nanosecond() < until)
    }

    /// Whether no annotation holds a pod to its node.
    pub fn is_disruptable(&self, pod: usize) -> bool {
        !self.records[pod].annotated || is_disruptable(self.pod(pod), self.scenario.now)
    }

    /// The clock.
    pub fn now(&self) -> Time {
        self.scenario.now
    }

    /// Selectors and labels.
    pub fn selectors(&self) -> &Selectors {
        &self.pods.selectors
    }

    /// The value of a node's label as it is written, for topologies: the key is not normalised.
    pub fn label_value(&self, algebra: &mut Algebra, node: usize, key: KeyId) -> Option<ValueId> {
        let value = self.api_nodes[node].node.metadata.labels.get(algebra.key_name(key))?.to_owned();
        Some(algebra.value(key, &value))
    }
}

fn dynamic_pool(
    pool: &NodePool,
    table: usize,
    written: crate::requirements::ConstraintId,
    taints: taints::TaintsId,
) -> DynamicPool {
    use crate::model::core::TaintEffect::PreferNoSchedule;
    DynamicPool {
        name: pool.metadata.name.clone(),
        table,
        written,
        taints,
        limits: pool.spec.limits.as_ref().map(raw).unwrap_or_default(),
        prefers_no_schedule: pool
            .spec
            .template
            .spec
            .taints
            .iter()
            .any(|taint| taint.effect == Some(PreferNoSchedule)),
    }
}

fn note_nodes(resources: &mut Resources, nodes: &[StateNode], pools: &[&NodePool]) {
    for node in nodes {
        resources.note(&node.allocatable);
    }
    for pool in pools {
        for (name, quantity) in pool.spec.limits.iter().flat_map(crate::model::core::ResourceList::iter) {
            resources.note_one(name, quantity);
        }
    }
    for node in nodes {
        for (name, quantity) in &node.capacity {
            // Capacity matters for limits alone.
            if resources.find(name).is_some() {
                resources.note_one(name, *quantity);
            }
        }
    }
}

/// The instance types that a NodePool allows at all, if there are any.
fn allowed_shapes(
    algebra: &mut Algebra,
    table: &TypeTable,
    constraint: crate::requirements::ConstraintId,
    scenario: &Scenario,
) -> Option<shapes::ShapeSet> {
    let mut shapes = table.compatible(algebra, constraint);
    shapes.keep(&table.offered(algebra, constraint));
    table.keep_fitting(&mut shapes, &Amounts::new());
    let met = min_values::unmet(algebra, table, &shapes, constraint).is_empty();
    (!shapes.is_empty() && (met || scenario.options.relaxes_min_values())).then_some(shapes)
}

fn limits_of(resources: &Resources, pool: &DynamicPool) -> Vec<Limit> {
    pool.limits
        .iter()
        .map(|(name, quantity)| {
            if name == "nodes" {
                return Limit { resource: None, left: quantity.units_rounded_up() };
            }
            let resource = resources.find(name);
            Limit { resource, left: resource.map_or(0, |resource| resources.count(resource, *quantity)) }
        })
        .collect()
}
