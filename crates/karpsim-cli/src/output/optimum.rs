//! What `karpsim optimum` shows.

use crate::output::figures::{HOURS_PER_MONTH, dollars, shortened};
use crate::output::format::API_VERSION;
use crate::output::table::{Table, left, right};
use karpsim::decision::{Command, NewNodeClaim, ProvisioningDecision};
use karpsim::model::meta::Str;
use karpsim::scenario::Scenario;
use karpsim_optimum::{Optimum, Relaxation, Status};
use serde::Serialize;
use std::collections::BTreeMap;

/// Names that a table lists of many.
const NAMES_MAX: usize = 5;

/// The result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OptimumResult {
    api_version: &'static str,
    kind: &'static str,
    /// Name of the scenario.
    name: String,
    status: Status,
    /// How long the search took.
    seconds: f64,
    optimum: Side,
    /// Karpenter's decision; of a running cluster, after the one step that saves most.
    karpenter: Side,
    /// No answer that places as many pods costs less.
    bound_usd_per_hour: f64,
    /// How much of its cost a better answer could still save.
    gap: f64,
    /// The share of its cost that Karpenter's decision could save; absent if it places fewer pods, or costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    karpenter_gap: Option<f64>,
    /// In words.
    difference: String,
    /// What the bound does not know.
    relaxations: Vec<RelaxationShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rearrangement: Option<Rearranged>,
    /// The answer, in the form of Karpenter's decisions.
    decision: ProvisioningDecision,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    cost_usd_per_hour: f64,
    pods_not_placed: usize,
    unmet_preferences: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RelaxationShown {
    name: Relaxation,
    words: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rearranged {
    cost_now_usd_per_hour: f64,
    removable_nodes: usize,
    removed_nodes: Vec<Str>,
    evicted_pods: Vec<Str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    karpenter_step: Option<Command>,
}

fn usd(nanos: i64) -> f64 {
    // Through the decimal form: what is shown is the amount, not what a product of doubles makes of it.
    nanos as f64 / 1e9
}

impl OptimumResult {
    /// What `optimum` says of `scenario`.
    pub(crate) fn new(scenario: &Scenario, optimum: &Optimum, seconds: f64) -> Self {
        OptimumResult {
            api_version: API_VERSION,
            kind: "OptimumResult",
            name: scenario.name.to_string(),
            status: optimum.status,
            seconds: (seconds * 1e3).round() / 1e3,
            optimum: Side {
                cost_usd_per_hour: usd(optimum.cost),
                pods_not_placed: optimum.unplaced,
                unmet_preferences: optimum.unmet_preferences,
            },
            karpenter: Side {
                cost_usd_per_hour: usd(optimum.karpenter_cost),
                pods_not_placed: optimum.karpenter_unplaced,
                unmet_preferences: optimum.karpenter_unmet_preferences,
            },
            bound_usd_per_hour: usd(optimum.bound),
            gap: optimum.gap(),
            karpenter_gap: optimum.karpenter_gap(),
            difference: optimum.difference.clone(),
            relaxations: optimum
                .relaxed
                .iter()
                .map(|&name| RelaxationShown { name, words: name.words() })
                .collect(),
            rearrangement: optimum.rearrangement.as_ref().map(|of| Rearranged {
                cost_now_usd_per_hour: usd(of.cost_now),
                removable_nodes: of.removable,
                removed_nodes: of.removed.clone(),
                evicted_pods: of.evicted.clone(),
                karpenter_step: of.karpenter_step.clone(),
            }),
            decision: optimum.decision.clone(),
        }
    }
}

/// The result for people.
pub(crate) fn table(result: &OptimumResult, optimum: &Optimum) -> String {
    let mut text = format!("{}: {}\n\n", result.name, result.difference);
    text.push_str(&costs(result, optimum).to_string());
    text.push('\n');
    text.push_str(&verdict(result));
    if let Some(of) = &result.rearrangement {
        text.push_str(&rearranged(of));
    }
    for relaxation in &result.relaxations {
        text.push_str(&format!("Not in the lower bound: {}\n", relaxation.words));
    }
    let nodes = launched(&optimum.decision);
    if !nodes.is_empty() {
        text.push_str(&format!("\n{nodes}"));
    }
    let filled: usize = optimum.decision.existing_nodes.iter().map(|node| node.pods.len()).sum();
    if filled > 0 {
        let nodes = optimum.decision.existing_nodes.iter().map(|node| node.name.as_str());
        text.push_str(&format!("\nOn existing nodes: {} on {}\n", pods(filled), shortened(nodes, NAMES_MAX)));
    }
    if !optimum.decision.pod_errors.is_empty() {
        let left = optimum.decision.pod_errors.keys().map(Str::as_str);
        text.push_str(&format!("\nUnschedulable: {}\n", shortened(left, NAMES_MAX)));
    }
    text
}

fn pods(count: usize) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}

