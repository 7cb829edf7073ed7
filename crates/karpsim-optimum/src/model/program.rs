//! The model: items, slots, and the rows that couple nodes.
//!
//! A [`Pattern`] is one node: a slot and how many pods of each item are on it. An answer is a number of nodes for each
//! pattern, such that all rows hold: every pod is placed once, limits of NodePools and reservations are kept, topologies
//! over zones too.

use crate::bits::Bits;
use crate::model::existing_nodes::ExistingNodes;
use crate::model::facts::{Fact, Facts, Relaxation};
use crate::model::items::{DomainAssignment, Items, items_of};
use crate::model::slots::{Place, Slot, Slots, attaches, existing_slots, new_slots};
use karpsim::compile::ClusterState;
use karpsim::compile::asked::Host;
use karpsim::compile::min_values;
use karpsim::requirements::{Algebra, ConstraintId, KeyId, Undefined, ValueId};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// One node: how many pods of each item are on a slot. Items ascend.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    /// The slot.
    pub(crate) slot: usize,
    /// Items and counts.
    pub(crate) counts: SmallVec<[(u32, u32); 6]>,
}

impl Pattern {
    /// How many pods of `item`.
    pub(crate) fn of(&self, item: usize) -> i64 {
        self.counts
            .iter()
            .find(|(known, _)| *known as usize == item)
            .map_or(0, |(_, count)| i64::from(*count))
    }

    /// How many pods of the items in `set`.
    pub(crate) fn of_set(&self, set: &Bits) -> i64 {
        let of_set = self.counts.iter().filter(|(item, _)| set.has(*item as usize));
        of_set.map(|(_, count)| i64::from(*count)).sum()
    }
}

/// What a row counts of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Counting {
    /// Pods of the item.
    Item(usize),
    /// What the slot takes from a limit of a NodePool.
    Limit {
        /// The limit.
        limit: usize,
        /// Brings amounts to the size of 1.
        scale: f64,
    },
    /// Uses of a reservation.
    Reservation(karpsim::compile::types::ReservationId),
    /// Pods of some items in one domain.
    InDomain {
        /// Index of the key.
        key: usize,
        /// The domain.
        domain: ValueId,
        /// Items.
        members: Bits,
    },
    /// Pods of the item on nodes in these domains: index of the key and domain.
    Assigned {
        /// The item.
        item: usize,
        /// The domains, one a key.
        domains: Vec<(usize, ValueId)>,
    },
    /// Nodes with any pod of some items.
    Having(Bits),
    /// Nodes of a set of slots with at least so many pods of each of these items.
    Nodes {
        /// Slots, sorted.
        slots: Vec<usize>,
        /// Items and counts.
        least: Vec<(usize, i64)>,
    },
    /// Uses of a node of the cluster.
    Node(usize),
    /// Pods that stay where they are.
    Staying,
    /// Nodes that stay, of those that may go.
    Kept,
    /// Pods of some items that have no place.
    Unplaced(Bits),
}

/// A row: what is counted, with auxiliary variables, against a bound.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What is counted.
    pub(crate) counting: Counting,
    /// An auxiliary variable and its factor.
    pub(crate) auxiliary: Option<(usize, f64)>,
    /// Whether the sum must be at least the bound, rather than at most.
    pub(crate) at_least: bool,
    /// The bound.
    pub(crate) bound: f64,
}

/// The model.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// Items.
    pub(crate) items: Items,
    /// Slots: new ones, then nodes of the cluster.
    pub(crate) slots: Vec<Slot>,
    /// How many of the slots are new.
    pub(crate) new_count: usize,
    /// Keys of topologies over other labels than the hostname, with their known domains.
    pub(crate) keys: Vec<(KeyId, Vec<ValueId>)>,
    /// Rows.
    pub(crate) rows: Vec<Row>,
    /// Upper bounds of auxiliary variables.
    pub(crate) auxiliaries: Vec<f64>,
    /// Items all of which must be in one domain: items, key, domains.
    pub(crate) one_domain: Vec<(Bits, usize, Vec<ValueId>)>,
    /// What is left out.
    pub(crate) relaxed: Vec<Relaxation>,
    /// For each slot the first that is the same but for its domains.
    pub(crate) twins: Vec<usize>,
}

