//! Recorded decisions of the provider: a scenario, decided.
//!
//! Two kinds: `aws-instance-types`, what a node class makes of EC2's machines, and `aws-launch`, NodeClaims launched one
//! after the other in one controller. [`AwsScenario`] is a scenario, [`AwsScenario::decide`] decides it, [`AwsDecision`] is
//! the answer in the form of the recordings. EC2's choice among pools is not Karpenter's, and in a scenario a rule stands
//! for it: the cheapest pool that does not refuse.

mod decision;
mod fleet;
mod text;

pub use decision::{AwsDecision, InstanceTypesDecision, LaunchDecision, LaunchesDecision};
pub use text::AwsScenarioText;

use self::fleet::RecordedFleet;
use self::text::LaunchText;
use super::fleet::CapacityType;
use super::launch::{ClaimToLaunch, Launcher};
use super::machine::Machine;
use super::memory::{Memory, UnavailableOffering};
use super::node_class::Ec2NodeClass;
use super::region::{PlacementGroup, Prices, Region};
use super::resolve::resolve;
use super::settings::ProviderSettings;
use crate::catalogue::read::{one_value, typed, value_problem};
use crate::kubernetes::labels;
use crate::model::karpenter::NodeOverlay;
use crate::model::meta::{Operator, Str};
use crate::problem::Problem;
use crate::provider::Settings;
use crate::scenario::MinValuesPolicy;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a scenario asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    InstanceTypes,
    Launch,
}

/// The kinds of scenarios that are read here.
pub const KINDS: [&str; 2] = ["aws-instance-types", "aws-launch"];

/// Whether a JSON text is a scenario of the provider, or a recorded pair with one.
pub fn is_one(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Inner {
        #[serde(default)]
        kind: Value,
    }
    #[derive(Deserialize)]
    struct Outermost {
        #[serde(default)]
        kind: Value,
        scenario: Option<Inner>,
    }
    // Other scenarios are many and large: few of them have the words anywhere.
    if !KINDS.iter().any(|kind| text.contains(kind)) {
        return false;
    }
    serde_json::from_str::<Outermost>(text).is_ok_and(|outermost| {
        let kind = outermost.scenario.map_or(outermost.kind, |scenario| scenario.kind);
        kind.as_str().is_some_and(|kind| KINDS.contains(&kind))
    })
}

/// A scenario of the provider.
#[derive(Debug, Clone)]
pub struct AwsScenario {
    /// Its name.
    pub name: Str,
    kind: Kind,
    class: Arc<Ec2NodeClass>,
    region: Region,
    settings: ProviderSettings,
    memory: Memory,
    now_nanos: i64,
    text: AwsScenarioText,
}

impl AwsScenario {
    /// Reads a scenario, or a recorded pair of `scenario` and `decision`.
    ///
    /// # Errors
    ///
    /// If it is no scenario of the provider, or something in it is not understood.
    pub fn read(text: &str) -> Result<AwsScenario, Problem> {
        let value = one_value(text)?;
        AwsScenario::from_value(value.get("scenario").unwrap_or(&value))
    }

    fn from_value(value: &Value) -> Result<AwsScenario, Problem> {
        let text: AwsScenarioText = typed(value, "")?;
        let kind = match text.kind.as_str() {
            "aws-instance-types" => Kind::InstanceTypes,
            "aws-launch" => Kind::Launch,
            other => return Err(value_problem("", "kind", format!("`{other}`"), KINDS.join(", "))),
        };
        let options = &text.options;
        let settings = ProviderSettings {
            capacity: Settings {
                vm_memory_overhead_percent: options.vm_memory_overhead_percent.map(|percent| percent.0),
                reserved_enis: options.reserved_enis,
                ..Settings::default()
            },
            reserved_capacity: options.feature_gates.reserved_capacity.unwrap_or(true),
            relaxes_min_values: options.min_values_policy == Some(MinValuesPolicy::BestEffort),
        };
        let region = region(&text)?;
        Ok(AwsScenario {
            name: text.name.clone(),
            kind,
            class: Arc::new(text.node_class.clone()),
            region,
            settings,
            memory: memory(&text)?,
            now_nanos: text.now.map_or(0, |now| i64::try_from(now.0.as_nanosecond()).unwrap_or(i64::MAX)),
            text,
        })
    }

    /// Decides it.
    pub fn decide(&self) -> AwsDecision {
        let types = resolve(&self.class, &self.region, &self.settings);
        match self.kind {
            Kind::InstanceTypes => AwsDecision::InstanceTypes(match types {
                Ok(types) => InstanceTypesDecision::of(types.instance_types(&self.memory, self.now_nanos)),
                Err(error) => InstanceTypesDecision::error(error.to_string()),
            }),
            Kind::Launch => {
                let pools: Vec<_> = self.text.node_pool.iter().cloned().collect();
                let overlays = (self.text.options.feature_gates.node_overlay == Some(true))
                    .then_some((&pools[..], &self.text.node_overlays[..]));
                let class = Arc::clone(&self.class);
                let mut launcher = Launcher::new(class, types, self.settings.clone(), overlays);
                let mut memory = self.memory.clone();
                let mut fleet = RecordedFleet::new(&self.region.prices, memory.reservations());
                let launches = self.text.launches.iter();
                let launches =
                    launches.map(|text| self.launch(text, &mut launcher, &mut memory, &mut fleet)).collect();
                AwsDecision::Launches(LaunchesDecision { launches })
            }
        }
    }

