//! Pods, compiled: those that differ only in name are one class.

use super::asked::Asked;
use super::default_spread::{DefaultSpread, GivenSpread};
use super::resources::{Amounts, Resources};
use super::selectors::{LabelSetId, SelectorId, Selectors};
use super::taints::{TaintRules, TolerationsId};
use super::volumes::{Storage, VolumeUse};
use crate::kubernetes::labels::HOSTNAME;
use crate::kubernetes::requests::{RawAmounts, has_infeasible_resize, pod_requests};
use crate::label_rules::LabelRules;
use crate::model::core::{
    Affinity, Container, NodeInclusionPolicy, NodeSelectorRequirement, Pod, PodAffinityTerm, PodSpec,
    Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm, WhenUnsatisfiable,
};
use crate::model::meta::{LabelSelector, LabelSelectorRequirement, Labels, Operator, SelectorOperator, Str};
use crate::requirements::{Algebra, KeyId};
use rustc_hash::FxHashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// A class of pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(pub u32);

/// A namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(pub u32);

/// A set of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespacesId(pub u32);

/// Host ports of a pod. 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortsId(pub u32);

impl PortsId {
    /// No host port.
    pub const NONE: PortsId = PortsId(0);
}

/// A port on the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Address; unspecified: all.
    pub ip: Option<IpAddr>,
    /// Port.
    pub port: i64,
    /// Protocol.
    pub protocol: Str,
}

impl HostPort {
    /// Whether both cannot be on one node.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let unspecified = |ip: Option<IpAddr>| ip.is_some_and(|ip| ip.is_unspecified());
        self.protocol == other.protocol
            && self.port == other.port
            && (self.ip == other.ip || unspecified(self.ip) || unspecified(other.ip))
    }
}

/// A topology spread constraint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spread {
    /// The label whose values are the domains.
    pub key: KeyId,
    /// By how much domains may differ.
    pub max_skew: i32,
    /// With fewer eligible domains the least count is 0.
    pub min_domains: Option<i32>,
    /// Whether it can be dropped.
    pub soft: bool,
    /// Which pods are counted.
    pub selector: SelectorId,
    /// Only on nodes that the pod could use by its labels.
    pub honors_affinity: bool,
    /// Only on nodes that the pod could use by its taints.
    pub honors_taints: bool,
}

/// A term of affinity or anti-affinity to pods.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodTerm {
    /// The label whose equal values are "near".
    pub key: KeyId,
    /// Which pods.
    pub selector: SelectorId,
    /// In which namespaces.
    pub namespaces: NamespacesId,
}

/// Pods that decide alike.
#[derive(Debug, Clone)]
pub struct Class {
    /// Namespace.
    pub namespace: NamespaceId,
    /// The namespace as a set.
    pub own_namespace: NamespacesId,
    /// Labels that selectors look at.
    pub labels: LabelSetId,
    /// What a pod reserves.
    pub requests: Amounts,
    /// The same by name.
    pub raw_requests: RawAmounts,
    /// `nodeSelector`.
    pub selector: Asked,
    /// OR-ed required node affinity terms. `None`: no such affinity.
    pub required: Option<Vec<Asked>>,
    /// Preferred node affinity terms, heaviest first as Karpenter sorts them.
    pub preferred: Vec<Asked>,
    /// Spreading.
    pub spread: Vec<Spread>,
    /// Required affinity.
    pub affinity: Vec<PodTerm>,
    /// Preferred affinity, heaviest first.
    pub preferred_affinity: Vec<PodTerm>,
    /// Required anti-affinity.
    pub anti_affinity: Vec<PodTerm>,
    /// Preferred anti-affinity, heaviest first.
    pub preferred_anti_affinity: Vec<PodTerm>,
    /// Tolerations.
    pub tolerations: TolerationsId,
    /// Host ports.
    pub ports: PortsId,
    /// Volumes.
    pub volumes: VolumeUse,
    /// It needs dynamic resources, which Karpenter does not provide.
    pub claims_devices: bool,
}

/// What a pod's placement depends on.
struct Decisive<'a> {
    pod: &'a Pod,
    given: GivenSpread,
}

