//! Requirements as people type them: `karpenter.k8s.aws/instance-gpu-memory>=24576`, `!key`, `key in (a,b)`.
//!
//! A key is a label of the catalogue, a resource of the capacity (`cpu`, `memory`, `nvidia.com/gpu`; compared as a
//! quantity), or `price` (dollars an hour). What speaks of an offering (zone, capacity type, price …) selects offerings;
//! a type is found if one of its offerings is left.

use super::{Catalogue, InstanceType, Offering};
use crate::kubernetes::labels;
use crate::model::core::NodeSelectorRequirement;
use crate::model::meta::Operator;
use crate::problem::near_miss;
use crate::quantity::Quantity;
use std::collections::BTreeSet;

/// How a value is compared.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    DoesNotExist,
    In(Vec<String>),
    NotIn(Vec<String>),
    Gt(String),
    Gte(String),
    Lt(String),
    Lte(String),
}

/// One requirement on types and offerings.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    key: String,
    test: Test,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It has no form that is known.
    #[error(
        "invalid requirement `{text}`: expected one of `key`, `!key`, `key=value`, `key!=value`, `key in (a,b)`, `key notin (a,b)`, `key>n`, `key>=n`, `key<n`, `key<=n`"
    )]
    Form {
        /// The text.
        text: String,
    },
    /// No type has such a label or resource.
    #[error("`{key}` is neither a label nor a resource in this catalogue")]
    Key {
        /// The key.
        key: String,
        /// What was meant, perhaps.
        near: Vec<String>,
    },
    /// The value cannot be compared with.
    #[error("`{key}`: invalid value `{value}`: expected {allowed}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl ExpressionError {
    /// What could help.
    pub fn hint(&self) -> Option<String> {
        match self {
            ExpressionError::Key { near, .. } if !near.is_empty() => {
                let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
                Some(format!("did you mean {}?", names.join(" or ")))
            }
            _ => None,
        }
    }
}

/// `price`, the key that is no label.
const PRICE: &str = "price";

impl Expression {
    /// Reads one requirement.
    ///
    /// # Errors
    ///
    /// If it has no known form.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        let wrong = || ExpressionError::Form { text: text.to_owned() };
        let trimmed = text.trim();
        let (key, test) = if let Some(key) = trimmed.strip_prefix('!') {
            (key, Test::DoesNotExist)
        } else if let Some((key, list)) =
            trimmed.split_once(" notin ").or_else(|| trimmed.split_once(" notin("))
        {
            (key, Test::NotIn(values(list).ok_or_else(wrong)?))
        } else if let Some((key, list)) = trimmed.split_once(" in ").or_else(|| trimmed.split_once(" in(")) {
            (key, Test::In(values(list).ok_or_else(wrong)?))
        } else if let Some(at) = trimmed.find(['=', '<', '>', '!']) {
            let (key, rest) = trimmed.split_at(at);
            let (operator, value) = ["==", "!=", ">=", "<=", "=", ">", "<"]
                .iter()
                .find_map(|operator| Some((*operator, rest.strip_prefix(operator)?.trim().to_owned())))
                .ok_or_else(wrong)?;
            if value.is_empty() || value.contains(['=', '<', '>', '!']) {
                return Err(wrong());
            }
            let test = match operator {
                "=" | "==" => Test::In(vec![value]),
                "!=" => Test::NotIn(vec![value]),
                ">=" => Test::Gte(value),
                ">" => Test::Gt(value),
                "<=" => Test::Lte(value),
                _ => Test::Lt(value),
            };
            (key, test)
        } else {
            (trimmed, Test::Exists)
        };
        let key = key.trim();
        let fits = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
        if key.is_empty() || !key.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Expression { key: key.to_owned(), test })
    }
}

/// `(a, b)`, with or without its first bracket.
fn values(list: &str) -> Option<Vec<String>> {
    let list = list.trim();
    let inner = list.strip_prefix('(').unwrap_or(list).strip_suffix(')')?;
    let values: Vec<String> = inner.split(',').map(|value| value.trim().to_owned()).collect();
    values.iter().all(|value| !value.is_empty()).then_some(values)
}

