//! Label selectors, interned.

use crate::kubernetes::selectors::selects;
use crate::model::meta::{LabelSelector, Labels, Str};
use rustc_hash::{FxHashMap, FxHashSet};

/// A label selector. The absent one has an id too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SelectorId(pub u32);

/// Labels of a pod, as far as any selector looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSetId(pub u32);

/// All selectors and sets of labels of a problem.
#[derive(Debug, Clone, Default)]
pub struct Selectors {
    selectors: Vec<Option<LabelSelector>>,
    index: FxHashMap<Option<LabelSelector>, SelectorId>,
    keys: FxHashSet<Str>,
    label_sets: Vec<Labels>,
    label_index: FxHashMap<Labels, LabelSetId>,
    /// By selector and set of labels, once all are known.
    verdicts: Vec<bool>,
}

/// With more combinations of selectors and labels than this, each is found out when it is asked for.
const MAX_VERDICTS: usize = 1 << 22;

impl Selectors {
    /// Interns a selector.
    pub fn selector(&mut self, selector: Option<&LabelSelector>) -> SelectorId {
        let owned = selector.cloned();
        if let Some(&id) = self.index.get(&owned) {
            return id;
        }
        let id = SelectorId(self.selectors.len() as u32);
        if let Some(selector) = selector {
            self.keys.extend(selector.match_labels.iter().map(|(key, _)| Str::from(key)));
            self.keys.extend(selector.match_expressions.iter().map(|expression| expression.key.clone()));
        }
        self.selectors.push(owned.clone());
        self.index.insert(owned, id);
        id
    }

    /// Interns labels, leaving out those that no selector looks at. To be called when all selectors are known.
    pub fn label_set(&mut self, labels: &Labels) -> LabelSetId {
        let seen: Labels = labels.iter().filter(|(key, _)| self.keys.contains(*key)).collect();
        if let Some(&id) = self.label_index.get(&seen) {
            return id;
        }
        let id = LabelSetId(self.label_sets.len() as u32);
        self.label_sets.push(seen.clone());
        self.label_index.insert(seen, id);
        id
    }

    /// The selector behind an id.
    pub fn get(&self, id: SelectorId) -> Option<&LabelSelector> {
        self.selectors[id.0 as usize].as_ref()
    }

    /// When all selectors and labels are known: finds out which select which.
    pub fn seal(&mut self) {
        let count = self.label_sets.len();
        if self.selectors.len() * count > MAX_VERDICTS {
            return;
        }
        self.verdicts = self
            .selectors
            .iter()
            .flat_map(|selector| {
                self.label_sets
                    .iter()
                    .map(|labels| selector.as_ref().is_some_and(|selector| selects(selector, labels)))
            })
            .collect();
    }

    /// Whether the selector selects the labels. An absent one selects nothing.
    pub fn selects(&self, selector: SelectorId, labels: LabelSetId) -> bool {
        let at = selector.0 as usize * self.label_sets.len() + labels.0 as usize;
        self.verdicts.get(at).copied().unwrap_or_else(|| self.find_out(selector, labels))
    }

    fn find_out(&self, selector: SelectorId, labels: LabelSetId) -> bool {
        self.get(selector).is_some_and(|selector| selects(selector, &self.label_sets[labels.0 as usize]))
    }

    /// Whether a list with the selector returns objects with the labels. An absent one returns everything.
    pub fn lists(&self, selector: SelectorId, labels: LabelSetId) -> bool {
        self.get(selector).is_none() || self.selects(selector, labels)
    }
}