impl Model {
    /// The model of placing `pods` on the nodes `nodes` of the state and new ones, as far as `facts` go.
    pub(crate) fn new(
        problem: &ClusterState,
        algebra: &mut Algebra,
        pods: &[usize],
        nodes: &[usize],
        facts: &Facts,
        assigned: &DomainAssignment,
        existing_nodes: &ExistingNodes,
    ) -> Self {
        let items = items_of(problem, algebra, pods, facts, assigned, existing_nodes);
        let keys = keys_of(facts, &items);
        let Slots { mut slots, limits, node_count_limits } = new_slots(problem, algebra, &items, &keys);
        let new_count = slots.len();
        slots.extend(existing_slots(problem, algebra, &items, &keys, nodes, existing_nodes));
        let twins = twins(&slots);
        let mut model = Model {
            twins,
            items,
            slots,
            new_count,
            keys,
            rows: Vec::new(),
            auxiliaries: Vec::new(),
            one_domain: Vec::new(),
            relaxed: facts.relaxed.clone(),
        };
        if node_count_limits {
            model.relaxed.push(Relaxation::NodeCountLimit);
        }
        if pods.iter().any(|&pod| {
            let class = &problem.pods.classes[problem.records[pod].class.0 as usize];
            class.volumes.unreachable
                && !(class.spread.is_empty() && class.affinity.is_empty() && class.anti_affinity.is_empty())
        }) {
            model.relaxed.push(Relaxation::UnreachableVolumes);
        }
        for item in 0..model.items.items.len() {
            let bound = model.items.items[item].count as f64;
            model.row(Counting::Item(item), None, true, bound);
        }
        model.sent_rows();
        for (at, limit) in limits.iter().enumerate() {
            if model.slots.iter().any(|slot| slot.takes.iter().any(|(of, amount)| *of == at && *amount > 0)) {
                let scale = 1.0 / limit.left.max(1) as f64;
                model.row(Counting::Limit { limit: at, scale }, None, false, limit.left as f64 * scale);
            }
        }
        for (at, &left) in problem.reservations.iter().enumerate() {
            let reservation = karpsim::compile::types::ReservationId(at as u32);
            if model.slots.iter().any(|slot| slot.reservation == Some(reservation)) {
                model.row(Counting::Reservation(reservation), None, false, left as f64);
            }
        }
        for slot in model.new_count..model.slots.len() {
            model.row(Counting::Node(slot), None, false, 1.0);
        }
        if let Some(most) = existing_nodes.evictions_max {
            let least = existing_nodes.homes.len().saturating_sub(most);
            model.row(Counting::Staying, None, true, least as f64);
        }
        if let Some(most) = existing_nodes.removals_max {
            let least = existing_nodes.prices.len().saturating_sub(most);
            model.row(Counting::Kept, None, true, least as f64);
        }
        for fact in &facts.facts {
            model.rows_of(fact);
        }
        model
    }

    fn row(&mut self, counting: Counting, auxiliary: Option<(usize, f64)>, at_least: bool, bound: f64) {
        self.rows.push(Row { counting, auxiliary, at_least, bound });
    }

    /// As many positions in each place as pods are assigned there, if some slot takes them.
    fn sent_rows(&mut self) {
        for item in 0..self.items.items.len() {
            let places: Vec<(Vec<(usize, ValueId)>, usize)> = self.items.items[item]
                .assigned
                .iter()
                .map(|(to, pods)| (self.places(to), pods.len()))
                .collect();
            for (domains, count) in places {
                let takes = |slot: &Slot| slot.allowed.has(item) && slot.is_in(&domains);
                if self.slots.iter().any(takes) {
                    self.row(Counting::Assigned { item, domains }, None, true, count as f64);
                }
            }
        }
    }

    /// A destination by the indexes of its keys.
    pub(crate) fn places(&self, to: &[(KeyId, ValueId)]) -> Vec<(usize, ValueId)> {
        to.iter().filter_map(|(key, domain)| Some((self.key(*key)?, *domain))).collect()
    }

