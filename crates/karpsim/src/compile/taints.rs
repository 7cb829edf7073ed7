//! Taints and tolerations, interned, with every verdict known beforehand.

use crate::kubernetes::taints::tolerates;
use crate::model::core::{Taint, TaintEffect, Toleration, TolerationOperator};
use rustc_hash::FxHashMap;

/// A list of taints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaintsId(pub u32);

/// A list of tolerations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TolerationsId(pub u32);

/// All lists of taints and tolerations of a problem.
#[derive(Debug, Clone, Default)]
pub struct TaintRules {
    taints: Vec<Vec<Taint>>,
    taints_index: FxHashMap<Vec<Taint>, TaintsId>,
    tolerations: Vec<Vec<Toleration>>,
    tolerations_index: FxHashMap<Vec<Toleration>, TolerationsId>,
    relaxed: Vec<Option<TolerationsId>>,
    verdicts: Vec<bool>,
}

impl TaintRules {
    /// Interns a list of taints.
    pub fn taints(&mut self, taints: &[Taint]) -> TaintsId {
        if let Some(&id) = self.taints_index.get(taints) {
            return id;
        }
        let id = TaintsId(self.taints.len() as u32);
        self.taints.push(taints.to_vec());
        self.taints_index.insert(taints.to_vec(), id);
        id
    }

    /// Interns a list of tolerations.
    pub fn tolerations(&mut self, tolerations: &[Toleration]) -> TolerationsId {
        if let Some(&id) = self.tolerations_index.get(tolerations) {
            return id;
        }
        let id = TolerationsId(self.tolerations.len() as u32);
        self.tolerations.push(tolerations.to_vec());
        self.tolerations_index.insert(tolerations.to_vec(), id);
        id
    }

    /// After all lists are known: adds the relaxed form of every list of tolerations and fills in the verdicts.
    pub fn seal(&mut self) {
        let relaxation = Toleration {
            operator: Some(TolerationOperator::Exists),
            effect: Some(TaintEffect::PreferNoSchedule),
            ..Toleration::default()
        };
        for index in 0..self.tolerations.len() {
            let has_it = self.tolerations[index].iter().any(|toleration| {
                toleration.key.is_empty()
                    && toleration.value.is_empty()
                    && toleration.operator == relaxation.operator
                    && toleration.effect == relaxation.effect
            });
            let relaxed = (!has_it).then(|| {
                let mut list = self.tolerations[index].clone();
                list.push(relaxation.clone());
                self.tolerations(&list)
            });
            self.relaxed.push(relaxed);
        }
        self.relaxed.resize(self.tolerations.len(), None);
        self.verdicts = (0..self.tolerations.len() * self.taints.len())
            .map(|at| {
                let (tolerations, taints) = (at / self.taints.len(), at % self.taints.len());
                self.taints[taints].iter().all(|taint| tolerates(&self.tolerations[tolerations], taint))
            })
            .collect();
    }

    /// Whether a pod with `tolerations` puts up with all `taints`.
    pub fn tolerated(&self, taints: TaintsId, tolerations: TolerationsId) -> bool {
        self.verdicts[tolerations.0 as usize * self.taints.len() + taints.0 as usize]
    }

    /// `tolerations` and one for every `PreferNoSchedule` taint; `None` if that is there already.
    pub fn relaxed(&self, tolerations: TolerationsId) -> Option<TolerationsId> {
        self.relaxed[tolerations.0 as usize]
    }

    /// The taints of a list.
    pub fn taints_of(&self, id: TaintsId) -> &[Taint] {
        &self.taints[id.0 as usize]
    }

    /// The tolerations of a list.
    pub fn tolerations_of(&self, id: TolerationsId) -> &[Toleration] {
        &self.tolerations[id.0 as usize]
    }
}
