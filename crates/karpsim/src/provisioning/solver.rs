//! The scheduler: every pod is tried on the nodes there are, then on the nodes of the round, then on a new one.
//!
//! One [`Solver`] serves many rounds over one compiled cluster (provisioning is one round; disruption asks one for each
//! set of candidates). A round changes nodes, topology, limits and reservations in place and notes how to take it back.
//! Cost: pods × open nodes in the worst case, each verdict a few look-ups; verdicts that cannot have changed are not
//! asked for twice.

mod fits;

mod launching;
mod refusals;
mod standing;

use super::open_order::OpenOrder;
use super::plan::KnownOptions;
use super::stances::{Barred, GroundId, Say, Stance, StanceId, Stances};
use super::variants::{VariantId, Variants};
use super::verdicts::Verdicts;
use crate::compile::asked::Host;
use crate::compile::pods::{Class, ClassId, PortsId};
use crate::compile::resources::Amounts;
use crate::compile::shapes::ShapeSet;
use crate::compile::taints::TaintsId;
use crate::compile::types::ReservationId;
use crate::compile::{Limit, Problem};
use crate::requirements::{Algebra, ConstraintId};
use crate::topology::{GroupId, HostId, Kind, Topology};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// How a round is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundRules {
    /// A pod that would take the last reserved offering from a node fails, rather than fall back to other capacity.
    pub strict_reservations: bool,
    /// Nodes under `consolidateAfter` take only pods that are pending or whose node is being deleted.
    pub spares_young_nodes: bool,
    /// The round is given up once it needs more new nodes than this.
    pub most_new_nodes: Option<usize>,
}

/// A node to be launched, while the round fills it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its template.
    pub template: usize,
    /// What it is, so far.
    pub constraint: ConstraintId,
    /// What it can be, so far.
    pub shapes: ShapeSet,
    /// What its pods reserve.
    pub requests: Amounts,
    /// Its pods.
    pub pods: Vec<usize>,
    /// Host ports of its pods.
    pub ports: SmallVec<[PortsId; 2]>,
    /// Reservations that it holds.
    pub reserved: SmallVec<[ReservationId; 2]>,
    host: HostId,
}

/// A node of the cluster in a round.
#[derive(Debug, Clone)]
struct Open {
    constraint: ConstraintId,
    remaining: Amounts,
    ports: SmallVec<[PortsId; 2]>,
    attached: Vec<(crate::model::meta::Str, crate::model::meta::Str)>,
    pods: Vec<usize>,
    version: u32,
}

/// Why a pod found no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No node could take it.
    NoPlace,
    /// There are reserved offerings for it, but others hold them; it is deferred.
    Reserved,
    /// It needs dynamic resources.
    Devices,
}

/// What a round came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Nodes to be launched.
    pub claims: Vec<Claim>,
    /// Nodes that got pods, in the order of trial, with these pods.
    pub filled: Vec<(usize, Vec<usize>)>,
    /// Pods without a place.
    pub failed: Vec<(usize, Failure)>,
}

/// The topology groups of a pod in a round.
#[derive(Debug, Default)]
struct Groups {
    /// Those that it belongs to.
    own: Vec<GroupId>,
    /// Those by which it keeps others away.
    shuns: Vec<GroupId>,
    /// Its stance, found when there were so many groups that keep others away.
    stance: Cell<Option<(usize, StanceId)>>,
}

/// A pod that is tried, in one of its variants, and what is known of it while nothing else is placed.
struct Applicant<'a> {
    pod: usize,
    class: &'a Class,
    variant: VariantId,
    groups: &'a Groups,
    stance: StanceId,
    /// What answers on its stance rest on: it never takes the same value in two states of the groups over shared domains.
    counts: u64,
    /// What passing refusals rest on: it never takes the same value in two states. Left out are groups over hostnames
    /// (what they say of a node changes only when the node itself does, as long as the round lasts) and anti-affinity (a
    /// domain that is taken stays taken).
    stamp: u64,
}

