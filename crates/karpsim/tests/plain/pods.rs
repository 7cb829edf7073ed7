//! What a pod asks for, and what is left of it as its wishes are dropped.

use super::requirements::{Label, Requirements};
use karpsim::compile::volumes::Storage;
use karpsim::kubernetes::requests::{RawAmounts, pod_requests};
use karpsim::kubernetes::selectors::selects;
use karpsim::label_rules::LabelRules;
use karpsim::model::core::{
    NodeInclusionPolicy, Pod, PodAffinityTerm, PodSpec, Taint, TaintEffect, Toleration, TolerationOperator,
    TopologySpreadConstraint, WeightedPodAffinityTerm, WhenUnsatisfiable,
};
use karpsim::model::meta::{LabelSelector, LabelSelectorRequirement, SelectorOperator, Str};
use karpsim::requirements::Algebra;
use karpsim::scenario::Scenario;
use std::collections::BTreeSet;

/// A term of affinity or anti-affinity.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) key: Str,
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) namespaces: BTreeSet<Str>,
}

/// A topology spread constraint.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    pub(crate) key: Str,
    pub(crate) max_skew: i64,
    pub(crate) min_domains: Option<i64>,
    pub(crate) soft: bool,
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) honors_affinity: bool,
    pub(crate) honors_taints: bool,
}

/// What a pod's volumes ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Volumes {
    /// Driver and claim.
    pub(crate) attached: BTreeSet<(Str, Str)>,
    /// One of these must hold, if there are any.
    pub(crate) alternatives: Vec<Requirements>,
    pub(crate) unresolved: bool,
    pub(crate) unreachable: bool,
}

/// A port on the host.
#[derive(Debug, Clone)]
pub(crate) struct HostPort {
    ip: Str,
    port: i64,
    protocol: Str,
}

/// A pod with what is left of its wishes.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    pub(crate) namespace: Str,
    pub(crate) requests: RawAmounts,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) volumes: Volumes,
    pub(crate) claims_devices: bool,
    selector: Requirements,
    required: Option<Vec<Requirements>>,
    preferred: Vec<Requirements>,
    pub(crate) spread: Vec<Spread>,
    pub(crate) affinity: Vec<Term>,
    pub(crate) preferred_affinity: Vec<Term>,
    pub(crate) anti_affinity: Vec<Term>,
    pub(crate) preferred_anti_affinity: Vec<Term>,
    pub(crate) tolerations: Vec<Toleration>,
}

impl Wishes {
    pub(crate) fn of(scenario: &Scenario, rules: &LabelRules, pod: &Pod) -> Self {
        let spec = &pod.spec;
        let affinity = spec.affinity.as_deref();
        let to_nodes = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let away = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let mut preferred = to_nodes.map(|affinity| affinity.preferred.clone()).unwrap_or_default();
        karpsim::go_sort::sort_slice(&mut preferred, |a, b| a.weight > b.weight);
        let terms = |terms: &[PodAffinityTerm]| -> Vec<Term> {
            terms.iter().map(|term| term_of(scenario, pod, term)).collect()
        };
        let weighted = |terms: &[WeightedPodAffinityTerm]| -> Vec<Term> {
            let mut sorted = terms.to_vec();
            sorted.sort_by_key(|term| -term.weight);
            sorted.iter().map(|term| term_of(scenario, pod, &term.pod_affinity_term)).collect()
        };
        let expressions = |term: &karpsim::model::core::NodeSelectorTerm| {
            Requirements::of_expressions(rules, term.match_expressions.as_deref().unwrap_or_default())
        };
        Wishes {
            namespace: pod.metadata.namespace.clone(),
            requests: pod_requests(pod),
            ports: host_ports(spec),
            volumes: volumes_of(scenario, rules, pod),
            claims_devices: !spec.resource_claims.is_empty()
                || spec
                    .containers
                    .iter()
                    .chain(&spec.init_containers)
                    .any(|container| !container.resources.claims.is_empty()),
            selector: Requirements::of_labels(rules, &spec.node_selector),
            required: to_nodes
                .and_then(|affinity| affinity.required.as_ref())
                .map(|required| required.node_selector_terms.iter().map(expressions).collect()),
            preferred: preferred.iter().map(|term| expressions(&term.preference)).collect(),
            spread: spec.topology_spread_constraints.iter().map(|spread| spread_of(pod, spread)).collect(),
            affinity: near.map(|near| terms(&near.required)).unwrap_or_default(),
            preferred_affinity: near.map(|near| weighted(&near.preferred)).unwrap_or_default(),
            anti_affinity: away.map(|away| terms(&away.required)).unwrap_or_default(),
            preferred_anti_affinity: away.map(|away| weighted(&away.preferred)).unwrap_or_default(),
            tolerations: spec.tolerations.clone(),
        }
    }

