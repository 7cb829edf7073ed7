//! Repair policies: what a node's conditions ask of repair.
//!
//! A condition asks as soon as its type and status are those of a policy and its reason matches that policy's pattern; if
//! no pattern of its type and status matches, the fallback does, the one policy without a pattern. All that ask and have
//! been tolerated long enough are weighed together.

use crate::compile::ClusterState;
use crate::model::core::Node;
use crate::model::meta::{Condition, Duration, Str, Time, condition};
use crate::scenario::{Options, RepairAction, RepairPolicy};
use regex_lite::Regex;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A node overtakes one that is a rank higher after so long.
const RANK_MINUTES: f64 = 30.0;

/// A policy with its pattern.
#[derive(Debug, Clone)]
struct Policy {
    written: RepairPolicy,
    /// `None`: the fallback.
    reason: Option<Regex>,
    /// How many lower priorities there are.
    rank: usize,
}

impl Policy {
    fn is_about(&self, condition: &Condition) -> bool {
        self.written.condition_type == condition.kind && self.written.condition_status == condition.status
    }

    fn action(&self) -> RepairAction {
        self.written.action.unwrap_or(RepairAction::ReplaceNode)
    }
}

/// All policies; none if nodes are not repaired.
#[derive(Debug, Clone, Default)]
pub struct Policies(Vec<Policy>);

/// What a node's conditions ask of repair.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// What is done: a replacement if any policy asks for one.
    pub action: RepairAction,
    /// The condition that decides.
    pub condition: Str,
    /// The shortest drain that a policy asks for.
    pub termination_grace_period: Option<Duration>,
    /// The higher, the sooner: ranks, and what has been waited beyond what is tolerated.
    pub score: f64,
}

impl Policies {
    /// Those of the provider, if nodes are repaired by them. A pattern that cannot be read matches nothing.
    pub fn new(options: &Options) -> Self {
        if !options.repairs_nodes() {
            return Policies::default();
        }
        let written = &options.repair_policies;
        let priorities: BTreeSet<i64> = written.iter().map(|policy| policy.priority).collect();
        let compiled = written.iter().filter_map(|policy| {
            let reason = if policy.reason_regex.is_empty() {
                None
            } else {
                Some(Regex::new(&policy.reason_regex).ok()?)
            };
            let rank = priorities.range(..policy.priority).count();
            Some(Policy { written: policy.clone(), reason, rank })
        });
        Policies(compiled.collect())
    }

    /// Whether a condition is about what some policy is about, whatever its reason and however new.
    pub fn are_about(&self, condition: &Condition) -> bool {
        self.0.iter().any(|policy| policy.is_about(condition))
    }

    /// The policies that a condition calls for.
    fn called_for<'p>(&'p self, condition: &Condition) -> Vec<&'p Policy> {
        if !self.are_about(condition) {
            return Vec::new();
        }
        let matching: Vec<&Policy> = self
            .0
            .iter()
            .filter(|policy| policy.is_about(condition))
            .filter(|policy| policy.reason.as_ref().is_some_and(|reason| reason.is_match(&condition.reason)))
            .collect();
        if matching.is_empty() {
            return self.0.iter().filter(|policy| policy.reason.is_none()).collect();
        }
        matching
    }
}

/// A policy that a condition calls for and that has been tolerated long enough.
struct Eligible<'p> {
    policy: &'p Policy,
    condition: &'p Str,
    /// Since when, in nanoseconds of the epoch.
    since: i128,
}

impl Eligible<'_> {
    fn score(&self, now: i128) -> f64 {
        let waited = now - self.since;
        let (minutes, rest) = (waited / 60_000_000_000, waited % 60_000_000_000);
        let minutes = minutes as f64 + rest as f64 / 60e9;
        self.policy.rank as f64 + minutes / RANK_MINUTES
    }
}

impl Repair {
    /// What the conditions of a node of the state ask. `None`: nothing yet.
    pub fn of(problem: &ClusterState, policies: &Policies, node: usize) -> Option<Repair> {
        let state = &problem.nodes[node];
        let api = &problem.api_nodes[state.node?].node;
        // After a reboot the conditions take a while to follow.
        let rebooted = state
            .claim
            .as_ref()
            .and_then(|claim| condition(&claim.status.conditions, "Rebooting"))
            .filter(|condition| condition.status == "False")
            .and_then(|condition| condition.last_transition_time);
        Self::at(policies, api, rebooted, problem.now())
    }