    fn launch(
        &self,
        text: &LaunchText,
        launcher: &mut Launcher,
        memory: &mut Memory,
        fleet: &mut RecordedFleet<'_>,
    ) -> LaunchDecision {
        fleet.next(&text.fleet);
        let claim = &text.node_claim;
        let reservations = memory.reservations().clone();
        let launch = launcher.launch(
            &ClaimToLaunch {
                node_class: &claim.spec.node_class_ref.name,
                labels: &claim.metadata.labels,
                annotations: &claim.metadata.annotations,
                requirements: &claim.spec.requirements,
                requests: &claim.spec.resources.requests,
            },
            memory,
            self.now_nanos,
            fleet,
        );
        let changed = memory.reservations().iter().filter(|(id, free)| reservations.get(*id) != Some(free));
        let changed = changed.map(|(id, free)| (id.clone(), *free)).collect();
        LaunchDecision::of(
            claim.metadata.name.clone(),
            launch,
            changed,
            |capacity_type, instance_type, zone| {
                fleet::price(&self.region.prices, capacity_type, instance_type, zone)
            },
        )
    }
}

fn region(text: &AwsScenarioText) -> Result<Region, Problem> {
    let mut machines = BTreeMap::new();
    for (index, entry) in text.ec2.instance_types.iter().enumerate() {
        let machine = Machine::read(entry, &format!("ec2.instanceTypes[{index}]"))?;
        machines.insert(machine.name.clone(), machine);
    }
    let mut prices: BTreeMap<Str, Prices> = BTreeMap::new();
    for (name, price) in &text.prices.on_demand {
        prices.entry(name.clone()).or_default().on_demand = Some(price.0);
    }
    for (name, by_zone) in &text.prices.spot {
        prices.entry(name.clone()).or_default().spot =
            by_zone.iter().map(|(zone, price)| (zone.clone(), price.0)).collect();
    }
    let overlays: &[NodeOverlay] =
        if text.options.feature_gates.node_overlay == Some(true) { &text.node_overlays } else { &[] };
    let zones_of = text.ec2.offerings.iter();
    Ok(Region {
        name: text.region.clone(),
        machines,
        zones_of: zones_of.map(|(name, zones)| (name.clone(), zones.iter().cloned().collect())).collect(),
        placement_groups: text
            .ec2
            .placement_groups
            .iter()
            .map(|group| PlacementGroup {
                id: group.id.clone(),
                name: group.name.clone(),
                strategy: group.strategy.clone(),
                partition_count: group.partition_count,
            })
            .collect(),
        prices,
        overlay_prices: overlay_prices(overlays),
        discovered_memory: text.discovered_memory.clone(),
        shifted_zone_ids: text.zonal_shifts.iter().cloned().collect(),
    })
}

/// Prices that overlays give to types by name and nothing else. Of several overlays the last by name holds, whatever
/// their weights.
pub(super) fn overlay_prices(overlays: &[NodeOverlay]) -> BTreeMap<Str, f64> {
    let mut by_name: Vec<&NodeOverlay> = overlays.iter().collect();
    by_name.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let mut prices = BTreeMap::new();
    for overlay in by_name {
        let price = overlay.spec.price.as_ref().and_then(|price| price.parse::<f64>().ok());
        let ([requirement], Some(price)) = (overlay.spec.requirements.as_slice(), price) else { continue };
        if requirement.key == labels::INSTANCE_TYPE && requirement.operator == Some(Operator::In) {
            prices.extend(requirement.values.iter().map(|name| (name.clone(), price)));
        }
    }
    prices
}

fn memory(text: &AwsScenarioText) -> Result<Memory, Problem> {
    let capacity_type = |name: &Str, path: String| {
        let all = CapacityType::ALL.map(CapacityType::as_str).join(", ");
        CapacityType::named(name).ok_or_else(|| value_problem("", path, format!("`{name}`"), all))
    };
    let mut memory = Memory::default();
    let now_nanos = text.now.map_or(0, |now| i64::try_from(now.0.as_nanosecond()).unwrap_or(i64::MAX));
    for subnet in &text.ec2.subnets {
        memory.set_free_addresses(subnet.id.clone(), subnet.available_ips);
    }
    for (id, free) in &text.ec2.capacity_reservations {
        memory.set_reservation(id.clone(), *free);
    }
    for (index, entry) in text.unavailable.offerings.iter().enumerate() {
        let path = format!("unavailable.offerings[{index}].capacityType");
        let offering = UnavailableOffering {
            capacity_type: capacity_type(&entry.capacity_type, path)?,
            instance_type: entry.instance_type.clone(),
            zone: entry.zone.clone(),
            placement_group: entry.placement_group.clone(),
            partition: entry.partition.clone(),
        };
        memory.mark_offering(offering, now_nanos);
    }
    for (index, name) in text.unavailable.capacity_types.iter().enumerate() {
        let path = format!("unavailable.capacityTypes[{index}]");
        memory.mark_capacity_type(capacity_type(name, path)?, now_nanos);
    }
    for subnet in &text.unavailable.subnets {
        memory.mark_subnet(subnet.clone(), now_nanos);
    }
    Ok(memory)
}
