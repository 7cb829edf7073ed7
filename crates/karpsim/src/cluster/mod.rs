//! A cluster that stays compiled: what changes costs, what stays is free.
//!
//! A [`Cluster`] is filled once and asked as often as one likes. Pods, nodes and NodeClaims come, change and go one by one,
//! each for the cost of what it touches; NodePools, DaemonSets, volumes and other objects that decide what pods and nodes
//! mean have the cluster compiled anew, without its catalogue, when it is next asked. What rounds learn (which nodes refuse
//! which kinds of pods, which instance types a set of requirements leaves) outlives them as long as it holds.
//!
//! The answers are those of [`decide`](crate::decide) on the same moment, whatever the history. The cluster is compiled
//! anew, too, once most of the names that it has seen are gone, so that its memory follows what is alive.
//!
//! ```
//! use karpsim::cluster::{Change, Cluster};
//! use karpsim::{catalogue, input, model::core::Pod, scenario::Scenario};
//! use std::{fs, sync::Arc};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let types = catalogue::read(&fs::read_to_string("../../data/scenarios/g4dn.json")?)?;
//! # let catalogues = std::collections::BTreeMap::from([("g4dn.json".to_owned(), Arc::new(types))]);
//! # let text = fs::read_to_string("../../data/scenarios/gpu-pods.yaml")?;
//! # let read = input::read_yaml(&text).map_err(|(_, problem)| problem)?.remove(0).1;
//! # let scenario: Scenario = input::validate(read.text, &catalogues, &mut input::Findings::default())?;
//! let mut cluster = Cluster::new(&scenario);
//! assert_eq!(cluster.provision().new_node_claims.len(), 2);
//! cluster.change(Change::PodGone("default/resnet-1".into()));
//! assert_eq!(cluster.provision().new_node_claims.len(), 1);
//! # Ok(())
//! # }
//! ```

mod objects;

use crate::catalogue::Catalogue;
use crate::compile::changes::{Places, TooFar, Touched};
use crate::compile::offers::Offers;
use crate::compile::{ClusterState, compile_with};
use crate::decision::{Command, Decision, DisruptionDecision, Method, ProvisioningDecision};
use crate::disruption::{self, Course};
use crate::kubernetes::eviction::PodBudgets;
use crate::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use crate::model::karpenter::{NodeClaim, NodeOverlay, NodePool};
use crate::model::meta::{Str, Time};
use crate::model::selecting::{ReplicaSet, ReplicationController, Service, StatefulSet};
use crate::provisioning::solver::{Solver, SolverState};
use crate::provisioning::{Reasons, Round};
use crate::scenario::{Options, Scenario};
use std::sync::Arc;

/// Something in a cluster that is not what it was. Objects are known by name, with their namespace if they have one
/// (`default/web-1`); an object that is there already is replaced.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// A pod came, or changed.
    Pod(Arc<Pod>),
    /// The pod `namespace/name` is gone.
    PodGone(Str),
    /// A node came, or changed.
    Node(Arc<Node>),
    /// The node is gone.
    NodeGone(Str),
    /// A NodeClaim came, or changed.
    NodeClaim(Arc<NodeClaim>),
    /// The NodeClaim is gone.
    NodeClaimGone(Str),
    /// A NodePool came, or changed.
    NodePool(Box<NodePool>),
    /// The NodePool is gone.
    NodePoolGone(Str),
    /// A NodeOverlay came, or changed.
    NodeOverlay(Box<NodeOverlay>),
    /// The NodeOverlay is gone.
    NodeOverlayGone(Str),
    /// A DaemonSet came, or changed.
    DaemonSet(Box<DaemonSet>),
    /// The DaemonSet `namespace/name` is gone.
    DaemonSetGone(Str),
    /// A PodDisruptionBudget came, or changed.
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    /// The PodDisruptionBudget `namespace/name` is gone.
    PodDisruptionBudgetGone(Str),
    /// A namespace came, or changed.
    Namespace(Box<Namespace>),
    /// The namespace is gone.
    NamespaceGone(Str),
    /// A volume came, or changed.
    PersistentVolume(Box<PersistentVolume>),
    /// The volume is gone.
    PersistentVolumeGone(Str),
    /// A claim came, or changed.
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
    /// The claim `namespace/name` is gone.
    PersistentVolumeClaimGone(Str),
    /// A storage class came, or changed.
    StorageClass(Box<StorageClass>),
    /// The storage class is gone.
    StorageClassGone(Str),
    /// A CSINode came, or changed.
    CsiNode(Box<CsiNode>),
    /// The CSINode is gone.
    CsiNodeGone(Str),
    /// A Service came, or changed.
    Service(Box<Service>),
    /// The Service `namespace/name` is gone.
    ServiceGone(Str),
    /// A ReplicationController came, or changed.
    ReplicationController(Box<ReplicationController>),
    /// The ReplicationController `namespace/name` is gone.
    ReplicationControllerGone(Str),
    /// A ReplicaSet came, or changed.
    ReplicaSet(Box<ReplicaSet>),
    /// The ReplicaSet `namespace/name` is gone.
    ReplicaSetGone(Str),
    /// A StatefulSet came, or changed.
    StatefulSet(Box<StatefulSet>),
    /// The StatefulSet `namespace/name` is gone.
    StatefulSetGone(Str),
    /// The clock.
    Now(Time),
    /// Nodes that a recent round has promised to pods.
    Nominated(Vec<Str>),
    /// Nodes that Karpenter has decided to remove.
    MarkedForDeletion(Vec<Str>),
    /// Other instance types, prices or availability.
    Catalogue(Arc<Catalogue>),
    /// Other settings.
    Options(Box<Options>),
}

