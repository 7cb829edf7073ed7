//! Disruption budgets over time.

use crate::compile::compile;
use crate::compile::pools::is_managed;
use crate::disruption::budgets::{Allowance, allowances, allowed_by, allowed_by_budgets, is_active};
use crate::kubernetes::cron::Schedule;
use crate::model::karpenter::{Budget, DisruptionReason, NodePool};
use crate::model::meta::{Duration, Str, Time};
use crate::scenario::Scenario;
use serde::Serialize;
use std::collections::BTreeSet;

/// At most so many moments are looked at.
const MOMENTS_MAX: usize = 500_000;

/// What a NodePool allows from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetRow {
    /// From when.
    #[serde(serialize_with = "time")]
    pub at: Time,
    /// NodePool.
    pub node_pool: Str,
    /// Its nodes that count.
    pub nodes: i64,
    /// Nodes that are not ready or on their way out, which use budgets up.
    pub disrupting: i64,
    /// Empty nodes that may be removed.
    pub empty: i64,
    /// Drifted nodes that may be replaced.
    pub drifted: i64,
    /// Nodes that may be consolidated.
    pub underutilized: i64,
    /// The budgets that hold, in words.
    pub budgets: Vec<String>,
}

/// How one budget stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetFact {
    /// The budget, in words.
    pub budget: String,
    /// Whether its schedule lets it hold now; absent: it is malformed, so that nothing may be disrupted.
    pub active: Option<bool>,
    /// Nodes that it allows, if it holds.
    pub allows: Option<i64>,
}

/// There would be more moments to look at than anyone wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the budgets change more than {MOMENTS_MAX} times in this span")]
pub struct TooManyMoments;

pub(super) fn time<S: serde::Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.0)
}

/// What each NodePool allows between `from` and `to`: all at first, then whatever changes, when it changes. With `step`
/// only moments so far apart are looked at. Nodes stay as they are in `scenario`.
///
/// # Errors
///
/// If there is too much to look at.
pub fn budget(
    scenario: &Scenario,
    from: Time,
    to: Time,
    step: Option<Duration>,
) -> Result<Vec<BudgetRow>, TooManyMoments> {
    let (problem, _) = compile(scenario);
    let standing = allowances(&problem, DisruptionReason::Empty);
    let mut pools: Vec<&NodePool> = scenario
        .objects
        .node_pools
        .iter()
        .filter(|pool| is_managed(pool, &scenario.catalogue.provider))
        .collect();
    pools.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    let moments: BTreeSet<Time> = match step {
        Some(step) => steps(from, to, step)?.into_iter().collect(),
        None => changes(&pools, from, to)?.into_iter().collect(),
    };
    let mut rows: Vec<BudgetRow> = Vec::new();
    let mut last: Vec<Option<BudgetRow>> = vec![None; pools.len()];
    for at in moments {
        for (pool, last) in pools.iter().zip(&mut last) {
            let allowance = standing.get(&pool.metadata.name).copied().unwrap_or_default();
            let row = row(pool, at, allowance);
            let changed = last.as_ref().is_none_or(|last| BudgetRow { at, ..last.clone() } != row);
            if changed {
                rows.push(row.clone());
                *last = Some(row);
            }
        }
    }
    Ok(rows)
}

fn row(pool: &NodePool, at: Time, allowance: Allowance) -> BudgetRow {
    let allowed = |reason| {
        (allowed_by_budgets(pool, at, allowance.nodes, reason) - allowance.disrupting)
            .max(0)
            .min(allowance.nodes)
    };
    BudgetRow {
        at,
        node_pool: pool.metadata.name.clone(),
        nodes: allowance.nodes,
        disrupting: allowance.disrupting,
        empty: allowed(DisruptionReason::Empty),
        drifted: allowed(DisruptionReason::Drifted),
        underutilized: allowed(DisruptionReason::Underutilized),
        budgets: pool
            .spec
            .disruption
            .budgets
            .iter()
            .flatten()
            .filter(|budget| is_active(budget, at) != Some(false))
            .map(described)
            .collect(),
    }
}

/// How the budgets of `pool` that are meant for `reason` stand.
pub(super) fn facts(pool: &NodePool, now: Time, nodes: i64, reason: DisruptionReason) -> Vec<BudgetFact> {
    let budgets = pool.spec.disruption.budgets.iter().flatten();
    budgets
        .filter(|budget| budget.reasons.as_ref().is_none_or(|reasons| reasons.contains(&reason)))
        .map(|budget| {
            let active = is_active(budget, now);
            BudgetFact {
                budget: described(budget),
                active,
                allows: allowed_by(budget, now, nodes).filter(|_| active == Some(true)),
            }
        })
        .collect()
}

/// `10% for Drifted, at 0 9 * * 1-5 for 8h`.
fn described(budget: &Budget) -> String {
    let mut text = budget.nodes.to_string();
    if let Some(reasons) = &budget.reasons {
        let words: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
        text.push_str(&format!(" for {}", words.join(", ")));
    }
    if let Some(schedule) = &budget.schedule {
        text.push_str(&format!(", at {schedule}"));
    }
    if let Some(duration) = budget.duration {
        text.push_str(&format!(" for {}", lasting(duration)));
    }
    text
}

/// A duration as Go writes it, without zeros.
fn lasting(duration: Duration) -> String {
    let seconds = duration.nanos / 1_000_000_000;
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn shifted(time: Time, nanos: i64) -> Option<Time> {
    time.0.checked_add(jiff::SignedDuration::from_nanos(nanos)).ok().map(Time)
}

/// `duration` after `time`, but not later than a clock can show.
pub fn later(time: Time, duration: Duration) -> Time {
    shifted(time, duration.nanos).unwrap_or(time)
}

fn steps(from: Time, to: Time, step: Duration) -> Result<Vec<Time>, TooManyMoments> {
    let mut moments = Vec::new();
    let mut at = Some(from);
    while let Some(now) = at.filter(|now| *now <= to) {
        if moments.len() >= MOMENTS_MAX {
            return Err(TooManyMoments);
        }
        moments.push(now);
        at = shifted(now, step.nanos.max(1));
    }
    Ok(moments)
}

/// The moments at which some budget begins or ceases to hold.
fn changes(pools: &[&NodePool], from: Time, to: Time) -> Result<BTreeSet<Time>, TooManyMoments> {
    let mut moments = BTreeSet::from([from]);
    for budget in pools.iter().flat_map(|pool| pool.spec.disruption.budgets.iter().flatten()) {
        let duration = budget.duration.unwrap_or_default().nanos;
        let schedule = budget.schedule.as_deref().and_then(Schedule::parse);
        // `@every` holds always or never, as it is asked from the moment itself.
        let Some(schedule @ Schedule::Cron(_)) = schedule else { continue };
        let mut hit = shifted(from, -duration).and_then(|before| schedule.next_after(before.0));
        let mut hits = 0;
        while let Some(now) = hit.filter(|hit| *hit <= to.0) {
            hits += 1;
            if hits > MOMENTS_MAX || moments.len() > MOMENTS_MAX {
                return Err(TooManyMoments);
            }
            let both = [Some(Time(now)), shifted(Time(now), duration)];
            moments.extend(both.into_iter().flatten().filter(|time| (from..=to).contains(time)));
            hit = schedule.next_after(now);
        }
    }
    Ok(moments)
}
