//! From objects to a [`Problem`]: names become small integers, requirements sets over them, quantities integers, pods
//! that differ only in name one class. After this no string is compared and nothing is parsed.

pub mod asked;
pub mod min_values;
pub mod nodes;
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

use crate::kubernetes::eviction::PodBudgets;
use crate::kubernetes::labels::HOSTNAME;
use crate::kubernetes::pods::{
    eviction_cost, is_active, is_disruptable, is_owned_by, is_provisionable, is_reschedulable, is_terminal,
};
use crate::kubernetes::requests::{RawAmounts, raw};
use crate::label_rules::LabelRules;
use crate::model::core::Pod;
use crate::model::karpenter::NodePool;
use crate::model::meta::{Str, Time};
use crate::requirements::{Algebra, KeyId, ValueId};
use crate::scenario::Scenario;
use asked::{Asked, Host};
use nodes::{ApiNode, StateNode};
use pods::{ClassId, Pods, Tools};
use pools::{Daemon, DynamicPool, Template};
use resources::{Amounts, Resources};
use rustc_hash::{FxHashMap, FxHashSet};
use selectors::Selectors;
use taints::TaintRules;
use types::{RawType, ReservationId, TypeTable, compile_type};
use validity::{PodFault, pod_fault};
use volumes::Storage;

/// A pod, compiled.
#[derive(Debug, Clone)]
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
    /// Whether no annotation holds it to its node.
    pub disruptable: bool,
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
pub struct Problem<'a> {
    /// What it was compiled from.
    pub scenario: &'a Scenario,
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
    /// Nodes of the API server, by name.
    pub api_nodes: Vec<ApiNode>,
    /// Nodes of Karpenter's state, by name.
    pub nodes: Vec<StateNode>,
    /// Those that stay, in the order in which they are tried.
    pub node_order: Vec<usize>,
    /// Tables of instance types.
    pub tables: Vec<TypeTable>,
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
    /// Whether pods come to tolerate `PreferNoSchedule` in the end.
    pub relaxes_taints: bool,
    /// `kubernetes.io/hostname`.
    pub hostname: KeyId,
}

