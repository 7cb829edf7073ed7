//! Instance types, compiled: which of them a constraint allows, which have room.
//!
//! The unit is a [`Shape`]: an instance type with one allocatable. Most types have one; a type whose offerings override
//! capacity or overhead has one for each override, and is an option as long as one of them is.

use super::resources::{Amounts, Resources};
use super::shapes::ShapeSet;
use crate::catalogue::{InstanceType, Overhead};
use crate::kubernetes::labels::{self};
use crate::kubernetes::requests::{RawAmounts, add, raw};
use crate::label_rules::LabelRules;
use crate::model::core::NodeSelectorRequirement;
use crate::model::meta::{Operator, Str};
use crate::quantity::Quantity;
use crate::requirements::{Algebra, ConstraintId, KeyId, RequirementId, Undefined};
use crate::version::Rules;
use rustc_hash::FxHashMap;

/// An instance type with one allocatable.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Index of the type.
    pub of: usize,
    /// What pods and daemons can have.
    pub allocatable: Amounts,
}

/// A capacity reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReservationId(pub u32);

/// An offering, compiled.
#[derive(Debug, Clone)]
pub struct Offering {
    /// Index into [`TypeTable::kinds`]: offerings with equal requirements are of one kind.
    pub kind: usize,
    /// Dollars an hour.
    pub price: f64,
    /// Whether it is on offer.
    pub available: bool,
    /// Whether a node can be launched from it now: it is on offer, and its reservation, if it has one, is not full.
    pub launchable: bool,
    /// Its reservation, if its capacity type is reserved.
    pub reservation: Option<ReservationId>,
    /// The name of that.
    pub reservation_name: Str,
    /// How many instances that has left.
    pub reservation_capacity: i64,
    /// Capacity type; empty if it has none.
    pub capacity_type: Str,
    /// Zone; empty if it has none.
    pub zone: Str,
}

/// An instance type, compiled.
#[derive(Debug, Clone)]
pub struct Type {
    /// Name.
    pub name: Str,
    /// Its place when the table is sorted by name.
    pub rank: u32,
    /// What its labels are, or can be.
    pub constraint: ConstraintId,
    /// All it has, for limits.
    pub capacity: Amounts,
    /// Offerings, in the catalogue's order.
    pub offerings: Vec<Offering>,
    /// How many volumes of a driver its nodes can attach, as far as that is known before there is one.
    pub attach_limits: Vec<(Str, i64)>,
}

/// The instance types that a NodePool is offered.
#[derive(Debug, Clone)]
pub struct TypeTable {
    /// The rules of Karpenter's version.
    pub rules: &'static Rules,
    /// Types, in the catalogue's order.
    pub types: Vec<Type>,
    by_name: FxHashMap<Str, usize>,
    /// Shapes, in order of their types.
    pub shapes: Vec<Shape>,
    /// Distinct requirements of offerings.
    pub kinds: Vec<ConstraintId>,
    /// For each kind, the shapes with an available offering of it.
    available: Vec<ShapeSet>,
    /// For each key, the shapes by what they say of it; shapes that say nothing are in no group.
    columns: FxHashMap<KeyId, Vec<(RequirementId, ShapeSet)>>,
    /// For each resource, its distinct allocatables ascending and the shapes that have at least so much.
    at_least: Vec<Vec<(i64, ShapeSet)>>,
    /// Shapes none of whose allocatables is negative.
    sound: ShapeSet,
    /// Some type has a limit of volumes.
    limits_volumes: bool,
}

/// An instance type before the units of resources are known.
#[derive(Debug, Clone)]
pub struct RawType {
    name: Str,
    constraint: ConstraintId,
    capacity: RawAmounts,
    pub(super) shapes: Vec<RawAmounts>,
    offerings: Vec<(Offering, usize)>,
    attach_limits: Vec<(Str, i64)>,
}

/// Compiles the requirements of types and offerings, each only once: a catalogue repeats itself.
pub struct Reader<'a> {
    rules: &'a LabelRules,
    karpenter: &'static Rules,
    expressions: FxHashMap<&'a NodeSelectorRequirement, (KeyId, RequirementId)>,
    lists: FxHashMap<&'a [NodeSelectorRequirement], ConstraintId>,
}

impl<'a> Reader<'a> {
    /// A reader that normalises keys by `rules`.
    pub fn new(rules: &'a LabelRules, karpenter: &'static Rules) -> Self {
        Reader { rules, karpenter, expressions: FxHashMap::default(), lists: FxHashMap::default() }
    }

