//! Reading a catalogue file, and saying what is wrong with one: type, field, what was found, what is allowed.

use super::{Catalogue, InstanceType, Offering, Overhead};
use crate::kubernetes::labels;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Operator, Str};
use crate::model::wire::{Audit, LeftoverField, Path, Sink};
use crate::problem::{Place, Problem, ProblemKind, near_miss};
use crate::yaml;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Display;

/// Reads a catalogue and checks it. A list instead of an object is the instance types file of Karpenter's KWOK provider.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn read(text: &str) -> Result<Catalogue, Problem> {
    if text.trim_start().starts_with('[') {
        return super::kwok::read(text);
    }
    // The fast way is for files that are right; the slow one finds the place.
    let catalogue = match serde_json::from_str::<Catalogue>(text) {
        Ok(catalogue) => catalogue,
        Err(_) => typed(&one_value(text)?, "")?,
    };
    check(&catalogue)?;
    Ok(catalogue)
}

/// The one JSON or YAML value in a text.
pub(crate) fn one_value(text: &str) -> Result<Value, Problem> {
    if yaml::looks_like_json(text) {
        return serde_json::from_str(text).map_err(|error| {
            let kind = if error.is_eof() {
                ProblemKind::Truncated
            } else {
                ProblemKind::Syntax { message: error.to_string(), line: error.line(), column: error.column() }
            };
            Problem::new(Place::default(), kind)
        });
    }
    let mut documents = yaml::documents(text)?.into_iter().filter(|document| !document.value.is_null());
    match (documents.next(), documents.next()) {
        (Some(one), None) => Ok(one.value),
        (None, _) => Err(value_problem("", "", "an empty text", "one object")),
        (Some(_), Some(second)) => {
            Err(value_problem("", "", format!("a second document in line {}", second.line), "one object"))
        }
    }
}

/// `value` as a `T`, without fields that `T` does not have; those that are known and not modelled are left to the caller.
/// Problems are said to be in `object`.
pub(crate) fn typed<T: serde::de::DeserializeOwned + Audit>(
    value: &Value,
    object: &str,
) -> Result<T, Problem> {
    let read: T = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let (object, path) = named(value, object, &path);
        let message = error.inner().to_string();
        let (found, allowed) = match message.split_once(", expected ") {
            Some((found, allowed)) => (
                found
                    .trim_start_matches("invalid type: ")
                    .trim_start_matches("invalid value: ")
                    .trim_start_matches("unknown variant ")
                    .to_owned(),
                in_words(allowed),
            ),
            None => (message, "another value".to_owned()),
        };
        let word = found.trim_matches(['`', '"']).to_owned();
        let near = near_miss(&word, allowed.split([' ', ',', '`']).filter(|candidate| candidate.len() > 1))
            .map(ToOwned::to_owned);
        Problem::new(Place::in_object(object, path), ProblemKind::Value { found, allowed, near })
    })?;
    let mut first = FirstLeftover::default();
    read.audit(&Path::ROOT, &mut first);
    match first.found {
        None => Ok(read),
        Some((path, name, known)) => {
            let (object, path) = named(value, object, &path);
            let near = near_miss(&name, known.iter().copied()).map(ToOwned::to_owned);
            let kind = ProblemKind::UnknownField { name, near, known: known.to_vec() };
            Err(Problem::new(Place::in_object(object, path), kind))
        }
    }
}

/// What serde calls types, in words.
fn in_words(expected: &str) -> String {
    match expected {
        "f64" => "a number".to_owned(),
        "i64" | "u64" | "i32" | "u32" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    }
}

#[derive(Default)]
struct FirstLeftover {
    found: Option<(String, String, &'static [&'static str])>,
}

