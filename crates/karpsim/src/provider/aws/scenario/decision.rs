//! A decision of the provider, in the form of the recordings.

use crate::catalogue::{InstanceType, Offering, Overhead, Price};
use crate::compile::types::{allocatable, total};
use crate::kubernetes::labels;
use crate::kubernetes::requests::raw;
use crate::model::core::{NodeSelectorRequirement, ResourceList};
use crate::model::meta::{Labels, Operator, Str};
use crate::provider::aws::errors::LaunchError;
use crate::provider::aws::fleet::{CapacityType, FleetError, Override, TemplateConfig};
use crate::provider::aws::labels as aws_labels;
use crate::provider::aws::launch::{Launch, LaunchedInstance, SentRequest};
use crate::quantity::Quantity;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the provider decides.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum AwsDecision {
    /// The instance types of a node class.
    InstanceTypes(InstanceTypesDecision),
    /// Launches.
    Launches(LaunchesDecision),
}

/// The instance types of a node class, or why it has none.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceTypesDecision {
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_types: Option<Vec<InstanceTypeText>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorText>,
}

impl InstanceTypesDecision {
    pub(super) fn of(types: Vec<InstanceType>) -> Self {
        let instance_types = types.into_iter().map(InstanceTypeText::of).collect();
        InstanceTypesDecision { instance_types: Some(instance_types), error: None }
    }

    pub(super) fn error(message: String) -> Self {
        let error = ErrorText { kind: "Error", reason: None, message };
        InstanceTypesDecision { instance_types: None, error: Some(error) }
    }
}

#[derive(Debug, Clone, Serialize)]
struct ErrorText {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: String,
}

/// Amounts without those that are zero.
type Amounts = BTreeMap<Str, Quantity>;

fn amounts(list: &ResourceList) -> Amounts {
    let all = list.iter().filter(|(_, amount)| !amount.is_zero());
    all.map(|(name, amount)| (name.into(), amount)).collect()
}

#[derive(Debug, Clone, Serialize)]
struct InstanceTypeText {
    name: Str,
    requirements: Vec<RequirementText>,
    capacity: Amounts,
    overhead: OverheadText,
    allocatable: Amounts,
    offerings: Vec<OfferingText>,
}