    fn rows_of(&mut self, fact: &Fact) {
        match fact {
            Fact::NodeLimit { .. } | Fact::Conflict { .. } | Fact::Companion { .. } => {}
            Fact::OneNode { classes } => {
                let members = self.items.set(classes);
                if !members.is_empty() {
                    self.row(Counting::Having(members), None, false, 1.0);
                }
            }
            Fact::OnePerDomain { key, classes } => {
                let members = self.items.set(classes);
                let Some(at) = self.key(*key).filter(|_| !members.is_empty()) else { return };
                for domain in self.keys[at].1.clone() {
                    let counting = Counting::InDomain { key: at, domain, members: members.clone() };
                    self.row(counting, None, false, 1.0);
                }
            }
            Fact::OneDomain { key, classes, domains } => {
                let members = self.items.set(classes);
                if let Some(at) = self.key(*key).filter(|_| !members.is_empty()) {
                    self.one_domain.push((members, at, domains.clone()));
                }
            }
            Fact::Spread { key, max_skew, classes, selected, eligible, least_is_zero, there } => {
                let (members, selected) = (self.items.set(classes), self.items.set(selected));
                let Some(at) = self.key(*key).filter(|_| !members.is_empty()) else { return };
                self.spread(at, *max_skew, &members, &selected, eligible, *least_is_zero, there);
            }
        }
    }

    /// In each domain at most the least count of all, and the skew. What is there already may be more than that.
    #[allow(clippy::too_many_arguments)]
    fn spread(
        &mut self,
        key: usize,
        max_skew: i64,
        members: &Bits,
        selected: &Bits,
        eligible: &[ValueId],
        least_is_zero: bool,
        there: &[(ValueId, i64)],
    ) {
        let count_in =
            |domain: ValueId| there.iter().find(|(known, _)| *known == domain).map_or(0, |(_, count)| *count);
        let least_there = eligible.iter().map(|&domain| count_in(domain)).min().unwrap_or(0);
        let all: i64 = selected.iter().map(|item| self.items.items[item].count).sum();
        let (auxiliary, floor) = if least_is_zero || eligible.is_empty() {
            (None, 0)
        } else {
            // The least count beyond what is there.
            self.auxiliaries.push(all as f64);
            let auxiliary = self.auxiliaries.len() - 1;
            for &domain in eligible {
                let counting = Counting::InDomain { key, domain, members: selected.clone() };
                let bound = (least_there - count_in(domain)) as f64;
                self.row(counting, Some((auxiliary, -1.0)), true, bound);
            }
            (Some((auxiliary, -1.0)), least_there)
        };
        for &(domain, count) in there {
            let counting = Counting::InDomain { key, domain, members: members.clone() };
            let bound = (max_skew + floor - count).max(0) as f64;
            self.row(counting, auxiliary, false, bound);
        }
    }

    /// Items that some slot takes.
    pub(crate) fn possible(&self) -> Bits {
        (0..self.items.items.len())
            .filter(|item| self.slots.iter().any(|slot| slot.allowed.has(*item)))
            .collect()
    }

    /// A row by which at least so many pods of the items that some slot takes have no place.
    pub(crate) fn unplaced_row(&self, least: f64) -> Row {
        Row { counting: Counting::Unplaced(self.possible()), auxiliary: None, at_least: true, bound: least }
    }

    /// How many pods some slot takes.
    pub(crate) fn possible_pods(&self) -> usize {
        self.possible().iter().map(|item| self.items.items[item].pods.len()).sum()
    }

    /// The index of a key.
    pub(crate) fn key(&self, key: KeyId) -> Option<usize> {
        self.keys.iter().position(|(known, _)| *known == key)
    }

    /// What a row counts of a pattern.
    pub(crate) fn count(&self, counting: &Counting, pattern: &Pattern) -> f64 {
        let slot = &self.slots[pattern.slot];
        match counting {
            Counting::Item(item) => pattern.of(*item) as f64,
            Counting::Limit { limit, scale } => {
                let taken = slot.takes.iter().find(|(of, _)| of == limit);
                taken.map_or(0.0, |(_, amount)| *amount as f64 * scale)
            }
            Counting::Reservation(reservation) => f64::from(u8::from(slot.reservation == Some(*reservation))),
            Counting::InDomain { key, domain, members } => {
                if slot.domains[*key] == Some(*domain) {
                    pattern.of_set(members) as f64
                } else {
                    0.0
                }
            }
            Counting::Assigned { item, domains } => {
                if slot.is_in(domains) {
                    pattern.of(*item) as f64
                } else {
                    0.0
                }
            }
            Counting::Having(members) => f64::from(u8::from(pattern.of_set(members) > 0)),
            Counting::Nodes { slots, least } => f64::from(u8::from(
                slots.binary_search(&pattern.slot).is_ok()
                    && least.iter().all(|(item, count)| pattern.of(*item) >= *count),
            )),
            Counting::Node(slot) => f64::from(u8::from(*slot == pattern.slot)),
            Counting::Staying => {
                let Place::Existing { node } = slot.place else { return 0.0 };
                let own = |item: usize| self.items.items[item].home == Some(node);
                let staying = pattern.counts.iter().filter(|(item, _)| own(*item as usize));
                staying.map(|(_, count)| f64::from(*count)).sum()
            }
            Counting::Kept => f64::from(u8::from(slot.may_go)),
            Counting::Unplaced(_) => 0.0,
        }
    }