impl Sink for FirstLeftover {
    fn leftover(&mut self, path: &Path<'_>, field: &LeftoverField, known: &'static [&'static str]) {
        if self.found.is_none() && !field.unmodelled {
            self.found = Some((path.to_string(), field.name.to_string(), known));
        }
    }
}

/// A path into a list of named things, as the name and the path inside: `instanceTypes[7].capacity.cpu` is instance
/// type `m5.large`, `capacity.cpu`.
fn named(value: &Value, object: &str, path: &str) -> (String, String) {
    let index = path.strip_prefix("instanceTypes[").and_then(|rest| rest.split_once(']'));
    if let Some((index, rest)) = index
        && let Ok(index) = index.parse::<usize>()
        && let Some(name) = value.pointer(&format!("/instanceTypes/{index}/name")).and_then(Value::as_str)
    {
        return (format!("instance type `{name}`"), rest.trim_start_matches('.').to_owned());
    }
    (object.to_owned(), path.to_owned())
}

pub(crate) fn value_problem(
    object: impl Into<String>,
    path: impl Into<String>,
    found: impl Into<String>,
    allowed: impl Into<String>,
) -> Problem {
    let kind = ProblemKind::Value { found: found.into(), allowed: allowed.into(), near: None };
    Problem::new(Place::in_object(object, path), kind)
}

/// Whether a catalogue can be decided with.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check(catalogue: &Catalogue) -> Result<(), Problem> {
    let mut first = FirstLeftover::default();
    catalogue.audit(&Path::ROOT, &mut first);
    if let Some((path, name, known)) = first.found {
        let index = path.strip_prefix("instanceTypes[").and_then(|rest| rest.split_once(']'));
        let place = index
            .and_then(|(index, rest)| {
                Some((catalogue.instance_types.get(index.parse::<usize>().ok()?)?, rest))
            })
            .map_or_else(
                || Place::at(path.clone()),
                |(it, rest)| Place::in_object(object_of(it), rest.trim_start_matches('.')),
            );
        let near = near_miss(&name, known.iter().copied()).map(ToOwned::to_owned);
        return Err(Problem::new(place, ProblemKind::UnknownField { name, near, known: known.to_vec() }));
    }
    let mut names: BTreeSet<&Str> = BTreeSet::new();
    for (index, instance_type) in catalogue.instance_types.iter().enumerate() {
        if instance_type.name.is_empty() {
            let place = Place::at(format!("instanceTypes[{index}]"));
            return Err(Problem::new(place, ProblemKind::Missing { name: "name".into() }));
        }
        if !names.insert(&instance_type.name) {
            let path = format!("instanceTypes[{index}].name");
            return Err(value_problem(
                "",
                path,
                format!("`{}` again", instance_type.name),
                "a name that no other type has",
            ));
        }
        check_type(instance_type)?;
    }
    Ok(())
}

fn object_of(instance_type: &InstanceType) -> String {
    format!("instance type `{}`", instance_type.name)
}

fn check_type(instance_type: &InstanceType) -> Result<(), Problem> {
    // Names and paths are put together only where something is wrong.
    let object: &dyn Display = &format_args!("instance type `{}`", instance_type.name);
    check_requirements(&instance_type.requirements, object, &"requirements")?;
    check_amounts(&instance_type.capacity, object, &"capacity")?;
    for name in ["cpu", "memory", "pods"] {
        if instance_type.capacity.get(name).is_none() {
            let place = Place::in_object(object.to_string(), "capacity");
            return Err(Problem::new(place, ProblemKind::Missing { name: name.into() }));
        }
    }
    check_overhead(&instance_type.overhead, object, &"overhead")?;
    for (index, offering) in instance_type.offerings.iter().enumerate() {
        check_offering(offering, object, &format_args!("offerings[{index}]"))?;
    }
    Ok(())
}

