//! Which pods Karpenter keeps out of a round, and why.

use super::volumes::Storage;
use crate::kubernetes::labels::{NODE_POOL, is_label_value, is_qualified_name};
use crate::label_rules::LabelRules;
use crate::model::core::{NodeSelectorTerm, Pod};
use crate::model::meta::{Operator, Str};
use crate::requirements::atoi;

/// Why a pod is kept out of the round.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodFault {
    /// It asks for nodes without a NodePool: it does not want Karpenter's nodes.
    #[error("it must not run on Karpenter nodes (`karpenter.sh/nodepool` DoesNotExist)")]
    AvoidsKarpenter,
    /// A term selects by fields.
    #[error("node selector terms with `matchFields` are not supported by Karpenter")]
    MatchFields,
    /// A requirement on a label cannot be.
    #[error("its requirement on label `{key}` {fault}")]
    Requirement {
        /// The label.
        key: Str,
        /// What is wrong with it.
        fault: RequirementFault,
    },
    /// A volume claim stands in the way.
    #[error("volume claim `{claim}` {fault}")]
    Claim {
        /// The claim.
        claim: Str,
        /// What is wrong with it.
        fault: ClaimFault,
    },
}

/// What is wrong with a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequirementFault {
    /// No operator, or one that does not exist.
    #[error("has no operator")]
    Operator,
    /// Karpenter or the provider keeps the label for itself.
    #[error("is not allowed: the label is restricted; use a well-known label or one in your own domain")]
    Restricted,
    /// Only values that make no sense for the label.
    #[error("has no value that the label can have")]
    UnknownValues,
    /// The label's name is malformed.
    #[error("has an invalid label name")]
    Key,
    /// A value is malformed.
    #[error("has an invalid label value")]
    Value,
    /// `In` without values.
    #[error("has operator In and no values")]
    NoValues,
    /// A comparison with something that is not one integer from 0 up.
    #[error("must have a single value that is an integer of 0 or more")]
    NoInteger,
}

/// What is wrong with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// It does not exist.
    #[error("does not exist")]
    Missing,
    /// It is being deleted.
    #[error("is being deleted")]
    Deleting,
    /// Its volume is gone.
    #[error("has lost its volume")]
    Lost,
    /// Its volume does not exist.
    #[error("names a volume that does not exist")]
    VolumeMissing,
    /// Its volume is being deleted.
    #[error("names a volume that is being deleted")]
    VolumeDeleting,
    /// It names a volume but is not bound to it.
    #[error("is not bound: it lacks the annotation `pv.kubernetes.io/bind-completed`")]
    NotBound,
    /// It is unbound and has no storage class.
    #[error("is unbound and has no storage class")]
    NoStorageClass,
    /// Its storage class does not exist.
    #[error("has a storage class that does not exist")]
    StorageClassMissing,
    /// Its class binds at once, so it should be bound already.
    #[error("is unbound although its storage class binds immediately")]
    Immediate,
}

/// What is wrong with a requirement on a node, if anything.
pub fn requirement_fault(
    rules: &LabelRules,
    key: &str,
    operator: Option<Operator>,
    values: &[Str],
) -> Option<RequirementFault> {
    let key = rules.normalize(key);
    let Some(operator) = operator else { return Some(RequirementFault::Operator) };
    if rules.is_restricted(key) {
        return Some(RequirementFault::Restricted);
    }
    if operator == Operator::In
        && let Some(known) = LabelRules::known_values(key)
        && !values.iter().any(|value| known.contains(&value.as_str()))
    {
        return Some(RequirementFault::UnknownValues);
    }
    if !is_qualified_name(key) {
        return Some(RequirementFault::Key);
    }
    if !values.iter().all(|value| is_label_value(value)) {
        return Some(RequirementFault::Value);
    }
    if operator == Operator::In && values.is_empty() {
        return Some(RequirementFault::NoValues);
    }
    let compares = matches!(operator, Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte);
    let one_integer = values.len() == 1 && atoi(&values[0]).is_some_and(|bound| bound >= 0);
    (compares && !one_integer).then_some(RequirementFault::NoInteger)
}

/// Why Karpenter would keep `pod` out of the round, if it would.
pub fn pod_fault(rules: &LabelRules, storage: &Storage<'_>, pod: &Pod) -> Option<PodFault> {
    if avoids_karpenter(rules, pod) {
        return Some(PodFault::AvoidsKarpenter);
    }
    for (key, value) in pod.spec.node_selector.iter() {
        if let Some(fault) = requirement_fault(rules, key, Some(Operator::In), &[value.into()]) {
            return Some(PodFault::Requirement { key: key.into(), fault });
        }
    }
    let node_affinity = pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let terms = node_affinity
        .and_then(|affinity| affinity.required.as_ref())
        .map(|required| &required.node_selector_terms);
    for term in terms.into_iter().flatten() {
        if let Some(fault) = term_fault(rules, term) {
            return Some(fault);
        }
    }
    storage.claim_fault(pod)
}

fn term_fault(rules: &LabelRules, term: &NodeSelectorTerm) -> Option<PodFault> {
    if term.match_fields.is_some() {
        return Some(PodFault::MatchFields);
    }
    term.match_expressions.iter().flatten().find_map(|expression| {
        let fault = requirement_fault(rules, &expression.key, expression.operator, &expression.values)?;
        Some(PodFault::Requirement { key: expression.key.clone(), fault })
    })
}

/// Whether the pod's requirements (with its heaviest preference, and the first of its OR-ed terms) say that the node
/// must have no NodePool.
fn avoids_karpenter(rules: &LabelRules, pod: &Pod) -> bool {
    let node_affinity = pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = node_affinity
        .and_then(|affinity| affinity.required.as_ref())
        .and_then(|required| required.node_selector_terms.first());
    let preferred = node_affinity.and_then(|affinity| {
        let mut terms: Vec<_> = affinity.preferred.iter().collect();
        crate::go_sort::sort_slice(&mut terms, |a, b| a.weight > b.weight);
        terms.first().map(|term| &term.preference)
    });
    let expressions = required
        .into_iter()
        .chain(preferred)
        .flat_map(|term| term.match_expressions.iter().flatten())
        .filter(|expression| rules.normalize(&expression.key) == NODE_POOL);
    let selected = pod.spec.node_selector.iter().filter(|(key, _)| rules.normalize(key) == NODE_POOL);
    let mut algebra = crate::requirements::Algebra::default();
    let key = algebra.key(NODE_POOL, |_| true);
    let mut requirements = Vec::new();
    for expression in expressions {
        let operator = expression.operator.unwrap_or(Operator::Exists);
        requirements.push((key, algebra.requirement(key, operator, &expression.values, None)));
    }
    for (_, value) in selected {
        requirements.push((key, algebra.requirement(key, Operator::In, &[value.into()], None)));
    }
    if requirements.is_empty() {
        return false;
    }
    let constraint = algebra.constraint(requirements);
    algebra
        .of(constraint, key)
        .is_some_and(|requirement| requirement.shape() == crate::requirements::Shape::DoesNotExist)
}
