//! The instance types file of Karpenter's KWOK provider (`--instance-types-file-path`), read as that provider reads it
//! (v1.14.1) and written.
//!
//! The file holds less than a catalogue: no labels but size, family, cpu and memory, which the provider makes up, and no
//! overhead, which it fixes at 100m and 10Mi. Writing loses the rest.

use super::overlay::in_one;
use super::read::value_problem;
use super::write::{Requirements, amount};
use super::{Catalogue, InstanceType, Offering, Overhead, Price};
use crate::kubernetes::labels;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Operator, Str};
use crate::problem::{Place, Problem, ProblemKind};
use crate::quantity::Quantity;
use serde_json::{Map, Value, json};

const SIZE: &str = "karpenter.kwok.sh/instance-size";
const FAMILY: &str = "karpenter.kwok.sh/instance-family";
const MEMORY: &str = "karpenter.kwok.sh/instance-memory";
const CPU: &str = "karpenter.kwok.sh/instance-cpu";

/// Whether a text is such a file: a list of objects with `name` and `resources`.
pub fn is_kwok(value: &Value) -> bool {
    value.as_array().and_then(|list| list.first()).is_some_and(|first| {
        field(first, "name").is_some()
            && (field(first, "resources").is_some() || field(first, "offerings").is_some())
    })
}

/// A field by its name in any case, as Go reads JSON.
fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let map = object.as_object()?;
    map.get(name)
        .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Reads the file.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn read(text: &str) -> Result<Catalogue, Problem> {
    let value = super::read::one_value(text)?;
    let Some(list) = value.as_array() else {
        return Err(value_problem("", "", "no list", "a list of instance types"));
    };
    let mut catalogue = Catalogue {
        provider: "kwok".into(),
        well_known_labels: [CPU, FAMILY, MEMORY, SIZE].map(Str::from).to_vec(),
        restricted_label_domains: vec!["karpenter.kwok.sh".into()],
        source: "KWOK instance types".into(),
        ..Catalogue::default()
    };
    for (index, object) in list.iter().enumerate() {
        catalogue.instance_types.push(instance_type(object, index)?.into());
    }
    for instance_type in &catalogue.instance_types {
        for requirement in instance_type.offerings.iter().flat_map(|offering| &offering.requirements) {
            let key = &requirement.key;
            let own = [labels::ZONE, labels::CAPACITY_TYPE].contains(&key.as_str());
            if !own && !catalogue.well_known_labels.contains(key) {
                catalogue.well_known_labels.push(key.clone());
            }
        }
    }
    catalogue.well_known_labels.sort();
    super::check(&catalogue)?;
    Ok(catalogue)
}

fn instance_type(object: &Value, index: usize) -> Result<InstanceType, Problem> {
    let name: Str = match field(object, "name").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => name.into(),
        _ => return Err(missing("", format!("[{index}]"), "name")),
    };
    let place = format!("instance type `{name}`");
    let architecture = field(object, "architecture").and_then(Value::as_str).unwrap_or_default();
    let systems: Vec<Str> = match field(object, "operatingSystems") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(Str::from).collect(),
        _ => return Err(missing(&place, "", "operatingSystems")),
    };
    let (mut capacity, mut cpu, mut memory) = (ResourceList::default(), String::new(), String::new());
    capacity.insert("pods", Quantity::from_units(110));
    let Some(Value::Object(resources)) = field(object, "resources") else {
        return Err(missing(&place, "", "resources"));
    };
    for (resource, quantity) in resources {
        let text = match quantity {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let quantity = Quantity::parse(&text).map_err(|_| {
            value_problem(&place, format!("resources.{resource}"), format!("`{text}`"), "a quantity")
        })?;
        match resource.as_str() {
            "cpu" => cpu = canonical(&text, quantity),
            "memory" => memory = canonical(&text, quantity),
            _ => {}
        }
        capacity.insert(resource.as_str(), quantity);
    }
    let offerings = match field(object, "offerings") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, object)| offering(object, &place, &format!("offerings[{index}]")))
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(value_problem(&place, "offerings", "no list", "a list")),
    };
    let values = |key: &str| {
        let mut values: Vec<Str> = Vec::new();
        for offering in &offerings {
            for requirement in offering.requirements.iter().filter(|requirement| requirement.key == key) {
                values.extend(requirement.values.iter().cloned());
            }
        }
        values.sort();
        values.dedup();
        values
    };
    let in_all = |key: &str, values: Vec<Str>| NodeSelectorRequirement {
        key: key.into(),
        operator: Some(Operator::In),
        values,
        ..NodeSelectorRequirement::default()
    };
    let requirements = vec![
        in_one(CPU, &cpu),
        in_one(FAMILY, &family(&name)),
        in_one(MEMORY, &memory),
        in_one(SIZE, &size(&name, &cpu)),
        in_all(labels::CAPACITY_TYPE, values(labels::CAPACITY_TYPE)),
        in_one(labels::ARCH, architecture),
        in_all(labels::OS, systems),
        in_one(labels::INSTANCE_TYPE, &name),
        in_all(labels::ZONE, values(labels::ZONE)),
    ];
    Ok(InstanceType {
        name,
        requirements,
        capacity,
        overhead: Overhead {
            kube_reserved: [("cpu", Quantity::from_milli(100)), ("memory", Quantity::from_units(10 << 20))]
                .into_iter()
                .collect(),
            ..Overhead::default()
        },
        offerings,
        ..InstanceType::default()
    })
}

