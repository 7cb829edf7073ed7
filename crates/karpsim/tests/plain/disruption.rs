//! Consolidation: the removal of nodes is simulated on a copy of the cluster without them, and compared by price.

use super::balanced::{Totals, approved, totals};
use super::cluster::{Cluster, managed_pools};
use super::launch::Plan;
use super::offers::{Type, types_of};
use super::requirements::{Label, Requirements};
use super::scheduler::{Rules, play};
use karpsim::decision::{Command, Method};
use karpsim::disruption::budgets::allowed_by_budgets;
use karpsim::kubernetes::eviction::PodBudgets;
use karpsim::kubernetes::labels::{
    CAPACITY_TYPE, DO_NOT_DISRUPT, INSTANCE_TYPE, NODE_POOL, ON_DEMAND, REGISTERED, RESERVED, SPOT, ZONE,
};
use karpsim::kubernetes::pods::is_provisionable;
use karpsim::kubernetes::pods::{CostSource, eviction_cost, is_disruptable, is_reschedulable};
use karpsim::model::karpenter::{ConsolidationPolicy, NodePool};
use karpsim::model::meta::{Str, condition, condition_is_true};
use std::collections::{BTreeMap, BTreeSet};

/// Multi-node consolidation tries at most so many nodes, and one.
const MOST_NODES: usize = 100;
/// A spot node is replaced by a spot node only if so many cheaper types are left.
const SPOT_TO_SPOT_TYPES: usize = 15;
/// The most instance types that a NodeClaim lists.
const MOST_TYPES: usize = 600;

/// A node that can be disrupted.
#[derive(Clone)]
pub(crate) struct Candidate<'a> {
    pub(crate) name: Str,
    requirements: Requirements,
    pub(crate) pool: &'a NodePool,
    it: Option<Type>,
    capacity_type: Str,
    reschedulable: Vec<usize>,
    pub(crate) price: f64,
    pub(crate) disruption_cost: f64,
    /// Whether it can be consolidated, too.
    consolidates: bool,
}

/// What `method`, one of the two that consolidate, does.
pub(crate) fn consolidate(cluster: &Cluster<'_>, method: Method) -> Vec<Command> {
    let is_launched = |claim: &karpsim::model::karpenter::NodeClaim| !claim.status.provider_id.is_empty();
    if !cluster.scenario.objects.node_claims.iter().all(|claim| is_launched(claim)) {
        return Vec::new();
    }
    let all = candidates(cluster);
    let totals = totals(cluster, &all);
    let mut candidates: Vec<Candidate<'_>> = all.into_iter().filter(|it| it.consolidates).collect();
    // The most saved for the least disruption first; the sort keeps equals in order of their names.
    candidates.sort_by(|a, b| {
        let ratio = |it: &Candidate<'_>| it.price / it.disruption_cost;
        ratio(b).total_cmp(&ratio(a))
    });
    let allowed = allowances(cluster, method);
    let found = match method {
        Method::MultiNodeConsolidation => several(cluster, candidates, allowed, &totals),
        Method::SingleNodeConsolidation => one(cluster, candidates, &allowed, &totals),
        _ => panic!("{method:?} does not consolidate"),
    };
    let Some((candidates, replacement)) = found else { return Vec::new() };
    let mut names: Vec<Str> = candidates.into_iter().map(|candidate| candidate.name).collect();
    names.sort();
    let replacements = replacement.map(|plan| plan.launched(cluster)).into_iter().collect();
    vec![Command::new(method, names, replacements)]
}

type Found<'a> = Option<(Vec<Candidate<'a>>, Option<Plan>)>;

