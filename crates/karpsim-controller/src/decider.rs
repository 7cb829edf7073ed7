//! Who decides. A trait, so that the loops can be tested with decisions written by hand.

use karpsim::cluster::Cluster;
use karpsim::decision::{Command, Method, ProvisioningDecision};
use karpsim::model::meta::Str;

/// What a method of disruption found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Its commands.
    pub commands: Vec<Command>,
    /// Whether there was a node that the method may look at. Without one it is not asked, and remembers nothing.
    pub had_candidates: bool,
    /// Whether a candidate was passed over because of a budget.
    pub constrained_by_budgets: bool,
    /// How many simulations it took.
    pub simulations: usize,
}

/// Decides a moment.
pub trait Decider {
    /// A provisioning round.
    fn provision(&self, cluster: &mut Cluster) -> ProvisioningDecision;
    /// What `method` would do; at most `simulations` of them if there is a limit.
    fn disrupt(&self, cluster: &mut Cluster, method: Method, simulations: Option<usize>) -> Found;
    /// Asks methods one after the other, each with its limit, until one has a command: the answers of those asked.
    fn disrupt_in_order(&self, cluster: &mut Cluster, asked: &[(Method, Option<usize>)]) -> Vec<Found> {
        let mut answers = Vec::with_capacity(asked.len());
        for &(method, limit) in asked {
            let found = self.disrupt(cluster, method, limit);
            let ends = !found.commands.is_empty();
            answers.push(found);
            if ends {
                break;
            }
        }
        answers
    }
    /// The nodes of `command`, found some time ago, that may still be removed: of empty nodes some, of others all.
    fn validate(&self, cluster: &mut Cluster, command: &Command) -> Option<Vec<Str>>;
}

/// The library.
#[derive(Debug, Clone, Copy, Default)]
pub struct Karpsim;

impl Decider for Karpsim {
    fn provision(&self, cluster: &mut Cluster) -> ProvisioningDecision {
        cluster.provision()
    }

    fn disrupt(&self, cluster: &mut Cluster, method: Method, simulations: Option<usize>) -> Found {
        self.disrupt_in_order(cluster, &[(method, simulations)]).pop().unwrap_or_default()
    }

    fn disrupt_in_order(&self, cluster: &mut Cluster, asked: &[(Method, Option<usize>)]) -> Vec<Found> {
        cluster
            .disrupt_in_order(asked)
            .into_iter()
            .map(|(commands, course)| Found {
                commands,
                had_candidates: course.candidates > 0,
                constrained_by_budgets: course.constrained_by_budgets,
                simulations: course.simulations,
            })
            .collect()
    }

    fn validate(&self, cluster: &mut Cluster, command: &Command) -> Option<Vec<Str>> {
        cluster.validate(command)
    }
}
