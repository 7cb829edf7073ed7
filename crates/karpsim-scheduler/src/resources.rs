//! Amounts of resources as kube-scheduler counts them: whole thousandths of cpu, bytes of memory and of ephemeral storage,
//! pods, and whole units of everything else (*scalar* resources).

use crate::kubernetes::{Amounts, is_scalar_resource, milli};
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use smallvec::SmallVec;

/// Amounts of resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Resources {
    pub(crate) cpu_milli: i64,
    pub(crate) memory_bytes: i64,
    pub(crate) ephemeral_storage_bytes: i64,
    /// Only what a node has; pods request none.
    pub(crate) pods: i64,
    /// By name. Names stay when the amount is 0.
    scalars: SmallVec<[(Str, i64); 1]>,
}

impl Resources {
    pub(crate) fn new<'a>(amounts: impl IntoIterator<Item = (&'a str, Quantity)>) -> Self {
        let mut resources = Resources::default();
        for (name, quantity) in amounts {
            match name {
                "cpu" => resources.cpu_milli = milli(quantity),
                "memory" => resources.memory_bytes = quantity.units_rounded_up(),
                "ephemeral-storage" => resources.ephemeral_storage_bytes = quantity.units_rounded_up(),
                "pods" => resources.pods = quantity.units_rounded_up(),
                _ if is_scalar_resource(name) => *resources.scalar_mut(name) = quantity.units_rounded_up(),
                _ => {}
            }
        }
        resources
    }

    /// What a pod requests. The number of pods is no request.
    pub(crate) fn of_pod(amounts: &Amounts) -> Self {
        let mut resources = Resources::new(amounts.iter().map(|(name, quantity)| (name.as_str(), *quantity)));
        resources.pods = 0;
        resources
    }

    /// All scalar resources, by name.
    pub(crate) fn scalars(&self) -> impl Iterator<Item = (&str, i64)> {
        self.scalars.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    pub(crate) fn scalar(&self, name: &str) -> Option<i64> {
        self.scalars.iter().find(|(known, _)| known == name).map(|(_, amount)| *amount)
    }

    fn scalar_mut(&mut self, name: &str) -> &mut i64 {
        let at = match self.scalars.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                self.scalars.insert(at, (name.into(), 0));
                at
            }
        };
        &mut self.scalars[at].1
    }

    pub(crate) fn add(&mut self, more: &Resources, sign: i64) {
        self.cpu_milli += sign * more.cpu_milli;
        self.memory_bytes += sign * more.memory_bytes;
        self.ephemeral_storage_bytes += sign * more.ephemeral_storage_bytes;
        for (name, amount) in &more.scalars {
            *self.scalar_mut(name) += sign * amount;
        }
    }
}