impl InstanceTypeText {
    fn of(it: InstanceType) -> Self {
        let mut left = allocatable(&raw(&it.capacity), &total(&it.overhead));
        left.retain(|_, amount| !amount.is_zero());
        let mut offerings: Vec<OfferingText> = it.offerings.iter().map(OfferingText::of).collect();
        let key = |offering: &OfferingText| {
            [
                labels::CAPACITY_TYPE,
                labels::ZONE,
                aws_labels::RESERVATION_ID,
                aws_labels::PLACEMENT_GROUP_PARTITION,
            ]
            .map(|key| offering.value(key).cloned())
        };
        offerings.sort_by_key(key);
        InstanceTypeText {
            requirements: requirements(&it.requirements),
            capacity: amounts(&it.capacity),
            overhead: OverheadText::of(&it.overhead),
            allocatable: left,
            offerings,
            name: it.name,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct OverheadText {
    kube_reserved: Amounts,
    system_reserved: Amounts,
    eviction_threshold: Amounts,
}

impl OverheadText {
    fn of(overhead: &Overhead) -> Self {
        OverheadText {
            kube_reserved: amounts(&overhead.kube_reserved),
            system_reserved: amounts(&overhead.system_reserved),
            eviction_threshold: amounts(&overhead.eviction_threshold),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
struct RequirementText {
    key: Str,
    operator: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<Str>,
}

fn requirements(all: &[NodeSelectorRequirement]) -> Vec<RequirementText> {
    let mut texts: Vec<RequirementText> = all
        .iter()
        .map(|requirement| {
            let mut values = requirement.values.clone();
            values.sort();
            let operator = requirement.operator.map_or("", Operator::as_str);
            RequirementText { key: requirement.key.clone(), operator, values }
        })
        .collect();
    texts.sort_by(|a, b| a.key.cmp(&b.key));
    texts
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfferingText {
    requirements: Vec<RequirementText>,
    price: Price,
    available: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation_capacity: Option<i64>,
}

impl OfferingText {
    fn of(offering: &Offering) -> Self {
        let mut text = OfferingText {
            requirements: requirements(&offering.requirements),
            price: offering.price,
            available: offering.available,
            reservation_capacity: None,
        };
        if text.value(labels::CAPACITY_TYPE).is_some_and(|value| value == labels::RESERVED) {
            text.reservation_capacity = Some(offering.reservation_capacity);
        }
        text
    }

    fn value(&self, key: &str) -> Option<&Str> {
        self.requirements.iter().find(|requirement| requirement.key == key)?.values.first()
    }
}

/// Launches, one after the other.
#[derive(Debug, Clone, Serialize)]
pub struct LaunchesDecision {
    pub(super) launches: Vec<LaunchDecision>,
}

/// A launch.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchDecision {
    node_claim: Str,
    #[serde(skip_serializing_if = "Option::is_none")]
    compatible: Option<usize>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rejected: BTreeMap<&'static str, Vec<Str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instance_types: Vec<Str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenancy: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fleets: Vec<FleetText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    launched: Option<LaunchedText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultText>,
    #[serde(skip_serializing_if = "UnavailableText::is_empty")]
    unavailable: UnavailableText,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reservations: BTreeMap<Str, i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorText>,
}

impl LaunchDecision {
    /// `reservations` are the counts that have changed; `price` tells what a pool costs.
    pub(super) fn of(
        node_claim: Str,
        launch: Launch,
        reservations: BTreeMap<Str, i64>,
        price: impl Fn(CapacityType, &Str, &Str) -> f64,
    ) -> Self {
        let (launched, result, error) = match launch.outcome {
            Ok(launched) => {
                let LaunchedInstance { instance, capacity_type, .. } = &launched;
                let text = LaunchedText {
                    capacity_type: capacity_type.as_str(),
                    image: instance.image.clone(),
                    instance_type: instance.instance_type.clone(),
                    price: Price(price(*capacity_type, &instance.instance_type, &instance.zone)),
                    reservation: instance.reservation.clone(),
                    subnet: instance.subnet.clone(),
                    zone: instance.zone.clone(),
                };
                (Some(text), Some(ResultText::of(&launched)), None)
            }
            Err(error) => (None, None, Some(ErrorText::of(&error))),
        };
        LaunchDecision {
            node_claim,
            compatible: launch.compatible,
            rejected: launch.rejected.into_iter().collect(),
            instance_types: launch.instance_types,
            capacity_type: launch.capacity_type.map(CapacityType::as_str),
            tenancy: launch.tenancy,
            fleets: launch.requests.iter().map(FleetText::of).collect(),
            launched,
            result,
            unavailable: UnavailableText {
                offerings: sorted(launch.news.offerings.iter().map(ToString::to_string)),
                capacity_types: sorted(launch.news.capacity_types.iter().map(|it| it.as_str().to_owned())),
                subnets: sorted(launch.news.subnets.iter().map(ToString::to_string)),
            },
            reservations,
            error,
        }
    }
}

impl ErrorText {
    fn of(error: &LaunchError) -> Self {
        ErrorText { kind: error.kind(), reason: error.reason(), message: error.message().to_owned() }
    }
}

fn sorted(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = all.collect();
    all.sort();
    all
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct UnavailableText {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offerings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capacity_types: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subnets: Vec<String>,
}

impl UnavailableText {
    fn is_empty(&self) -> bool {
        self.offerings.is_empty() && self.capacity_types.is_empty() && self.subnets.is_empty()
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct LaunchedText {
    capacity_type: &'static str,
    image: Str,
    instance_type: Str,
    price: Price,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Str>,
    subnet: Str,
    zone: Str,
}

#[derive(Debug, Clone, Serialize)]
struct ResultText {
    labels: BTreeMap<Str, Str>,
    capacity: Amounts,
    allocatable: Amounts,
    image: Str,
}

impl ResultText {
    fn of(launched: &LaunchedInstance) -> Self {
        let labels: &Labels = &launched.labels;
        ResultText {
            labels: labels.iter().map(|(key, value)| (key.into(), value.into())).collect(),
            capacity: amounts(&launched.capacity),
            allocatable: amounts(&launched.allocatable),
            image: launched.instance.image.clone(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FleetText {
    #[serde(rename = "type")]
    kind: &'static str,
    total_target_capacity: i64,
    target_capacity_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    spot_allocation_strategy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_demand_allocation_strategy: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reservation_types: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<Str, Str>,
    configs: Vec<ConfigText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FleetErrorText>,
}

impl FleetText {
    fn of(sent: &SentRequest) -> Self {
        let request = &sent.request;
        let errors = sent.answer.as_ref().map_or(&[][..], |answer| &answer.errors);
        FleetText {
            kind: "instant",
            total_target_capacity: 1,
            target_capacity_type: request.target_capacity_type,
            spot_allocation_strategy: request.spot_strategy,
            on_demand_allocation_strategy: request.on_demand_strategy,
            reservation_types: request.reservation_types.clone(),
            context: request.context.clone(),
            tags: request.tags.iter().map(|(key, value)| (key.into(), value.into())).collect(),
            configs: request.configs.iter().map(ConfigText::of).collect(),
            errors: errors.iter().map(FleetErrorText::of).collect(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigText {
    image: Str,
    max_pods: i64,
    tenancy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement_group: Option<Str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation_preference: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    market_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    network_interfaces: Vec<InterfaceText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<VolumeText>,
    overrides: Vec<(Str, Str, Str, Price)>,
}

#[derive(Debug, Clone, Serialize)]
struct InterfaceText {
    card: i64,
    device: i64,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct VolumeText {
    device: Str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gib: Option<i64>,
}

impl ConfigText {
    fn of(config: &TemplateConfig) -> Self {
        let pool = |pool: &Override| {
            (pool.instance_type.clone(), pool.zone.clone(), pool.subnet.clone(), Price(pool.priority))
        };
        let interfaces = config.network_interfaces.iter();
        let volumes = config.volumes.iter();
        ConfigText {
            image: config.image.clone(),
            max_pods: config.max_pods,
            tenancy: config.tenancy,
            placement_group: config.placement_group.clone(),
            partition: config.partition,
            reservation: config.reservation.clone(),
            reservation_preference: config.reservation_preference,
            market_type: config.market_type,
            network_interfaces: interfaces
                .map(|it| InterfaceText { card: it.card, device: it.device, kind: it.kind })
                .collect(),
            volumes: volumes.map(|it| VolumeText { device: it.device.clone(), gib: it.gib }).collect(),
            overrides: config.overrides.iter().map(pool).collect(),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FleetErrorText {
    code: Str,
    instance_type: Str,
    zone: Str,
    subnet: Str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Str>,
}

impl FleetErrorText {
    fn of(error: &FleetError) -> Self {
        FleetErrorText {
            code: error.code.clone(),
            instance_type: error.instance_type.clone(),
            zone: error.zone.clone(),
            subnet: error.subnet.clone(),
            reservation: error.reservation.clone(),
        }
    }
}
