//! What Kubernetes means by the fields of its objects, as far as kube-scheduler asks: taints, selectors, requests, ports,
//! names of resources, the zone of a node.

use karpsim::model::core::{
    Container, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, ResourceList,
    Taint, TaintEffect, Toleration, TolerationOperator,
};
use karpsim::model::meta::{LabelSelector, Labels, Operator, SelectorOperator, Str};
use karpsim::quantity::Quantity;
use std::collections::BTreeMap;

/// `kubernetes.io/hostname`.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
/// `topology.kubernetes.io/zone`.
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
/// `topology.kubernetes.io/region`.
pub(crate) const REGION: &str = "topology.kubernetes.io/region";
/// What was the label of the zone.
pub(crate) const BETA_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
/// What was the label of the region.
pub(crate) const BETA_REGION: &str = "failure-domain.beta.kubernetes.io/region";
/// The taint of a cordoned node.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Whether one of `tolerations` covers `taint`. The comparing operators are behind a gate that is off.
pub(crate) fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        (toleration.effect.is_none() || toleration.effect == taint.effect)
            && (toleration.key.is_empty() || toleration.key == taint.key)
            && match toleration.operator {
                None | Some(TolerationOperator::Equal) => toleration.value == taint.value,
                Some(TolerationOperator::Exists) => true,
                Some(TolerationOperator::Lt | TolerationOperator::Gt) => false,
            }
    })
}

/// Whether all taints that keep new pods away are tolerated.
pub(crate) fn tolerates_all(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    taints
        .iter()
        .filter(|taint| matches!(taint.effect, Some(TaintEffect::NoSchedule | TaintEffect::NoExecute)))
        .all(|taint| tolerates(tolerations, taint))
}

/// Whether the pod may go to a cordoned node.
pub(crate) fn tolerates_cordon(tolerations: &[Toleration]) -> bool {
    let cordon =
        Taint { key: UNSCHEDULABLE.into(), effect: Some(TaintEffect::NoSchedule), ..Taint::default() };
    tolerates(tolerations, &cordon)
}

/// A label selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Selector {
    /// Selects nothing: none was given, or one that the API server would refuse.
    #[default]
    Nothing,
    /// All requirements must hold; without any, everything is selected.
    All(Vec<Requirement>),
}

/// One requirement of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Requirement {
    key: Str,
    operator: SelectorOperator,
    values: Vec<Str>,
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = || value.is_some_and(|value| self.values.iter().any(|one| one == value));
        match self.operator {
            SelectorOperator::In => listed(),
            SelectorOperator::NotIn => !listed(),
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}

impl Selector {
    /// The selector that an object has.
    pub(crate) fn new(selector: Option<&LabelSelector>) -> Self {
        let Some(selector) = selector else { return Selector::Nothing };
        let mut all = Selector::of_labels(&selector.match_labels);
        for expression in &selector.match_expressions {
            let Some(operator) = expression.operator else { return Selector::Nothing };
            let counted = match operator {
                SelectorOperator::In | SelectorOperator::NotIn => !expression.values.is_empty(),
                SelectorOperator::Exists | SelectorOperator::DoesNotExist => expression.values.is_empty(),
            };
            if !counted {
                return Selector::Nothing;
            }
            all.require(Requirement {
                key: expression.key.clone(),
                operator,
                values: expression.values.clone(),
            });
        }
        all.sort();
        all
    }

    /// All of these labels.
    pub(crate) fn of_labels(labels: &Labels) -> Self {
        let one = |(key, value): (&str, &str)| Requirement {
            key: key.into(),
            operator: SelectorOperator::In,
            values: vec![value.into()],
        };
        Selector::All(labels.iter().map(one).collect())
    }

    /// Narrows it by all that `other` requires. What selects nothing, or is joined with it, stays as it is.
    pub(crate) fn narrow(&mut self, other: Selector) {
        if let Selector::All(requirements) = other {
            for requirement in requirements {
                self.require(requirement);
            }
            self.sort();
        }
    }

    fn require(&mut self, requirement: Requirement) {
        if let Selector::All(requirements) = self
            && !requirements.contains(&requirement)
        {
            requirements.push(requirement);
        }
    }

    fn sort(&mut self) {
        if let Selector::All(requirements) = self {
            requirements.sort_unstable();
        }
    }

