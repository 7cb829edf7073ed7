//! Slots: what a node could be. New ones are an instance type with an offering of a NodePool; nodes of the cluster are
//! slots that can be used once.
//!
//! Offerings that are the same to all items are one slot, at the least price, and slots that another one is at least as
//! good as are left out: of a catalogue of hundreds of types some dozens remain.

use crate::bits::Bits;
use crate::model::existing_nodes::ExistingNodes;
use crate::model::items::{Item, Items};
use crate::money::nanos;
use karpsim::compile::ClusterState;
use karpsim::compile::asked::{Asked, Host};
use karpsim::compile::pools::Template;
use karpsim::compile::shapes::ShapeSet;
use karpsim::compile::types::ReservationId;
use karpsim::requirements::{Algebra, ConstraintId, KeyId, Requirement, Undefined, ValueId};
use rustc_hash::FxHashMap;

/// Where a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// A node to be launched.
    New {
        /// Its template.
        template: usize,
        /// Its shape, in the template's table.
        shape: usize,
        /// Its offering, among those of the type.
        offering: usize,
    },
    /// A node of the state.
    Existing {
        /// Which.
        node: usize,
    },
}

/// What a node could be.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Where it is.
    pub(crate) place: Place,
    /// What pods can have, over the items' resources.
    pub(crate) capacity: Vec<i64>,
    /// Nano-dollars an hour.
    pub(crate) price: i64,
    /// Its domain for each key of the model; `None`: it has none.
    pub(crate) domains: Vec<Option<ValueId>>,
    /// Labels that could be several things and are chosen to be this.
    pub(crate) chosen: Vec<(KeyId, ValueId)>,
    /// Items that a node of it can take, alone.
    pub(crate) allowed: Bits,
    /// What it takes from limits of NodePools: index of the limit and amount.
    pub(crate) takes: Vec<(usize, i64)>,
    /// The reservation that it uses up.
    pub(crate) reservation: Option<ReservationId>,
    /// Whether what items ask for must be looked at together.
    pub(crate) joint: bool,
    /// Whether the NodePool has `minValues` that must be met.
    pub(crate) min_values: bool,
    /// Whether pods that each may be on it, and have room together, always go together.
    pub(crate) settled: bool,
    /// Whether it is a node of the state that may go.
    pub(crate) may_go: bool,
    /// Whether it may be kept without pods.
    pub(crate) keeps_idle: bool,
}

impl Slot {
    /// Whether it is in all of these domains: index of the key and domain.
    pub(crate) fn is_in(&self, domains: &[(usize, ValueId)]) -> bool {
        domains.iter().all(|&(key, domain)| self.domains[key] == Some(domain))
    }
}

/// What is left of a limit of a NodePool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolLimit {
    /// Index among the dynamic pools.
    pub(crate) pool: usize,
    /// The resource.
    pub(crate) resource: usize,
    /// What is left.
    pub(crate) left: i64,
}

/// The slots of a problem.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots {
    /// Slots.
    pub(crate) slots: Vec<Slot>,
    /// Limits of NodePools.
    pub(crate) limits: Vec<PoolLimit>,
    /// Whether some NodePool limits the number of nodes.
    pub(crate) node_count_limits: bool,
}

/// What an item asks of a template, by alternative.
pub(crate) struct Fit {
    /// The template with what is asked.
    pub(crate) constraint: ConstraintId,
    /// The shapes that remain.
    pub(crate) shapes: ShapeSet,
    /// The kinds of offerings that remain.
    pub(crate) kinds: Vec<bool>,
}

/// What is left of the limits of all dynamic pools beside the nodes that stay. `None`: no node can be launched.
pub(crate) fn limits_left(problem: &ClusterState) -> Vec<Option<Vec<PoolLimit>>> {
    let mut left: Vec<Vec<karpsim::compile::Limit>> = problem.limits.clone();
    for &node in &problem.node_order {
        let node = &problem.nodes[node];
        let Some(name) = node.pool(&problem.api_nodes) else { continue };
        let Some(pool) = problem.dynamic.iter().position(|pool| pool.name == name) else { continue };
        for limit in &mut left[pool] {
            limit.left -= match limit.resource {
                None => 1,
                Some(resource) => {
                    let amount =
                        node.capacity.get(problem.resources.name(resource)).copied().unwrap_or_default();
                    problem.resources.count(resource, amount)
                }
            };
        }
    }
    left.into_iter()
        .enumerate()
        .map(|(pool, limits)| {
            let open = limits.iter().all(|limit| limit.resource.is_some() || limit.left > 0);
            open.then(|| {
                let of_resources = limits.iter().filter_map(|limit| Some((limit.resource?, limit.left)));
                of_resources.map(|(resource, left)| PoolLimit { pool, resource, left }).collect()
            })
        })
        .collect()
}

