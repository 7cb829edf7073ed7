//! NodeClaims: whatever of its instance types one is launched as, the node must suit its pods.
//!
//! Looser than Kubernetes: what a NodePool asks of a label and cannot be at once, Karpenter takes for "no such label". A
//! NodeClaim is narrowed to the reservations that it holds in the end, and its list of instance types is not gone through
//! again: those without such a reservation stay in it, and only the launch need have one.
//! Not recomputed: resources that a NodeOverlay adds, and prices while NodeOverlays are on.

use crate::daemons::{Terms, daemons, runs_on};
use crate::decided::{Decided, DecidedClaim, DecidedLaunch, DecidedRequirement};
use crate::labels::{Label, Names, NodeLabels, absent, contradicts_itself};
use crate::nodes::{pods_named, unsuited};
use crate::ports::clash;
use crate::resources::{Amounts, allocatable, amounts, first_missing, raise, requests_of};
use crate::selectors::one_of;
use crate::sites::{instance_type, name_of, sites};
use crate::taints::first_untolerated;
use karpsim::catalogue::{InstanceType, Offering};
use karpsim::kubernetes::labels::{CAPACITY_TYPE, INSTANCE_TYPE, NODE_POOL, ZONE};
use karpsim::model::core::{NodeSelectorRequirement, Pod};
use karpsim::model::karpenter::NodePool;
use karpsim::model::meta::{Operator, condition_is_true};
use karpsim::quantity::Quantity;
use karpsim::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// Karpenter lists no more instance types than this in a NodeClaim.
const INSTANCE_TYPES_MAX: usize = 600;

pub(crate) fn violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let names = Names::new(&scenario.catalogue);
    let daemons = daemons(scenario);
    let mut found = Vec::new();
    for claim in &decision.new_node_claims {
        let of_claim = claim_violations(scenario, &names, &daemons, claim);
        let who = format!(
            "NodeClaim of {} for {}",
            claim.node_pool,
            claim.pods.first().map_or("nobody", String::as_str)
        );
        found.extend(of_claim.into_iter().map(|it| format!("{who}: {it}")));
    }
    found.extend(limit_violations(scenario, decision));
    found.extend(reservation_violations(scenario, decision));
    found
}

/// Whether provisioning may use the NodePool: all its conditions hold, it stays, and it is not of a fixed size.
pub(crate) fn is_usable(pool: &NodePool) -> bool {
    let holds = |kind| condition_is_true(&pool.status.conditions, kind);
    holds("ValidationSucceeded")
        && holds("NodeClassReady")
        && holds("Ready")
        && pool.metadata.deletion_timestamp.is_none()
        && pool.spec.replicas.is_none()
}

fn node_pool<'a>(scenario: &'a Scenario, claim: &DecidedClaim) -> Option<&'a NodePool> {
    scenario.objects.node_pools.iter().find(|pool| pool.metadata.name == claim.node_pool)
}

/// What the NodePool says of the labels of its nodes.
fn asked_by_pool(pool: &NodePool) -> Vec<NodeSelectorRequirement> {
    let template = &pool.spec.template;
    let requirements = template.spec.requirements.iter().map(|it| NodeSelectorRequirement {
        key: it.key.clone(),
        operator: it.operator,
        values: it.values.clone(),
        ..NodeSelectorRequirement::default()
    });
    let labels = template.metadata.labels.iter().map(|(key, value)| one_of(key, value));
    let all: Vec<_> = requirements.chain(labels).chain([one_of(NODE_POOL, &pool.metadata.name)]).collect();
    all.iter()
        .map(|it| if contradicts_itself(&all, &it.key) { absent(&it.key) } else { it.clone() })
        .collect()
}

