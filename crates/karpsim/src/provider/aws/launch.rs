//! The launch of a NodeClaim: which request is sent to EC2, and what follows from the answer.
//!
//! The types are not those that core had in mind but all of the node class, as they are now; the NodeClaim's requirements
//! choose among them. The capacity type is decided before EC2 is asked (reserved, else spot, else on demand), and there is
//! no falling back within one launch: what could not be had is remembered, so that the next launch does otherwise.

use super::ami_family::AmiFamily;
use super::candidates::{Asked, Candidate, CandidateOffer, Candidates};
use super::errors::{ApiError, LAUNCH_TEMPLATE_NOT_FOUND, LaunchError};
use super::fleet::{
    CAPACITY_OPTIMIZED_PRIORITIZED, CapacityType, Fleet, FleetAnswer, FleetInstance, FleetRequest,
    PRIORITIZED,
};
use super::labels as aws_labels;
use super::machine::EFA;
use super::memory::{Memory, UnavailableOffering};
use super::node_class::{Ec2NodeClass, ReservationType, Subnet};
use super::region::PARTITION;
use super::resolve::{NodeClassTypes, ReservationOfOffer, ResolveError};
use super::settings::ProviderSettings;
use super::templates::Terms;
use crate::catalogue::Overhead;
use crate::compile::overlays::Changes;
use crate::compile::types::{allocatable, constraint_of, total};
use crate::kubernetes::labels::{self};
use crate::kubernetes::requests::{RawAmounts, raw};
use crate::label_rules::LabelRules;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::karpenter::{NodeOverlay, NodePool, RequirementWithMinValues};
use crate::model::meta::{Labels, Operator, Str};
use crate::quantity::Quantity;
use crate::requirements::{Algebra, ConstraintId, KeyId, Requirement, Undefined};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A NodeClaim, as far as the provider looks at it.
#[derive(Debug, Clone)]
pub struct ClaimToLaunch<'a> {
    /// The name of its node class.
    pub node_class: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
    /// Its annotations.
    pub annotations: &'a Labels,
    /// What its node can be.
    pub requirements: &'a [RequirementWithMinValues],
    /// What its pods ask for.
    pub requests: &'a ResourceList,
}

/// A request that was sent, and how it was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRequest {
    /// The request.
    pub request: FleetRequest,
    /// The answer.
    pub answer: Result<FleetAnswer, ApiError>,
}

/// The instance of a NodeClaim, and what its status becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchedInstance {
    /// What EC2 chose.
    pub instance: FleetInstance,
    /// Its capacity type.
    pub capacity_type: CapacityType,
    /// Labels that the provider knows. Core lays the NodeClaim's own over them.
    pub labels: Labels,
    /// All it has.
    pub capacity: ResourceList,
    /// What pods can have.
    pub allocatable: ResourceList,
}

/// What was not known before to be unavailable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Offerings.
    pub offerings: BTreeSet<UnavailableOffering>,
    /// Capacity types.
    pub capacity_types: BTreeSet<CapacityType>,
    /// Subnets.
    pub subnets: BTreeSet<Str>,
}

/// How a launch went, step by step. Steps that were not reached are empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// How many types the NodeClaim could be.
    pub compatible: Option<usize>,
    /// What each filter took away.
    pub rejected: Vec<(&'static str, Vec<Str>)>,
    /// The types that are left, in order.
    pub instance_types: Vec<Str>,
    /// The capacity type that was chosen.
    pub capacity_type: Option<CapacityType>,
    /// The tenancy that was chosen.
    pub tenancy: Option<&'static str>,
    /// Requests.
    pub requests: Vec<SentRequest>,
    /// What became of it.
    pub outcome: Result<LaunchedInstance, LaunchError>,
    /// What was learnt.
    pub news: News,
}

/// An instance type, compiled.
struct CompiledType {
    constraint: ConstraintId,
    offerings: Vec<ConstraintId>,
    /// Kept from its capacity.
    overhead: RawAmounts,
}

/// Launches NodeClaims of a node class.
///
/// Made once for a node class; what changes from launch to launch is in [`Memory`].
pub struct Launcher {
    class: Arc<Ec2NodeClass>,
    settings: ProviderSettings,
    ready: Result<Ready, ResolveError>,
}

