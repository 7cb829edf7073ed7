//! NodePools with `replicas`: they have so many nodes, whatever the pods.

use crate::capacity::launch_order;
use crate::controller::{Controller, Timer};
use crate::record::{Cause, Decided, Reason};
use crate::time::{Nanos, SECOND};
use karpsim::decision::{DecidedRequirement, NewNodeClaim};
use karpsim::kubernetes::pods;
use karpsim::model::karpenter::NodePool;
use karpsim::model::meta::{Str, condition_is_true};
use std::collections::BTreeMap;

/// A static NodePool is looked at this often, beside when something happens to it.
const LOOK_AGAIN: Nanos = 60 * SECOND;

impl Controller {
    /// Brings a static NodePool to its count.
    pub(crate) fn reconcile_static(&mut self, name: &Str, now: Nanos) {
        let Some(pool) = self.cluster.static_pool(name).cloned() else { return };
        let Some(replicas) = pool.spec.replicas else { return };
        self.timers.retain(|(at, timer)| *at <= now || *timer != Timer::Static(name.clone()));
        self.at(now + LOOK_AGAIN, Timer::Static(name.clone()));
        let of_pool = || self.cluster.claims().filter(|claim| claim.pool == *name);
        let running = of_pool().filter(|claim| !claim.marked && claim.deleting.is_none()).count() as i64;
        let pending = of_pool().filter(|claim| claim.marked && claim.deleting.is_none()).count() as i64;
        if running > replicas {
            self.shrink(name, (running - replicas) as usize, now);
        } else if running + pending < replicas && condition_is_true(&pool.status.conditions, "Ready") {
            let limit = pool.spec.limits.as_ref().and_then(|limits| limits.get("nodes"));
            let total = of_pool().count() as i64;
            let room = limit.map_or(i64::MAX, |limit| limit.units_rounded_up() - total);
            self.grow(&pool, (replicas - running).min(room), now);
        }
    }

    fn grow(&mut self, pool: &NodePool, count: i64, now: Nanos) {
        let wanted = self.static_claim(pool);
        let mut launched: Vec<(Str, NewNodeClaim)> = Vec::new();
        for _ in 0..count {
            let Some(name) = self.name_claim(&wanted) else { break };
            self.create_claim(&name, &wanted, now);
            launched.push((name, wanted.clone()));
        }
        if !launched.is_empty() {
            self.decided(Decided::launching(launched));
        }
    }

    /// A NodeClaim that is whatever the NodePool allows.
    fn static_claim(&self, pool: &NodePool) -> NewNodeClaim {
        let mut requirements: Vec<DecidedRequirement> = pool
            .spec
            .template
            .spec
            .requirements
            .iter()
            .filter_map(|requirement| {
                Some(DecidedRequirement {
                    key: requirement.key.clone(),
                    operator: requirement.operator?.as_str(),
                    values: requirement.values.clone(),
                    min_values: requirement.min_values.and_then(|least| u32::try_from(least).ok()),
                })
            })
            .collect();
        requirements.sort_by(|a, b| (&a.key, a.operator).cmp(&(&b.key, b.operator)));
        let mut wanted = NewNodeClaim {
            node_pool: pool.metadata.name.clone(),
            pods: Vec::new(),
            instance_types: std::sync::Arc::default(),
            requirements,
            requests: BTreeMap::new(),
            launch: None,
        };
        wanted.launch = launch_order(self.cluster.catalogue(), &wanted).next();
        wanted
    }

    /// Takes nodes away: those that are not launched yet, then empty ones, then those that are cheapest to disrupt.
    fn shrink(&mut self, pool: &Str, count: usize, now: Nanos) {
        let calendar = self.cluster.calendar;
        let mut order: Vec<_> = self
            .cluster
            .claims()
            .filter(|claim| claim.pool == *pool && !claim.marked && claim.deleting.is_none())
            .map(|claim| {
                let mut cost = 0.0_f64;
                let (mut occupied, mut held) = (false, false);
                for pod in self.cluster.pods_of(claim) {
                    occupied |= !pods::is_owned_by_daemon_set(pod);
                    held |= pods::is_held_by_annotation(pod, calendar.wall(now));
                    cost += 1.0;
                }
                (claim.launched.is_some(), occupied || held, held, cost, claim.name().clone())
            })
            .collect();
        order.sort_by(|a, b| {
            (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)).then(a.3.total_cmp(&b.3)).then_with(|| a.4.cmp(&b.4))
        });
        let going: Vec<Str> = order.into_iter().take(count).map(|(.., name)| name).collect();
        self.decided_removal(Cause::Delete, Reason::ScaledDown, &going);
        for name in going {
            self.delete_claim(&name, now);
        }
    }
}