/// See the module's head.
pub struct Cluster {
    offers: Offers,
    form: Form,
    /// What was interned when it was last compiled; with twice as much it is compiled anew.
    interned: usize,
}

/// In which form a cluster is at hand.
enum Form {
    /// As objects: something has changed that has to be compiled.
    Objects(Box<Scenario>),
    Compiled(Box<Compiled>),
    /// Between two forms.
    Nothing,
}

struct Compiled {
    state: ClusterState,
    solver: SolverState,
    /// `None`: objects share what should be unique, and any change has the cluster compiled anew.
    places: Option<Places>,
}

/// With less than this, nothing is compiled anew to save memory.
const INTERNED_LEAST: usize = 20_000;

impl Cluster {
    /// The cluster of `scenario`.
    pub fn new(scenario: &Scenario) -> Self {
        Self::with_offers(scenario, Offers::new(&scenario.catalogue, scenario.options.version()))
    }

    /// The cluster of `scenario`, whose catalogue is compiled already.
    pub fn with_offers(scenario: &Scenario, offers: Offers) -> Self {
        let mut offers = offers;
        follow(&mut offers, scenario);
        Cluster { offers, form: Form::Objects(Box::new(scenario.clone())), interned: 0 }
    }

    /// Its compiled catalogue, to be shared with other clusters.
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Takes up a change.
    pub fn change(&mut self, change: Change) {
        if let Form::Compiled(compiled) = &mut self.form
            && compiled.take_up(&change) == Ok(true)
        {
            return;
        }
        objects::apply(self.scenario_mut(), change);
        if let Form::Objects(scenario) = &self.form {
            follow(&mut self.offers, scenario);
        }
    }

    /// Decides a provisioning round.
    pub fn provision(&mut self) -> ProvisioningDecision {
        self.provision_with(Reasons::Always)
    }

    /// The same, where `reasons` says when it is told why pods found no place.
    pub fn provision_with(&mut self, reasons: Reasons) -> ProvisioningDecision {
        self.ask(|state, solver| {
            Round::schedule_with(Solver::resume(state, solver), reasons).decision_and_state()
        })
    }

    /// Asks each of `methods` for its commands, each from the same state.
    pub fn disrupt(&mut self, methods: &[Method]) -> DisruptionDecision {
        let asked: Vec<(Method, Option<usize>)> = methods.iter().map(|&method| (method, None)).collect();
        let commands = self.examine(&asked, false).into_iter().flat_map(|(commands, _)| commands).collect();
        let pod_deletion_cost = self.ask(|state, solver| {
            let budgets = PodBudgets::new(&state.scenario.objects);
            (disruption::pod_deletion_costs(state, &budgets), solver)
        });
        DisruptionDecision { commands, pod_deletion_cost }
    }

    /// Asks methods one after the other, each with the most removals that it has time to simulate, until one has a command.
    pub fn disrupt_in_order(&mut self, asked: &[(Method, Option<usize>)]) -> Vec<(Vec<Command>, Course)> {
        self.examine(asked, true)
    }

    fn examine(&mut self, asked: &[(Method, Option<usize>)], in_order: bool) -> Vec<(Vec<Command>, Course)> {
        self.ask(|state, solver| {
            if !state.is_synced() {
                return (Vec::new(), solver);
            }
            let budgets = PodBudgets::new(&state.scenario.objects);
            let mut solver = Solver::resume(state, solver);
            let mut found = Vec::with_capacity(asked.len());
            for &(method, limit) in asked {
                let (commands, course) = disruption::ask(&mut solver, &budgets, method, limit);
                let ends = in_order && !commands.is_empty();
                found.push((commands, course));
                if ends {
                    break;
                }
            }
            (found, solver.suspend())
        })
    }

    /// The nodes of `command`, found earlier, that may still be removed, as Karpenter asks after its wait: of empty nodes
    /// some, of others all. `None`: nothing remains of it.
    pub fn validate(&mut self, command: &Command) -> Option<Vec<Str>> {
        self.ask(|state, solver| {
            let mut solver = Solver::resume(state, solver);
            (disruption::validated_by(&mut solver, command), solver.suspend())
        })
    }

    /// What [`decide`](crate::decide) says of this moment, of the kind that the scenario asked for.
    pub fn decide(&mut self) -> Decision {
        use crate::scenario::ScenarioKind::{Disruption, Provisioning};
        match self.scenario().kind {
            Provisioning => Decision::Provisioning(self.provision()),
            Disruption => Decision::Disruption(self.disrupt(&Method::ALL)),
        }
    }

