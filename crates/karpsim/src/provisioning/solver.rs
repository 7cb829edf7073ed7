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
use super::plan::{KnownOptions, KnownPrices};
use super::stances::{Barred, GroundId, Say, Stance, StanceId, Stances};
use super::variants::{VariantId, Variants};
use super::verdicts::Verdicts;
use crate::compile::asked::Host;
use crate::compile::pods::{Class, ClassId, PortsId};
use crate::compile::resources::Amounts;
use crate::compile::shapes::ShapeSet;
use crate::compile::taints::TaintsId;
use crate::compile::types::ReservationId;
use crate::compile::{ClusterState, Limit};
use crate::requirements::{Algebra, ConstraintId};
use crate::topology::{GroupId, HostId, Kind, Topology};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The number of a round has 20 bits in the stamp of refusals; before it would repeat, these are forgotten.
const ROUNDS_MAX: u64 = 1 << 20;

/// How a round is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundRules {
    /// A pod that would take the last reserved offering from a node fails, rather than fall back to other capacity.
    pub strict_reservations: bool,
    /// Nodes under `consolidateAfter` take only pods that are pending or whose node is being deleted.
    pub spares_young_nodes: bool,
    /// The round is given up once it needs more new nodes than this.
    pub most_new_nodes: Option<usize>,
    /// A reservation counts as having one instance more: a node that is to go will free it.
    pub credited: Option<ReservationId>,
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
    /// Volumes of its pods: driver and claim, sorted.
    pub attached: Vec<(crate::model::meta::Str, crate::model::meta::Str)>,
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

/// A compiled cluster, everything that rounds learn about it, and the round that is under way.
pub struct Solver<'p> {
    /// The cluster.
    pub problem: &'p ClusterState,
    /// Requirements.
    pub algebra: Algebra,
    topology: Topology,
    pub(crate) known: Knowledge,
    existing: ExistingNodes,
    round: RoundState,
}

/// A [`Solver`] without its cluster, so that the cluster can change between two rounds.
pub struct SolverState {
    pub(crate) algebra: Algebra,
    topology: Topology,
    known: Knowledge,
    existing: ExistingNodes,
    round: RoundState,
}

/// What rounds have found out. It holds as long as NodePools and instance types are what they are.
pub(crate) struct Knowledge {
    variants: Variants,
    /// The variant of a class that nothing has been dropped from.
    unrelaxed: FxHashMap<ClassId, VariantId>,
    /// By table and constraint: the shapes that are allowed and on offer.
    allowed: Vec<FxHashMap<ConstraintId, Rc<ShapeSet>>>,
    reserved_offerings: Vec<Vec<ReservedOffering>>,
    verdicts: Verdicts,
    stances: Stances,
    pub(super) options: KnownOptions,
    pub(crate) prices: KnownPrices,
}

/// A reserved offering that is available.
#[derive(Debug, Clone, Copy)]
struct ReservedOffering {
    /// Index of the instance type.
    of: usize,
    kind: usize,
    reservation: ReservationId,
    /// Its reservation has no instance left, as the cloud has it.
    full: bool,
}

/// The nodes of the cluster as a round may fill them, by index.
struct ExistingNodes {
    opens: Vec<Open>,
    /// The place of each in the order of trial; `u32::MAX`: none, it is going away.
    places: Vec<u32>,
    /// What all of them leave of the NodePools' limits.
    limits_left: Vec<Vec<Limit>>,
    /// What each takes from the limits of its NodePool.
    takes: Vec<Option<(usize, Vec<i64>)>>,
    /// No two states of nodes have the same version, in whatever round.
    next_version: u32,
}

/// What lives for one round.
#[derive(Default)]
struct RoundState {
    rules: RoundRules,
    /// By node: whether the round is without it.
    removed: Vec<bool>,
    /// Nodes on which it has placed pods, and what they were before.
    touched: Vec<(usize, Open)>,
    /// Those whose labels have come to more by that, in the order of trial.
    relabelled: Vec<usize>,
    claims: Vec<Claim>,
    order: OpenOrder,
    limits: Vec<Vec<Limit>>,
    reservations_left: Vec<i64>,
    claim_versions: Vec<u32>,
    claim_grounds: Vec<GroundId>,
    barred: Barred,
    changed_claims: Vec<u32>,
    room: RoomLeft,
    reservation_changes: u32,
    /// Rounds so far, this one included.
    rounds: u64,
    progress: u32,
    failed_at: FxHashMap<(ClassId, bool, bool), (u32, Failure)>,
    joined: FxHashSet<usize>,
    owned: FxHashMap<VariantId, Rc<Groups>>,
    first_new_host: HostId,
}