/// Expressions that must all hold, checked against the names of a catalogue.
#[derive(Debug, Clone)]
pub struct Filter {
    expressions: Vec<(Expression, Subject)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Label,
    Resource,
    Price,
}

impl Filter {
    /// Checks keys and values.
    ///
    /// # Errors
    ///
    /// If the catalogue knows no such key, or a value cannot be compared with.
    pub fn new(catalogue: &Catalogue, expressions: Vec<Expression>) -> Result<Filter, ExpressionError> {
        let known = Known::of(catalogue);
        let expressions = expressions
            .into_iter()
            .map(|mut expression| {
                expression.key = known.normalized(&expression.key);
                let subject = known.subject(&expression.key)?;
                expression.check(subject)?;
                Ok((expression, subject))
            })
            .collect::<Result<_, _>>()?;
        Ok(Filter { expressions })
    }

    /// The offerings of `instance_type` that are left, by index; `None` if the type does not match.
    pub fn select(&self, instance_type: &InstanceType) -> Option<Vec<usize>> {
        let mut left: Vec<usize> = (0..instance_type.offerings.len()).collect();
        let mut narrowed = false;
        for (expression, subject) in &self.expressions {
            let of_offerings = *subject == Subject::Price
                || (*subject == Subject::Label
                    && instance_type
                        .offerings
                        .iter()
                        .any(|o| find(&o.requirements, &expression.key).is_some()));
            if of_offerings {
                narrowed = true;
                left.retain(|&index| {
                    instance_type.offerings.get(index).is_some_and(|offering| match subject {
                        Subject::Price => expression.price(offering),
                        _ => expression.label(
                            find(&offering.requirements, &expression.key)
                                .or_else(|| find(&instance_type.requirements, &expression.key)),
                        ),
                    })
                });
            } else if !match subject {
                Subject::Resource => expression.resource(instance_type.capacity.get(&expression.key)),
                _ => expression.label(find(&instance_type.requirements, &expression.key)),
            } {
                return None;
            }
        }
        (!narrowed || !left.is_empty()).then_some(left)
    }
}

/// A value of an `In` that no type and no offering has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownValue {
    /// The label.
    pub key: String,
    /// The value.
    pub value: String,
    /// What was meant, perhaps.
    pub near: Option<String>,
}

impl Filter {
    /// Values that are asked for and that nothing in `catalogue` has.
    pub fn unknown_values(&self, catalogue: &Catalogue) -> Vec<UnknownValue> {
        let mut found = Vec::new();
        for (expression, _) in self.expressions.iter().filter(|(_, subject)| *subject == Subject::Label) {
            let Test::In(wanted) = &expression.test else { continue };
            let there: BTreeSet<&str> = catalogue
                .instance_types
                .iter()
                .flat_map(|it| {
                    it.requirements
                        .iter()
                        .chain(it.offerings.iter().flat_map(|offering| &offering.requirements))
                })
                .filter(|requirement| requirement.key == expression.key)
                .flat_map(|requirement| requirement.values.iter().map(compact_str::CompactString::as_str))
                .collect();
            for value in wanted.iter().filter(|value| !there.contains(value.as_str())) {
                // Short names (t4) are near to many: a letter may differ.
                let near = near_miss(value, there.iter().copied()).or_else(|| {
                    there
                        .iter()
                        .copied()
                        .find(|other| other.len() == value.len() && strsim::hamming(other, value) == Ok(1))
                });
                found.push(UnknownValue {
                    key: expression.key.clone(),
                    value: value.clone(),
                    near: near.map(ToOwned::to_owned),
                });
            }
        }
        found
    }
}

fn find<'a>(requirements: &'a [NodeSelectorRequirement], key: &str) -> Option<&'a NodeSelectorRequirement> {
    requirements.iter().find(|requirement| requirement.key == key)
}