    /// This moment, as a scenario of its own.
    pub fn to_scenario(&self) -> Scenario {
        match &self.form {
            Form::Objects(scenario) => (**scenario).clone(),
            Form::Compiled(compiled) => compiled.state.to_scenario(),
            Form::Nothing => unreachable!("a cluster has a form between calls"),
        }
    }

    fn scenario(&self) -> &Scenario {
        match &self.form {
            Form::Objects(scenario) => scenario,
            Form::Compiled(compiled) => &compiled.state.scenario,
            Form::Nothing => unreachable!("a cluster has a form between calls"),
        }
    }

    /// The objects, to be changed: the compiled form is given up.
    fn scenario_mut(&mut self) -> &mut Scenario {
        if let Form::Compiled(_) = &self.form
            && let Form::Compiled(compiled) = std::mem::replace(&mut self.form, Form::Nothing)
        {
            self.form = Form::Objects(Box::new(compiled.state.into_scenario()));
        }
        match &mut self.form {
            Form::Objects(scenario) => scenario,
            Form::Compiled(_) | Form::Nothing => unreachable!("it is as objects now"),
        }
    }

    fn compiled(&mut self) -> &mut Compiled {
        if let Form::Compiled(compiled) = &self.form
            && compiled.interned() > 2 * self.interned + INTERNED_LEAST
        {
            self.scenario_mut();
        }
        if let Form::Objects(_) = &self.form
            && let Form::Objects(scenario) = std::mem::replace(&mut self.form, Form::Nothing)
        {
            let algebra = self.offers.algebra().clone();
            let (mut state, algebra) = compile_with(*scenario, &mut self.offers, algebra);
            let places = Places::new(&mut state).ok();
            let solver = SolverState::new(&state, algebra);
            let compiled = Compiled { state, solver, places };
            self.interned = compiled.interned();
            self.form = Form::Compiled(Box::new(compiled));
        }
        match &mut self.form {
            Form::Compiled(compiled) => compiled,
            Form::Objects(_) | Form::Nothing => unreachable!("it is compiled now"),
        }
    }

    fn ask<T>(&mut self, question: impl FnOnce(&ClusterState, SolverState) -> (T, SolverState)) -> T {
        self.compiled();
        let Form::Compiled(compiled) = std::mem::replace(&mut self.form, Form::Nothing) else {
            unreachable!("it is compiled now")
        };
        let Compiled { mut state, solver, places } = *compiled;
        state.find_leaving();
        let (answer, solver) = question(&state, solver);
        self.form = Form::Compiled(Box::new(Compiled { state, solver, places }));
        answer
    }
}

/// Compiles the catalogue anew if `offers` are of another one, or of another version of Karpenter.
fn follow(offers: &mut Offers, scenario: &Scenario) {
    let version = scenario.options.version();
    if !offers.is_of(&scenario.catalogue, version) {
        *offers = Offers::new(&scenario.catalogue, version);
    }
}

impl Compiled {
    /// Takes up a change in the compiled form. `false`: it has to be made to the objects.
    fn take_up(&mut self, change: &Change) -> Result<bool, TooFar> {
        let Compiled { state, solver, places } = self;
        match change {
            Change::Now(now) => {
                state.scenario.now = *now;
                return Ok(true);
            }
            Change::Nominated(names) => {
                state.scenario.memory.nominated.clone_from(names);
                return Ok(true);
            }
            Change::PodDisruptionBudget(_) | Change::PodDisruptionBudgetGone(_) => {
                objects::apply(&mut state.scenario, change.clone());
                return Ok(true);
            }
            _ => {}
        }
        let Some(places) = places else { return Err(TooFar) };
        let algebra = &mut solver.algebra;
        let touched = match change {
            Change::Pod(pod) => state.set_pod(algebra, places, Arc::clone(pod))?,
            Change::PodGone(key) => state.remove_pod(algebra, places, key)?,
            Change::Node(node) => state.set_node(algebra, places, node)?,
            Change::NodeGone(name) => state.remove_node(algebra, places, name)?,
            Change::NodeClaim(claim) => state.set_node_claim(algebra, places, claim)?,
            Change::NodeClaimGone(name) => state.remove_node_claim(algebra, places, name)?,
            Change::MarkedForDeletion(names) => state.set_marked(algebra, places, names)?,
            _ => return Ok(false),
        };
        self.pass_on(touched);
        Ok(true)
    }

    /// Tells the solver what a change has touched.
    fn pass_on(&mut self, touched: Touched) {
        let Compiled { state, solver, .. } = self;
        if touched.order {
            solver.node_order_changed(state);
        }
        for node in touched.nodes {
            solver.node_changed(state, node);
        }
        if touched.topology {
            solver.forget_topology(state);
        } else {
            for (class, node, more) in touched.counted {
                solver.pods_counted(state, class, node, more);
            }
        }
    }

    /// How many names, combinations of them and answers are known.
    fn interned(&self) -> usize {
        self.state.interned() + self.solver.learnt()
    }
}