/// What `items` ask of `template`; `None` for alternatives that it cannot meet.
pub(crate) fn fits_of(
    problem: &ClusterState,
    algebra: &mut Algebra,
    template: &Template,
    items: &[Item],
) -> Vec<Vec<Option<std::rc::Rc<Fit>>>> {
    let table = &problem.tables[template.table];
    let mut known: FxHashMap<Asked, Option<std::rc::Rc<Fit>>> = FxHashMap::default();
    items
        .iter()
        .map(|item| {
            if !problem.taints.tolerated(template.taints, item.tolerations) {
                return vec![None; item.alternatives.len()];
            }
            let alternatives = item.alternatives.iter();
            alternatives
                .map(|&asked| {
                    known
                        .entry(asked)
                        .or_insert_with(|| {
                            let undefined = Undefined::WellKnownAllowed;
                            if !asked.met_by(template.constraint, Host::Unnamed, undefined, algebra) {
                                return None;
                            }
                            let constraint = algebra.sum(template.constraint, asked.constraint);
                            let mut shapes = table.compatible(algebra, constraint);
                            shapes.keep(&template.shapes);
                            let kinds = table.kinds.iter();
                            let kinds =
                                kinds.map(|kind| algebra.compatible(constraint, *kind, undefined)).collect();
                            Some(std::rc::Rc::new(Fit { constraint, shapes, kinds }))
                        })
                        .clone()
                })
                .collect()
        })
        .collect()
}

/// The slots of new nodes.
pub(crate) fn new_slots(
    problem: &ClusterState,
    algebra: &mut Algebra,
    items: &Items,
    keys: &[(KeyId, Vec<ValueId>)],
) -> Slots {
    let mut slots = Slots { node_count_limits: has_node_count_limits(problem), ..Slots::default() };
    let limits = limits_left(problem);
    for (index, template) in problem.templates.iter().enumerate() {
        let Some(limits) = &limits[template.dynamic] else { continue };
        let first_limit =
            slots.limits.iter().position(|limit| limit.pool == template.dynamic).unwrap_or_else(|| {
                slots.limits.extend(limits.iter().cloned());
                slots.limits.len() - limits.len()
            });
        let found = of_template(problem, algebra, items, keys, index, limits, first_limit);
        slots.slots.extend(found);
    }
    slots.slots = without_dominated(slots.slots, &items.items);
    slots
}

fn has_node_count_limits(problem: &ClusterState) -> bool {
    problem.limits.iter().flatten().any(|limit| limit.resource.is_none())
}

/// A domain of a slot for one key, and whether it is chosen among several.
type Choice = (Option<ValueId>, bool);

