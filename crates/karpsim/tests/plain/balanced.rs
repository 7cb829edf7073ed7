//! The policy `Balanced`: what a move saves, as a share of its NodePool's cost, must be at least half of what it disrupts, as
//! a share of the pool's disruption cost.

use super::cluster::Cluster;
use super::disruption::Candidate;
use super::launch::Plan;
use super::offers::types_of;
use karpsim::kubernetes::labels::{CAPACITY_TYPE, INSTANCE_TYPE, NODE_POOL, ZONE};
use karpsim::kubernetes::pods::{CostSource, eviction_cost, is_owned_by, is_terminal};
use karpsim::label_rules::is_known_node_class;
use karpsim::model::karpenter::{ConsolidationPolicy, NodeClaim, NodePool};
use karpsim::model::meta::Str;
use std::collections::BTreeMap;

/// By NodePool: dollars an hour, and disruption cost.
pub(crate) type Totals = BTreeMap<Str, (f64, f64)>;

/// What the NodePools of the candidates cost in all.
pub(crate) fn totals(cluster: &Cluster<'_>, candidates: &[Candidate<'_>]) -> Totals {
    let mut totals = Totals::new();
    for pool in candidates.iter().map(|candidate| candidate.pool) {
        let name = &pool.metadata.name;
        totals.entry(name.clone()).or_insert_with(|| {
            let prices = candidates.iter().filter(|it| it.pool.metadata.name == *name).map(|it| it.price);
            let of_claims = cost_of_claims(cluster, pool);
            let cost = if of_claims > 0.0 { of_claims } else { sum(prices) };
            let nodes = cluster.nodes.iter().filter(|node| node.pool() == Some(name));
            let disruption = nodes.map(|node| {
                let known = candidates.iter().find(|candidate| candidate.name == node.name);
                known.map_or_else(|| cost_of_all_pods(cluster, &node.pods), |known| known.disruption_cost)
            });
            (cost, sum(disruption))
        });
    }
    totals
}

/// One by one, from 0.
fn sum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}

/// What the NodeClaims of a NodePool cost by their labels, those that are going too.
fn cost_of_claims(cluster: &Cluster<'_>, pool: &NodePool) -> f64 {
    let types = types_of(cluster.scenario, &cluster.rules, &pool.metadata.name);
    let is_known =
        |it: &NodeClaim| is_known_node_class(&cluster.scenario.catalogue.provider, &it.spec.node_class_ref);
    let claims = cluster.scenario.objects.node_claims.iter().map(|it| &**it);
    let mut claims: Vec<&NodeClaim> = claims.filter(|it| is_known(it)).collect();
    claims.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    sum(claims.into_iter().filter_map(|claim| {
        let label = |key: &str| claim.metadata.labels.get(key);
        if label(NODE_POOL) != Some(&pool.metadata.name) {
            return None;
        }
        let it = types.iter().find(|it| label(INSTANCE_TYPE) == Some(&it.name))?;
        let (zone, capacity_type) = (label(ZONE)?, label(CAPACITY_TYPE)?);
        let mut offerings = it.offerings.iter();
        offerings.find(|it| it.zone == zone && it.capacity_type == capacity_type).map(|it| it.price)
    }))
}

fn cost_of_all_pods(cluster: &Cluster<'_>, pods: &[usize]) -> f64 {
    let pods = pods.iter().map(|&at| cluster.pods[at].pod);
    let counted = pods.filter(|pod| !is_terminal(pod) && !is_owned_by(pod, "apps/v1", "DaemonSet"));
    1.0 + sum(counted.map(|pod| eviction_cost(pod, CostSource::DeletionCost).max(0.0)))
}

/// Whether every Balanced NodePool that the move takes nodes from approves of it. Savings are shared by what the nodes cost.
pub(crate) fn approved(
    cluster: &Cluster<'_>,
    candidates: &[Candidate<'_>],
    replacement: Option<&Plan>,
    totals: &Totals,
) -> bool {
    let first_type = replacement.and_then(|plan| Some((plan, *plan.types.first()?)));
    let replaced = first_type.map_or(0.0, |(plan, of)| plan.least_price(cluster, of));
    let replaced = if replaced < f64::MAX { replaced } else { 0.0 };
    let source = sum(candidates.iter().map(|candidate| candidate.price));
    let savings = source - replaced;
    candidates.iter().all(|candidate| {
        let policy = candidate.pool.spec.disruption.consolidation_policy;
        let name = &candidate.pool.metadata.name;
        let own = || candidates.iter().filter(|it| it.pool.metadata.name == *name);
        let own_source = sum(own().map(|it| it.price));
        let of_several = own().count() < candidates.len();
        let share = if source > 0.0 && of_several { savings * (own_source / source) } else { savings };
        let disruption = sum(own().map(|it| it.disruption_cost));
        policy != Some(ConsolidationPolicy::Balanced) || is_worth_it(share, disruption, totals[name])
    })
}

fn is_worth_it(savings: f64, disruption: f64, (cost, disruption_cost): (f64, f64)) -> bool {
    if cost <= 0.0 || disruption_cost <= 0.0 || savings <= 0.0 {
        return false;
    }
    (savings / cost) / (disruption / disruption_cost) >= 0.5
}
