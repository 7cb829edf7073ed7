//! From a filled NodeClaim of the round to the one that Karpenter creates.

use super::cluster::Cluster;
use super::offers::{Offering, Type};
use super::requirements::{Label, Requirements};
use super::scheduler::{Claim, Rules, play};
use karpsim::catalogue::Price;
use karpsim::decision::{DecidedRequirement, Launch, NewNodeClaim};
use karpsim::kubernetes::labels::{
    CAPACITY_TYPE, HOSTNAME, INITIALIZED, INSTANCE_TYPE, REGISTERED, RESERVED,
};
use karpsim::kubernetes::requests::{RawAmounts, add};
use karpsim::model::meta::{Operator, Str};
use std::collections::{BTreeMap, BTreeSet};

/// The most instance types that a NodeClaim lists.
const MOST_TYPES: usize = 600;

/// What provisioning comes to.
#[derive(Debug, PartialEq)]
pub(crate) struct Provisioned {
    pub(crate) new_node_claims: Vec<NewNodeClaim>,
    /// By node.
    pub(crate) filled: BTreeMap<Str, Vec<Str>>,
    pub(crate) failed: BTreeSet<Str>,
    pub(crate) ignored: BTreeSet<Str>,
}

/// A round of provisioning.
pub(crate) fn provision(cluster: &Cluster<'_>) -> Provisioned {
    let name = |pod: &usize| cluster.pods[*pod].name.clone();
    let mut decided = Provisioned {
        new_node_claims: Vec::new(),
        filled: BTreeMap::new(),
        failed: BTreeSet::new(),
        ignored: cluster.ignored.iter().cloned().collect(),
    };
    if cluster.pools.is_empty() {
        decided.failed = cluster.pending.iter().map(name).collect();
        return decided;
    }
    let pods: Vec<usize> = cluster.pending.iter().chain(&cluster.leaving).copied().collect();
    let rules = Rules { strict_reservations: true, spares_young_nodes: false };
    let outcome = play(cluster, &pods, &BTreeSet::new(), rules);
    decided.failed = outcome.failed.iter().map(name).collect();
    for (node, pods) in outcome.filled {
        let mut names: Vec<Str> = pods.iter().map(name).collect();
        names.sort();
        decided.filled.insert(node, names);
    }
    for claim in outcome.claims {
        let mut plan = Plan::of(cluster, claim);
        if plan.truncate(cluster) {
            decided.new_node_claims.push(plan.launched(cluster));
        } else {
            decided.failed.extend(plan.pods.iter().map(name));
        }
    }
    decided.new_node_claims.sort_by(|a, b| a.pods.cmp(&b.pods));
    decided
}

/// A NodeClaim that no pod will join any more.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) pool: usize,
    pub(crate) requirements: Requirements,
    /// Places among the pool's types, in Karpenter's order.
    pub(crate) types: Vec<usize>,
    pub(crate) requests: RawAmounts,
    pub(crate) pods: Vec<usize>,
}

impl Plan {
    pub(crate) fn of(cluster: &Cluster<'_>, claim: Claim) -> Self {
        let mut requirements = claim.requirements.clone();
        requirements.0.remove(HOSTNAME);
        if !claim.reserved.is_empty() {
            requirements.0.insert(CAPACITY_TYPE.into(), Label::one_of([RESERVED.into()]));
            requirements.add(cluster.rules.reservation_id(), Label::one_of(claim.reserved.iter().cloned()));
        }
        let mut requests = claim.requests.clone();
        add(&mut requests, &least_overhead(cluster, &claim));
        let options = &cluster.pools[claim.pool].options;
        let types = claim.options.iter().map(|&at| options[at].of).collect();
        Plan { pool: claim.pool, requirements, types, requests, pods: claim.pods }
    }

    fn type_of<'c>(&self, cluster: &'c Cluster<'_>, of: usize) -> &'c Type {
        &cluster.pools[self.pool].types[of]
    }

    /// The available offerings of a type that the requirements allow.
    pub(crate) fn offerings<'c>(&self, cluster: &'c Cluster<'_>, of: usize) -> Vec<&'c Offering> {
        let offerings = self.type_of(cluster, of).offerings.iter();
        let allowed = |it: &&Offering| {
            it.available && self.requirements.meets(&it.requirements, |key| cluster.is_well_known(key))
        };
        offerings.filter(allowed).collect()
    }

    pub(crate) fn least_price(&self, cluster: &Cluster<'_>, of: usize) -> f64 {
        self.offerings(cluster, of).iter().map(|it| it.price).fold(f64::MAX, f64::min)
    }

    pub(crate) fn order_by_price(&mut self, cluster: &Cluster<'_>) {
        let mut priced: Vec<(f64, usize)> =
            self.types.iter().map(|&of| (self.least_price(cluster, of), of)).collect();
        karpsim::go_sort::sort_slice(&mut priced, |a, b| a.0 < b.0);
        self.types = priced.into_iter().map(|(_, of)| of).collect();
    }

