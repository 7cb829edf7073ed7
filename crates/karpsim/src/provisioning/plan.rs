//! From a filled node of the round to the NodeClaim that Karpenter creates.

use super::solver::{Claim, Solver};
use crate::catalogue::Price;
use crate::compile::min_values;
use crate::compile::shapes::ShapeSet;
use crate::compile::types::{Offering, Type};
use crate::decision::{DecidedRequirement, Launch, NewNodeClaim};
use crate::kubernetes::labels;
use crate::kubernetes::requests::{RawAmounts, add};
use crate::model::meta::{Operator, Str};
use crate::requirements::{Algebra, ConstraintId, Requirement, Undefined};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The most instance types that a NodeClaim lists.
pub const MAX_INSTANCE_TYPES: usize = 600;

/// A NodeClaim to be created.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its template.
    pub template: usize,
    /// Table of its instance types.
    pub table: usize,
    /// What it must be.
    pub constraint: ConstraintId,
    /// What it can be, in Karpenter's order.
    pub types: Vec<usize>,
    /// What its pods and daemons reserve.
    pub requests: RawAmounts,
    /// Its pods.
    pub pods: Vec<usize>,
}

/// What a NodeClaim can be, with names.
#[derive(Debug)]
pub(super) struct Options {
    instance_types: Arc<[Str]>,
    requirements: Vec<DecidedRequirement>,
    launch: Option<Launch>,
}

/// The options of the plans that were named, with their types before they were cut and ordered.
pub(super) type KnownOptions = FxHashMap<(usize, ConstraintId), Vec<(Vec<usize>, Rc<Options>)>>;

/// By table and constraint: what each type costs.
type PricesOf = FxHashMap<(usize, ConstraintId), Rc<[f64]>>;

/// Prices that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct KnownPrices {
    /// The least that a type can be had for.
    pub(crate) least: PricesOf,
    /// What it can cost at worst.
    pub(crate) worst: PricesOf,
}

/// With more lists than this, all are forgotten: each is as long as the catalogue.
const PRICE_LISTS_MAX: usize = 256;

/// Keeps a list of prices for the next who asks.
pub(crate) fn note(known: &mut PricesOf, of: (usize, ConstraintId), prices: &Rc<[f64]>) {
    if known.len() >= PRICE_LISTS_MAX {
        known.clear();
    }
    known.insert(of, Rc::clone(prices));
}

