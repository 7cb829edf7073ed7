//! What makes two topology constraints the same.
//!
//! Karpenter shares a group between constraints of equal hash. The hash sees key, type, namespaces, maxSkew, selector,
//! both node policies, tolerations and, of each node term, its keys, but no operators or values, and no minDomains.
//! Lists are hashed as sets by XOR: equal members cancel in pairs.

use super::group::Kind;
use crate::compile::ClusterState;
use crate::compile::asked::Asked;
use crate::compile::pods::NamespacesId;
use crate::compile::selectors::{SelectorId, Selectors};
use crate::compile::taints::TolerationsId;
use crate::model::core::Toleration;
use crate::model::meta::{LabelSelector, SelectorOperator, Str};
use crate::requirements::{Algebra, KeyId};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// An interned [`Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityId(pub u32);

/// What Karpenter's hash of a topology group sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Spread, affinity or anti-affinity.
    pub kind: Kind,
    /// The label whose values are the domains.
    pub key: KeyId,
    /// Whose pods are counted.
    pub namespaces: NamespacesId,
    /// By how much domains may differ.
    pub max_skew: i32,
    /// Which pods are counted; an id of `SelectorIdentities`.
    pub selector: u32,
    /// On which nodes.
    pub filter: Option<FilterIdentity>,
}

/// What the hash sees of a [`Filter`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FilterIdentity {
    terms: Vec<Vec<KeyId>>,
    honors_affinity: bool,
    honors_taints: bool,
    tolerations: Vec<Toleration>,
}

/// A [`Filter`] of a topology, for looking up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterId(pub u32);

/// Which nodes a spread constraint counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The pod's node selector with each of its OR-ed terms.
    pub terms: Vec<Asked>,
    /// Whether nodes that fit no term are left out.
    pub honors_affinity: bool,
    /// Whether nodes with taints that the pod does not tolerate are left out.
    pub honors_taints: bool,
    /// The pod's tolerations.
    pub tolerations: TolerationsId,
}

impl Filter {
    /// What the hash sees.
    pub fn identity(&self, problem: &ClusterState, algebra: &Algebra) -> FilterIdentity {
        let keys = |term: &Asked| {
            let mut keys: Vec<KeyId> =
                algebra.requirements(term.constraint).iter().map(|(key, _)| *key).collect();
            if term.hostname.is_some() {
                keys.push(problem.hostname);
            }
            keys.sort_unstable();
            keys
        };
        let mut tolerations = problem.taints.tolerations_of(self.tolerations).to_vec();
        tolerations.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        FilterIdentity {
            terms: odd(self.terms.iter().map(keys).collect()),
            honors_affinity: self.honors_affinity,
            honors_taints: self.honors_taints,
            tolerations: odd_runs(tolerations),
        }
    }
}

/// Sorted members that occur an odd number of times.
fn odd<T: Ord>(mut members: Vec<T>) -> Vec<T> {
    members.sort_unstable();
    odd_runs(members)
}

fn odd_runs<T: PartialEq>(sorted: Vec<T>) -> Vec<T> {
    let mut left: Vec<T> = Vec::new();
    for member in sorted {
        if left.last() == Some(&member) {
            left.pop();
        } else {
            left.push(member);
        }
    }
    left
}

type Expression = (Str, Option<SelectorOperator>, Vec<Str>);
type Canonical = Option<(Vec<(Str, Str)>, BTreeSet<Expression>)>;

/// Selectors that hash alike.
#[derive(Default)]
pub(super) struct SelectorIdentities {
    of: FxHashMap<SelectorId, u32>,
    index: FxHashMap<Canonical, u32>,
}

impl SelectorIdentities {
    /// The identity of a selector.
    pub(super) fn identity(&mut self, selectors: &Selectors, selector: SelectorId) -> u32 {
        if let Some(&known) = self.of.get(&selector) {
            return known;
        }
        let canonical = selectors.get(selector).map(canonical);
        let next = self.index.len() as u32;
        let id = *self.index.entry(canonical).or_insert(next);
        self.of.insert(selector, id);
        id
    }
}

fn canonical(selector: &LabelSelector) -> (Vec<(Str, Str)>, BTreeSet<Expression>) {
    let labels = selector.match_labels.iter().map(|(key, value)| (key.into(), value.into())).collect();
    let expressions = selector
        .match_expressions
        .iter()
        .map(|expression| (expression.key.clone(), expression.operator, odd(expression.values.clone())))
        .collect();
    (labels, expressions)
}
