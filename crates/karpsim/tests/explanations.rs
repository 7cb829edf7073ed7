//! Explanations of recorded scenarios: every pod error has one, its counts add up, and it is sufficient: without what it
//! names the pod is placed.

use karpsim::decision::Method;
use karpsim::decision::reasons::{Rule, TopologyKind};
use karpsim::explain::{self, PodOutcome, Verdict};
use karpsim::model::core::{
    NodeInclusionPolicy, NodeSelector, PodSpec, Toleration, TopologySpreadConstraint,
};
use karpsim::scenario::Scenario;
use karpsim::scenario::ScenarioKind;
use karpsim::{disrupt, provision};
use karpsim_testkit::Recordings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every `step`-th recorded scenario.
fn recorded(kind: &str, step: usize) -> Vec<Scenario> {
    Recordings::read(kind).iter().step_by(step).map(|recording| recording.scenario()).collect()
}

#[test]
fn every_pod_error_is_explained_and_its_counts_add_up() {
    let mut left_over = 0;
    let mut launched = 0;
    for scenario in recorded("provisioning", 4) {
        assert_eq!(scenario.kind, ScenarioKind::Provisioning);
        let decision = provision(&scenario);
        let errors = decision.pod_errors.iter().take(6);
        for (pod, error) in errors {
            let place = format!("{} {pod}", scenario.name);
            let explanation = explain::pod(&scenario, pod).unwrap_or_else(|| panic!("{place}: no such pod"));
            let PodOutcome::LeftOver(reasons) = explanation.outcome else {
                panic!("{place}: {:?}", explanation.outcome);
            };
            assert_eq!(reasons.message, error.to_string(), "{place}");
            if reasons.reason != "NoCompatibleInstanceTypes" {
                continue;
            }
            left_over += 1;
            for pool in &reasons.refusals.node_pools {
                let mut left = pool.instance_types;
                for step in &pool.steps {
                    assert_eq!(step.left + step.removed, left, "{place}: {pool:?}");
                    left = step.left;
                }
                assert_eq!(left, 0, "{place}: {pool:?}");
                let misses = pool.nearest.as_ref().map_or(0, |nearest| nearest.misses.len());
                assert!(misses > 0 || pool.instance_types == 0, "{place}: {pool:?}");
            }
        }
        for claim in decision.new_node_claims.iter().take(3) {
            let pod = &claim.pods[0];
            let place = format!("{} {pod}", scenario.name);
            let Some(PodOutcome::Launch(launch)) = explain::pod(&scenario, pod).map(|pod| pod.outcome) else {
                panic!("{place}: is launched, but not explained so");
            };
            launched += 1;
            assert_eq!(launch.chosen, claim.launch, "{place}");
            assert_eq!(launch.pods, claim.pods, "{place}");
            let left = launch.steps.last().map_or(launch.instance_types, |step| step.left);
            if left <= 600 {
                assert_eq!(left, claim.instance_types.len(), "{place}: {:?}", launch.steps);
            }
        }
        for filled in decision.existing_nodes.iter().take(2) {
            let Some(PodOutcome::ExistingNode { node, .. }) =
                explain::pod(&scenario, &filled.pods[0]).map(|pod| pod.outcome)
            else {
                panic!("{} {}: goes to a node, but is not explained so", scenario.name, filled.pods[0]);
            };
            assert_eq!(node, filled.name);
        }
    }
    assert!(left_over > 100 && launched > 100, "{left_over} pods unschedulable, {launched} launches");
}

/// Takes `key` out of what the pod asks of a node. False: it asks for it through its volumes, or its spread counts the
/// nodes that match what it asks for, so that the counts would be others.
fn forget_label(spec: &mut PodSpec, key: &str) -> bool {
    let counts = |spread: &TopologySpreadConstraint| {
        spread.topology_key == key && spread.node_affinity_policy != Some(NodeInclusionPolicy::Ignore)
    };
    if spec.topology_spread_constraints.iter().any(counts) {
        return false;
    }
    let selected = spec.node_selector.get(key).is_some();
    spec.node_selector.remove(key);
    let required = spec
        .affinity
        .as_mut()
        .and_then(|affinity| affinity.node_affinity.as_mut())
        .and_then(|affinity| affinity.required.as_mut());
    let Some(selector) = required else { return selected };
    let count = |selector: &NodeSelector| -> usize {
        selector
            .node_selector_terms
            .iter()
            .filter_map(|term| term.match_expressions.as_ref())
            .map(Vec::len)
            .sum()
    };
    let before = count(selector);
    for term in &mut selector.node_selector_terms {
        if let Some(expressions) = &mut term.match_expressions {
            expressions.retain(|expression| expression.key != key);
        }
    }
    selected || count(selector) < before
}

