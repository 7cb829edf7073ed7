//! `karpsim explain`: why a pod goes where it goes or nowhere, why a node is removed or stays.

use crate::failure::Failure;
use crate::replay::{Format, print};
use crate::scenario_file::{Loaded, ScenarioFlags};
use crate::table::{Align, Table, shortened};
use clap::Args;
use karpsim::decision::reasons::{Refusals, Refused, Step};
use karpsim::decision::{Launch, Method};
use karpsim::explain::{
    Arithmetic, LaunchExplanation, LeftOver, MethodExplanation, NodeExplanation, PodExplanation, PodOutcome,
    Verdict,
};
use karpsim::problem::near_miss;
use std::fmt::Write;

const EXAMPLES: &str = "\
Examples:
  karpsim explain scenario.json pod/default/web-0
  karpsim explain scenario.json node/ip-10-0-1-17 -o json
  karpsim explain recordings.jsonl.zst --root data/conformance --scenario NAME pod/default/p0
  kubectl get pods,nodes,nodepools,nodeclaims,daemonsets -A -o json | karpsim explain - pod/web-0 --catalogue aws/us-west-2

For a pod: rule by rule, how many instance types of each NodePool are left, and what comes nearest.
For a node: what each method of disruption makes of it, budgets, prices, and pods that hold it.";

/// Names that are listed.
const NAMES_MAX: usize = 5;