    /// Without the wishes that are not looked at under the policy `Ignore`.
    pub(crate) fn without_preferences(mut self) -> Self {
        self.preferred.clear();
        self.preferred_affinity.clear();
        self.preferred_anti_affinity.clear();
        self.spread.retain(|spread| !spread.soft);
        self
    }

    /// What the pod must have of a node: the first of its OR-ed terms.
    pub(crate) fn strict(&self) -> Requirements {
        match self.required.as_ref().and_then(|terms| terms.first()) {
            Some(term) => self.selector.and(term),
            None => self.selector.clone(),
        }
    }

    /// The same, and its heaviest preference.
    pub(crate) fn asked(&self) -> Requirements {
        match self.preferred.first() {
            Some(term) => self.strict().and(term),
            None => self.strict(),
        }
    }

    /// The node selector with each of the OR-ed terms: which nodes a spread constraint counts.
    pub(crate) fn node_terms(&self) -> Vec<Requirements> {
        match &self.required {
            Some(terms) => terms.iter().map(|term| self.selector.and(term)).collect(),
            None => vec![self.selector.clone()],
        }
    }

    /// Drops one wish. False: there is none left that may be dropped.
    pub(crate) fn drop_one(&mut self, some_pool_prefers_no_schedule: bool) -> bool {
        if let Some(terms) = &mut self.required
            && terms.len() > 1
        {
            terms.remove(0);
            return true;
        }
        for terms in [&mut self.preferred_affinity, &mut self.preferred_anti_affinity] {
            if !terms.is_empty() {
                terms.remove(0);
                return true;
            }
        }
        if !self.preferred.is_empty() {
            self.preferred.remove(0);
            return true;
        }
        if let Some(at) = self.spread.iter().position(|spread| spread.soft) {
            self.spread.swap_remove(at);
            return true;
        }
        some_pool_prefers_no_schedule && tolerate_prefer_no_schedule(&mut self.tolerations)
    }
}

/// Adds a toleration of every `PreferNoSchedule` taint. False: it is there already.
pub(crate) fn tolerate_prefer_no_schedule(tolerations: &mut Vec<Toleration>) -> bool {
    let it = Toleration {
        operator: Some(TolerationOperator::Exists),
        effect: Some(TaintEffect::PreferNoSchedule),
        ..Toleration::default()
    };
    let is_there = tolerations.iter().any(|one| {
        one.key.is_empty() && one.value.is_empty() && one.operator == it.operator && one.effect == it.effect
    });
    if !is_there {
        tolerations.push(it);
    }
    !is_there
}

/// Whether a pod puts up with all taints of a node.
pub(crate) fn tolerates_all(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    taints.iter().all(|taint| tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

/// Kubernetes: "Taints and Tolerations".
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    if !toleration.key.is_empty() && toleration.key != taint.key {
        return false;
    }
    if toleration.effect.is_some() && toleration.effect != taint.effect {
        return false;
    }
    match toleration.operator {
        None | Some(TolerationOperator::Equal) => toleration.value == taint.value,
        Some(TolerationOperator::Exists) => true,
        Some(TolerationOperator::Lt) => {
            numbers(toleration, taint).is_some_and(|(bound, value)| value < bound)
        }
        Some(TolerationOperator::Gt) => {
            numbers(toleration, taint).is_some_and(|(bound, value)| value > bound)
        }
    }
}

fn numbers(toleration: &Toleration, taint: &Taint) -> Option<(i64, i64)> {
    Some((toleration.value.parse().ok()?, taint.value.parse().ok()?))
}

/// Whether two pods would want one port of a host.
pub(crate) fn ports_clash(a: &[HostPort], b: &[HostPort]) -> bool {
    let unspecified = |ip: &str| ip == "0.0.0.0" || ip == "::";
    a.iter().any(|a| {
        b.iter().any(|b| {
            let addresses_meet = a.ip == b.ip || unspecified(&a.ip) || unspecified(&b.ip);
            a.protocol == b.protocol && a.port == b.port && addresses_meet
        })
    })
}

pub(crate) fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let ports = spec.containers.iter().flat_map(|container| &container.ports);
    ports
        .filter(|port| port.host_port != 0)
        .map(|port| HostPort {
            ip: if port.host_ip.is_empty() { "0.0.0.0".into() } else { port.host_ip.clone() },
            port: port.host_port,
            protocol: port.protocol.clone(),
        })
        .collect()
}

