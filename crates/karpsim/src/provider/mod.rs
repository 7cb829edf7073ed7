//! What the providers of clouds add to Karpenter: what a node class makes of a cloud's machines, and what becomes of a
//! NodeClaim.
//!
//! Karpenter's core decides with instance types and NodeClaims; a provider makes the former out of a node class and what
//! its cloud sells, and launches the latter. One folder a provider. All of it is pure: what a provider remembers from one
//! launch to the next is a value that the caller keeps.

pub mod aws;
pub mod azure;
pub mod capacity;
pub mod gcp;
pub mod import;
pub mod node_class;

pub use capacity::{Settings, recompute};
pub use node_class::NodeClass;

use crate::catalogue::{Catalogue, InstanceType};
use crate::quantity::Quantity;
use capacity::CapacityError;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The instance types that the NodePools of a node class are offered.
#[derive(Debug, Clone)]
pub struct OfferedTypes {
    /// The types, in the catalogue's order.
    pub instance_types: Vec<Arc<InstanceType>>,
    /// What is worth saying about it.
    pub warnings: Vec<Warning>,
}

/// What a node class asks for that is not modelled, or what had to be taken for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A field counts for the nodes, but not here.
    Unmodelled {
        /// Kind of the node class.
        kind: &'static str,
        /// The field.
        field: String,
    },
    /// Something was taken for granted.
    Assumed {
        /// Kind of the node class.
        kind: &'static str,
        /// What.
        assumption: aws::Assumption,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Unmodelled { kind, field } => write!(f, "{kind}: `{field}` is not modelled"),
            Warning::Assumed { kind, assumption } => write!(f, "{kind}: {assumption}"),
        }
    }
}

/// Why a node class has no instance types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// AWS.
    #[error(transparent)]
    Aws(#[from] aws::ResolveError),
    /// A figure cannot be derived.
    #[error(transparent)]
    Capacity(#[from] CapacityError),
}

/// The instance types of `class` out of `catalogue`, as a controller that has just started is offered them.
///
/// # Errors
///
/// If the node class is of another cloud than the catalogue, a field of it is not understood, or its status has no subnets.
pub fn offered_types(
    class: &NodeClass,
    catalogue: &Catalogue,
    settings: &Settings,
) -> Result<OfferedTypes, OfferError> {
    let kind = class.kind();
    let mut warnings: Vec<Warning> =
        class.unmodelled().into_iter().map(|field| Warning::Unmodelled { kind, field }).collect();
    let instance_types = match class {
        NodeClass::Ec2(of_aws) if catalogue.provider == class.provider() => {
            let settings =
                aws::ProviderSettings { capacity: settings.clone(), ..aws::ProviderSettings::default() };
            let over = aws::of_catalogue(of_aws, catalogue, &BTreeMap::new(), &settings)?;
            warnings
                .extend(over.assumptions.into_iter().map(|assumption| Warning::Assumed { kind, assumption }));
            let types = over.types.instance_types(&over.memory, 0).into_iter();
            types.map(without_zeros).map(Arc::new).collect()
        }
        _ => capacity::recompute(catalogue, Some(class), settings)?.instance_types,
    };
    Ok(OfferedTypes { instance_types, warnings })
}

/// A type in the form of catalogues, which leave out what there is none of.
fn without_zeros(mut it: InstanceType) -> InstanceType {
    let all = it.capacity.iter().filter(|(_, amount)| *amount != Quantity::ZERO);
    it.capacity = all.collect();
    it
}