/// The instance types of a node class, compiled.
struct Ready {
    family: AmiFamily,
    types: NodeClassTypes,
    rules: LabelRules,
    algebra: Algebra,
    compiled: Vec<CompiledType>,
    images: Vec<(Str, ConstraintId)>,
    overlays: Changes,
    capacity_type: KeyId,
    zone: KeyId,
    partition: KeyId,
    tenancy: KeyId,
}

impl Launcher {
    /// A launcher for `class`, whose instance types are `types`. `overlays` are NodeOverlays and the NodePools that they
    /// apply to, if the feature gate is on.
    pub fn new(
        class: Arc<Ec2NodeClass>,
        types: Result<NodeClassTypes, ResolveError>,
        settings: ProviderSettings,
        overlays: Option<(&[NodePool], &[NodeOverlay])>,
    ) -> Self {
        let ready = types.and_then(|types| Ok(Ready::new(&class, class.ami_family()?, types, overlays)));
        Launcher { class, settings, ready }
    }

    /// The instance types as they are now.
    ///
    /// # Errors
    ///
    /// If the node class has none.
    pub fn types(&self) -> Result<&NodeClassTypes, &ResolveError> {
        self.ready.as_ref().map(|ready| &ready.types)
    }

    /// Launches `claim`.
    pub fn launch(
        &mut self,
        claim: &ClaimToLaunch<'_>,
        memory: &mut Memory,
        now_nanos: i64,
        fleet: &mut dyn Fleet,
    ) -> Launch {
        let mut launch = Launch {
            compatible: None,
            rejected: Vec::new(),
            instance_types: Vec::new(),
            capacity_type: None,
            tenancy: None,
            requests: Vec::new(),
            outcome: Err(LaunchError::insufficient("")),
            news: News::default(),
        };
        launch.outcome = self.attempt(claim, memory, now_nanos, fleet, &mut launch);
        launch
    }

    fn attempt(
        &mut self,
        claim: &ClaimToLaunch<'_>,
        memory: &mut Memory,
        now_nanos: i64,
        fleet: &mut dyn Fleet,
        launch: &mut Launch,
    ) -> Result<LaunchedInstance, LaunchError> {
        check_node_class(&self.class, claim.node_class)?;
        let ready = self.ready.as_mut().map_err(|error| LaunchError::Create {
            reason: "InstanceTypeResolutionFailed",
            message: error.to_string(),
        })?;
        let asked = ready.asked(claim);
        let compatible = ready.compatible(claim, asked, memory, now_nanos);
        launch.compatible = Some(compatible.len());
        let none_left = || LaunchError::insufficient("no instance type that is left can be had");
        if compatible.is_empty() {
            return Err(none_left());
        }
        let Ready { algebra, types, compiled, .. } = ready;
        let mut candidates = Candidates { types, left: compatible };
        launch.rejected = candidates.filter(Asked {
            on_demand: has(algebra, asked, ready.capacity_type, labels::ON_DEMAND),
            spot: has(algebra, asked, ready.capacity_type, labels::SPOT),
            reserved: has(algebra, asked, ready.capacity_type, labels::RESERVED),
            min_values: algebra.has_min_values(asked),
        });
        if candidates.left.is_empty() {
            return Err(none_left());
        }
        candidates.truncate();
        if !self.settings.relaxes_min_values && !keeps_min_values(algebra, compiled, asked, &candidates) {
            return Err(LaunchError::insufficient(
                "minValues do not hold among the instance types that a request can name",
            ));
        }
        launch.instance_types = candidates.names();

        let capacity_type = capacity_type(algebra, compiled, asked, ready.capacity_type, &candidates);
        let tenancy = if has(algebra, asked, ready.tenancy, "default")
            || !has(algebra, asked, ready.tenancy, "dedicated")
        {
            "default"
        } else {
            "dedicated"
        };
        (launch.capacity_type, launch.tenancy) = (Some(capacity_type), Some(tenancy));

        // Excluded partitions count like allowed ones: it is the values that are looked at.
        let mut partitions: Vec<Str> =
            algebra.of(asked, ready.partition).map_or_else(Vec::new, |requirement| {
                requirement
                    .values
                    .iter()
                    .map(|value| algebra.value_name(ready.partition, value).clone())
                    .collect()
            });
        partitions.sort();
        let mut attempt = Attempt {
            class: &self.class,
            settings: &self.settings,
            family: ready.family,
            claim,
            algebra,
            compiled,
            images: &ready.images,
            capacity_type_key: ready.capacity_type,
            zone_key: ready.zone,
            candidates,
            asked,
            capacity_type,
            tenancy,
            partition: partitions.into_iter().next(),
            now_nanos,
        };
        let mut launched = attempt.send(memory, fleet, launch);
        if matches!(&launched, Err(Failure::Api(error)) if error.code == LAUNCH_TEMPLATE_NOT_FOUND) {
            // Karpenter had the template in its cache; now it makes a new one.
            launched = attempt.send(memory, fleet, launch);
        }
        let instance = launched.map_err(|failure| match failure {
            Failure::Api(error) => LaunchError::told_by(error.to_string()),
            Failure::Launch(error) => error,
        })?;
        let launched = attempt.launched(instance);
        if capacity_type == CapacityType::Reserved
            && let Some(reservation) = launched.labels.get(aws_labels::RESERVATION_ID)
        {
            memory.launched_into(reservation);
        }
        Ok(launched)
    }
}