    /// Whether the pods of a pattern can be on one node of its slot: everything that concerns the node alone.
    pub(crate) fn holds(&self, problem: &ClusterState, algebra: &mut Algebra, pattern: &Pattern) -> bool {
        let slot = &self.slots[pattern.slot];
        let counts = || pattern.counts.iter().map(|(item, count)| (*item as usize, i64::from(*count)));
        let fits = self.items.resources.iter().enumerate().all(|(resource, _)| {
            let need: i64 =
                counts().map(|(item, count)| self.items.items[item].requests[resource] * count).sum();
            need == 0 || need <= slot.capacity[resource]
        });
        fits && counts().all(|(item, _)| slot.allowed.has(item))
            && self.keeps_company(pattern)
            && self.keeps_together(problem, algebra, pattern)
    }

    /// Node limits, conflicts and companions.
    pub(crate) fn keeps_company(&self, pattern: &Pattern) -> bool {
        let node = match self.slots[pattern.slot].place {
            Place::New { .. } => None,
            Place::Existing { node } => Some(node),
        };
        let limits = self.items.limits.iter().all(|limit| {
            let most = node.map_or(limit.on_new, |node| limit.on_node[node]);
            pattern.of_set(&limit.members) <= most
        });
        let conflicts = || {
            pattern.counts.iter().all(|&(item, count)| {
                let conflicts = &self.items.conflicts[item as usize];
                pattern
                    .counts
                    .iter()
                    .all(|&(other, _)| !conflicts.has(other as usize) || (other == item && count == 1))
            })
        };
        let companions = || {
            self.items.companions.iter().all(|companion| {
                pattern.of_set(&companion.owners) == 0
                    || node.is_some_and(|node| companion.met_on[node])
                    || pattern.of_set(&companion.others) > 0
            })
        };
        limits && conflicts() && companions()
    }

    /// Whether what the pods ask for goes together, volumes can be attached, and `minValues` are met.
    pub(crate) fn keeps_together(
        &self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        pattern: &Pattern,
    ) -> bool {
        let slot = &self.slots[pattern.slot];
        match slot.place {
            Place::Existing { node } => {
                let items: Vec<_> =
                    pattern.counts.iter().map(|(item, _)| &self.items.items[*item as usize]).collect();
                attaches(problem, node, &items)
            }
            Place::New { .. } if !slot.joint && !slot.min_values => true,
            Place::New { .. } => self.constraint(problem, algebra, pattern).is_some(),
        }
    }

    /// What a new node of the pattern is asked to be: the template with what its pods ask for. `None`: that does not go
    /// together.
    pub(crate) fn constraint(
        &self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        pattern: &Pattern,
    ) -> Option<ConstraintId> {
        let slot = &self.slots[pattern.slot];
        let Place::New { template, .. } = slot.place else { return None };
        let mut constraint = problem.templates[template].constraint;
        for &(key, value) in &slot.chosen {
            let chosen = algebra.constraint([(key, karpsim::requirements::Requirement::any_of([value]))]);
            constraint = algebra.sum(constraint, chosen);
        }
        self.extend(problem, algebra, pattern, constraint, 0)
    }

