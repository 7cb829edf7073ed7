//! Why a node is removed or stays.

use super::budget::{BudgetFact, facts};
use super::pod::offerings;
use super::words;
use crate::catalogue::Price;
use crate::compile::{ClusterState, compile};
use crate::decision::reasons::{Refusals, Rule, shortened};
use crate::decision::{Command, Launch, Method};
use crate::disruption::balanced;
use crate::disruption::budgets::allowances;
use crate::disruption::candidates::{Candidate, Obstacle, candidates};
use crate::disruption::disrupt_compiled;
use crate::disruption::simulation::{Question, Unconsolidatable};
use crate::kubernetes::eviction::{Hold, PodBudgets};
use crate::kubernetes::labels;
use crate::kubernetes::pods::is_provisionable;
use crate::kubernetes::pods::{is_disruptable, is_reschedulable};
use crate::model::karpenter::ConsolidationPolicy;
use crate::model::meta::Str;
use crate::provisioning::solver::{Failure, RoundRules, Solver};
use crate::scenario::Scenario;
use serde::Serialize;

/// So many stranded pods are explained.
const STRANDED_MAX: usize = 10;

/// Why a node is removed or stays.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeExplanation {
    /// Node.
    pub node: Str,
    /// Its NodePool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_pool: Option<Str>,
    /// Its instance type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<Str>,
    /// Its capacity type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_type: Option<Str>,
    /// Its zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Str>,
    /// How many pods are on it, and how many of them will be made again elsewhere.
    pub pods: usize,
    /// Pods that would be made again elsewhere.
    pub reschedulable: usize,
    /// 1 and what each pod adds; absent if it is no candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disruption_cost: Option<f64>,
    /// Pods that hold it.
    pub blocking: Vec<BlockingPod>,
    /// Every method of disruption, in Karpenter's order.
    pub methods: Vec<MethodExplanation>,
    /// What consolidation reckons; absent if it is no candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<Arithmetic>,
    /// Pods that would have no place without it, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stranded: Vec<StrandedPod>,
}

/// A pod that holds its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockingPod {
    /// `namespace/name`.
    pub pod: Str,
    /// Why.
    pub why: String,
}

/// What a method does with a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodExplanation {
    /// Method.
    pub method: Method,
    /// The word of Karpenter's event, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<&'static str>,
    /// What it comes to.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The budgets of the NodePool for the method's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetArithmetic>,
}

/// How a NodePool stands with its budgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BudgetArithmetic {
    /// Its nodes that count.
    pub nodes: i64,
    /// What the tightest budget that holds allows.
    pub budget: i64,
    /// Nodes that are not ready or on their way out.
    pub disrupting: i64,
    /// What is left.
    pub allowed: i64,
    /// Budget by budget.
    pub budgets: Vec<BudgetFact>,
}

/// What a method comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Verdict {
    /// The node is removed.
    Removed {
        /// All nodes of the command.
        candidates: Vec<Str>,
        /// How many nodes are launched first.
        new_nodes: usize,
        /// What they are launched as, as far as there are available offerings.
        launches: Vec<Launch>,
    },
    /// It is no candidate.
    Blocked {
        /// Why.
        why: String,
    },
    /// The budgets allow none of its NodePool.
    Budget,
    /// It is a candidate, but nothing comes of it.
    Unconsolidatable {
        /// Why.
        why: String,
    },
    /// It could go, but others come first, or more than one node is needed.
    NotChosen {
        /// Nodes that go instead.
        instead: Vec<Str>,
    },
}

/// What consolidation of the node alone reckons.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Arithmetic {
    /// What the node costs, in dollars an hour; 0 if that is not known.
    pub price: Price,
    /// How many nodes would have to be launched for its pods (two: at least).
    pub new_nodes: usize,
    /// Instance types that the new node could be.
    pub options: usize,
    /// Those of them that are cheaper than the node even at worst.
    pub cheaper: usize,
    /// The cheapest offering of the new node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheapest: Option<Launch>,
    /// The instance type that costs least at worst: its dearest offering that a launch could come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheapest_at_worst: Option<Str>,
    /// What that costs, in dollars an hour. It must be less than `price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_price: Option<Price>,
    /// What is saved at least, in dollars an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saves: Option<Price>,
    /// Of a NodePool with the policy Balanced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,
}