/// Where a pod goes on a new node.
struct Placement {
    constraint: ConstraintId,
    shapes: ShapeSet,
    reserved: SmallVec<[ReservationId; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// As long as the node stays as it is.
    Lasting,
    /// As long as the topology stays as it is, too.
    Passing,
    /// As long as others hold the reservations.
    Reserved,
}

/// A compiled cluster with everything that rounds learn about it.
pub struct Solver<'p> {
    /// The cluster.
    pub problem: &'p Problem<'p>,
    /// Requirements.
    pub algebra: Algebra,
    topology: Topology,
    variants: Variants,
    whole: FxHashMap<ClassId, VariantId>,
    allowed: Vec<FxHashMap<ConstraintId, Rc<ShapeSet>>>,
    reserved_offerings: Vec<Vec<(usize, usize, ReservationId)>>,
    first_new_host: HostId,
    /// What all nodes of the cluster leave of the limits.
    limits_left: Vec<Vec<Limit>>,
    /// For each node that rounds use: its dynamic pool and what it takes from each of that pool's limits.
    takes: Vec<Option<(usize, Vec<i64>)>>,
    opens: Vec<Open>,
    verdicts: Verdicts,
    stances: Stances,
    pub(super) options: KnownOptions,
    /// No two states of nodes have the same version, in whatever round.
    next_version: u32,

    // Of the round:
    rules: RoundRules,
    /// By node: whether the round is without it.
    removed: Vec<bool>,
    /// Nodes on which it has placed pods: their places in the order of trial, and what they were before.
    touched: Vec<(usize, Open)>,
    /// The places of those whose labels have come to more by that, ascending.
    relabelled: Vec<usize>,
    claims: Vec<Claim>,
    order: OpenOrder,
    limits: Vec<Vec<Limit>>,
    reservations_left: Vec<i64>,
    claim_versions: Vec<u32>,
    claim_grounds: Vec<GroundId>,
    barred: Barred,
    changed_claims: Vec<u32>,
    /// By node of the round and resource: what the largest of its instance types has, in all and left.
    most: Vec<i64>,
    most_left: Vec<i64>,
    reservation_changes: u32,
    rounds: u64,
    progress: u32,
    failed_at: FxHashMap<(ClassId, bool, bool), (u32, Failure)>,
    joined: FxHashSet<usize>,
    owned: FxHashMap<VariantId, Rc<Groups>>,
}

impl<'p> Solver<'p> {
    /// A solver for `problem`.
    pub fn new(problem: &'p Problem<'p>, mut algebra: Algebra) -> Self {
        let topology = Topology::new(problem, &mut algebra);
        let reserved_offerings = problem
            .tables
            .iter()
            .map(|table| {
                let types = table.types.iter().enumerate();
                types
                    .flat_map(|(of, it)| {
                        let offerings = it.offerings.iter().filter(|offering| offering.available);
                        offerings.filter_map(move |offering| {
                            offering.reservation.map(|reservation| (of, offering.kind, reservation))
                        })
                    })
                    .collect()
            })
            .collect();
        let opens = problem
            .nodes
            .iter()
            .map(|node| Open {
                constraint: node.labels,
                remaining: node.remaining.clone(),
                ports: node.ports.iter().copied().collect(),
                attached: node.attached.clone(),
                pods: Vec::new(),
                version: 0,
            })
            .collect();
        let first_new_host = algebra.value_count(problem.hostname) as HostId;
        let mut takes: Vec<_> = vec![None; problem.nodes.len()];
        let mut limits_left = problem.limits.clone();
        for &node in &problem.node_order {
            takes[node] = taken_by(problem, &problem.nodes[node]);
            if let Some((pool, amounts)) = &takes[node] {
                for (limit, amount) in limits_left[*pool].iter_mut().zip(amounts) {
                    limit.left -= amount;
                }
            }
        }
        Solver {
            problem,
            topology,
            variants: Variants::default(),
            whole: FxHashMap::default(),
            allowed: vec![FxHashMap::default(); problem.tables.len()],
            reserved_offerings,
            first_new_host,
            limits_left,
            takes,
            opens,
            algebra,
            rules: RoundRules::default(),
            removed: vec![false; problem.nodes.len()],
            touched: Vec::new(),
            relabelled: Vec::new(),
            claims: Vec::new(),
            order: OpenOrder::default(),
            limits: Vec::new(),
            reservations_left: Vec::new(),
            claim_versions: Vec::new(),
            claim_grounds: Vec::new(),
            barred: Barred::default(),
            changed_claims: Vec::new(),
            most: Vec::new(),
            most_left: Vec::new(),
            reservation_changes: 0,
            rounds: 0,
            progress: 0,
            verdicts: Verdicts::default(),
            stances: Stances::default(),
            options: KnownOptions::default(),
            next_version: 1,
            failed_at: FxHashMap::default(),
            joined: FxHashSet::default(),
            owned: FxHashMap::default(),
        }
    }