fn term_of(scenario: &Scenario, pod: &Pod, term: &PodAffinityTerm) -> Term {
    let mut namespaces: BTreeSet<Str> = term.namespaces.iter().cloned().collect();
    match &term.namespace_selector {
        Some(selector) => namespaces.extend(
            scenario
                .objects
                .namespaces
                .iter()
                .filter(|namespace| selects(selector, &namespace.metadata.labels))
                .map(|namespace| namespace.metadata.name.clone()),
        ),
        None if namespaces.is_empty() => {
            namespaces.insert(pod.metadata.namespace.clone());
        }
        None => {}
    }
    Term { key: term.topology_key.clone(), selector: term.label_selector.clone(), namespaces }
}

fn spread_of(pod: &Pod, spread: &TopologySpreadConstraint) -> Spread {
    let mut selector = spread.label_selector.clone();
    for key in &spread.match_label_keys {
        if let Some(value) = pod.metadata.labels.get(key) {
            selector.get_or_insert_with(LabelSelector::default).match_expressions.push(
                LabelSelectorRequirement {
                    key: key.clone(),
                    operator: Some(SelectorOperator::In),
                    values: vec![value.into()],
                    ..LabelSelectorRequirement::default()
                },
            );
        }
    }
    Spread {
        key: spread.topology_key.clone(),
        max_skew: spread.max_skew,
        min_domains: spread.min_domains,
        soft: spread.when_unsatisfiable == Some(WhenUnsatisfiable::ScheduleAnyway),
        selector,
        honors_affinity: spread.node_affinity_policy != Some(NodeInclusionPolicy::Ignore),
        honors_taints: spread.node_taints_policy == Some(NodeInclusionPolicy::Honor),
    }
}

/// Volumes are looked up by the library (its recordings hold it); what it found is written out in labels.
fn volumes_of(scenario: &Scenario, rules: &LabelRules, pod: &Pod) -> Volumes {
    if pod.spec.volumes.is_empty() {
        return Volumes::default();
    }
    let storage = Storage::new(&scenario.objects);
    let mut algebra = Algebra::default();
    let volumes = storage.use_of(&mut algebra, rules, pod);
    let alternatives = volumes.alternatives.iter().map(|alternative| {
        let hostname = alternative
            .hostname
            .map(|id| (karpsim::kubernetes::labels::HOSTNAME.into(), algebra.get(id).clone()));
        let others = algebra
            .requirements(alternative.constraint)
            .iter()
            .map(|&(key, id)| (algebra.key_name(key).clone(), algebra.get(id).clone()));
        let written = others.chain(hostname).map(|(name, requirement): (Str, _)| {
            let key = algebra.find_key(&name).expect("a key that a requirement is on");
            let values =
                requirement.values.iter().map(|value| algebra.value_name(key, value).clone()).collect();
            let label = Label {
                complement: requirement.complement,
                values,
                gte: requirement.gte,
                lte: requirement.lte,
                min_values: None,
            };
            (name, label)
        });
        Requirements(written.collect())
    });
    Volumes {
        alternatives: alternatives.collect(),
        attached: volumes.attached.iter().cloned().collect(),
        unresolved: volumes.unresolved,
        unreachable: volumes.unreachable,
    }
}