/// Shares of a NodePool with the policy Balanced: removal must save half the share that it disrupts, or more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// What all its nodes cost, in dollars an hour.
    pub pool_cost: Price,
    /// What it would cost to disrupt all of them.
    pub pool_disruption_cost: f64,
    /// The node's share of the cost: the most that can be saved.
    pub cost_share: f64,
    /// Its share of the disruption cost.
    pub disruption_share: f64,
}

/// A pod that would have no place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StrandedPod {
    /// `namespace/name`.
    pub pod: Str,
    /// Why, in one line.
    pub why: String,
    /// Rule by rule.
    #[serde(flatten)]
    pub refusals: Refusals,
}

/// Explains why the node (or the NodeClaim) `name` is removed or stays. `None`: there is no such node.
pub fn node(scenario: &Scenario, name: &str) -> Option<NodeExplanation> {
    let (problem, algebra) = compile(scenario);
    let index = problem.nodes.iter().position(|node| {
        node.name == name || node.claim.as_ref().is_some_and(|claim| claim.metadata.name == name)
    })?;
    let budgets = PodBudgets::new(&scenario.objects);
    let commands = disrupt_compiled(&problem, algebra.clone(), &Method::ALL).commands;
    let mut solver = Solver::new(&problem, algebra);
    let state = &problem.nodes[index];
    let label = |key: &str| state.labels_of(&problem.api_nodes).get(key).map(Str::from);
    let repairs = scenario.options.repairs_nodes();
    let methods = Method::ALL
        .iter()
        .filter(|method| repairs || **method != Method::Repair)
        .map(|&method| explain_method(&mut solver, &budgets, method, index, &commands))
        .collect();
    let method = Method::SingleNodeConsolidation;
    let all = candidates(&problem, &budgets, method);
    let candidate = all.iter().flatten().find(|candidate| candidate.node == index).cloned();
    let mut stranded = Vec::new();
    let mut sums = None;
    if let Some(candidate) = candidate.as_ref().filter(|_| !problem.dynamic.is_empty() && problem.is_synced())
    {
        stranded = stranded_pods(&mut solver, &budgets, candidate);
        let others: Vec<Candidate<'_>> = all.into_iter().flatten().collect();
        sums = Some(arithmetic(&mut solver, &budgets, candidate, &others));
    }
    let pods: Vec<usize> = state.pods.clone();
    Some(NodeExplanation {
        node: state.name.clone(),
        node_pool: label(labels::NODE_POOL),
        instance_type: label(labels::INSTANCE_TYPE),
        capacity_type: label(labels::CAPACITY_TYPE),
        zone: label(labels::ZONE),
        pods: pods.len(),
        reschedulable: pods.iter().filter(|&&pod| is_reschedulable(problem.pod(pod))).count(),
        disruption_cost: candidate.map(|candidate| candidate.disruption_cost),
        blocking: blocking(&problem, &budgets, &pods),
        methods,
        arithmetic: sums,
        stranded,
    })
}

/// All pods that hold the node, not only the first.
fn blocking(problem: &ClusterState, budgets: &PodBudgets<'_>, pods: &[usize]) -> Vec<BlockingPod> {
    let mut blocking = Vec::new();
    for &pod in pods {
        let object = problem.pod(pod);
        if !is_disruptable(object, problem.now()) {
            let why = format!("annotation {}", labels::DO_NOT_DISRUPT);
            blocking.push(BlockingPod { pod: problem.pod_name(pod), why });
        } else if let Some(hold) = budgets.holds_now(object, problem.now()) {
            blocking.push(BlockingPod { pod: problem.pod_name(pod), why: held(&hold) });
        }
    }
    blocking
}

fn held(hold: &Hold) -> String {
    match hold {
        Hold::Exhausted(budget) => format!("PodDisruptionBudget {budget} allows no disruption now"),
        Hold::Several(budgets) => {
            format!(
                "more than one PodDisruptionBudget selects it ({}), so it cannot be evicted",
                shortened(budgets)
            )
        }
    }
}