fn decisive_fields(
    spec: &PodSpec,
) -> (&Labels, &Option<Box<Affinity>>, &Vec<Toleration>, &Vec<TopologySpreadConstraint>) {
    (&spec.node_selector, &spec.affinity, &spec.tolerations, &spec.topology_spread_constraints)
}

impl Decisive<'_> {
    /// Pods with claims of their own are classes of their own.
    fn own_name(&self) -> Option<&Str> {
        self.pod
            .spec
            .volumes
            .iter()
            .any(|volume| volume.ephemeral.is_some())
            .then_some(&self.pod.metadata.name)
    }
}

impl PartialEq for Decisive<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.pod.spec, &other.pod.spec);
        let claims = |spec: &PodSpec| -> Vec<Option<Str>> {
            spec.volumes
                .iter()
                .map(|volume| volume.persistent_volume_claim.as_ref().map(|source| source.claim_name.clone()))
                .collect()
        };
        self.pod.metadata.namespace == other.pod.metadata.namespace
            && self.pod.metadata.labels == other.pod.metadata.labels
            && decisive_fields(a) == decisive_fields(b)
            && a.containers == b.containers
            && a.init_containers == b.init_containers
            && a.overhead == b.overhead
            && a.resources == b.resources
            && a.resource_claims == b.resource_claims
            && (a.volumes.is_empty() && b.volumes.is_empty() || claims(a) == claims(b))
            && self.own_name() == other.own_name()
            && self.given == other.given
            && has_infeasible_resize(self.pod) == has_infeasible_resize(other.pod)
            && self.pod.status.container_statuses == other.pod.status.container_statuses
            && self.pod.status.init_container_statuses == other.pod.status.init_container_statuses
    }
}
impl Eq for Decisive<'_> {}

impl Hash for Decisive<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pod.metadata.namespace.hash(state);
        self.pod.metadata.labels.hash(state);
        let spec = &self.pod.spec;
        for container in spec.containers.iter().chain(&spec.init_containers) {
            hash_container(container, state);
        }
        spec.node_selector.hash(state);
        spec.affinity.hash(state);
        spec.tolerations.len().hash(state);
        spec.topology_spread_constraints.hash(state);
        for volume in &spec.volumes {
            volume.persistent_volume_claim.as_ref().map(|source| &source.claim_name).hash(state);
        }
        self.own_name().hash(state);
        self.given.hash(state);
    }
}

fn hash_container<H: Hasher>(container: &Container, state: &mut H) {
    container.resources.requests.hash(state);
    container.ports.len().hash(state);
}

/// A pod as a key: equal to others that decide alike.
#[derive(Debug, Clone)]
struct Alike(Arc<Pod>, GivenSpread);

impl Alike {
    fn decisive(&self) -> Decisive<'_> {
        Decisive { pod: &self.0, given: self.1.clone() }
    }
}

impl PartialEq for Alike {
    fn eq(&self, other: &Self) -> bool {
        self.decisive() == other.decisive()
    }
}
impl Eq for Alike {}

impl Hash for Alike {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.decisive().hash(state);
    }
}

/// All classes of a cluster, and the sets they refer to.
#[derive(Debug, Clone, Default)]
pub struct Pods {
    /// By the like of a pod: its class. Filled when a cluster begins to change.
    alike: FxHashMap<Alike, ClassId>,
    /// By what decides: the class. Filled with the other.
    decisive: FxHashMap<ClassKey, ClassId>,
    /// Classes.
    pub classes: Vec<Class>,
    /// Selectors and labels.
    pub selectors: Selectors,
    namespaces: FxHashMap<Str, NamespaceId>,
    namespace_labels: Vec<(NamespaceId, Labels)>,
    namespace_sets: Vec<Vec<NamespaceId>>,
    namespace_set_index: FxHashMap<Vec<NamespaceId>, NamespacesId>,
    ports: Vec<Vec<HostPort>>,
    ports_index: FxHashMap<Vec<HostPort>, PortsId>,
    /// By host ports, then host ports that came no later.
    port_conflicts: Vec<Vec<bool>>,
}

