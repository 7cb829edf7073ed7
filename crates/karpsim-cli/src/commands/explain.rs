//! `karpsim explain`: why a pod goes where it goes or nowhere, why a node is removed or stays.

use crate::failure::Failure;
use crate::flags::OutputFlag;
use crate::input::scenario::{Loaded, ScenarioFlags};
use crate::output::explanation;
use crate::output::figures::shortened;
use crate::output::print;
use clap::Args;
use karpsim::problem::near_miss;

const EXAMPLES: &str = "\
Examples:
  karpsim explain scenario.json pod/default/web-0
  karpsim explain scenario.json node/ip-10-0-1-17 -o json
  karpsim explain recordings.jsonl.zst --root data/conformance --scenario NAME pod/default/p0
  kubectl get pods,nodes,nodepools,nodeclaims,daemonsets -A -o json | karpsim explain - pod/web-0 --catalogue aws/us-west-2

For a pod, the output shows how many instance types of each NodePool every rule leaves, and the closest match.
For a node, it shows the result of each disruption method, budgets, prices, and the pods that block disruption.";

/// Names that are listed.
const NAMES_MAX: usize = 5;

/// Explain why a pod is scheduled where it is or is unschedulable, or why a node is disrupted or kept
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// Object to explain: pod/NAMESPACE/NAME, pod/NAME or node/NAME
    #[arg(value_name = "pod/NS/NAME|node/NAME")]
    what: String,
    #[command(flatten)]
    output: OutputFlag,
}

impl Explain {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// If the scenario is wrong, or holds no such pod or node.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        match self.what.split_once('/') {
            Some(("pod" | "pods" | "po", name)) if !name.is_empty() => {
                let loaded = self.scenario.load()?;
                let explanation = karpsim::explain::pod(&loaded.scenario, name)
                    .ok_or_else(|| no_such(&loaded, "pod", name, &pod_names(&loaded)))?;
                print(&self.output.format.render(&explanation, explanation::pod)?)
            }
            Some(("node" | "nodes" | "no" | "nodeclaim" | "nodeclaims", name)) if !name.is_empty() => {
                let loaded = self.scenario.load()?;
                let explanation = karpsim::explain::node(&loaded.scenario, name)
                    .ok_or_else(|| no_such(&loaded, "node", name, &node_names(&loaded)))?;
                print(&self.output.format.render(&explanation, explanation::node)?)
            }
            _ => Err(Failure::input(format!(
                "invalid value `{}`: expected pod/NAMESPACE/NAME, pod/NAME or node/NAME",
                self.what
            ))),
        }
    }
}

fn pod_names(loaded: &Loaded) -> Vec<String> {
    let pods = loaded.scenario.objects.pods.iter();
    pods.map(|pod| format!("{}/{}", pod.metadata.namespace, pod.metadata.name)).collect()
}

fn node_names(loaded: &Loaded) -> Vec<String> {
    let objects = &loaded.scenario.objects;
    let nodes = objects.nodes.iter().map(|node| node.metadata.name.to_string());
    nodes.chain(objects.node_claims.iter().map(|claim| claim.metadata.name.to_string())).collect()
}

fn no_such(loaded: &Loaded, kind: &str, name: &str, names: &[String]) -> Failure {
    let failure = Failure::input(format!("{}: {kind} `{name}` not found", loaded.shown));
    if names.iter().any(|known| known == name) {
        return failure.hint("it is a NodeClaim that is still launching");
    }
    let own = |known: &String| known.rsplit('/').next() == Some(name);
    if let Some(near) = names.iter().find(|known| own(known)).map(String::as_str) {
        return failure.hint(format!("did you mean `{kind}/{near}`?"));
    }
    match near_miss(name, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{kind}/{near}`?")),
        None if names.is_empty() => failure.hint(format!("the scenario has no {kind}s")),
        None => failure
            .hint(format!("the scenario has {}", shortened(names.iter().map(String::as_str), NAMES_MAX))),
    }
}
