//! Taints and tolerations, interned, with every verdict found out as lists come.

use crate::kubernetes::taints::tolerates;
use crate::model::core::{Taint, TaintEffect, Toleration, TolerationOperator};
use rustc_hash::FxHashMap;

/// A list of taints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaintsId(pub u32);

/// A list of tolerations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TolerationsId(pub u32);

/// All lists of taints and tolerations of a cluster, and every verdict.
#[derive(Debug, Clone, Default)]
pub struct TaintRules {
    taints: Vec<Vec<Taint>>,
    taints_index: FxHashMap<Vec<Taint>, TaintsId>,
    tolerations: Vec<Vec<Toleration>>,
    tolerations_index: FxHashMap<Vec<Toleration>, TolerationsId>,
    relaxed: Vec<Option<TolerationsId>>,
    /// By tolerations, then taints.
    verdicts: Vec<Vec<bool>>,
}

impl TaintRules {
    /// Interns a list of taints.
    pub fn taints(&mut self, taints: &[Taint]) -> TaintsId {
        if let Some(&id) = self.taints_index.get(taints) {
            return id;
        }
        let id = TaintsId(self.taints.len() as u32);
        for (tolerations, verdicts) in self.tolerations.iter().zip(&mut self.verdicts) {
            verdicts.push(tolerates_all(tolerations, taints));
        }
        self.taints.push(taints.to_vec());
        self.taints_index.insert(taints.to_vec(), id);
        id
    }

    /// Interns a list of tolerations, and its relaxed form.
    pub fn tolerations(&mut self, tolerations: &[Toleration]) -> TolerationsId {
        if let Some(&id) = self.tolerations_index.get(tolerations) {
            return id;
        }
        let id = TolerationsId(self.tolerations.len() as u32);
        self.verdicts.push(self.taints.iter().map(|taints| tolerates_all(tolerations, taints)).collect());
        self.tolerations.push(tolerations.to_vec());
        self.tolerations_index.insert(tolerations.to_vec(), id);
        self.relaxed.push(None);
        let relaxation = Toleration {
            operator: Some(TolerationOperator::Exists),
            effect: Some(TaintEffect::PreferNoSchedule),
            ..Toleration::default()
        };
        let has_it = tolerations.iter().any(|toleration| {
            toleration.key.is_empty()
                && toleration.value.is_empty()
                && toleration.operator == relaxation.operator
                && toleration.effect == relaxation.effect
        });
        if !has_it {
            let relaxed: Vec<Toleration> = tolerations.iter().cloned().chain([relaxation]).collect();
            let relaxed = self.tolerations(&relaxed);
            self.relaxed[id.0 as usize] = Some(relaxed);
        }
        id
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> usize {
        self.taints.len() + self.tolerations.len()
    }

    /// Whether a pod with `tolerations` puts up with all `taints`.
    pub fn tolerated(&self, taints: TaintsId, tolerations: TolerationsId) -> bool {
        self.verdicts[tolerations.0 as usize][taints.0 as usize]
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

fn tolerates_all(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    taints.iter().all(|taint| tolerates(tolerations, taint))
}