fn costs(result: &OptimumResult, optimum: &Optimum) -> Table {
    let mut table = Table::new([
        left(""),
        right("COST PER HOUR"),
        right("PER MONTH"),
        right("NEW NODES"),
        right("UNSCHEDULABLE"),
        right("UNMET PREFERENCES"),
    ]);
    let mut row = |name: &str, cost: f64, rest: [Option<usize>; 3]| {
        let mut cells = vec![name.to_owned(), dollars(cost), dollars(cost * HOURS_PER_MONTH)];
        cells.extend(rest.map(|count| count.map_or_else(String::new, |count| count.to_string())));
        table.row(cells);
    };
    let launched = |claims: &[NewNodeClaim]| Some(claims.len());
    let waiting = optimum.karpenter.new_node_claims.len();
    if let Some(of) = &result.rearrangement {
        row("current", of.cost_now_usd_per_hour, [Some(waiting), None, None]);
    }
    let (name, nodes) = match result.rearrangement.as_ref().map(|of| &of.karpenter_step) {
        None => ("Karpenter", Some(waiting)),
        Some(step) => (
            "Karpenter's best command",
            Some(waiting + step.as_ref().map_or(0, |step| step.replacements.len())),
        ),
    };
    let karpenter = &result.karpenter;
    row(
        name,
        karpenter.cost_usd_per_hour,
        [nodes, Some(karpenter.pods_not_placed), Some(karpenter.unmet_preferences)],
    );
    let best = &result.optimum;
    let name = if result.status == Status::Optimal { "optimum" } else { "best found" };
    let nodes = launched(&optimum.decision.new_node_claims);
    row(name, best.cost_usd_per_hour, [nodes, Some(best.pods_not_placed), Some(best.unmet_preferences)]);
    row("lower bound", result.bound_usd_per_hour, [None; 3]);
    table
}

fn verdict(result: &OptimumResult) -> String {
    let (theirs, ours) = (result.karpenter.cost_usd_per_hour, result.optimum.cost_usd_per_hour);
    let against = match result.karpenter_gap {
        None if result.optimum.pods_not_placed < result.karpenter.pods_not_placed => {
            let more = result.karpenter.pods_not_placed - result.optimum.pods_not_placed;
            format!("Schedules {more} more pod(s) than Karpenter")
        }
        None if result.optimum.pods_not_placed > result.karpenter.pods_not_placed => {
            "Schedules pods of higher priority than Karpenter does".to_owned()
        }
        Some(gap) if gap > 0.0 => {
            format!(
                "Saves {} per hour ({:.1} %) compared with Karpenter",
                dollars(theirs - ours),
                100.0 * gap
            )
        }
        _ => "Costs the same as Karpenter's decision".to_owned(),
    };
    let proven = if result.status == Status::Optimal {
        "proven optimal".to_owned()
    } else {
        format!("not proven optimal: another decision may be up to {:.2} % cheaper", 100.0 * result.gap)
    };
    format!("{against}; {proven}\n")
}

fn rearranged(of: &Rearranged) -> String {
    let mut text = format!(
        "Removes {} of {} removable nodes and evicts {}\n",
        of.removed_nodes.len(),
        of.removable_nodes,
        pods(of.evicted_pods.len())
    );
    if !of.removed_nodes.is_empty() {
        let names = of.removed_nodes.iter().map(Str::as_str);
        text.push_str(&format!("Removed: {}\n", shortened(names, NAMES_MAX)));
    }
    text
}

/// New nodes, alike ones in one row.
fn launched(decision: &ProvisioningDecision) -> String {
    type Kind<'a> = (&'a str, &'a str, &'a str, &'a str);
    let mut kinds: BTreeMap<Kind<'_>, (usize, f64, usize)> = BTreeMap::new();
    for claim in &decision.new_node_claims {
        let Some(launch) = &claim.launch else { continue };
        let kind: Kind<'_> = (&claim.node_pool, &launch.instance_type, &launch.capacity_type, &launch.zone);
        let row = kinds.entry(kind).or_insert((0, launch.price.0, 0));
        row.0 += 1;
        row.2 += claim.pods.len();
    }
    if kinds.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        right("NODES"),
        left("INSTANCE TYPE"),
        left("CAPACITY TYPE"),
        left("ZONE"),
        left("NODEPOOL"),
        right("PRICE PER HOUR"),
        right("PODS"),
    ]);
    for ((pool, instance_type, capacity_type, zone), (nodes, price, pods)) in kinds {
        table.row(vec![
            nodes.to_string(),
            instance_type.to_owned(),
            capacity_type.to_owned(),
            zone.to_owned(),
            pool.to_owned(),
            dollars(price),
            pods.to_string(),
        ]);
    }
    table.to_string()
}
