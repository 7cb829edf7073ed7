//! Opportunistic batching: a pod like the one before is tried on the next best node of that one's scores.
//!
//! It comes into play only if the last pod's node cannot take the new one, and if the scheduler knows that the two pods are
//! alike in all that filters and scores look at (their *signature*). Pods with pod affinity or spread constraints, defaults
//! included, have no signature.

use crate::class::Class;
use crate::cluster::{NodeIndex, PodInfo};
use crate::options::{Options, TopologySpreadDefaults};
use crate::resources::Resources;
use karpsim::model::core::{NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, Toleration, Volume};
use karpsim::model::meta::{Labels, Str};
use std::collections::{BTreeSet, VecDeque};

/// Scores older than this, in nanoseconds, are of no use.
const MAX_AGE_NANOS: i64 = 500_000_000;

/// The scores of the last cycle that had any, and what became of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    state: Option<State>,
    /// Cycle and node of the last pod that found one.
    last: Option<(u64, NodeIndex, Str)>,
}

#[derive(Debug, Clone)]
struct State {
    signature: Signature,
    /// The best first.
    nodes: VecDeque<(NodeIndex, Str)>,
    created_nanos: i64,
}

/// What must be equal for pods to be alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    labels: Labels,
    requests: Resources,
    ports: BTreeSet<i64>,
    images: BTreeSet<Str>,
    tolerations: Vec<Toleration>,
    node_selector: Labels,
    node_affinity: Option<NodeAffinity>,
    volumes: Vec<Volume>,
}

impl Signature {
    /// `None`: pods of this kind are not batched.
    pub(crate) fn new(options: &Options, info: &PodInfo) -> Option<Self> {
        let class: &Class = &info.class;
        let spec = class.spec();
        let spreads = !spec.topology_spread_constraints.is_empty()
            || options.topology_spread_defaults != TopologySpreadDefaults::List(Vec::new());
        if !options.opportunistic_batching || spreads || class.has_pod_affinity {
            return None;
        }
        let mut tolerations = spec.tolerations.clone();
        tolerations.sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
        // Of two volumes only the sources count.
        let mut volumes: Vec<Volume> = info
            .pod
            .spec
            .volumes
            .iter()
            .map(|volume| Volume { name: Str::default(), ..volume.clone() })
            .filter(|volume| *volume != Volume::default())
            .collect();
        volumes.sort_by_cached_key(|volume| format!("{volume:?}"));
        Some(Signature {
            labels: class.labels().clone(),
            requests: class.requests.clone(),
            ports: spec
                .containers
                .iter()
                .chain(&spec.init_containers)
                .flat_map(|container| &container.ports)
                .map(|port| port.host_port)
                .filter(|port| *port != 0)
                .collect(),
            images: class.images.iter().cloned().collect(),
            tolerations,
            node_selector: spec.node_selector.clone(),
            node_affinity: spec
                .affinity
                .as_ref()
                .and_then(|affinity| affinity.node_affinity.as_ref())
                .map(sorted),
            volumes,
        })
    }
}

/// The same affinity with all that stands in no order sorted.
fn sorted(affinity: &NodeAffinity) -> NodeAffinity {
    fn sort_requirements(requirements: Option<&mut Vec<NodeSelectorRequirement>>) {
        let Some(requirements) = requirements else { return };
        for requirement in requirements.iter_mut() {
            requirement.values.sort_unstable();
        }
        requirements.sort_by(|a, b| (&a.key, &a.operator, &a.values).cmp(&(&b.key, &b.operator, &b.values)));
    }
    fn sort_term(term: &mut NodeSelectorTerm) {
        sort_requirements(term.match_expressions.as_mut());
        sort_requirements(term.match_fields.as_mut());
    }
    let mut affinity = affinity.clone();
    if let Some(required) = &mut affinity.required {
        required.node_selector_terms.iter_mut().for_each(sort_term);
        required.node_selector_terms.sort_by_cached_key(|term| format!("{term:?}"));
    }
    for preferred in &mut affinity.preferred {
        sort_term(&mut preferred.preference);
    }
    affinity.preferred.sort_by_cached_key(|term| format!("{term:?}"));
    affinity
}

impl Batch {
    /// The node to try first. `refuses`: whether a node cannot take the pod now.
    pub(crate) fn hint(
        &mut self,
        signature: Option<&Signature>,
        cycle: u64,
        now_nanos: i64,
        refuses: impl FnOnce(NodeIndex, &str) -> bool,
    ) -> Option<(NodeIndex, Str)> {
        let state = self.state.as_mut().filter(|state| !state.nodes.is_empty())?;
        let (last_cycle, node, name) = self.last.as_ref()?;
        let fits = cycle == last_cycle + 1
            && signature == Some(&state.signature)
            && now_nanos - state.created_nanos <= MAX_AGE_NANOS
            && refuses(*node, name);
        if fits { state.nodes.pop_front() } else { None }
    }

    /// A pod found a node: `others` are the nodes that scored less, the best first.
    pub(crate) fn store(
        &mut self,
        signature: Option<Signature>,
        hint: Option<NodeIndex>,
        chosen: (NodeIndex, Str),
        others: VecDeque<(NodeIndex, Str)>,
        cycle: u64,
        now_nanos: i64,
    ) {
        let node = chosen.0;
        self.last = Some((cycle, node, chosen.1));
        if hint == Some(node) {
            return;
        }
        self.state = match signature {
            Some(signature) if !others.is_empty() => {
                Some(State { signature, nodes: others, created_nanos: now_nanos })
            }
            _ => None,
        };
    }
}