/// The parts of the compiler that pods need.
pub struct Tools<'a, 'b> {
    /// Requirements.
    pub algebra: &'a mut Algebra,
    /// Labels.
    pub rules: &'a LabelRules,
    /// Units.
    pub resources: &'a mut Resources,
    /// Taints.
    pub taints: &'a mut TaintRules,
    /// Volumes.
    pub storage: &'a Storage<'b>,
    /// Topology spread of pods that have none of their own.
    pub default_spread: &'a DefaultSpread<'b>,
}

/// Compiles expressions over node labels, the hostname apart. Keys are normalised.
pub fn asked_of(algebra: &mut Algebra, rules: &LabelRules, expressions: &[NodeSelectorRequirement]) -> Asked {
    let hostname_key = algebra.key(HOSTNAME, |_| false);
    let mut asked = Asked::default();
    let mut others = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let name = rules.normalize(&expression.key);
        let key = algebra.key(name, |name| rules.is_well_known(name));
        let operator = expression.operator.unwrap_or(Operator::Exists);
        let requirement = algebra.requirement(key, operator, &expression.values, None);
        if key == hostname_key {
            let hostname = Some(algebra.intern(requirement));
            asked = asked.and(Asked { hostname, ..Asked::default() }, algebra);
        } else {
            others.push((key, requirement));
        }
    }
    asked.constraint = algebra.constraint(others);
    asked
}

/// Compiles labels as requirements, the hostname apart.
pub fn asked_of_labels(algebra: &mut Algebra, rules: &LabelRules, labels: &Labels) -> Asked {
    let mut asked = Asked::default();
    if labels.is_empty() {
        return asked;
    }
    let hostname_key = algebra.key(HOSTNAME, |_| false);
    let mut others = Vec::with_capacity(labels.len());
    for (name, value) in labels.iter() {
        let key = algebra.key(rules.normalize(name), |name| rules.is_well_known(name));
        let requirement = algebra.label(key, value);
        if key == hostname_key {
            asked = asked.and(Asked { hostname: Some(requirement), ..Asked::default() }, algebra);
        } else {
            others.push((key, requirement));
        }
    }
    asked.constraint = algebra.constraint_of(others);
    asked
}

impl Pods {
    /// Notes the namespaces of the cluster; `labels` come with them.
    pub fn new(namespaces: &[crate::model::core::Namespace]) -> Self {
        let mut pods = Pods::default();
        pods.ports(Vec::new());
        let mut sorted: Vec<_> = namespaces.iter().collect();
        sorted.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        for namespace in sorted {
            let id = pods.namespace(&namespace.metadata.name);
            pods.namespace_labels.push((id, namespace.metadata.labels.clone()));
        }
        pods
    }

    fn namespace(&mut self, name: &str) -> NamespaceId {
        let next = NamespaceId(self.namespaces.len() as u32);
        *self.namespaces.entry(name.into()).or_insert(next)
    }

    fn namespace_set(&mut self, mut set: Vec<NamespaceId>) -> NamespacesId {
        set.sort_unstable();
        set.dedup();
        if let Some(&id) = self.namespace_set_index.get(&set) {
            return id;
        }
        let id = NamespacesId(self.namespace_sets.len() as u32);
        self.namespace_sets.push(set.clone());
        self.namespace_set_index.insert(set, id);
        id
    }

    /// Whether `namespace` is in the set.
    pub fn in_namespaces(&self, set: NamespacesId, namespace: NamespaceId) -> bool {
        self.namespace_sets[set.0 as usize].binary_search(&namespace).is_ok()
    }

    fn ports(&mut self, ports: Vec<HostPort>) -> PortsId {
        if let Some(&id) = self.ports_index.get(&ports) {
            return id;
        }
        let id = PortsId(self.ports.len() as u32);
        let conflict = |others: &Vec<HostPort>| ports.iter().any(|a| others.iter().any(|b| a.conflicts(b)));
        let mut conflicts: Vec<bool> = self.ports.iter().map(conflict).collect();
        conflicts.push(conflict(&ports));
        self.port_conflicts.push(conflicts);
        self.ports.push(ports.clone());
        self.ports_index.insert(ports, id);
        id
    }

