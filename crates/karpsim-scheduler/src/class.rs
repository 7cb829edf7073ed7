//! Classes of pods: pods that differ in nothing that a filter or a score looks at, but perhaps their volumes.
//!
//! What must be worked out of a pod's objects is worked out once a class: requests, ports, terms, constraints.

use crate::kind::{Kind, KindId};
use crate::kubernetes::{
    HostPort, RequestOptions, Selector, has_pod_level_requests, host_ports, image_with_tag, milli, requests,
    required_node_affinity,
};
use crate::options::Options;
use crate::resources::Resources;
use crate::topology::TopologyId;
use karpsim::model::core::{
    Container, NodeInclusionPolicy, Pod, PodAffinity, PodAffinityTerm, PodSpec, TopologySpreadConstraint,
    WhenUnsatisfiable,
};
use karpsim::model::meta::{Labels, Operator, OwnerReference, Str};
use karpsim::quantity::Quantity;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// What a container without such a request counts for, in scores.
const DEFAULT_CPU_MILLI: i64 = 100;
const DEFAULT_MEMORY_BYTES: i64 = 200 << 20;

/// The number of a class; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClassId(pub(crate) u64);

/// A class of pods.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) id: ClassId,
    /// What other pods see of it.
    pub(crate) kind: Arc<Kind>,
    /// One of its pods.
    pub(crate) prototype: Arc<Pod>,
    pub(crate) priority: i64,
    /// What a node must have left.
    pub(crate) requests: Resources,
    /// What a pod of it takes on its node.
    pub(crate) usage: Usage,
    /// For NodeResourcesFit's score, in the order of its resources.
    pub(crate) fit_requests: SmallVec<[i64; 2]>,
    /// For NodeResourcesBalancedAllocation: cpu and memory.
    pub(crate) balanced_requests: [i64; 2],
    pub(crate) ports: Vec<HostPort>,
    /// Images of containers, init containers and volumes.
    pub(crate) images: Vec<Str>,
    pub(crate) node_names: NodeNames,
    pub(crate) required_affinity: Vec<AffinityTerm>,
    pub(crate) required_anti_affinity: Vec<AffinityTerm>,
    /// It has pod affinity or anti-affinity of its own, be it empty.
    pub(crate) has_pod_affinity: bool,
    pub(crate) hard_spread: Vec<SpreadConstraint>,
    pub(crate) soft_spread: Vec<SpreadConstraint>,
}

/// What a pod takes on its node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    pub(crate) requested: Resources,
    /// cpu (milli) and memory (bytes) with defaults for containers that ask for none; scores use it.
    pub(crate) nonzero: (i64, i64),
}

/// The nodes that required node affinity names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeNames {
    /// It names none.
    Any,
    /// Only these can do.
    Only(BTreeSet<Str>),
    /// Terms that exclude each other.
    Conflict,
}

/// A term of pod affinity or anti-affinity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AffinityTerm {
    pub(crate) topology: TopologyId,
    /// Sorted.
    namespaces: SmallVec<[Str; 1]>,
    namespace_selector: Selector,
    selector: Selector,
}

impl AffinityTerm {
    fn new(term: &PodAffinityTerm, home: &str, topology: TopologyId) -> Self {
        let mut namespaces: SmallVec<[Str; 1]> =
            if term.namespaces.is_empty() && term.namespace_selector.is_none() {
                [home.into()].into_iter().collect()
            } else {
                term.namespaces.iter().cloned().collect()
            };
        namespaces.sort_unstable();
        namespaces.dedup();
        AffinityTerm {
            topology,
            namespaces,
            namespace_selector: Selector::new(term.namespace_selector.as_ref()),
            selector: Selector::new(term.label_selector.as_ref()),
        }
    }

