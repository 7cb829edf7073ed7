//! What must hold of a scenario beyond the types of its fields.
//!
//! Refused is what the API server would refuse and what would make a decision meaningless: amounts below nothing,
//! operators without their values, two objects of one name. What Karpenter itself refuses (a pod with an impossible
//! selector, a NodePool with a forbidden label) passes: refusing it is part of the decision.

use super::findings::Findings;
use super::read::title_of;
use crate::api::core::{
    Affinity, Container, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, ResourceList, Toleration,
    TolerationOperator, TopologySpreadConstraint,
};
use crate::api::defaults::NODE_POOL_CONDITIONS;
use crate::api::karpenter::{Budget, NodePool, RequirementWithMinValues};
use crate::api::meta::{ObjectMeta, Operator, Str, condition_is_true};
use crate::api::objects::Objects;
use crate::api::problem::{Notice, NoticeKind, Place, Problem, ProblemKind, near_miss};
use crate::api::scenario::ScenarioText;
use crate::api::wire::{Audit, LeftoverField, Path, Sink};
use crate::catalogue::InstanceType;
use rustc_hash::FxHashSet;

/// Kinds that decide nothing and are no surprise.
const WELL_KNOWN: &[&str] = &[
    "APIService",
    "AWSNodeTemplate",
    "AKSNodeClass",
    "ClusterRole",
    "ClusterRoleBinding",
    "ComponentStatus",
    "ConfigMap",
    "ControllerRevision",
    "CronJob",
    "CSIDriver",
    "CSIStorageCapacity",
    "CustomResourceDefinition",
    "Deployment",
    "DeviceClass",
    "EC2NodeClass",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "FlowSchema",
    "GCENodeClass",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Job",
    "KWOKNodeClass",
    "Lease",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "NetworkPolicy",
    "PodMetrics",
    "NodeMetrics",
    "PodTemplate",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ReplicaSet",
    "ReplicationController",
    "ResourceClaim",
    "ResourceClaimTemplate",
    "ResourceQuota",
    "ResourceSlice",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    "TestNodeClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VerticalPodAutoscaler",
    "VolumeAttachment",
];