fn check_offering(offering: &Offering, object: &dyn Display, path: &dyn Display) -> Result<(), Problem> {
    check_requirements(&offering.requirements, object, &format_args!("{path}.requirements"))?;
    for key in [labels::CAPACITY_TYPE, labels::ZONE] {
        let requirement = offering.requirements.iter().find(|requirement| requirement.key == key);
        let in_one =
            requirement.is_some_and(|one| one.operator == Some(Operator::In) && one.values.len() == 1);
        if !in_one {
            let found = requirement.map_or_else(|| "none".to_owned(), shown);
            let allowed = format!("a requirement of `{key}` with operator In and one value");
            return Err(value_problem(object.to_string(), format!("{path}.requirements"), found, allowed));
        }
    }
    let capacity_type = one(&offering.requirements, labels::CAPACITY_TYPE).unwrap_or_default();
    let known = [labels::ON_DEMAND, labels::RESERVED, labels::SPOT];
    if !known.contains(&capacity_type) {
        let kind = ProblemKind::Value {
            found: format!("`{capacity_type}` for `{}`", labels::CAPACITY_TYPE),
            allowed: "one of on-demand, reserved, spot".into(),
            near: near_miss(capacity_type, known).map(ToOwned::to_owned),
        };
        return Err(Problem::new(Place::in_object(object.to_string(), format!("{path}.requirements")), kind));
    }
    if !offering.price.0.is_finite() || offering.price.0 < 0.0 {
        return Err(value_problem(
            object.to_string(),
            format!("{path}.price"),
            offering.price.0.to_string(),
            "a number not below 0",
        ));
    }
    if offering.reservation_capacity < 0 {
        let found = offering.reservation_capacity.to_string();
        return Err(value_problem(
            object.to_string(),
            format!("{path}.reservationCapacity"),
            found,
            "a number not below 0",
        ));
    }
    check_amounts(&offering.capacity_override, object, &format_args!("{path}.capacityOverride"))?;
    offering
        .overhead_override
        .as_ref()
        .map_or(Ok(()), |overhead| check_overhead(overhead, object, &format_args!("{path}.overheadOverride")))
}

fn check_overhead(overhead: &Overhead, object: &dyn Display, path: &dyn Display) -> Result<(), Problem> {
    check_amounts(&overhead.kube_reserved, object, &format_args!("{path}.kubeReserved"))?;
    check_amounts(&overhead.system_reserved, object, &format_args!("{path}.systemReserved"))?;
    check_amounts(&overhead.eviction_threshold, object, &format_args!("{path}.evictionThreshold"))
}

fn check_amounts(amounts: &ResourceList, object: &dyn Display, path: &dyn Display) -> Result<(), Problem> {
    match amounts.iter().find(|(_, amount)| amount.is_negative()) {
        None => Ok(()),
        Some((name, amount)) => Err(value_problem(
            object.to_string(),
            format!("{path}.{name}"),
            amount.to_string(),
            "a quantity not below 0",
        )),
    }
}

pub(super) fn check_requirements(
    requirements: &[NodeSelectorRequirement],
    object: &dyn Display,
    path: &dyn Display,
) -> Result<(), Problem> {
    for (index, requirement) in requirements.iter().enumerate() {
        let place = || Place::in_object(object.to_string(), format!("{path}[{index}]"));
        if requirement.key.is_empty() {
            return Err(Problem::new(place(), ProblemKind::Missing { name: "key".into() }));
        }
        let wrong = |field: &str, allowed: &str| {
            let found =
                format!("{} values for operator {}", requirement.values.len(), operator_of(requirement));
            Err(value_problem(object.to_string(), format!("{path}[{index}].{field}"), found, allowed))
        };
        match requirement.operator {
            None => {
                let kind = ProblemKind::Missing { name: "operator".into() };
                return Err(Problem::new(place(), kind));
            }
            Some(Operator::Exists | Operator::DoesNotExist) if !requirement.values.is_empty() => {
                return wrong("values", "none");
            }
            Some(Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte) => {
                match requirement.values.as_slice() {
                    [value] if value.parse::<i64>().is_ok() => {}
                    [value] => {
                        let path = format!("{path}[{index}].values[0]");
                        return Err(value_problem(
                            object.to_string(),
                            path,
                            format!("`{value}`"),
                            "a whole number",
                        ));
                    }
                    _ => return wrong("values", "one whole number"),
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn operator_of(requirement: &NodeSelectorRequirement) -> &'static str {
    requirement.operator.map_or("none", Operator::as_str)
}

fn shown(requirement: &NodeSelectorRequirement) -> String {
    format!("{} {}", operator_of(requirement), requirement.values.join(", "))
}

/// The one value of a label among requirements.
pub(crate) fn one<'a>(requirements: &'a [NodeSelectorRequirement], key: &str) -> Option<&'a str> {
    let requirement = requirements.iter().find(|requirement| requirement.key == key)?;
    match (requirement.operator, requirement.values.as_slice()) {
        (Some(Operator::In), [value]) => Some(value.as_str()),
        _ => None,
    }
}
