//! The scheduler: every pod is tried on the nodes there are, then on the nodes of the round, then on a new one.
//!
//! One [`Solver`] serves many rounds over one compiled cluster (provisioning is one round; disruption asks one for each
//! set of candidates). A round changes nodes, topology, limits and reservations in place and notes how to take it back.
//! Cost: pods × open nodes in the worst case, each verdict a few look-ups; verdicts that cannot have changed are not
//! asked for twice.

mod inspect;

use super::min_values;
use super::open_order::OpenOrder;
use super::plan::KnownOptions;
use super::variants::{VariantId, Variants};
use super::verdicts::Verdicts;
use crate::compile::asked::{Asked, Host};
use crate::compile::pods::{Class, ClassId, PortsId};
use crate::compile::resources::Amounts;
use crate::compile::shapes::ShapeSet;
use crate::compile::types::ReservationId;
use crate::compile::{Limit, Problem};
use crate::requirements::{Algebra, ConstraintId, KeyId, Requirement, Undefined};
use crate::topology::{GroupId, HostId, Kind, Topology};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
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
    attached: Vec<(crate::api::meta::Str, crate::api::meta::Str)>,
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
    /// Limits without the nodes that there are.
    base_limits: Vec<Vec<Limit>>,
    /// For each node: its dynamic pool and what it takes from each of that pool's limits.
    takes: Vec<Option<(usize, Vec<i64>)>>,
    opens: Vec<Open>,
    verdicts: Verdicts,
    pub(super) options: KnownOptions,
    /// No two states of nodes have the same version, in whatever round.
    next_version: u32,

    // Of the round:
    rules: RoundRules,
    touched: Vec<(usize, Open)>,
    nodes: Vec<usize>,
    claims: Vec<Claim>,
    order: OpenOrder,
    limits: Vec<Vec<Limit>>,
    reservations_left: Vec<i64>,
    claim_versions: Vec<u32>,
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
        let takes = problem.nodes.iter().map(|node| takes(problem, node)).collect();
        Solver {
            problem,
            topology,
            variants: Variants::default(),
            whole: FxHashMap::default(),
            allowed: vec![FxHashMap::default(); problem.tables.len()],
            reserved_offerings,
            first_new_host,
            base_limits: problem.limits.clone(),
            takes,
            opens,
            algebra,
            rules: RoundRules::default(),
            touched: Vec::new(),
            nodes: Vec::new(),
            claims: Vec::new(),
            order: OpenOrder::default(),
            limits: Vec::new(),
            reservations_left: Vec::new(),
            claim_versions: Vec::new(),
            changed_claims: Vec::new(),
            most: Vec::new(),
            most_left: Vec::new(),
            reservation_changes: 0,
            rounds: 0,
            progress: 0,
            verdicts: Verdicts::default(),
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
        let outcome = Outcome {
            claims: std::mem::take(&mut self.claims),
            filled: self
                .nodes
                .iter()
                .filter(|&&node| !self.opens[node].pods.is_empty())
                .map(|&node| (node, self.opens[node].pods.clone()))
                .collect(),
            failed,
        };
        self.end();
        (outcome, seen)
    }

    fn begin(&mut self, pods: &[usize], removed: &[usize], rules: RoundRules) {
        let problem = self.problem;
        self.rules = rules;
        self.rounds += 1;
        self.nodes.clear();
        self.nodes.extend(problem.node_order.iter().copied().filter(|node| !removed.contains(node)));
        self.limits.clone_from(&self.base_limits);
        for &node in &self.nodes {
            if let Some((pool, amounts)) = &self.takes[node] {
                for (limit, amount) in self.limits[*pool].iter_mut().zip(amounts) {
                    limit.left -= amount;
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
        for (node, open) in self.touched.drain(..).rev() {
            self.opens[node] = open;
        }
        self.topology.end();
        self.owned.clear();
        self.claims.clear();
        self.order.clear();
        self.claim_versions.clear();
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
        let groups = Rc::new(Groups { own: activate(&wanted), shuns });
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
        Rc::new(Groups { own: Vec::new(), shuns: groups })
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
        if !class.volumes.unresolved && self.place_on_existing(pod, class, variant, groups) {
            return Ok(());
        }
        self.order.sort();
        if self.place_on_open_claim(pod, class, variant, groups) {
            return Ok(());
        }
        self.place_on_new_claim(pod, class, variant, groups)
    }

    fn place_on_existing(&mut self, pod: usize, class: &Class, variant: VariantId, groups: &Groups) -> bool {
        let problem = self.problem;
        let exempt = problem.records[pod].exempt;
        let stamp = self.stamp(variant, groups);
        for at in 0..self.nodes.len() {
            let index = self.nodes[at];
            let node = &problem.nodes[index];
            if self.rules.spares_young_nodes && node.young && !exempt {
                continue;
            }
            let version = self.opens[index].version;
            if self.verdicts.nodes(variant).fails(index, version, stamp) {
                continue;
            }
            let constraint = match self.fits_existing(index, class, variant, groups) {
                Ok(constraint) => constraint,
                Err(refusal) => {
                    self.verdicts.nodes(variant).note(index, version, stamp, refusal == Refusal::Lasting);
                    continue;
                }
            };
            self.touch(index);
            let open = &mut self.opens[index];
            open.constraint = constraint;
            open.version = self.next_version;
            self.next_version += 1;
            open.pods.push(pod);
            for (left, request) in open.remaining.iter_mut().zip(&class.requests) {
                *left -= request;
            }
            if class.ports != PortsId::NONE {
                open.ports.push(class.ports);
            }
            if !class.volumes.attached.is_empty() {
                open.attached.extend(class.volumes.attached.iter().cloned());
                open.attached.sort();
                open.attached.dedup();
            }
            let class_id = self.variants.get(variant).class;
            let host = (node.host.0, node.host_label);
            self.topology.record(
                problem,
                &mut self.algebra,
                class_id,
                &groups.shuns,
                node.taints,
                constraint,
                host,
            );
            return true;
        }
        false
    }

    fn touch(&mut self, node: usize) {
        if self.opens[node].pods.is_empty() {
            self.touched.push((node, self.opens[node].clone()));
        }
    }

    /// What a node of the cluster would be with the pod; refused if it cannot take it.
    fn fits_existing(
        &mut self,
        index: usize,
        class: &Class,
        variant: VariantId,
        groups: &Groups,
    ) -> Result<ConstraintId, Refusal> {
        let problem = self.problem;
        let node = &problem.nodes[index];
        let open = &self.opens[index];
        if !class.requests.iter().zip(&open.remaining).all(|(request, left)| request <= left && *left >= 0) {
            return Err(Refusal::Lasting);
        }
        let (asked, tolerations) = {
            let variant = self.variants.get(variant);
            (variant.asked, variant.tolerations)
        };
        if !problem.taints.tolerated(node.taints, tolerations)
            || exceeds_attach_limits(node, &open.attached, class)
            || open.ports.iter().any(|&ports| problem.pods.ports_conflict(ports, class.ports))
        {
            return Err(Refusal::Lasting);
        }
        let own = open.constraint;
        if !asked.met_by(own, node.host_label, Undefined::Denied, &mut self.algebra) {
            return Err(Refusal::Lasting);
        }
        let base = self.algebra.sum(own, asked.constraint);
        let host = (node.host.0, node.host_label);
        let mut last = Refusal::Lasting;
        let fits = self.with_alternatives(
            &class.volumes.alternatives,
            base,
            host,
            Undefined::Denied,
            |solver, constraint| match solver.narrow_by_topology(
                variant,
                groups,
                constraint,
                host,
                Undefined::Denied,
            ) {
                Ok(narrowed) => Some(narrowed),
                Err(refusal) => {
                    last = if class.volumes.alternatives.len() > 1 { Refusal::Passing } else { refusal };
                    None
                }
            },
        );
        fits.ok_or(last)
    }

    /// Tries each way in which the pod's volumes can be reached; without volumes, once.
    fn with_alternatives<T>(
        &mut self,
        alternatives: &[Asked],
        base: ConstraintId,
        host: (HostId, Host),
        undefined: Undefined,
        mut attempt: impl FnMut(&mut Self, ConstraintId) -> Option<T>,
    ) -> Option<T> {
        if alternatives.is_empty() {
            return attempt(self, base);
        }
        alternatives.iter().find_map(|alternative| {
            if !alternative.met_by(base, host.1, undefined, &mut self.algebra) {
                return None;
            }
            let constraint = self.algebra.sum(base, alternative.constraint);
            attempt(self, constraint)
        })
    }

    /// `node` narrowed to the domains that the pod's groups, and those that shun it, allow. Refused if they allow
    /// none.
    fn narrow_by_topology(
        &mut self,
        variant: VariantId,
        groups: &Groups,
        node: ConstraintId,
        host: (HostId, Host),
        undefined: Undefined,
    ) -> Result<ConstraintId, Refusal> {
        let problem = self.problem;
        let (class, strict) = {
            let variant = self.variants.get(variant);
            (variant.class, variant.strict)
        };
        let mut narrowed: SmallVec<[(KeyId, Requirement); 4]> = SmallVec::new();
        let repelling: SmallVec<[GroupId; 4]> =
            self.topology.repelling(problem, class).iter().copied().collect();
        for &group in groups.own.iter().chain(&repelling) {
            let key = self.topology.group(group).key;
            if key == problem.hostname {
                if !self.topology.allows_host(problem, &self.algebra, group, class, strict, host) {
                    return Err(Refusal::Passing);
                }
                continue;
            }
            let of_pod = self.algebra.of(strict.constraint, key);
            let of_node = self.algebra.of(node, key);
            let domains = self.topology.next_domains(problem, &self.algebra, group, class, of_pod, of_node);
            if domains.values.is_empty() {
                return Err(Refusal::Passing);
            }
            let integers = self.algebra.integers(key);
            if let Some((_, so_far)) = narrowed.iter_mut().find(|(known, _)| *known == key) {
                *so_far = domains.intersection(so_far, integers);
            } else {
                let both = of_node
                    .map_or_else(|| domains.clone(), |of_node| domains.intersection(of_node, integers));
                narrowed.push((key, both));
            }
        }
        let mut constraint = node;
        for (key, requirement) in narrowed {
            match self.algebra.of(node, key) {
                Some(existing) if !existing.reconciles(&requirement, self.algebra.integers(key)) => {
                    return Err(Refusal::Passing);
                }
                None if !requirement.allows_absence() && !self.may_be_undefined(key, undefined) => {
                    return Err(Refusal::Passing);
                }
                _ => {}
            }
            constraint = self.algebra.with(constraint, key, requirement);
        }
        Ok(constraint)
    }

    fn may_be_undefined(&self, key: KeyId, undefined: Undefined) -> bool {
        undefined == Undefined::WellKnownAllowed && self.algebra.is_well_known(key)
    }

    fn place_on_open_claim(
        &mut self,
        pod: usize,
        class: &Class,
        variant: VariantId,
        groups: &Groups,
    ) -> bool {
        let stamp = self.stamp(variant, groups);
        if self.all_refuse_still(class, variant, groups, stamp) {
            return false;
        }
        for place in 0..self.order.len() {
            let index = self.order.node(place);
            if self.is_too_full(index, class) {
                continue;
            }
            if self.verdicts.claims(variant).fails(index, self.claim_versions[index], stamp) {
                continue;
            }
            match self.fits_claim(&ClaimRef::Open(index), class, variant, groups, false) {
                Ok(placement) => {
                    self.order.raise(place);
                    self.commit(index, pod, class, variant, groups, placement);
                    return true;
                }
                Err(refusal) => {
                    let version = self.claim_versions[index];
                    self.verdicts.claims(variant).note(index, version, stamp, refusal == Refusal::Lasting);
                }
            }
        }
        self.verdicts.claims(variant).all_refused(stamp, self.changed_claims.len());
        false
    }

    /// Whether all nodes of the round have refused the like of the pod, and those that have changed since do so again.
    fn all_refuse_still(&mut self, class: &Class, variant: VariantId, groups: &Groups, stamp: u64) -> bool {
        let Some(since) = self.verdicts.claims(variant).all_refused_at(stamp) else { return false };
        for at in since..self.changed_claims.len() {
            let index = self.changed_claims[at] as usize;
            if self.is_too_full(index, class) {
                continue;
            }
            let version = self.claim_versions[index];
            if self.verdicts.claims(variant).fails(index, version, stamp) {
                continue;
            }
            match self.fits_claim(&ClaimRef::Open(index), class, variant, groups, false) {
                Ok(_) => return false,
                Err(refusal) => {
                    self.verdicts.claims(variant).note(index, version, stamp, refusal == Refusal::Lasting);
                }
            }
        }
        self.verdicts.claims(variant).all_refused(stamp, self.changed_claims.len());
        true
    }

    fn place_on_new_claim(
        &mut self,
        pod: usize,
        class: &Class,
        variant: VariantId,
        groups: &Groups,
    ) -> Result<(), Refusal> {
        let problem = self.problem;
        for (index, template) in problem.templates.iter().enumerate() {
            let Some(shapes) = self.within_limits(template.dynamic, template.table, &template.shapes) else {
                continue;
            };
            let claim = Claim {
                template: index,
                constraint: template.constraint,
                shapes,
                requests: SmallVec::from_elem(0, problem.resources.len()),
                pods: Vec::new(),
                ports: SmallVec::new(),
                reserved: SmallVec::new(),
                host: self.first_new_host + self.claims.len() as HostId,
            };
            let relaxes = problem.scenario.options.relaxes_min_values();
            match self.fits_claim(&ClaimRef::New(&claim), class, variant, groups, relaxes) {
                Ok(placement) => {
                    let at = self.claims.len();
                    self.claims.push(claim);
                    self.order.append(at);
                    self.claim_versions.push(0);
                    self.commit(at, pod, class, variant, groups, placement);
                    self.charge_limits(template.dynamic, template.table, at);
                    return Ok(());
                }
                // Reserved capacity of this NodePool is worth waiting for: no later one is tried.
                Err(Refusal::Reserved) => return Err(Refusal::Reserved),
                Err(_) => {}
            }
        }
        Err(Refusal::Passing)
    }

    /// The instance types that what is left of the pool's limits allows. `None`: none.
    fn within_limits(&self, pool: usize, table: usize, shapes: &ShapeSet) -> Option<ShapeSet> {
        let limits = &self.limits[pool];
        let mut left = shapes.clone();
        if limits.is_empty() {
            return Some(left);
        }
        let table = &self.problem.tables[table];
        for limit in limits {
            match limit.resource {
                None if limit.left <= 0 => return None,
                None => {}
                Some(resource) => {
                    for shape in shapes.iter() {
                        if table.types[table.shapes[shape].of].capacity[resource] > limit.left {
                            left.remove(shape);
                        }
                    }
                }
            }
        }
        (!left.is_empty()).then_some(left)
    }

    /// A new node counts against its pool's limits as the largest instance type that it can be.
    fn charge_limits(&mut self, pool: usize, table: usize, claim: usize) {
        let table = &self.problem.tables[table];
        for limit in &mut self.limits[pool] {
            let Some(resource) = limit.resource else { continue };
            let shapes = self.claims[claim].shapes.iter();
            let largest = shapes.map(|shape| table.types[table.shapes[shape].of].capacity[resource]).max();
            limit.left -= largest.unwrap_or(0);
        }
    }

    /// What a new node would be with the pod.
    fn fits_claim(
        &mut self,
        claim: &ClaimRef<'_>,
        class: &Class,
        variant: VariantId,
        groups: &Groups,
        relaxes_min_values: bool,
    ) -> Result<Placement, Refusal> {
        let problem = self.problem;
        let (asked, tolerations) = {
            let variant = self.variants.get(variant);
            (variant.asked, variant.tolerations)
        };
        let (template, own, host) = {
            let claim = claim.of(&self.claims);
            (&problem.templates[claim.template], claim.constraint, (claim.host, Host::Unnamed))
        };
        let undefined = Undefined::WellKnownAllowed;
        if !problem.taints.tolerated(template.taints, tolerations)
            || !asked.met_by(own, host.1, undefined, &mut self.algebra)
        {
            return Err(Refusal::Lasting);
        }
        let base = self.algebra.sum(own, asked.constraint);
        let mut last = Refusal::Lasting;
        let placement = self.with_alternatives(
            &class.volumes.alternatives,
            base,
            host,
            undefined,
            |solver, constraint| {
                let narrowed = match solver.narrow_by_topology(variant, groups, constraint, host, undefined) {
                    Ok(narrowed) => narrowed,
                    Err(refusal) => {
                        last = refusal;
                        return None;
                    }
                };
                match solver.choose_types(claim, class, narrowed, relaxes_min_values) {
                    Ok(placement) => Some(placement),
                    Err(Refusal::Lasting) if narrowed != constraint => {
                        last = Refusal::Passing;
                        None
                    }
                    Err(refusal) => {
                        last = refusal;
                        None
                    }
                }
            },
        );
        // With several ways to reach its volumes, the last refusal does not speak for all.
        placement.ok_or(if class.volumes.alternatives.len() > 1 && last == Refusal::Lasting {
            Refusal::Passing
        } else {
            last
        })
    }

    /// Whether the pod asks for more of a resource than the largest of the node's instance types has left. Found out
    /// without looking at types; most nodes that are tried are full.
    fn is_too_full(&self, index: usize, class: &Class) -> bool {
        let width = class.requests.len();
        let left = &self.most_left[index * width..(index + 1) * width];
        class.requests.iter().zip(left).any(|(request, left)| request > left)
    }

    /// Notes how much of each resource the largest of a node's instance types has left.
    fn note_most_left(&mut self, index: usize, shapes_changed: bool) {
        let claim = &self.claims[index];
        let table = &self.problem.tables[self.problem.templates[claim.template].table];
        let width = claim.requests.len();
        if self.most.len() <= index * width {
            self.most.resize((index + 1) * width, 0);
            self.most_left.resize((index + 1) * width, 0);
        }
        let range = index * width..(index + 1) * width;
        if shapes_changed {
            table.most(&claim.shapes, &mut self.most[range.clone()]);
        }
        for ((left, most), request) in
            self.most_left[range.clone()].iter_mut().zip(&self.most[range]).zip(&claim.requests)
        {
            *left = most - request;
        }
    }

    /// The instance types that remain, and the reservations that the node would hold.
    fn choose_types(
        &mut self,
        claim: &ClaimRef<'_>,
        class: &Class,
        mut constraint: ConstraintId,
        relaxes_min_values: bool,
    ) -> Result<Placement, Refusal> {
        let problem = self.problem;
        let template = &problem.templates[claim.of(&self.claims).template];
        let table = &problem.tables[template.table];
        let allowed = self.allowed(template.table, constraint);
        let claim = claim.of(&self.claims);
        let clashes = |theirs: PortsId| problem.pods.ports_conflict(theirs, class.ports);
        let shapes = if claim.ports.iter().any(|&ports| clashes(ports)) {
            ShapeSet::none(table.shapes.len())
        } else {
            let mut options = claim.shapes.clone();
            options.keep(&allowed);
            let requests: Amounts = claim.requests.iter().zip(&class.requests).map(|(a, b)| a + b).collect();
            template.fitting(table, &options, &requests, clashes)
        };
        if shapes.is_empty() {
            return Err(Refusal::Lasting);
        }
        for (key, count) in min_values::unmet(&self.algebra, table, &shapes, constraint) {
            if !relaxes_min_values {
                return Err(Refusal::Lasting);
            }
            if let Some(requirement) = self.algebra.of(constraint, key).cloned() {
                let lowered = Requirement { min_values: Some(count), ..requirement };
                constraint = self.algebra.with(constraint, key, lowered);
            }
        }
        let held = claim.reserved.clone();
        let reserved = self.reserve(template.table, &shapes, constraint, &held)?;
        Ok(Placement { constraint, shapes, reserved })
    }

    /// Reservations that a node could hold. Under strict rules it is refused if there are some but it gets none, or if
    /// it would lose the last that it holds.
    fn reserve(
        &mut self,
        table: usize,
        shapes: &ShapeSet,
        constraint: ConstraintId,
        held: &[ReservationId],
    ) -> Result<SmallVec<[ReservationId; 2]>, Refusal> {
        let mut reserved: SmallVec<[ReservationId; 2]> = SmallVec::new();
        if !self.problem.scenario.options.reserved_capacity() || self.reserved_offerings[table].is_empty() {
            return Ok(reserved);
        }
        let of_table = &self.problem.tables[table];
        let types = of_table.types_of(shapes);
        let mut compatible = false;
        for &(of, kind, reservation) in &self.reserved_offerings[table] {
            if types.binary_search(&of).is_err()
                || !self.algebra.compatible(constraint, of_table.kinds[kind], Undefined::WellKnownAllowed)
            {
                continue;
            }
            compatible = true;
            if held.contains(&reservation) || self.reservations_left[reservation.0 as usize] > 0 {
                reserved.push(reservation);
            }
        }
        reserved.sort_unstable();
        reserved.dedup();
        if self.rules.strict_reservations && reserved.is_empty() && (compatible || !held.is_empty()) {
            return Err(Refusal::Reserved);
        }
        Ok(reserved)
    }

    /// Puts the pod on a node of the round.
    fn commit(
        &mut self,
        at: usize,
        pod: usize,
        class: &Class,
        variant: VariantId,
        groups: &Groups,
        placement: Placement,
    ) {
        let problem = self.problem;
        let claim = &mut self.claims[at];
        claim.pods.push(pod);
        self.changed_claims.push(at as u32);
        self.claim_versions[at] = self.next_version;
        self.next_version += 1;
        claim.constraint = placement.constraint;
        let shapes_changed = claim.pods.len() == 1 || claim.shapes != placement.shapes;
        claim.shapes = placement.shapes;
        for (sum, request) in claim.requests.iter_mut().zip(&class.requests) {
            *sum += request;
        }
        if class.ports != PortsId::NONE {
            claim.ports.push(class.ports);
        }
        let before = std::mem::replace(&mut claim.reserved, placement.reserved);
        if claim.reserved != before {
            self.reservation_changes += 1;
        }
        for reservation in claim.reserved.iter().filter(|reservation| !before.contains(reservation)) {
            self.reservations_left[reservation.0 as usize] -= 1;
        }
        for reservation in before.iter().filter(|reservation| !claim.reserved.contains(reservation)) {
            self.reservations_left[reservation.0 as usize] += 1;
        }
        let taints = problem.templates[claim.template].taints;
        let host = (claim.host, Host::Unnamed);
        self.note_most_left(at, shapes_changed);
        let class_id = self.variants.get(variant).class;
        self.topology.record(
            problem,
            &mut self.algebra,
            class_id,
            &groups.shuns,
            taints,
            placement.constraint,
            host,
        );
    }

    /// What passing refusals of a variant depend on: it never takes the same value in two states. Left out are
    /// groups over hostnames (what they say of a node changes only when the node itself does, as long as the round lasts)
    /// and anti-affinity (a domain that is taken stays taken).
    fn stamp(&mut self, variant: VariantId, groups: &Groups) -> u64 {
        let class = self.variants.get(variant).class;
        let own = groups.own.iter().copied();
        let repelling: SmallVec<[GroupId; 4]> =
            self.topology.repelling(self.problem, class).iter().copied().collect();
        let mut stamp =
            (self.rounds << 44) + ((groups.own.len() as u64) << 36) + u64::from(self.reservation_changes);
        for group in own.chain(repelling) {
            let group = self.topology.group(group);
            if group.key != self.problem.hostname && group.kind != Kind::AntiAffinity {
                stamp += u64::from(group.version);
            }
        }
        stamp
    }

    /// The shapes that `constraint` allows and that are on offer.
    fn allowed(&mut self, table: usize, constraint: ConstraintId) -> Rc<ShapeSet> {
        if let Some(known) = self.allowed[table].get(&constraint) {
            return known.clone();
        }
        let of_table = &self.problem.tables[table];
        let mut shapes = of_table.compatible(&self.algebra, constraint);
        shapes.keep(&of_table.offered(&mut self.algebra, constraint));
        let shapes = Rc::new(shapes);
        self.allowed[table].insert(constraint, shapes.clone());
        shapes
    }
}

/// A node of the round, or one that would be.
enum ClaimRef<'c> {
    Open(usize),
    New(&'c Claim),
}

impl ClaimRef<'_> {
    fn of<'a>(&'a self, claims: &'a [Claim]) -> &'a Claim {
        match self {
            ClaimRef::Open(index) => &claims[*index],
            ClaimRef::New(claim) => claim,
        }
    }
}

fn takes(problem: &Problem<'_>, node: &crate::compile::nodes::StateNode) -> Option<(usize, Vec<i64>)> {
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

/// Whether the node could not attach the pod's volumes beside those it has.
fn exceeds_attach_limits(
    node: &crate::compile::nodes::StateNode,
    attached: &[(crate::api::meta::Str, crate::api::meta::Str)],
    class: &Class,
) -> bool {
    node.attach_limits.iter().any(|(driver, limit)| {
        let here = attached.iter().filter(|(of, _)| of == driver).count();
        let more = class
            .volumes
            .attached
            .iter()
            .filter(|one| one.0 == *driver && attached.binary_search(one).is_err());
        (here + more.count()) as i64 > *limit
    })
}