/// Kinds that decide something, in the version that is read.
const DECIDING: &[(&str, &str)] = &[
    ("v1", "Pod"),
    ("v1", "Node"),
    ("karpenter.sh/v1", "NodeClaim"),
    ("karpenter.sh/v1", "NodePool"),
    ("karpenter.sh/v1alpha1", "NodeOverlay"),
    ("karpenter.sh/v1alpha5", "Provisioner"),
    ("apps/v1", "DaemonSet"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("storage.k8s.io/v1", "CSINode"),
    ("policy/v1", "PodDisruptionBudget"),
];

type Checked = Result<(), Problem>;

/// Checks everything in `text`. Notices of converted objects are taken out of it.
pub(super) fn scenario(text: &mut ScenarioText, findings: &mut Findings) -> Checked {
    let objects = &mut text.objects.0;
    for notice in std::mem::take(&mut objects.notices) {
        findings.add(notice);
    }
    if let Some(problem) = objects.problems.pop() {
        return Err(problem);
    }
    let mut leftovers = Leftovers { title: &|| String::new(), strict: true, findings, problem: None };
    text.audit(&Path::ROOT, &mut leftovers);
    leftovers.done()?;
    for it in &text.catalogue.instance_types {
        instance_type(it)?;
    }
    let objects = &text.objects.0;
    others(objects, findings)?;
    names(objects)?;
    fields(objects, findings)?;
    values(objects)?;
    for pool in &objects.node_pools {
        readiness(pool, findings);
    }
    Ok(())
}

/// A type that the scenario itself describes. Less is asked of it than of a catalogue's: it may lack what a recorded
/// scenario lacks.
fn instance_type(it: &InstanceType) -> Checked {
    let at = |rest: &str| Place::in_object(format!("instance type `{}`", it.name), rest);
    if it.name.is_empty() {
        return Err(missing(Place::at("catalogue.instanceTypes"), "name"));
    }
    not_negative(&it.capacity, || at("capacity"))?;
    not_negative(&it.overhead.kube_reserved, || at("overhead.kubeReserved"))?;
    not_negative(&it.overhead.system_reserved, || at("overhead.systemReserved"))?;
    not_negative(&it.overhead.eviction_threshold, || at("overhead.evictionThreshold"))?;
    for (index, requirement) in it.requirements.iter().enumerate() {
        if requirement.operator.is_none() {
            return Err(missing(at(&format!("requirements[{index}]")), "operator"));
        }
    }
    for (index, offering) in it.offerings.iter().enumerate() {
        if !offering.price.0.is_finite() || offering.price.0 < 0.0 {
            return Err(value(
                at(&format!("offerings[{index}].price")),
                format!("`{}`", offering.price.0),
                "a price of 0 or more",
            ));
        }
    }
    Ok(())
}

fn value(place: Place, found: impl Into<String>, allowed: impl Into<String>) -> Problem {
    Problem::new(place, ProblemKind::Value { found: found.into(), allowed: allowed.into(), near: None })
}

fn missing(place: Place, name: &str) -> Problem {
    Problem::new(place, ProblemKind::Missing { name: name.to_owned() })
}

/// Kinds without a place: well known, unknown, or of a group and version that should have been another.
fn others(objects: &Objects, findings: &mut Findings) -> Checked {
    for other in &objects.others {
        let (api_version, kind) = (other.api_version.as_str(), other.kind.as_str());
        let here = || Place::at(format!("objects[{}]", other.index));
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        if let Some((right, _)) = DECIDING.iter().find(|(_, deciding)| *deciding == kind) {
            // `v1beta1` of PodDisruptionBudget, `karpenter.sh/v2` of NodePool; but NodePool of another group is another.
            if right.split_once('/').map_or("", |(group, _)| group) == group {
                return Err(value(
                    Place::at(format!("{}.apiVersion", here().path)),
                    format!("`{api_version}` for kind {kind}"),
                    format!("`{right}`"),
                ));
            }
        }
        if group == "karpenter.sh" {
            let deciding = DECIDING.iter().filter(|(version, _)| version.starts_with("karpenter.sh/"));
            return Err(Problem::new(
                here(),
                ProblemKind::UnknownName {
                    what: "kind",
                    name: kind.to_owned(),
                    sought: format!("`{api_version}`"),
                    near: near_miss(kind, deciding.map(|(_, kind)| *kind)).map(str::to_owned),
                },
            ));
        }
        if !WELL_KNOWN.contains(&kind) {
            let near = near_miss(kind, DECIDING.iter().map(|(_, kind)| *kind)).filter(|near| *near != kind);
            findings.add(Notice {
                place: here(),
                kind: NoticeKind::UnknownKind {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                    near: near.map(str::to_owned),
                },
            });
        }
    }
    Ok(())
}

/// Every object has a name, and no two of a kind the same.
fn names(objects: &Objects) -> Checked {
    fn unique<'a>(kind: &str, all: impl Iterator<Item = &'a ObjectMeta>) -> Checked {
        let mut seen: FxHashSet<(&str, &str)> = FxHashSet::default();
        for metadata in all {
            if metadata.name.is_empty() {
                return Err(missing(Place::in_object(title_of(kind, metadata), "metadata"), "name"));
            }
            if !seen.insert((&metadata.namespace, &metadata.name)) {
                return Err(value(
                    Place::in_object(title_of(kind, metadata), "metadata.name"),
                    "it twice",
                    "one object of a name",
                ));
            }
        }
        Ok(())
    }
    unique("Pod", objects.pods.iter().map(|pod| &pod.metadata))?;
    unique("Node", objects.nodes.iter().map(|node| &node.metadata))?;
    unique("NodeClaim", objects.node_claims.iter().map(|claim| &claim.metadata))?;
    unique("NodePool", objects.node_pools.iter().map(|pool| &pool.metadata))?;
    unique("NodeOverlay", objects.node_overlays.iter().map(|overlay| &overlay.metadata))?;
    unique("DaemonSet", objects.daemon_sets.iter().map(|set| &set.metadata))?;
    unique("Namespace", objects.namespaces.iter().map(|namespace| &namespace.metadata))?;
    unique("PersistentVolume", objects.persistent_volumes.iter().map(|volume| &volume.metadata))?;
    unique("PersistentVolumeClaim", objects.persistent_volume_claims.iter().map(|claim| &claim.metadata))?;
    unique("StorageClass", objects.storage_classes.iter().map(|class| &class.metadata))?;
    unique("CSINode", objects.csi_nodes.iter().map(|node| &node.metadata))?;
    unique("PodDisruptionBudget", objects.pod_disruption_budgets.iter().map(|budget| &budget.metadata))
}