    /// Whether this term, of a pod that is to be scheduled, means pods with these labels in this namespace. Its selector
    /// of namespaces finds only those there are (`namespace_labels`), unless it is empty.
    pub(crate) fn seeks(&self, namespace: &str, namespace_labels: Option<&Labels>, labels: &Labels) -> bool {
        let in_namespace = self.namespaces.iter().any(|one| one == namespace)
            || self.namespace_selector.is_everything()
            || namespace_labels.is_some_and(|labels| self.namespace_selector.matches(labels));
        in_namespace && self.selector.matches(labels)
    }

    /// Whether this term, of a pod that has a node, means a pod with these labels that is to be scheduled. A namespace
    /// that there is not has no labels.
    pub(crate) fn meets(&self, namespace: &str, namespace_labels: Option<&Labels>, labels: &Labels) -> bool {
        let in_namespace = self.namespaces.iter().any(|one| one == namespace)
            || self.namespace_selector.matches(namespace_labels.unwrap_or(&Labels::default()));
        in_namespace && self.selector.matches(labels)
    }
}

/// A constraint that spreads pods.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SpreadConstraint {
    pub(crate) topology: TopologyId,
    pub(crate) is_hostname: bool,
    pub(crate) max_skew: i64,
    pub(crate) min_domains: i64,
    pub(crate) selector: Selector,
    /// Only nodes that node selector and affinity allow are counted.
    pub(crate) honors_affinity: bool,
    /// Only nodes whose taints are tolerated are counted.
    pub(crate) honors_taints: bool,
}

impl SpreadConstraint {
    pub(crate) fn new(
        constraint: &TopologySpreadConstraint,
        labels: &Labels,
        topology: TopologyId,
        is_hostname: bool,
    ) -> Self {
        let mut selector = Selector::new(constraint.label_selector.as_ref());
        let narrowed: Labels = constraint
            .match_label_keys
            .iter()
            .filter_map(|key| Some((key.clone(), labels.get(key)?)))
            .collect();
        selector.narrow(Selector::of_labels(&narrowed));
        SpreadConstraint {
            topology,
            is_hostname,
            max_skew: constraint.max_skew,
            min_domains: constraint.min_domains.unwrap_or(1),
            selector,
            honors_affinity: constraint.node_affinity_policy != Some(NodeInclusionPolicy::Ignore),
            honors_taints: constraint.node_taints_policy == Some(NodeInclusionPolicy::Honor),
        }
    }

    /// Whether a pod of the kind `other` that is present counts.
    pub(crate) fn counts(&self, namespace: &str, other: &Kind) -> bool {
        !self.selector.is_everything() && other.namespace == namespace && self.selector.matches(&other.labels)
    }
}