    /// The constraint of a type's expressions.
    pub fn of_type(
        &mut self,
        algebra: &mut Algebra,
        expressions: &'a [NodeSelectorRequirement],
    ) -> ConstraintId {
        let compiled = expressions
            .iter()
            .map(|expression| {
                if let Some(known) = self.expressions.get(expression) {
                    *known
                } else {
                    let compiled = compile_expression(algebra, self.rules, expression);
                    self.expressions.insert(expression, compiled);
                    compiled
                }
            })
            .collect();
        algebra.constraint_of(compiled)
    }

    /// The constraint of an offering's expressions: few lists are distinct.
    pub fn of_offering(
        &mut self,
        algebra: &mut Algebra,
        expressions: &'a [NodeSelectorRequirement],
    ) -> ConstraintId {
        if let Some(&known) = self.lists.get(expressions) {
            return known;
        }
        let constraint = self.of_type(algebra, expressions);
        self.lists.insert(expressions, constraint);
        constraint
    }
}

fn compile_expression(
    algebra: &mut Algebra,
    rules: &LabelRules,
    expression: &NodeSelectorRequirement,
) -> (KeyId, RequirementId) {
    let key = algebra.key(rules.normalize(&expression.key), |name| rules.is_well_known(name));
    let operator = expression.operator.unwrap_or(Operator::Exists);
    let requirement = algebra.requirement(key, operator, &expression.values, None);
    (key, algebra.intern(requirement))
}

/// Compiles a list of expressions. Keys are normalised.
pub fn constraint_of(
    algebra: &mut Algebra,
    rules: &LabelRules,
    expressions: &[NodeSelectorRequirement],
) -> ConstraintId {
    let compiled =
        expressions.iter().map(|expression| compile_expression(algebra, rules, expression)).collect();
    algebra.constraint_of(compiled)
}

/// Everything that is kept from a capacity.
pub(crate) fn total(overhead: &Overhead) -> RawAmounts {
    let mut total = raw(&overhead.kube_reserved);
    add(&mut total, &raw(&overhead.system_reserved));
    add(&mut total, &raw(&overhead.eviction_threshold));
    total
}

/// Capacity less overhead, memory less what huge pages hold. Only resources of the capacity count.
pub(crate) fn allocatable(capacity: &RawAmounts, overhead: &RawAmounts) -> RawAmounts {
    let mut left = RawAmounts::new();
    for (name, quantity) in capacity {
        left.insert(name.clone(), *quantity - overhead.get(name).copied().unwrap_or_default());
    }
    for (name, quantity) in capacity {
        if name.starts_with("hugepages-") {
            let memory = left.entry("memory".into()).or_default();
            *memory = (*memory - *quantity).max(Quantity::ZERO);
        }
    }
    left
}

/// Amounts of `own` in the place of those of `amounts`.
fn replace(amounts: &mut RawAmounts, own: &RawAmounts) {
    amounts.extend(own.iter().map(|(name, quantity)| (name.clone(), *quantity)));
}

/// Compiles `it`, noting its amounts. `capacity` is after overlays; `prices` are what overlays make of each offering's.
pub fn compile_type<'a>(
    algebra: &mut Algebra,
    reader: &mut Reader<'a>,
    resources: &mut Resources,
    reservations: &mut FxHashMap<Str, ReservationId>,
    it: &'a InstanceType,
    capacity: RawAmounts,
    prices: &[Option<f64>],
) -> RawType {
    let (rules, karpenter) = (reader.rules, reader.karpenter);
    let constraint = reader.of_type(algebra, &it.requirements);
    let overhead = total(&it.overhead);
    let mut overrides: Vec<(&crate::model::core::ResourceList, Option<&Overhead>)> = Vec::new();
    let mut shapes = vec![allocatable(&capacity, &overhead)];
    let mut offerings = Vec::with_capacity(it.offerings.len());
    for (offering, changed_price) in it.offerings.iter().zip(prices) {
        let own = (&offering.capacity_override, offering.overhead_override.as_ref());
        // An offering with an overlay's price is made anew from requirements, price and availability: its override is lost.
        let shape = if changed_price.is_some() || (own.0.is_empty() && own.1.is_none()) {
            0
        } else if let Some(at) = overrides.iter().position(|known| *known == own) {
            at + 1
        } else {
            let combine = if karpenter.offering_overrides_replace { replace } else { add };
            let mut own_capacity = capacity.clone();
            combine(&mut own_capacity, &raw(own.0));
            let mut kept = overhead.clone();
            if let Some(own) = own.1 {
                combine(&mut kept, &total(own));
            }
            shapes.push(allocatable(&own_capacity, &kept));
            overrides.push(own);
            overrides.len()
        };
        let label = |key: &str| -> Str {
            let found =
                offering.requirements.iter().find(|requirement| rules.normalize(&requirement.key) == key);
            found.and_then(|requirement| requirement.values.first().cloned()).unwrap_or_default()
        };
        let capacity_type = label(labels::CAPACITY_TYPE);
        let reservation = (capacity_type == labels::RESERVED).then(|| {
            let next = ReservationId(reservations.len() as u32);
            *reservations.entry(label(rules.reservation_id())).or_insert(next)
        });
        let compiled = Offering {
            kind: reader.of_offering(algebra, &offering.requirements).0 as usize,
            price: changed_price.unwrap_or(offering.price.0),
            available: offering.available,
            launchable: offering.available
                && (reservation.is_none()
                    || !karpenter.full_reservations_fall_back
                    || offering.reservation_capacity > 0),
            reservation,
            reservation_name: if reservation.is_some() {
                label(rules.reservation_id())
            } else {
                Str::default()
            },
            reservation_capacity: offering.reservation_capacity,
            capacity_type,
            zone: label(labels::ZONE),
        };
        offerings.push((compiled, shape));
    }
    resources.note(&capacity);
    for shape in &shapes {
        resources.note(shape);
    }
    let mut attach_limits = Vec::new();
    if karpenter.instance_types_limit_volumes {
        attach_limits
            .extend(it.volume_attachment_limits.0.iter().map(|(driver, limit)| (driver.clone(), *limit)));
    }
    RawType { name: it.name.clone(), constraint, capacity, shapes, offerings, attach_limits }
}