/// Receives fields without a place of one object.
struct Leftovers<'a> {
    title: &'a dyn Fn() -> String,
    /// Karpenter's kinds and karpsim's own forms have no unknown fields.
    strict: bool,
    findings: &'a mut Findings,
    problem: Option<Problem>,
}

impl Leftovers<'_> {
    fn done(self) -> Checked {
        self.problem.map_or(Ok(()), Err)
    }
}

impl Sink for Leftovers<'_> {
    fn leftover(&mut self, path: &Path<'_>, field: &LeftoverField, known: &'static [&'static str]) {
        let place = Place::in_object((self.title)(), path.to_string());
        let name = field.name.to_string();
        if field.unmodelled {
            return self.findings.add(Notice { place, kind: NoticeKind::Unmodelled { name } });
        }
        let near = near_miss(&name, known.iter().copied()).map(str::to_owned);
        if self.strict || near.is_some() {
            if self.problem.is_none() {
                let kind = ProblemKind::UnknownField { name, near, known: known.to_vec() };
                self.problem = Some(Problem::new(place, kind));
            }
        } else {
            self.findings.add(Notice { place, kind: NoticeKind::UnknownField { name } });
        }
    }
}

/// No field is unknown, or nearly known.
fn fields(objects: &Objects, findings: &mut Findings) -> Checked {
    let mut each = |kind: &str, metadata: &ObjectMeta, object: &dyn Audit| {
        let strict = matches!(kind, "NodePool" | "NodeClaim" | "NodeOverlay");
        let title = || title_of(kind, metadata);
        let mut leftovers = Leftovers { title: &title, strict, findings, problem: None };
        object.audit(&Path::ROOT, &mut leftovers);
        leftovers.done()
    };
    objects.pods.iter().try_for_each(|pod| each("Pod", &pod.metadata, &**pod))?;
    objects.nodes.iter().try_for_each(|node| each("Node", &node.metadata, &**node))?;
    objects.node_claims.iter().try_for_each(|claim| each("NodeClaim", &claim.metadata, &**claim))?;
    objects.node_pools.iter().try_for_each(|pool| each("NodePool", &pool.metadata, pool))?;
    objects.node_overlays.iter().try_for_each(|overlay| each("NodeOverlay", &overlay.metadata, overlay))?;
    objects.daemon_sets.iter().try_for_each(|set| each("DaemonSet", &set.metadata, set))?;
    objects.namespaces.iter().try_for_each(|namespace| each("Namespace", &namespace.metadata, namespace))?;
    objects.persistent_volumes.iter().try_for_each(|pv| each("PersistentVolume", &pv.metadata, pv))?;
    objects
        .persistent_volume_claims
        .iter()
        .try_for_each(|pvc| each("PersistentVolumeClaim", &pvc.metadata, pvc))?;
    objects.storage_classes.iter().try_for_each(|class| each("StorageClass", &class.metadata, class))?;
    objects.csi_nodes.iter().try_for_each(|node| each("CSINode", &node.metadata, node))?;
    objects.pod_disruption_budgets.iter().try_for_each(|pdb| each("PodDisruptionBudget", &pdb.metadata, pdb))
}