/// Whether the node class is there, ready, and has no tags that Karpenter sets itself.
fn check_node_class(class: &Ec2NodeClass, asked: &str) -> Result<(), LaunchError> {
    if class.metadata.name != asked || class.metadata.deletion_timestamp.is_some() {
        return Err(LaunchError::insufficient(format!(
            "there is no EC2NodeClass `{asked}`, or it is being deleted"
        )));
    }
    let conditions = class.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let ready = conditions.iter().find(|condition| condition.kind == "Ready");
    match ready.map(|ready| (ready.status.as_str(), ready)) {
        Some(("False", ready)) => {
            return Err(LaunchError::NodeClassNotReady { message: ready.message.to_string() });
        }
        Some(("True", ready)) if ready.observed_generation != class.metadata.generation => {
            return Err(LaunchError::NodeClassNotReady {
                message: "its status speaks of an older generation of it".to_owned(),
            });
        }
        Some(("True", _)) => {}
        _ => {
            return Err(LaunchError::Create {
                reason: "NodeClassReadinessUnknown",
                message: format!("the condition Ready of EC2NodeClass `{asked}` is Unknown"),
            });
        }
    }
    match class.spec.tags.iter().map(|(key, _)| key).find(|key| is_restricted_tag(key)) {
        Some(tag) => {
            Err(LaunchError::NodeClassNotReady { message: format!("the tag `{tag}` is Karpenter's own") })
        }
        None => Ok(()),
    }
}

/// Tags that Karpenter sets itself.
fn is_restricted_tag(key: &str) -> bool {
    let own = [
        "karpenter.sh/nodepool",
        "eks:eks-cluster-name",
        "karpenter.k8s.aws/ec2nodeclass",
        "karpenter.sh/nodeclaim",
    ];
    let cluster = key.strip_prefix("kubernetes.io/cluster/");
    let is_cluster_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    own.contains(&key) || cluster.is_some_and(is_cluster_name)
}

impl Ready {
    fn new(
        class: &Ec2NodeClass,
        family: AmiFamily,
        types: NodeClassTypes,
        overlays: Option<(&[NodePool], &[NodeOverlay])>,
    ) -> Self {
        let rules = aws_labels::rules();
        let mut algebra = Algebra::default();
        let compiled = types
            .types
            .iter()
            .map(|it| CompiledType {
                constraint: constraint_of(&mut algebra, &rules, &it.instance_type.requirements),
                offerings: it
                    .instance_type
                    .offerings
                    .iter()
                    .map(|offering| constraint_of(&mut algebra, &rules, &offering.requirements))
                    .collect(),
                overhead: total(&it.instance_type.overhead),
            })
            .collect();
        let images = class
            .images()
            .iter()
            .map(|image| (image.id.clone(), constraint_of(&mut algebra, &rules, &image.requirements)))
            .collect();
        let overlays = overlays.map_or_else(Changes::default, |(pools, overlays)| {
            let mut catalogue = aws_labels::catalogue("");
            catalogue.instance_types =
                types.types.iter().map(|it| Arc::new(it.instance_type.clone())).collect();
            Changes::new(&mut algebra, &rules, &catalogue, pools, overlays)
        });
        let [capacity_type, zone, partition, tenancy] = [
            labels::CAPACITY_TYPE,
            labels::ZONE,
            aws_labels::PLACEMENT_GROUP_PARTITION,
            aws_labels::INSTANCE_TENANCY,
        ]
        .map(|key| algebra.key(key, |name| rules.is_well_known(name)));
        Ready {
            family,
            types,
            rules,
            algebra,
            compiled,
            images,
            overlays,
            capacity_type,
            zone,
            partition,
            tenancy,
        }
    }