/// By node of the round and resource: what the largest of its instance types has, in all and left.
#[derive(Default)]
struct RoomLeft {
    most: Vec<i64>,
    left: Vec<i64>,
}

impl ExistingNodes {
    fn new(problem: &ClusterState) -> Self {
        let mut existing = ExistingNodes {
            opens: Vec::with_capacity(problem.nodes.len()),
            places: Vec::new(),
            limits_left: problem.limits.clone(),
            takes: Vec::new(),
            next_version: 1,
        };
        for node in 0..problem.nodes.len() {
            existing.refresh(problem, node);
        }
        existing.number_places(problem);
        existing
    }

    /// Numbers the nodes in the order of trial.
    fn number_places(&mut self, problem: &ClusterState) {
        self.places.clear();
        self.places.resize(problem.nodes.len(), u32::MAX);
        for (place, &node) in (0..).zip(&problem.node_order) {
            self.places[node] = place;
        }
    }

    /// Makes of a node what it is in the cluster now.
    fn refresh(&mut self, problem: &ClusterState, node: usize) {
        let of = &problem.nodes[node];
        let open = Open {
            constraint: of.labels,
            remaining: of.remaining.clone(),
            ports: of.ports.iter().copied().collect(),
            attached: of.attached.clone(),
            pods: Vec::new(),
            version: self.next_version,
        };
        self.next_version = self.next_version.wrapping_add(1);
        let takes = if of.marked || of.is_vacant() { None } else { taken_by(problem, of) };
        if self.opens.len() <= node {
            self.opens.resize_with(node + 1, || open.clone());
            self.takes.resize(node + 1, None);
        }
        self.opens[node] = open;
        let before = std::mem::replace(&mut self.takes[node], takes);
        for (taken, sign) in [(before.as_ref(), 1), (self.takes[node].as_ref(), -1)] {
            if let Some((pool, amounts)) = taken {
                for (limit, amount) in self.limits_left[*pool].iter_mut().zip(amounts) {
                    limit.left += sign * amount;
                }
            }
        }
    }
}

impl SolverState {
    /// What is known of a cluster before any round.
    pub fn new(problem: &ClusterState, mut algebra: Algebra) -> Self {
        let topology = Topology::new(problem, &mut algebra);
        SolverState {
            topology,
            known: Knowledge::new(problem),
            existing: ExistingNodes::new(problem),
            round: RoundState::default(),
            algebra,
        }
    }

    /// A node came, or is something else now, but for the pods on it. [`Self::node_order_changed`] must be told too if
    /// that moves it, or others, in the order of trial.
    pub(crate) fn node_changed(&mut self, problem: &ClusterState, node: usize) {
        self.existing.refresh(problem, node);
        self.known.verdicts.ask_again(node, &self.existing.places);
    }

    /// Nodes came, went or changed places in the order of trial.
    pub(crate) fn node_order_changed(&mut self, problem: &ClusterState) {
        self.existing.number_places(problem);
        self.known.verdicts.forget_order();
    }

    /// Counts in the domains of topologies changed: pods of `class` on a node of the API server, by `more`.
    pub(crate) fn pods_counted(&mut self, problem: &ClusterState, class: ClassId, node: usize, more: i32) {
        self.topology.count_on(problem, &mut self.algebra, class, node, more);
    }

    /// How much has been found out, in entries.
    pub(crate) fn learnt(&self) -> usize {
        let known = &self.known;
        let allowed: usize = known.allowed.iter().map(FxHashMap::len).sum();
        self.algebra.interned()
            + known.variants.len()
            + allowed
            + known.stances.len()
            + known.options.len()
            + self.topology.interned()
    }

    /// Pods that keep others away came or went, or nodes changed in what topologies see of them.
    pub(crate) fn forget_topology(&mut self, problem: &ClusterState) {
        self.topology.forget_cluster(problem, &mut self.algebra);
        self.known.stances = Stances::default();
        self.known.verdicts.forget_passing();
    }
}

