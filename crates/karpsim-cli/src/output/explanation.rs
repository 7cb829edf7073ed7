//! Explanations as text and tables.

use crate::output::figures::{dollars_per_hour, shortened};
use crate::output::table::{Table, left, right};
use karpsim::decision::reasons::{Refusals, Refused, Step};
use karpsim::decision::{Launch, Method};
use karpsim::explain::{
    Arithmetic, LaunchExplanation, LeftOver, MethodExplanation, NodeExplanation, PodExplanation, PodOutcome,
    Verdict,
};
use std::fmt::Write;

/// Names that are listed.
const NAMES_MAX: usize = 5;

/// Why a pod goes where it goes.
pub(crate) fn pod(explanation: &PodExplanation) -> String {
    let pod = &explanation.pod;
    match &explanation.outcome {
        PodOutcome::Bound { node } => format!("pod {pod} is bound to node {node}\n"),
        PodOutcome::NotConsidered { why } => format!("pod {pod} is not scheduled by Karpenter: {why}\n"),
        PodOutcome::Ignored { why } => format!("pod {pod} is ignored by Karpenter: {why}\n"),
        PodOutcome::ExistingNode { node, passed_over } => {
            let mut text = format!(
                "pod {pod} is scheduled to node {node}, the first existing node in Karpenter's order that fits\n"
            );
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
    let mut table = Table::new([left("NODEPOOL"), left("RULE"), right("RULED OUT"), right("REMAINING")]);
    for (pool, types, steps) in steps {
        table.row(vec![
            pool.to_owned(),
            "instance types available".to_owned(),
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
    let mut table = Table::new([right("NODES"), left("EXAMPLE"), left("REASON")]);
    let new_nodes = new_nodes.iter().map(|refused| (format!("new: {}", refused.example), refused));
    for (example, refused) in
        nodes.iter().map(|refused| (refused.example.to_string(), refused)).chain(new_nodes)
    {
        table.row(vec![refused.nodes.to_string(), example, refused.rule.to_string()]);
    }
    table
}

fn left_over_text(pod: &str, left_over: &LeftOver) -> String {
    let mut text = format!("pod {pod} is unschedulable: {}\n", left_over.reason);
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
        let _ = writeln!(text, "Relaxed first: {given_up}");
    }
    let pools = refusals.node_pools.iter();
    append(
        &mut text,
        &steps_table(pools.map(|pool| (pool.node_pool.as_str(), pool.instance_types, pool.steps.as_slice()))),
    );
    let mut nearest = Table::new([left("NODEPOOL"), left("CLOSEST TYPE"), left("BLOCKED BY")]);
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
    let mut text = format!("pod {pod} is scheduled to a new node of NodePool {}", launch.node_pool);
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
    let mut offerings =
        Table::new([left("LAUNCH"), left("TYPE"), left("CAPACITY TYPE"), left("ZONE"), right("PRICE")]);
    for (what, one) in [("selected", &launch.chosen), ("next", &launch.runner_up)] {
        if let Some(one) = one {
            offerings.row(vec![
                what.to_owned(),
                one.instance_type.to_string(),
                one.capacity_type.to_string(),
                one.zone.to_string(),
                dollars_per_hour(one.price.0),
            ]);
        }
    }
    append(&mut text, &offerings);
    let _ = writeln!(
        text,
        "Cheapest of {} available offering(s) of {} instance type(s).",
        launch.offerings, launch.options
    );
    append(&mut text, &nodes_table(&launch.passed_over, &[]));
    text
}

/// Why a node is removed or stays.
pub(crate) fn node(explanation: &NodeExplanation) -> String {
    let or_none = |label: &Option<karpsim::model::meta::Str>| {
        label.as_ref().map_or("-".to_owned(), ToString::to_string)
    };
    let mut text = format!(
        "node {} of NodePool {}: {} {} in {}, {} pod(s), {} reschedulable\n",
        explanation.node,
        or_none(&explanation.node_pool),
        or_none(&explanation.instance_type),
        or_none(&explanation.capacity_type),
        or_none(&explanation.zone),
        explanation.pods,
        explanation.reschedulable,
    );
    let mut methods = Table::new([left("METHOD"), left("EVENT"), left("BUDGET"), left("RESULT")]);
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
    let mut blocking = Table::new([left("BLOCKING POD"), left("REASON")]);
    for pod in &explanation.blocking {
        blocking.row(vec![pod.pod.to_string(), pod.why.clone()]);
    }
    append(&mut text, &blocking);
    let mut stranded = Table::new([left("UNSCHEDULABLE POD"), left("REASON")]);
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
                format!("replaced by {new_nodes} new node(s), for which no offering is available")
            } else {
                let launches: Vec<String> = launches.iter().map(launch_name).collect();
                format!("replaced by {}", launches.join(", "))
            };
            if candidates.len() > 1 {
                format!("{what}, in a command for {} nodes", candidates.len())
            } else {
                what
            }
        }
        Verdict::Blocked { why } | Verdict::Unconsolidatable { why } => why.clone(),
        Verdict::Budget => {
            let budgets = method.budget.iter().flat_map(|budget| &budget.budgets);
            let holding: Vec<&str> =
                budgets.filter(|fact| fact.active != Some(false)).map(|fact| fact.budget.as_str()).collect();
            format!("the disruption budgets allow no disruption now ({})", holding.join("; "))
        }
        Verdict::NotChosen { instead } if instead.is_empty() => {
            "consolidatable alone, but no multi-node command was found".to_owned()
        }
        Verdict::NotChosen { instead } => {
            let names = shortened(instead.iter().map(|name| name.as_str()), NAMES_MAX);
            format!("can be disrupted, but Karpenter disrupts {names} first")
        }
    }
}

fn launch_name(launch: &Launch) -> String {
    format!(
        "{} {} in {} at {}",
        launch.instance_type,
        launch.capacity_type,
        launch.zone,
        dollars_per_hour(launch.price.0)
    )
}

fn arithmetic_table(sums: &Arithmetic, disruption_cost: Option<f64>, strands: bool) -> Table {
    let mut table = Table::new([left("SINGLE-NODE CONSOLIDATION"), left("")]);
    let mut row = |what: &str, value: String| table.row(vec![what.to_owned(), value]);
    row("current price", dollars_per_hour(sums.price.0));
    if let Some(cost) = disruption_cost {
        row("disruption cost", format!("{cost:.3}"));
    }
    if !strands {
        row("replacement nodes", sums.new_nodes.to_string());
    }
    if sums.new_nodes == 1 && sums.options > 0 {
        row("compatible instance types", sums.options.to_string());
        row("cheaper in the worst case", sums.cheaper.to_string());
    }
    if let Some(launch) = &sums.cheapest {
        row("cheapest replacement", launch_name(launch));
    }
    if let (Some(name), Some(worst)) = (&sums.cheapest_at_worst, sums.worst_price) {
        row("cheapest in the worst case", format!("{name} at {}", dollars_per_hour(worst.0)));
    }
    if let Some(saves) = sums.saves {
        row("minimum savings", dollars_per_hour(saves.0));
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