fn missing(object: &str, path: impl Into<String>, name: &str) -> Problem {
    Problem::new(Place::in_object(object, path), ProblemKind::Missing { name: name.into() })
}

/// An offering; also in the older form with `capacityType`, `zone` and `price`. Availability is not read: the provider
/// takes every offering as available.
fn offering(object: &Value, place: &str, path: &str) -> Result<Offering, Problem> {
    let price = field(object, "price").and_then(Value::as_f64);
    let Some(price) = price.filter(|price| price.is_finite() && *price >= 0.0) else {
        return Err(value_problem(place, format!("{path}.Price"), "no price", "a number not below 0"));
    };
    let mut requirements: Vec<NodeSelectorRequirement> = match field(object, "requirements") {
        Some(list @ Value::Array(_)) => serde_path_to_error::deserialize(list).map_err(|error| {
            value_problem(
                place,
                format!("{path}.Requirements{}", error.path()),
                error.inner().to_string(),
                "a requirement",
            )
        })?,
        _ => Vec::new(),
    };
    for (name, key) in [("capacityType", labels::CAPACITY_TYPE), ("zone", labels::ZONE)] {
        if let Some(value) = field(object, name).and_then(Value::as_str)
            && requirements.iter().all(|requirement| requirement.key != key)
        {
            requirements.push(in_one(key, value));
        }
    }
    Ok(Offering {
        requirements,
        price: Price(price),
        available: true,
        reservation_capacity: field(object, "reservationCapacity").and_then(Value::as_i64).unwrap_or(0),
        ..Offering::default()
    })
}

/// `FAMILY.SIZE` of AWS, else the cpu.
fn size(name: &str, cpu: &str) -> String {
    let aws = name.split_once('.').filter(|(family, size)| {
        let word =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let xlarge =
            size.strip_suffix("xlarge").is_some_and(|count| count.chars().all(|c| c.is_ascii_digit()));
        word(family) && (xlarge || ["nano", "micro", "small", "medium", "large", "metal"].contains(size))
    });
    aws.map_or_else(|| cpu.to_owned(), |(_, size)| size.to_owned())
}

/// What stands before the first point or hyphen, else the first letter.
fn family(name: &str) -> String {
    match name.find(['.', '-']) {
        Some(at) => name.chars().take(at).collect(),
        None => name.chars().take(1).collect(),
    }
}

/// A quantity as Kubernetes prints it: in the largest unit of its own kind that leaves a whole number.
fn canonical(text: &str, quantity: Quantity) -> String {
    let nanos = quantity.nanos();
    if nanos == 0 {
        return "0".to_owned();
    }
    let unit = 1_000_000_000_i128;
    if text.ends_with('i') {
        for (power, suffix) in [(60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")] {
            if nanos % (unit << power) == 0 {
                return format!("{}{suffix}", nanos / (unit << power));
            }
        }
        return quantity.to_string();
    }
    for (power, suffix) in [(18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")] {
        let size = unit * 10_i128.pow(power);
        if nanos % size == 0 {
            return format!("{}{suffix}", nanos / size);
        }
    }
    quantity.to_string()
}

/// Writes the file: capacity, architecture, operating systems and offerings of every type. What is unavailable is left
/// out, as the provider would take it as available.
pub fn write(catalogue: &Catalogue) -> String {
    let list: Vec<Value> = catalogue
        .instance_types
        .iter()
        .filter(|instance_type| instance_type.offerings.iter().any(|offering| offering.available))
        .map(|instance_type| {
            let values = |key: &str| -> Vec<String> {
                let requirement =
                    instance_type.requirements.iter().find(|requirement| requirement.key == key);
                requirement.map_or_else(Vec::new, |one| one.values.iter().map(ToString::to_string).collect())
            };
            let offerings: Vec<Value> = instance_type
                .offerings
                .iter()
                .filter(|offering| offering.available)
                .map(|offering| {
                    let mut object = json!({
                        "Price": offering.price,
                        "Available": offering.available,
                        "Requirements": Requirements(&offering.requirements),
                    });
                    if offering.reservation_capacity != 0 {
                        object["ReservationCapacity"] = offering.reservation_capacity.into();
                    }
                    object
                })
                .collect();
            let resources: Map<String, Value> = instance_type
                .capacity
                .iter()
                .map(|(name, quantity)| (name.to_owned(), amount(name, quantity).into()))
                .collect();
            json!({
                "name": instance_type.name.as_str(),
                "offerings": offerings,
                "architecture": values(labels::ARCH).first().cloned().unwrap_or_default(),
                "operatingSystems": values(labels::OS),
                "resources": resources,
            })
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&list).unwrap_or_default();
    text.push('\n');
    text
}
