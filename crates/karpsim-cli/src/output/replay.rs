//! A replay as tables: what was decided, which nodes there were, what it came to.

use crate::output::figures::{age, clock, dollars, shortened, wait};
use crate::output::table::{Table, left, right};
use karpsim_sim::ReplayResult;
use karpsim_sim::result::{DecisionRecord, NodeDecision, NodeRecord, Percentiles};
use std::fmt::Write;

/// Nodes that are shown without `--full`.
const NODES_SHOWN: usize = 40;
/// Decisions that are shown without `--full`.
const DECISIONS_SHOWN: usize = 60;

/// The tables of `result`.
pub(crate) fn table(result: &ReplayResult, full: bool) -> String {
    let mut text = format!(
        "{}: {} from {}, {} timing, pods bound by {}\n\n",
        if result.name.is_empty() { "trace" } else { &result.name },
        age(result.end),
        result.start,
        result.profile,
        if result.binding == "early" { "Karpenter" } else { "kube-scheduler" },
    );
    if let Some(seed) = result.seed {
        text.insert_str(text.trim_end().len(), &format!(", random delays with seed {seed}"));
    }
    text.push_str(&decisions(result, full));
    text.push('\n');
    text.push_str(&nodes(result, full));
    text.push('\n');
    text.push_str(&totals(result));
    text
}

fn decisions(result: &ReplayResult, full: bool) -> String {
    let mut table = Table::new([
        right("TIME"),
        left("DECISION"),
        left("NODEPOOL"),
        left("NODES"),
        left("PODS"),
        left("PRICE"),
    ]);
    let shown = if full { usize::MAX } else { DECISIONS_SHOWN };
    let mut marks = result.marks.iter().peekable();
    for decision in result.decisions.iter().take(shown) {
        while let Some(mark) = marks.next_if(|mark| mark.at <= decision.at) {
            table.row(vec![clock(mark.at), "mark".to_owned(), String::new(), mark.text.clone()]);
        }
        decision_rows(decision, full, &mut table);
    }
    if result.decisions.len() <= shown {
        for mark in marks {
            table.row(vec![clock(mark.at), "mark".to_owned(), String::new(), mark.text.clone()]);
        }
    }
    if table.is_empty() {
        return "No nodes were launched or removed.\n".to_owned();
    }
    let mut text = table.to_string();
    if result.decisions.len() > shown {
        let _ =
            writeln!(text, "… and {} more decisions (show all with --full)", result.decisions.len() - shown);
    }
    text
}

/// One row for all like nodes of a decision.
fn decision_rows(decision: &DecisionRecord, full: bool, table: &mut Table) {
    let shown = if full { usize::MAX } else { 2 };
    let what = match decision.kind {
        "provision" => decision.kind.to_owned(),
        kind => format!("{kind} {}", decision.reason),
    };
    let mut first = true;
    for (sign, list) in [("+", &decision.launched), ("-", &decision.removed)] {
        for group in like(list) {
            let Some(node) = group.first() else { continue };
            let count = if group.len() == 1 { String::new() } else { format!("{} × ", group.len()) };
            let pods = group.iter().flat_map(|node| node.pods.iter().map(karpsim::model::meta::Str::as_str));
            let why = if sign == "+" { why(node) } else { String::new() };
            let (time, what) =
                if first { (clock(decision.at), what.clone()) } else { (String::new(), String::new()) };
            first = false;
            table.row(vec![
                time,
                what,
                node.node_pool.to_string(),
                format!("{sign}{count}{} {} {}", node.instance_type, node.capacity_type, node.zone),
                shortened(pods, shown),
                why,
            ]);
        }
    }
}

/// Nodes that differ only in name and pods, in the order of their first.
fn like(nodes: &[NodeDecision]) -> Vec<Vec<&NodeDecision>> {
    let mut groups: Vec<Vec<&NodeDecision>> = Vec::new();
    for node in nodes {
        let same = groups.iter_mut().find(|group| {
            group.first().is_some_and(|it| {
                (&it.node_pool, &it.instance_type, &it.capacity_type, &it.zone)
                    == (&node.node_pool, &node.instance_type, &node.capacity_type, &node.zone)
            })
        });
        match same {
            Some(group) => group.push(node),
            None => groups.push(vec![node]),
        }
    }
    groups
}

