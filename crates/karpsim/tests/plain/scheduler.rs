//! One round: every pod is tried on every node, then on every NodeClaim of the round, then on a new one of every NodePool.

use super::cluster::{Cluster, some_pool_prefers_no_schedule};
use super::nodes::StateNode;
use super::offers::{Pool, fits};
use super::pods::{HostPort, Wishes, ports_clash, tolerates_all};
use super::requirements::{Label, Requirements};
use super::topology::{Counted, Topology, narrowed};
use karpsim::kubernetes::labels::{HOSTNAME, NODE_POOL};
use karpsim::kubernetes::requests::{RawAmounts, add};
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How a round is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// A pod fails rather than make a node lose its last reservation.
    pub(crate) strict_reservations: bool,
    /// Nodes under `consolidateAfter` take only pods that have to go somewhere.
    pub(crate) spares_young_nodes: bool,
}

/// A NodeClaim of the round.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// Place of its NodePool.
    pub(crate) pool: usize,
    pub(crate) requirements: Requirements,
    /// Places among the pool's options.
    pub(crate) options: Vec<usize>,
    pub(crate) requests: RawAmounts,
    pub(crate) pods: Vec<usize>,
    ports: Vec<Vec<HostPort>>,
    pub(crate) reserved: BTreeSet<Str>,
}

/// What a round comes to.
pub(crate) struct Outcome {
    pub(crate) claims: Vec<Claim>,
    /// Names of nodes, with the pods that came to them.
    pub(crate) filled: BTreeMap<Str, Vec<usize>>,
    pub(crate) failed: Vec<usize>,
}

/// A pod as it is being placed.
struct Attempt<'w> {
    pod: usize,
    wishes: &'w Wishes,
    asked: Requirements,
    strict: Requirements,
    around: Vec<Counted>,
    shuns: BTreeSet<usize>,
}

/// Why a new node is refused.
enum Refusal {
    Never,
    /// Others hold the reservations; it may be worth waiting for them.
    Reserved,
}

struct Round<'c, 'a> {
    cluster: &'c Cluster<'a>,
    rules: Rules,
    topology: Topology<'c, 'a>,
    nodes: Vec<StateNode<'a>>,
    came: BTreeMap<Str, Vec<usize>>,
    claims: Vec<Claim>,
    /// What each NodePool may still launch.
    limits: Vec<BTreeMap<Str, Quantity>>,
    reservations: BTreeMap<Str, i64>,
}

/// Plays one round: places `pods`, without the nodes `removed`.
pub(crate) fn play<'a>(
    cluster: &Cluster<'a>,
    pods: &[usize],
    removed: &BTreeSet<Str>,
    rules: Rules,
) -> Outcome {
    // A pod whose volumes could not be looked up belongs to no topology until it has failed, or was relaxed.
    let is_outside = |pod: usize| cluster.pods[pod].wishes.volumes.unreachable;
    let known: Vec<usize> = pods.iter().copied().filter(|&pod| !is_outside(pod)).collect();
    let mut nodes: Vec<StateNode<'a>> =
        cluster.nodes.iter().filter(|node| !node.marked && !removed.contains(&node.name)).cloned().collect();
    let limits = limits(cluster, &nodes);
    nodes.sort_by_key(|node| !node.initialized);
    let mut round = Round {
        cluster,
        rules,
        topology: Topology::new(cluster, known.iter().copied().collect(), removed.clone()),
        nodes,
        came: BTreeMap::new(),
        claims: Vec::new(),
        limits,
        reservations: reservations(cluster),
    };
    for &pod in &known {
        round.topology.join(&cluster.pods[pod].wishes);
    }
    let mut outside: BTreeSet<usize> = pods.iter().copied().filter(|&pod| is_outside(pod)).collect();
    let mut queue: VecDeque<usize> = sorted(cluster, pods).into();
    let mut last_length: BTreeMap<usize, usize> = BTreeMap::new();
    while let Some(&pod) = queue.front() {
        if last_length.get(&pod) == Some(&queue.len()) {
            break;
        }
        queue.pop_front();
        if !round.schedule(pod, &mut outside) {
            queue.push_back(pod);
            last_length.insert(pod, queue.len());
        }
    }
    Outcome { claims: round.claims, filled: round.came, failed: queue.into() }
}