/// Amounts and operators.
fn values(objects: &Objects) -> Checked {
    for pod in &objects.pods {
        self::pod(pod)?;
    }
    for set in &objects.daemon_sets {
        let title = || title_of("DaemonSet", &set.metadata);
        pod_spec(&set.spec.template.spec, &|path| {
            Place::in_object(title(), format!("spec.template.spec.{path}"))
        })?;
    }
    for node in &objects.nodes {
        let at = |path: &str| Place::in_object(title_of("Node", &node.metadata), path);
        not_negative(&node.status.capacity, || at("status.capacity"))?;
        not_negative(&node.status.allocatable, || at("status.allocatable"))?;
    }
    for claim in &objects.node_claims {
        let at = |path: &str| Place::in_object(title_of("NodeClaim", &claim.metadata), path);
        not_negative(&claim.status.capacity, || at("status.capacity"))?;
        not_negative(&claim.status.allocatable, || at("status.allocatable"))?;
        karpenter_requirements(&claim.spec.requirements, &at, "spec.requirements")?;
    }
    for pool in &objects.node_pools {
        let at = |path: &str| Place::in_object(title_of("NodePool", &pool.metadata), path);
        if let Some(limits) = &pool.spec.limits {
            not_negative(limits, || at("spec.limits"))?;
        }
        karpenter_requirements(
            &pool.spec.template.spec.requirements,
            &at,
            "spec.template.spec.requirements",
        )?;
        for (index, budget) in pool.spec.disruption.budgets.iter().enumerate() {
            self::budget(budget, &|path| at(&format!("spec.disruption.budgets[{index}]{path}")))?;
        }
    }
    for overlay in &objects.node_overlays {
        let at = |path: &str| Place::in_object(title_of("NodeOverlay", &overlay.metadata), path);
        if let Some(capacity) = &overlay.spec.capacity {
            not_negative(capacity, || at("spec.capacity"))?;
        }
        karpenter_requirements(&overlay.spec.requirements, &at, "spec.requirements")?;
    }
    Ok(())
}

fn not_negative(list: &ResourceList, place: impl Fn() -> Place) -> Checked {
    match list.iter().find(|(_, quantity)| quantity.is_negative()) {
        None => Ok(()),
        Some((name, quantity)) => {
            let mut place = place();
            place.path = format!("{}.{name}", place.path);
            Err(value(place, format!("`{quantity}`"), "a quantity of 0 or more"))
        }
    }
}

fn pod(pod: &Pod) -> Checked {
    pod_spec(&pod.spec, &|path| Place::in_object(title_of("Pod", &pod.metadata), format!("spec.{path}")))
}

fn pod_spec(spec: &PodSpec, at: &dyn Fn(&str) -> Place) -> Checked {
    for (list, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        for (index, container) in containers.iter().enumerate() {
            self::container(container, &|path| at(&format!("{list}[{index}].{path}")))?;
        }
    }
    not_negative(&spec.overhead, || at("overhead"))?;
    if let Some(resources) = &spec.resources {
        not_negative(&resources.requests, || at("resources.requests"))?;
        not_negative(&resources.limits, || at("resources.limits"))?;
    }
    if let Some(affinity) = &spec.affinity {
        self::affinity(affinity, at)?;
    }
    for (index, toleration) in spec.tolerations.iter().enumerate() {
        self::toleration(toleration, &|path| at(&format!("tolerations[{index}]{path}")))?;
    }
    for (index, constraint) in spec.topology_spread_constraints.iter().enumerate() {
        spread(constraint, &|path| at(&format!("topologySpreadConstraints[{index}]{path}")))?;
    }
    Ok(())
}

fn container(container: &Container, at: &dyn Fn(&str) -> Place) -> Checked {
    not_negative(&container.resources.requests, || at("resources.requests"))?;
    not_negative(&container.resources.limits, || at("resources.limits"))
}

fn affinity(affinity: &Affinity, at: &dyn Fn(&str) -> Place) -> Checked {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let Some(node) = &affinity.node_affinity else { return Ok(()) };
    if let Some(required) = &node.required {
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            node_term(term, &|path| {
                at(&format!("affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[{index}].{path}"))
            })?;
        }
    }
    for (index, term) in node.preferred.iter().enumerate() {
        node_term(&term.preference, &|path| {
            at(&format!("affinity.nodeAffinity.{PREFERRED}[{index}].preference.{path}"))
        })?;
    }
    Ok(())
}

fn node_term(term: &NodeSelectorTerm, at: &dyn Fn(&str) -> Place) -> Checked {
    for (index, expression) in term.match_expressions.iter().flatten().enumerate() {
        let NodeSelectorRequirement { operator, values, .. } = expression;
        operator_and_values(*operator, values, false, &|path| {
            at(&format!("matchExpressions[{index}]{path}"))
        })?;
    }
    Ok(())
}