/// Why this type: its price, and the next dearer.
fn why(node: &NodeDecision) -> String {
    let price = format!("{}/h", dollars(node.price_usd_per_hour));
    match node.alternatives.iter().find(|other| other.instance_type != node.instance_type) {
        Some(next) => {
            format!("{price}, next {} at {}/h", next.instance_type, dollars(next.price_usd_per_hour))
        }
        None => format!("{price}, no alternative"),
    }
}

fn nodes(result: &ReplayResult, full: bool) -> String {
    let mut table = Table::new([
        left("NAME"),
        left("TYPE"),
        left("CAPACITY"),
        left("ZONE"),
        right("LAUNCHED"),
        right("READY"),
        right("REMOVED"),
        right("AGE"),
        right("$/h"),
        right("COST"),
    ]);
    let shown = if full { usize::MAX } else { NODES_SHOWN };
    for node in result.nodes.iter().take(shown) {
        table.row(node_row(node, result.end));
    }
    if table.is_empty() {
        return "There were no nodes.\n".to_owned();
    }
    let mut text = table.to_string();
    if result.nodes.len() > shown {
        let _ = writeln!(text, "… and {} more nodes (show all with --full)", result.nodes.len() - shown);
    }
    text
}

fn node_row(node: &NodeRecord, end: f64) -> Vec<String> {
    let word = |word: &Option<karpsim::model::meta::Str>| word.as_deref().unwrap_or("-").to_owned();
    let time = |time: Option<f64>| time.map_or("-".to_owned(), clock);
    let since = node.launched.or_else(|| node.node_pool.is_none().then_some(0.0));
    vec![
        node.name.to_string(),
        word(&node.instance_type),
        word(&node.capacity_type),
        word(&node.zone),
        time(node.launched),
        time(node.ready),
        time(node.gone),
        since.map_or("-".to_owned(), |since| age(node.gone.unwrap_or(end) - since)),
        format!("{}", node.price_usd_per_hour),
        dollars(node.cost_usd),
    ]
}

fn totals(result: &ReplayResult) -> String {
    let totals = &result.totals;
    let mut table = Table::new([left("TOTAL"), left("")]);
    table.row(vec!["NodePool cost".into(), dollars(totals.cost_usd)]);
    for (pool, cost) in &totals.cost_usd_by_node_pool {
        table.row(vec![format!("  {pool}"), dollars(*cost)]);
    }
    table.row(vec!["cost of other nodes".into(), dollars(totals.cost_usd_unmanaged)]);
    table.row(vec!["by instance type".into(), String::new()]);
    for (instance_type, seconds) in &totals.node_seconds_by_instance_type {
        let cost = totals.cost_usd_by_instance_type.get(instance_type).copied().unwrap_or(0.0);
        table.row(vec![
            format!("  {instance_type}"),
            format!("{} node-hours, {}", (seconds / 36.0).round() / 100.0, dollars(cost)),
        ]);
    }
    table.row(vec![
        "nodes".into(),
        format!("{} launched, {} removed", totals.nodes_launched, totals.nodes_removed),
    ]);
    table.row(vec![
        "pods".into(),
        format!("{} created, {} never bound", totals.pods_created, totals.pods_never_bound),
    ]);
    table.row(vec!["pending until bound".into(), percentiles(&totals.pods_pending_seconds)]);
    table.row(vec!["created until running".into(), percentiles(&totals.pods_until_running_seconds)]);
    table.to_string()
}

fn percentiles(times: &Percentiles) -> String {
    format!(
        "p50 {}, p90 {}, p99 {}, max {}",
        wait(times.p50),
        wait(times.p90),
        wait(times.p99),
        wait(times.max)
    )
}