    fn at(policies: &Policies, node: &Node, rebooted: Option<Time>, now: Time) -> Option<Repair> {
        let nanos = |time: Option<Time>| time.map_or(i128::MIN / 2, |time| time.0.as_nanosecond());
        let now = now.0.as_nanosecond();
        // A condition is no older than its node.
        let not_before = nanos(rebooted).max(nanos(node.metadata.creation_timestamp));
        let mut eligible: Vec<Eligible<'_>> = Vec::new();
        for condition in &node.status.conditions {
            let from = nanos(condition.last_transition_time).max(not_before);
            for policy in policies.called_for(condition) {
                let since = from + i128::from(policy.written.toleration_duration.nanos);
                if since <= now {
                    eligible.push(Eligible { policy, condition: &condition.kind, since });
                }
            }
        }
        // The more disruptive action, then the higher priority, then the one that has waited longest.
        let decisive = eligible.iter().min_by_key(|it| {
            let replaces = it.policy.action() == RepairAction::ReplaceNode;
            (Reverse(replaces), Reverse(it.policy.written.priority), it.since, it.condition)
        })?;
        let score = eligible.iter().map(|it| it.score(now)).fold(f64::MIN, f64::max);
        let bounds = eligible.iter().filter_map(|it| it.policy.written.termination_grace_period);
        Some(Repair {
            action: decisive.policy.action(),
            condition: decisive.condition.clone(),
            termination_grace_period: bounds.min_by_key(|bound| bound.nanos),
            score,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Policies, Repair};
    use crate::model::core::Node;
    use crate::model::meta::{Duration, Time};
    use crate::scenario::{Options, RepairAction};
    use serde_json::{Value, json};

    fn policies(policies: Value) -> Policies {
        let options = json!({
            "karpenterVersion": "1.15",
            "featureGates": {"nodeRepair": true},
            "repairPolicies": policies,
        });
        Policies::new(&serde_json::from_value::<Options>(options).unwrap())
    }

    /// What conditions that all began at noon ask after so many minutes.
    fn after(minutes: i64, policies: &Policies, conditions: &[(&str, &str, &str)]) -> Option<Repair> {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(kind, status, reason)| {
                json!({
                    "type": kind, "status": status, "reason": reason,
                    "lastTransitionTime": "2026-03-01T12:00:00Z",
                })
            })
            .collect();
        let node: Node = serde_json::from_value(json!({"status": {"conditions": conditions}})).unwrap();
        let noon: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        Repair::at(policies, &node, None, Time(noon + jiff::SignedDuration::from_mins(minutes)))
    }

    #[test]
    fn a_reason_that_matches_no_pattern_calls_for_the_fallback() {
        let policies = policies(json!([
            {"conditionType": "Disk", "conditionStatus": "True", "reasonRegex": "^Dead$", "tolerationDuration": "1m"},
            {"conditionType": "Ready", "conditionStatus": "False", "tolerationDuration": "30m"},
        ]));
        let slow = [("Disk", "True", "Slow")];
        assert_eq!(after(29, &policies, &slow), None);
        assert_eq!(after(30, &policies, &slow).unwrap().condition, "Disk");
        assert!(after(1, &policies, &[("Disk", "True", "Dead")]).is_some());
        assert_eq!(after(600, &policies, &[("Disk", "False", "Dead")]), None, "no policy is about it");
    }

    #[test]
    fn the_more_disruptive_action_and_the_shortest_drain_win() {
        let policies = policies(json!([
            {
                "conditionType": "Net", "conditionStatus": "False", "reasonRegex": ".", "priority": 100,
                "tolerationDuration": "5m", "terminationGracePeriod": "1m", "action": "RebootNode",
            },
            {
                "conditionType": "Disk", "conditionStatus": "True", "tolerationDuration": "10m",
                "terminationGracePeriod": "20m",
            },
        ]));
        let both = [("Net", "False", "Down"), ("Disk", "True", "Slow")];
        let early = after(5, &policies, &both).unwrap();
        assert_eq!((early.action, early.condition.as_str()), (RepairAction::RebootNode, "Net"));
        let late = after(10, &policies, &both).unwrap();
        assert_eq!((late.action, late.condition.as_str()), (RepairAction::ReplaceNode, "Disk"));
        assert_eq!(late.termination_grace_period, Some(Duration::from_secs(60)));
        // One rank, and 5 of 30 minutes beyond what is tolerated.
        assert!((late.score - (1.0 + 5.0 / 30.0)).abs() < 1e-12);
    }
}