    /// Whether nothing is required.
    pub(crate) fn is_everything(&self) -> bool {
        matches!(self, Selector::All(requirements) if requirements.is_empty())
    }

    /// Whether it selects something with these labels.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        match self {
            Selector::Nothing => false,
            Selector::All(requirements) => requirements.iter().all(|requirement| requirement.holds(labels)),
        }
    }
}

/// Node selector and required node affinity of a pod: whether `node` satisfies both.
pub(crate) fn matches_node(spec: &PodSpec, node: &Node) -> bool {
    let labels = &node.metadata.labels;
    spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && required_node_affinity(spec)
            .is_none_or(|selector| selects_node(selector, labels, &node.metadata.name))
}

/// The required node affinity of a pod.
pub(crate) fn required_node_affinity(spec: &PodSpec) -> Option<&NodeSelector> {
    spec.affinity.as_ref()?.node_affinity.as_ref()?.required.as_ref()
}

/// Whether a node of this name with these labels satisfies one of the terms.
pub(crate) fn selects_node(selector: &NodeSelector, labels: &Labels, name: &str) -> bool {
    selector.node_selector_terms.iter().any(|term| term_holds(term, labels, name))
}

/// Whether a term of node affinity holds. An empty one, or one that the API server would refuse, holds nowhere. A node
/// without name has no fields, and satisfies whatever is asked of them.
pub(crate) fn term_holds(term: &NodeSelectorTerm, labels: &Labels, name: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|requirement| expression_holds(requirement, labels.get(&requirement.key)))
        && fields.iter().all(|requirement| field_holds(requirement, name))
}

fn expression_holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = &requirement.values;
    let listed = || value.is_some_and(|value| values.iter().any(|one| one == value));
    let numbers = || match values.as_slice() {
        [bound] => Some((value?.parse::<i64>().ok()?, bound.parse::<i64>().ok()?)),
        _ => None,
    };
    match requirement.operator {
        Some(Operator::In) => listed(),
        Some(Operator::NotIn) => !values.is_empty() && !listed(),
        Some(Operator::Exists) => values.is_empty() && value.is_some(),
        Some(Operator::DoesNotExist) => values.is_empty() && value.is_none(),
        Some(Operator::Gt) => numbers().is_some_and(|(value, bound)| value > bound),
        Some(Operator::Lt) => numbers().is_some_and(|(value, bound)| value < bound),
        Some(Operator::Gte | Operator::Lte) | None => false,
    }
}

fn field_holds(requirement: &NodeSelectorRequirement, name: &str) -> bool {
    let [wanted] = requirement.values.as_slice() else { return false };
    let value = if requirement.key == "metadata.name" { name } else { "" };
    match requirement.operator {
        Some(Operator::In) => name.is_empty() || value == wanted,
        Some(Operator::NotIn) => name.is_empty() || value != wanted,
        _ => false,
    }
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    ip: Str,
    protocol: Str,
    port: i64,
}

const ANY_ADDRESS: &str = "0.0.0.0";

impl HostPort {
    /// Whether both cannot be on one node.
    pub(crate) fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || self.ip == ANY_ADDRESS || other.ip == ANY_ADDRESS)
    }
}

/// Whether a container is a sidecar: an init container that keeps running.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy == "Always"
}

/// The host ports of containers and sidecars.
pub(crate) fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let or = |text: &Str, default: &'static str| if text.is_empty() { default.into() } else { text.clone() };
    spec.init_containers
        .iter()
        .filter(|container| is_sidecar(container))
        .chain(&spec.containers)
        .flat_map(|container| &container.ports)
        .filter(|port| port.host_port > 0)
        .map(|port| HostPort {
            ip: or(&port.host_ip, ANY_ADDRESS),
            protocol: or(&port.protocol, "TCP"),
            port: port.host_port,
        })
        .collect()
}

/// Amounts by resource.
pub(crate) type Amounts = BTreeMap<Str, Quantity>;

/// How requests of a pod are added up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestOptions {
    /// What a container without a request of cpu, or of memory, counts for (each if it is given).
    pub(crate) missing_cpu: Option<Quantity>,
    /// The same of memory.
    pub(crate) missing_memory: Option<Quantity>,
    /// Requests of the pod as a whole have no effect.
    pub(crate) skip_pod_level: bool,
    /// What the kubelet has set aside counts, too.
    pub(crate) use_status: bool,
}