/// By halving, the largest number of first candidates that can go at once.
fn several<'a>(
    cluster: &Cluster<'_>,
    candidates: Vec<Candidate<'a>>,
    mut allowed: BTreeMap<Str, i64>,
    totals: &Totals,
) -> Found<'a> {
    let mut within_budget: Vec<Candidate<'a>> = candidates
        .into_iter()
        .filter(|candidate| {
            let left = allowed.entry(candidate.pool.metadata.name.clone()).or_default();
            *left -= 1;
            *left >= 0
        })
        .collect();
    if within_budget.len() < 2 {
        return None;
    }
    let (mut low, mut high) = (1, MOST_NODES.min(within_budget.len() - 1));
    let mut best = None;
    while low <= high {
        let middle = usize::midpoint(low, high);
        let together = &within_budget[..=middle];
        let answer = remove(cluster, together).and_then(|plan| match plan {
            None => Ok(None),
            Some(plan) => without_same_type(cluster, together, plan).map(Some),
        });
        match answer {
            Ok(plan) if approved(cluster, together, plan.as_ref(), totals) => {
                best = Some((middle, plan));
                low = middle + 1;
            }
            _ => high = middle - 1,
        }
    }
    best.map(|(middle, plan)| {
        within_budget.truncate(middle + 1);
        (within_budget, plan)
    })
}

/// The first candidate that can go, the NodePools in turn.
fn one<'a>(
    cluster: &Cluster<'_>,
    candidates: Vec<Candidate<'a>>,
    allowed: &BTreeMap<Str, i64>,
    totals: &Totals,
) -> Found<'a> {
    let mut turns: BTreeMap<Str, usize> = BTreeMap::new();
    let mut in_turn: Vec<(usize, Str, Candidate<'a>)> = Vec::new();
    for candidate in candidates {
        let pool = candidate.pool.metadata.name.clone();
        let turn = turns.entry(pool.clone()).or_default();
        *turn += 1;
        in_turn.push((*turn, pool, candidate));
    }
    in_turn.sort_by_key(|(turn, pool, _)| (*turn, pool.clone()));
    for (_, pool, candidate) in in_turn {
        if allowed.get(&pool).is_some_and(|left| *left > 0) {
            let alone = vec![candidate];
            if let Ok(plan) = remove(cluster, &alone)
                && approved(cluster, &alone, plan.as_ref(), totals)
            {
                return Some((alone, plan));
            }
        }
    }
    None
}

/// How many nodes of each NodePool may be disrupted.
fn allowances(cluster: &Cluster<'_>, method: Method) -> BTreeMap<Str, i64> {
    let of_pool = |pool: &NodePool| {
        let counted = cluster.nodes.iter().filter(|it| {
            let claim = it.claim.filter(|_| it.initialized && it.node.is_some());
            claim.is_some_and(|claim| !condition_is_true(&claim.status.conditions, "InstanceTerminating"))
                && it.pool() == Some(&pool.metadata.name)
        });
        let counted: Vec<_> = counted.collect();
        let gone = counted.iter().filter(|it| {
            let ready = it.node.and_then(|node| condition(&node.status.conditions, "Ready"));
            it.marked || ready.is_none_or(|ready| ready.status != "True")
        });
        let now = cluster.scenario.now;
        let budget = allowed_by_budgets(pool, now, counted.len() as i64, method.reason());
        (budget - gone.count() as i64).max(0)
    };
    let pools = managed_pools(cluster.scenario).into_values();
    pools.map(|pool| (pool.metadata.name.clone(), of_pool(pool))).collect()
}

