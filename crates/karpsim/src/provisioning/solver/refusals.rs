//! What a pod without a place meets at the end of a round.
//!
//! Nothing is noted while the round is played: the state in which the pod failed for the last time is the one at its end,
//! so every rule is asked once more there, for the pod as it is after it has given up all that it can. A rule that turns
//! down a NodePool as a whole removes all instance types that are left; the rules behind it are asked all the same, for
//! the nearest miss.

use super::fits::exceeds_attach_limits;
use super::{Claim, Failure, Groups, Solver};
use crate::compile::asked::{Asked, Host};
use crate::compile::min_values;
use crate::compile::pods::{Class, PortsId};
use crate::compile::pools;
use crate::compile::resources::Amounts;
use crate::compile::shapes::ShapeSet;
use crate::compile::taints::{TaintsId, TolerationsId};
use crate::compile::types::TypeTable;
use crate::decision::reasons::{
    self as facts, Domain, GivenUp, NearestMiss, NodePoolExplanation, Refusals, Refused, Rule, Step,
    TopologyFact, TopologyKind, by_reason,
};
use crate::decision::reasons::{shortened, taint_text};
use crate::kubernetes::taints::tolerates;
use crate::model::meta::Str;
use crate::provisioning::stances::{Say, StanceId};
use crate::provisioning::variants::VariantId;
use crate::requirements::{Algebra, ConstraintId, KeyId, Requirement, Shape, Undefined};
use crate::topology::{GroupId, HostId, Kind};
use smallvec::SmallVec;
use std::rc::Rc;

/// A rule on instance types, before it is known which of them it is for.
enum TypeRule {
    /// Whatever the type.
    Fixed(Rule),
    /// A limit of the NodePool: resource, what is left.
    Limit(usize, i64),
    /// Room for a resource.
    Resource(usize),
}

/// Instance types of one NodePool, and the rules that they are put through.
#[derive(Clone)]
struct Funnel {
    set: ShapeSet,
    types: usize,
    steps: Vec<Step>,
    /// Rules on types, with the shapes that pass.
    passes: Vec<(Rc<TypeRule>, ShapeSet)>,
    /// Rules that turn down the NodePool as a whole.
    stops: Vec<Rule>,
    /// What a node for the pod would have to be.
    constraint: ConstraintId,
}

impl Funnel {
    fn new(table: &TypeTable) -> Self {
        Funnel {
            set: table.all(),
            types: table.types.len(),
            steps: Vec::new(),
            passes: Vec::new(),
            stops: Vec::new(),
            constraint: ConstraintId::NONE,
        }
    }

    /// Keeps what passes. `shown` is the rule as the step names it.
    fn keep(&mut self, table: &TypeTable, shown: Rule, rule: TypeRule, pass: ShapeSet) {
        self.set.keep(&pass);
        let left = table.types_of(&self.set).len();
        if left < self.types {
            self.steps.push(Step { rule: shown, removed: self.types - left, left });
        }
        self.types = left;
        self.passes.push((Rc::new(rule), pass));
    }

    fn keep_fixed(&mut self, table: &TypeTable, rule: Rule, pass: ShapeSet) {
        self.keep(table, rule.clone(), TypeRule::Fixed(rule), pass);
    }

    /// Turns everything down.
    fn stop(&mut self, table: &TypeTable, rule: Rule) {
        self.steps.push(Step { rule: rule.clone(), removed: self.types, left: 0 });
        self.set = ShapeSet::none(table.shapes.len());
        self.types = 0;
        self.stops.push(rule);
    }

    /// Notes a rule that removes nothing by itself.
    fn note(&mut self, rule: Rule) {
        self.steps.push(Step { rule, removed: 0, left: self.types });
    }
}

/// Where a pod is tried: a NodePool's template, or what stands for it where no instance type is allowed.
struct Ground {
    dynamic: usize,
    table: usize,
    constraint: ConstraintId,
    taints: TaintsId,
    /// By daemons: the shapes, what the daemons reserve, their host ports.
    groups: Vec<(ShapeSet, Amounts, Vec<PortsId>)>,
}

impl Ground {
    fn group_of(&self, shape: usize) -> Option<&(ShapeSet, Amounts, Vec<PortsId>)> {
        self.groups.iter().find(|(shapes, ..)| shapes.has(shape))
    }

    fn daemons_on(&self, shape: usize, resource: usize) -> i64 {
        self.group_of(shape).and_then(|(_, dense, _)| dense.get(resource).copied()).unwrap_or(0)
    }
}