fn explain_method(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    method: Method,
    index: usize,
    commands: &[Command],
) -> MethodExplanation {
    let problem = solver.problem;
    let name = &problem.nodes[index].name;
    let explained = |event, verdict, budget| MethodExplanation { method, event, verdict, budget };
    if !problem.is_synced() {
        let why = "a NodeClaim is not launched yet, and Karpenter disrupts nothing until it is".to_owned();
        return explained(None, Verdict::Blocked { why }, None);
    }
    let of_method = || commands.iter().filter(|command| command.method == method);
    let found = candidates(problem, budgets, method).into_iter().nth(index);
    let candidate = match found {
        Some(Ok(candidate)) => candidate,
        Some(Err((_, obstacle))) => {
            return explained(Some("DisruptionBlocked"), Verdict::Blocked { why: sentence(&obstacle) }, None);
        }
        None => return explained(None, Verdict::Blocked { why: String::new() }, None),
    };
    if let Some(obstacle) = candidate.obstacle(problem, method) {
        let event = is_event(&obstacle, method).then_some("Unconsolidatable");
        return explained(event, Verdict::Blocked { why: sentence(&obstacle) }, None);
    }
    let allowance =
        allowances(problem, method.reason()).get(&candidate.pool.metadata.name).copied().unwrap_or_default();
    let budget = Some(BudgetArithmetic {
        nodes: allowance.nodes,
        budget: allowance.budget,
        disrupting: allowance.disrupting,
        allowed: allowance.allowed,
        budgets: facts(candidate.pool, problem.now(), allowance.nodes, method.reason()),
    });
    if let Some(command) = of_method().find(|command| command.candidates.contains(name)) {
        let candidates = command.candidates.clone();
        let new_nodes = command.replacements.len();
        let launches = command.replacements.iter().filter_map(|claim| claim.launch.clone()).collect();
        return explained(None, Verdict::Removed { candidates, new_nodes, launches }, budget);
    }
    if allowance.allowed == 0 {
        return explained(Some("DisruptionBlocked"), Verdict::Budget, budget);
    }
    let why = match method {
        Method::Drift => drift_fault(solver, budgets, &candidate),
        Method::SingleNodeConsolidation | Method::MultiNodeConsolidation => {
            consolidation_fault(solver, budgets, &candidate, method)
        }
        Method::Repair | Method::Emptiness | Method::StaticDrift => None,
    };
    match why {
        Some(why) => explained(Some("Unconsolidatable"), Verdict::Unconsolidatable { why }, budget),
        None => {
            let instead = of_method().flat_map(|command| command.candidates.iter().cloned()).collect();
            explained(None, Verdict::NotChosen { instead }, budget)
        }
    }
}

/// Whether Karpenter says this of a node in an event.
fn is_event(obstacle: &Obstacle, method: Method) -> bool {
    let consolidates = matches!(method, Method::MultiNodeConsolidation | Method::SingleNodeConsolidation);
    match obstacle {
        Obstacle::ConsolidationDisabled => true,
        Obstacle::PolicyWhenEmpty | Obstacle::UnknownInstanceType | Obstacle::NoLabel(_) => consolidates,
        _ => false,
    }
}