/// What a pod requests: its containers and sidecars together, or the largest moment of its init containers; requests of
/// the pod as a whole; overhead.
pub(crate) fn requests(pod: &Pod, options: RequestOptions) -> Amounts {
    let spec = &pod.spec;
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &container_requests(pod, container, true, options));
    }
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in &spec.init_containers {
        let own = container_requests(pod, container, is_sidecar(container), options);
        if is_sidecar(container) {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, &own);
            raise(&mut peak, &beside);
        }
    }
    raise(&mut total, &peak);
    if let Some(whole) = spec.resources.as_deref()
        && !options.skip_pod_level
    {
        for (name, quantity) in whole.requests.iter().filter(|(name, _)| is_pod_level_resource(name)) {
            total.insert(name.into(), quantity);
        }
    }
    for (name, quantity) in spec.overhead.iter() {
        *total.entry(name.into()).or_default() += quantity;
    }
    total
}

/// Whether the pod as a whole requests something.
pub(crate) fn has_pod_level_requests(spec: &PodSpec) -> bool {
    spec.resources
        .as_deref()
        .is_some_and(|whole| whole.requests.iter().any(|(name, _)| is_pod_level_resource(name)))
}

fn is_pod_level_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn container_requests(pod: &Pod, container: &Container, resizes: bool, options: RequestOptions) -> Amounts {
    let list = |list: &ResourceList| -> Amounts {
        list.iter().map(|(name, quantity)| (name.into(), quantity)).collect()
    };
    let mut own = list(&container.resources.requests);
    let statuses = pod.status.container_statuses.iter().chain(&pod.status.init_container_statuses);
    // Of two statuses with one name the last counts.
    if options.use_status
        && resizes
        && let Some(status) = statuses.rev().find(|status| status.name == container.name)
        && let Some(in_force) = &status.resources
    {
        let pending = pod.status.conditions.iter().find(|condition| condition.kind == "PodResizePending");
        if pending.is_some_and(|condition| condition.reason == "Infeasible") {
            own.clear();
        }
        raise(&mut own, &list(&in_force.requests));
        raise(&mut own, &list(&status.allocated_resources));
    }
    for (name, missing) in [("cpu", options.missing_cpu), ("memory", options.missing_memory)] {
        if let Some(missing) = missing {
            own.entry(name.into()).or_insert(missing);
        }
    }
    own
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        *to.entry(name.clone()).or_default() += *quantity;
    }
}

fn raise(amounts: &mut Amounts, to: &Amounts) {
    for (name, quantity) in to {
        let amount = amounts.entry(name.clone()).or_insert(*quantity);
        *amount = (*amount).max(*quantity);
    }
}

/// Thousandths, rounded up (`Quantity.MilliValue`).
pub(crate) fn milli(quantity: Quantity) -> i64 {
    const NANOS_IN_MILLI: i128 = 1_000_000;
    let nanos = quantity.nanos();
    let up = i128::from(nanos.rem_euclid(NANOS_IN_MILLI) != 0);
    i64::try_from(nanos.div_euclid(NANOS_IN_MILLI) + up).unwrap_or(i64::MAX)
}

/// Whether kube-scheduler counts a resource of this name besides cpu, memory, ephemeral storage and pods.
pub(crate) fn is_scalar_resource(name: &str) -> bool {
    is_extended_resource(name)
        || name.starts_with("hugepages-")
        || name.contains("kubernetes.io/")
        || name.starts_with("attachable-volumes-")
}

fn is_extended_resource(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
}

/// Region and zone of a node; `None` if it has neither.
pub(crate) fn zone_of(labels: &Labels) -> Option<(Str, Str)> {
    let either = |old: &str, new: &str| labels.get(old).or(labels.get(new)).unwrap_or_default();
    let (region, zone) = (either(BETA_REGION, REGION), either(BETA_ZONE, ZONE));
    (!region.is_empty() || !zone.is_empty()).then(|| (region.into(), zone.into()))
}

/// An image's name with its tag.
pub(crate) fn image_with_tag(name: &str) -> Str {
    // A colon before the last slash belongs to a port.
    match (name.rfind(':'), name.rfind('/')) {
        (Some(colon), slash) if slash.is_none_or(|slash| colon > slash) => name.into(),
        _ => Str::from(format!("{name}:latest")),
    }
}