/// Compiles `scenario`.
pub fn compile(scenario: &Scenario) -> (Problem<'_>, Algebra) {
    let mut algebra = Algebra::default();
    let objects = &scenario.objects;
    let rules = LabelRules::new(&scenario.catalogue);
    let provider = scenario.catalogue.provider.as_str();
    let mut resources = Resources::default();
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
        &scenario.memory,
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
            disruptable: is_disruptable(pod, scenario.now),
            eviction_cost: eviction_cost(pod),
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
    taints.seal();
    pods.seal();

    let mut reservation_ids: FxHashMap<Str, ReservationId> = FxHashMap::default();
    let raw_tables =
        raw_tables(scenario, &mut algebra, &rules, &mut resources, &mut reservation_ids, provider);
    note_nodes(&mut resources, &nodes, &pool_objects);
    if resources.are_fine() {
        let of_types = raw_tables.1.iter().flatten().flat_map(|it| &it.shapes).flatten();
        let of_nodes = nodes.iter().flat_map(|node| &node.allocatable);
        for (name, amount) in of_types.chain(of_nodes) {
            resources.make_room(name, *amount);
        }
    }
    let tables: Vec<TypeTable> =
        raw_tables.1.into_iter().map(|types| TypeTable::new(&algebra, &resources, types)).collect();
    let reservations = reservation_capacities(&tables, reservation_ids.len());

    let mut templates = Vec::new();
    let mut dynamic = Vec::new();
    let mut limits = Vec::new();
    for pool in &pool_objects {
        let table = raw_tables.0.get(&pool.metadata.name).copied().unwrap_or(0);
        let written = pools::written_constraint(&mut algebra, &rules, pool);
        let pool_taints = taints.taints(&pool.spec.template.spec.taints);
        let constraint = pools::template_constraint(&mut algebra, &rules, pool, written);
        let shapes = allowed_shapes(&mut algebra, &tables[table], constraint, scenario);
        if let Some(shapes) = shapes {
            let groups = pools::daemon_groups(
                &mut algebra,
                &taints,
                &tables[table],
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
    fill_nodes(
        &mut algebra,
        &taints,
        &resources,
        &pods,
        scenario,
        &records,
        &pods_by_name,
        &api_nodes,
        &daemons,
        &mut nodes,
    );
    for (pool, limits) in dynamic.iter().zip(&mut limits) {
        *limits = limits_of(&resources, pool);
    }
    let mut node_order: Vec<usize> = (0..nodes.len()).filter(|&node| !nodes[node].marked).collect();
    node_order.sort_by_key(|&node| !nodes[node].initialized);

    let budgets = PodBudgets::new(objects);
    let leaving: Vec<usize> = nodes
        .iter()
        .filter(|node| node.marked)
        .flat_map(|node| node.pods.iter().copied())
        .filter(|&pod| budgets.will_move(&objects.pods[pod], scenario.now))
        .collect();

    let problem = Problem {
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
        leaving,
        api_nodes,
        nodes,
        node_order,
        tables,
        table_of_pool: raw_tables.0,
        reservations,
        dynamic,
        limits,
        templates,
        hostname,
    };
    (problem, algebra)
}

impl Problem<'_> {
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
        let Scenario { catalogue, objects, .. } = self.scenario;
        !objects
            .node_claims
            .iter()
            .any(|claim| crate::label_rules::is_being_launched(claim, &catalogue.provider))
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

/// The types of each NodePool; without overlays all share one table.
fn raw_tables(
    scenario: &Scenario,
    algebra: &mut Algebra,
    rules: &LabelRules,
    resources: &mut Resources,
    reservations: &mut FxHashMap<Str, ReservationId>,
    provider: &str,
) -> (FxHashMap<Str, usize>, Vec<Vec<RawType>>) {
    let catalogue = &scenario.catalogue;
    let objects = &scenario.objects;
    let changes = if scenario.options.node_overlay() {
        overlays::Changes::new(algebra, rules, catalogue, &objects.node_pools, &objects.node_overlays)
    } else {
        overlays::Changes::default()
    };
    let mut reader = types::Reader::new(rules);
    let mut table = |pool: &str, algebra: &mut Algebra| -> Vec<RawType> {
        let types = catalogue.instance_types.iter().enumerate();
        types
            .map(|(index, it)| {
                let capacity = changes.capacity(pool, index, &it.capacity);
                let prices: Vec<Option<f64>> = it
                    .offerings
                    .iter()
                    .map(|offering| {
                        if changes.is_empty() {
                            return None;
                        }
                        let kind = reader.of_offering(algebra, &offering.requirements);
                        changes.price(pool, index, kind, offering.price.0)
                    })
                    .collect();
                compile_type(algebra, &mut reader, resources, reservations, it, capacity, &prices)
            })
            .collect()
    };
    let managed = objects.node_pools.iter().filter(|pool| pools::is_managed(pool, provider));
    let mut tables = Vec::new();
    let mut of_pool = FxHashMap::default();
    for pool in managed {
        if changes.is_empty() && !tables.is_empty() {
            of_pool.insert(pool.metadata.name.clone(), 0);
        } else {
            of_pool.insert(pool.metadata.name.clone(), tables.len());
            tables.push(table(&pool.metadata.name, algebra));
        }
    }
    (of_pool, tables)
}

/// What each reservation has left: where offerings disagree, the least.
fn reservation_capacities(tables: &[TypeTable], count: usize) -> Vec<i64> {
    let mut left = vec![i64::MAX; count];
    for offering in tables.iter().flat_map(|table| &table.types).flat_map(|it| &it.offerings) {
        if let Some(reservation) = offering.reservation {
            let left = &mut left[reservation.0 as usize];
            *left = (*left).min(offering.reservation_capacity);
        }
    }
    left
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

/// Whether a node is under its NodePool's `consolidateAfter`: since the last pod event, or since it was initialised.
fn is_young(scenario: &Scenario, api_nodes: &[ApiNode], node: &StateNode) -> bool {
    let pool = node.pool(api_nodes).and_then(|name| {
        pools::dynamic_pools(&scenario.objects, &scenario.catalogue.provider)
            .into_iter()
            .find(|pool| pool.metadata.name == name)
    });
    let (Some(pool), Some(claim)) = (pool, &node.claim) else { return false };
    let Some(wait) = pool.spec.disruption.consolidate_after.and_then(|after| after.0) else { return false };
    let Some(initialized) = crate::model::meta::condition(&claim.status.conditions, "Initialized") else {
        return false;
    };
    if wait.nanos == 0 || initialized.status != "True" {
        return false;
    }
    let since = claim.status.last_pod_event_time.or(initialized.last_transition_time).unwrap_or_default();
    scenario.now.0.as_nanosecond() - since.0.as_nanosecond() < i128::from(wait.nanos)
}

/// Fills in what pods and daemons mean for the nodes.
#[allow(clippy::too_many_arguments)]
fn fill_nodes(
    algebra: &mut Algebra,
    taints: &TaintRules,
    resources: &Resources,
    pods: &Pods,
    scenario: &Scenario,
    records: &[PodRecord],
    pods_by_name: &[usize],
    api_nodes: &[ApiNode],
    daemons: &[Daemon],
    nodes: &mut [StateNode],
) {
    let mut state_of: Vec<Option<usize>> = vec![None; api_nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        if let Some(api) = node.node {
            state_of[api] = Some(index);
        }
    }
    for &pod in pods_by_name {
        if let Some(state) = records[pod].node.and_then(|node| state_of[node]) {
            nodes[state].pods.push(pod);
        }
    }
    let limits: FxHashMap<&str, &crate::model::core::CsiNode> =
        scenario.objects.csi_nodes.iter().map(|node| (node.metadata.name.as_str(), node)).collect();
    for node in nodes.iter_mut() {
        let present: Vec<usize> =
            node.pods.iter().copied().filter(|&pod| !is_terminal(&scenario.objects.pods[pod])).collect();
        let class_of = |pod: usize| &pods.classes[records[pod].class.0 as usize];
        let used = nodes::sum(present.iter().map(|&pod| &class_of(pod).raw_requests));
        let of_daemons = nodes::sum(
            present
                .iter()
                .filter(|&&pod| is_owned_by(&scenario.objects.pods[pod], "apps/v1", "DaemonSet"))
                .map(|&pod| &class_of(pod).raw_requests),
        );
        let mut belonging = RawAmounts::new();
        for daemon in daemons {
            let asked: Asked = daemon.asked(algebra);
            if taints.tolerated(node.taints, daemon.tolerations)
                && asked.met_by(node.labels, node.host_label, crate::requirements::Undefined::Denied, algebra)
            {
                crate::kubernetes::requests::add(&mut belonging, &daemon.requests);
            }
        }
        let to_come = nodes::daemons_to_come(&belonging, &of_daemons);
        node.remaining = resources.dense(&nodes::remaining(&node.allocatable, &used, &to_come));
        node.ports = present
            .iter()
            .map(|&pod| class_of(pod).ports)
            .filter(|ports| *ports != pods::PortsId::NONE)
            .collect();
        node.attached =
            present.iter().flat_map(|&pod| class_of(pod).volumes.attached.iter().cloned()).collect();
        node.attached.sort();
        node.attached.dedup();
        if let Some(csi) = node.node.and_then(|api| limits.get(api_nodes[api].node.metadata.name.as_str())) {
            let drivers = csi.spec.drivers.iter();
            node.attach_limits = drivers
                .filter_map(|driver| {
                    driver.allocatable.as_ref().map(|limit| (driver.name.clone(), limit.count.unwrap_or(0)))
                })
                .collect();
        }
        node.young = is_young(scenario, api_nodes, node);
        if node.host_label == Host::None {
            // Karpenter adds the hostname by itself.
            node.host_label = Host::Named(node.host);
        }
    }
}