impl Class {
    /// Works a class out of one of its pods. `enter` gives the number of a topology.
    pub(crate) fn new(
        id: ClassId,
        pod: &Arc<Pod>,
        options: &Options,
        mut enter: impl FnMut(&str) -> TopologyId,
    ) -> Self {
        let spec = &pod.spec;
        let home = pod.metadata.namespace.as_str();
        let plain = requests(pod, RequestOptions::default());
        let for_fit = requests(
            pod,
            RequestOptions {
                missing_cpu: Some(Quantity::from_milli(DEFAULT_CPU_MILLI)),
                missing_memory: Some(Quantity::from_units(DEFAULT_MEMORY_BYTES)),
                skip_pod_level: true,
                use_status: false,
            },
        );
        let amount = |of: &crate::kubernetes::Amounts, name: &str| {
            let quantity = of.get(name).copied().unwrap_or_default();
            if name == "cpu" { milli(quantity) } else { quantity.units_rounded_up() }
        };
        let affinity = spec.affinity.as_deref();
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let away = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let mut term = |term: &PodAffinityTerm| AffinityTerm::new(term, home, enter(&term.topology_key));
        let mut required = |of: Option<&PodAffinity>| -> Vec<AffinityTerm> {
            of.map(|of| of.required.as_slice()).unwrap_or_default().iter().map(&mut term).collect()
        };
        let (required_affinity, required_anti_affinity) = (required(near), required(away));
        let mut preferred_affinity = Vec::new();
        for (of, sign) in [(near, 1), (away, -1)] {
            for weighted in of.map(|of| of.preferred.as_slice()).unwrap_or_default() {
                preferred_affinity.push((term(&weighted.pod_affinity_term), sign * weighted.weight));
            }
        }
        let mut spread = |action: WhenUnsatisfiable| -> Vec<SpreadConstraint> {
            spec.topology_spread_constraints
                .iter()
                .filter(|constraint| constraint.when_unsatisfiable == Some(action))
                .map(|constraint| {
                    let key = &constraint.topology_key;
                    let topology = enter(key);
                    SpreadConstraint::new(
                        constraint,
                        &pod.metadata.labels,
                        topology,
                        key == crate::kubernetes::HOSTNAME,
                    )
                })
                .collect()
        };
        let kind = Kind {
            id: KindId(0),
            namespace: home.into(),
            labels: pod.metadata.labels.clone(),
            required_affinity: required_affinity.clone(),
            required_anti_affinity: required_anti_affinity.clone(),
            preferred_affinity,
            has_pod_affinity: near.is_some() || away.is_some(),
        };
        Class {
            id,
            kind: Arc::new(kind),
            priority: spec.priority.unwrap_or(0),
            requests: Resources::of_pod(&plain),
            usage: Usage::of_pod(pod, false),
            fit_requests: options
                .scoring_strategy
                .resources
                .iter()
                .map(|(name, _)| amount(&for_fit, name))
                .collect(),
            balanced_requests: [amount(&plain, "cpu"), amount(&plain, "memory")],
            ports: host_ports(spec),
            images: images(spec),
            node_names: node_names(spec),
            required_affinity,
            required_anti_affinity,
            has_pod_affinity: near.is_some() || away.is_some(),
            hard_spread: spread(WhenUnsatisfiable::DoNotSchedule),
            soft_spread: spread(WhenUnsatisfiable::ScheduleAnyway),
            prototype: Arc::clone(pod),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.prototype.metadata.namespace
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.prototype.metadata.labels
    }

    pub(crate) fn spec(&self) -> &PodSpec {
        &self.prototype.spec
    }

    /// Containers and init containers.
    pub(crate) fn container_count(&self) -> usize {
        self.spec().containers.len() + self.spec().init_containers.len()
    }

    /// Whether it asks for neither cpu nor memory.
    pub(crate) fn is_best_effort(&self) -> bool {
        self.balanced_requests == [0, 0]
    }

    /// The owner that manages the pods.
    pub(crate) fn controller(&self) -> Option<&OwnerReference> {
        controller(&self.prototype)
    }
}

fn controller(pod: &Pod) -> Option<&OwnerReference> {
    pod.metadata.owner_references.iter().find(|owner| owner.controller)
}

impl Usage {
    /// What a pod takes; `use_status`: and what its kubelet has set aside.
    pub(crate) fn of_pod(pod: &Pod, use_status: bool) -> Self {
        let plain = requests(pod, RequestOptions { use_status, ..RequestOptions::default() });
        // With requests of the pod as a whole, containers count for a default only if nothing asks for the resource.
        let whole = has_pod_level_requests(&pod.spec);
        let missing =
            |name: &str, default: Quantity| (!whole || !plain.contains_key(name)).then_some(default);
        let nonzero = requests(
            pod,
            RequestOptions {
                missing_cpu: missing("cpu", Quantity::from_milli(DEFAULT_CPU_MILLI)),
                missing_memory: missing("memory", Quantity::from_units(DEFAULT_MEMORY_BYTES)),
                skip_pod_level: false,
                use_status,
            },
        );
        let amount = |name: &str| nonzero.get(name).copied().unwrap_or_default();
        Usage {
            requested: Resources::of_pod(&plain),
            nonzero: (milli(amount("cpu")), amount("memory").units_rounded_up()),
        }
    }