/// By cpu and memory, the largest first, then by age and UID.
fn sorted(cluster: &Cluster<'_>, pods: &[usize]) -> Vec<usize> {
    let mut sorted = pods.to_vec();
    sorted.sort_by_key(|&pod| {
        let it = &cluster.pods[pod];
        let amount = |name: &str| it.wishes.requests.get(name).copied().unwrap_or_default();
        let metadata = &it.pod.metadata;
        let size = std::cmp::Reverse((amount("cpu"), amount("memory")));
        (size, metadata.creation_timestamp, metadata.uid.clone())
    });
    sorted
}

/// Limits less what the nodes of the NodePool have.
fn limits(cluster: &Cluster<'_>, nodes: &[StateNode<'_>]) -> Vec<BTreeMap<Str, Quantity>> {
    let of_pool = |pool: &Pool<'_>| {
        let mut limits: BTreeMap<Str, Quantity> = pool
            .pool
            .spec
            .limits
            .iter()
            .flat_map(|limits| limits.iter())
            .map(|(k, v)| (k.into(), v))
            .collect();
        for node in nodes.iter().filter(|node| node.labels.get(NODE_POOL) == Some(&pool.pool.metadata.name)) {
            for (name, left) in &mut limits {
                *left = *left - node.capacity.get(name).copied().unwrap_or_default();
            }
        }
        limits
    };
    cluster.pools.iter().map(of_pool).collect()
}

/// What each reservation has left: where offerings disagree, the least.
fn reservations(cluster: &Cluster<'_>) -> BTreeMap<Str, i64> {
    let mut left: BTreeMap<Str, i64> = BTreeMap::new();
    let types = cluster.pools.iter().flat_map(|pool| &pool.types);
    for (name, capacity) in types.flat_map(|it| &it.offerings).filter_map(|it| it.reservation.as_ref()) {
        left.entry(name.clone()).and_modify(|least| *least = (*least).min(*capacity)).or_insert(*capacity);
    }
    left
}

impl Round<'_, '_> {
    /// Places a pod, dropping its wishes one by one. False: it finds no place.
    fn schedule(&mut self, pod: usize, outside: &mut BTreeSet<usize>) -> bool {
        let cluster = self.cluster;
        let it = &cluster.pods[pod];
        if it.wishes.claims_devices {
            return false;
        }
        let mut wishes = it.wishes.clone();
        let (mut own, mut shuns) = (BTreeSet::new(), BTreeSet::new());
        if !outside.contains(&pod) {
            (own, shuns) = self.topology.join(&wishes);
        } else if cluster.api_nodes.contains_key(&it.pod.spec.node_name) {
            shuns = self.topology.join_shunning(&wishes);
        }
        loop {
            let around = self.topology.around(&own, &wishes, &it.pod.metadata.labels);
            let (asked, strict) = (wishes.asked(), wishes.strict());
            match self.place(&Attempt { pod, wishes: &wishes, asked, strict, around, shuns }) {
                Ok(()) => return true,
                Err(Refusal::Never) if wishes.drop_one(some_pool_prefers_no_schedule(cluster)) => {}
                Err(_) => {
                    if outside.remove(&pod) {
                        self.topology.join(&it.wishes);
                    }
                    return false;
                }
            }
            (own, shuns) = self.topology.join(&wishes);
        }
    }

    fn place(&mut self, attempt: &Attempt<'_>) -> Result<(), Refusal> {
        if !attempt.wishes.volumes.unresolved {
            for at in 0..self.nodes.len() {
                if let Some(requirements) = self.on_node(attempt, &self.nodes[at]) {
                    self.put_on_node(attempt, at, requirements);
                    return Ok(());
                }
            }
        }
        karpsim::go_sort::sort_slice(&mut self.claims, |a, b| a.pods.len() < b.pods.len());
        for at in 0..self.claims.len() {
            if let Ok(claim) = self.on_claim(attempt, &self.claims[at], false) {
                self.put_on_claim(attempt, Some(at), claim);
                return Ok(());
            }
        }
        for pool in 0..self.cluster.pools.len() {
            let Some(claim) = self.new_claim(pool) else { continue };
            match self.on_claim(attempt, &claim, self.cluster.scenario.options.relaxes_min_values()) {
                Ok(claim) => {
                    self.charge(&claim);
                    self.put_on_claim(attempt, None, claim);
                    return Ok(());
                }
                // It is worth waiting for: no later NodePool is tried.
                Err(Refusal::Reserved) => return Err(Refusal::Reserved),
                Err(Refusal::Never) => {}
            }
        }
        Err(Refusal::Never)
    }