impl Solver<'_> {
    /// Finishes a node of a round: what it holds in reservations becomes a requirement, and the daemons that will run
    /// on it whatever it is are added to its requests.
    pub fn plan(&mut self, claim: &Claim) -> Plan {
        let problem = self.problem;
        let template = &problem.templates[claim.template];
        let table = &problem.tables[template.table];
        let mut constraint = claim.constraint;
        if !claim.reserved.is_empty() {
            let algebra = &mut self.algebra;
            let key = algebra.key(labels::CAPACITY_TYPE, |_| true);
            let reserved = algebra.value(key, labels::RESERVED);
            constraint = algebra.with(constraint, key, Requirement::any_of([reserved]));
            let name = problem.rules.reservation_id().to_owned();
            let key = algebra.key(&name, |name| problem.rules.is_well_known(name));
            let ids: Vec<Str> = reservation_names(problem, template.table, &claim.reserved);
            let held = Requirement::any_of(ids.iter().map(|id| algebra.value(key, id)).collect::<Vec<_>>());
            let held = algebra.constraint([(key, held)]);
            constraint = algebra.sum(constraint, held);
        }
        let mut types = Vec::new();
        for group in &template.groups {
            let mut of_group = claim.shapes.clone();
            of_group.keep(&group.shapes);
            types.extend(table.types_of(&of_group));
        }
        let mut requests: RawAmounts = RawAmounts::new();
        for (resource, &amount) in claim.requests.iter().enumerate() {
            requests.insert(
                problem.resources.name(resource).clone(),
                problem.resources.quantity(resource, amount),
            );
        }
        add(&mut requests, &least_daemon_requests(template, &claim.shapes));
        Plan {
            template: claim.template,
            table: template.table,
            constraint,
            types,
            requests,
            pods: claim.pods.clone(),
        }
    }

    /// Orders the types by price and cuts the list to what a NodeClaim may have. False: `minValues` are then not met,
    /// and nothing can be launched.
    pub fn truncate(&mut self, plan: &mut Plan) -> bool {
        if plan.types.len() > MAX_INSTANCE_TYPES {
            self.order_by_price(plan);
            plan.types.truncate(MAX_INSTANCE_TYPES);
        }
        let table = &self.problem.tables[plan.table];
        self.problem.scenario.options.relaxes_min_values()
            || min_values::unmet_by(&self.algebra, table, &plan.types, plan.constraint).is_empty()
    }

    /// Orders the types by the least price that they can be had for.
    pub fn order_by_price(&mut self, plan: &mut Plan) {
        let prices = self.least_prices(plan.table, plan.constraint);
        crate::go_sort::sort_slice(&mut plan.types, |a, b| prices[*a] < prices[*b]);
    }

    /// The least price of each type among the offerings that `constraint` allows and that can be launched.
    pub fn least_prices(&mut self, table: usize, constraint: ConstraintId) -> Rc<[f64]> {
        if let Some(known) = self.known.prices.least.get(&(table, constraint)) {
            return Rc::clone(known);
        }
        let kinds = self.compatible_kinds(table, constraint);
        let types = self.problem.tables[table].types.iter();
        let least = types.map(|it| {
            let offerings =
                it.offerings.iter().filter(|offering| offering.launchable && kinds[offering.kind]);
            offerings
                .fold(f64::MAX, |least, offering| if offering.price < least { offering.price } else { least })
        });
        let least: Rc<[f64]> = least.collect();
        note(&mut self.known.prices.least, (table, constraint), &least);
        least
    }

    /// Which kinds of offerings `constraint` allows.
    pub fn compatible_kinds(&mut self, table: usize, constraint: ConstraintId) -> Vec<bool> {
        let kinds = self.problem.tables[table].kinds.iter();
        kinds.map(|kind| self.algebra.compatible(constraint, *kind, Undefined::WellKnownAllowed)).collect()
    }

    /// The NodeClaim with names: its requirements narrowed to the capacity types that its instance types can be had
    /// as, and the cheapest offering.
    pub fn render(&mut self, plan: &Plan) -> NewNodeClaim {
        let problem = self.problem;
        let options = self.options_of(plan);
        let mut pods: Vec<Str> = plan.pods.iter().map(|&pod| problem.pod_name(pod)).collect();
        pods.sort_unstable();
        let requests: BTreeMap<Str, _> = plan
            .requests
            .iter()
            .filter(|(_, amount)| !amount.is_zero())
            .map(|(name, amount)| (name.clone(), *amount))
            .collect();
        NewNodeClaim {
            node_pool: problem.templates[plan.template].pool.clone(),
            pods,
            instance_types: options.instance_types.clone(),
            requirements: options.requirements.clone(),
            requests,
            launch: options.launch.clone(),
        }
    }

    /// What a plan can be, with names. Most plans of a round can be what another one can.
    fn options_of(&mut self, plan: &Plan) -> Rc<Options> {
        let known = self.known.options.get(&(plan.table, plan.constraint)).into_iter().flatten();
        if let Some((_, options)) = known.into_iter().find(|(types, _)| *types == plan.types) {
            return Rc::clone(options);
        }
        let options = Rc::new(self.name_options(plan));
        let known = self.known.options.entry((plan.table, plan.constraint)).or_default();
        known.push((plan.types.clone(), Rc::clone(&options)));
        options
    }

    fn name_options(&mut self, plan: &Plan) -> Options {
        let table = &self.problem.tables[plan.table];
        let mut chosen = plan.clone();
        if chosen.types.len() > MAX_INSTANCE_TYPES {
            self.order_by_price(&mut chosen);
            chosen.types.truncate(MAX_INSTANCE_TYPES);
        }
        let kinds = self.compatible_kinds(plan.table, plan.constraint);
        let mut capacity_types: Vec<Str> = Vec::new();
        let mut cheapest: Option<(&Type, &Offering)> = None;
        for &of in &chosen.types {
            let it = &table.types[of];
            for offering in it.offerings.iter().filter(|offering| offering.launchable && kinds[offering.kind])
            {
                if !capacity_types.contains(&offering.capacity_type) {
                    capacity_types.push(offering.capacity_type.clone());
                }
                if cheapest.is_none_or(|best| is_cheaper((it, offering), best)) {
                    cheapest = Some((it, offering));
                }
            }
        }
        let mut constraint = plan.constraint;
        if !capacity_types.is_empty() {
            let key = self.algebra.key(labels::CAPACITY_TYPE, |_| true);
            let values: Vec<_> = capacity_types.iter().map(|name| self.algebra.value(key, name)).collect();
            let narrowed = self.algebra.constraint([(key, Requirement::any_of(values))]);
            constraint = self.algebra.sum(constraint, narrowed);
        }
        chosen.types.sort_unstable_by_key(|&of| table.types[of].rank);
        let instance_types: Arc<[Str]> =
            chosen.types.iter().map(|&of| table.types[of].name.clone()).collect();
        let requirements = decided_requirements(&mut self.algebra, constraint, Some(&instance_types));
        let launch = cheapest.map(|(it, offering)| Launch {
            instance_type: it.name.clone(),
            zone: offering.zone.clone(),
            capacity_type: offering.capacity_type.clone(),
            price: Price(offering.price),
        });
        Options { instance_types, requirements, launch }
    }
}

