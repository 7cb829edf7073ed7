//! What a replay gives: `karpsim.dev/v1alpha1`, kind `ReplayResult`.
//!
//! Times are seconds since the start, money is dollars. What did not happen is absent.

use crate::delays::ShownDelay;
use karpsim::model::meta::Str;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a replay gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayResult {
    /// `karpsim.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `ReplayResult`.
    pub kind: &'static str,
    /// Name of the trace.
    pub name: String,
    /// What 0 is on the calendar.
    pub start: String,
    /// When it stopped.
    pub end: f64,
    /// `karpenter-1` or `karpenter-0.6`.
    pub profile: &'static str,
    /// `scheduler` or `early`.
    pub binding: &'static str,
    /// Delays in force: seconds, or `min` and `max` of them.
    pub delays: BTreeMap<&'static str, ShownDelay>,
    /// What delays that vary were drawn with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What was decided, in order.
    pub decisions: Vec<DecisionRecord>,
    /// One entry a NodeClaim, and one a node that Karpenter does not own.
    pub nodes: Vec<NodeRecord>,
    /// Sums.
    pub totals: Totals,
    /// Remarks of the trace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<MarkRecord>,
    /// What was not modelled, or looks wrong. Each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// When.
    pub at: f64,
    /// `provision`, `disrupt`, `expire`, `interrupt`, or `delete` (somebody deleted it).
    pub kind: &'static str,
    /// `Provisioned`, `Empty`, `Underutilized`, `Drifted`, …
    pub reason: &'static str,
    /// New NodeClaims.
    pub launched: Vec<NodeDecision>,
    /// Nodes that are to go.
    pub removed: Vec<NodeDecision>,
    /// Pods that were promised to nodes that are there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub existing: BTreeMap<Str, Vec<Str>>,
    /// Pods for which there is no place, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Str, String>,
}

/// A node in a decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeDecision {
    /// Name of the NodeClaim.
    pub name: Str,
    /// Its NodePool.
    pub node_pool: Str,
    /// Instance type.
    pub instance_type: Str,
    /// Capacity type.
    pub capacity_type: Str,
    /// Zone.
    pub zone: Str,
    /// Its price.
    pub price_usd_per_hour: f64,
    /// Pods that it was made for, or that need another place.
    pub pods: Vec<Str>,
    /// Types that it could have been, the cheapest first, with the least price of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// What a NodeClaim could have been.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alternative {
    /// Instance type.
    pub instance_type: Str,
    /// Its least price.
    pub price_usd_per_hour: f64,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRecord {
    /// Name of the NodeClaim; the node's, if Karpenter does not own it.
    pub name: Str,
    /// Its NodePool; `null` if Karpenter does not own it.
    pub node_pool: Option<Str>,
    /// Instance type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<Str>,
    /// Zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Str>,
    /// Capacity type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_type: Option<Str>,
    /// Its last price.
    pub price_usd_per_hour: f64,
    /// What it cost.
    pub cost_usd: f64,
    /// The NodeClaim was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<f64>,
    /// The instance ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launched: Option<f64>,
    /// The node was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<f64>,
    /// The node was ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<f64>,
    /// The node was initialized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initialized: Option<f64>,
    /// The node was tainted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disrupted: Option<f64>,
    /// The NodeClaim was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleting: Option<f64>,
    /// The instance was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<f64>,
}

/// Sums.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Nodes of NodePools, each from `launched` to `gone` or the end.
    pub cost_usd: f64,
    /// Nodes that Karpenter does not own, from 0 to the end.
    pub cost_usd_unmanaged: f64,
    /// Of all nodes.
    pub cost_usd_by_instance_type: BTreeMap<Str, f64>,
    /// Of nodes of NodePools.
    pub cost_usd_by_node_pool: BTreeMap<Str, f64>,
    /// Of all nodes.
    pub node_seconds_by_instance_type: BTreeMap<Str, f64>,
    /// From creation to bound, of pods that were bound.
    pub pods_pending_seconds: Percentiles,
    /// From creation to running, of pods that ran.
    pub pods_until_running_seconds: Percentiles,
    /// NodeClaims whose instance ran.
    pub nodes_launched: usize,
    /// NodeClaims that are gone.
    pub nodes_removed: usize,
    /// Pods made at 0 or later.
    pub pods_created: usize,
    /// Of those, the ones that were never bound.
    pub pods_never_bound: usize,
    /// How many pods of each owner were bound to which instance type; `unmanaged` for nodes that Karpenter does not own,
    /// `never bound` for the rest. Pods bound before 0 are not counted.
    pub pods_by_instance_type: BTreeMap<Str, BTreeMap<Str, usize>>,
}

/// Of a number of values: the least that so many percent do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Percentiles {
    /// 50 %.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// All.
    pub max: f64,
}

impl Percentiles {
    /// Of times in nanoseconds.
    pub fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(rank).map_or(0.0, |value| crate::trace::seconds::shown(*value))
        };
        Percentiles { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// A remark of the trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MarkRecord {
    /// When.
    pub at: f64,
    /// What.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::Percentiles;

    #[test]
    fn nearest_rank() {
        let second = 1_000_000_000;
        let hundred = Percentiles::of((1..=100).rev().map(|n| n * second).collect());
        assert_eq!(hundred, Percentiles { p50: 50.0, p90: 90.0, p99: 99.0, max: 100.0 });
        let one = Percentiles::of(vec![3 * second]);
        assert_eq!(one, Percentiles { p50: 3.0, p90: 3.0, p99: 3.0, max: 3.0 });
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }
}