/// A class of pods after it has given up all that it can.
struct Weakest<'p> {
    class: &'p Class,
    variant: VariantId,
    groups: Rc<Groups>,
    stance: StanceId,
    asked: Asked,
    tolerations: TolerationsId,
}

impl<'p> Solver<'p> {
    /// Why nothing can take `pod`. To be asked at the end of a round.
    pub(crate) fn refusals(&mut self, pod: usize, failure: Failure) -> Refusals {
        if failure == Failure::Devices {
            // It was not tried anywhere.
            return Refusals::default();
        }
        let given_up = self.given_up(pod);
        let node_pools = self.node_pool_refusals(pod, failure);
        let nodes = self.node_refusals(pod, None);
        let new_nodes = self.new_node_refusals(pod);
        Refusals { given_up, node_pools, nodes, new_nodes }
    }

    fn weakest(&mut self, pod: usize) -> Weakest<'p> {
        let (class_id, class) = self.class_of(pod);
        let mut variant = self.unrelaxed(class_id);
        while let Some(next) =
            self.known.variants.relaxed(self.problem, &mut self.algebra, &mut self.topology, variant)
        {
            variant = next;
        }
        let groups = self.groups_of(variant);
        let stance = self.stance_of(variant, &groups);
        let known = self.known.variants.get(variant);
        Weakest { class, variant, groups, stance, asked: known.asked, tolerations: known.tolerations }
    }

    fn given_up(&self, pod: usize) -> GivenUp {
        let (_, class) = self.class_of(pod);
        let respects = self.problem.scenario.options.respects_preferences();
        let preferences =
            class.preferred.len() + class.preferred_affinity.len() + class.preferred_anti_affinity.len();
        let spreads = class.spread.iter().filter(|spread| spread.soft).count();
        GivenUp {
            node_selector_terms: class.required.as_ref().map_or(0, Vec::len).saturating_sub(1),
            preferences: if respects { preferences } else { 0 },
            spreads: if respects { spreads } else { 0 },
        }
    }

    /// Why no NodePool can launch a node for `pod`: as far as they were tried.
    pub(crate) fn node_pool_refusals(&mut self, pod: usize, failure: Failure) -> Vec<NodePoolExplanation> {
        let weakest = self.weakest(pod);
        let mut refusals = Vec::new();
        for dynamic in 0..self.problem.dynamic.len() {
            let ground = self.ground(dynamic);
            let explanation = self.explain_ground(&ground, &weakest);
            let waits = explanation.steps.iter().any(|step| step.rule == Rule::Reserved);
            refusals.push(explanation);
            if waits && failure == Failure::Reserved {
                break;
            }
        }
        refusals
    }

    fn ground(&mut self, dynamic: usize) -> Ground {
        let problem = self.problem;
        let pool = &problem.dynamic[dynamic];
        if let Some(template) = problem.templates.iter().find(|template| template.dynamic == dynamic) {
            let groups = template.groups.iter();
            return Ground {
                dynamic,
                table: template.table,
                constraint: template.constraint,
                taints: template.taints,
                groups: groups
                    .map(|group| (group.shapes.clone(), group.dense.clone(), group.ports.clone()))
                    .collect(),
            };
        }
        let objects = pools::dynamic_pools(&problem.scenario.objects, &problem.scenario.catalogue.provider);
        let constraint = match objects.get(dynamic) {
            Some(object) => {
                pools::template_constraint(&mut self.algebra, &problem.rules, object, pool.written)
            }
            None => pool.written,
        };
        Ground { dynamic, table: pool.table, constraint, taints: pool.taints, groups: Vec::new() }
    }

    fn explain_ground(&mut self, ground: &Ground, weakest: &Weakest<'_>) -> NodePoolExplanation {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        let mut funnel = Funnel::new(table);
        self.own_rules(&mut funnel, ground);
        self.limit_rules(&mut funnel, ground);
        if !problem.taints.tolerated(ground.taints, weakest.tolerations) {
            let taints = self.untolerated(ground.taints, weakest.tolerations);
            funnel.stop(table, Rule::Taints { taints });
        }
        let host = (self.round.first_new_host + self.round.claims.len() as HostId, Host::Unnamed);
        let conflicts = self.conflicts(ground.constraint, weakest.asked, host.1, Undefined::WellKnownAllowed);
        let mut asked = weakest.asked.constraint;
        for (key, rule) in conflicts {
            asked = self.algebra.retain(asked, |known| known != key);
            funnel.stop(table, rule);
        }
        let base = self.algebra.sum(ground.constraint, asked);
        let alternatives = &weakest.class.volumes.alternatives;
        let reachable: Vec<ConstraintId> = if alternatives.is_empty() {
            vec![base]
        } else {
            let mut reachable = Vec::new();
            for alternative in alternatives {
                if alternative.met_by(base, host.1, Undefined::WellKnownAllowed, &mut self.algebra) {
                    reachable.push(self.algebra.sum(base, alternative.constraint));
                }
            }
            if reachable.is_empty() {
                funnel.stop(table, Rule::Volumes);
                reachable.push(base);
            }
            reachable
        };
        let mut best: Option<(f64, Funnel, Option<NearestMiss>)> = None;
        for constraint in reachable {
            let mut tail = funnel.clone();
            self.tail_rules(&mut tail, ground, weakest, constraint, host);
            let (distance, nearest) = self.nearest(&tail, ground, weakest);
            if best.as_ref().is_none_or(|(least, ..)| distance < *least) {
                best = Some((distance, tail, nearest));
            }
        }
        let (funnel, nearest) = best.map_or((funnel, None), |(_, funnel, nearest)| (funnel, nearest));
        NodePoolExplanation {
            node_pool: problem.dynamic[ground.dynamic].name.clone(),
            reason: "NoCompatibleInstanceTypes",
            instance_types: table.types.len(),
            steps: funnel.steps,
            nearest,
        }
    }

    /// What the NodePool itself allows.
    fn own_rules(&mut self, funnel: &mut Funnel, ground: &Ground) {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        self.requirement_rules(funnel, table, ConstraintId::NONE, ground.constraint, |key, wanted| {
            Rule::NodePoolRequirement { key, wanted }
        });
        let offered = table.offered(&mut self.algebra, ground.constraint);
        funnel.keep_fixed(table, Rule::NodePoolOfferings, offered);
        let mut sound = table.all();
        table.keep_fitting(&mut sound, &Amounts::new());
        funnel.keep_fixed(table, Rule::NegativeAllocatable, sound);
        if !problem.scenario.options.relaxes_min_values() {
            for (key, found) in min_values::unmet(&self.algebra, table, &funnel.set, ground.constraint) {
                let wanted = self.min_values(ground.constraint, key);
                let key = self.algebra.key_name(key).clone();
                funnel.stop(table, Rule::NodePoolMinValues { key, wanted, found });
            }
        }
    }

    /// What is left of the NodePool's limits.
    fn limit_rules(&mut self, funnel: &mut Funnel, ground: &Ground) {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        for limit in self.round.limits[ground.dynamic].clone() {
            let Some(resource) = limit.resource else {
                if limit.left <= 0 {
                    funnel.stop(table, Rule::NodesLimit { left: limit.left });
                }
                continue;
            };
            let mut pass = table.all();
            let mut least: Option<i64> = None;
            for (index, shape) in table.shapes.iter().enumerate() {
                let capacity = table.types[shape.of].capacity[resource];
                if capacity > limit.left {
                    pass.remove(index);
                    if funnel.set.has(index) {
                        least = Some(least.map_or(capacity, |least| least.min(capacity)));
                    }
                }
            }
            let shown = Rule::Limit {
                resource: problem.resources.name(resource).clone(),
                left: problem.resources.quantity(resource, limit.left),
                least: problem.resources.quantity(resource, least.unwrap_or(0)),
            };
            funnel.keep(table, shown, TypeRule::Limit(resource, limit.left), pass);
        }
    }

    /// Topology, and what is asked of the types. Leaves the funnel with all that a node would be asked to meet.
    fn tail_rules(
        &mut self,
        funnel: &mut Funnel,
        ground: &Ground,
        weakest: &Weakest<'_>,
        constraint: ConstraintId,
        host: (HostId, Host),
    ) {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        let undefined = Undefined::WellKnownAllowed;
        let mut constraint = constraint;
        match self.narrow_by_topology(weakest.stance, constraint, host, undefined) {
            Some(narrowed) => {
                for fact in self.narrowing_facts(weakest, constraint) {
                    funnel.note(Rule::Topology(fact));
                }
                constraint = narrowed;
            }
            None => {
                for fact in self.topology_facts(weakest, constraint, host, undefined) {
                    funnel.stop(table, Rule::Topology(fact));
                }
            }
        }
        self.requirement_rules(funnel, table, ground.constraint, constraint, |key, wanted| {
            Rule::Requirement { key, wanted }
        });
        let offered = table.offered(&mut self.algebra, constraint);
        funnel.keep_fixed(table, Rule::Offerings, offered);
        let class = weakest.class;
        self.room_rules(funnel, ground, &class.requests, &[class.ports]);
        if funnel.types > 0 && !problem.scenario.options.relaxes_min_values() {
            for (key, found) in min_values::unmet(&self.algebra, table, &funnel.set, constraint) {
                let wanted = self.min_values(constraint, key);
                let key = self.algebra.key_name(key).clone();
                funnel.stop(table, Rule::MinValues { key, wanted, found });
            }
        }
        if funnel.types > 0 && self.reserve(ground.table, &funnel.set.clone(), constraint, &[]).is_err() {
            funnel.stop(table, Rule::Reserved);
        }
        funnel.constraint = constraint;
    }

    /// Host ports and resources, beside the daemons.
    fn room_rules(&mut self, funnel: &mut Funnel, ground: &Ground, requests: &Amounts, ports: &[PortsId]) {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        let mut pass = table.all();
        for (shapes, _, of_daemons) in &ground.groups {
            let conflicts = of_daemons
                .iter()
                .any(|&theirs| ports.iter().any(|&ours| problem.pods.ports_conflict(theirs, ours)));
            if conflicts {
                shapes.iter().for_each(|shape| pass.remove(shape));
            }
        }
        funnel.keep_fixed(table, Rule::HostPorts, pass);
        let mut resources: Vec<usize> = (0..problem.resources.len()).collect();
        resources.sort_by_key(|&resource| problem.resources.name(resource));
        for resource in resources {
            let requested = requests.get(resource).copied().unwrap_or(0);
            let mut pass = table.all();
            let mut most: Option<(i64, i64)> = None;
            for (index, shape) in table.shapes.iter().enumerate() {
                let daemons = ground.daemons_on(index, resource);
                let needed = requested + daemons;
                if needed > 0 && shape.allocatable[resource] < needed {
                    pass.remove(index);
                }
                let has = shape.allocatable[resource];
                if funnel.set.has(index) && most.is_none_or(|(known, of)| has - daemons > known - of) {
                    most = Some((has, daemons));
                }
            }
            let (most, daemons) = most.unwrap_or((0, 0));
            let quantity = |count: i64| problem.resources.quantity(resource, count);
            let shown = Rule::Resource {
                resource: problem.resources.name(resource).clone(),
                requested: quantity(requested),
                daemons: quantity(daemons),
                most: quantity(most),
            };
            funnel.keep(table, shown, TypeRule::Resource(resource), pass);
        }
    }

    /// Labels of types, for each key in which `constraint` says more than `known`, by name.
    fn requirement_rules(
        &mut self,
        funnel: &mut Funnel,
        table: &TypeTable,
        known: ConstraintId,
        constraint: ConstraintId,
        rule: impl Fn(Str, String) -> Rule,
    ) {
        let mut keys: Vec<KeyId> = self
            .algebra
            .requirements(constraint)
            .iter()
            .filter(|(key, id)| self.algebra.requirement_id(known, *key) != Some(*id))
            .map(|(key, _)| *key)
            .collect();
        keys.sort_by(|a, b| self.algebra.key_name(*a).cmp(self.algebra.key_name(*b)));
        for key in keys {
            let Some(requirement) = self.algebra.of(constraint, key).cloned() else { continue };
            let rule = rule(self.algebra.key_name(key).clone(), described(&self.algebra, key, &requirement));
            let only = self.algebra.constraint([(key, requirement)]);
            let pass = table.compatible(&self.algebra, only);
            funnel.keep_fixed(table, rule, pass);
        }
    }

    fn min_values(&self, constraint: ConstraintId, key: KeyId) -> u32 {
        self.algebra.of(constraint, key).and_then(|requirement| requirement.min_values).unwrap_or(0)
    }

    fn untolerated(&self, taints: TaintsId, tolerations: TolerationsId) -> Vec<String> {
        let rules = &self.problem.taints;
        let tolerations = rules.tolerations_of(tolerations);
        let taints = rules.taints_of(taints).iter();
        taints.filter(|taint| !tolerates(tolerations, taint)).map(taint_text).collect()
    }

    /// All labels in which what is asked of a node is not what it has.
    fn conflicts(
        &mut self,
        node: ConstraintId,
        asked: Asked,
        host: Host,
        undefined: Undefined,
    ) -> Vec<(KeyId, Rule)> {
        let algebra = &self.algebra;
        let mut conflicts = Vec::new();
        for &(key, id) in algebra.requirements(asked.constraint) {
            let wanted = algebra.get(id);
            let found = algebra.of(node, key);
            let refused = match found {
                Some(found) => !found.reconciles(wanted, algebra.integers(key)),
                None => !wanted.allows_absence() && !self.may_be_undefined(key, undefined),
            };
            if refused {
                let rule = Rule::Label {
                    key: algebra.key_name(key).clone(),
                    wanted: described(algebra, key, wanted),
                    found: found.map(|found| described(algebra, key, found)),
                };
                conflicts.push((key, rule));
            }
        }
        if let Some(hostname) = asked.hostname.filter(|_| !asked.hostname_met_by(host, algebra)) {
            let key = self.problem.hostname;
            let found = match host {
                Host::None => None,
                Host::Named(name) => Some(algebra.value_name(key, name).to_string()),
                Host::Unnamed => Some("new".to_owned()),
            };
            let rule = Rule::Label {
                key: algebra.key_name(key).clone(),
                wanted: described(algebra, key, algebra.get(hostname)),
                found,
            };
            conflicts.push((key, rule));
        }
        conflicts.sort_by(|a, b| algebra.key_name(a.0).cmp(algebra.key_name(b.0)));
        conflicts
    }

    /// The groups that have a say in where a pod goes, and whether they count it.
    fn groups_around(&mut self, weakest: &Weakest<'_>) -> Vec<Say> {
        let class = self.known.variants.get(weakest.variant).class;
        let repelling = self.topology.repelling(self.problem, class).to_vec();
        let groups = weakest.groups.own.iter().copied().chain(repelling);
        groups.map(|id| (id, self.topology.group(id).selects(self.problem, class))).collect()
    }

    /// The groups that leave a pod only some of the domains that the node allows.
    fn narrowing_facts(&mut self, weakest: &Weakest<'_>, node: ConstraintId) -> Vec<TopologyFact> {
        let mut facts = Vec::new();
        for (id, selects) in self.groups_around(weakest) {
            if self.topology.group(id).key == self.problem.hostname {
                continue;
            }
            let domains = self.domains_for(weakest, (id, selects), node);
            let fact = self.topology_fact(id, Some(&domains));
            let on_node = self.algebra.of(node, self.topology.group(id).key);
            let integers = self.algebra.integers(self.topology.group(id).key);
            let possible = self
                .topology
                .group(id)
                .known()
                .filter(|(domain, _)| on_node.is_none_or(|on_node| on_node.has(*domain, integers)))
                .count();
            if domains.values.len() < possible {
                facts.push(fact);
            }
        }
        facts
    }

    fn domains_for(&self, weakest: &Weakest<'_>, (id, selects): Say, node: ConstraintId) -> Requirement {
        let group = self.topology.group(id);
        let of_pod = self.algebra.of(self.known.variants.get(weakest.variant).strict.constraint, group.key);
        let of_node = self.algebra.of(node, group.key);
        group.next_domains(selects, of_pod, of_node, self.algebra.integers(group.key))
    }

    /// The groups that refuse a pod on a node by themselves; if it takes several, all of them.
    fn topology_facts(
        &mut self,
        weakest: &Weakest<'_>,
        node: ConstraintId,
        host: (HostId, Host),
        undefined: Undefined,
    ) -> Vec<TopologyFact> {
        let strict = self.known.variants.get(weakest.variant).strict;
        let mut alone = Vec::new();
        let mut all = Vec::new();
        for (id, selects) in self.groups_around(weakest) {
            let key = self.topology.group(id).key;
            if key == self.problem.hostname {
                if !self.topology.group(id).allows_host(&self.algebra, selects, strict, host) {
                    alone.push(self.topology_fact(id, None));
                }
                continue;
            }
            let domains = self.domains_for(weakest, (id, selects), node);
            let fact = self.topology_fact(id, Some(&domains));
            let refuses = domains.values.is_empty()
                || match self.algebra.of(node, key) {
                    Some(of_node) => !of_node.reconciles(&domains, self.algebra.integers(key)),
                    None => !domains.allows_absence() && !self.may_be_undefined(key, undefined),
                };
            if refuses {
                alone.push(TopologyFact { allowed: Vec::new(), ..fact });
            } else {
                all.push(fact);
            }
        }
        if alone.is_empty() { all } else { alone }
    }

    fn topology_fact(&self, id: GroupId, allowed: Option<&Requirement>) -> TopologyFact {
        let group = self.topology.group(id);
        let name = |domain| self.algebra.value_name(group.key, domain).clone();
        let is_spread = group.kind == Kind::Spread;
        let domains = if group.key == self.problem.hostname {
            Vec::new()
        } else {
            group.known().map(|(domain, pods)| Domain { name: name(domain), pods }).collect()
        };
        let mut allowed: Vec<Str> =
            allowed.into_iter().flat_map(|allowed| allowed.values.iter()).map(name).collect();
        allowed.sort();
        TopologyFact {
            kind: match (group.kind, group.inverse) {
                (Kind::Spread, _) => TopologyKind::Spread,
                (Kind::Affinity, _) => TopologyKind::Affinity,
                (Kind::AntiAffinity, false) => TopologyKind::AntiAffinity,
                (Kind::AntiAffinity, true) => TopologyKind::AntiAffinityOfOthers,
            },
            key: self.algebra.key_name(group.key).clone(),
            max_skew: is_spread.then_some(group.max_skew),
            min_domains: group.min_domains.filter(|_| is_spread),
            domains,
            allowed,
        }
    }

    /// The shape that fails by least, and how far it is from passing.
    fn nearest(
        &mut self,
        funnel: &Funnel,
        ground: &Ground,
        weakest: &Weakest<'_>,
    ) -> (f64, Option<NearestMiss>) {
        let table = &self.problem.tables[ground.table];
        let requests = &weakest.class.requests;
        let distance_of = |shape: usize| -> f64 {
            let failed = funnel.passes.iter().filter(|(_, pass)| !pass.has(shape));
            failed
                .map(|(rule, _)| match &**rule {
                    TypeRule::Fixed(rule) => rule.distance(),
                    TypeRule::Limit(..) => facts::LIMIT_DISTANCE,
                    TypeRule::Resource(resource) => {
                        let needed = requests[*resource] + ground.daemons_on(shape, *resource);
                        let has = table.shapes[shape].allocatable[*resource];
                        (((needed - has) as f64) / needed as f64).clamp(0.0, 1.0)
                    }
                })
                .sum()
        };
        let mut best: Option<(f64, usize)> = None;
        for shape in 0..table.shapes.len() {
            let distance = distance_of(shape);
            if best.is_none_or(|(least, _)| distance < least) {
                best = Some((distance, shape));
            }
        }
        let Some((distance, shape)) = best else { return (f64::MAX, None) };
        let failed = funnel.passes.iter().filter(|(_, pass)| !pass.has(shape));
        let rules = failed.map(|(rule, _)| self.rule_for(rule, ground, requests, shape));
        let mut misses: Vec<Rule> = funnel.stops.iter().cloned().chain(rules).collect();
        misses.extend(self.behind(funnel, ground, shape));
        let stops: f64 = funnel.stops.iter().map(Rule::distance).sum();
        let instance_type = Some(table.types[table.shapes[shape].of].name.clone());
        (distance + stops, Some(NearestMiss { instance_type, misses }))
    }

    /// The rules on all instance types together that would refuse the pod still, if nothing stood in the way of `shape`.
    fn behind(&mut self, funnel: &Funnel, ground: &Ground, shape: usize) -> Vec<Rule> {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        let mut left = table.all();
        for (rule, pass) in &funnel.passes {
            match &**rule {
                _ if pass.has(shape) => left.keep(pass),
                // A pod that asks for no more than `shape` has goes on every shape that has as much.
                TypeRule::Resource(resource) => {
                    let room = |shape: usize| {
                        table.shapes[shape].allocatable[*resource] - ground.daemons_on(shape, *resource)
                    };
                    for other in (0..table.shapes.len()).filter(|&other| room(other) < room(shape)) {
                        left.remove(other);
                    }
                }
                TypeRule::Fixed(_) | TypeRule::Limit(..) => {}
            }
        }
        let mut rules = Vec::new();
        if !problem.scenario.options.relaxes_min_values() {
            for (unmet, found) in min_values::unmet(&self.algebra, table, &left, funnel.constraint) {
                let wanted = self.min_values(funnel.constraint, unmet);
                let unmet = self.algebra.key_name(unmet).clone();
                let is_known = funnel.stops.iter().any(|rule| match rule {
                    Rule::MinValues { key, .. } | Rule::NodePoolMinValues { key, .. } => *key == unmet,
                    _ => false,
                });
                if !is_known {
                    rules.push(Rule::MinValues { key: unmet, wanted, found });
                }
            }
        }
        let waits = self.reserve(ground.table, &left, funnel.constraint, &[]).is_err();
        if waits && !funnel.stops.contains(&Rule::Reserved) {
            rules.push(Rule::Reserved);
        }
        rules
    }

    /// A rule with the amounts of one shape.
    fn rule_for(&self, rule: &TypeRule, ground: &Ground, requests: &Amounts, shape: usize) -> Rule {
        let problem = self.problem;
        let table = &problem.tables[ground.table];
        match rule {
            TypeRule::Fixed(rule) => rule.clone(),
            TypeRule::Limit(resource, left) => Rule::Limit {
                resource: problem.resources.name(*resource).clone(),
                left: problem.resources.quantity(*resource, *left),
                least: problem
                    .resources
                    .quantity(*resource, table.types[table.shapes[shape].of].capacity[*resource]),
            },
            TypeRule::Resource(resource) => {
                let quantity = |count: i64| problem.resources.quantity(*resource, count);
                Rule::Resource {
                    resource: problem.resources.name(*resource).clone(),
                    requested: quantity(requests[*resource]),
                    daemons: quantity(ground.daemons_on(shape, *resource)),
                    most: quantity(table.shapes[shape].allocatable[*resource]),
                }
            }
        }
    }

    /// Why the nodes of the cluster refuse `pod`; up to `until`, if that is one of them.
    pub(crate) fn node_refusals(&mut self, pod: usize, until: Option<usize>) -> Vec<Refused> {
        let weakest = self.weakest(pod);
        let mut all = Vec::new();
        let nodes: Vec<usize> = self.nodes().collect();
        for index in nodes {
            if until == Some(index) {
                break;
            }
            let rule = self.node_refusal(pod, &weakest, index).unwrap_or(Rule::Preference);
            all.push((self.problem.nodes[index].name.clone(), rule));
        }
        by_reason(all)
    }

    fn node_refusal(&mut self, pod: usize, weakest: &Weakest<'_>, index: usize) -> Option<Rule> {
        let problem = self.problem;
        let node = &problem.nodes[index];
        let class = weakest.class;
        if class.volumes.unresolved {
            return Some(Rule::UnresolvedVolumes);
        }
        if self.round.rules.spares_young_nodes && problem.is_young(index) && !problem.records[pod].exempt {
            return Some(Rule::Young);
        }
        if !problem.taints.tolerated(node.taints, weakest.tolerations) {
            let taints = self.untolerated(node.taints, weakest.tolerations);
            return Some(Rule::Taints { taints });
        }
        let own = self.existing.opens[index].constraint;
        let conflicts = self.conflicts(own, weakest.asked, node.host_label, Undefined::Denied);
        if let Some((_, rule)) = conflicts.into_iter().next() {
            return Some(rule);
        }
        let remaining = self.existing.opens[index].remaining.clone();
        if let Some(rule) = self.lacking(&class.requests, &remaining, true) {
            return Some(rule);
        }
        let open = &self.existing.opens[index];
        if exceeds_attach_limits(node, &open.attached, class) {
            let over = node
                .attach_limits
                .iter()
                .find(|(driver, _)| class.volumes.attached.iter().any(|(of, _)| of == driver));
            let (driver, limit) = over.cloned().unwrap_or_default();
            return Some(Rule::VolumeLimit { driver, limit });
        }
        if open.ports.iter().any(|&ports| problem.pods.ports_conflict(ports, class.ports)) {
            return Some(Rule::HostPorts);
        }
        let host = (node.host.0, node.host_label);
        self.topology_refusal(weakest, own, host, Undefined::Denied)
    }

    /// Volumes and topology.
    fn topology_refusal(
        &mut self,
        weakest: &Weakest<'_>,
        own: ConstraintId,
        host: (HostId, Host),
        undefined: Undefined,
    ) -> Option<Rule> {
        let base = self.algebra.sum(own, weakest.asked.constraint);
        let mut refused: Option<Rule> = Some(Rule::Volumes);
        let alternatives = &weakest.class.volumes.alternatives;
        let fits = self.with_alternatives(alternatives, base, host, undefined, |solver, constraint| {
            if solver.narrow_by_topology(weakest.stance, constraint, host, undefined).is_some() {
                return Some(());
            }
            let facts = solver.topology_facts(weakest, constraint, host, undefined);
            refused = facts.into_iter().next().map(Rule::Topology);
            None
        });
        if fits.is_some() { None } else { refused }
    }

    /// The resource of which most is lacking. `all`: a resource that is overdrawn counts even if none of it is asked for.
    fn lacking(&self, requests: &Amounts, left: &[i64], all: bool) -> Option<Rule> {
        let problem = self.problem;
        let mut rules: Vec<Rule> = requests
            .iter()
            .zip(left)
            .enumerate()
            .filter(|(_, (request, left))| request > left || (all && **left < 0))
            .map(|(resource, (&request, &left))| Rule::Resource {
                resource: problem.resources.name(resource).clone(),
                requested: problem.resources.quantity(resource, request),
                daemons: problem.resources.quantity(resource, 0),
                most: problem.resources.quantity(resource, left),
            })
            .collect();
        rules.sort_by(|a, b| {
            b.distance().total_cmp(&a.distance()).then_with(|| a.subject().cmp(&b.subject()))
        });
        rules.into_iter().next()
    }

    /// Why the nodes that the round launches refuse `pod`.
    fn new_node_refusals(&mut self, pod: usize) -> Vec<Refused> {
        let problem = self.problem;
        let weakest = self.weakest(pod);
        let mut all = Vec::new();
        for index in 0..self.round.claims.len() {
            let name: Str = {
                let claim = &self.round.claims[index];
                let first = claim.pods.first().map(|&pod| problem.pod_name(pod)).unwrap_or_default();
                compact_str::format_compact!("{} for {first}", problem.templates[claim.template].pool)
            };
            let rule = self.new_node_refusal(&weakest, index);
            all.push((name, rule));
        }
        by_reason(all)
    }

    fn new_node_refusal(&mut self, weakest: &Weakest<'_>, index: usize) -> Rule {
        let problem = self.problem;
        let (own, host, template) = {
            let claim = &self.round.claims[index];
            (claim.constraint, (claim.host, Host::Unnamed), &problem.templates[claim.template])
        };
        if !problem.taints.tolerated(template.taints, weakest.tolerations) {
            return Rule::Taints { taints: self.untolerated(template.taints, weakest.tolerations) };
        }
        let undefined = Undefined::WellKnownAllowed;
        if let Some((_, rule)) = self.conflicts(own, weakest.asked, host.1, undefined).into_iter().next() {
            return rule;
        }
        let width = weakest.class.requests.len();
        let left: SmallVec<[i64; 8]> =
            self.round.room.left[index * width..(index + 1) * width].iter().copied().collect();
        if let Some(rule) = self.lacking(&weakest.class.requests, &left, false) {
            return rule;
        }
        if self.round.claims[index]
            .ports
            .iter()
            .any(|&ports| problem.pods.ports_conflict(ports, weakest.class.ports))
        {
            return Rule::HostPorts;
        }
        self.topology_refusal(weakest, own, host, undefined).unwrap_or(Rule::NoInstanceType)
    }

    /// Where a pod went in the round that is ending: a node of the cluster.
    pub(crate) fn node_of(&self, pod: usize) -> Option<usize> {
        self.nodes().find(|&node| self.existing.opens[node].pods.contains(&pod))
    }

    /// How the instance types of a new node came down to those that it can be.
    pub(crate) fn launch_steps(&mut self, claim: &Claim) -> (usize, Vec<Step>) {
        let problem = self.problem;
        let dynamic = problem.templates[claim.template].dynamic;
        let ground = self.ground(dynamic);
        let table = &problem.tables[ground.table];
        let mut funnel = Funnel::new(table);
        self.own_rules(&mut funnel, &ground);
        self.requirement_rules(&mut funnel, table, ground.constraint, claim.constraint, |key, wanted| {
            Rule::Requirement { key, wanted }
        });
        let offered = table.offered(&mut self.algebra, claim.constraint);
        funnel.keep_fixed(table, Rule::Offerings, offered);
        self.room_rules(&mut funnel, &ground, &claim.requests, &claim.ports);
        funnel.keep_fixed(table, Rule::Earlier, claim.shapes.clone());
        (table.types.len(), funnel.steps)
    }
}

/// A requirement in words: `In [a, b]`.
pub(crate) fn described(algebra: &Algebra, key: KeyId, requirement: &Requirement) -> String {
    let mut bounds = Vec::new();
    if let Some(bound) = requirement.gte {
        bounds.push(format!(">= {bound}"));
    }
    if let Some(bound) = requirement.lte {
        bounds.push(format!("<= {bound}"));
    }
    let mut values: Vec<Str> =
        requirement.values.iter().map(|value| algebra.value_name(key, value).clone()).collect();
    values.sort();
    let values = shortened(&values);
    if !bounds.is_empty() {
        let excluded = if values.is_empty() { String::new() } else { format!(", NotIn [{values}]") };
        return format!("{}{excluded}", bounds.join(", "));
    }
    match requirement.shape() {
        Shape::In => format!("In [{values}]"),
        Shape::NotIn => format!("NotIn [{values}]"),
        Shape::Exists => "Exists".to_owned(),
        Shape::DoesNotExist => "DoesNotExist".to_owned(),
    }
}