impl Expression {
    fn check(&self, subject: Subject) -> Result<(), ExpressionError> {
        let wrong = |value: &String, allowed: &'static str| {
            Err(ExpressionError::Value { key: self.key.clone(), value: value.clone(), allowed })
        };
        match (&self.test, subject) {
            (Test::Exists | Test::DoesNotExist, _) | (Test::In(_) | Test::NotIn(_), Subject::Label) => Ok(()),
            (Test::In(values) | Test::NotIn(values), Subject::Resource) => values
                .iter()
                .find(|value| Quantity::parse(value).is_err())
                .map_or(Ok(()), |value| wrong(value, "a quantity such as `100m`, `2` or `64Gi`")),
            (Test::In(values) | Test::NotIn(values), Subject::Price) => values
                .iter()
                .find(|value| value.parse::<f64>().is_err())
                .map_or(Ok(()), |value| wrong(value, "a number")),
            (Test::Gt(value) | Test::Gte(value) | Test::Lt(value) | Test::Lte(value), subject) => {
                let (fits, allowed) = match subject {
                    Subject::Label => {
                        (value.parse::<i64>().is_ok(), "a whole number (memory labels count MiB)")
                    }
                    Subject::Resource => {
                        (Quantity::parse(value).is_ok(), "a quantity such as `100m`, `2` or `64Gi`")
                    }
                    Subject::Price => (value.parse::<f64>().is_ok(), "a number"),
                };
                if fits { Ok(()) } else { wrong(value, allowed) }
            }
        }
    }

    /// Whether a node with this requirement can have a label that passes.
    fn label(&self, requirement: Option<&NodeSelectorRequirement>) -> bool {
        let Some(requirement) = requirement.filter(|one| one.operator != Some(Operator::DoesNotExist)) else {
            return matches!(self.test, Test::DoesNotExist | Test::NotIn(_));
        };
        let any = |test: &dyn Fn(&str) -> bool| match requirement.operator {
            Some(Operator::In) => requirement.values.iter().any(|value| test(value)),
            // Exists, NotIn and ranges leave some value open.
            _ => true,
        };
        let number = |bound: &String, test: fn(i64, i64) -> bool| {
            bound
                .parse::<i64>()
                .is_ok_and(|bound| any(&|value| value.parse().is_ok_and(|value| test(value, bound))))
        };
        match &self.test {
            Test::Exists => true,
            Test::DoesNotExist => false,
            Test::In(wanted) => any(&|value| wanted.iter().any(|one| one == value)),
            Test::NotIn(unwanted) => any(&|value| unwanted.iter().all(|one| one != value)),
            Test::Gt(bound) => number(bound, |value, bound| value > bound),
            Test::Gte(bound) => number(bound, |value, bound| value >= bound),
            Test::Lt(bound) => number(bound, |value, bound| value < bound),
            Test::Lte(bound) => number(bound, |value, bound| value <= bound),
        }
    }

    fn resource(&self, amount: Option<Quantity>) -> bool {
        let exists = amount.is_some_and(|amount| !amount.is_zero());
        let amount = amount.unwrap_or(Quantity::ZERO);
        let parse = |text: &String| Quantity::parse(text).ok();
        match &self.test {
            Test::Exists => exists,
            Test::DoesNotExist => !exists,
            Test::In(wanted) => wanted.iter().any(|one| parse(one) == Some(amount)),
            Test::NotIn(unwanted) => unwanted.iter().all(|one| parse(one) != Some(amount)),
            Test::Gt(bound) => parse(bound).is_some_and(|bound| amount > bound),
            Test::Gte(bound) => parse(bound).is_some_and(|bound| amount >= bound),
            Test::Lt(bound) => parse(bound).is_some_and(|bound| amount < bound),
            Test::Lte(bound) => parse(bound).is_some_and(|bound| amount <= bound),
        }
    }

    fn price(&self, offering: &Offering) -> bool {
        let price = offering.price.0;
        let parse = |text: &String| text.parse::<f64>().unwrap_or(f64::NAN);
        match &self.test {
            Test::Exists => true,
            Test::DoesNotExist => false,
            Test::In(wanted) => wanted.iter().any(|one| parse(one).total_cmp(&price).is_eq()),
            Test::NotIn(unwanted) => unwanted.iter().all(|one| !parse(one).total_cmp(&price).is_eq()),
            Test::Gt(bound) => price > parse(bound),
            Test::Gte(bound) => price >= parse(bound),
            Test::Lt(bound) => price < parse(bound),
            Test::Lte(bound) => price <= parse(bound),
        }
    }
}

