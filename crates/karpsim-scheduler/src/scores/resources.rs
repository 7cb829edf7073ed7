//! NodeResourcesFit and NodeResourcesBalancedAllocation.

use super::MAX_SCORE;
use crate::kubernetes::is_scalar_resource;
use crate::node_info::NodeInfo;
use crate::options::{ScoringStrategy, ScoringStrategyType};

/// How well what is left of the node fits the strategy. cpu and memory count with defaults for pods that ask for none.
pub(super) fn fit(strategy: &ScoringStrategy, asked: &[i64], info: &NodeInfo) -> i64 {
    let mut sum = 0;
    let mut weights = 0;
    for ((name, weight), asked) in strategy.resources.iter().zip(asked) {
        let Some((has, used)) = fit_amounts(name, *asked, info) else { continue };
        let requested = used + asked;
        let score = match &strategy.kind {
            ScoringStrategyType::LeastAllocated if requested > has => 0,
            ScoringStrategyType::LeastAllocated => (has - requested) * MAX_SCORE / has,
            ScoringStrategyType::MostAllocated => requested.min(has) * MAX_SCORE / has,
            ScoringStrategyType::RequestedToCapacityRatio(shape) => {
                let utilization = if requested > has { 100 } else { requested * 100 / has };
                broken_line(shape, utilization)
            }
        };
        if score == 0 && matches!(strategy.kind, ScoringStrategyType::RequestedToCapacityRatio(_)) {
            continue;
        }
        sum += score * weight;
        weights += weight;
    }
    match (&strategy.kind, weights) {
        (_, 0) => 0,
        (ScoringStrategyType::RequestedToCapacityRatio(_), _) => (sum as f64 / weights as f64).round() as i64,
        _ => sum / weights,
    }
}

/// What the node has of a resource, and what is used of it. `None`: it does not count.
fn fit_amounts(name: &str, asked: i64, info: &NodeInfo) -> Option<(i64, i64)> {
    if asked == 0 && is_scalar_resource(name) {
        return None;
    }
    let (has, used) = match name {
        "cpu" => (info.allocatable.cpu_milli, info.nonzero.0),
        "memory" => (info.allocatable.memory_bytes, info.nonzero.1),
        "ephemeral-storage" => {
            (info.allocatable.ephemeral_storage_bytes, info.requested.ephemeral_storage_bytes)
        }
        _ => (info.allocatable.scalar(name)?, info.requested.scalar(name).unwrap_or(0)),
    };
    (has != 0).then_some((has, used))
}

/// The value of a line through points (percent, tenths of the highest score).
fn broken_line(shape: &[(i64, i64)], at: i64) -> i64 {
    const SCALE: i64 = MAX_SCORE / 10;
    let mut before: Option<(i64, i64)> = None;
    for (x, y) in shape.iter().map(|(x, y)| (*x, *y * SCALE)) {
        if at <= x {
            return match before {
                Some((x0, y0)) => y0 + (y - y0) * (at - x0) / (x - x0),
                None => y,
            };
        }
        before = Some((x, y));
    }
    before.map_or(0, |(_, y)| y)
}

/// How much the pod evens out the use of cpu and memory: 75 if it changes nothing.
pub(super) fn balanced_allocation(asked: [i64; 2], info: &NodeInfo) -> i64 {
    let has = [info.allocatable.cpu_milli, info.allocatable.memory_bytes];
    let used = [info.requested.cpu_milli, info.requested.memory_bytes];
    let with = balance([used[0] + asked[0], used[1] + asked[1]], has);
    let without = balance(used, has);
    MAX_SCORE / 2 + (MAX_SCORE / 2 + with - without) / 2
}

/// 100 if both are used to the same share, less the further they are apart. In doubles, in this order.
fn balance(used: [i64; 2], has: [i64; 2]) -> i64 {
    let share = |at: usize| (used[at] as f64 / has[at] as f64).min(1.0);
    let deviation = if has[0] == 0 || has[1] == 0 { 0.0 } else { ((share(0) - share(1)) / 2.0).abs() };
    ((1.0 - deviation) * MAX_SCORE as f64) as i64
}