impl Knowledge {
    fn new(problem: &ClusterState) -> Self {
        let offerings = problem.tables.iter().map(|table| {
            let types = table.types.iter().enumerate();
            types
                .flat_map(|(of, it)| {
                    let offerings = it.offerings.iter().filter(|offering| offering.available);
                    offerings.filter_map(move |offering| {
                        let full = offering.reservation_capacity == 0;
                        let kind = offering.kind;
                        offering.reservation.map(|reservation| ReservedOffering {
                            of,
                            kind,
                            reservation,
                            full,
                        })
                    })
                })
                .collect()
        });
        Knowledge {
            reserved_offerings: offerings.collect(),
            variants: Variants::default(),
            unrelaxed: FxHashMap::default(),
            allowed: vec![FxHashMap::default(); problem.tables.len()],
            verdicts: Verdicts::default(),
            stances: Stances::default(),
            options: KnownOptions::default(),
            prices: KnownPrices::default(),
        }
    }
}

impl<'p> Solver<'p> {
    /// A solver for a cluster of which nothing is known yet.
    pub fn new(problem: &'p ClusterState, algebra: Algebra) -> Self {
        Self::resume(problem, SolverState::new(problem, algebra))
    }

    /// A solver that knows of `problem` what `state` does.
    pub fn resume(problem: &'p ClusterState, state: SolverState) -> Self {
        let SolverState { algebra, topology, known, existing, round } = state;
        Solver { problem, algebra, topology, known, existing, round }
    }

    /// What it has found out.
    pub fn suspend(self) -> SolverState {
        let Solver { algebra, topology, known, existing, round, .. } = self;
        SolverState { algebra, topology, known, existing, round }
    }

    /// Whether the round that is under way launches nodes.
    pub(super) fn launches(&self) -> bool {
        !self.round.claims.is_empty()
    }

    /// Plays one round: places `pods`, without the nodes `removed`. Everything is as before when it returns.
    pub fn run_round(&mut self, pods: &[usize], removed: &[usize], rules: RoundRules) -> Outcome {
        self.run_round_then(pods, removed, rules, |_, _| ()).0
    }

