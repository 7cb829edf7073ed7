//! Recordings of Karpenter's decisions.

use crate::catalogues::scenario;
use crate::files::text;
use karpsim::scenario::Scenario;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The recordings of one kind.
#[derive(Debug, Clone)]
pub struct Recordings {
    text: String,
}

/// A scenario and what Karpenter decided.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// All of it: a line of the file.
    pub line: &'a str,
    /// The scenario's name.
    pub name: &'a str,
    /// The scenario, as JSON.
    pub scenario: &'a str,
    /// The decision, as JSON.
    pub decision: &'a str,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    scenario: &'a RawValue,
    #[serde(borrow)]
    decision: &'a RawValue,
}

#[derive(Deserialize)]
struct Named<'a> {
    name: &'a str,
}

impl Recordings {
    /// Those in `data/conformance/KIND.jsonl.zst`, as `provisioning`.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn read(kind: &str) -> Self {
        Recordings { text: text(&format!("conformance/{kind}.jsonl")) }
    }

    /// All of them, in the order of the file.
    ///
    /// # Panics
    ///
    /// If a line is none.
    pub fn iter(&self) -> impl Iterator<Item = Recording<'_>> {
        self.text.lines().map(|line| {
            let broken = |error: serde_json::Error| -> ! { panic!("not a recording: {error}: {line:.200}") };
            let of_line: Line<'_> = serde_json::from_str(line).unwrap_or_else(|error| broken(error));
            let scenario = of_line.scenario.get();
            let Named { name } = serde_json::from_str(scenario).unwrap_or_else(|error| broken(error));
            Recording { line, name, scenario, decision: of_line.decision.get() }
        })
    }

    /// All of them by family.
    pub fn families(&self) -> BTreeMap<&str, Vec<Recording<'_>>> {
        let mut families: BTreeMap<&str, Vec<Recording<'_>>> = BTreeMap::new();
        for recording in self.iter() {
            families.entry(recording.family()).or_default().push(recording);
        }
        families
    }

    /// The first `count` of each family, in the order of the file.
    pub fn first_of_each(&self, count: usize) -> impl Iterator<Item = Recording<'_>> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        self.iter().filter(move |recording| {
            let so_far = seen.entry(recording.family()).or_default();
            *so_far += 1;
            *so_far <= count
        })
    }
}

impl<'a> Recording<'a> {
    /// What stands before the `/` of its name.
    pub fn family(&self) -> &'a str {
        self.name.split('/').next().unwrap_or(self.name)
    }

    /// The scenario.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn scenario(&self) -> Scenario {
        scenario(self.scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::Recordings;

    #[test]
    fn recordings_are_of_families() {
        for (kind, count, families) in [("provisioning", 2392, 22), ("disruption", 921, 1), ("beyond", 16, 1)]
        {
            let recordings = Recordings::read(kind);
            let by_family = recordings.families();
            assert_eq!(recordings.iter().count(), count, "{kind}");
            assert_eq!(by_family.values().map(Vec::len).sum::<usize>(), count, "{kind}");
            assert!(by_family.len() >= families, "{kind}: {}", by_family.len());
            let first: Vec<&str> = recordings.first_of_each(1).map(|recording| recording.family()).collect();
            assert_eq!(first.len(), by_family.len(), "{kind}");
        }
    }

    #[test]
    fn a_recording_is_a_scenario_and_a_decision() {
        let recordings = Recordings::read("provisioning");
        let first = recordings.iter().next().unwrap();
        assert_eq!((first.name, first.family()), ("packing/0001", "packing"));
        assert_eq!(first.scenario().name, first.name);
        let decision: serde_json::Value = serde_json::from_str(first.decision).unwrap();
        assert!(decision["newNodeClaims"].is_array(), "{decision}");
    }
}