impl TypeTable {
    /// The table of `types`, in the units of `resources`.
    pub fn new(rules: &'static Rules, algebra: &Algebra, resources: &Resources, types: &[RawType]) -> Self {
        let count = types.iter().map(|it| it.shapes.len()).sum();
        let mut table = TypeTable {
            rules,
            types: Vec::with_capacity(types.len()),
            by_name: FxHashMap::default(),
            shapes: Vec::with_capacity(count),
            kinds: Vec::new(),
            available: Vec::new(),
            columns: FxHashMap::default(),
            at_least: Vec::new(),
            sound: ShapeSet::none(count),
            limits_volumes: types.iter().any(|it| !it.attach_limits.is_empty()),
        };
        for raw in types {
            let of = table.types.len();
            let first = table.shapes.len();
            table.by_name.entry(raw.name.clone()).or_insert(of);
            for allocatable in &raw.shapes {
                table.shapes.push(Shape { of, allocatable: resources.dense(allocatable) });
            }
            let mut offerings = Vec::with_capacity(raw.offerings.len());
            for (offering, shape) in &raw.offerings {
                let mut offering = offering.clone();
                let constraint = ConstraintId(offering.kind as u32);
                offering.kind =
                    table.kinds.iter().position(|kind| *kind == constraint).unwrap_or_else(|| {
                        table.kinds.push(constraint);
                        table.available.push(ShapeSet::none(count));
                        table.kinds.len() - 1
                    });
                if offering.available {
                    table.available[offering.kind].insert(first + shape);
                }
                offerings.push(offering);
            }
            for &(key, requirement) in algebra.requirements(raw.constraint) {
                let column = table.columns.entry(key).or_default();
                let at = column.iter().position(|(known, _)| *known == requirement).unwrap_or_else(|| {
                    column.push((requirement, ShapeSet::none(count)));
                    column.len() - 1
                });
                for shape in first..table.shapes.len() {
                    column[at].1.insert(shape);
                }
            }
            table.types.push(Type {
                name: raw.name.clone(),
                rank: 0,
                constraint: raw.constraint,
                capacity: resources.dense(&raw.capacity),
                offerings,
                attach_limits: raw.attach_limits.clone(),
            });
        }
        let mut by_name: Vec<&mut Type> = table.types.iter_mut().collect();
        by_name.sort_by(|a, b| a.name.cmp(&b.name));
        for (rank, it) in (0..).zip(by_name) {
            it.rank = rank;
        }
        for (index, shape) in table.shapes.iter().enumerate() {
            if shape.allocatable.iter().all(|&amount| amount >= 0) {
                table.sound.insert(index);
            }
        }
        table.at_least = (0..resources.len()).map(|resource| table.thresholds(resource)).collect();
        table
    }

