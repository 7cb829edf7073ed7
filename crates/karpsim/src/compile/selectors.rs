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
    /// By selector, then set of labels, as far as there are not too many.
    verdicts: Vec<Vec<bool>>,
    verdict_count: usize,
}

/// Beyond so many combinations of selectors and labels, each is found out when it is asked for.
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
        self.verdict_count += self.label_sets.len();
        self.verdicts.push(if self.verdict_count <= MAX_VERDICTS {
            let selects = |labels| owned.as_ref().is_some_and(|selector| selects(selector, labels));
            self.label_sets.iter().map(selects).collect()
        } else {
            Vec::new()
        });
        self.selectors.push(owned.clone());
        self.index.insert(owned, id);
        id
    }

    /// Whether a selector looks at a label that none has looked at before: sets of labels would have to be made anew.
    pub(crate) fn looks_further(&self, selector: Option<&LabelSelector>) -> bool {
        selector.is_some_and(|selector| {
            let of_labels = selector.match_labels.iter().map(|(key, _)| key);
            let of_expressions = selector.match_expressions.iter().map(|expression| expression.key.as_str());
            !of_labels.chain(of_expressions).all(|key| self.keys.contains(key))
        })
    }

    /// Whether a selector looks at the label `key`.
    pub(crate) fn looks_at(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// How many selectors and sets of labels there are.
    pub(crate) fn len(&self) -> usize {
        self.selectors.len() + self.label_sets.len()
    }

    /// Interns labels, leaving out those that no selector looks at. To be called when all selectors are known.
    pub fn label_set(&mut self, labels: &Labels) -> LabelSetId {
        let seen: Labels = labels.iter().filter(|(key, _)| self.keys.contains(*key)).collect();
        if let Some(&id) = self.label_index.get(&seen) {
            return id;
        }
        let id = LabelSetId(self.label_sets.len() as u32);
        self.verdict_count += self.selectors.len();
        if self.verdict_count <= MAX_VERDICTS {
            for (selector, verdicts) in self.selectors.iter().zip(&mut self.verdicts) {
                // A row that was left out stays so.
                if verdicts.len() == self.label_sets.len() {
                    verdicts.push(selector.as_ref().is_some_and(|selector| selects(selector, &seen)));
                }
            }
        }
        self.label_sets.push(seen.clone());
        self.label_index.insert(seen, id);
        id
    }

    /// The selector behind an id.
    pub fn get(&self, id: SelectorId) -> Option<&LabelSelector> {
        self.selectors[id.0 as usize].as_ref()
    }

    /// Whether the selector selects the labels. An absent one selects nothing.
    pub fn selects(&self, selector: SelectorId, labels: LabelSetId) -> bool {
        let known = self.verdicts[selector.0 as usize].get(labels.0 as usize);
        known.copied().unwrap_or_else(|| self.find_out(selector, labels))
    }

    fn find_out(&self, selector: SelectorId, labels: LabelSetId) -> bool {
        self.get(selector).is_some_and(|selector| selects(selector, &self.label_sets[labels.0 as usize]))
    }

    /// Whether a list with the selector returns objects with the labels. An absent one returns everything.
    pub fn lists(&self, selector: SelectorId, labels: LabelSetId) -> bool {
        self.get(selector).is_none() || self.selects(selector, labels)
    }
}
