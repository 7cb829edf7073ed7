//! One object: its fields are known, and what stands in them is allowed.

use super::findings::Findings;
use super::located::{Located, title};
use crate::kubernetes::cron::Schedule;
use crate::model::autoscaling::{HorizontalPodAutoscaler, HorizontalPodAutoscalerV1};
use crate::model::core::{
    Affinity, Container, CsiNode, DaemonSet, Namespace, Node, NodeSelectorRequirement, NodeSelectorTerm,
    PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, PodSpec, PodTemplateSpec,
    ResourceList, StorageClass, Toleration, TolerationOperator, TopologySpreadConstraint,
};
use crate::model::karpenter::{Budget, NodeClaim, NodeOverlay, NodePool, RequirementWithMinValues};
use crate::model::meta::{Duration, NillableDuration, Operator, Str};
use crate::model::selecting::{ReplicaSet, ReplicationController, Service, StatefulSet};
use crate::model::wire::{Audit, LeftoverField, Path, Sink};
use crate::problem::{Notice, NoticeKind, Place, Problem, ProblemKind, near_miss};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) type Checked = Result<(), Problem>;

/// An object that decides something.
pub trait Object: Audit {
    /// Whether a field that is not known is an error, and not only one that nearly is known: so with Karpenter's kinds.
    const STRICT: bool = false;

    /// What stands in the fields is allowed: amounts, operators, schedules. `at` makes a place of a path.
    ///
    /// # Errors
    ///
    /// The first value that is not.
    fn check_values(&self, at: &dyn Fn(&str) -> Place, findings: &mut Findings) -> Result<(), Problem> {
        let _ = (at, findings);
        Ok(())
    }
}

/// Reads one object, as [`super::validate`] has those of a scenario, but for what the API server would have filled in.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn read_object<T: Object + DeserializeOwned>(
    object: &Value,
    findings: &mut Findings,
) -> Result<T, Problem> {
    read_part(object, &|| title(object), findings)
}

/// Reads the pod template of the object that is called `owner`. Places are paths in the template.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn read_template(
    template: &Value,
    owner: &str,
    findings: &mut Findings,
) -> Result<PodTemplateSpec, Problem> {
    read_part(template, &|| owner.to_owned(), findings)
}

fn read_part<T: Object + DeserializeOwned>(
    value: &Value,
    title: &dyn Fn() -> String,
    findings: &mut Findings,
) -> Result<T, Problem> {
    let read = match T::deserialize(value) {
        Ok(read) => read,
        // The same again, slower, with the way to what is wrong.
        Err(_) => T::deserialize(Located(value)).map_err(|fault| fault.under_title(title()))?,
    };
    check(&read, title, findings)?;
    Ok(read)
}

/// The fields of an object, and what stands in them.
pub(super) fn check<T: Object>(object: &T, title: &dyn Fn() -> String, findings: &mut Findings) -> Checked {
    fields(object, title, T::STRICT, findings)?;
    object.check_values(&|path| Place::in_object(title(), path), findings)
}

/// No field is unknown, or nearly known.
pub(super) fn fields(
    object: &dyn Audit,
    title: &dyn Fn() -> String,
    strict: bool,
    findings: &mut Findings,
) -> Checked {
    let mut leftovers = Leftovers { title, strict, findings, problem: None };
    object.audit(&Path::ROOT, &mut leftovers);
    leftovers.problem.map_or(Ok(()), Err)
}

/// Receives fields without a place of one object.
struct Leftovers<'a> {
    title: &'a dyn Fn() -> String,
    /// Karpenter's kinds and karpsim's own forms have no unknown fields.
    strict: bool,
    findings: &'a mut Findings,
    problem: Option<Problem>,
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

impl Object for Pod {
    fn check_values(&self, at: &dyn Fn(&str) -> Place, findings: &mut Findings) -> Checked {
        devices(&self.spec, at, findings);
        pod_spec(&self.spec, &|path| at(&format!("spec.{path}")))
    }
}

impl Object for PodTemplateSpec {
    fn check_values(&self, at: &dyn Fn(&str) -> Place, findings: &mut Findings) -> Checked {
        devices(&self.spec, at, findings);
        pod_spec(&self.spec, &|path| at(&format!("spec.{path}")))
    }
}

/// Dynamic resource allocation.
fn devices(spec: &PodSpec, at: &dyn Fn(&str) -> Place, findings: &mut Findings) {
    if !spec.resource_claims.is_empty() {
        findings.add(Notice {
            place: at("spec.resourceClaims"),
            kind: NoticeKind::NotModelled {
                what: "dynamic resources",
                instead: "the pod is unschedulable, as by default in Karpenter",
            },
        });
    }
}

impl Object for DaemonSet {
    fn check_values(&self, at: &dyn Fn(&str) -> Place, _: &mut Findings) -> Checked {
        pod_spec(&self.spec.template.spec, &|path| at(&format!("spec.template.spec.{path}")))
    }
}

impl Object for Node {
    fn check_values(&self, at: &dyn Fn(&str) -> Place, _: &mut Findings) -> Checked {
        not_negative(&self.status.capacity, || at("status.capacity"))?;
        not_negative(&self.status.allocatable, || at("status.allocatable"))
    }
}

impl Object for NodeClaim {
    const STRICT: bool = true;

