//! The disruption loop: every 10 s the methods are asked in order; the first that has a command has it carried out.
//!
//! Emptiness and consolidation wait 15 s and look again before they act; in that time the loop does nothing else. What
//! consolidation found not to be worth while is remembered until the cluster changes, 5 minutes at most.

use crate::controller::Controller;
use crate::decider::Found;
use crate::record::{Loop, Record};
use crate::settings::Profile;
use crate::time::{Nanos, SECOND};
use karpsim::decision::{Command, Method};

/// From the end of a pass that did nothing to the next.
const POLL: Nanos = 10 * SECOND;
/// From a pass that found an instance being launched to the next.
const UNSYNCED: Nanos = SECOND;
/// Between a command of emptiness or consolidation and its second look.
const VALIDATION: Nanos = 15 * SECOND;
/// Multi-node consolidation stops searching after this.
const MULTI_NODE_LIMIT: Nanos = 60 * SECOND;
/// Single-node consolidation stops searching after this.
const SINGLE_NODE_LIMIT: Nanos = 180 * SECOND;

/// Where the loop stands.
#[derive(Debug, Clone)]
enum Stage {
    /// The next pass begins.
    Waiting { until: Nanos },
    /// A method is being computed; then the pass goes on with the next one.
    Thinking { next_method: usize, until: Nanos },
    /// A command waits for its second look.
    Validating { method: usize, command: Box<Command>, until: Nanos },
}

/// Where the loop stands, and what it remembers.
#[derive(Debug, Clone)]
pub(crate) struct DisruptionLoop {
    stage: Stage,
    /// For each method, the state of the cluster in which it found nothing.
    consolidated: [Option<u64>; Method::ALL.len()],
    /// The version of the cluster in which a whole pass found nothing, and which methods remembered that: as long as
    /// nothing changes the next pass would find nothing either.
    fruitless: Option<(u64, [bool; Method::ALL.len()])>,
}

impl DisruptionLoop {
    pub(crate) fn new(first: Nanos) -> Self {
        DisruptionLoop {
            stage: Stage::Waiting { until: first },
            consolidated: [None; Method::ALL.len()],
            fruitless: None,
        }
    }

    pub(crate) fn next_at(&self) -> Option<Nanos> {
        match &self.stage {
            Stage::Waiting { until } | Stage::Thinking { until, .. } | Stage::Validating { until, .. } => {
                Some(*until)
            }
        }
    }
}

/// Whether a method remembers that it found nothing.
fn remembers(method: Method) -> bool {
    matches!(method, Method::MultiNodeConsolidation | Method::SingleNodeConsolidation)
}

impl Controller {
    pub(crate) fn run_disruption(&mut self, now: Nanos) {
        let waiting = Stage::Waiting { until: now + POLL };
        match std::mem::replace(&mut self.disruption.stage, waiting) {
            Stage::Waiting { .. } => self.begin_pass(now),
            Stage::Thinking { next_method, .. } => self.ask_methods(next_method, true, now),
            Stage::Validating { method, command, .. } => match self.second_look(&command, now) {
                Some(command) => self.carry_out(&[command], now),
                None => self.ask_methods(method + 1, false, now),
            },
        }
    }

    fn begin_pass(&mut self, now: Nanos) {
        if !self.cluster.is_synced() {
            self.disruption.stage = Stage::Waiting { until: now + UNSYNCED };
            return;
        }
        self.ready.record(Record::Pass { of: Loop::Disruption });
        self.untaint_leftovers(now);
        if let Some((version, remembering)) = self.disruption.fruitless
            && version == self.cluster.version
        {
            // What it remembers is renewed all the same: with every 5 minutes the blindness begins anew.
            if remembering.contains(&true) {
                let state = self.cluster.consolidation_state(now);
                for (remembered, _) in
                    self.disruption.consolidated.iter_mut().zip(remembering).filter(|(_, it)| *it)
                {
                    *remembered = Some(state);
                }
            }
            return;
        }
        self.ask_methods(0, true, now);
    }

    /// Nodes that carry the taint although no command is under way lose it.
    fn untaint_leftovers(&mut self, now: Nanos) {
        let leftovers: Vec<_> = self
            .cluster
            .claims()
            .filter(|claim| !claim.marked && claim.deleting.is_none() && claim.registered.is_some())
            .map(|claim| claim.name().clone())
            .collect();
        for name in leftovers {
            self.untaint(&name, now);
        }
    }