fn sentence(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Unmanaged => "it is not managed by Karpenter".to_owned(),
        Obstacle::NoNode => "its NodeClaim has no node yet".to_owned(),
        Obstacle::Uninitialized => "it is not initialized".to_owned(),
        Obstacle::Rebooting => "it is being rebooted".to_owned(),
        Obstacle::Unregistered => "it is not registered".to_owned(),
        Obstacle::Deleting => "it is already being removed".to_owned(),
        Obstacle::Nominated => "it is nominated for pending pods".to_owned(),
        Obstacle::Annotated => format!("annotation {} on the node", labels::DO_NOT_DISRUPT),
        Obstacle::NoNodePool => "its NodePool does not exist or has no instance types".to_owned(),
        Obstacle::PodAnnotated(pod) => format!("pod {pod} has annotation {}", labels::DO_NOT_DISRUPT),
        Obstacle::PodHeld(pod, hold) => format!("pod {pod}: {}", held(hold)),
        Obstacle::Static => "its NodePool is static (`spec.replicas`)".to_owned(),
        Obstacle::NotStatic => "its NodePool is not static".to_owned(),
        Obstacle::ConsolidationDisabled => "consolidation is disabled (`consolidateAfter: Never`)".to_owned(),
        Obstacle::NotEmpty => "it has pods".to_owned(),
        Obstacle::Empty => "it is empty, so the emptiness method handles it".to_owned(),
        Obstacle::PolicyWhenEmpty => "its NodePool consolidates only empty nodes (WhenEmpty)".to_owned(),
        Obstacle::UnknownInstanceType => "its instance type is not in the catalogue".to_owned(),
        Obstacle::NoLabel(label) => format!("it has no label {label}, which determines its price"),
        Obstacle::NotConsolidatable => {
            "consolidateAfter has not passed since the last pod event (condition Consolidatable)".to_owned()
        }
        Obstacle::Healthy => "no condition asks for repair, or none has lasted long enough".to_owned(),
        Obstacle::NotToBeRepaired => format!("annotation {} on the node", labels::DO_NOT_REPAIR),
        Obstacle::Unbounded => "a pod holds it, and no terminationGracePeriod bounds its drain".to_owned(),
        Obstacle::NotDrifted => "it has not drifted (condition Drifted)".to_owned(),
    }
}

fn drift_fault(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    candidate: &Candidate<'_>,
) -> Option<String> {
    match solver.simulate(budgets, std::slice::from_ref(candidate), Question::default()) {
        None => Some(NOTHING_TO_LAUNCH_FROM.to_owned()),
        Some(simulation) if simulation.stranded.is_empty() => None,
        Some(simulation) => Some(stranded_sentence(solver.problem, &simulation.stranded)),
    }
}

const NOTHING_TO_LAUNCH_FROM: &str = "no NodePool is ready to launch a replacement";

fn stranded_sentence(problem: &ClusterState, stranded: &[usize]) -> String {
    let names: Vec<Str> = stranded.iter().map(|&pod| problem.pod_name(pod)).collect();
    format!("{} pod(s) would be unschedulable: {}", names.len(), shortened(&names))
}

fn consolidation_fault(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    candidate: &Candidate<'_>,
    method: Method,
) -> Option<String> {
    let problem = solver.problem;
    let all: Vec<Candidate<'_>> = candidates(problem, budgets, method).into_iter().flatten().collect();
    let totals = balanced::totals(problem, &all);
    let alone = std::slice::from_ref(candidate);
    let fault = match solver.consolidate(budgets, alone) {
        Ok(proposal) if balanced::approves(solver, alone, &proposal, &totals) => return None,
        Ok(_) => Unconsolidatable::NotWorthIt,
        Err(fault) => fault,
    };
    Some(match fault {
        Unconsolidatable::NoNodePools => NOTHING_TO_LAUNCH_FROM.to_owned(),
        Unconsolidatable::Stranded(pods) => stranded_sentence(problem, &pods),
        Unconsolidatable::NeedsNodes(count) => {
            format!("its pods would need at least {count} new nodes, and consolidation launches at most one")
        }
        Unconsolidatable::NotCheaper { price, cheapest } => {
            let cheapest = cheapest.filter(|cheapest| *cheapest < f64::MAX);
            let least = cheapest.map_or(String::new(), |least| format!(": the cheapest costs up to {least}"));
            format!("no compatible instance type is cheaper than {price} per hour{least}")
        }
        Unconsolidatable::MinValues => "the cheaper instance types do not meet minValues".to_owned(),
        Unconsolidatable::SpotToSpotDisabled => {
            "spot-to-spot consolidation requires the feature gate SpotToSpotConsolidation".to_owned()
        }
        Unconsolidatable::SpotToSpotTypes(count) => {
            format!("spot-to-spot consolidation requires 15 cheaper instance types, found {count}")
        }
        Unconsolidatable::SameType => {
            "the replacement would be the same instance type, or not cheaper".to_owned()
        }
        Unconsolidatable::NotWorthIt => {
            "the savings do not justify the disruption under the Balanced policy of its NodePool".to_owned()
        }
    })
}