    fn thresholds(&self, resource: usize) -> Vec<(i64, ShapeSet)> {
        let mut by_amount: Vec<(i64, usize)> = self
            .shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| (shape.allocatable[resource], index))
            .collect();
        by_amount.sort_unstable_by(|a, b| b.cmp(a));
        let mut thresholds: Vec<(i64, ShapeSet)> = Vec::new();
        let mut so_far = ShapeSet::none(self.shapes.len());
        for (amount, shape) in by_amount {
            so_far.insert(shape);
            match thresholds.last_mut() {
                Some((last, set)) if *last == amount => set.insert(shape),
                _ => thresholds.push((amount, so_far.clone())),
            }
        }
        thresholds.reverse();
        thresholds
    }

    /// All shapes.
    pub fn all(&self) -> ShapeSet {
        ShapeSet::all(self.shapes.len())
    }

    /// Leaves in `set` the shapes that have room for `requests`.
    pub fn keep_fitting(&self, set: &mut ShapeSet, requests: &Amounts) {
        set.keep(&self.sound);
        for (resource, &amount) in requests.iter().enumerate() {
            if amount > 0 {
                let thresholds = &self.at_least[resource];
                match thresholds.get(thresholds.partition_point(|(least, _)| *least < amount)) {
                    Some((_, enough)) => set.keep(enough),
                    None => *set = ShapeSet::none(self.shapes.len()),
                }
            }
        }
    }

    /// Leaves in `set` the shapes that can attach all volumes of `attached`, which are sorted by driver.
    pub fn keep_attaching(&self, set: &mut ShapeSet, attached: &[(Str, Str)]) {
        if !self.limits_volumes {
            return;
        }
        for volumes in attached.chunk_by(|a, b| a.0 == b.0) {
            let (driver, count) = (&volumes[0].0, volumes.len() as i64);
            for (shape, Shape { of, .. }) in self.shapes.iter().enumerate() {
                let limits = &self.types[*of].attach_limits;
                if limits.iter().any(|(limited, limit)| limited == driver && count > *limit) {
                    set.remove(shape);
                }
            }
        }
    }

    /// The greatest allocatable of each resource among `shapes`.
    pub fn most(&self, shapes: &ShapeSet, most: &mut [i64]) {
        for (most, thresholds) in most.iter_mut().zip(&self.at_least) {
            let greatest = thresholds.iter().rev().find(|(_, enough)| enough.meets(shapes));
            *most = greatest.map_or(0, |(amount, _)| *amount);
        }
    }

    /// The shapes whose labels can be reconciled with `constraint`.
    pub fn compatible(&self, algebra: &Algebra, constraint: ConstraintId) -> ShapeSet {
        let mut set = self.all();
        for &(key, asked) in algebra.requirements(constraint) {
            let Some(column) = self.columns.get(&key) else { continue };
            for (existing, shapes) in column {
                if !algebra.get(*existing).reconciles(algebra.get(asked), algebra.integers(key)) {
                    for shape in shapes.iter() {
                        set.remove(shape);
                    }
                }
            }
        }
        set
    }

    /// The shapes with an available offering that `constraint` allows.
    pub fn offered(&self, algebra: &mut Algebra, constraint: ConstraintId) -> ShapeSet {
        let mut set = ShapeSet::none(self.shapes.len());
        for (kind, available) in self.kinds.iter().zip(&self.available) {
            if algebra.compatible(constraint, *kind, Undefined::WellKnownAllowed) {
                set.add(available);
            }
        }
        set
    }

    /// The distinct requirements of types on `key`; `None` if there are types without one.
    pub fn requirements_on(&self, key: KeyId) -> Vec<Option<RequirementId>> {
        let column = self.columns.get(&key).map_or(&[][..], Vec::as_slice);
        let stated: usize = column.iter().map(|(_, shapes)| shapes.len()).sum();
        let silent = (stated < self.shapes.len()).then_some(None);
        column.iter().map(|(requirement, _)| Some(*requirement)).chain(silent).collect()
    }

    /// The types of a set of shapes, ascending.
    pub fn types_of(&self, set: &ShapeSet) -> Vec<usize> {
        let mut types = Vec::with_capacity(self.types.len());
        for shape in set.iter() {
            let of = self.shapes[shape].of;
            if types.last() != Some(&of) {
                types.push(of);
            }
        }
        types
    }

    /// The price of the type's first offering in `zone` with `capacity_type`, available or not; 0 if there is none.
    pub fn price_at(&self, of: usize, zone: &str, capacity_type: &str) -> f64 {
        let offerings = self.types[of].offerings.iter();
        let mut matching =
            offerings.filter(|offering| offering.zone == zone && offering.capacity_type == capacity_type);
        matching.next().map_or(0.0, |offering| if offering.price.is_nan() { 0.0 } else { offering.price })
    }

    /// The index of the type `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}