    fn check_values(&self, at: &dyn Fn(&str) -> Place, _: &mut Findings) -> Checked {
        not_negative(&self.status.capacity, || at("status.capacity"))?;
        not_negative(&self.status.allocatable, || at("status.allocatable"))?;
        no_negative_duration(self.spec.termination_grace_period, || at("spec.terminationGracePeriod"))?;
        no_negative_duration(self.spec.expire_after.and_then(|it| it.0), || at("spec.expireAfter"))?;
        karpenter_requirements(&self.spec.requirements, at, "spec.requirements")
    }
}

impl Object for NodePool {
    const STRICT: bool = true;

    fn check_values(&self, at: &dyn Fn(&str) -> Place, findings: &mut Findings) -> Checked {
        if let Some(limits) = &self.spec.limits {
            not_negative(limits, || at("spec.limits"))?;
        }
        let template = &self.spec.template.spec;
        let NillableDuration(expire_after) = template.expire_after.unwrap_or_default();
        let NillableDuration(consolidate_after) = self.spec.disruption.consolidate_after.unwrap_or_default();
        for (duration, path) in [
            (template.termination_grace_period, "spec.template.spec.terminationGracePeriod"),
            (expire_after, "spec.template.spec.expireAfter"),
            (consolidate_after, "spec.disruption.consolidateAfter"),
        ] {
            no_negative_duration(duration, || at(path))?;
        }
        karpenter_requirements(&template.requirements, at, "spec.template.spec.requirements")?;
        for (index, budget) in self.spec.disruption.budgets.iter().flatten().enumerate() {
            let at = |path: &str| at(&format!("spec.disruption.budgets[{index}]{path}"));
            self::budget(budget, &at)?;
            // The API server lets it through, Karpenter cannot read it.
            if let Some(schedule) = budget.schedule.as_deref().filter(|it| Schedule::parse(it).is_none()) {
                findings.add(Notice {
                    place: at(".schedule"),
                    kind: NoticeKind::UnreadableSchedule { schedule: schedule.to_owned() },
                });
            }
        }
        Ok(())
    }
}

impl Object for NodeOverlay {
    const STRICT: bool = true;

    fn check_values(&self, at: &dyn Fn(&str) -> Place, findings: &mut Findings) -> Checked {
        if let Some(capacity) = &self.spec.capacity {
            not_negative(capacity, || at("spec.capacity"))?;
        }
        for (field, price) in
            [("spec.price", &self.spec.price), ("spec.priceAdjustment", &self.spec.price_adjustment)]
        {
            let number = |price: &Str| price.strip_suffix('%').unwrap_or(price).parse::<f64>().is_ok();
            if let Some(price) = price.as_ref().filter(|price| !number(price)) {
                let kind = NoticeKind::UnreadablePrice { price: price.to_string() };
                findings.add(Notice { place: at(field), kind });
            }
        }
        karpenter_requirements(&self.spec.requirements, at, "spec.requirements")
    }
}

impl Object for Namespace {}
impl Object for PersistentVolume {}
impl Object for PersistentVolumeClaim {}
impl Object for StorageClass {}
impl Object for CsiNode {}
impl Object for PodDisruptionBudget {}
impl Object for Service {}
impl Object for ReplicationController {}
impl Object for ReplicaSet {}
impl Object for StatefulSet {}
// What must hold of their values hangs together, and is checked where they are put to use.
impl Object for HorizontalPodAutoscaler {}
impl Object for HorizontalPodAutoscalerV1 {}

pub(super) fn value(place: Place, found: impl Into<String>, allowed: impl Into<String>) -> Problem {
    Problem::new(place, ProblemKind::Value { found: found.into(), allowed: allowed.into(), near: None })
}

pub(super) fn missing(place: Place, name: &str) -> Problem {
    Problem::new(place, ProblemKind::Missing { name: name.to_owned() })
}

pub(super) fn not_negative(list: &ResourceList, place: impl Fn() -> Place) -> Checked {
    match list.iter().find(|(_, quantity)| quantity.is_negative()) {
        None => Ok(()),
        Some((name, quantity)) => {
            let mut place = place();
            place.path = format!("{}.{name}", place.path);
            Err(value(place, format!("`{quantity}`"), "a quantity of 0 or more"))
        }
    }
}

/// The API server takes no sign before a duration.
fn no_negative_duration(duration: Option<Duration>, place: impl Fn() -> Place) -> Checked {
    match duration {
        Some(duration) if duration.nanos < 0 => {
            Err(value(place(), format!("{} s", duration.nanos as f64 / 1e9), "a duration of 0 or more"))
        }
        _ => Ok(()),
    }
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
    no_negative_duration(budget.duration, || at(".duration"))?;
    match (&budget.schedule, &budget.duration) {
        (Some(_), None) => Err(missing(at(""), "duration")),
        (None, Some(_)) => Err(missing(at(""), "schedule")),
        (Some(schedule), Some(_)) if !looks_like_cron(schedule) => {
            Err(value(at(".schedule"), format!("{schedule:?}"), SCHEDULES))
        }
        _ => Ok(()),
    }
}

const SCHEDULES: &str = "five cron fields such as \"0 9 * * 1-5\", or a macro such as @daily";

/// What the API server lets through: five fields or more, or one of the words that stand for them.
fn looks_like_cron(schedule: &str) -> bool {
    let words = ["@annually", "@yearly", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
    words.iter().any(|word| schedule.starts_with(word)) || schedule.split_whitespace().count() >= 5
}
