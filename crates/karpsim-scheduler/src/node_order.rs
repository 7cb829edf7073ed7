//! The order in which nodes are searched: one of each zone in turn.

use crate::NodeIndex;
use karpsim::model::meta::Str;

/// Region and zone; `None`: neither.
pub(crate) type Zone = Option<(Str, Str)>;

/// Nodes by zone; both zones and the nodes of a zone in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeOrder {
    zones: Vec<(Zone, Vec<NodeIndex>)>,
}

/// Where a node was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    zone: Zone,
    zone_at: usize,
    at: usize,
}

impl NodeOrder {
    pub(crate) fn add(&mut self, zone: Zone, node: NodeIndex) {
        match self.zones.iter_mut().find(|(known, _)| *known == zone) {
            Some((_, nodes)) => nodes.push(node),
            None => self.zones.push((zone, vec![node])),
        }
    }

    /// Takes a node out. `None`: it was not there.
    pub(crate) fn remove(&mut self, zone: &Zone, node: NodeIndex) -> Option<Place> {
        let zone_at = self.zones.iter().position(|(known, _)| known == zone)?;
        let (_, nodes) = &mut self.zones[zone_at];
        let at = nodes.iter().position(|one| *one == node)?;
        nodes.remove(at);
        if nodes.is_empty() {
            self.zones.remove(zone_at);
        }
        Some(Place { zone: zone.clone(), zone_at, at })
    }

    /// Puts a node back to where it was.
    pub(crate) fn put_back(&mut self, place: Place, node: NodeIndex) {
        match self.zones.get_mut(place.zone_at).filter(|(zone, _)| *zone == place.zone) {
            Some((_, nodes)) => nodes.insert(place.at.min(nodes.len()), node),
            None => {
                let zone_at = place.zone_at.min(self.zones.len());
                self.zones.insert(zone_at, (place.zone, vec![node]));
            }
        }
    }

    /// All nodes in order.
    pub(crate) fn list(&self) -> Vec<NodeIndex> {
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
        (0..longest)
            .flat_map(|at| self.zones.iter().filter_map(move |(_, nodes)| nodes.get(at).copied()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::NodeOrder;
    use crate::NodeIndex;

    #[test]
    fn zones_take_turns_until_they_have_no_more() {
        let zone = |name: &str| Some(("".into(), name.into()));
        let mut order = NodeOrder::default();
        for (node, name) in ["a", "b", "a", "a", "c", "b"].into_iter().enumerate() {
            order.add(zone(name), NodeIndex(node as u32));
        }
        let list = |order: &NodeOrder| order.list().iter().map(|node| node.0).collect::<Vec<_>>();
        assert_eq!(list(&order), [0, 1, 4, 2, 5, 3]);
        let place = order.remove(&zone("c"), NodeIndex(4)).unwrap();
        assert_eq!(list(&order), [0, 1, 2, 5, 3]);
        order.put_back(place, NodeIndex(4));
        assert_eq!(list(&order), [0, 1, 4, 2, 5, 3]);
        assert_eq!(order.remove(&zone("c"), NodeIndex(9)), None);
    }
}
