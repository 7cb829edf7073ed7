//! Commands under way: candidates are tainted at once and deleted when all replacements are initialized.

use crate::controller::{Controller, Timer};
use crate::record::{Cause, Decided, Reason};
use crate::time::{Nanos, SECOND};
use karpsim::decision::{Command, NewNodeClaim};
use karpsim::model::meta::Str;

/// Replacements are looked at this often.
const POLL: Nanos = SECOND;
/// A command is given up after this long; with many under way later, up to an hour.
const GIVE_UP_AFTER: Nanos = 600 * SECOND;

/// A command under way.
#[derive(Debug, Clone)]
pub(crate) struct Orchestrated {
    candidates: Vec<Str>,
    replacements: Vec<Str>,
    started: Nanos,
}

impl Controller {
    /// Carries out a command.
    pub(crate) fn start_command(&mut self, command: &Command, now: Nanos) {
        let candidates: Vec<Str> =
            command.candidates.iter().filter_map(|node| self.cluster.claim_of_node(node)).cloned().collect();
        let removed = self.removed(&candidates);
        let stamp = self.cluster.calendar.stamp(now);
        let replacements: Vec<(Str, &NewNodeClaim)> = command
            .replacements
            .iter()
            .filter_map(|wanted| Some((self.name_claim(wanted)?, wanted)))
            .collect();
        let launched = replacements.iter().map(|(name, wanted)| (name.clone(), (*wanted).clone())).collect();
        let reason = Reason::Disruption(command.method.reason());
        self.decided(Decided { launched, ..Decided::removing(Cause::Disrupt, reason, removed) });
        for name in &candidates {
            self.taint(name, now);
            if let Some(claim) = self.cluster.claim_mut(name) {
                claim.set_true("DisruptionReason", command.method.reason().as_str(), stamp);
            }
        }
        for (name, wanted) in &replacements {
            self.create_claim(name, wanted, now);
        }
        let replacements: Vec<Str> = replacements.into_iter().map(|(name, _)| name).collect();
        for name in &candidates {
            if let Some(claim) = self.cluster.claim_mut(name) {
                claim.marked = true;
            }
        }
        self.cluster.version += 1;
        self.nominate_destinations(now);
        self.commands_started += 1;
        let id = self.commands_started;
        // The first look is at once; it can only find replacements that are not there yet.
        let first_look = if replacements.is_empty() { now } else { now + POLL };
        self.queue.insert(id, Orchestrated { candidates, replacements, started: now });
        self.at(first_look, Timer::Command(id));
    }

    /// Nodes that will take pods of the candidates are nominated before the next pass can look at them.
    fn nominate_destinations(&mut self, now: Nanos) {
        let decision = self.decider.provision(self.moment.of(&mut self.cluster, now));
        self.nominate(&decision.existing_nodes, now);
    }

    /// Looks at a command: are its replacements there?
    pub(crate) fn poll_command(&mut self, id: u64, now: Nanos) {
        let Some(command) = self.queue.get(&id) else { return };
        let gone = command.replacements.iter().any(|name| self.cluster.claim(name).is_none());
        let patience = GIVE_UP_AFTER
            .max((SECOND / 1000 * 80).saturating_mul(self.queue.len() as i64).min(3600 * SECOND));
        if gone || now - command.started > patience {
            let candidates = command.candidates.clone();
            self.queue.remove(&id);
            for name in candidates {
                if let Some(claim) = self.cluster.claim_mut(&name) {
                    claim.marked = false;
                }
                self.untaint(&name, now);
            }
            self.cluster.version += 1;
            return;
        }
        let ready = command
            .replacements
            .iter()
            .all(|name| self.cluster.claim(name).is_some_and(|claim| claim.initialized.is_some()));
        if !ready {
            self.at(now + POLL, Timer::Command(id));
            return;
        }
        if let Some(command) = self.queue.remove(&id) {
            for name in command.candidates {
                self.delete_claim(&name, now);
            }
        }
    }
}