/// Tell why a pod goes where it goes or nowhere, or why a node is removed or stays
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    #[command(flatten)]
    scenario: ScenarioFlags,
    /// What is to be explained: pod/NAMESPACE/NAME, pod/NAME or node/NAME
    #[arg(value_name = "pod/NS/NAME|node/NAME")]
    what: String,
    /// How it is shown
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
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
                print(&self.output.render(&explanation, pod_table)?)
            }
            Some(("node" | "nodes" | "no" | "nodeclaim" | "nodeclaims", name)) if !name.is_empty() => {
                let loaded = self.scenario.load()?;
                let explanation = karpsim::explain::node(&loaded.scenario, name)
                    .ok_or_else(|| no_such(&loaded, "node", name, &node_names(&loaded)))?;
                print(&self.output.render(&explanation, node_table)?)
            }
            _ => Err(Failure::input(format!(
                "found `{}`, allowed is pod/NAMESPACE/NAME, pod/NAME or node/NAME",
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
    let failure = Failure::input(format!("{}: holds no {kind} `{name}`", loaded.shown));
    if names.iter().any(|known| known == name) {
        return failure.hint("it is a NodeClaim that is being launched");
    }
    let own = |known: &String| known.rsplit('/').next() == Some(name);
    if let Some(near) = names.iter().find(|known| own(known)).map(String::as_str) {
        return failure.hint(format!("did you mean `{kind}/{near}`?"));
    }
    match near_miss(name, names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{kind}/{near}`?")),
        None if names.is_empty() => failure.hint(format!("it holds no {kind}s at all")),
        None => failure.hint(format!("it holds {}", shortened(names.iter().map(String::as_str), NAMES_MAX))),
    }
}

fn pod_table(explanation: &PodExplanation) -> String {
    let pod = &explanation.pod;
    match &explanation.outcome {
        PodOutcome::Bound { node } => format!("pod {pod} is on node {node}\n"),
        PodOutcome::NotConsidered { why } => format!("pod {pod} is not considered: {why}\n"),
        PodOutcome::Ignored { why } => format!("pod {pod} is kept out of the round: {why}\n"),
        PodOutcome::ExistingNode { node, passed_over } => {
            let mut text =
                format!("pod {pod} goes to node {node}, the first in Karpenter's order that takes it\n");
            append(&mut text, &nodes_table(passed_over, &[]));
            text
        }
        PodOutcome::Launch(launch) => launch_text(pod, launch),
        PodOutcome::LeftOver(left_over) => left_over_text(pod, left_over),
    }
}

/// Adds a table below an empty line, if it has rows.
fn append(text: &mut String, table: &Table) {
    if !table.is_empty() {
        text.push('\n');
        text.push_str(&table.to_string());
    }
}

fn steps_table<'a>(steps: impl Iterator<Item = (&'a str, usize, &'a [Step])>) -> Table {
    let mut table = Table::new(&[
        ("NODEPOOL", Align::Left),
        ("RULE", Align::Left),
        ("REMOVED", Align::Right),
        ("LEFT", Align::Right),
    ]);
    for (pool, types, steps) in steps {
        table.row(vec![
            pool.to_owned(),
            "instance types offered".to_owned(),
            String::new(),
            types.to_string(),
        ]);
        for step in steps {
            table.row(vec![
                pool.to_owned(),
                step.rule.to_string(),
                step.removed.to_string(),
                step.left.to_string(),
            ]);
        }
    }
    table
}

fn nodes_table(nodes: &[Refused], new_nodes: &[Refused]) -> Table {
    let mut table =
        Table::new(&[("NODES", Align::Right), ("EXAMPLE", Align::Left), ("WHY NOT", Align::Left)]);
    let new_nodes = new_nodes.iter().map(|refused| (format!("new: {}", refused.example), refused));
    for (example, refused) in
        nodes.iter().map(|refused| (refused.example.to_string(), refused)).chain(new_nodes)
    {
        table.row(vec![refused.nodes.to_string(), example, refused.rule.to_string()]);
    }
    table
}

fn left_over_text(pod: &str, left_over: &LeftOver) -> String {
    let mut text = format!("pod {pod} is left over: {}\n", left_over.reason);
    let refusals = &left_over.refusals;
    if refusals.node_pools.is_empty() {
        let _ = writeln!(text, "{}", left_over.message);
    }
    text.push_str(&refusals_text(refusals));
    for unusable in &left_over.unusable {
        let _ = writeln!(text, "\nNodePool {} cannot be used: {}", unusable.node_pool, unusable.why);
    }
    text
}

fn refusals_text(refusals: &Refusals) -> String {
    let mut text = String::new();
    let given_up = refusals.given_up.to_string();
    if !given_up.is_empty() {
        let _ = writeln!(text, "it gave up first: {given_up}");
    }
    let pools = refusals.node_pools.iter();
    append(
        &mut text,
        &steps_table(pools.map(|pool| (pool.node_pool.as_str(), pool.instance_types, pool.steps.as_slice()))),
    );
    let mut nearest = Table::new(&[
        ("NODEPOOL", Align::Left),
        ("NEAREST", Align::Left),
        ("WHAT STANDS IN THE WAY", Align::Left),
    ]);
    for pool in &refusals.node_pools {
        for miss in pool.nearest.iter().flat_map(|nearest| &nearest.misses) {
            let of = pool.nearest.as_ref().and_then(|nearest| nearest.instance_type.as_ref());
            let of = of.filter(|_| miss.depends_on_type()).map_or("any", |name| name.as_str());
            nearest.row(vec![pool.node_pool.to_string(), of.to_owned(), miss.to_string()]);
        }
    }
    append(&mut text, &nearest);
    append(&mut text, &nodes_table(&refusals.nodes, &refusals.new_nodes));
    text
}

fn launch_text(pod: &str, launch: &LaunchExplanation) -> String {
    let mut text = format!("pod {pod} goes to a new node of NodePool {}", launch.node_pool);
    if launch.pods.len() > 1 {
        let others = launch.pods.iter().map(|name| name.as_str()).filter(|name| *name != pod);
        let _ = write!(text, ", with {}", shortened(others, NAMES_MAX));
    }
    text.push('\n');
    append(
        &mut text,
        &steps_table(std::iter::once((
            launch.node_pool.as_str(),
            launch.instance_types,
            launch.steps.as_slice(),
        ))),
    );
    let mut offerings = Table::new(&[
        ("LAUNCH", Align::Left),
        ("TYPE", Align::Left),
        ("CAPACITY TYPE", Align::Left),
        ("ZONE", Align::Left),
        ("PRICE", Align::Right),
    ]);
    for (what, one) in [("chosen", &launch.chosen), ("runner-up", &launch.runner_up)] {
        if let Some(one) = one {
            offerings.row(vec![
                what.to_owned(),
                one.instance_type.to_string(),
                one.capacity_type.to_string(),
                one.zone.to_string(),
                price(one.price.0),
            ]);
        }
    }
    append(&mut text, &offerings);
    let _ = writeln!(
        text,
        "the cheapest of {} available offering(s) of {} instance type(s)",
        launch.offerings, launch.options
    );
    append(&mut text, &nodes_table(&launch.passed_over, &[]));
    text
}

/// Dollars an hour, as exact as catalogues are.
fn price(dollars: f64) -> String {
    let text = format!("{dollars:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("${text}/h")
}

fn node_table(explanation: &NodeExplanation) -> String {
    let or_none = |label: &Option<karpsim::model::meta::Str>| {
        label.as_ref().map_or("-".to_owned(), ToString::to_string)
    };
    let mut text = format!(
        "node {} of NodePool {}: {} {} in {}, {} pod(s), {} of them to be moved\n",
        explanation.node,
        or_none(&explanation.node_pool),
        or_none(&explanation.instance_type),
        or_none(&explanation.capacity_type),
        or_none(&explanation.zone),
        explanation.pods,
        explanation.reschedulable,
    );
    let mut methods = Table::new(&[
        ("METHOD", Align::Left),
        ("EVENT", Align::Left),
        ("BUDGET", Align::Left),
        ("VERDICT", Align::Left),
    ]);
    for method in &explanation.methods {
        methods.row(vec![
            method_name(method.method).to_owned(),
            method.event.unwrap_or("-").to_owned(),
            budget_cell(method),
            verdict(method),
        ]);
    }
    append(&mut text, &methods);
    if let Some(sums) = &explanation.arithmetic {
        append(
            &mut text,
            &arithmetic_table(sums, explanation.disruption_cost, !explanation.stranded.is_empty()),
        );
    }
    let mut blocking = Table::new(&[("BLOCKING POD", Align::Left), ("WHY", Align::Left)]);
    for pod in &explanation.blocking {
        blocking.row(vec![pod.pod.to_string(), pod.why.clone()]);
    }
    append(&mut text, &blocking);
    let mut stranded = Table::new(&[("STRANDED POD", Align::Left), ("WHY", Align::Left)]);
    for pod in &explanation.stranded {
        stranded.row(vec![pod.pod.to_string(), pod.why.clone()]);
        for refused in &pod.refusals.nodes {
            stranded.row(vec![String::new(), refused.to_string()]);
        }
    }
    append(&mut text, &stranded);
    text
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Repair => "repair",
        Method::Emptiness => "emptiness",
        Method::StaticDrift => "static-drift",
        Method::Drift => "drift",
        Method::MultiNodeConsolidation => "multi-node-consolidation",
        Method::SingleNodeConsolidation => "single-node-consolidation",
    }
}

fn budget_cell(method: &MethodExplanation) -> String {
    let Some(budget) = &method.budget else { return "-".to_owned() };
    let disrupting =
        if budget.disrupting > 0 { format!(", {} disrupting", budget.disrupting) } else { String::new() };
    format!("{} of {}{disrupting}", budget.allowed.min(budget.nodes), budget.nodes)
}

fn verdict(method: &MethodExplanation) -> String {
    match &method.verdict {
        Verdict::Removed { candidates, new_nodes, launches } => {
            let what = if *new_nodes == 0 {
                "removed".to_owned()
            } else if launches.is_empty() {
                format!("replaced by {new_nodes} new node(s), no offering of which is available now")
            } else {
                let launches: Vec<String> = launches.iter().map(launch_name).collect();
                format!("replaced by {}", launches.join(", "))
            };
            if candidates.len() > 1 { format!("{what}, {} nodes at once", candidates.len()) } else { what }
        }
        Verdict::Blocked { why } | Verdict::Unconsolidatable { why } => why.clone(),
        Verdict::Budget => {
            let budgets = method.budget.iter().flat_map(|budget| &budget.budgets);
            let holding: Vec<&str> =
                budgets.filter(|fact| fact.active != Some(false)).map(|fact| fact.budget.as_str()).collect();
            format!("the budgets allow no disruption now ({})", holding.join("; "))
        }
        Verdict::NotChosen { instead } if instead.is_empty() => {
            "it could go, but not beside others: nothing comes of it".to_owned()
        }
        Verdict::NotChosen { instead } => {
            let names = shortened(instead.iter().map(|name| name.as_str()), NAMES_MAX);
            format!("it could go, but {names} come(s) first")
        }
    }
}

fn launch_name(launch: &Launch) -> String {
    format!(
        "{} {} in {} at {}",
        launch.instance_type,
        launch.capacity_type,
        launch.zone,
        price(launch.price.0)
    )
}

fn arithmetic_table(sums: &Arithmetic, disruption_cost: Option<f64>, strands: bool) -> Table {
    let mut table = Table::new(&[("CONSOLIDATED ALONE", Align::Left), ("", Align::Left)]);
    let mut row = |what: &str, value: String| table.row(vec![what.to_owned(), value]);
    row("price now", price(sums.price.0));
    if let Some(cost) = disruption_cost {
        row("disruption cost", format!("{cost:.3}"));
    }
    if !strands {
        row("new nodes needed", sums.new_nodes.to_string());
    }
    if sums.new_nodes == 1 && sums.options > 0 {
        row("instance types that would do", sums.options.to_string());
        row("cheaper at worst", sums.cheaper.to_string());
    }
    if let Some(launch) = &sums.cheapest {
        row("cheapest launch", launch_name(launch));
    }
    if let (Some(name), Some(worst)) = (&sums.cheapest_at_worst, sums.worst_price) {
        row("cheapest at worst", format!("{name} at {}", price(worst.0)));
    }
    if let Some(saves) = sums.saves {
        row("saves at least", price(saves.0));
    }
    if let Some(balance) = sums.balance {
        row(
            "share of the NodePool",
            format!(
                "{:.1} % of its cost, {:.1} % of its disruption cost",
                balance.cost_share * 100.0,
                balance.disruption_share * 100.0
            ),
        );
    }
    table
}