    /// Plays one round: places `pods`, without the nodes `removed`. Everything is as before when it returns.
    pub fn round(&mut self, pods: &[usize], removed: &[usize], rules: RoundRules) -> Outcome {
        self.round_then(pods, removed, rules, |_, _| ()).0
    }

    /// The same, with a look at the end of the round, before everything is taken back, and at who failed.
    pub fn round_then<T>(
        &mut self,
        pods: &[usize],
        removed: &[usize],
        rules: RoundRules,
        look: impl FnOnce(&mut Self, &[(usize, Failure)]) -> T,
    ) -> (Outcome, T) {
        self.begin(pods, removed, rules);
        let mut queue = self.queue(pods);
        let mut last_length: FxHashMap<usize, usize> = FxHashMap::default();
        let mut failures: FxHashMap<usize, Failure> = FxHashMap::default();
        while let Some(&pod) = queue.front() {
            // A full turn without progress.
            if last_length.get(&pod) == Some(&queue.len()) {
                break;
            }
            if rules.most_new_nodes.is_some_and(|most| self.claims.len() > most) {
                break;
            }
            queue.pop_front();
            match self.schedule(pod) {
                Ok(()) => {
                    failures.remove(&pod);
                }
                Err(failure) => {
                    failures.insert(pod, failure);
                    queue.push_back(pod);
                    last_length.insert(pod, queue.len());
                }
            }
        }
        let failed: Vec<(usize, Failure)> =
            pods.iter().filter_map(|pod| failures.get(pod).map(|failure| (*pod, *failure))).collect();
        let seen = look(self, &failed);
        let outcome = Outcome { claims: std::mem::take(&mut self.claims), filled: self.filled(), failed };
        self.end();
        (outcome, seen)
    }

    fn begin(&mut self, pods: &[usize], removed: &[usize], rules: RoundRules) {
        let problem = self.problem;
        self.rules = rules;
        self.rounds += 1;
        self.limits.clone_from(&self.limits_left);
        for &node in removed {
            self.removed[node] = true;
            if let Some((pool, amounts)) = &self.takes[node] {
                for (limit, amount) in self.limits[*pool].iter_mut().zip(amounts) {
                    limit.left += amount;
                }
            }
        }
        self.reservations_left.clone_from(&problem.reservations);
        let known: Vec<usize> =
            pods.iter().copied().filter(|&pod| !self.class_of(pod).1.volumes.unreachable).collect();
        let taken = known.clone();
        self.topology.begin(problem, &mut self.algebra, taken, removed.to_vec());
        for pod in known {
            let variant = self.whole(problem.records[pod].class);
            self.groups_of(variant);
        }
    }

    fn end(&mut self) {
        for (place, open) in self.touched.drain(..) {
            self.opens[self.problem.node_order[place]] = open;
        }
        self.relabelled.clear();
        self.removed.fill(false);
        self.topology.end();
        self.owned.clear();
        self.claims.clear();
        self.order.clear();
        self.claim_versions.clear();
        self.claim_grounds.clear();
        self.changed_claims.clear();
        self.most.clear();
        self.most_left.clear();
        self.failed_at.clear();
        self.joined.clear();
        self.progress = 0;
    }