    /// The requirements of a NodeClaim, compiled.
    fn asked(&mut self, claim: &ClaimToLaunch<'_>) -> ConstraintId {
        let mut requirements: Vec<(KeyId, Requirement)> = Vec::with_capacity(claim.requirements.len());
        for requirement in claim.requirements {
            let rules = &self.rules;
            let key = self.algebra.key(rules.normalize(&requirement.key), |name| rules.is_well_known(name));
            let operator = requirement.operator.unwrap_or(Operator::Exists);
            let min_values = requirement.min_values.and_then(|least| u32::try_from(least).ok());
            requirements
                .push((key, self.algebra.requirement(key, operator, &requirement.values, min_values)));
        }
        self.algebra.constraint(requirements)
    }

    /// The types that the claim can be, with an offering to be had that has room for its pods.
    fn compatible(
        &mut self,
        claim: &ClaimToLaunch<'_>,
        asked: ConstraintId,
        memory: &Memory,
        now_nanos: i64,
    ) -> Vec<Candidate> {
        let requests = raw(claim.requests);
        let pool = claim.labels.get(labels::NODE_POOL).unwrap_or_default();
        let mut candidates = Vec::new();
        for (of, (it, compiled)) in self.types.types.iter().zip(&self.compiled).enumerate() {
            if !self.algebra.compatible(asked, compiled.constraint, Undefined::WellKnownAllowed) {
                continue;
            }
            let capacity = self.overlays.capacity(pool, of, &it.instance_type.capacity);
            let mut offers = Vec::with_capacity(it.offers.len());
            let mut has_room = false;
            let base_fits = fits(&requests, &allocatable(&capacity, &compiled.overhead));
            for (at, (offer, &constraint)) in it.offers.iter().zip(&compiled.offerings).enumerate() {
                let offering = &it.instance_type.offerings[at];
                let overlaid = self.overlays.price(pool, of, constraint, offering.price.0);
                let is_compatible = self.algebra.compatible(asked, constraint, Undefined::WellKnownAllowed);
                let state = self.types.state(it, offer, memory, now_nanos);
                if state.0 && is_compatible && !has_room {
                    // An offering whose price an overlay has changed is made anew, and has no capacity of its own.
                    let own = (&offering.capacity_override, offering.overhead_override.as_ref());
                    has_room = if overlaid.is_some() || (own.0.is_empty() && own.1.is_none()) {
                        base_fits
                    } else {
                        fits(&requests, &allocatable_with(&capacity, &compiled.overhead, own))
                    };
                }
                let price = overlaid.unwrap_or(offering.price.0);
                offers.push(CandidateOffer::new(at, price, state, is_compatible));
            }
            if has_room {
                candidates.push(Candidate { of, capacity, offers });
            }
        }
        candidates
    }
}

/// What pods can have of an offering with capacity or overhead of its own.
fn allocatable_with(
    capacity: &RawAmounts,
    overhead: &RawAmounts,
    (more, kept): (&ResourceList, Option<&Overhead>),
) -> RawAmounts {
    let mut capacity = capacity.clone();
    crate::kubernetes::requests::add(&mut capacity, &raw(more));
    let mut overhead = overhead.clone();
    if let Some(kept) = kept {
        crate::kubernetes::requests::add(&mut overhead, &total(kept));
    }
    allocatable(&capacity, &overhead)
}

/// Whether there is room. Where anything is less than nothing there is none.
fn fits(requests: &RawAmounts, allocatable: &RawAmounts) -> bool {
    allocatable.values().all(|amount| !amount.is_negative())
        && requests
            .iter()
            .all(|(name, amount)| *amount <= allocatable.get(name).copied().unwrap_or(Quantity::ZERO))
}

/// Whether `asked` allows a label to have a value.
fn has(algebra: &Algebra, asked: ConstraintId, key: KeyId, value: &str) -> bool {
    let Some(requirement) = algebra.of(asked, key) else { return true };
    match algebra.find_value(key, value) {
        Some(value) => requirement.has(value, algebra.integers(key)),
        None => requirement.has_unnamed(),
    }
}

/// Whether each requirement with `minValues` finds so many values among the candidates.
fn keeps_min_values(
    algebra: &Algebra,
    compiled: &[CompiledType],
    asked: ConstraintId,
    candidates: &Candidates<'_>,
) -> bool {
    algebra.requirements(asked).iter().all(|&(key, requirement)| {
        let Some(least) = algebra.get(requirement).min_values else { return true };
        let values: BTreeSet<_> = candidates
            .left
            .iter()
            .filter_map(|candidate| algebra.of(compiled[candidate.of].constraint, key))
            .flat_map(|requirement| requirement.values.iter())
            .collect();
        values.len() >= least as usize
    })
}