    /// Cuts the list of types to what a NodeClaim may have. False: it then does not meet its `minValues`.
    pub(crate) fn truncate(&mut self, cluster: &Cluster<'_>) -> bool {
        if self.types.len() > MOST_TYPES {
            self.order_by_price(cluster);
            self.types.truncate(MOST_TYPES);
        }
        cluster.scenario.options.relaxes_min_values() || self.meets_min_values(cluster)
    }

    pub(crate) fn meets_min_values(&self, cluster: &Cluster<'_>) -> bool {
        self.types.is_empty()
            || self.requirements.0.iter().all(|(key, label)| {
                label.min_values.is_none_or(|least| self.values(cluster, key, self.types.len()) >= least)
            })
    }

    /// How many values the first so many types have of a label.
    pub(crate) fn values(&self, cluster: &Cluster<'_>, key: &str, count: usize) -> i64 {
        let types = self.types[..count].iter().map(|&of| self.type_of(cluster, of));
        let labels = types.filter_map(|it| it.requirements.0.get(key));
        labels.flat_map(|label| &label.values).collect::<BTreeSet<&Str>>().len() as i64
    }

    /// The NodeClaim, with the capacity types that it can be had as, and its cheapest offering.
    pub(crate) fn launched(&self, cluster: &Cluster<'_>) -> NewNodeClaim {
        let mut capacity_types: BTreeSet<Str> = BTreeSet::new();
        let mut cheapest: Option<Launch> = None;
        for &of in &self.types {
            for offering in self.offerings(cluster, of) {
                capacity_types.insert(offering.capacity_type.clone());
                let launch = Launch {
                    instance_type: self.type_of(cluster, of).name.clone(),
                    zone: offering.zone.clone(),
                    capacity_type: offering.capacity_type.clone(),
                    price: Price(offering.price),
                };
                let names =
                    |it: &Launch| (it.instance_type.clone(), it.capacity_type.clone(), it.zone.clone());
                let is_better = |best: &Launch| {
                    launch.price.0 < best.price.0
                        || (launch.price.0 == best.price.0 && names(&launch) < names(best))
                };
                if cheapest.as_ref().is_none_or(is_better) {
                    cheapest = Some(launch);
                }
            }
        }
        let mut requirements = self.requirements.clone();
        if !capacity_types.is_empty() {
            requirements.add(CAPACITY_TYPE, Label::one_of(capacity_types));
        }
        let mut types: Vec<Str> =
            self.types.iter().map(|&of| self.type_of(cluster, of).name.clone()).collect();
        types.sort();
        let named = requirements.0.get(INSTANCE_TYPE).is_some_and(|label| label.min_values.is_some());
        if named {
            requirements.add(INSTANCE_TYPE, Label::one_of(types.iter().cloned()));
        } else {
            requirements.0.remove(INSTANCE_TYPE);
        }
        requirements.0.remove(REGISTERED);
        requirements.0.remove(INITIALIZED);
        let mut pods: Vec<Str> = self.pods.iter().map(|&pod| cluster.pods[pod].name.clone()).collect();
        pods.sort();
        NewNodeClaim {
            node_pool: cluster.pools[self.pool].pool.metadata.name.clone(),
            pods,
            instance_types: types.into(),
            requirements: written(&requirements),
            requests: self.requests.clone().into_iter().filter(|(_, amount)| !amount.is_zero()).collect(),
            launch: cheapest,
        }
    }
}

/// What daemons take at the least, group by group of types with the same daemons: of resources that all have. A first
/// group without daemons is passed over; a later one leaves nothing.
fn least_overhead(cluster: &Cluster<'_>, claim: &Claim) -> RawAmounts {
    let options = &cluster.pools[claim.pool].options;
    let mut least = RawAmounts::new();
    for overhead in claim.options.iter().map(|&at| options[at].overhead.clone().unwrap_or_default()) {
        if least.is_empty() {
            least = overhead;
        } else {
            least.retain(|name, _| overhead.contains_key(name));
            for (name, amount) in &mut least {
                *amount = (*amount).min(overhead[name]);
            }
        }
    }
    least
}

/// Requirements as a NodeClaim lists them, by key and operator.
fn written(requirements: &Requirements) -> Vec<DecidedRequirement> {
    let mut written = Vec::new();
    for (key, label) in &requirements.0 {
        let mut push = |operator: Operator, values: Vec<Str>| {
            written.push(DecidedRequirement {
                key: key.clone(),
                operator: operator.as_str(),
                values,
                min_values: label.min_values.map(|least| least as u32),
            });
        };
        let bound = |bound: i64| vec![Str::from(bound.to_string())];
        if label.gte.is_some() || label.lte.is_some() {
            label.gte.into_iter().for_each(|least| push(Operator::Gte, bound(least)));
            label.lte.into_iter().for_each(|most| push(Operator::Lte, bound(most)));
            continue;
        }
        let operator = match (label.complement, label.values.is_empty()) {
            (true, true) => Operator::Exists,
            (true, false) => Operator::NotIn,
            (false, true) => Operator::DoesNotExist,
            (false, false) => Operator::In,
        };
        push(operator, label.values.iter().cloned().collect());
    }
    written
}
