//! What a replay reports.

use super::World;
use super::pods::PodState;
use crate::ledger::Money;
use crate::result::{
    Alternative, DecisionRecord, NodeDecision, NodeRecord, Percentiles, ReplayResult, Totals,
};
use crate::scheduler::PodId;
use crate::trace::seconds::shown;
use karpsim::model::meta::Str;
use karpsim_controller::{Binding, Decided, Nanos, Profile, launch_order};
use std::collections::BTreeMap;

/// What is counted while the replay goes on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pending: Vec<Nanos>,
    until_running: Vec<Nanos>,
    created: usize,
    never_bound: usize,
    bound: BTreeMap<Str, BTreeMap<Str, usize>>,
}

/// How many alternatives a decision lists.
const ALTERNATIVES: usize = 5;

impl World<'_> {
    pub(crate) fn count_bound(&mut self, id: PodId, node: &Str) {
        let Some(state) = self.pods.get(&id) else { return };
        if state.before_start {
            return;
        }
        let instance = self.instances.of_node(node).and_then(|id| self.instances.get(id));
        let entry = instance.and_then(|instance| self.ledger.entry(instance.entry));
        let column: Str = match entry.filter(|entry| entry.pool.is_some()).and_then(|it| it.offering.as_ref())
        {
            Some(key) => key.instance_type.clone(),
            None => "unmanaged".into(),
        };
        self.counts.pending.push(self.now - state.created);
        *self.counts.bound.entry(state.label.clone()).or_default().entry(column).or_default() += 1;
    }

    pub(crate) fn count_running(&mut self, id: PodId) {
        if let Some(state) = self.pods.get(&id).filter(|state| !state.before_start) {
            self.counts.until_running.push(self.now - state.created);
        }
    }

    pub(crate) fn count_gone(&mut self, state: &PodState) {
        if state.before_start {
            return;
        }
        self.counts.created += 1;
        if state.bound.is_none() {
            self.counts.never_bound += 1;
            *self
                .counts
                .bound
                .entry(state.label.clone())
                .or_default()
                .entry("never bound".into())
                .or_default() += 1;
        }
    }

    /// Writes down a decision.
    pub(crate) fn record(&mut self, decided: &Decided) {
        if decided.launched.is_empty() && decided.removed.is_empty() {
            return;
        }
        let launched = decided
            .launched
            .iter()
            .map(|(name, wanted)| {
                let mut alternatives: Vec<Alternative> = Vec::new();
                for launch in launch_order(self.cloud.catalogue(), wanted) {
                    if alternatives.len() == ALTERNATIVES {
                        break;
                    }
                    if alternatives.iter().all(|it| it.instance_type != launch.instance_type) {
                        alternatives.push(Alternative {
                            instance_type: launch.instance_type,
                            price_usd_per_hour: launch.price.0,
                        });
                    }
                }
                let (instance_type, capacity_type, zone, price) = match &wanted.launch {
                    Some(it) => {
                        (it.instance_type.clone(), it.capacity_type.clone(), it.zone.clone(), it.price.0)
                    }
                    None => (Str::default(), Str::default(), Str::default(), 0.0),
                };
                NodeDecision {
                    name: name.clone(),
                    node_pool: wanted.node_pool.clone(),
                    instance_type,
                    capacity_type,
                    zone,
                    price_usd_per_hour: price,
                    pods: wanted.pods.clone(),
                    alternatives,
                }
            })
            .collect();
        let removed = decided
            .removed
            .iter()
            .map(|removed| self.node_decision(&removed.name, removed.pods.clone()))
            .collect();
        let record = DecisionRecord {
            at: shown(self.now),
            kind: decided.cause.as_str(),
            reason: decided.reason.as_str(),
            launched,
            removed,
            existing: decided.existing.iter().cloned().collect(),
            failed: decided.failed.iter().map(|(pod, error)| (pod.clone(), error.to_string())).collect(),
        };
        self.log("decision", record.kind, || {
            vec![("decision", serde_json::to_value(&record).unwrap_or_default())]
        });
        self.decisions.push(record);
    }

    fn node_decision(&self, name: &Str, pods: Vec<Str>) -> NodeDecision {
        let entry = self.ledger.of_node_claim(name).and_then(|id| self.ledger.entry(id));
        let key = entry.as_ref().and_then(|entry| entry.offering.clone());
        let key = key.unwrap_or_else(|| karpsim_controller::OfferingKey {
            instance_type: Str::default(),
            zone: Str::default(),
            capacity_type: Str::default(),
        });
        NodeDecision {
            name: name.clone(),
            node_pool: entry.as_ref().and_then(|entry| entry.pool.clone()).unwrap_or_default(),
            instance_type: key.instance_type,
            capacity_type: key.capacity_type,
            zone: key.zone,
            price_usd_per_hour: entry.map_or(0.0, |entry| entry.price.dollars()),
            pods,
            alternatives: Vec::new(),
        }
    }

    /// What all this gave.
    pub(crate) fn finish(mut self, name: String, profile: Profile) -> ReplayResult {
        let prices = self.price_events;
        if prices.without_offering > 0 {
            self.warn(format!(
                "price: {} of {} event(s) match no offering in the catalogue",
                prices.without_offering, prices.seen
            ));
        }
        let left: Vec<PodState> = self.pods.values().cloned().collect();
        for state in &left {
            self.count_gone(state);
        }
        // What was really launched, where it is not what was asked for.
        let mut decisions = std::mem::take(&mut self.decisions);
        for node in decisions.iter_mut().flat_map(|decision| &mut decision.launched) {
            let entry = self.ledger.of_node_claim(&node.name).and_then(|id| self.ledger.entry(id));
            if let Some((key, price)) = entry.and_then(|it| Some((it.offering.clone()?, it.price))) {
                if node.instance_type != key.instance_type
                    || node.zone != key.zone
                    || node.capacity_type != key.capacity_type
                {
                    node.price_usd_per_hour = price.dollars();
                }
                node.instance_type = key.instance_type;
                node.zone = key.zone;
                node.capacity_type = key.capacity_type;
            }
        }
        let totals = self.totals();
        let now = self.now;
        let nodes = self
            .ledger
            .entries()
            .iter()
            .map(|entry| NodeRecord {
                name: entry.name.clone(),
                node_pool: entry.pool.clone(),
                instance_type: entry.offering.as_ref().map(|key| key.instance_type.clone()),
                zone: entry.offering.as_ref().map(|key| key.zone.clone()),
                capacity_type: entry.offering.as_ref().map(|key| key.capacity_type.clone()),
                price_usd_per_hour: entry.price.dollars(),
                cost_usd: entry.cost(now).dollars(),
                created: entry.created.map(shown),
                launched: entry.launched.map(shown),
                registered: entry.registered.map(shown),
                ready: entry.ready.map(shown),
                initialized: entry.initialized.map(shown),
                disrupted: entry.disrupted.map(shown),
                deleting: entry.deleting.map(shown),
                gone: entry.gone.map(shown),
            })
            .collect();
        ReplayResult {
            api_version: "karpsim.dev/v1alpha1",
            kind: "ReplayResult",
            name,
            start: self.calendar.wall(0).0.to_string(),
            end: shown(now),
            profile: match profile {
                Profile::Karpenter1 => "karpenter-1",
                Profile::Karpenter06 => "karpenter-0.6",
            },
            binding: match self.binding {
                Binding::Scheduler => "scheduler",
                Binding::Early => "early",
            },
            delays: self.delays.shown(),
            seed: self.delays.seed_in_force(),
            decisions,
            nodes,
            totals,
            marks: self.marks,
            warnings: self.warnings,
        }
    }

    fn totals(&self) -> Totals {
        let now = self.now;
        let (mut managed, mut unmanaged) = (Money::default(), Money::default());
        let mut by_type: BTreeMap<Str, Money> = BTreeMap::new();
        let mut by_pool: BTreeMap<Str, Money> = BTreeMap::new();
        let mut ran: BTreeMap<Str, Nanos> = BTreeMap::new();
        for entry in self.ledger.entries() {
            let cost = entry.cost(now);
            match &entry.pool {
                Some(pool) => {
                    managed += cost;
                    *by_pool.entry(pool.clone()).or_default() += cost;
                }
                None => unmanaged += cost,
            }
            if let Some(key) = &entry.offering {
                *by_type.entry(key.instance_type.clone()).or_default() += cost;
                *ran.entry(key.instance_type.clone()).or_default() += entry.ran(now);
            }
        }
        let dollars =
            |map: BTreeMap<Str, Money>| map.into_iter().map(|(name, cost)| (name, cost.dollars())).collect();
        let of_pools = || self.ledger.entries().iter().filter(|entry| entry.pool.is_some());
        Totals {
            cost_usd: managed.dollars(),
            cost_usd_unmanaged: unmanaged.dollars(),
            cost_usd_by_instance_type: dollars(by_type),
            cost_usd_by_node_pool: dollars(by_pool),
            node_seconds_by_instance_type: ran.into_iter().map(|(name, ran)| (name, shown(ran))).collect(),
            pods_pending_seconds: Percentiles::of(self.counts.pending.clone()),
            pods_until_running_seconds: Percentiles::of(self.counts.until_running.clone()),
            nodes_launched: of_pools().filter(|entry| entry.launched.is_some()).count(),
            nodes_removed: of_pools()
                .filter(|entry| entry.launched.is_some() && entry.gone.is_some())
                .count(),
            pods_created: self.counts.created,
            pods_never_bound: self.counts.never_bound,
            pods_by_instance_type: self.counts.bound.clone(),
        }
    }
}
