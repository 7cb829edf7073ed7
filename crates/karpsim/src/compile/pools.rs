//! NodePools as templates of nodes, and the daemons that will run on them.

use super::asked::{Asked, Host};
use super::pods::{Pods, PortsId, asked_of, asked_of_labels};
use super::resources::Amounts;
use super::shapes::ShapeSet;
use super::taints::{TaintRules, TaintsId, TolerationsId};
use super::types::TypeTable;
use crate::kubernetes::labels::{self};
use crate::kubernetes::requests::{RawAmounts, add, pod_requests};
use crate::label_rules::LabelRules;
use crate::model::Objects;
use crate::model::core::{Container, DaemonSet, Pod};
use crate::model::karpenter::NodePool;
use crate::model::meta::{Labels, Operator, Str, Time, condition_is_true};
use crate::requirements::{Algebra, ConstraintId, Requirement, Undefined};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pod of a daemon set, as it would run on a node.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// `namespace/name` of the pod that stands for the set.
    pub key: Str,
    /// What it reserves.
    pub requests: RawAmounts,
    /// `nodeSelector`.
    pub selector: Asked,
    /// OR-ed terms. Those that did not fit some instance type are gone for good: Karpenter drops them as it asks.
    pub terms: Vec<Asked>,
    /// Tolerations.
    pub tolerations: TolerationsId,
    /// Host ports.
    pub ports: PortsId,
    /// `namespace/name` of the set.
    set: Str,
    /// Who stands for the set.
    stand_in: StandIn,
    /// Terms and tolerations before any was dropped or added.
    origin: (Vec<Asked>, TolerationsId),
}

/// Who stands for a DaemonSet: its newest pod, or its template while it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum StandIn {
    Template,
    Pod { created: Option<Time> },
}

impl Daemon {
    /// Whether `other` is the same daemon but for the pod that stands for it.
    fn is_like(&self, other: &Daemon) -> bool {
        let of = |it: &Daemon| (it.requests.clone(), it.selector, it.origin.clone(), it.ports);
        of(self) == of(other)
    }

    /// What it asks of a node now.
    pub fn asked(&self, algebra: &mut Algebra) -> Asked {
        self.terms.first().map_or(self.selector, |term| self.selector.and(*term, algebra))
    }
}

/// The daemons of the cluster, in order of namespace and name. Each is stood for by its newest pod, or else by its
/// template.
pub fn daemons(
    algebra: &mut Algebra,
    rules: &LabelRules,
    taints: &mut TaintRules,
    pods: &mut Pods,
    objects: &Objects,
) -> Vec<Daemon> {
    let mut sets: Vec<&DaemonSet> = objects.daemon_sets.iter().collect();
    sets.sort_by(|a, b| {
        let key = |set: &DaemonSet| (set.metadata.namespace.clone(), set.metadata.name.clone());
        key(a).cmp(&key(b))
    });
    let mut daemons = Vec::with_capacity(sets.len());
    for set in sets {
        let pod = stand_in(set, objects.pods.iter());
        daemons.extend(daemon(algebra, rules, taints, pods, set, pod));
    }
    daemons
}

/// The daemons as they are now, if only the pods that stand for their sets are others than in `known`. `None`: they are
/// other daemons, or their order is another one.
pub(super) fn standing_in(
    algebra: &mut Algebra,
    rules: &LabelRules,
    taints: &mut TaintRules,
    pods: &mut Pods,
    objects: &Objects,
    known: &[Daemon],
) -> Option<Vec<Daemon>> {
    let now = daemons(algebra, rules, taints, pods, objects);
    let mut renamed = known.to_vec();
    if now.len() != known.len() {
        return None;
    }
    for (renamed, now) in renamed.iter_mut().zip(now) {
        if renamed.set != now.set || !renamed.is_like(&now) {
            return None;
        }
        renamed.key = now.key;
        renamed.stand_in = now.stand_in;
    }
    let order = |all: &[Daemon]| {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| all[a].key.cmp(&all[b].key));
        order
    };
    (order(&renamed) == order(known)).then_some(renamed)
}