/// The nodes that can be disrupted, by name.
fn candidates<'a>(cluster: &Cluster<'a>) -> Vec<Candidate<'a>> {
    let scenario = cluster.scenario;
    let budgets = PodBudgets::new(&scenario.objects);
    let pools = managed_pools(scenario);
    let mut types: BTreeMap<&str, Vec<Type>> = BTreeMap::new();
    let mut candidates = Vec::new();
    for node in &cluster.nodes {
        let (Some(claim), Some(api)) = (node.claim, node.node) else { continue };
        let is_registered = api.metadata.labels.get(REGISTERED) == Some("true");
        let metadata = if is_registered { &api.metadata } else { &claim.metadata };
        let is_held = metadata.annotations.get(DO_NOT_DISRUPT) == Some("true");
        if !node.initialized || node.marked || is_held || scenario.memory.nominated.contains(&node.name) {
            continue;
        }
        let label = |key: &str| node.labels.get(key);
        let Some(&pool) = label(NODE_POOL).and_then(|name| pools.get(name)) else { continue };
        let holds = |&at: &usize| {
            let pod = cluster.pods[at].pod;
            !is_disruptable(pod, scenario.now) || budgets.holds_now(pod, scenario.now).is_some()
        };
        if node.pods.iter().any(holds) {
            continue;
        }
        let reschedulable: Vec<usize> =
            node.pods.iter().copied().filter(|&at| is_reschedulable(cluster.pods[at].pod)).collect();
        let costs =
            reschedulable.iter().map(|&at| eviction_cost(cluster.pods[at].pod, CostSource::DeletionCost));
        let disruption_cost = costs.filter(|cost| *cost > 0.0).fold(1.0, |sum, cost| sum + cost);
        let types = types
            .entry(&pool.metadata.name)
            .or_insert_with(|| types_of(scenario, &cluster.rules, &pool.metadata.name));
        let it = types.iter().find(|it| label(INSTANCE_TYPE) == Some(&it.name));
        if types.is_empty() {
            continue;
        }
        let (zone, capacity_type) = (label(ZONE), label(CAPACITY_TYPE));
        let disruption = &pool.spec.disruption;
        let consolidates = pool.spec.replicas.is_none()
            && disruption.consolidate_after.is_some_and(|after| after.0.is_some())
            && disruption.consolidation_policy != Some(ConsolidationPolicy::WhenEmpty)
            && condition_is_true(&claim.status.conditions, "Consolidatable")
            && (it.is_some() && zone.is_some() && capacity_type.is_some())
            && disruption_cost > 1.0;
        let (zone, capacity_type) = (zone.unwrap_or_default(), capacity_type.unwrap_or_default());
        let offering = it.and_then(|it| {
            let mut offerings = it.offerings.iter();
            offerings.find(|offering| offering.zone == zone && offering.capacity_type == capacity_type)
        });
        candidates.push(Candidate {
            name: node.name.clone(),
            requirements: node.requirements.clone(),
            pool,
            it: it.cloned(),
            capacity_type: capacity_type.into(),
            reschedulable,
            price: offering.map_or(0.0, |offering| offering.price),
            disruption_cost,
            consolidates,
        });
    }
    candidates
}

/// Nodes that cannot be removed, or not so that it pays.
struct Refused;

/// What removing `candidates` at once takes: nothing, or a cheaper node.
fn remove(cluster: &Cluster<'_>, candidates: &[Candidate<'_>]) -> Result<Option<Plan>, Refused> {
    let scenario = cluster.scenario;
    if cluster.pools.is_empty() {
        return Err(Refused);
    }
    let budgets = PodBudgets::new(&scenario.objects);
    let moving = candidates.iter().flat_map(|candidate| candidate.reschedulable.iter().copied());
    let moving = moving.filter(|&at| budgets.will_move(cluster.pods[at].pod, scenario.now));
    let pods: Vec<usize> =
        cluster.pending.iter().copied().chain(moving).chain(cluster.leaving.iter().copied()).collect();
    let removed: BTreeSet<Str> = candidates.iter().map(|candidate| candidate.name.clone()).collect();
    let rules = Rules { strict_reservations: false, spares_young_nodes: true };
    let outcome = play(cluster, &pods, &removed, rules);
    // Pods that wait may go on waiting; all others must find a place, and not on a node that may never come up.
    let is_stranded = |at: &usize| !is_provisionable(cluster.pods[*at].pod);
    if outcome.failed.iter().any(is_stranded) {
        return Err(Refused);
    }
    for node in cluster.nodes.iter().filter(|node| !node.initialized) {
        let came = outcome.filled.get(&node.name).into_iter().flatten();
        if came.filter(|at| !cluster.leaving.contains(at)).any(is_stranded) {
            return Err(Refused);
        }
    }
    let mut launches = Vec::new();
    for claim in outcome.claims {
        let mut plan = Plan::of(cluster, claim);
        plan.order_by_price(cluster);
        plan.types.truncate(MOST_TYPES);
        if plan.truncate(cluster) {
            launches.push(plan);
        } else if plan.pods.iter().any(is_stranded) {
            return Err(Refused);
        }
    }
    if launches.len() > 1 {
        return Err(Refused);
    }
    let Some(mut plan) = launches.pop() else { return Ok(None) };
    let price = candidates.iter().fold(0.0, |sum, candidate| sum + candidate.price);
    let may_be = |plan: &Plan, capacity_type: &str| {
        plan.requirements.0.get(CAPACITY_TYPE).is_none_or(|label| label.allows(capacity_type))
    };
    let only_spot = || Label::one_of([Str::from(SPOT)]);
    if may_be(&plan, SPOT) && candidates.iter().all(|candidate| candidate.capacity_type == SPOT) {
        if !scenario.options.spot_to_spot_consolidation() {
            return Err(Refused);
        }
        plan.requirements.add(CAPACITY_TYPE, only_spot());
        let offered: Vec<usize> =
            plan.types.iter().copied().filter(|&of| !plan.offerings(cluster, of).is_empty()).collect();
        plan.types = offered;
        plan = cheaper(cluster, plan, price)?;
        if candidates.len() == 1 {
            if plan.types.len() < SPOT_TO_SPOT_TYPES {
                return Err(Refused);
            }
            let kept = types_for_min_values(cluster, &plan).max(SPOT_TO_SPOT_TYPES);
            plan.types.truncate(kept);
        }
        return Ok(Some(plan));
    }
    plan = cheaper(cluster, plan, price)?;
    if may_be(&plan, SPOT) && may_be(&plan, ON_DEMAND) {
        plan.requirements.add(CAPACITY_TYPE, only_spot());
    }
    Ok(Some(plan))
}

