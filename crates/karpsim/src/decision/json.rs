//! A decision as JSON: byte for byte what `serde_json` makes of it, but a list of instance types that NodeClaims share is
//! made once and copied. In a large decision these lists are nearly all of the text.

use super::reasons::PodError;
use super::{Command, DecidedRequirement, Decision, FilledNode, Launch, Method, NewNodeClaim};
use super::{DisruptionDecision, PodDeletionCosts, ProvisioningDecision, TerminateFirst};
use crate::model::meta::{Duration, Str};
use crate::quantity::Quantity;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::collections::hash_map::Entry;

impl Decision {
    /// Appends the decision as JSON, on one line.
    ///
    /// # Errors
    ///
    /// Those of `serde_json`, which a decision gives no reason for.
    pub fn write_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let lists = Lists::of(self)?;
        match self {
            Decision::Provisioning(decision) => {
                let ProvisioningDecision { new_node_claims, existing_nodes, pod_errors, ignored_pods } =
                    decision;
                let new_node_claims = lists.in_claims(new_node_claims);
                let text = ProvisioningText { new_node_claims, existing_nodes, pod_errors, ignored_pods };
                serde_json::to_writer(out, &text)
            }
            Decision::Disruption(DisruptionDecision { commands, pod_deletion_cost }) => {
                let commands = commands.iter().map(|command| lists.in_command(command)).collect();
                let pod_deletion_cost = pod_deletion_cost.as_ref();
                serde_json::to_writer(out, &DisruptionText { commands, pod_deletion_cost })
            }
        }
    }

    fn claims(&self) -> impl Iterator<Item = &NewNodeClaim> {
        let (new, commands) = match self {
            Decision::Provisioning(decision) => (&decision.new_node_claims[..], &[][..]),
            Decision::Disruption(decision) => (&[][..], &decision.commands[..]),
        };
        new.iter().chain(commands.iter().flat_map(|command| &command.replacements))
    }
}

/// Lists of instance types as JSON, by where the lists are in memory, which is where NodeClaims share them.
struct Lists(FxHashMap<*const [Str], Box<RawValue>>);

impl Lists {
    fn of(decision: &Decision) -> serde_json::Result<Lists> {
        let mut texts = FxHashMap::default();
        for claim in decision.claims() {
            let list = &*claim.instance_types;
            if let Entry::Vacant(place) = texts.entry(std::ptr::from_ref(list)) {
                place.insert(to_raw_value(list)?);
            }
        }
        Ok(Lists(texts))
    }

    fn in_claims<'a>(&'a self, claims: &'a [NewNodeClaim]) -> Vec<ClaimText<'a>> {
        claims.iter().map(|claim| self.in_claim(claim)).collect()
    }

    fn in_claim<'a>(&'a self, claim: &'a NewNodeClaim) -> ClaimText<'a> {
        let NewNodeClaim { node_pool, pods, instance_types, requirements, requests, launch } = claim;
        let instance_types = &*self.0[&std::ptr::from_ref(&**instance_types)];
        ClaimText { node_pool, pods, instance_types, requirements, requests, launch: launch.as_ref() }
    }

    fn in_command<'a>(&'a self, command: &'a Command) -> CommandText<'a> {
        CommandText {
            method: command.method,
            reason: command.reason,
            candidates: &command.candidates,
            replacements: self.in_claims(&command.replacements),
            terminate_first: command.terminate_first,
            reboot: command.reboot,
            condition: command.condition.as_ref(),
            termination_grace_period: command.termination_grace_period,
        }
    }
}

/// [`ProvisioningDecision`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisioningText<'a> {
    new_node_claims: Vec<ClaimText<'a>>,
    existing_nodes: &'a [FilledNode],
    pod_errors: &'a BTreeMap<Str, PodError>,
    ignored_pods: &'a [Str],
}

/// [`DisruptionDecision`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DisruptionText<'a> {
    commands: Vec<CommandText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_deletion_cost: Option<&'a PodDeletionCosts>,
}

/// [`Command`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandText<'a> {
    method: Method,
    reason: &'static str,
    candidates: &'a [Str],
    replacements: Vec<ClaimText<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminate_first: Option<TerminateFirst>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reboot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a Str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    termination_grace_period: Option<Duration>,
}

/// [`NewNodeClaim`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimText<'a> {
    node_pool: &'a Str,
    pods: &'a [Str],
    instance_types: &'a RawValue,
    requirements: &'a [DecidedRequirement],
    requests: &'a BTreeMap<Str, Quantity>,
    launch: Option<&'a Launch>,
}