fn of_template(
    problem: &ClusterState,
    algebra: &mut Algebra,
    items: &Items,
    keys: &[(KeyId, Vec<ValueId>)],
    index: usize,
    limits: &[PoolLimit],
    first_limit: usize,
) -> Vec<Slot> {
    let template = &problem.templates[index];
    let table = &problem.tables[template.table];
    let fits = fits_of(problem, algebra, template, &items.items);
    let kinds = kind_groups(problem, algebra, template, &fits, keys);
    let offered: Vec<ShapeSet> =
        table.kinds.clone().iter().map(|kind| table.offered(algebra, *kind)).collect();
    let contested = contested_keys(algebra, items, &fits);
    let uses_reservations = problem.scenario.options.reserved_capacity();
    let min_values =
        algebra.has_min_values(template.constraint) && !problem.scenario.options.relaxes_min_values();
    let mut slots = Vec::new();
    for group in &template.groups {
        let mut shapes = group.shapes.clone();
        shapes.keep(&template.shapes);
        for shape in shapes.iter() {
            let of = table.shapes[shape].of;
            let it = &table.types[of];
            if limits.iter().any(|limit| it.capacity[limit.resource] > limit.left) {
                continue;
            }
            let allocatable = &table.shapes[shape].allocatable;
            let daemons = |resource: usize| group.dense.get(resource).copied().unwrap_or(0);
            let capacity: Vec<i64> =
                items.resources.iter().map(|&resource| allocatable[resource] - daemons(resource)).collect();
            // The daemons must fit too, also in what no pod asks for.
            let daemons_fit = (0..problem.resources.len())
                .all(|resource| daemons(resource) == 0 || allocatable[resource] >= daemons(resource));
            if !daemons_fit {
                continue;
            }
            let mut best: Vec<(usize, Option<ReservationId>, usize)> = Vec::new();
            for (offering, offer) in it.offerings.iter().enumerate() {
                let Some(kind_group) = kinds.group_of[offer.kind] else { continue };
                if !offer.available || !offered[offer.kind].has(shape) {
                    continue;
                }
                let reservation = offer.reservation.filter(|_| uses_reservations);
                if reservation.is_some_and(|reservation| problem.reservations[reservation.0 as usize] <= 0) {
                    continue;
                }
                match best.iter_mut().find(|known| (known.0, known.1) == (kind_group, reservation)) {
                    None => best.push((kind_group, reservation, offering)),
                    Some((_, _, known)) => {
                        let order = |at: usize| {
                            let offer = &it.offerings[at];
                            (nanos(offer.price), offer.capacity_type.clone(), offer.zone.clone())
                        };
                        if order(offering) < order(*known) {
                            *known = offering;
                        }
                    }
                }
            }
            for (_, reservation, offering) in best {
                let kind = it.offerings[offering].kind;
                let choices = domain_choices(algebra, template, it.constraint, table.kinds[kind], keys);
                for combination in combinations(&choices) {
                    let chosen: Vec<(KeyId, ValueId)> = combination
                        .iter()
                        .zip(keys)
                        .filter(|((_, chosen), _)| *chosen)
                        .filter_map(|((domain, _), (key, _))| Some((*key, (*domain)?)))
                        .collect();
                    let domains: Vec<Option<ValueId>> =
                        combination.iter().map(|(domain, _)| *domain).collect();
                    let ports = |item: &Item| {
                        group.ports.iter().any(|&ports| problem.pods.ports_conflict(ports, item.ports))
                    };
                    let allowed: Bits = items
                        .items
                        .iter()
                        .enumerate()
                        .filter(|(at, item)| {
                            !item.reach.closed_new
                                && item
                                    .requests
                                    .iter()
                                    .zip(&capacity)
                                    .all(|(need, have)| *need == 0 || need <= have)
                                && within_reach(item, &domains, keys)
                                && fits[*at].iter().flatten().any(|fit| {
                                    fit.shapes.has(shape)
                                        && fit.kinds[kind]
                                        && chosen
                                            .iter()
                                            .all(|(key, value)| allows(algebra, fit, *key, *value))
                                })
                                && !ports(item)
                        })
                        .map(|(at, _)| at)
                        .collect();
                    if allowed.is_empty() {
                        continue;
                    }
                    let settled = |key: KeyId| {
                        chosen.iter().any(|(known, _)| *known == key)
                            || [it.constraint, table.kinds[kind], template.constraint]
                                .iter()
                                .any(|&of| single(algebra.of(of, key)).is_some())
                    };
                    let joint = !contested.iter().all(|&key| settled(key));
                    slots.push(Slot {
                        place: Place::New { template: index, shape, offering },
                        capacity: capacity.clone(),
                        price: nanos(it.offerings[offering].price),
                        domains,
                        chosen,
                        allowed,
                        takes: limits
                            .iter()
                            .enumerate()
                            .map(|(at, limit)| (first_limit + at, it.capacity[limit.resource]))
                            .collect(),
                        reservation,
                        joint,
                        min_values,
                        settled: !joint && !min_values,
                        may_go: false,
                        keeps_idle: false,
                    });
                }
            }
        }
    }
    slots
}

fn allows(algebra: &Algebra, fit: &Fit, key: KeyId, value: ValueId) -> bool {
    algebra.of(fit.constraint, key).is_none_or(|wanted| wanted.has(value, algebra.integers(key)))
}

/// The one value that a requirement leaves.
fn single(requirement: Option<&Requirement>) -> Option<ValueId> {
    let requirement =
        requirement.filter(|requirement| !requirement.complement && requirement.values.len() == 1)?;
    requirement.values.iter().next()
}