/// Reserved if it is allowed and to be had, else spot likewise, else on demand, to be had or not.
fn capacity_type(
    algebra: &mut Algebra,
    compiled: &[CompiledType],
    asked: ConstraintId,
    key: KeyId,
    candidates: &Candidates<'_>,
) -> CapacityType {
    for capacity_type in [CapacityType::Reserved, CapacityType::Spot] {
        if !has(algebra, asked, key, capacity_type.as_str()) {
            continue;
        }
        let narrowed = narrowed(algebra, asked, key, capacity_type);
        for candidate in &candidates.left {
            for offer in candidate.offers.iter().filter(|offer| offer.available) {
                let offering = compiled[candidate.of].offerings[offer.at];
                if algebra.compatible(narrowed, offering, Undefined::WellKnownAllowed) {
                    return capacity_type;
                }
            }
        }
    }
    CapacityType::OnDemand
}

/// `asked` with a capacity type instead of those that it allows.
fn narrowed(
    algebra: &mut Algebra,
    asked: ConstraintId,
    key: KeyId,
    capacity_type: CapacityType,
) -> ConstraintId {
    let value = algebra.value(key, capacity_type.as_str());
    algebra.with(asked, key, Requirement::any_of([value]))
}

/// Why one attempt failed.
enum Failure {
    /// CreateFleet was refused as a whole.
    Api(ApiError),
    /// Anything else.
    Launch(LaunchError),
}

/// One launch, once it is decided what to ask for.
struct Attempt<'a, 'c> {
    class: &'a Ec2NodeClass,
    settings: &'a ProviderSettings,
    family: AmiFamily,
    claim: &'a ClaimToLaunch<'c>,
    algebra: &'a mut Algebra,
    compiled: &'a [CompiledType],
    images: &'a [(Str, ConstraintId)],
    capacity_type_key: KeyId,
    zone_key: KeyId,
    candidates: Candidates<'a>,
    asked: ConstraintId,
    capacity_type: CapacityType,
    tenancy: &'static str,
    /// The partition of the placement group that the claim names first.
    partition: Option<Str>,
    now_nanos: i64,
}

impl Attempt<'_, '_> {
    /// Sends one request and learns from the answer.
    fn send(
        &mut self,
        memory: &mut Memory,
        fleet: &mut dyn Fleet,
        launch: &mut Launch,
    ) -> Result<FleetInstance, Failure> {
        let subnets = self.take_subnets(memory);
        let request = self.request(&subnets).map_err(Failure::Launch)?;
        let answer = fleet.create(&request);
        self.give_back_subnets(memory, &subnets, &request, answer.as_ref().ok());
        launch.requests.push(SentRequest { request, answer: answer.clone() });
        let answer = answer.map_err(Failure::Api)?;
        self.learn(&answer, memory, &mut launch.news);
        answer.instance.clone().ok_or_else(|| Failure::Launch(failed(&answer)))
    }

    /// One subnet in each zone: that with most free addresses, among equals the first. So many addresses as the smallest
    /// type takes are expected to be used in each.
    fn take_subnets(&mut self, memory: &mut Memory) -> BTreeMap<Str, TakenSubnet> {
        let mut chosen: BTreeMap<Str, Subnet> = BTreeMap::new();
        for subnet in self.class.subnets() {
            let is_better = chosen
                .get(&subnet.zone)
                .is_none_or(|known| memory.free_addresses(&subnet.id) > memory.free_addresses(&known.id));
            if is_better {
                chosen.insert(subnet.zone.clone(), subnet.clone());
            }
        }
        let mut taken = BTreeMap::new();
        for (zone, subnet) in chosen {
            let addresses = self.least_pods(&zone);
            let told_at_launch = memory.told_addresses(&subnet.id);
            memory.take_addresses(&subnet.id, addresses);
            taken.insert(zone, TakenSubnet { subnet, told_at_launch, addresses });
        }
        taken
    }