    /// The same, with a look at the end of the round, before everything is taken back, and at who failed.
    pub fn run_round_then<T>(
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
            if rules.most_new_nodes.is_some_and(|most| self.round.claims.len() > most) {
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
        let outcome =
            Outcome { claims: std::mem::take(&mut self.round.claims), filled: self.filled(), failed };
        self.end();
        (outcome, seen)
    }

    fn begin(&mut self, pods: &[usize], removed: &[usize], rules: RoundRules) {
        let problem = self.problem;
        self.round.rules = rules;
        self.round.rounds += 1;
        if self.round.rounds >= ROUNDS_MAX {
            self.known.verdicts.forget_passing();
            self.round.rounds = 1;
        }
        self.round.first_new_host = self.algebra.value_count(problem.hostname) as HostId;
        self.round.removed.resize(problem.nodes.len(), false);
        self.round.limits.clone_from(&self.existing.limits_left);
        for &node in removed {
            self.round.removed[node] = true;
            if let Some((pool, amounts)) = &self.existing.takes[node] {
                for (limit, amount) in self.round.limits[*pool].iter_mut().zip(amounts) {
                    limit.left += amount;
                }
            }
        }
        self.round.reservations_left.clone_from(&problem.reservations);
        if let Some(reservation) = rules.credited {
            self.round.reservations_left[reservation.0 as usize] += 1;
        }
        let known: Vec<usize> =
            pods.iter().copied().filter(|&pod| !self.class_of(pod).1.volumes.unreachable).collect();
        let taken = known.clone();
        self.topology.begin(problem, &mut self.algebra, taken, removed.to_vec());
        for pod in known {
            let variant = self.unrelaxed(problem.records[pod].class);
            self.groups_of(variant);
        }
    }

    fn end(&mut self) {
        for (node, open) in self.round.touched.drain(..) {
            self.existing.opens[node] = open;
        }
        self.round.relabelled.clear();
        self.round.removed.fill(false);
        self.topology.end();
        self.round.owned.clear();
        self.round.claims.clear();
        self.round.order.clear();
        self.round.claim_versions.clear();
        self.round.claim_grounds.clear();
        self.round.changed_claims.clear();
        self.round.room.most.clear();
        self.round.room.left.clear();
        self.round.failed_at.clear();
        self.round.joined.clear();
        self.round.progress = 0;
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

    fn unrelaxed(&mut self, class: ClassId) -> VariantId {
        if let Some(&known) = self.known.unrelaxed.get(&class) {
            return known;
        }
        let variant = self.known.variants.whole(self.problem, &mut self.algebra, &mut self.topology, class);
        self.known.unrelaxed.insert(class, variant);
        variant
    }

    /// The groups of a variant in this round: those that it belongs to, and those by which it keeps others away.
    fn groups_of(&mut self, variant: VariantId) -> Rc<Groups> {
        if let Some(known) = self.round.owned.get(&variant) {
            return known.clone();
        }
        let (wanted, shuns) = {
            let variant = self.known.variants.get(variant);
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
        self.round.owned.insert(variant, groups.clone());
        groups
    }

    /// Finds a place for `pod`, dropping its wishes one by one until there is one.
    fn schedule(&mut self, pod: usize) -> Result<(), Failure> {
        let (class_id, class) = self.class_of(pod);
        if class.claims_devices {
            return Err(Failure::Devices);
        }
        // Before it is first relaxed, a pod whose volumes could not be looked up belongs to no topology.
        let outside = class.volumes.unreachable && !self.round.joined.contains(&pod);
        let key = (class_id, self.problem.records[pod].exempt, outside);
        if let Some(&(progress, failure)) = self.round.failed_at.get(&key)
            && progress == self.round.progress
        {
            // The like of it has just failed, and nothing has happened since.
            self.join(pod, class_id, outside);
            return Err(failure);
        }
        let mut variant = self.unrelaxed(class_id);
        let mut groups = if outside { self.groups_outside(pod, variant) } else { self.groups_of(variant) };
        loop {
            match self.place(pod, class, variant, &groups) {
                Ok(()) => {
                    self.round.progress += 1;
                    return Ok(());
                }
                Err(Refusal::Reserved) => {
                    self.join(pod, class_id, outside);
                    self.round.failed_at.insert(key, (self.round.progress, Failure::Reserved));
                    return Err(Failure::Reserved);
                }
                Err(_) => {}
            }
            let relaxed =
                self.known.variants.relaxed(self.problem, &mut self.algebra, &mut self.topology, variant);
            let Some(relaxed) = relaxed else {
                self.join(pod, class_id, outside);
                self.round.failed_at.insert(key, (self.round.progress, Failure::NoPlace));
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
        let shuns = self.known.variants.get(variant).shuns.clone();
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
            self.round.joined.insert(pod);
            let whole = self.unrelaxed(class);
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
        if class.volumes.unresolved && self.problem.karpenter().unresolved_volumes_bar_new_nodes {
            return Err(Refusal::Lasting);
        }
        let applicant = self.applicant(pod, class, variant, groups);
        if !class.volumes.unresolved && self.place_on_existing(&applicant) {
            return Ok(());
        }
        self.round.order.sort();
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
        for &(group, _) in &self.known.stances.get(stance).shared {
            let group = self.topology.group(group);
            counts += u64::from(group.version);
            lenient += if group.kind == Kind::AntiAffinity { 0 } else { u64::from(group.version) };
        }
        let stamp = (self.round.rounds << 44)
            + ((groups.own.len() as u64) << 36)
            + u64::from(self.round.reservation_changes)
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
        let of = self.known.variants.get(variant);
        let repelling: SmallVec<[GroupId; 4]> = self.topology.repelling(problem, of.class).into();
        let says = groups.own.iter().chain(&repelling).map(|&id| {
            let group = self.topology.group(id);
            (group.key == problem.hostname, (id, group.selects(problem, of.class)))
        });
        let (by_host, shared): (Vec<(bool, Say)>, Vec<_>) = says.partition(|(by_host, _)| *by_host);
        let stance = self.known.stances.intern(Stance {
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
        let class = self.known.variants.get(applicant.variant).class;
        let shuns = &applicant.groups.shuns;
        self.topology.record(self.problem, &mut self.algebra, class, shuns, taints, node, host);
    }
}

/// What a node takes from the limits of its pool.
fn taken_by(problem: &ClusterState, node: &crate::compile::nodes::StateNode) -> Option<(usize, Vec<i64>)> {
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
