//! How this Karpenter is set up.

use crate::names::NodeClaimNames;
use crate::time::{Nanos, SECOND};
use karpsim::batching::BatchWindow;
use karpsim::model::meta::Duration;
use karpsim::scenario::Options;
use serde::{Deserialize, Serialize};

/// Which Karpenter's timing is followed. Decisions are the same in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Karpenter v1: disruption polls, validates, keeps budgets and drains for at least 5 s.
    #[default]
    Karpenter1,
    /// Karpenter v0.6: an empty node goes `ttlSecondsAfterEmpty` after it became empty, with nothing of that.
    Karpenter06,
}

/// Who binds pods to the nodes that were launched for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Binding {
    /// kube-scheduler, when the node is ready.
    #[default]
    Scheduler,
    /// Karpenter, as soon as the node exists (until v0.6).
    Early,
}

/// How this Karpenter is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Feature gates and policies of the decisions.
    pub options: Options,
    /// `--batch-idle-duration`.
    pub batch_idle: Duration,
    /// `--batch-max-duration`.
    pub batch_max: Duration,
    /// Whose timing.
    pub profile: Profile,
    /// Who binds.
    pub binding: Binding,
    /// When the first pass of the disruption loop is.
    pub disruption_loop_first: Nanos,
    /// How new NodeClaims are called.
    pub node_claim_names: NodeClaimNames,
    /// How long one simulation of consolidation is taken to last. With more than zero the limits of 1 minute
    /// (multi-node) and 3 minutes (single-node) are felt.
    pub think_time: Nanos,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            options: Options::default(),
            batch_idle: BatchWindow::IDLE_DEFAULT,
            batch_max: BatchWindow::MAX_DEFAULT,
            profile: Profile::default(),
            binding: Binding::default(),
            disruption_loop_first: 10 * SECOND,
            node_claim_names: NodeClaimNames::default(),
            think_time: 0,
        }
    }
}

impl Settings {
    /// How long a node stays nominated: twice the longest batch window, at least 10 s.
    pub fn nomination_window(&self) -> Nanos {
        self.batch_max.nanos.saturating_mul(2).max(10 * SECOND)
    }
}