/// The labels of a node that the claim is launched as. `Err`: the label for which it cannot be.
fn labels_as(
    names: &Names,
    claim: &DecidedClaim,
    unchecked: &[&str],
    instance_type: &InstanceType,
    offering: &Offering,
) -> Result<NodeLabels, String> {
    let of_claim = claim.requirements.iter().map(DecidedRequirement::as_selector);
    // What differs between the offerings of a type, the type lists all values of.
    let by_offering =
        |it: &&NodeSelectorRequirement| offering.requirements.iter().any(|own| own.key == it.key);
    let asked: Vec<NodeSelectorRequirement> = of_claim
        .chain(instance_type.requirements.iter().filter(|it| !by_offering(it)).cloned())
        .chain(offering.requirements.iter().cloned())
        .chain([one_of(INSTANCE_TYPE, &instance_type.name)])
        .filter(|it| !unchecked.contains(&it.key.as_str()))
        .collect();
    let mut labels = NodeLabels::to_be(names, &asked)?;
    labels.0.extend(unchecked.iter().map(|key| ((*key).to_owned(), Label::Unchecked)));
    Ok(labels)
}

/// The labels of the node that the claim is launched as, so far as they are certain.
pub(crate) fn launched_labels(
    scenario: &Scenario,
    names: &Names,
    claim: &DecidedClaim,
) -> Option<NodeLabels> {
    let launch = claim.launch.as_ref()?;
    let of_type = instance_type(&scenario.catalogue, &launch.instance_type)?;
    let mut offerings = of_type.offerings.iter().filter(|offering| is_of(offering, launch));
    offerings.find_map(|offering| labels_as(names, claim, &[], of_type, offering).ok())
}

/// The keys that the NodePool itself gives a list of values for.
pub(crate) fn keys_listed_by_pool(
    scenario: &Scenario,
    names: &Names,
    claim: &DecidedClaim,
) -> BTreeSet<String> {
    let asked = node_pool(scenario, claim).map(asked_by_pool).unwrap_or_default();
    asked.iter().filter(|it| it.operator == Some(Operator::In)).map(|it| names.of(&it.key)).collect()
}

fn is_of(offering: &Offering, launch: &DecidedLaunch) -> bool {
    let says = |key: &str, value: &str| {
        offering.requirements.iter().any(|it| it.key == key && it.values.iter().any(|listed| listed == value))
    };
    says(ZONE, &launch.zone) && says(CAPACITY_TYPE, &launch.capacity_type)
}

fn claim_violations(
    scenario: &Scenario,
    names: &Names,
    daemons: &[Pod],
    claim: &DecidedClaim,
) -> Vec<String> {
    let Some(pool) = node_pool(scenario, claim) else { return vec!["there is no such NodePool".to_owned()] };
    let mut found = Vec::new();
    if !is_usable(pool) {
        found.push("the NodePool is not ready, or of a fixed size".to_owned());
    }
    if claim.pods.is_empty() {
        found.push("it has no pods".to_owned());
    }
    if claim.instance_types.len() > INSTANCE_TYPES_MAX {
        found.push(format!("it lists {} instance types", claim.instance_types.len()));
    }
    let pods = pods_named(scenario, &claim.pods);
    for pod in &pods {
        if let Some(taint) = first_untolerated(&pool.spec.template.spec.taints, &pod.spec.tolerations) {
            found.push(format!("pod {} does not tolerate {}={}", name_of(pod), taint.key, taint.value));
        }
    }
    for (index, pod) in pods.iter().enumerate() {
        for other in pods[..index].iter().filter(|other| clash(pod, other)) {
            found.push(format!("pods {} and {} want the same host port", name_of(pod), name_of(other)));
        }
    }
    found.extend(min_values_violations(scenario, claim));

    let trial = Trial { scenario, names, daemons, pool, claim, pods: &pods };
    let narrowed = [CAPACITY_TYPE, scenario.catalogue.reservation_id_label.as_str()];
    let holds_reservations = claim.requirements.iter().any(|it| it.key == narrowed[1]);
    let unchecked: &[&str] = if holds_reservations { &narrowed } else { &[] };
    for option in &claim.instance_types {
        match instance_type(&scenario.catalogue, option) {
            None => found.push(format!("{option} is not in the catalogue")),
            Some(it) => {
                let reasons: Vec<_> =
                    it.offerings.iter().map(|offering| trial.unfit(unchecked, it, offering)).collect();
                if reasons.iter().all(Option::is_some) {
                    let reasons: BTreeSet<String> = reasons.into_iter().flatten().collect();
                    found.push(format!("it cannot be {option}: {reasons:?}"));
                }
            }
        }
    }
    match &claim.launch {
        None => found.push("it has no launch".to_owned()),
        Some(launch) => found.extend(trial.launch_violation(launch)),
    }
    found
}