    /// Host ports of a pod's containers.
    pub fn ports_of(&mut self, spec: &PodSpec) -> PortsId {
        let ports =
            spec.containers.iter().flat_map(|container| &container.ports).filter(|port| port.host_port != 0);
        let ports = ports
            .map(|port| HostPort {
                ip: if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip }.parse().ok(),
                port: port.host_port,
                protocol: port.protocol.clone(),
            })
            .collect();
        self.ports(ports)
    }

    /// Whether pods with these host ports cannot be on one node.
    pub fn ports_conflict(&self, a: PortsId, b: PortsId) -> bool {
        self.port_conflicts[a.0.max(b.0) as usize][a.0.min(b.0) as usize]
    }

    /// The class of each of `pods`.
    pub fn classify<'p>(
        &mut self,
        tools: &mut Tools<'_, '_>,
        pods: impl Iterator<Item = &'p Pod> + Clone,
    ) -> Vec<ClassId> {
        let mut index: FxHashMap<Decisive<'p>, usize> = FxHashMap::default();
        let mut representatives: Vec<(&Pod, GivenSpread)> = Vec::new();
        let specs: Vec<usize> = pods
            .map(|pod| {
                let given = tools.default_spread.of(pod);
                *index.entry(Decisive { pod, given: given.clone() }).or_insert_with(|| {
                    representatives.push((pod, given));
                    representatives.len() - 1
                })
            })
            .collect();
        // Selectors first: they decide which labels tell pods apart.
        let compiled: Vec<Class> =
            representatives.iter().map(|(pod, given)| self.compile(tools, pod, given.as_deref())).collect();
        let first = self.classes.len();
        for ((pod, _), mut class) in representatives.into_iter().zip(compiled) {
            class.labels = self.selectors.label_set(&pod.metadata.labels);
            self.classes.push(class);
        }
        let merged = self.merge(first);
        specs.into_iter().map(|spec| merged[spec]).collect()
    }

    /// Notes the classes of `pods`, so that others can be found by being like them.
    pub(crate) fn index<'p>(
        &mut self,
        pods: impl Iterator<Item = (&'p Arc<Pod>, ClassId)>,
        default_spread: &DefaultSpread<'_>,
    ) {
        for (pod, class) in pods {
            self.alike.entry(Alike(Arc::clone(pod), default_spread.of(pod))).or_insert(class);
        }
        self.decisive = (0..).zip(&self.classes).map(|(at, class)| (class_key(class), ClassId(at))).collect();
    }

    /// The class of pods like this one, if there is one.
    pub(crate) fn known_class(&self, pod: &Arc<Pod>, default_spread: &DefaultSpread<'_>) -> Option<ClassId> {
        self.alike.get(&Alike(Arc::clone(pod), default_spread.of(pod))).copied()
    }

    /// Whether a selector of the pod looks at labels that none has looked at before.
    pub(crate) fn would_look_further(&self, pod: &Pod, default_spread: &DefaultSpread<'_>) -> bool {
        let affinity = pod.spec.affinity.as_deref();
        let near = affinity.and_then(|it| it.pod_affinity.as_ref());
        let away = affinity.and_then(|it| it.pod_anti_affinity.as_ref());
        let required = near.into_iter().flat_map(|it| &it.required);
        let required = required.chain(away.into_iter().flat_map(|it| &it.required));
        let preferred = near.into_iter().flat_map(|it| &it.preferred);
        let preferred = preferred.chain(away.into_iter().flat_map(|it| &it.preferred));
        let terms = required.chain(preferred.map(|it| &it.pod_affinity_term));
        let given = default_spread.of(pod);
        let spread = given.as_deref().unwrap_or(&pod.spec.topology_spread_constraints);
        terms.map(|term| term.label_selector.as_ref()).any(|it| self.selectors.looks_further(it))
            || spread.iter().any(|it| {
                self.selectors.looks_further(it.label_selector.as_ref())
                    || it
                        .match_label_keys
                        .iter()
                        .any(|key| pod.metadata.labels.get(key).is_some() && !self.selectors.looks_at(key))
            })
    }

    /// A class for a pod that is like none so far.
    pub(crate) fn add_class(&mut self, tools: &mut Tools<'_, '_>, pod: &Arc<Pod>) -> ClassId {
        let given = tools.default_spread.of(pod);
        let mut class = self.compile(tools, pod, given.as_deref());
        class.labels = self.selectors.label_set(&pod.metadata.labels);
        class.requests = tools.resources.dense(&class.raw_requests);
        let next = ClassId(self.classes.len() as u32);
        let id = *self.decisive.entry(class_key(&class)).or_insert_with(|| {
            self.classes.push(class);
            next
        });
        self.alike.insert(Alike(Arc::clone(pod), given), id);
        id
    }

    /// How much has been interned.
    pub(crate) fn len(&self) -> usize {
        self.classes.len() + self.alike.len() + self.selectors.len() + self.namespaces.len()
    }

    /// Makes classes that differ only in labels that no selector looks at one. Tells where each went.
    fn merge(&mut self, first: usize) -> Vec<ClassId> {
        let mut index: FxHashMap<ClassKey, ClassId> = FxHashMap::default();
        let mut kept = Vec::new();
        let places = self
            .classes
            .drain(first..)
            .map(|class| {
                let next = ClassId((first + kept.len()) as u32);
                *index.entry(class_key(&class)).or_insert_with(|| {
                    kept.push(class);
                    next
                })
            })
            .collect();
        self.classes.append(&mut kept);
        places
    }

    fn compile(
        &mut self,
        tools: &mut Tools<'_, '_>,
        pod: &Pod,
        given: Option<&[TopologySpreadConstraint]>,
    ) -> Class {
        let namespace = self.namespace(&pod.metadata.namespace);
        let raw_requests = pod_requests(pod);
        tools.resources.note(&raw_requests);
        let affinity = pod.spec.affinity.as_ref();
        let node_affinity = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
        let required = node_affinity.and_then(|affinity| affinity.required.as_ref()).map(|required| {
            let terms = required.node_selector_terms.iter();
            terms
                .map(|term| {
                    asked_of(tools.algebra, tools.rules, term.match_expressions.as_deref().unwrap_or(&[]))
                })
                .collect()
        });
        let mut preferred: Vec<_> =
            node_affinity.map(|affinity| affinity.preferred.iter().collect()).unwrap_or_default();
        crate::go_sort::sort_slice(&mut preferred, |a, b| a.weight > b.weight);
        let preferred = preferred
            .into_iter()
            .map(|term| {
                let expressions = term.preference.match_expressions.as_deref().unwrap_or(&[]);
                asked_of(tools.algebra, tools.rules, expressions)
            })
            .collect();
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let away = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let spread = given
            .unwrap_or(&pod.spec.topology_spread_constraints)
            .iter()
            .map(|spread| self.spread(tools, pod, spread))
            .collect();
        let own_namespace = self.namespace_set(vec![namespace]);
        let volumes = if pod.spec.volumes.is_empty() {
            VolumeUse::default()
        } else {
            tools.storage.use_of(tools.algebra, tools.rules, pod)
        };
        let containers = || pod.spec.containers.iter().chain(&pod.spec.init_containers);
        Class {
            namespace,
            own_namespace,
            labels: LabelSetId(0),
            requests: Amounts::new(),
            raw_requests,
            selector: asked_of_labels(tools.algebra, tools.rules, &pod.spec.node_selector),
            required,
            preferred,
            spread,
            affinity: self.terms(tools, namespace, near.map_or(&[][..], |near| &near.required)),
            preferred_affinity: self.weighted(tools, namespace, near.map_or(&[][..], |near| &near.preferred)),
            anti_affinity: self.terms(tools, namespace, away.map_or(&[][..], |away| &away.required)),
            preferred_anti_affinity: self.weighted(
                tools,
                namespace,
                away.map_or(&[][..], |away| &away.preferred),
            ),
            tolerations: tools.taints.tolerations(&pod.spec.tolerations),
            ports: self.ports_of(&pod.spec),
            volumes,
            claims_devices: !pod.spec.resource_claims.is_empty()
                || containers().any(|container| !container.resources.claims.is_empty()),
        }
    }

    fn spread(&mut self, tools: &mut Tools<'_, '_>, pod: &Pod, spread: &TopologySpreadConstraint) -> Spread {
        let mut selector = spread.label_selector.clone();
        for key in &spread.match_label_keys {
            if let Some(value) = pod.metadata.labels.get(key) {
                let expression = LabelSelectorRequirement {
                    key: key.clone(),
                    operator: Some(SelectorOperator::In),
                    values: vec![value.into()],
                    ..LabelSelectorRequirement::default()
                };
                selector.get_or_insert_with(LabelSelector::default).match_expressions.push(expression);
            }
        }
        Spread {
            key: tools.algebra.key(&spread.topology_key, |name| tools.rules.is_well_known(name)),
            max_skew: clamp(spread.max_skew),
            min_domains: spread.min_domains.map(clamp),
            soft: spread.when_unsatisfiable == Some(WhenUnsatisfiable::ScheduleAnyway),
            selector: self.selectors.selector(selector.as_ref()),
            honors_affinity: spread.node_affinity_policy != Some(NodeInclusionPolicy::Ignore),
            honors_taints: spread.node_taints_policy == Some(NodeInclusionPolicy::Honor),
        }
    }

    fn weighted(
        &mut self,
        tools: &mut Tools<'_, '_>,
        own: NamespaceId,
        terms: &[WeightedPodAffinityTerm],
    ) -> Vec<PodTerm> {
        let mut sorted: Vec<&WeightedPodAffinityTerm> = terms.iter().collect();
        sorted.sort_by_key(|term| std::cmp::Reverse(term.weight));
        sorted.into_iter().map(|term| self.term(tools, own, &term.pod_affinity_term)).collect()
    }

    fn terms(
        &mut self,
        tools: &mut Tools<'_, '_>,
        own: NamespaceId,
        terms: &[PodAffinityTerm],
    ) -> Vec<PodTerm> {
        terms.iter().map(|term| self.term(tools, own, term)).collect()
    }

    fn term(&mut self, tools: &mut Tools<'_, '_>, own: NamespaceId, term: &PodAffinityTerm) -> PodTerm {
        let mut set: Vec<NamespaceId> = term.namespaces.iter().map(|name| self.namespace(name)).collect();
        match &term.namespace_selector {
            Some(selector) => {
                let selected = self
                    .namespace_labels
                    .iter()
                    .filter(|(_, labels)| crate::kubernetes::selectors::selects(selector, labels))
                    .map(|(namespace, _)| *namespace);
                set.extend(selected);
            }
            None if set.is_empty() => set.push(own),
            None => {}
        }
        PodTerm {
            key: tools.algebra.key(&term.topology_key, |name| tools.rules.is_well_known(name)),
            selector: self.selectors.selector(term.label_selector.as_ref()),
            namespaces: self.namespace_set(set),
        }
    }
}

fn clamp(value: i64) -> i32 {
    value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

type ClassKey = (
    (NamespaceId, LabelSetId, RawAmounts, Asked, Option<Vec<Asked>>, Vec<Asked>),
    (Vec<Spread>, [Vec<PodTerm>; 4], TolerationsId, PortsId, bool),
    (Vec<(Str, Str)>, Vec<Asked>, bool, bool),
);

fn class_key(class: &Class) -> ClassKey {
    let terms = [
        class.affinity.clone(),
        class.preferred_affinity.clone(),
        class.anti_affinity.clone(),
        class.preferred_anti_affinity.clone(),
    ];
    (
        (
            class.namespace,
            class.labels,
            class.raw_requests.clone(),
            class.selector,
            class.required.clone(),
            class.preferred.clone(),
        ),
        (class.spread.clone(), terms, class.tolerations, class.ports, class.claims_devices),
        (
            class.volumes.attached.clone(),
            class.volumes.alternatives.clone(),
            class.volumes.unresolved,
            class.volumes.unreachable,
        ),
    )
}