/// Takes the pod's own topology constraints of that kind and key away. False: they are those of other pods.
fn forget_topology(spec: &mut PodSpec, kind: TopologyKind, key: &str) -> bool {
    let affinity = spec.affinity.as_mut();
    let terms = match kind {
        TopologyKind::Spread => {
            spec.topology_spread_constraints.retain(|spread| spread.topology_key != key);
            return true;
        }
        TopologyKind::Affinity => affinity.and_then(|affinity| affinity.pod_affinity.as_mut()),
        TopologyKind::AntiAffinity => affinity.and_then(|affinity| affinity.pod_anti_affinity.as_mut()),
        TopologyKind::AntiAffinityOfOthers => None,
    };
    terms.is_some_and(|terms| {
        let before = terms.required.len();
        terms.required.retain(|term| term.topology_key != key);
        terms.required.len() < before
    })
}

/// Takes `miss` of `node_pool` out of the pod's way. False: that takes more than a change of pod, limits or `minValues`.
fn remove(scenario: &mut Scenario, pod: &str, node_pool: &str, miss: &Rule) -> bool {
    let index = scenario
        .objects
        .pods
        .iter()
        .position(|known| format!("{}/{}", known.metadata.namespace, known.metadata.name) == pod)
        .unwrap();
    let spec = &mut Arc::make_mut(&mut scenario.objects.pods[index]).spec;
    match miss {
        Rule::Taints { taints } => {
            for taint in taints {
                let (label, effect) = taint.rsplit_once(':').unwrap();
                let (key, value) = label.split_once('=').unwrap_or((label, ""));
                spec.tolerations.push(Toleration {
                    key: key.into(),
                    value: value.into(),
                    effect: serde_json::from_value(effect.into()).unwrap(),
                    ..Toleration::default()
                });
            }
            true
        }
        Rule::Label { key, .. } => forget_label(spec, key),
        Rule::Topology(fact) => forget_topology(spec, fact.kind, &fact.key),
        Rule::HostPorts => {
            spec.containers.iter_mut().for_each(|container| container.ports.clear());
            spec.init_containers.iter_mut().for_each(|container| container.ports.clear());
            true
        }
        Rule::MinValues { key, .. } | Rule::NodePoolMinValues { key, .. } => {
            let pools = &mut scenario.objects.node_pools;
            let pool = pools.iter_mut().find(|pool| pool.metadata.name == node_pool).unwrap();
            for requirement in &mut pool.spec.template.spec.requirements {
                if requirement.key == *key {
                    requirement.min_values = None;
                }
            }
            true
        }
        Rule::NodesLimit { .. } | Rule::Limit { .. } => {
            let pools = &mut scenario.objects.node_pools;
            let pool = pools.iter_mut().find(|pool| pool.metadata.name == node_pool).unwrap();
            pool.spec.limits = None;
            true
        }
        Rule::Resource { resource, requested, daemons, most } if resource != "pods" => {
            let lacking = *requested + *daemons - *most;
            // Simple pods alone: init containers and overhead would have to be lowered, too.
            let simple = spec.init_containers.is_empty() && spec.resources.is_none() && !lacking.is_zero();
            let largest = spec
                .containers
                .iter_mut()
                .max_by_key(|container| container.resources.requests.get(resource).unwrap_or_default());
            let Some(container) = largest.filter(|_| simple) else { return false };
            let own = container.resources.requests.get(resource).unwrap_or_default();
            if own < lacking {
                return false;
            }
            container.resources.requests.insert(resource.clone(), own - lacking);
            container.resources.limits.insert(resource.clone(), own - lacking);
            true
        }
        _ => false,
    }
}