/// Whether the daemons stay what they are when a pod of a DaemonSet comes: an older one stands for its set, or it belongs
/// to none.
pub(super) fn is_stood_for(daemons: &[Daemon], sets: &[DaemonSet], pod: &Pod) -> bool {
    let owner = pod.metadata.owner_references.iter().find(|owner| owner.controller);
    let set = owner.and_then(|owner| {
        sets.iter()
            .find(|set| set.metadata.uid == owner.uid && set.metadata.namespace == pod.metadata.namespace)
    });
    let Some(set) = set else { return true };
    let name = compact_str::format_compact!("{}/{}", set.metadata.namespace, set.metadata.name);
    let daemon = daemons.iter().find(|daemon| daemon.set == name);
    daemon.is_some_and(|daemon| daemon.stand_in > StandIn::Pod { created: pod.metadata.creation_timestamp })
}

fn daemon(
    algebra: &mut Algebra,
    rules: &LabelRules,
    taints: &mut TaintRules,
    pods: &mut Pods,
    set: &DaemonSet,
    newest: Option<&Arc<Pod>>,
) -> Option<Daemon> {
    let pod = newest.map_or_else(|| of_template(set), |pod| (**pod).clone());
    let required = |pod: &Pod| {
        let affinity = pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
        affinity.required.as_ref().map(|required| required.node_selector_terms.clone())
    };
    let template = Pod { spec: set.spec.template.spec.clone(), ..Pod::default() };
    let terms = required(&template).or_else(|| required(&pod)).unwrap_or_default();
    let claims_devices = !pod.spec.resource_claims.is_empty()
        || pod
            .spec
            .containers
            .iter()
            .chain(&pod.spec.init_containers)
            .any(|c| !c.resources.claims.is_empty());
    if claims_devices {
        return None;
    }
    let terms: Vec<Asked> = terms
        .iter()
        .map(|term| asked_of(algebra, rules, term.match_expressions.as_deref().unwrap_or(&[])))
        .collect();
    let tolerations = taints.tolerations(&pod.spec.tolerations);
    Some(Daemon {
        key: compact_str::format_compact!("{}/{}", pod.metadata.namespace, pod.metadata.name),
        requests: pod_requests(&pod),
        selector: asked_of_labels(algebra, rules, &pod.spec.node_selector),
        origin: (terms.clone(), tolerations),
        terms,
        tolerations,
        ports: pods.ports_of(&pod.spec),
        set: compact_str::format_compact!("{}/{}", set.metadata.namespace, set.metadata.name),
        stand_in: newest
            .map_or(StandIn::Template, |pod| StandIn::Pod { created: pod.metadata.creation_timestamp }),
    })
}

/// The newest pod of a set; among equals the first by name.
fn stand_in<'p>(set: &DaemonSet, pods: impl Iterator<Item = &'p Arc<Pod>>) -> Option<&'p Arc<Pod>> {
    let is_own = |pod: &&Arc<Pod>| {
        pod.metadata.namespace == set.metadata.namespace
            && pod
                .metadata
                .owner_references
                .iter()
                .any(|owner| owner.controller && owner.uid == set.metadata.uid)
    };
    pods.filter(is_own).min_by(|a, b| {
        let newer_first = b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp);
        newer_first.then_with(|| a.metadata.name.cmp(&b.metadata.name))
    })
}

fn of_template(set: &DaemonSet) -> Pod {
    let mut pod = Pod { spec: set.spec.template.spec.clone(), ..Pod::default() };
    pod.metadata.name = set.metadata.name.clone();
    pod.metadata.namespace = set.metadata.namespace.clone();
    pod.spec.containers.iter_mut().for_each(limits_as_requests);
    pod.spec.init_containers.iter_mut().for_each(limits_as_requests);
    pod
}

/// The API server does this for pods, but not for templates.
fn limits_as_requests(container: &mut Container) {
    for (name, quantity) in container.resources.limits.clone().iter() {
        if container.resources.requests.get(name).is_none() {
            container.resources.requests.insert(name, quantity);
        }
    }
}

/// Instance types of a template on which the same daemons run.
#[derive(Debug, Clone)]
pub struct DaemonGroup {
    /// The types.
    pub shapes: ShapeSet,
    /// What the daemons reserve. `None`: there are none.
    pub overhead: Option<RawAmounts>,
    /// The same, dense.
    pub dense: Amounts,
    /// Their host ports.
    pub ports: Vec<PortsId>,
}

