//! Which of several options for a scale-up is taken.

use crate::options::Expander;
use crate::pods::{PodRef, milli};
use crate::view::NodeGroup;
use karpsim::kubernetes::requests::pod_requests;
use karpsim::model::core::Node;
use karpsim::quantity::Quantity;
use karpsim::yaml;
use regex_lite::Regex;
use std::collections::BTreeMap;

/// A group that could grow, by how much, and for whom.
#[derive(Debug, Clone)]
pub(crate) struct ScaleUpOption<'a> {
    pub(crate) group: usize,
    /// What a new node will be.
    pub(crate) node: &'a Node,
    pub(crate) nodes: i64,
    pub(crate) pods: Vec<PodRef>,
    pub(crate) similar: Vec<usize>,
}

/// What the priority expander is told: for each number, patterns of group names.
pub(crate) struct Priorities(BTreeMap<i64, Vec<Regex>>);

impl Priorities {
    /// Reads `data.priorities` of the ConfigMap. `None` if it cannot be read; then no option is preferred.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let documents = yaml::documents(text).ok()?;
        let mut priorities = BTreeMap::new();
        for (number, patterns) in documents.first()?.value.as_object()? {
            let patterns = match patterns {
                serde_json::Value::Null => Vec::new(),
                patterns => patterns
                    .as_array()?
                    .iter()
                    .map(|pattern| Regex::new(pattern.as_str()?).ok())
                    .collect::<Option<Vec<_>>>()?,
            };
            priorities.insert(number.parse().ok()?, patterns);
        }
        Some(Priorities(priorities))
    }

    /// The highest number that the group has.
    fn of(&self, group: &str) -> Option<i64> {
        let matching = self.0.iter().rev().find(|(_, patterns)| patterns.iter().any(|it| it.is_match(group)));
        matching.map(|(number, _)| *number)
    }
}

/// The option that the chain of expanders leaves; of several, the one whose group has the smallest name. `options` are
/// in the order of their groups' names.
pub(crate) fn best<'o, 'a>(
    chain: &[Expander],
    options: &'o [ScaleUpOption<'a>],
    groups: &[NodeGroup],
    priorities: Option<&Priorities>,
) -> Option<&'o ScaleUpOption<'a>> {
    let mut left: Vec<&ScaleUpOption<'a>> = options.iter().collect();
    for expander in chain {
        left = match expander {
            Expander::LeastWaste => least(left, |option| waste(option)),
            Expander::MostPods => least(left, |option| -(option.pods.len() as i64)),
            Expander::LeastNodes => least(left, |option| option.nodes),
            Expander::Priority => match priorities {
                Some(priorities) => of_highest_priority(left, groups, priorities),
                None => left,
            },
            Expander::Random => left.into_iter().take(1).collect(),
        };
        if left.len() == 1 {
            break;
        }
    }
    left.first().copied()
}