    fn extend(
        &self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        pattern: &Pattern,
        constraint: ConstraintId,
        from: usize,
    ) -> Option<ConstraintId> {
        let slot = &self.slots[pattern.slot];
        let Place::New { template, shape, offering } = slot.place else { return None };
        let table = &problem.tables[problem.templates[template].table];
        let Some(&(item, _)) = pattern.counts.get(from) else {
            let it = &table.types[table.shapes[shape].of];
            let shapes = table.compatible(algebra, constraint);
            let kind = table.kinds[it.offerings[offering].kind];
            let possible = shapes.has(shape)
                && algebra.compatible(constraint, kind, Undefined::WellKnownAllowed)
                && (!slot.min_values || self.meets_min_values(problem, algebra, pattern, constraint));
            return possible.then_some(constraint);
        };
        for asked in &self.items.items[item as usize].alternatives {
            if asked.met_by(constraint, Host::Unnamed, Undefined::WellKnownAllowed, algebra) {
                let both = algebra.sum(constraint, asked.constraint);
                if let Some(found) = self.extend(problem, algebra, pattern, both, from + 1) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn meets_min_values(
        &self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        pattern: &Pattern,
        constraint: ConstraintId,
    ) -> bool {
        let Place::New { template, .. } = self.slots[pattern.slot].place else { return true };
        let fitting = self.fitting(problem, algebra, pattern, constraint);
        let table = &problem.tables[problem.templates[template].table];
        min_values::unmet(algebra, table, &fitting, constraint).is_empty()
    }

    /// The shapes that could take the pods of a pattern, under `constraint`.
    pub(crate) fn fitting(
        &self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        pattern: &Pattern,
        constraint: ConstraintId,
    ) -> karpsim::compile::shapes::ShapeSet {
        let Place::New { template, .. } = self.slots[pattern.slot].place else { return Default::default() };
        let template = &problem.templates[template];
        let table = &problem.tables[template.table];
        let mut options = table.compatible(algebra, constraint);
        options.keep(&table.offered(algebra, constraint));
        options.keep(&template.shapes);
        let requests = self.requests(problem, pattern);
        template.fitting(table, &options, &requests, |theirs| {
            pattern
                .counts
                .iter()
                .any(|(item, _)| problem.pods.ports_conflict(theirs, self.items.items[*item as usize].ports))
        })
    }

    /// What the pods of a pattern reserve, over all resources of the problem.
    pub(crate) fn requests(
        &self,
        problem: &ClusterState,
        pattern: &Pattern,
    ) -> karpsim::compile::resources::Amounts {
        let mut requests = SmallVec::from_elem(0, problem.resources.len());
        for &(item, count) in &pattern.counts {
            let item = &self.items.items[item as usize];
            for (&resource, amount) in self.items.resources.iter().zip(&item.requests) {
                requests[resource] += amount * i64::from(count);
            }
        }
        requests
    }
}

/// For each slot the first that is the same but for its domains.
fn twins(slots: &[Slot]) -> Vec<usize> {
    let mut known: FxHashMap<(usize, usize, i64), Vec<usize>> = FxHashMap::default();
    slots
        .iter()
        .enumerate()
        .map(|(at, slot)| {
            let Place::New { template, shape, .. } = slot.place else { return at };
            if !slot.settled || slot.reservation.is_some() {
                return at;
            }
            let alike = known.entry((template, shape, slot.price)).or_default();
            let twin = alike.iter().copied().find(|&other: &usize| slots[other].allowed == slot.allowed);
            twin.unwrap_or_else(|| {
                alike.push(at);
                at
            })
        })
        .collect()
}

/// The labels, other than the hostname, that facts are about, with all domains that they know.
fn keys_of(facts: &Facts, items: &Items) -> Vec<(KeyId, Vec<ValueId>)> {
    let mut keys: Vec<(KeyId, Vec<ValueId>)> = Vec::new();
    let mut add = |key: KeyId, domains: &mut dyn Iterator<Item = ValueId>| {
        let at = keys.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            keys.push((key, Vec::new()));
            keys.len() - 1
        });
        for domain in domains {
            if !keys[at].1.contains(&domain) {
                keys[at].1.push(domain);
            }
        }
    };
    for item in &items.items {
        for (key, domains) in &item.reach.domains {
            add(*key, &mut domains.iter().copied());
        }
    }
    for (destination, _) in items.items.iter().flat_map(|item| &item.assigned) {
        for &(key, domain) in destination {
            add(key, &mut std::iter::once(domain));
        }
    }
    for fact in &facts.facts {
        match fact {
            Fact::Spread { key, eligible, there, .. } => {
                add(*key, &mut eligible.iter().copied());
                add(*key, &mut there.iter().map(|(domain, _)| *domain));
            }
            Fact::OneDomain { key, domains, .. } => add(*key, &mut domains.iter().copied()),
            Fact::OnePerDomain { key, .. } => add(*key, &mut std::iter::empty()),
            Fact::NodeLimit { .. }
            | Fact::Conflict { .. }
            | Fact::Companion { .. }
            | Fact::OneNode { .. } => {}
        }
    }
    keys.sort_by_key(|(key, _)| *key);
    for (_, domains) in &mut keys {
        domains.sort_unstable();
    }
    keys
}