/// A NodePool from which nodes can be launched.
#[derive(Debug, Clone)]
pub struct Template {
    /// The NodePool's name.
    pub pool: Str,
    /// Index of its table of instance types.
    pub table: usize,
    /// What its nodes are.
    pub constraint: ConstraintId,
    /// Taints of its nodes.
    pub taints: TaintsId,
    /// Instance types that it allows.
    pub shapes: ShapeSet,
    /// By daemons, in order of their names.
    pub groups: Vec<DaemonGroup>,
    /// Index among the dynamic pools.
    pub dynamic: usize,
}

impl Template {
    /// Those of `options` that have room for `requests` beside the daemons that come to them, none of which holds a host
    /// port that `clashes` with what is to run there.
    pub fn fitting(
        &self,
        table: &TypeTable,
        options: &ShapeSet,
        requests: &Amounts,
        clashes: impl Fn(PortsId) -> bool,
    ) -> ShapeSet {
        let mut fitting = ShapeSet::none(table.shapes.len());
        for group in &self.groups {
            if group.ports.iter().any(|&ports| clashes(ports)) {
                continue;
            }
            let mut of_group = options.clone();
            of_group.keep(&group.shapes);
            if group.dense.is_empty() {
                table.keep_fitting(&mut of_group, requests);
            } else {
                let with_daemons = requests.iter().zip(&group.dense).map(|(a, b)| a + b).collect();
                table.keep_fitting(&mut of_group, &with_daemons);
            }
            fitting.add(&of_group);
        }
        fitting
    }
}

/// A NodePool that is ready, not static and not being deleted.
#[derive(Debug, Clone)]
pub struct DynamicPool {
    /// Name.
    pub name: Str,
    /// Index of its table of instance types.
    pub table: usize,
    /// Its requirements and the labels of its nodes, without what Karpenter adds; the domains of topologies follow
    /// from it.
    pub written: ConstraintId,
    /// Taints of its nodes.
    pub taints: TaintsId,
    /// Limits by name.
    pub limits: BTreeMap<Str, crate::quantity::Quantity>,
    /// Some taint of its nodes is `PreferNoSchedule`.
    pub prefers_no_schedule: bool,
}

/// Whether Karpenter knows the node class of `pool`.
pub fn is_managed(pool: &NodePool, provider: &str) -> bool {
    crate::label_rules::is_known_node_class(provider, &pool.spec.template.spec.node_class_ref)
}

/// Whether nodes can be launched from `pool` now: all its conditions are met.
pub fn is_ready(pool: &NodePool) -> bool {
    ["ValidationSucceeded", "NodeClassReady", "Ready"]
        .iter()
        .all(|kind| condition_is_true(&pool.status.conditions, kind))
}

/// Whether provisioning can use `pool`.
pub fn is_dynamic(pool: &NodePool, provider: &str) -> bool {
    is_managed(pool, provider)
        && pool.spec.replicas.is_none()
        && is_ready(pool)
        && pool.metadata.deletion_timestamp.is_none()
}

/// The pools that provisioning can use: by weight, among equals the last name first.
pub fn dynamic_pools<'a>(objects: &'a Objects, provider: &str) -> Vec<&'a NodePool> {
    let mut pools: Vec<&NodePool> =
        objects.node_pools.iter().filter(|pool| is_dynamic(pool, provider)).collect();
    pools.sort_by(|a, b| {
        let weight = |pool: &NodePool| pool.spec.weight.unwrap_or(0);
        weight(b).cmp(&weight(a)).then_with(|| b.metadata.name.cmp(&a.metadata.name))
    });
    pools
}

/// What a NodePool says of its nodes: requirements and labels.
pub fn written_constraint(algebra: &mut Algebra, rules: &LabelRules, pool: &NodePool) -> ConstraintId {
    let mut requirements = Vec::new();
    for requirement in &pool.spec.template.spec.requirements {
        let key = algebra.key(rules.normalize(&requirement.key), |name| rules.is_well_known(name));
        let operator = requirement.operator.unwrap_or(Operator::Exists);
        let min_values = requirement.min_values.and_then(|least| u32::try_from(least).ok());
        requirements.push((key, algebra.requirement(key, operator, &requirement.values, min_values)));
    }
    let labels = label_requirements(algebra, rules, &pool.spec.template.metadata.labels);
    requirements.extend(labels);
    algebra.constraint(requirements)
}