    /// The order in which pods are tried: by cpu, then memory, both descending, then creation, then UID.
    fn queue(&self, pods: &[usize]) -> VecDeque<usize> {
        let problem = self.problem;
        let (cpu, memory) = (problem.resources.find("cpu"), problem.resources.find("memory"));
        let mut sorted = pods.to_vec();
        let amount = |pod: usize, resource: Option<usize>| {
            let class = &problem.pods.classes[problem.records[pod].class.0 as usize];
            resource.map_or(0, |resource| class.requests[resource])
        };
        sorted.sort_by(|&a, &b| {
            let metadata = |pod: usize| &problem.pod(pod).metadata;
            amount(b, cpu)
                .cmp(&amount(a, cpu))
                .then_with(|| amount(b, memory).cmp(&amount(a, memory)))
                .then_with(|| metadata(a).creation_timestamp.cmp(&metadata(b).creation_timestamp))
                .then_with(|| metadata(a).uid.cmp(&metadata(b).uid))
        });
        sorted.into()
    }

    fn class_of(&self, pod: usize) -> (ClassId, &'p Class) {
        let id = self.problem.records[pod].class;
        (id, &self.problem.pods.classes[id.0 as usize])
    }

    fn whole(&mut self, class: ClassId) -> VariantId {
        if let Some(&known) = self.whole.get(&class) {
            return known;
        }
        let variant = self.variants.whole(self.problem, &mut self.algebra, &mut self.topology, class);
        self.whole.insert(class, variant);
        variant
    }

    /// The groups of a variant in this round: those that it belongs to, and those by which it keeps others away.
    fn groups_of(&mut self, variant: VariantId) -> Rc<Groups> {
        if let Some(known) = self.owned.get(&variant) {
            return known.clone();
        }
        let (wanted, shuns) = {
            let variant = self.variants.get(variant);
            (variant.wanted.clone(), variant.shuns.clone())
        };
        let mut activate = |all: &[crate::topology::Wanted]| {
            let mut groups: Vec<GroupId> = all
                .iter()
                .map(|wanted| self.topology.activate(self.problem, &mut self.algebra, wanted))
                .collect();
            groups.sort_unstable();
            groups.dedup();
            groups
        };
        let shuns = activate(&shuns);
        let groups = Rc::new(Groups { own: activate(&wanted), shuns, stance: Cell::default() });
        self.owned.insert(variant, groups.clone());
        groups
    }

    /// Finds a place for `pod`, dropping its wishes one by one until there is one.
    fn schedule(&mut self, pod: usize) -> Result<(), Failure> {
        let (class_id, class) = self.class_of(pod);
        if class.claims_devices {
            return Err(Failure::Devices);
        }
        // Before it is first relaxed, a pod whose volumes could not be looked up belongs to no topology.
        let outside = class.volumes.unreachable && !self.joined.contains(&pod);
        let key = (class_id, self.problem.records[pod].exempt, outside);
        if let Some(&(progress, failure)) = self.failed_at.get(&key)
            && progress == self.progress
        {
            // The like of it has just failed, and nothing has happened since.
            self.join(pod, class_id, outside);
            return Err(failure);
        }
        let mut variant = self.whole(class_id);
        let mut groups = if outside { self.groups_outside(pod, variant) } else { self.groups_of(variant) };
        loop {
            match self.place(pod, class, variant, &groups) {
                Ok(()) => {
                    self.progress += 1;
                    return Ok(());
                }
                Err(Refusal::Reserved) => {
                    self.join(pod, class_id, outside);
                    self.failed_at.insert(key, (self.progress, Failure::Reserved));
                    return Err(Failure::Reserved);
                }
                Err(_) => {}
            }
            let relaxed = self.variants.relaxed(self.problem, &mut self.algebra, &mut self.topology, variant);
            let Some(relaxed) = relaxed else {
                self.join(pod, class_id, outside);
                self.failed_at.insert(key, (self.progress, Failure::NoPlace));
                return Err(Failure::NoPlace);
            };
            variant = relaxed;
            groups = self.groups_of(variant);
        }
    }

    /// The groups of a pod that belongs to no topology yet: if it is on a node still, others stay away from it.
    fn groups_outside(&mut self, pod: usize, variant: VariantId) -> Rc<Groups> {
        if self.problem.records[pod].node.is_none() {
            return Rc::default();
        }
        let shuns = self.variants.get(variant).shuns.clone();
        let mut groups: Vec<GroupId> = shuns
            .iter()
            .map(|wanted| self.topology.activate(self.problem, &mut self.algebra, wanted))
            .collect();
        groups.sort_unstable();
        groups.dedup();
        Rc::new(Groups { own: Vec::new(), shuns: groups, stance: Cell::default() })
    }

