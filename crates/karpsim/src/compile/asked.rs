//! What is asked of a node, with the hostname kept apart.
//!
//! Every node has a hostname of its own, so constraints that included it could hardly be shared. It is therefore held
//! beside the [`ConstraintId`]: what is asked of it in [`Asked`], what it is in [`Host`].

use crate::requirements::{Algebra, ConstraintId, RequirementId, Undefined, ValueId};

/// Requirements on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asked {
    /// On all labels but the hostname.
    pub constraint: ConstraintId,
    /// On the hostname.
    pub hostname: Option<RequirementId>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { constraint: ConstraintId::NONE, hostname: None }
    }
}

/// A node's hostname label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host {
    /// It has none.
    None,
    /// A value of the hostname key.
    Named(ValueId),
    /// One that nobody has named yet: a node to be launched.
    Unnamed,
}

impl Asked {
    /// Both together.
    pub fn and(self, other: Asked, algebra: &mut Algebra) -> Asked {
        let hostname = match (self.hostname, other.hostname) {
            (Some(a), Some(b)) => {
                let integers = algebra
                    .find_key(crate::kubernetes::labels::HOSTNAME)
                    .map_or(&[][..], |key| algebra.integers(key));
                let both = algebra.get(a).intersection(algebra.get(b), integers);
                Some(algebra.intern(both))
            }
            (a, b) => a.or(b),
        };
        Asked { constraint: algebra.sum(self.constraint, other.constraint), hostname }
    }

    /// Whether a node with these labels can meet what is asked.
    pub fn met_by(self, node: ConstraintId, host: Host, undefined: Undefined, algebra: &mut Algebra) -> bool {
        self.hostname_met_by(host, algebra) && algebra.compatible(node, self.constraint, undefined)
    }

    /// Whether `host` is one of the hostnames asked for.
    pub fn hostname_met_by(self, host: Host, algebra: &Algebra) -> bool {
        self.hostname.is_none_or(|asked| {
            let asked = algebra.get(asked);
            match host {
                Host::None => asked.allows_absence(),
                Host::Named(name) => {
                    let integers = algebra
                        .find_key(crate::kubernetes::labels::HOSTNAME)
                        .map_or(&[][..], |key| algebra.integers(key));
                    asked.has(name, integers)
                }
                Host::Unnamed => asked.has_unnamed(),
            }
        })
    }
}