    /// The least pods among the types that can be had in a zone with the capacity type.
    fn least_pods(&mut self, zone: &str) -> i64 {
        let zone_value = self.algebra.value(self.zone_key, zone);
        let capacity_type = self.algebra.value(self.capacity_type_key, self.capacity_type.as_str());
        let wanted = self.algebra.constraint([
            (self.zone_key, Requirement::any_of([zone_value])),
            (self.capacity_type_key, Requirement::any_of([capacity_type])),
        ]);
        let mut least = None;
        for candidate in &self.candidates.left {
            let offerings = &self.compiled[candidate.of].offerings;
            let algebra = &mut *self.algebra;
            let can_be_had =
                candidate.offers.iter().filter(|offer| offer.available).any(|offer| {
                    algebra.compatible(wanted, offerings[offer.at], Undefined::WellKnownAllowed)
                });
            if can_be_had {
                let pods = candidate.count("pods");
                least = Some(least.map_or(pods, |least: i64| least.min(pods)));
            }
        }
        least.unwrap_or(0)
    }

    /// Subnets that the request named and EC2 did not choose lose nothing. Those that it did not name do.
    fn give_back_subnets(
        &self,
        memory: &mut Memory,
        taken: &BTreeMap<Str, TakenSubnet>,
        request: &FleetRequest,
        answer: Option<&FleetAnswer>,
    ) {
        let named: BTreeSet<&Str> = request.pools().map(|(_, pool)| &pool.subnet).collect();
        let chosen = answer.and_then(|answer| answer.instance.as_ref()).map(|instance| &instance.subnet);
        for taken in taken.values() {
            if named.contains(&taken.subnet.id) && chosen != Some(&taken.subnet.id) {
                memory.give_back_addresses(&taken.subnet.id, taken.told_at_launch, taken.addresses);
            }
        }
    }

    fn request(&mut self, taken: &BTreeMap<Str, TakenSubnet>) -> Result<FleetRequest, LaunchError> {
        if self.class.security_groups().is_empty() {
            return Err(LaunchError::told_by(
                "no security groups in the status of the node class".to_owned(),
            ));
        }
        let Some(images) = self.images_of_candidates() else {
            return Err(LaunchError::told_by("no image is for any of the instance types".to_owned()));
        };
        let subnets = taken.iter().map(|(zone, taken)| (zone.clone(), taken.subnet.clone())).collect();
        let group = self.candidates.types.placement_group.as_ref();
        let terms = Terms {
            class: self.class,
            family: self.family,
            capacity_type: self.capacity_type,
            tenancy: self.tenancy,
            placement_group: group.map(|group| group.id.clone()),
            partition: group
                .filter(|group| group.strategy == PARTITION)
                .and(self.partition.as_deref())
                .and_then(|partition| partition.parse().ok())
                .filter(|partition| *partition != 0),
            wants_efa: self.claim.requests.get(EFA).is_some(),
            reserved_capacity: self.settings.reserved_capacity,
            subnets: &subnets,
        };
        let narrowed = narrowed(self.algebra, self.asked, self.capacity_type_key, self.capacity_type);
        let allowed = self.allowed(narrowed);
        let configs = terms.templates(
            &self.candidates,
            |candidate| images.get(&candidate.of).cloned(),
            |candidate, at| allowed.contains(&(candidate.of, at)),
        );
        if configs.is_empty() {
            return Err(LaunchError::told_by("no pool can be had now".to_owned()));
        }
        Ok(self.request_of(configs))
    }