#[test]
fn without_what_the_nearest_miss_names_the_pod_is_placed() {
    let mut tried: BTreeMap<&'static str, usize> = BTreeMap::new();
    for scenario in recorded("provisioning", 1) {
        for pod in provision(&scenario).pod_errors.keys().take(2) {
            let Some(PodOutcome::LeftOver(reasons)) = explain::pod(&scenario, pod).map(|pod| pod.outcome)
            else {
                continue;
            };
            for pool in &reasons.refusals.node_pools {
                let Some(nearest) = &pool.nearest else { continue };
                // A pool before this one may come to take the pod as well, which is as good.
                let mut changed = scenario.clone();
                let possible =
                    nearest.misses.iter().all(|miss| remove(&mut changed, pod, &pool.node_pool, miss));
                if !possible {
                    continue;
                }
                for miss in &nearest.misses {
                    *tried.entry(miss.subject().0).or_default() += 1;
                }
                let errors = provision(&changed).pod_errors;
                assert_eq!(
                    errors.get(pod.as_str()),
                    None,
                    "{} {pod}: without {nearest} it is still unschedulable",
                    scenario.name
                );
            }
        }
    }
    for kind in [
        "affinity",
        "antiAffinity",
        "hostPorts",
        "label",
        "limit",
        "minValues",
        "nodePoolMinValues",
        "nodesLimit",
        "resource",
        "spread",
        "taints",
    ] {
        assert!(tried.get(kind).is_some_and(|&count| count >= 10), "{kind}: {tried:?}");
    }
}

#[test]
fn every_node_is_explained_as_the_commands_have_it() {
    let (mut removed, mut alone, mut stranded, mut dear) = (0, 0, 0, 0);
    for scenario in recorded("disruption", 2) {
        let commands = disrupt(&scenario, &Method::ALL).commands;
        let nodes: Vec<_> = scenario.objects.nodes.iter().map(|node| node.metadata.name.clone()).collect();
        for name in nodes.iter().take(8) {
            let place = format!("{} {name}", scenario.name);
            let Some(explanation) = explain::node(&scenario, name) else {
                // A node that Karpenter does not hold in its state is in no command.
                assert!(commands.iter().all(|command| !command.candidates.contains(name)), "{place}");
                continue;
            };
            for method in &explanation.methods {
                let own = commands
                    .iter()
                    .find(|command| command.method == method.method && command.candidates.contains(name));
                let verdict = matches!(method.verdict, Verdict::Removed { .. });
                assert_eq!(verdict, own.is_some(), "{place}: {method:?}");
                removed += usize::from(verdict);
                if let Verdict::Budget = method.verdict {
                    let budget = method.budget.as_ref().unwrap_or_else(|| panic!("{place}: no arithmetic"));
                    assert_eq!(budget.allowed, (budget.budget - budget.disrupting).max(0), "{place}");
                    assert_eq!(budget.allowed, 0, "{place}");
                }
                let (Some(command), Some(sums)) = (own, &explanation.arithmetic) else { continue };
                if method.method != Method::SingleNodeConsolidation {
                    continue;
                }
                assert_eq!(command.replacements.len(), sums.new_nodes, "{place}: {sums:?}");
                if sums.new_nodes == 1 {
                    alone += 1;
                    assert!(sums.cheaper > 0, "{place}: {sums:?}");
                    assert!(
                        sums.worst_price.is_some_and(|worst| worst.0 < sums.price.0),
                        "{place}: {sums:?}"
                    );
                }
            }
            let single = explanation.methods.iter().find(|one| one.method == Method::SingleNodeConsolidation);
            match single.map(|single| &single.verdict) {
                Some(Verdict::Unconsolidatable { why }) if why.contains("would be unschedulable") => {
                    stranded += 1;
                    assert!(!explanation.stranded.is_empty(), "{place}: {why}");
                }
                Some(Verdict::Unconsolidatable { why }) if why.contains("is cheaper than") => {
                    dear += 1;
                    let sums =
                        explanation.arithmetic.as_ref().unwrap_or_else(|| panic!("{place}: no prices"));
                    assert_eq!(sums.saves, None, "{place}: {sums:?}");
                }
                Some(Verdict::Blocked { why }) => {
                    // What blocks the node by a pod is listed with all others that do.
                    if let Some(pod) = why.strip_prefix("pod ").and_then(|rest| rest.split([' ', ':']).next())
                    {
                        assert!(
                            explanation.blocking.iter().any(|blocking| blocking.pod == pod),
                            "{place}: {why}"
                        );
                    }
                }
                _ => {}
            }
        }
    }
    assert!(removed > 50 && alone > 5 && stranded > 5 && dear > 5, "{removed} {alone} {stranded} {dear}");
}