/// How many of the types, in their order, it takes to meet the `minValues`.
fn types_for_min_values(cluster: &Cluster<'_>, plan: &Plan) -> usize {
    let enough = |count: &usize| {
        plan.requirements.0.iter().all(|(key, label)| {
            label.min_values.is_none_or(|least| plan.values(cluster, key, *count) >= least)
        })
    };
    (1..=plan.types.len()).find(enough).unwrap_or(plan.types.len())
}

/// The plan with the types that are cheaper than `price` even at their worst.
fn cheaper(cluster: &Cluster<'_>, mut plan: Plan, price: f64) -> Result<Plan, Refused> {
    let kept: Vec<usize> =
        plan.types.iter().copied().filter(|&of| worst_price(cluster, &plan, of) < price).collect();
    plan.types = kept;
    if plan.types.is_empty() || !plan.meets_min_values(cluster) { Err(Refused) } else { Ok(plan) }
}

/// The dearest offering of the first capacity type that there is one of.
fn worst_price(cluster: &Cluster<'_>, plan: &Plan, of: usize) -> f64 {
    let offerings = plan.offerings(cluster, of);
    for capacity_type in [RESERVED, SPOT, ON_DEMAND] {
        let prices = offerings.iter().filter(|it| it.capacity_type == capacity_type).map(|it| it.price);
        if let Some(dearest) = prices.reduce(f64::max) {
            return dearest;
        }
    }
    f64::MAX
}

/// Several nodes are not replaced by one of a type that is among them, or a dearer one.
fn without_same_type(
    cluster: &Cluster<'_>,
    candidates: &[Candidate<'_>],
    plan: Plan,
) -> Result<Plan, Refused> {
    let mut limit = f64::MAX;
    for &of in &plan.types {
        let name = &cluster.pools[plan.pool].types[of].name;
        let mut prices = Vec::new();
        let mut is_among = false;
        for candidate in candidates {
            let Some(it) = candidate.it.as_ref().filter(|it| it.name == *name) else { continue };
            is_among = true;
            let offerings = it.offerings.iter().filter(|offering| {
                candidate.requirements.meets(&offering.requirements, |key| cluster.is_well_known(key))
            });
            prices.extend(offerings.map(|offering| offering.price));
        }
        if is_among {
            limit = limit.min(prices.into_iter().reduce(f64::min).unwrap_or(0.0));
        }
    }
    cheaper(cluster, plan, limit)
}
