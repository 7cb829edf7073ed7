//! Karpenter's AWS provider, v1.14.1.
//!
//! [`resolve()`] makes instance types out of an [`Ec2NodeClass`] and what EC2 sells in a [`Region`]; a [`Launcher`] launches
//! NodeClaims: it decides what CreateFleet is asked for and what follows from the answer, which a [`Fleet`] gives. What
//! the provider remembers from one launch to the next, the [`Memory`], is the caller's to keep, and so is the clock.
//!
//! Not here: the node class's own controllers (what its selectors find stands in its status), user data, IPv6, the
//! merging of like requests within some milliseconds, and EC2 itself but for a model of how it chooses.

mod allocation;
mod ami_family;
mod candidates;
mod capacity;
mod compatibility;
mod errors;
mod fleet;
mod hash;
pub mod labels;
mod launch;
mod machine;
mod memory;
mod network;
mod node_class;
mod of_catalogue;
mod older;
mod region;
mod resolve;
pub mod scenario;
mod settings;
mod templates;

pub use allocation::{ModelledFleet, PoolDepth};
pub use ami_family::{AmiFamily, DefaultVolume};
pub use capacity::{Facts, VM_MEMORY_OVERHEAD_PERCENT, eni_limited_pods, figures, prefix_delegation_pods};
pub use errors::{ApiError, LaunchError};
pub use fleet::{
    CapacityType, Fleet, FleetAnswer, FleetError, FleetInstance, FleetRequest, Override, TemplateConfig,
    TemplateInterface, TemplateVolume,
};
pub use hash::{HASH_ANNOTATION, HASH_VERSION, HASH_VERSION_ANNOTATION, static_hash};
pub use launch::{ClaimToLaunch, Launch, LaunchedInstance, Launcher, News, SentRequest};
pub use machine::Machine;
pub use memory::{Memory, UNAVAILABLE_NANOS, UnavailableOffering};
pub use network::{Network, network};
pub use node_class::{
    BlockDevice, BlockDeviceMapping, CapacityReservation, ConnectionTracking, CpuOptions, Ec2NodeClass,
    Ec2NodeClassSpec, Ec2NodeClassStatus, Image, ImageSelectorTerm, InstanceStorePolicy, InterfaceType,
    NetworkInterface, NodeClassCondition, NodeClassMeta, PlacementGroupSelector, ReservationState,
    ReservationType, SecurityGroup, Subnet, Switch, Zone,
};
pub use of_catalogue::{Assumption, OverCatalogue, of_catalogue};
pub use older::{NODE_CLASS_FORMS, ReadNodeClass, read_node_class};
pub use region::{PlacementGroup, Prices, Region};
pub use resolve::{NodeClassTypes, ResolveError, resolve};
pub use settings::ProviderSettings;

pub(crate) use capacity::apply;