/// A claim that is tried on instance types and offerings.
struct Trial<'a> {
    scenario: &'a Scenario,
    names: &'a Names,
    daemons: &'a [Pod],
    pool: &'a NodePool,
    claim: &'a DecidedClaim,
    pods: &'a [&'a Pod],
}

impl Trial<'_> {
    fn launch_violation(&self, launch: &DecidedLaunch) -> Option<String> {
        let what = format!("launch as {} {} in {}", launch.capacity_type, launch.instance_type, launch.zone);
        if !self.claim.instance_types.contains(&launch.instance_type) {
            return Some(format!("{what}: the type is not among its instance types"));
        }
        let of_type = instance_type(&self.scenario.catalogue, &launch.instance_type)?;
        let overlaid =
            self.scenario.options.node_overlay() && !self.scenario.objects.node_overlays.is_empty();
        let priced = |offering: &&Offering| overlaid || offering.price.0.to_bits() == launch.price.to_bits();
        let offerings: Vec<&Offering> =
            of_type.offerings.iter().filter(|offering| is_of(offering, launch)).filter(priced).collect();
        if offerings.is_empty() {
            return Some(format!("{what}: there is no such offering at {}", launch.price));
        }
        let reasons: Vec<String> =
            offerings.iter().filter_map(|offering| self.unfit(&[], of_type, offering)).collect();
        (reasons.len() == offerings.len()).then(|| format!("{what}: {}", reasons.join("; ")))
    }

    /// Why the pods cannot be on an instance of this type and offering, labels `unchecked` aside.
    fn unfit(&self, unchecked: &[&str], of_type: &InstanceType, offering: &Offering) -> Option<String> {
        if !offering.available {
            return Some("not available".to_owned());
        }
        let labels = match labels_as(self.names, self.claim, unchecked, of_type, offering) {
            Ok(labels) => labels,
            Err(key) => return Some(format!("no value is left for label {key}")),
        };
        if let Some(asked) = asked_by_pool(self.pool).iter().find(|asked| !labels.meet(self.names, asked)) {
            return Some(format!("the NodePool asks otherwise of label {}", asked.key));
        }
        if let Some(why) = self.pods.iter().find_map(|pod| unsuited(self.scenario, self.names, &labels, pod))
        {
            return Some(why);
        }
        let taints = &self.pool.spec.template.spec.taints;
        let runs = |daemon: &&Pod| runs_on(daemon, Terms::Last, self.names, &labels, taints);
        let daemons: Vec<&Pod> = self.daemons.iter().filter(runs).collect();
        for pod in self.pods {
            if let Some(daemon) = daemons.iter().find(|daemon| clash(pod, daemon)) {
                return Some(format!("pod {} wants a host port of daemon {}", name_of(pod), name_of(daemon)));
            }
        }
        let mut wanted = requests_of(self.pods.iter().copied().chain(daemons));
        for overlay in
            self.scenario.objects.node_overlays.iter().filter(|_| self.scenario.options.node_overlay())
        {
            for (added, _) in overlay.spec.capacity.iter().flat_map(|capacity| capacity.iter()) {
                wanted.remove(added);
            }
        }
        let replaces = self.scenario.options.rules().offering_overrides_replace;
        let room = allocatable(of_type, offering, replaces);
        first_missing(&wanted, &room).map(|missing| format!("not enough {missing}"))
    }
}