fn least<'o, 'a, K: PartialOrd + Copy>(
    options: Vec<&'o ScaleUpOption<'a>>,
    key: impl Fn(&ScaleUpOption<'a>) -> K,
) -> Vec<&'o ScaleUpOption<'a>> {
    let mut best: Vec<(K, &ScaleUpOption<'a>)> = Vec::new();
    for option in options {
        let own = key(option);
        match best.first() {
            None => best = vec![(own, option)],
            Some((least, _)) if own == *least => best.push((own, option)),
            Some((least, _)) if own < *least => best = vec![(own, option)],
            Some(_) => {}
        }
    }
    best.into_iter().map(|(_, option)| option).collect()
}

/// The unused shares of cpu and memory together, of all that the new nodes have.
fn waste(option: &ScaleUpOption<'_>) -> f64 {
    let (mut cpu, mut memory) = (Quantity::ZERO, Quantity::ZERO);
    for pod in &option.pods {
        let requests = pod_requests(pod);
        cpu += requests.get("cpu").copied().unwrap_or_default();
        memory += requests.get("memory").copied().unwrap_or_default();
    }
    let capacity = |resource: &str| option.node.status.capacity.get(resource).unwrap_or_default();
    let unused = |of_node: i64, requested: i64| {
        let available = of_node.saturating_mul(option.nodes);
        available.saturating_sub(requested) as f64 / available as f64
    };
    unused(milli(capacity("cpu")), milli(cpu))
        + unused(capacity("memory").units_rounded_up(), memory.units_rounded_up())
}

fn of_highest_priority<'o, 'a>(
    options: Vec<&'o ScaleUpOption<'a>>,
    groups: &[NodeGroup],
    priorities: &Priorities,
) -> Vec<&'o ScaleUpOption<'a>> {
    let priority = |option: &ScaleUpOption<'a>| priorities.of(&groups[option.group].name);
    // The comparison begins at −1, so what is below is never chosen.
    let highest = options.iter().filter_map(|option| priority(option)).max().filter(|number| *number >= -1);
    if highest.is_none() {
        return options;
    }
    options.into_iter().filter(|option| priority(option) == highest).collect()
}

#[cfg(test)]
mod tests {
    use super::{Priorities, ScaleUpOption, best};
    use crate::options::Expander;
    use crate::pods::PodRef;
    use crate::view::NodeGroup;
    use karpsim::model::core::Node;
    use std::sync::Arc;

    fn node(cpu: &str, memory: &str) -> Node {
        let text = format!(r#"{{"status": {{"capacity": {{"cpu": "{cpu}", "memory": "{memory}"}}}}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn pods(count: usize) -> Vec<PodRef> {
        let text =
            r#"{"spec": {"containers": [{"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}}"#;
        (0..count).map(|_| Arc::new(serde_json::from_str(text).unwrap())).collect()
    }

    fn chosen(chain: &[Expander], options: &[(Node, i64, usize)], priorities: Option<&str>) -> usize {
        let groups: Vec<NodeGroup> =
            (0..options.len()).map(|n| NodeGroup::new(format!("ng-{n}"), 0, 10, Arc::default())).collect();
        let options: Vec<ScaleUpOption<'_>> = options
            .iter()
            .enumerate()
            .map(|(group, (node, nodes, count))| ScaleUpOption {
                group,
                node,
                nodes: *nodes,
                pods: pods(*count),
                similar: Vec::new(),
            })
            .collect();
        let priorities = priorities.and_then(Priorities::read);
        best(chain, &options, &groups, priorities.as_ref()).unwrap().group
    }

    #[test]
    fn waste_is_a_share_of_capacity_and_the_smallest_name_decides_a_tie() {
        let options = [(node("4", "8Gi"), 1, 2), (node("2", "4Gi"), 1, 2), (node("2", "4Gi"), 1, 2)];
        assert_eq!(chosen(&[Expander::LeastWaste], &options, None), 1);
        assert_eq!(chosen(&[Expander::Random], &options, None), 0);
        assert_eq!(chosen(&[Expander::LeastNodes], &options, None), 0);
    }

    #[test]
    fn expanders_filter_in_turn() {
        let options = [(node("4", "8Gi"), 2, 3), (node("4", "16Gi"), 1, 2), (node("8", "8Gi"), 1, 3)];
        assert_eq!(chosen(&[Expander::MostPods, Expander::LeastNodes], &options, None), 2);
        assert_eq!(chosen(&[Expander::LeastNodes, Expander::LeastWaste], &options, None), 2);
    }

    #[test]
    fn priorities_are_patterns_anywhere_in_the_name() {
        let options = [(node("4", "8Gi"), 1, 1), (node("4", "8Gi"), 1, 1), (node("4", "8Gi"), 1, 1)];
        let by = |text| chosen(&[Expander::Priority], &options, Some(text));
        assert_eq!(by("10: ['.*']\n50: ['-1$', nothing]\n"), 1);
        assert_eq!(by("10: [g-2]\n"), 2);
        // What no group matches, and what cannot be read, prefers nothing.
        assert_eq!(by("10: [other]\n"), 0);
        assert_eq!(by("10: ['(']\n20: [g-2]"), 0);
        assert_eq!(by("-5: [g-2]\n"), 0);
        assert_eq!(by("-1: [g-2]\n"), 2);
    }
}