fn karpenter_requirements(
    requirements: &[RequirementWithMinValues],
    at: &dyn Fn(&str) -> Place,
    list: &str,
) -> Checked {
    for (index, requirement) in requirements.iter().enumerate() {
        operator_and_values(requirement.operator, &requirement.values, true, &|path| {
            at(&format!("{list}[{index}]{path}"))
        })?;
    }
    Ok(())
}

/// An operator has as many values as it needs. Karpenter's kinds are laxer where nothing hangs on it.
fn operator_and_values(
    operator: Option<Operator>,
    values: &[Str],
    of_karpenter: bool,
    at: &dyn Fn(&str) -> Place,
) -> Checked {
    let Some(operator) = operator else { return Err(missing(at(""), "operator")) };
    let allowed = match operator {
        Operator::In if values.is_empty() => "one value or more",
        Operator::NotIn if values.is_empty() && !of_karpenter => "one value or more",
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() && !of_karpenter => "no value",
        Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte if !one_integer(values) => "one integer",
        _ => return Ok(()),
    };
    let found = match values {
        [] => "none".to_owned(),
        [one] => format!("{one:?}"),
        many => format!("{} values", many.len()),
    };
    Err(value(at(".values"), found, format!("{allowed} with operator {}", operator.as_str())))
}

fn one_integer(values: &[Str]) -> bool {
    matches!(values, [one] if one.parse::<i64>().is_ok())
}

fn toleration(toleration: &Toleration, at: &dyn Fn(&str) -> Place) -> Checked {
    if toleration.key.is_empty() && toleration.operator != Some(TolerationOperator::Exists) {
        return Err(value(
            at(".operator"),
            toleration.operator.map_or("none".to_owned(), |operator| format!("`{}`", operator.as_str())),
            "`Exists` where there is no key",
        ));
    }
    if toleration.operator == Some(TolerationOperator::Exists) && !toleration.value.is_empty() {
        return Err(value(at(".value"), format!("{:?}", toleration.value), "no value with operator Exists"));
    }
    Ok(())
}

fn spread(constraint: &TopologySpreadConstraint, at: &dyn Fn(&str) -> Place) -> Checked {
    if constraint.max_skew < 1 {
        return Err(value(at(".maxSkew"), format!("`{}`", constraint.max_skew), "1 or more"));
    }
    if constraint.topology_key.is_empty() {
        return Err(missing(at(""), "topologyKey"));
    }
    if constraint.when_unsatisfiable.is_none() {
        return Err(missing(at(""), "whenUnsatisfiable"));
    }
    match constraint.min_domains {
        Some(domains) if domains < 1 => Err(value(at(".minDomains"), format!("`{domains}`"), "1 or more")),
        _ => Ok(()),
    }
}

fn budget(budget: &Budget, at: &dyn Fn(&str) -> Place) -> Checked {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match budget.nodes.strip_suffix('%') {
        Some(percent) => number(percent) && percent.parse::<u64>().is_ok_and(|percent| percent <= 100),
        None => number(&budget.nodes),
    };
    if !fits {
        return Err(value(
            at(".nodes"),
            format!("{:?}", budget.nodes),
            "a number such as \"3\" or a percentage such as \"10%\"",
        ));
    }
    match (&budget.schedule, &budget.duration) {
        (Some(_), None) => Err(missing(at(""), "duration")),
        (None, Some(_)) => Err(missing(at(""), "schedule")),
        _ => Ok(()),
    }
}

/// A scenario's NodePool counts only with its three conditions.
fn readiness(pool: &NodePool, findings: &mut Findings) {
    let lacking: Vec<&'static str> = NODE_POOL_CONDITIONS
        .into_iter()
        .filter(|condition| !condition_is_true(&pool.status.conditions, condition))
        .collect();
    if !lacking.is_empty() {
        findings.add(Notice {
            place: Place::in_object(title_of("NodePool", &pool.metadata), "status.conditions"),
            kind: NoticeKind::NodePoolNotReady { conditions: lacking },
        });
    }
}