    /// What a node would be with the pod on it; `None`: it cannot take it.
    fn on_node(&self, attempt: &Attempt<'_>, node: &StateNode<'_>) -> Option<Requirements> {
        let wishes = attempt.wishes;
        let exempt = self.cluster.pods[attempt.pod].exempt;
        if (self.rules.spares_young_nodes && node.young && !exempt)
            || !fits(&wishes.requests, &node.remaining)
            || !tolerates_all(&wishes.tolerations, &node.taints)
            || node.ports.iter().any(|ports| ports_clash(ports, &wishes.ports))
            || exceeds_attach_limits(node, wishes)
        {
            return None;
        }
        if !node.requirements.meets(&attempt.asked, |_| false) {
            return None;
        }
        let with_pod = node.requirements.and(&attempt.asked);
        ways_to_volumes(wishes, &with_pod, |_| false)
            .into_iter()
            .find_map(|requirements| narrowed(&attempt.around, &attempt.strict, &requirements, |_| false))
    }

    fn put_on_node(&mut self, attempt: &Attempt<'_>, at: usize, requirements: Requirements) {
        let node = &mut self.nodes[at];
        for (name, quantity) in &attempt.wishes.requests {
            if let Some(left) = node.remaining.get_mut(name) {
                *left = *left - *quantity;
            }
        }
        node.ports.push(attempt.wishes.ports.clone());
        node.attached.extend(attempt.wishes.volumes.attached.iter().cloned());
        node.requirements = requirements;
        self.came.entry(node.name.clone()).or_default().push(attempt.pod);
        let labels = &self.cluster.pods[attempt.pod].pod.metadata.labels;
        self.topology.place(attempt.wishes, labels, &attempt.shuns, &node.taints, &node.requirements);
    }

    /// An empty NodeClaim of a NodePool, with what its limits allow. `None`: nothing.
    fn new_claim(&self, pool: usize) -> Option<Claim> {
        let it = &self.cluster.pools[pool];
        let mut options: Vec<usize> = (0..it.options.len()).collect();
        for (name, left) in &self.limits[pool] {
            if name == "nodes" {
                if left.units_rounded_up() <= 0 {
                    return None;
                }
                continue;
            }
            options.retain(|&at| it.type_of(at).capacity.get(name).copied().unwrap_or_default() <= *left);
        }
        let mut requirements = it.requirements.clone();
        let hostname = format!("hostname-placeholder-{:04}", self.claims.len());
        requirements.add(HOSTNAME, Label::one_of([hostname.into()]));
        (!options.is_empty()).then(|| Claim {
            pool,
            requirements,
            options,
            requests: RawAmounts::new(),
            pods: Vec::new(),
            ports: Vec::new(),
            reserved: BTreeSet::new(),
        })
    }

    /// A new node counts as the largest of the types that it can be.
    fn charge(&mut self, claim: &Claim) {
        let pool = &self.cluster.pools[claim.pool];
        for (name, left) in self.limits[claim.pool].iter_mut().filter(|(name, _)| *name != "nodes") {
            let capacities = claim.options.iter().map(|&at| pool.type_of(at).capacity.get(name).copied());
            *left = *left - capacities.map(Option::unwrap_or_default).max().unwrap_or_default();
        }
    }

    /// The NodeClaim with the pod on it.
    fn on_claim(
        &self,
        attempt: &Attempt<'_>,
        claim: &Claim,
        relaxes_min_values: bool,
    ) -> Result<Claim, Refusal> {
        let wishes = attempt.wishes;
        let is_well_known = |key: &str| self.cluster.is_well_known(key);
        let pool = &self.cluster.pools[claim.pool];
        if !tolerates_all(&wishes.tolerations, pool.taints())
            || claim.ports.iter().any(|ports| ports_clash(ports, &wishes.ports))
            || !claim.requirements.meets(&attempt.asked, is_well_known)
        {
            return Err(Refusal::Never);
        }
        let with_pod = claim.requirements.and(&attempt.asked);
        let mut last = Refusal::Never;
        for requirements in ways_to_volumes(wishes, &with_pod, is_well_known) {
            let narrowed = narrowed(&attempt.around, &attempt.strict, &requirements, is_well_known);
            let Some(requirements) = narrowed else {
                last = Refusal::Never;
                continue;
            };
            match self.with_types(claim, wishes, requirements, relaxes_min_values) {
                Ok(claim) => return Ok(claim),
                Err(refusal) => last = refusal,
            }
        }
        Err(last)
    }