    /// Asks the methods from the `first` on. `whole`: nothing was found by those before either.
    fn ask_methods(&mut self, first: usize, whole: bool, now: Nanos) {
        let version = self.cluster.version;
        let mut whole = whole && first == 0;
        let mut remembering = [false; Method::ALL.len()];
        let mut asked: Vec<(usize, Method)> = Vec::new();
        let mut next = None;
        for (index, method) in Method::ALL.into_iter().enumerate().skip(first) {
            // Nodes fall ill in no replay yet.
            if method == Method::Repair {
                continue;
            }
            if method == Method::Emptiness && self.settings.profile == Profile::Karpenter06 {
                continue;
            }
            let condition = match method {
                Method::StaticDrift | Method::Drift => "Drifted",
                _ => "Consolidatable",
            };
            if !self.cluster.claims().any(|claim| claim.is(condition)) {
                continue;
            }
            let blind = remembers(method)
                && self.disruption.consolidated[index] == Some(self.cluster.consolidation_state(now));
            if blind {
                whole = false;
                continue;
            }
            asked.push((index, method));
            // Thinking takes time, and the next method sees another moment.
            if self.settings.think_time > 0 && remembers(method) {
                next = Some(index + 1);
                break;
            }
        }
        let limits: Vec<(Method, Option<usize>)> =
            asked.iter().map(|(_, method)| (*method, self.limit(*method))).collect();
        let answers = if asked.is_empty() {
            Vec::new()
        } else {
            self.decider.disrupt_in_order(self.moment.of(&mut self.cluster, now), &limits)
        };
        for ((index, method), found) in asked.into_iter().zip(answers) {
            let thought = self.thinking_time(method, &found);
            whole &= thought == 0;
            if found.commands.is_empty() {
                // Single-node consolidation that ran out of time remembers nothing; multi-node does not tell the two apart.
                let cut_short = method == Method::SingleNodeConsolidation
                    && self.limit(method).is_some_and(|limit| found.simulations >= limit);
                if remembers(method) && found.had_candidates && !found.constrained_by_budgets && !cut_short {
                    self.disruption.consolidated[index] = Some(self.cluster.consolidation_state(now));
                    remembering[index] = true;
                }
                if thought > 0 {
                    self.disruption.stage = Stage::Thinking { next_method: index + 1, until: now + thought };
                    return;
                }
                continue;
            }
            if matches!(method, Method::StaticDrift | Method::Drift) {
                self.carry_out(&found.commands, now);
                return;
            }
            if let Some(command) = found.commands.into_iter().next() {
                let until = now + thought + VALIDATION;
                self.disruption.stage =
                    Stage::Validating { method: index, command: Box::new(command), until };
                return;
            }
        }
        if let Some(next) = next {
            self.ask_methods(next, false, now);
            return;
        }
        self.disruption.stage = Stage::Waiting { until: now + POLL };
        if whole && !self.depends_on_time(now) {
            self.disruption.fruitless = Some((version, remembering));
        }
    }

    /// Whether the same cluster could be decided differently later.
    fn depends_on_time(&self, now: Nanos) -> bool {
        let budgets = self.cluster.node_pools.values().flat_map(|pool| &pool.spec.disruption.budgets);
        budgets.flatten().any(|budget| budget.schedule.is_some())
            || self.cluster.claims().any(|claim| claim.nominated_until > now)
            || self.cluster.pods.values().any(|pod| {
                pod.metadata
                    .annotations
                    .get("karpenter.sh/do-not-disrupt")
                    .is_some_and(|value| value != "true")
            })
    }

    /// How many simulations a method has time for.
    fn limit(&self, method: Method) -> Option<usize> {
        let limit = match method {
            Method::MultiNodeConsolidation => MULTI_NODE_LIMIT,
            Method::SingleNodeConsolidation => SINGLE_NODE_LIMIT,
            _ => return None,
        };
        (self.settings.think_time > 0)
            .then(|| usize::try_from(limit / self.settings.think_time).unwrap_or(1).max(1))
    }

    fn thinking_time(&self, method: Method, found: &Found) -> Nanos {
        match method {
            Method::MultiNodeConsolidation | Method::SingleNodeConsolidation => {
                self.settings.think_time.saturating_mul(found.simulations as i64)
            }
            _ => 0,
        }
    }

    /// What is left of `command` after its wait.
    fn second_look(&mut self, command: &Command, now: Nanos) -> Option<Command> {
        let candidates = self.decider.validate(self.moment.of(&mut self.cluster, now), command)?;
        let mut left = command.clone();
        left.candidates = candidates;
        Some(left)
    }

    fn carry_out(&mut self, commands: &[Command], now: Nanos) {
        for command in commands {
            self.start_command(command, now);
        }
        // The next pass comes at once. It finds replacements that are not launched yet, however fast the cloud is.
        let launching = commands.iter().any(|command| !command.replacements.is_empty());
        self.disruption.stage = Stage::Waiting { until: if launching { now + UNSYNCED } else { now } };
    }
}
