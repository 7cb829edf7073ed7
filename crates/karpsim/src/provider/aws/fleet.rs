//! CreateFleet: what is asked of EC2, and what it answers.

use super::errors::ApiError;
use crate::kubernetes::labels;
use crate::model::meta::{Labels, Str};

/// How capacity is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapacityType {
    /// On demand.
    OnDemand,
    /// Reserved beforehand.
    Reserved,
    /// Spot.
    Spot,
}

impl CapacityType {
    /// All of them.
    pub const ALL: [CapacityType; 3] = [CapacityType::OnDemand, CapacityType::Reserved, CapacityType::Spot];

    /// The value of `karpenter.sh/capacity-type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            CapacityType::OnDemand => labels::ON_DEMAND,
            CapacityType::Reserved => labels::RESERVED,
            CapacityType::Spot => labels::SPOT,
        }
    }

    /// The capacity type of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capacity_type| capacity_type.as_str() == name)
    }
}

/// A pool that may be taken from: a type in a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Instance type.
    pub instance_type: Str,
    /// Zone.
    pub zone: Str,
    /// The subnet in that zone.
    pub subnet: Str,
    /// Its price to Karpenter, in dollars an hour; counts only with prioritised strategies.
    pub priority: f64,
}

/// A network interface of a launch template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateInterface {
    /// Network card.
    pub card: i64,
    /// Place on the card.
    pub device: i64,
    /// `interface`, `efa`, `efa-only`.
    pub kind: &'static str,
}

/// A volume of a launch template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVolume {
    /// Device.
    pub device: Str,
    /// Size in GiB; absent: that of its snapshot.
    pub gib: Option<i64>,
}

/// A launch template, and the pools that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateConfig {
    /// Machine image.
    pub image: Str,
    /// The most pods that the kubelet takes.
    pub max_pods: i64,
    /// Tenancy.
    pub tenancy: &'static str,
    /// Placement group.
    pub placement_group: Option<Str>,
    /// Partition in it.
    pub partition: Option<i64>,
    /// The reservation to launch into.
    pub reservation: Option<Str>,
    /// Whether reservations may be used.
    pub reservation_preference: Option<&'static str>,
    /// Market, if it is a special one.
    pub market_type: Option<&'static str>,
    /// Network interfaces, if the node class or EFA wants them.
    pub network_interfaces: Vec<TemplateInterface>,
    /// Volumes.
    pub volumes: Vec<TemplateVolume>,
    /// Pools, in order.
    pub overrides: Vec<Override>,
}

/// A request for one instance, at once.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetRequest {
    /// Capacity type that Karpenter wants.
    pub capacity_type: CapacityType,
    /// `on-demand`, `spot`, `reserved-capacity`, `capacity-block`.
    pub target_capacity_type: &'static str,
    /// How a spot pool is chosen.
    pub spot_strategy: Option<&'static str>,
    /// How another pool is chosen.
    pub on_demand_strategy: Option<&'static str>,
    /// Kinds of reservations to be used.
    pub reservation_types: Vec<&'static str>,
    /// The node class's context.
    pub context: Option<Str>,
    /// The node class's tags. Karpenter's own come on top of them.
    pub tags: Labels,
    /// Launch templates.
    pub configs: Vec<TemplateConfig>,
}

/// Strategies in which the priorities decide.
pub(super) const PRIORITIZED: &str = "prioritized";
pub(super) const CAPACITY_OPTIMIZED_PRIORITIZED: &str = "capacity-optimized-prioritized";

impl FleetRequest {
    /// Whether priorities rather than EC2's prices decide.
    pub fn is_prioritized(&self) -> bool {
        self.on_demand_strategy == Some(PRIORITIZED)
            || self.spot_strategy == Some(CAPACITY_OPTIMIZED_PRIORITIZED)
    }

    /// Every pool, with its launch template.
    pub fn pools(&self) -> impl Iterator<Item = (&TemplateConfig, &Override)> {
        self.configs.iter().flat_map(|config| config.overrides.iter().map(move |pool| (config, pool)))
    }
}

/// Why a pool did not take the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetError {
    /// EC2's code.
    pub code: Str,
    /// EC2's words.
    pub message: String,
    /// Instance type of the pool.
    pub instance_type: Str,
    /// Its zone.
    pub zone: Str,
    /// Its subnet.
    pub subnet: Str,
    /// The reservation that its launch template asks for.
    pub reservation: Option<Str>,
}

/// The pool that took the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetInstance {
    /// Instance type.
    pub instance_type: Str,
    /// Zone.
    pub zone: Str,
    /// Subnet.
    pub subnet: Str,
    /// Machine image.
    pub image: Str,
    /// Reservation.
    pub reservation: Option<Str>,
}

/// What EC2 answers to a request that it carries out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetAnswer {
    /// The instance, if there is one.
    pub instance: Option<FleetInstance>,
    /// Pools that were tried and refused.
    pub errors: Vec<FleetError>,
}

impl FleetAnswer {
    /// Notes that a pool refuses.
    pub fn refuse(&mut self, config: &TemplateConfig, pool: &Override, code: &str, message: &str) {
        self.errors.push(FleetError {
            code: code.into(),
            message: message.to_owned(),
            instance_type: pool.instance_type.clone(),
            zone: pool.zone.clone(),
            subnet: pool.subnet.clone(),
            reservation: config.reservation.clone(),
        });
    }

    /// Notes that a pool takes the instance.
    pub fn take(&mut self, config: &TemplateConfig, pool: &Override) {
        self.instance = Some(FleetInstance {
            instance_type: pool.instance_type.clone(),
            zone: pool.zone.clone(),
            subnet: pool.subnet.clone(),
            image: config.image.clone(),
            reservation: config.reservation.clone(),
        });
    }
}

/// EC2, as far as it launches.
pub trait Fleet {
    /// Carries out a request.
    ///
    /// # Errors
    ///
    /// If the request as a whole is refused.
    fn create(&mut self, request: &FleetRequest) -> Result<FleetAnswer, ApiError>;
}