/// Names that a catalogue has.
struct Known<'a> {
    catalogue: &'a Catalogue,
    labels: BTreeSet<&'a str>,
    resources: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(catalogue: &'a Catalogue) -> Known<'a> {
        let mut known = Known {
            catalogue,
            labels: [
                labels::ZONE,
                labels::REGION,
                labels::INSTANCE_TYPE,
                labels::ARCH,
                labels::OS,
                labels::CAPACITY_TYPE,
            ]
            .into_iter()
            .collect(),
            resources: BTreeSet::new(),
        };
        known.labels.extend(catalogue.well_known_labels.iter().map(compact_str::CompactString::as_str));
        for instance_type in &catalogue.instance_types {
            known
                .labels
                .extend(instance_type.requirements.iter().map(|requirement| requirement.key.as_str()));
            for offering in &instance_type.offerings {
                known.labels.extend(offering.requirements.iter().map(|requirement| requirement.key.as_str()));
            }
            known.resources.extend(instance_type.capacity.iter().map(|(name, _)| name));
        }
        known
    }

    fn normalized(&self, key: &str) -> String {
        self.catalogue.normalized_labels.get(key).map_or_else(|| key.to_owned(), ToOwned::to_owned)
    }

    fn subject(&self, key: &str) -> Result<Subject, ExpressionError> {
        if key == PRICE {
            return Ok(Subject::Price);
        }
        if self.labels.contains(key) {
            return Ok(Subject::Label);
        }
        if self.resources.contains(key) {
            return Ok(Subject::Resource);
        }
        let all = || self.labels.iter().chain(&self.resources).copied();
        // `gpu` is meant for `nvidia.com/gpu`, and is no misspelt `cpu`.
        let mut near: Vec<String> = all()
            .filter(|name| name.rsplit_once('/').is_some_and(|(_, end)| end == key))
            .map(ToOwned::to_owned)
            .take(3)
            .collect();
        if near.is_empty() {
            near = near_miss(key, all()).map(ToOwned::to_owned).into_iter().collect();
        }
        if near.is_empty() {
            // The part behind the domain, right or nearly so.
            let part = key.rsplit('/').next().unwrap_or(key);
            let ends: Vec<&str> = all().filter_map(|name| name.rsplit('/').next()).collect();
            let end = near_miss(part, ends.iter().copied());
            near = all()
                .filter(|name| end.is_some() && name.rsplit('/').next() == end)
                .map(ToOwned::to_owned)
                .take(3)
                .collect();
        }
        if near.is_empty() {
            let part = key.rsplit('/').next().unwrap_or(key).to_lowercase();
            near = all()
                .filter(|name| part.len() > 2 && name.contains(&part))
                .map(ToOwned::to_owned)
                .take(4)
                .collect();
        }
        Err(ExpressionError::Key { key: key.to_owned(), near })
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, ExpressionError, Filter};
    use crate::catalogue::Catalogue;

    fn catalogue() -> Catalogue {
        let text = r#"{"provider": "aws", "instanceTypes": [
          {"name": "a", "capacity": {"cpu": "4", "memory": "16Gi", "pods": "10", "nvidia.com/gpu": "1"},
           "requirements": [{"key": "x/gpu-memory", "operator": "In", "values": ["24576"]},
                            {"key": "x/none", "operator": "DoesNotExist"}],
           "offerings": [
             {"price": 1, "available": true, "requirements": [
               {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]},
               {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z1"]}]},
             {"price": 2, "available": true, "requirements": [
               {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
               {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z2"]}]}]}]}"#;
        super::super::read(text).unwrap()
    }

    fn select(texts: &[&str]) -> Option<Vec<usize>> {
        let catalogue = catalogue();
        let expressions = texts.iter().map(|text| Expression::parse(text).unwrap()).collect();
        Filter::new(&catalogue, expressions).unwrap().select(&catalogue.instance_types[0])
    }

    #[test]
    fn every_form_selects() {
        for (texts, expected) in [
            (&["x/gpu-memory"][..], Some(vec![0, 1])),
            (&["!x/gpu-memory"], None),
            (&["x/none"], None),
            (&["!x/none"], Some(vec![0, 1])),
            (&["x/none notin (a)"], Some(vec![0, 1])),
            (&["x/none in (a)"], None),
            (&["x/gpu-memory>=24576"], Some(vec![0, 1])),
            (&["x/gpu-memory > 24576"], None),
            (&["x/gpu-memory<=24576", "x/gpu-memory<24577"], Some(vec![0, 1])),
            (&["x/gpu-memory in (1, 24576)"], Some(vec![0, 1])),
            (&["x/gpu-memory notin (24576)"], None),
            (&["x/gpu-memory!=1"], Some(vec![0, 1])),
            (&["karpenter.sh/capacity-type=spot"], Some(vec![0])),
            (&["karpenter.sh/capacity-type=spot", "topology.kubernetes.io/zone=z2"], None),
            (&["topology.kubernetes.io/zone notin (z1)"], Some(vec![1])),
            (&["memory>=16Gi"], Some(vec![0, 1])),
            (&["memory>16Gi"], None),
            (&["cpu=4000m"], Some(vec![0, 1])),
            (&["!nvidia.com/gpu"], None),
            (&["price<1.5"], Some(vec![0])),
            (&["price<0.5"], None),
        ] {
            assert_eq!(select(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn values_that_nothing_has_are_noticed() {
        let catalogue = catalogue();
        let expressions = ["topology.kubernetes.io/zone in (z1,y2)", "karpenter.sh/capacity-type=ondemand"];
        let filter = Filter::new(
            &catalogue,
            expressions.iter().map(|text| Expression::parse(text).unwrap()).collect(),
        )
        .unwrap();
        let found: Vec<(String, Option<String>)> = filter
            .unknown_values(&catalogue)
            .into_iter()
            .map(|unknown| (unknown.value, unknown.near))
            .collect();
        assert_eq!(found, [("y2".into(), Some("z2".into())), ("ondemand".into(), Some("on-demand".into()))]);
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        for text in ["", "!", "a b", "a=", "=1", "a in b", "a in ()", "a=>1", "a<<1", "a in (b,)"] {
            assert!(matches!(Expression::parse(text), Err(ExpressionError::Form { .. })), "{text}");
        }
    }

    #[test]
    fn misspelt_keys_have_near_misses() {
        let near = |text: &str| match Filter::new(&catalogue(), vec![Expression::parse(text).unwrap()]) {
            Err(ExpressionError::Key { near, .. }) => near,
            other => panic!("{other:?}"),
        };
        assert_eq!(near("x/gpu-memroy>=1"), ["x/gpu-memory"]);
        assert_eq!(near("gpu-memory>=1"), ["x/gpu-memory"]);
        assert_eq!(near("gpu>=1"), ["nvidia.com/gpu"]);
        assert_eq!(near("nvidia.com/gpus"), ["nvidia.com/gpu"]);
        assert!(near("colour=blue").is_empty());
        let value = Filter::new(&catalogue(), vec![Expression::parse("x/gpu-memory>=24Gi").unwrap()]);
        assert!(matches!(value, Err(ExpressionError::Value { .. })));
    }
}
