//! Facts in words.

use crate::decision::reasons::{
    GivenUp, NAMES_MAX, NearestMiss, NodePoolExplanation, PodError, Refused, Rule, TopologyFact,
    TopologyKind, shortened,
};
use crate::quantity::Quantity;
use std::fmt::{self, Display, Formatter};

const MI: i128 = 1 << 20;
const NANOS: i128 = 1_000_000_000;

/// Which way an amount is rounded, so that what is asked never looks like what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// What is asked for.
    Up,
    /// What there is.
    Down,
}

/// An amount for people: memory in Mi or Gi, cpu with decimals.
pub fn amount(resource: &str, quantity: Quantity, rounding: Rounding) -> String {
    let divide = |amount: i128, unit: i128| match rounding {
        Rounding::Up => -(-amount).div_euclid(unit),
        Rounding::Down => amount.div_euclid(unit),
    };
    let bytes = matches!(resource, "memory" | "ephemeral-storage") || resource.starts_with("hugepages-");
    if bytes && quantity.nanos().abs() >= MI * NANOS {
        let mi = divide(quantity.nanos(), MI * NANOS);
        return if mi % 1024 == 0 { format!("{}Gi", mi / 1024) } else { format!("{mi}Mi") };
    }
    if bytes {
        return divide(quantity.nanos(), NANOS).to_string();
    }
    let milli = divide(quantity.nanos(), 1_000_000);
    let (sign, milli) = if milli < 0 { ("-", -milli) } else { ("", milli) };
    let text = format!("{sign}{}.{:03}", milli / 1000, milli % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A label without its domain, if that is one that everyone knows.
fn label(key: &str) -> &str {
    ["topology.kubernetes.io/", "kubernetes.io/", "node.kubernetes.io/", "karpenter.sh/"]
        .iter()
        .find_map(|domain| key.strip_prefix(domain))
        .unwrap_or(key)
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Rule::NodePoolRequirement { key, wanted } => write!(f, "NodePool: {} {wanted}", label(key)),
            Rule::NodePoolOfferings => f.write_str("NodePool: no available offering meets its requirements"),
            Rule::NegativeAllocatable => f.write_str("overhead exceeds capacity"),
            Rule::NodePoolMinValues { key, wanted, found } => {
                write!(f, "NodePool: minValues for {} is {wanted}, only {found} available", label(key))
            }
            Rule::NodesLimit { left } => write!(f, "nodes limit: {left} remaining"),
            Rule::Limit { resource, left, least } => write!(
                f,
                "{resource} limit: {} remaining, a node has {}",
                amount(resource, *left, Rounding::Down),
                amount(resource, *least, Rounding::Up)
            ),
            Rule::Earlier => f.write_str("limits at the time when the node was added"),
            Rule::Taints { taints } => write!(f, "taint {} is not tolerated", taints.join(", ")),
            Rule::Label { key, wanted, found: Some(found) } => {
                write!(f, "requires {} {wanted}, found {found}", label(key))
            }
            Rule::Label { key, wanted, found: None } => {
                write!(f, "requires {} {wanted}, the label is not defined", label(key))
            }
            Rule::Volumes => f.write_str("its volumes are not accessible"),
            Rule::UnresolvedVolumes => f.write_str("its volumes cannot be resolved"),
            Rule::VolumeLimit { driver, limit } => write!(f, "volume limit exceeded: {limit} for {driver}"),
            Rule::Topology(fact) => fact.fmt(f),
            Rule::Requirement { key, wanted } => write!(f, "{} {wanted}", label(key)),
            Rule::Offerings => f.write_str("no available offering meets all requirements"),
            Rule::HostPorts => f.write_str("its host port is in use"),
            Rule::Resource { resource, requested, daemons, most } => {
                write!(
                    f,
                    "insufficient {resource}: needs {}",
                    amount(resource, *requested + *daemons, Rounding::Up)
                )?;
                if !daemons.is_zero() {
                    write!(f, " ({} of it for DaemonSets)", amount(resource, *daemons, Rounding::Up))?;
                }
                write!(f, ", has {}", amount(resource, *most, Rounding::Down))
            }
            Rule::MinValues { key, wanted, found } => {
                write!(f, "minValues for {} is {wanted}, only {found} remaining", label(key))
            }
            Rule::Reserved => {
                f.write_str("reserved capacity is held by other new nodes, and the pod waits for it")
            }
            Rule::NoInstanceType => f.write_str("none of its remaining instance types fits"),
            Rule::Young => f.write_str("its consolidateAfter has not passed"),
            Rule::Uninitialized => f.write_str("it is not initialized"),
            Rule::Preference => f.write_str("a preference of the pod is met elsewhere"),
        }
    }
}