fn label_requirements(
    algebra: &mut Algebra,
    rules: &LabelRules,
    labels: &Labels,
) -> Vec<(crate::requirements::KeyId, Requirement)> {
    labels
        .iter()
        .map(|(name, value)| {
            let key = algebra.key(rules.normalize(name), |name| rules.is_well_known(name));
            let value = algebra.value(key, value);
            (key, Requirement::any_of([value]))
        })
        .collect()
}

/// What the nodes of `pool` are: what it says, its name, its node class, and that they will be registered and
/// initialised (daemons may ask for that).
pub fn template_constraint(
    algebra: &mut Algebra,
    rules: &LabelRules,
    pool: &NodePool,
    written: ConstraintId,
) -> ConstraintId {
    let class = &pool.spec.template.spec.node_class_ref;
    let added: Labels = [
        (labels::NODE_POOL.to_owned(), pool.metadata.name.to_string()),
        (crate::label_rules::node_class_label(&class.group, &class.kind), class.name.to_string()),
        (labels::REGISTERED.to_owned(), "true".to_owned()),
        (labels::INITIALIZED.to_owned(), "true".to_owned()),
    ]
    .into_iter()
    .collect();
    let added = label_requirements(algebra, rules, &added);
    let added = algebra.constraint(added);
    algebra.sum(written, added)
}

/// Sorts the instance types of a template by the daemons that would run on them. Asking relaxes the daemons for good:
/// they come to tolerate `PreferNoSchedule` taints, and lose terms that did not fit.
pub fn daemon_groups(
    algebra: &mut Algebra,
    taints: &TaintRules,
    table: &TypeTable,
    template: (ConstraintId, TaintsId),
    shapes: &ShapeSet,
    daemons: &mut [Daemon],
) -> Vec<DaemonGroup> {
    let mut groups: BTreeMap<String, (ShapeSet, Vec<usize>)> = BTreeMap::new();
    let mut last: Option<(usize, String)> = None;
    for shape in shapes.iter() {
        let of = table.shapes[shape].of;
        if last.as_ref().is_none_or(|(known, _)| *known != of) {
            let mut compatible = Vec::new();
            for (index, daemon) in daemons.iter_mut().enumerate() {
                if runs_on(algebra, taints, template, table.types[of].constraint, daemon) {
                    compatible.push(index);
                }
            }
            let mut names: Vec<&str> = compatible.iter().map(|&index| daemons[index].key.as_str()).collect();
            names.sort_unstable();
            let name = names.join(",");
            groups.entry(name.clone()).or_insert_with(|| (ShapeSet::none(table.shapes.len()), compatible));
            last = Some((of, name));
        }
        if let Some((group, _)) = last.as_ref().and_then(|(_, name)| groups.get_mut(name)) {
            group.insert(shape);
        }
    }
    groups
        .into_values()
        .map(|(shapes, members)| {
            let mut overhead = RawAmounts::new();
            for &member in &members {
                add(&mut overhead, &daemons[member].requests);
            }
            DaemonGroup {
                shapes,
                overhead: (!members.is_empty()).then_some(overhead),
                dense: Amounts::new(),
                ports: members
                    .iter()
                    .map(|&member| daemons[member].ports)
                    .filter(|ports| *ports != PortsId::NONE)
                    .collect(),
            }
        })
        .collect()
}

fn runs_on(
    algebra: &mut Algebra,
    taints: &TaintRules,
    (template, template_taints): (ConstraintId, TaintsId),
    of_type: ConstraintId,
    daemon: &mut Daemon,
) -> bool {
    if let Some(relaxed) = taints.relaxed(daemon.tolerations) {
        daemon.tolerations = relaxed;
    }
    if !taints.tolerated(template_taints, daemon.tolerations) {
        return false;
    }
    loop {
        let asked = daemon.asked(algebra);
        // The template does not define a hostname yet.
        let fits = asked.met_by(template, Host::None, Undefined::WellKnownAllowed, algebra)
            && algebra.intersects(of_type, asked.constraint);
        if fits {
            return true;
        }
        if daemon.terms.len() <= 1 {
            return false;
        }
        daemon.terms.remove(0);
    }
}