    fn with_types(
        &self,
        claim: &Claim,
        wishes: &Wishes,
        mut requirements: Requirements,
        relaxes_min_values: bool,
    ) -> Result<Claim, Refusal> {
        let pool = &self.cluster.pools[claim.pool];
        let mut requests = claim.requests.clone();
        add(&mut requests, &wishes.requests);
        let is_well_known = |key: &str| self.cluster.is_well_known(key);
        let mut options = claim.options.clone();
        options.retain(|&at| {
            let option = &pool.options[at];
            pool.is_option(option, &requirements, &requests, is_well_known)
                && !option.daemon_ports.iter().any(|ports| ports_clash(ports, &wishes.ports))
        });
        if options.is_empty() {
            return Err(Refusal::Never);
        }
        for (key, count) in pool.unmet_min_values(&requirements, options.iter().map(|&at| pool.type_of(at))) {
            if !relaxes_min_values {
                return Err(Refusal::Never);
            }
            if let Some(label) = requirements.0.get_mut(&key) {
                label.min_values = Some(count);
            }
        }
        let reserved = self.reserve(claim, &requirements, &options)?;
        Ok(Claim { requirements, options, requests, reserved, ..claim.clone() })
    }

    /// The reservations that a node could hold: all that its offerings are of and that are not used up.
    fn reserve(
        &self,
        claim: &Claim,
        requirements: &Requirements,
        options: &[usize],
    ) -> Result<BTreeSet<Str>, Refusal> {
        let mut reserved = BTreeSet::new();
        if !self.cluster.scenario.options.reserved_capacity() {
            return Ok(reserved);
        }
        let pool = &self.cluster.pools[claim.pool];
        let mut compatible = false;
        for offering in options.iter().flat_map(|&at| &pool.type_of(at).offerings) {
            let Some((name, _)) = &offering.reservation else { continue };
            if offering.available
                && requirements.meets(&offering.requirements, |key| self.cluster.is_well_known(key))
            {
                compatible = true;
                if claim.reserved.contains(name) || self.reservations[name] > 0 {
                    reserved.insert(name.clone());
                }
            }
        }
        let loses = compatible || !claim.reserved.is_empty();
        if self.rules.strict_reservations && reserved.is_empty() && loses {
            return Err(Refusal::Reserved);
        }
        Ok(reserved)
    }

    /// Puts the pod on a NodeClaim of the round, or on a new one.
    fn put_on_claim(&mut self, attempt: &Attempt<'_>, at: Option<usize>, mut claim: Claim) {
        claim.pods.push(attempt.pod);
        claim.ports.push(attempt.wishes.ports.clone());
        let held = at.map(|at| self.claims[at].reserved.clone()).unwrap_or_default();
        for name in &claim.reserved - &held {
            *self.reservations.get_mut(&name).expect("a reservation of an offering") -= 1;
        }
        for name in &held - &claim.reserved {
            *self.reservations.get_mut(&name).expect("a reservation of an offering") += 1;
        }
        let labels = &self.cluster.pods[attempt.pod].pod.metadata.labels;
        let taints = self.cluster.pools[claim.pool].taints();
        self.topology.place(attempt.wishes, labels, &attempt.shuns, taints, &claim.requirements);
        match at {
            Some(at) => self.claims[at] = claim,
            None => self.claims.push(claim),
        }
    }
}

/// What a node would be with each of the ways in which the pod's volumes can be reached; without volumes, as it is.
fn ways_to_volumes(
    wishes: &Wishes,
    node: &Requirements,
    may_come: impl Fn(&str) -> bool,
) -> Vec<Requirements> {
    let alternatives = &wishes.volumes.alternatives;
    if alternatives.is_empty() {
        return vec![node.clone()];
    }
    alternatives.iter().filter(|it| node.meets(it, &may_come)).map(|it| node.and(it)).collect()
}

fn exceeds_attach_limits(node: &StateNode<'_>, wishes: &Wishes) -> bool {
    let all = &node.attached | &wishes.volumes.attached;
    node.attach_limits
        .iter()
        .any(|(driver, limit)| all.iter().filter(|(of, _)| of == driver).count() as i64 > *limit)
}
