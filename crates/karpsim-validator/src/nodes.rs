//! Nodes that stand: what was promised to them must fit beside what they have.
//!
//! Looser than Kubernetes: what daemons will still take is reckoned as a whole, what all that belong here ask for less what
//! daemon pods have here now, be they of other daemon sets or on nodes where they do not belong.

use crate::daemons::{Terms, daemons, runs_on};
use crate::decided::Decided;
use crate::labels::{Names, NodeLabels, absent};
use crate::ports::clash;
use crate::resources::{add, first_missing, requests_of};
use crate::selectors::Asked;
use crate::sites::{Site, is_owned_by, name_of, sites};
use crate::taints::first_untolerated;
use crate::volumes;
use karpsim::model::core::{NodeSelectorRequirement, Pod};
use karpsim::quantity::Quantity;
use karpsim::scenario::Scenario;

pub(crate) fn violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let names = Names::new(&scenario.catalogue);
    let sites = sites(scenario);
    let mut found = Vec::new();
    for filled in &decision.existing_nodes {
        let node = &filled.name;
        let Some(site) = sites.iter().find(|site| site.name == node.as_str()) else {
            found.push(format!("there is no node {node}"));
            continue;
        };
        if site.leaves {
            found.push(format!("node {node} leaves, and is promised pods"));
        }
        let newcomers = pods_named(scenario, &filled.pods);
        found.extend(
            site_violations(scenario, &names, site, &newcomers)
                .into_iter()
                .map(|it| format!("node {node}: {it}")),
        );
    }
    found
}

/// The pods of these names. Unknown names are found by [`crate::placement`].
pub(crate) fn pods_named<'a>(scenario: &'a Scenario, names: &[String]) -> Vec<&'a Pod> {
    scenario.objects.pods.iter().map(|pod| &**pod).filter(|pod| names.contains(&name_of(pod))).collect()
}

fn site_violations(scenario: &Scenario, names: &Names, site: &Site<'_>, newcomers: &[&Pod]) -> Vec<String> {
    let labels = NodeLabels::standing(names, site.labels);
    let mut found = Vec::new();
    for pod in newcomers {
        if let Some(why) = unsuited(scenario, names, &labels, pod) {
            found.push(why);
        }
        if let Some(taint) = first_untolerated(&site.taints, &pod.spec.tolerations) {
            found.push(format!("pod {} does not tolerate {}={}", name_of(pod), taint.key, taint.value));
        }
    }

    let mut to_come = requests_of(
        daemons(scenario).iter().filter(|daemon| runs_on(daemon, Terms::Every, names, &labels, &site.taints)),
    );
    let present = requests_of(site.pods.iter().copied().filter(|pod| is_owned_by(pod, "DaemonSet")));
    for (name, amount) in &mut to_come {
        *amount = (*amount - present.get(name).copied().unwrap_or_default()).max(Quantity::ZERO);
    }
    let mut taken = requests_of(site.pods.iter().copied());
    add(&mut taken, &to_come);
    let mut wanted = requests_of(newcomers.iter().copied());
    taken.retain(|name, _| wanted.get(name).is_some_and(|wanted| !wanted.is_zero()));
    add(&mut wanted, &taken);
    if let Some(missing) = first_missing(&wanted, &site.allocatable) {
        found.push(format!("not enough {missing}"));
    }
    for (index, pod) in newcomers.iter().enumerate() {
        let others = site.pods.iter().chain(&newcomers[..index]).copied();
        for other in others.filter(|other| clash(pod, other)) {
            found.push(format!("pods {} and {} want the same host port", name_of(pod), name_of(other)));
        }
    }
    if let Some(over) = volumes::over_limit(scenario, site.name, &site.pods, newcomers) {
        found.push(over);
    }
    found
}

/// What the pod asks of its node that a node with these labels does not meet.
///
/// Looser than Kubernetes: what a pod asks of a label, and what it prefers, is one requirement until it is relaxed; where
/// that cannot be, Karpenter takes it for "no such label".
pub(crate) fn unsuited(scenario: &Scenario, names: &Names, labels: &NodeLabels, pod: &Pod) -> Option<String> {
    let asked = Asked::of(pod);
    let respected = scenario.options.respects_preferences();
    let meets = |it: &NodeSelectorRequirement| {
        labels.meet(names, it)
            || (labels.meet(names, &absent(&it.key))
                && asked.contradicts(it, respected, &|key| names.of(key)))
    };
    if !asked.met(meets) {
        return Some(format!("its labels are not what pod {} asks for", name_of(pod)));
    }
    let reached = |terms: &Vec<Vec<_>>| terms.iter().any(|term| term.iter().all(|it| labels.meet(names, it)));
    let all = volumes::asked(scenario, pod);
    (!all.iter().all(reached)).then(|| format!("a volume of pod {} cannot be reached", name_of(pod)))
}