impl Display for TopologyFact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = label(&self.key);
        match self.kind {
            TopologyKind::Spread => {
                write!(f, "topology spread over {key}, maxSkew {}", self.max_skew.unwrap_or_default())?;
                if let Some(least) = self.min_domains {
                    write!(f, ", minDomains {least}")?;
                }
            }
            TopologyKind::Affinity => write!(f, "pod affinity by {key}")?,
            TopologyKind::AntiAffinity => write!(f, "pod anti-affinity by {key}")?,
            TopologyKind::AntiAffinityOfOthers => write!(f, "anti-affinity of other pods by {key}")?,
        }
        if !self.domains.is_empty() {
            let counts: Vec<String> =
                self.domains.iter().map(|domain| format!("{} {}", domain.name, domain.pods)).collect();
            write!(f, " ({})", shortened(&counts))?;
        }
        if self.allowed.is_empty() {
            f.write_str(": no domain is allowed")
        } else {
            write!(f, ": {}", shortened(&self.allowed))
        }
    }
}

impl Display for NearestMiss {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.misses.iter().map(ToString::to_string).collect();
        let rules = rules.join("; ");
        match &self.instance_type {
            Some(name) if self.misses.iter().any(Rule::depends_on_type) => write!(f, "{rules} ({name})"),
            _ => f.write_str(&rules),
        }
    }
}

impl Rule {
    /// Whether another instance type might meet it.
    pub fn depends_on_type(&self) -> bool {
        matches!(
            self,
            Rule::NodePoolRequirement { .. }
                | Rule::NodePoolOfferings
                | Rule::NegativeAllocatable
                | Rule::Limit { .. }
                | Rule::Requirement { .. }
                | Rule::Offerings
                | Rule::HostPorts
                | Rule::Resource { .. }
        )
    }
}

impl Display for NodePoolExplanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "NodePool {}: ", self.node_pool)?;
        match &self.nearest {
            Some(nearest) => nearest.fmt(f),
            None => f.write_str("no instance types"),
        }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} node(s) such as {}: {}", self.nodes, self.example, self.rule)
    }
}

impl Display for GivenUp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.node_selector_terms > 0 {
            parts.push(format!("{} node selector term(s)", self.node_selector_terms));
        }
        if self.preferences > 0 {
            parts.push(format!("{} preference(s)", self.preferences));
        }
        if self.spreads > 0 {
            parts.push(format!("{} spread constraint(s) with ScheduleAnyway", self.spreads));
        }
        f.write_str(&parts.join(", "))
    }
}

impl Display for PodError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PodError::NoNodePools => "no dynamic nodepools found",
            PodError::ReservedCapacity => {
                "compatible reserved offerings exist, but other nodes hold them, so scheduling is deferred"
            }
            PodError::DynamicResources => {
                "the pod requires dynamic resources, which Karpenter does not support"
            }
            PodError::MinValues => "the instance types that a NodeClaim may list do not meet minValues",
            PodError::NotInAnswer => "the cheapest decision found does not schedule the pod",
            PodError::Refused(node_pools) => return f.write_str(&sentence(node_pools)),
        })
    }
}

/// Why no NodePool takes a pod, in one line.
pub fn sentence(node_pools: &[NodePoolExplanation]) -> String {
    if node_pools.is_empty() {
        return "no NodePool can launch nodes".to_owned();
    }
    let parts: Vec<String> = node_pools.iter().take(NAMES_MAX).map(ToString::to_string).collect();
    let rest = node_pools.len().saturating_sub(NAMES_MAX);
    let more = if rest > 0 { format!("; and {rest} other NodePool(s)") } else { String::new() };
    format!("{}{more}", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{Rounding, amount};
    use crate::quantity::Quantity;

    #[test]
    fn what_is_asked_never_looks_like_what_there_is() {
        let memory = |text: &str| Quantity::parse(text).unwrap();
        assert_eq!(amount("memory", memory("8589934593"), Rounding::Up), "8193Mi");
        assert_eq!(amount("memory", memory("8589934593"), Rounding::Down), "8Gi");
        assert_eq!(amount("memory", memory("1000"), Rounding::Down), "1000");
        assert_eq!(amount("cpu", memory("7910m"), Rounding::Down), "7.91");
        assert_eq!(amount("cpu", memory("7910100u"), Rounding::Up), "7.911");
        assert_eq!(amount("cpu", memory("9"), Rounding::Up), "9");
    }
}
