//! Domains: the values that nodes have of a label which a constraint names.
//!
//! Each such label is a [`Topology`]. Its values get small numbers, so that counts by domain are lists. A value that no node
//! has any more gives its number back.

use crate::NodeIndex;
use karpsim::model::meta::{Labels, Str};
use rustc_hash::FxHashMap;

/// A label as the key of domains: an index into [`Topologies`].
pub(crate) type TopologyId = usize;

/// A value of a label: an index into lists of one [`Topology`].
pub(crate) type Domain = u32;

/// No domain: the node lacks the label.
pub(crate) const NONE: Domain = Domain::MAX;

/// The domains of one label.
#[derive(Debug, Clone)]
pub(crate) struct Topology {
    pub(crate) key: Str,
    by_value: FxHashMap<Str, Domain>,
    /// How many nodes each domain has, and its value.
    domains: Vec<(u32, Str)>,
    free: Vec<Domain>,
    /// By node.
    of_node: Vec<Domain>,
}

impl Topology {
    fn new(key: Str) -> Self {
        Topology {
            key,
            by_value: FxHashMap::default(),
            domains: Vec::new(),
            free: Vec::new(),
            of_node: Vec::new(),
        }
    }

    /// The domain of a node, or [`NONE`].
    #[inline]
    pub(crate) fn domain(&self, node: NodeIndex) -> Domain {
        self.of_node.get(node.0 as usize).copied().unwrap_or(NONE)
    }

    /// Numbers of domains are below this.
    pub(crate) fn bound(&self) -> usize {
        self.domains.len()
    }

    fn set(&mut self, node: NodeIndex, value: Option<&str>) {
        let at = node.0 as usize;
        if self.of_node.len() <= at {
            self.of_node.resize(at + 1, NONE);
        }
        let old = self.of_node[at];
        if old != NONE && value == Some(self.domains[old as usize].1.as_str()) {
            return;
        }
        let new = value.map_or(NONE, |value| self.enter(value));
        self.of_node[at] = new;
        if old != NONE {
            let (nodes, value) = &mut self.domains[old as usize];
            *nodes -= 1;
            if *nodes == 0 {
                self.by_value.remove(value);
                self.free.push(old);
            }
        }
    }

    fn enter(&mut self, value: &str) -> Domain {
        let domain = match self.by_value.get(value) {
            Some(domain) => *domain,
            None => {
                let domain = match self.free.pop() {
                    Some(domain) => {
                        self.domains[domain as usize].1 = value.into();
                        domain
                    }
                    None => {
                        self.domains.push((0, value.into()));
                        (self.domains.len() - 1) as Domain
                    }
                };
                self.by_value.insert(value.into(), domain);
                domain
            }
        };
        self.domains[domain as usize].0 += 1;
        domain
    }
}

/// All labels that constraints name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topologies {
    all: Vec<Topology>,
    by_key: FxHashMap<Str, TopologyId>,
}

impl Topologies {
    /// The topology of a label; `nodes` are all there are, for one that is new.
    pub(crate) fn enter<'a>(
        &mut self,
        key: &str,
        nodes: impl Iterator<Item = (NodeIndex, &'a Labels)>,
    ) -> TopologyId {
        if let Some(id) = self.by_key.get(key) {
            return *id;
        }
        let mut topology = Topology::new(key.into());
        for (node, labels) in nodes {
            topology.set(node, labels.get(key));
        }
        self.all.push(topology);
        let id = self.all.len() - 1;
        self.by_key.insert(key.into(), id);
        id
    }

    /// The topology of a label, if it is known.
    pub(crate) fn find(&self, key: &str) -> Option<TopologyId> {
        self.by_key.get(key).copied()
    }

    /// The label of a topology.
    pub(crate) fn key(&self, id: TopologyId) -> &str {
        &self.all[id].key
    }

    /// A node came, changed, or went (`None`).
    pub(crate) fn set_node(&mut self, node: NodeIndex, labels: Option<&Labels>) {
        for topology in &mut self.all {
            let value = labels.and_then(|labels| labels.get(&topology.key));
            topology.set(node, value);
        }
    }
}

impl std::ops::Index<TopologyId> for Topologies {
    type Output = Topology;
    fn index(&self, id: TopologyId) -> &Topology {
        &self.all[id]
    }
}