    /// A pod that failed belongs to the topologies of its class from now on.
    fn join(&mut self, pod: usize, class: ClassId, outside: bool) {
        if outside {
            self.joined.insert(pod);
            let whole = self.whole(class);
            self.groups_of(whole);
        }
    }

    /// Tries a pod on the nodes there are, then on those of the round, then on a new one.
    fn place(
        &mut self,
        pod: usize,
        class: &Class,
        variant: VariantId,
        groups: &Rc<Groups>,
    ) -> Result<(), Refusal> {
        let applicant = self.applicant(pod, class, variant, groups);
        if !class.volumes.unresolved && self.place_on_existing(&applicant) {
            return Ok(());
        }
        self.order.sort();
        if self.place_on_open_claim(&applicant) {
            return Ok(());
        }
        self.place_on_new_claim(&applicant)
    }

    fn applicant<'a>(
        &mut self,
        pod: usize,
        class: &'a Class,
        variant: VariantId,
        groups: &'a Groups,
    ) -> Applicant<'a> {
        let stance = self.stance_of(variant, groups);
        let (mut counts, mut lenient) = (0, 0);
        for &(group, _) in &self.stances.get(stance).shared {
            let group = self.topology.group(group);
            counts += u64::from(group.version);
            lenient += if group.kind == Kind::AntiAffinity { 0 } else { u64::from(group.version) };
        }
        let stamp = (self.rounds << 44)
            + ((groups.own.len() as u64) << 36)
            + u64::from(self.reservation_changes)
            + lenient;
        Applicant { pod, class, variant, groups, stance, counts, stamp }
    }

    /// The stance of a variant with these groups, and those of pods that must not be near it.
    fn stance_of(&mut self, variant: VariantId, groups: &Groups) -> StanceId {
        let seen = self.topology.keeping_away();
        if let Some((at, known)) = groups.stance.get()
            && at == seen
        {
            return known;
        }
        let problem = self.problem;
        let of = self.variants.get(variant);
        let repelling: SmallVec<[GroupId; 4]> = self.topology.repelling(problem, of.class).into();
        let says = groups.own.iter().chain(&repelling).map(|&id| {
            let group = self.topology.group(id);
            (group.key == problem.hostname, (id, group.selects(problem, of.class)))
        });
        let (by_host, shared): (Vec<(bool, Say)>, Vec<_>) = says.partition(|(by_host, _)| *by_host);
        let stance = self.stances.intern(Stance {
            asked: of.asked,
            strict: of.strict,
            tolerations: of.tolerations,
            shared: shared.into_iter().map(|(_, say)| say).collect(),
            by_host: by_host.into_iter().map(|(_, say)| say).collect(),
        });
        groups.stance.set(Some((seen, stance)));
        stance
    }

    /// Counts the pod in the topology groups that it belongs to on that node.
    fn record(
        &mut self,
        applicant: &Applicant<'_>,
        taints: TaintsId,
        node: ConstraintId,
        host: (HostId, Host),
    ) {
        let class = self.variants.get(applicant.variant).class;
        let shuns = &applicant.groups.shuns;
        self.topology.record(self.problem, &mut self.algebra, class, shuns, taints, node, host);
    }
}

/// What a node takes from the limits of its pool.
fn taken_by(problem: &Problem<'_>, node: &crate::compile::nodes::StateNode) -> Option<(usize, Vec<i64>)> {
    let pool = node.pool(&problem.api_nodes)?;
    let pool = problem.dynamic.iter().position(|dynamic| dynamic.name == pool)?;
    let amounts = problem.limits[pool]
        .iter()
        .map(|limit| match limit.resource {
            None => 1,
            Some(resource) => {
                let amount = node.capacity.get(problem.resources.name(resource)).copied().unwrap_or_default();
                problem.resources.count(resource, amount)
            }
        })
        .collect();
    Some((pool, amounts))
}