/// The pods of the node that would have no place without it.
fn stranded_pods(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    candidate: &Candidate<'_>,
) -> Vec<StrandedPod> {
    let problem = solver.problem;
    let moving: Vec<usize> = candidate
        .reschedulable
        .iter()
        .copied()
        .filter(|&pod| budgets.will_move(problem.pod(pod), problem.now()))
        .collect();
    let pods: Vec<usize> = problem.pending.iter().chain(&moving).chain(&problem.leaving).copied().collect();
    let rules = RoundRules { spares_young_nodes: true, ..RoundRules::default() };
    let (_, stranded) = solver.run_round_then(&pods, &[candidate.node], rules, |solver, failed| {
        let failed: Vec<(usize, Failure)> = failed
            .iter()
            .filter(|(pod, _)| !is_provisionable(problem.pod(*pod)))
            .take(STRANDED_MAX)
            .copied()
            .collect();
        let mut stranded: Vec<StrandedPod> = failed
            .into_iter()
            .map(|(pod, failure)| {
                let refusals = solver.refusals(pod, failure);
                let why = words::sentence(&refusals.node_pools);
                StrandedPod { pod: problem.pod_name(pod), why, refusals }
            })
            .collect();
        for &pod in moving.iter().filter(|pod| !problem.leaving.contains(pod)) {
            let node = solver.node_of(pod).filter(|&node| !problem.nodes[node].initialized);
            if let Some(node) = node.filter(|_| stranded.len() < STRANDED_MAX) {
                let why = format!("it would go to {}, but {}", problem.nodes[node].name, Rule::Uninitialized);
                stranded.push(StrandedPod { pod: problem.pod_name(pod), why, refusals: Refusals::default() });
            }
        }
        stranded
    });
    stranded
}

/// The price arithmetic of consolidating the node alone.
fn arithmetic(
    solver: &mut Solver<'_>,
    budgets: &PodBudgets<'_>,
    candidate: &Candidate<'_>,
    all: &[Candidate<'_>],
) -> Arithmetic {
    let mut sums = Arithmetic { price: Price(candidate.price), ..Arithmetic::default() };
    if candidate.pool.spec.disruption.consolidation_policy == Some(ConsolidationPolicy::Balanced) {
        let totals = balanced::totals(solver.problem, all);
        sums.balance = totals.get(&candidate.pool.metadata.name).map(|totals| Balance {
            pool_cost: Price(totals.cost),
            pool_disruption_cost: totals.disruption_cost,
            cost_share: share(candidate.price, totals.cost),
            disruption_share: share(candidate.disruption_cost, totals.disruption_cost),
        });
    }
    let question = Question { consolidating: true, ..Question::default() };
    let Some(simulation) = solver.simulate(budgets, std::slice::from_ref(candidate), question) else {
        return sums;
    };
    sums.new_nodes = simulation.launches.len();
    let ([plan], true) = (simulation.launches.as_slice(), simulation.stranded.is_empty()) else {
        return sums;
    };
    let worst = solver.worst_launch_prices(plan);
    let table = &solver.problem.tables[plan.table];
    sums.options = plan.types.len();
    sums.cheaper = plan.types.iter().filter(|&&of| worst[of] < candidate.price).count();
    let least = plan.types.iter().copied().filter(|&of| worst[of] < f64::MAX).min_by(|&a, &b| {
        worst[a].total_cmp(&worst[b]).then_with(|| table.types[a].name.cmp(&table.types[b].name))
    });
    if let Some(of) = least {
        sums.cheapest_at_worst = Some(table.types[of].name.clone());
        sums.worst_price = Some(Price(worst[of]));
        sums.saves = (worst[of] < candidate.price).then(|| Price(candidate.price - worst[of]));
    }
    sums.cheapest = offerings(solver, plan).into_iter().next();
    sums
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