/// `minValues` of the claim's requirements; lowered ones are not looked at.
fn min_values_violations(scenario: &Scenario, claim: &DecidedClaim) -> Vec<String> {
    let mut found = Vec::new();
    for requirement in claim.requirements.iter().filter(|_| !scenario.options.relaxes_min_values()) {
        let Some(least) = requirement.min_values else { continue };
        let types = claim.instance_types.iter().filter_map(|name| instance_type(&scenario.catalogue, name));
        let values: BTreeSet<&str> = types
            .flat_map(|it| &it.requirements)
            .filter(|it| it.key == requirement.key)
            .flat_map(|it| it.values.iter().map(|value| value.as_str()))
            .collect();
        if values.len() < least {
            found.push(format!("{} values of {} instead of {least}", values.len(), requirement.key));
        }
    }
    found
}

/// Limits of NodePools: what stands and the largest that each new NodeClaim could become stay within them.
///
/// Looser than one would think: nodes that leave do not count any more, and against a limit on `nodes` those of the same
/// round do not count each other.
fn limit_violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let sites = sites(scenario);
    let mut found = Vec::new();
    for pool in &scenario.objects.node_pools {
        let name = &pool.metadata.name;
        let claims: Vec<&DecidedClaim> =
            decision.new_node_claims.iter().filter(|claim| claim.node_pool == name.as_str()).collect();
        let Some(limits) = pool.spec.limits.as_ref().filter(|_| !claims.is_empty()) else { continue };
        let standing = sites.iter().filter(|site| !site.leaves && site.node_pool() == name.as_str());
        let mut all: Vec<Amounts> = standing.map(|site| site.capacity.clone()).collect();
        let nodes = Quantity::from_units(all.len() as i64 + 1);
        for claim in &claims {
            let mut largest = Amounts::new();
            for it in claim.instance_types.iter().filter_map(|name| instance_type(&scenario.catalogue, name))
            {
                raise(&mut largest, &amounts(&it.capacity));
            }
            all.push(largest);
        }
        for (resource, limit) in limits.iter() {
            let of = |amounts: &Amounts| amounts.get(resource).copied().unwrap_or_default();
            let sum = match resource {
                "nodes" => nodes,
                _ => all.iter().map(of).fold(Quantity::ZERO, |sum, amount| sum + amount),
            };
            if sum > limit {
                found.push(format!("NodePool {name} may have {limit} {resource}, and could come to {sum}"));
            }
        }
    }
    found
}

/// No reservation is launched from more often than it has instances.
fn reservation_violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let label = &scenario.catalogue.reservation_id_label;
    let id = |offering: &Offering| {
        let requirement = offering.requirements.iter().find(|it| it.key == *label)?;
        (requirement.operator == Some(Operator::In)).then(|| requirement.values.first().cloned()).flatten()
    };
    let mut left: BTreeMap<_, i64> = BTreeMap::new();
    for offering in scenario.catalogue.instance_types.iter().flat_map(|it| &it.offerings) {
        if let Some(id) = id(offering) {
            let capacity = left.entry(id).or_insert(offering.reservation_capacity);
            *capacity = (*capacity).min(offering.reservation_capacity);
        }
    }
    for claim in &decision.new_node_claims {
        let Some(launch) = claim.launch.as_ref().filter(|launch| launch.capacity_type == "reserved") else {
            continue;
        };
        let of_type = instance_type(&scenario.catalogue, &launch.instance_type);
        let held = |offering: &&Offering| {
            let ids = claim.requirements.iter().filter(|it| it.key == label.as_str());
            let id = id(offering);
            is_of(offering, launch)
                && ids.flat_map(|it| &it.values).any(|held| id.as_deref() == Some(held.as_str()))
        };
        let offering = of_type.and_then(|it| it.offerings.iter().find(held));
        if let Some(id) = offering.and_then(id) {
            *left.entry(id).or_default() -= 1;
        }
    }
    left.into_iter()
        .filter(|(_, left)| *left < 0)
        .map(|(id, _)| format!("reservation {id} has not so many instances"))
        .collect()
}