    /// Whether the status of a pod has a say in what it takes.
    pub(crate) fn depends_on_status(pod: &Pod) -> bool {
        pod.status
            .container_statuses
            .iter()
            .chain(&pod.status.init_container_statuses)
            .any(|status| status.resources.is_some())
    }
}

fn images(spec: &PodSpec) -> Vec<Str> {
    let volumes = spec.volumes.iter().filter_map(|volume| volume.image.as_deref());
    spec.init_containers
        .iter()
        .chain(&spec.containers)
        .map(|container| &container.image)
        .chain(volumes.map(|image| &image.reference))
        .map(|name| image_with_tag(name))
        .collect()
}

/// The nodes that all terms of required node affinity name, if they all do.
fn node_names(spec: &PodSpec) -> NodeNames {
    let Some(selector) = required_node_affinity(spec) else { return NodeNames::Any };
    let mut all: Option<BTreeSet<Str>> = None;
    for term in &selector.node_selector_terms {
        let mut of_term: Option<BTreeSet<Str>> = None;
        for field in term.match_fields.as_deref().unwrap_or_default() {
            if field.key == "metadata.name" && field.operator == Some(Operator::In) {
                let named: BTreeSet<Str> = field.values.iter().cloned().collect();
                of_term = Some(match of_term {
                    Some(before) => before.intersection(&named).cloned().collect(),
                    None => named,
                });
            }
        }
        let Some(of_term) = of_term else { return NodeNames::Any };
        all.get_or_insert_default().extend(of_term);
    }
    match all {
        None => NodeNames::Any,
        Some(names) if names.is_empty() => NodeNames::Conflict,
        Some(names) => NodeNames::Only(names),
    }
}

/// Whether both pods belong to one class.
pub(crate) fn same_class(a: &Pod, b: &Pod) -> bool {
    let owner = |pod: &Pod| {
        controller(pod).map(|owner| (owner.api_version.clone(), owner.kind.clone(), owner.name.clone()))
    };
    let containers = |a: &[Container], b: &[Container]| {
        a.len() == b.len()
            && a.iter().zip(b).all(|(a, b)| {
                a.resources.requests == b.resources.requests
                    && a.image == b.image
                    && a.restart_policy == b.restart_policy
                    && a.ports == b.ports
            })
    };
    let images = |spec: &PodSpec| -> Vec<Str> {
        spec.volumes.iter().filter_map(|volume| Some(volume.image.as_ref()?.reference.clone())).collect()
    };
    let whole = |spec: &PodSpec| spec.resources.as_ref().map(|whole| whole.requests.clone());
    let (x, y) = (&a.spec, &b.spec);
    a.metadata.namespace == b.metadata.namespace
        && a.metadata.labels == b.metadata.labels
        && containers(&x.containers, &y.containers)
        && containers(&x.init_containers, &y.init_containers)
        && x.node_selector == y.node_selector
        && x.affinity == y.affinity
        && x.tolerations == y.tolerations
        && x.topology_spread_constraints == y.topology_spread_constraints
        && x.overhead == y.overhead
        && whole(x) == whole(y)
        && x.priority == y.priority
        && x.preemption_policy == y.preemption_policy
        && images(x) == images(y)
        && owner(a) == owner(b)
}

/// A hash that is equal for pods of one class.
pub(crate) fn class_hash(pod: &Pod) -> u64 {
    let mut state = rustc_hash::FxHasher::default();
    pod.metadata.namespace.hash(&mut state);
    pod.metadata.labels.hash(&mut state);
    let spec = &pod.spec;
    for container in spec.containers.iter().chain(&spec.init_containers) {
        container.resources.requests.hash(&mut state);
        container.image.hash(&mut state);
        container.ports.len().hash(&mut state);
    }
    spec.node_selector.hash(&mut state);
    spec.affinity.hash(&mut state);
    spec.tolerations.hash(&mut state);
    spec.topology_spread_constraints.hash(&mut state);
    spec.priority.hash(&mut state);
    controller(pod).map(|owner| &owner.name).hash(&mut state);
    state.finish()
}
