//! How two decisions differ, in words.

use crate::optimum::Rearrangement;
use karpsim::decision::{NewNodeClaim, ProvisioningDecision};
use std::collections::BTreeMap;

/// What is launched: type and capacity type.
type Launched = (String, String);

fn launches(claims: &[NewNodeClaim]) -> BTreeMap<Launched, i64> {
    let mut counts = BTreeMap::new();
    for launch in claims.iter().filter_map(|claim| claim.launch.as_ref()) {
        let what = (launch.instance_type.to_string(), launch.capacity_type.to_string());
        *counts.entry(what).or_default() += 1;
    }
    counts
}

/// "two g5.2xlarge instead of one g5.12xlarge": what `ours` launches where `theirs` launches something else.
pub(crate) fn difference(theirs: &ProvisioningDecision, ours: &ProvisioningDecision) -> String {
    let (before, after) = (launches(&theirs.new_node_claims), launches(&ours.new_node_claims));
    let mut more = BTreeMap::new();
    let mut less = BTreeMap::new();
    for what in before.keys().chain(after.keys()) {
        let change = after.get(what).copied().unwrap_or(0) - before.get(what).copied().unwrap_or(0);
        if change > 0 {
            more.insert(what.clone(), change);
        } else if change < 0 {
            less.insert(what.clone(), -change);
        }
    }
    let mut parts = Vec::new();
    match (more.is_empty(), less.is_empty()) {
        (true, true) if theirs.new_node_claims.is_empty() && ours.new_node_claims.is_empty() => {}
        (true, true) => parts.push("the same nodes".to_owned()),
        (false, true) => parts.push(format!("{} more", listed(&more, &less))),
        (true, false) => parts.push(format!("{} fewer", listed(&less, &more))),
        (false, false) => {
            parts.push(format!("{} instead of {}", listed(&more, &less), listed(&less, &more)));
        }
    }
    let placed = theirs.pod_errors.keys().filter(|pod| !ours.pod_errors.contains_key(*pod)).count();
    let left = ours.pod_errors.keys().filter(|pod| !theirs.pod_errors.contains_key(*pod)).count();
    if placed > 0 {
        parts.push(format!("{} more scheduled", pods(placed)));
    }
    if left > 0 {
        parts.push(format!("{} of the others unschedulable", pods(left)));
    }
    let of_existing = |decision: &ProvisioningDecision| -> usize {
        decision.existing_nodes.iter().map(|node| node.pods.len()).sum()
    };
    let (before, after) = (of_existing(theirs), of_existing(ours));
    if before != after {
        parts.push(format!("{after} instead of {before} pods on existing nodes"));
    }
    if parts.is_empty() { "no nodes to launch".to_owned() } else { parts.join("; ") }
}

/// "five nodes removed, one c5.large launched; Karpenter's best command: one node removed": a rearrangement against one step of
/// Karpenter's. `waiting`: what Karpenter launches for pods that wait; `decision`: the answer.
pub(crate) fn steps(
    ours: &Rearrangement,
    waiting: &ProvisioningDecision,
    decision: &ProvisioningDecision,
) -> String {
    let own = step(ours.removed.len(), &launches(&decision.new_node_claims));
    let theirs = match &ours.karpenter_step {
        None => step(0, &launches(&waiting.new_node_claims)),
        Some(command) => {
            let mut launched = launches(&command.replacements);
            for (what, count) in launches(&waiting.new_node_claims) {
                *launched.entry(what).or_default() += count;
            }
            step(command.candidates.len(), &launched)
        }
    };
    if own == theirs { own } else { format!("{own}; Karpenter's best command: {theirs}") }
}

fn step(removed: usize, launched: &BTreeMap<Launched, i64>) -> String {
    let mut parts = Vec::new();
    match removed {
        0 => {}
        1 => parts.push("one node removed".to_owned()),
        _ => parts.push(format!("{} nodes removed", number(removed as i64))),
    }
    if !launched.is_empty() {
        parts.push(format!("{} launched", listed(launched, &BTreeMap::new())));
    }
    if parts.is_empty() { "no changes".to_owned() } else { parts.join(", ") }
}

fn pods(count: usize) -> String {
    if count == 1 { "one pod".to_owned() } else { format!("{} pods", number(count as i64)) }
}

fn listed(what: &BTreeMap<Launched, i64>, other: &BTreeMap<Launched, i64>) -> String {
    let ambiguous =
        |name: &str| what.keys().chain(other.keys()).filter(|(known, _)| known.as_str() == name).count() > 1;
    let parts: Vec<String> = what
        .iter()
        .map(|((name, capacity_type), count)| {
            let kind = if ambiguous(name) { format!(" ({capacity_type})") } else { String::new() };
            format!("{} {name}{kind}", number(*count))
        })
        .collect();
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn number(count: i64) -> String {
    const WORDS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    usize::try_from(count - 1)
        .ok()
        .and_then(|at| WORDS.get(at))
        .map_or_else(|| count.to_string(), |word| (*word).to_owned())
}