/// Whether the domains of a slot are ones that topologies let the item go to.
fn within_reach(item: &Item, domains: &[Option<ValueId>], keys: &[(KeyId, Vec<ValueId>)]) -> bool {
    item.reach.domains.iter().all(|(key, list)| {
        keys.iter()
            .position(|(known, _)| known == key)
            .and_then(|at| domains[at])
            .is_some_and(|domain| list.contains(&domain))
    })
}

/// Kinds of offerings that are the same to all items.
struct KindGroups {
    /// The group of each kind; `None`: the template does not allow it.
    group_of: Vec<Option<usize>>,
}

fn kind_groups(
    problem: &ClusterState,
    algebra: &mut Algebra,
    template: &Template,
    fits: &[Vec<Option<std::rc::Rc<Fit>>>],
    keys: &[(KeyId, Vec<ValueId>)],
) -> KindGroups {
    let table = &problem.tables[template.table];
    let mut index: FxHashMap<(Vec<bool>, Vec<Option<Requirement>>), usize> = FxHashMap::default();
    let group_of = table
        .kinds
        .iter()
        .enumerate()
        .map(|(at, &kind)| {
            if !algebra.compatible(template.constraint, kind, Undefined::WellKnownAllowed) {
                return None;
            }
            let verdicts: Vec<bool> = fits.iter().flatten().flatten().map(|fit| fit.kinds[at]).collect();
            let domains = keys.iter().map(|(key, _)| algebra.of(kind, *key).cloned()).collect();
            let next = index.len();
            Some(*index.entry((verdicts, domains)).or_insert(next))
        })
        .collect();
    KindGroups { group_of }
}

/// Labels of which different items ask for different things.
fn contested_keys(algebra: &Algebra, items: &Items, fits: &[Vec<Option<std::rc::Rc<Fit>>>]) -> Vec<KeyId> {
    let mut seen: FxHashMap<KeyId, karpsim::requirements::RequirementId> = FxHashMap::default();
    let mut contested: Vec<KeyId> = Vec::new();
    for (item, fits) in items.items.iter().zip(fits) {
        for (asked, _) in item.alternatives.iter().zip(fits).filter(|(_, fit)| fit.is_some()) {
            for &(key, requirement) in algebra.requirements(asked.constraint) {
                let first = *seen.entry(key).or_insert(requirement);
                if first != requirement && !contested.contains(&key) {
                    contested.push(key);
                }
            }
        }
    }
    contested
}

/// For each key, the domains that a slot can be in.
fn domain_choices(
    algebra: &Algebra,
    template: &Template,
    of_type: ConstraintId,
    kind: ConstraintId,
    keys: &[(KeyId, Vec<ValueId>)],
) -> Vec<Vec<Choice>> {
    keys.iter()
        .map(|(key, known)| {
            let stated = [of_type, kind, template.constraint];
            let mut all: Option<Requirement> = None;
            for requirement in stated.iter().filter_map(|&of| algebra.of(of, *key)) {
                all = Some(match all {
                    None => requirement.clone(),
                    Some(so_far) => so_far.intersection(requirement, algebra.integers(*key)),
                });
            }
            if let Some(domain) = single(all.as_ref()) {
                return vec![(Some(domain), false)];
            }
            let mut choices: Vec<Choice> = vec![(None, false)];
            match all {
                Some(all) => {
                    let possible = known.iter().filter(|domain| all.has(**domain, algebra.integers(*key)));
                    choices.extend(possible.map(|domain| (Some(*domain), true)));
                }
                None if algebra.is_well_known(*key) => {
                    choices.extend(known.iter().map(|domain| (Some(*domain), true)));
                }
                None => {}
            }
            choices
        })
        .collect()
}

fn combinations(choices: &[Vec<Choice>]) -> Vec<Vec<Choice>> {
    let mut all: Vec<Vec<Choice>> = vec![Vec::new()];
    for list in choices {
        all = all
            .into_iter()
            .flat_map(|so_far| {
                list.iter().map(move |choice| {
                    let mut longer = so_far.clone();
                    longer.push(*choice);
                    longer
                })
            })
            .collect();
    }
    all
}