/// By price, then name, then capacity type, then zone.
fn is_cheaper(a: (&Type, &Offering), b: (&Type, &Offering)) -> bool {
    fn rest<'a>((it, offering): (&'a Type, &'a Offering)) -> (&'a str, &'a str, &'a str) {
        (&it.name, &offering.capacity_type, &offering.zone)
    }
    a.1.price < b.1.price || (a.1.price == b.1.price && rest(a) < rest(b))
}

fn reservation_names(
    problem: &crate::compile::ClusterState,
    table: usize,
    reserved: &[crate::compile::types::ReservationId],
) -> Vec<Str> {
    let of_table = &problem.tables[table];
    let mut names = Vec::new();
    for it in &of_table.types {
        for offering in &it.offerings {
            if offering.reservation.is_some_and(|reservation| reserved.contains(&reservation))
                && !names.contains(&offering.reservation_name)
            {
                names.push(offering.reservation_name.clone());
            }
        }
    }
    names
}

/// What daemons reserve at the least, over the groups of types that remain; a resource counts if all have it.
fn least_daemon_requests(template: &crate::compile::pools::Template, shapes: &ShapeSet) -> RawAmounts {
    let mut least = RawAmounts::new();
    for group in template.groups.iter().filter(|group| group.shapes.meets(shapes)) {
        let overhead = group.overhead.clone().unwrap_or_default();
        if least.is_empty() {
            least = overhead;
        } else {
            least.retain(|name, amount| match overhead.get(name) {
                Some(other) => {
                    *amount = (*amount).min(*other);
                    true
                }
                None => false,
            });
        }
    }
    least
}

/// `spec.requirements` of a NodeClaim: without those that only the simulation needs, and without the instance type
/// unless it has `minValues`: then its values are `types`, if any were chosen.
pub fn decided_requirements(
    algebra: &mut Algebra,
    constraint: ConstraintId,
    types: Option<&[Str]>,
) -> Vec<DecidedRequirement> {
    let mut constraint = constraint;
    let instance_type = algebra.key(labels::INSTANCE_TYPE, |_| true);
    let listed =
        algebra.of(constraint, instance_type).is_some_and(|requirement| requirement.min_values.is_some());
    if let Some(types) = types.filter(|_| listed) {
        let values: Vec<_> = types.iter().map(|name| algebra.value(instance_type, name)).collect();
        let named = algebra.constraint([(instance_type, Requirement::any_of(values))]);
        constraint = algebra.sum(constraint, named);
    }
    let mut decided = Vec::new();
    for &(key, id) in algebra.requirements(constraint) {
        let name = algebra.key_name(key);
        let requirement = algebra.get(id);
        let simulated = name == labels::REGISTERED || name == labels::INITIALIZED;
        if simulated || (key == instance_type && requirement.min_values.is_none()) {
            continue;
        }
        let mut push = |operator: Operator, values: Vec<Str>| {
            decided.push(DecidedRequirement {
                key: name.clone(),
                operator: operator.as_str(),
                values,
                min_values: requirement.min_values,
            });
        };
        if requirement.gte.is_some() || requirement.lte.is_some() {
            if let Some(bound) = requirement.gte {
                push(Operator::Gte, vec![compact_str::format_compact!("{bound}")]);
            }
            if let Some(bound) = requirement.lte {
                push(Operator::Lte, vec![compact_str::format_compact!("{bound}")]);
            }
            continue;
        }
        let mut values: Vec<Str> =
            requirement.values.iter().map(|value| algebra.value_name(key, value).clone()).collect();
        values.sort();
        let operator = match (requirement.complement, values.is_empty()) {
            (true, true) => Operator::Exists,
            (true, false) => Operator::NotIn,
            (false, true) => Operator::DoesNotExist,
            (false, false) => Operator::In,
        };
        push(operator, values);
    }
    decided.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.operator.cmp(b.operator)));
    decided
}