    /// The image of each type: the first that is for it. `None`: there is none for any.
    fn images_of_candidates(&mut self) -> Option<BTreeMap<usize, Str>> {
        let mut found = BTreeMap::new();
        for candidate in &self.candidates.left {
            let labels = self.compiled[candidate.of].constraint;
            let algebra = &mut *self.algebra;
            let image =
                self.images.iter().find(|(_, wanted)| algebra.compatible(labels, *wanted, Undefined::Denied));
            if let Some((image, _)) = image {
                found.insert(candidate.of, image.clone());
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// Offerings that `narrowed` allows, by type and place.
    fn allowed(&mut self, narrowed: ConstraintId) -> BTreeSet<(usize, usize)> {
        let mut allowed = BTreeSet::new();
        for candidate in &self.candidates.left {
            for offer in &candidate.offers {
                let offering = self.compiled[candidate.of].offerings[offer.at];
                if self.algebra.compatible(narrowed, offering, Undefined::WellKnownAllowed) {
                    allowed.insert((candidate.of, offer.at));
                }
            }
        }
        allowed
    }

    fn request_of(&self, configs: Vec<super::fleet::TemplateConfig>) -> FleetRequest {
        let overlaid = self.claim.annotations.get(aws_labels::PRICE_OVERLAY_APPLIED).is_some();
        let relaxed = self.claim.annotations.get(aws_labels::MIN_VALUES_RELAXED) == Some("true");
        let reservation =
            (self.capacity_type == CapacityType::Reserved).then(|| self.first_reservation()).flatten();
        let mut request = FleetRequest {
            capacity_type: self.capacity_type,
            target_capacity_type: self.capacity_type.as_str(),
            spot_strategy: None,
            on_demand_strategy: None,
            reservation_types: Vec::new(),
            context: self.class.spec.context.clone().filter(|_| !relaxed),
            tags: self.class.spec.tags.clone(),
            configs,
        };
        let on_demand_strategy = if overlaid { PRIORITIZED } else { "lowest-price" };
        match reservation.map(|of| (of.kind, of.interruptible)) {
            Some((ReservationType::CapacityBlock, _)) => request.target_capacity_type = "capacity-block",
            Some((ReservationType::Default, true)) => {
                request.target_capacity_type = "reserved-capacity";
                request.reservation_types.push("interruptible-capacity-reservation");
            }
            Some((ReservationType::Default, false)) => {
                request.target_capacity_type = labels::ON_DEMAND;
                request.on_demand_strategy = Some(on_demand_strategy);
            }
            None if self.capacity_type == CapacityType::Spot => {
                let strategy =
                    if overlaid { CAPACITY_OPTIMIZED_PRIORITIZED } else { "price-capacity-optimized" };
                request.spot_strategy = Some(strategy);
            }
            None => request.on_demand_strategy = Some(on_demand_strategy),
        }
        request
    }

    /// The reservation of the first offering; all of a launch are of one kind.
    fn first_reservation(&self) -> Option<&ReservationOfOffer> {
        let candidates = &self.candidates;
        let mut offers = candidates.left.iter().flat_map(|candidate| {
            candidate.offers.iter().map(move |offer| candidates.offer(candidate, offer))
        });
        offers.next()?.reservation.as_ref()
    }

    /// Remembers what was refused, whether or not an instance came.
    fn learn(&self, answer: &FleetAnswer, memory: &mut Memory, news: &mut News) {
        let now_nanos = self.now_nanos;
        for error in answer.errors.iter().filter(|error| error.lacks_addresses() && !error.subnet.is_empty())
        {
            if memory.mark_subnet(error.subnet.clone(), now_nanos) {
                news.subnets.insert(error.subnet.clone());
            }
            memory.set_free_addresses(error.subnet.clone(), 0);
        }
        if self.capacity_type == CapacityType::Reserved {
            let used_up: BTreeSet<Str> = answer
                .errors
                .iter()
                .filter(|error| error.lacks_capacity() && !error.is_limit_of_spread_group())
                .filter_map(|error| self.reservation_in(&error.instance_type, &error.zone))
                .map(|reservation| reservation.id.clone())
                .collect();
            memory.use_up(&used_up);
            return;
        }
        let group = self.candidates.types.placement_group.as_ref().map(|group| group.id.clone());
        let mut mark = |instance_type: &Str, zone: &Str, partition: Option<&Str>| {
            let offering = UnavailableOffering {
                capacity_type: self.capacity_type,
                instance_type: instance_type.clone(),
                zone: zone.clone(),
                placement_group: group.clone().unwrap_or_default(),
                partition: partition.filter(|_| group.is_some()).cloned().unwrap_or_default(),
            };
            if memory.mark_offering(offering.clone(), now_nanos) {
                news.offerings.insert(offering);
            }
        };
        for error in answer.errors.iter().filter(|error| error.lacks_capacity()) {
            if error.is_limit_of_spread_group() && group.is_some() {
                // The group takes no more in this zone, of whatever type.
                for candidate in &self.candidates.left {
                    mark(self.candidates.name(candidate), &error.zone, None);
                }
            } else {
                mark(&error.instance_type, &error.zone, self.partition.as_ref());
            }
        }
        if answer.errors.iter().any(|error| error.lacks_service_linked_role())
            && memory.mark_capacity_type(CapacityType::Spot, now_nanos)
        {
            news.capacity_types.insert(CapacityType::Spot);
        }
    }

    /// The one reservation of a type in a zone that is left after the filters.
    fn reservation_in(&self, instance_type: &Str, zone: &Str) -> Option<&ReservationOfOffer> {
        let candidates = &self.candidates;
        let candidate =
            candidates.left.iter().find(|candidate| candidates.name(candidate) == instance_type)?;
        let mut offers = candidate.offers.iter().map(|offer| candidates.offer(candidate, offer));
        offers.find(|offer| offer.reservation.is_some() && offer.zone == *zone)?.reservation.as_ref()
    }

    /// What the NodeClaim's status becomes.
    fn launched(&self, instance: FleetInstance) -> LaunchedInstance {
        let candidates = &self.candidates;
        let candidate =
            candidates.left.iter().find(|candidate| *candidates.name(candidate) == instance.instance_type);
        let Some(candidate) = candidate else {
            // EC2 took a type that was not asked for: nothing is known of it.
            return LaunchedInstance {
                instance,
                capacity_type: self.capacity_type,
                labels: Labels::default(),
                capacity: ResourceList::default(),
                allocatable: ResourceList::default(),
            };
        };
        let has_efa = (self.claim.requests.get(EFA).is_some()
            || self.class.spec.network_interfaces.is_some())
            && candidate.count(EFA) > 0;
        let shown = |amounts: &RawAmounts| -> ResourceList {
            let all = amounts.iter().map(|(name, amount)| (name.clone(), *amount));
            all.filter(|(name, amount)| !amount.is_zero() && (name != EFA || has_efa)).collect()
        };
        let left = allocatable(&candidate.capacity, &self.compiled[candidate.of].overhead);
        LaunchedInstance {
            labels: self.labels(&candidates.resolved(candidate).instance_type.requirements, &instance),
            capacity: shown(&candidate.capacity),
            allocatable: shown(&left),
            capacity_type: self.capacity_type,
            instance,
        }
    }

    fn labels(&self, of_type: &[NodeSelectorRequirement], instance: &FleetInstance) -> Labels {
        let mut labels: Labels = of_type
            .iter()
            .filter(|requirement| !aws_labels::RESERVATION.contains(&requirement.key.as_str()))
            .filter_map(|requirement| match (requirement.operator, requirement.values.as_slice()) {
                (Some(Operator::In), [value]) => Some((requirement.key.clone(), value.clone())),
                _ => None,
            })
            .collect();
        labels.insert(labels::ZONE, instance.zone.clone());
        let subnet = self.class.subnets().iter().find(|subnet| subnet.zone == instance.zone);
        if let Some(subnet) = subnet.filter(|subnet| !subnet.zone_id.is_empty()) {
            labels.insert(aws_labels::ZONE_ID, subnet.zone_id.clone());
        }
        labels.insert(labels::CAPACITY_TYPE, self.capacity_type.as_str());
        labels.insert(aws_labels::INSTANCE_TENANCY, self.tenancy);
        let reservation = self.reservation_in(&instance.instance_type, &instance.zone);
        if let Some(reservation) = reservation.filter(|_| self.capacity_type == CapacityType::Reserved) {
            labels.insert(aws_labels::RESERVATION_ID, reservation.id.clone());
            labels.insert(aws_labels::RESERVATION_TYPE, reservation.kind.as_str());
            labels.insert(aws_labels::RESERVATION_INTERRUPTIBLE, reservation.interruptible.to_string());
        }
        if let Some(group) = &self.candidates.types.placement_group {
            labels.insert(aws_labels::PLACEMENT_GROUP_ID, group.id.clone());
            if group.strategy == PARTITION {
                // Where no partition was asked for, the node's registration fills it in.
                labels.insert(
                    aws_labels::PLACEMENT_GROUP_PARTITION,
                    self.partition.clone().unwrap_or_default(),
                );
            }
        }
        labels.insert(labels::NODE_POOL, self.claim.labels.get(labels::NODE_POOL).unwrap_or_default());
        labels
    }
}

/// A subnet of which addresses are expected to be used.
struct TakenSubnet {
    subnet: Subnet,
    told_at_launch: i64,
    addresses: i64,
}

/// Why there is no instance, by the errors of all pools together.
fn failed(answer: &FleetAnswer) -> LaunchError {
    let codes: BTreeSet<String> =
        answer.errors.iter().map(|error| format!("{}: {}", error.code, error.message)).collect();
    let text = codes.into_iter().collect::<Vec<_>>().join("; ");
    if answer.errors.iter().all(|error| error.lacks_capacity() || error.lacks_service_linked_role()) {
        LaunchError::insufficient(text)
    } else {
        LaunchError::told_by(text)
    }
}