/// Leaves out slots that another one is at least as good as.
fn without_dominated(mut slots: Vec<Slot>, items: &[Item]) -> Vec<Slot> {
    type Group = (Vec<Option<ValueId>>, Vec<(KeyId, ValueId)>, Option<ReservationId>, usize);
    slots.sort_by_key(|slot| slot.price);
    let mut kept: FxHashMap<Group, Vec<usize>> = FxHashMap::default();
    let mut best: Vec<Slot> = Vec::new();
    for slot in slots {
        // No more than everything that it can take is of use.
        let useful: Vec<i64> = slot
            .capacity
            .iter()
            .enumerate()
            .map(|(resource, &have)| {
                let all = slot
                    .allowed
                    .iter()
                    .map(|item| items[item].requests[resource].saturating_mul(items[item].count));
                have.min(all.fold(0, i64::saturating_add))
            })
            .collect();
        let template = match slot.place {
            Place::New { template, .. } if slot.joint || slot.min_values => template,
            _ => usize::MAX,
        };
        let group = (slot.domains.clone(), slot.chosen.clone(), slot.reservation, template);
        let rivals = kept.entry(group).or_default();
        let dominated = rivals.iter().any(|&rival| {
            let rival = &best[rival];
            useful.iter().zip(&rival.capacity).all(|(useful, have)| useful <= have)
                && slot.allowed.is_within(&rival.allowed)
                && rival.takes.iter().all(|(limit, amount)| {
                    *amount
                        <= slot
                            .takes
                            .iter()
                            .find(|(known, _)| known == limit)
                            .map_or(0, |(_, amount)| *amount)
                })
        });
        if !dominated {
            rivals.push(best.len());
            best.push(slot);
        }
    }
    best
}

/// The slots of nodes of the cluster that stay.
pub(crate) fn existing_slots(
    problem: &ClusterState,
    algebra: &mut Algebra,
    items: &Items,
    keys: &[(KeyId, Vec<ValueId>)],
    nodes: &[usize],
    existing_nodes: &ExistingNodes,
) -> Vec<Slot> {
    let mut slots = Vec::new();
    for &index in nodes {
        let node = &problem.nodes[index];
        if node.remaining.iter().any(|&left| left < 0) {
            continue;
        }
        let capacity: Vec<i64> = items.resources.iter().map(|&resource| node.remaining[resource]).collect();
        let domains: Vec<Option<ValueId>> =
            keys.iter().map(|(key, _)| single(algebra.of(node.labels, *key))).collect();
        let allowed: Bits = items
            .items
            .iter()
            .enumerate()
            .filter(|(at, item)| {
                !item.unresolved
                    && !item.reach.closed_nodes.contains(&index)
                    && items.limits.iter().all(|limit| !limit.members.has(*at) || limit.on_node[index] > 0)
                    && item.requests.iter().zip(&capacity).all(|(need, have)| need <= have)
                    && problem.taints.tolerated(node.taints, item.tolerations)
                    && !node.ports.iter().any(|&ports| problem.pods.ports_conflict(ports, item.ports))
                    && within_reach(item, &domains, keys)
                    && attaches(problem, index, &[item])
                    && item
                        .alternatives
                        .iter()
                        .any(|asked| asked.met_by(node.labels, node.host_label, Undefined::Denied, algebra))
            })
            .map(|(at, _)| at)
            .collect();
        let may_go = existing_nodes.prices.contains_key(&index);
        if allowed.is_empty() && !may_go {
            continue;
        }
        slots.push(Slot {
            place: Place::Existing { node: index },
            capacity,
            price: existing_nodes.price(index),
            domains,
            chosen: Vec::new(),
            allowed,
            takes: Vec::new(),
            reservation: None,
            joint: false,
            min_values: false,
            settled: node.attach_limits.is_empty(),
            may_go,
            keeps_idle: existing_nodes.keeps_idle(index),
        });
    }
    slots
}

/// Whether a node of the state can attach the volumes of `items` beside those it has.
pub(crate) fn attaches(problem: &ClusterState, node: usize, items: &[&Item]) -> bool {
    let node = &problem.nodes[node];
    node.attach_limits.iter().all(|(driver, limit)| {
        let mut attached: Vec<_> = node.attached.iter().filter(|(of, _)| of == driver).collect();
        attached.extend(items.iter().flat_map(|item| &item.attached).filter(|(of, _)| of == driver));
        attached.sort();
        attached.dedup();
        attached.len() as i64 <= *limit
    })
}
