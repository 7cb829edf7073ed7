//! What can be wrong with an input, and what is worth saying about it, as facts.
//!
//! A [`Problem`] ends a run; a [`Notice`] is said once and the run goes on. Both know their place: the object (or none:
//! the scenario or trace itself) and the path inside it. File and line are known only to whoever read the text.

use std::fmt;

/// Where in the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The object, as ``Pod `default/web` ``; empty: no object.
    pub object: String,
    /// The path inside it, as `spec.containers[0].name`; empty: the object itself.
    pub path: String,
}

impl Place {
    /// A place in an object.
    pub fn in_object(object: impl Into<String>, path: impl Into<String>) -> Self {
        Place { object: object.into(), path: path.into() }
    }

    /// A place in the scenario or trace itself.
    pub fn at(path: impl Into<String>) -> Self {
        Place { object: String::new(), path: path.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        if !self.object.is_empty() && !self.path.is_empty() {
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "`{}`", self.path)?;
        }
        Ok(())
    }
}

/// Something that makes an input unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: ProblemKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// The text is not JSON or YAML.
    Syntax {
        /// What the reader says.
        message: String,
        /// Line in the text, from 1; 0: not known.
        line: usize,
        /// Column in the line, from 1; 0: not known.
        column: usize,
    },
    /// The text ends in the middle of a value.
    Truncated,
    /// More brackets inside brackets than any object has.
    TooDeep,
    /// A field that this object does not have.
    UnknownField {
        /// The name as found.
        name: String,
        /// The name that was meant, perhaps.
        near: Option<String>,
        /// All names that there are.
        known: Vec<&'static str>,
    },
    /// A value that cannot stand here.
    Value {
        /// What was found.
        found: String,
        /// What may stand here.
        allowed: String,
        /// What was meant, perhaps.
        near: Option<String>,
    },
    /// A field that must be there.
    Missing {
        /// Its name.
        name: String,
    },
    /// Two fields of which only one may be there.
    Exclusive {
        /// One.
        first: &'static str,
        /// And the other.
        second: &'static str,
    },
    /// A name that nothing has.
    UnknownName {
        /// What kind of thing, as `instance type`.
        what: &'static str,
        /// The name.
        name: String,
        /// Where it was sought, as ``catalogue `aws/us-west-2` ``.
        sought: String,
        /// The name that was meant, perhaps.
        near: Option<String>,
    },
    /// No catalogue is named, and there is no instance type.
    NoCatalogue,
    /// A catalogue that cannot be had.
    Catalogue {
        /// Why not, as a sentence.
        message: String,
        /// What could help.
        hint: Option<String>,
    },
}

impl Problem {
    /// A problem at `place`.
    pub fn new(place: Place, kind: ProblemKind) -> Self {
        Problem { place, kind }
    }

    /// What could help.
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            ProblemKind::UnknownField { near: Some(near), .. }
            | ProblemKind::Value { near: Some(near), .. }
            | ProblemKind::UnknownName { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            ProblemKind::UnknownField { near: None, known, .. } if !known.is_empty() => {
                Some(format!("known fields: {}", listed(known)))
            }
            // YAML reads `yes` and `010` as no text.
            ProblemKind::Value { found, allowed, .. } if allowed == "a string" && found.starts_with('`') => {
                Some("put the value in quotes".to_owned())
            }
            ProblemKind::Catalogue { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

/// At most a dozen names, then how many more there are.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.extend([" and ", &(names.len() - SHOWN).to_string(), " more"]);
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::default() {
            write!(f, "{}: ", self.place)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProblemKind::Syntax { message, .. } | ProblemKind::Catalogue { message, .. } => {
                f.write_str(message)
            }
            ProblemKind::Truncated => f.write_str("unexpected end of input"),
            ProblemKind::TooDeep => f.write_str("brackets are nested more than 128 levels deep"),
            ProblemKind::UnknownField { name, .. } => write!(f, "unknown field `{name}`"),
            ProblemKind::Value { found, allowed, .. } if is_verbatim(found) => {
                write!(f, "invalid value {found}: expected {allowed}")
            }
            ProblemKind::Value { found, allowed, .. } => write!(f, "expected {allowed}, found {found}"),
            ProblemKind::Missing { name } => write!(f, "missing field `{name}`"),
            ProblemKind::Exclusive { first, second } => {
                write!(f, "`{first}` and `{second}` are mutually exclusive")
            }
            ProblemKind::UnknownName { what, name, sought, .. } => {
                write!(f, "{what} `{name}` not found in {sought}")
            }
            ProblemKind::NoCatalogue => {
                f.write_str("no instance types: neither a catalogue nor instance types are given")
            }
        }
    }
}

/// Whether `found` is what stands in the input, and not a description such as `an object`.
fn is_verbatim(found: &str) -> bool {
    found.starts_with(['`', '"', '-']) || found.parse::<f64>().is_ok()
}

/// Something that is accepted, and worth one sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Notice {
    /// Where it was first seen.
    pub place: Place,
    /// What.
    pub kind: NoticeKind,
}

/// What is worth saying.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// A field of an old form that has no counterpart in `karpenter.sh/v1`.
    NotCarriedOver {
        /// Why, or what happens instead.
        because: &'static str,
    },
    /// A limit on a resource that no instance type has: it never binds.
    LimitWithoutResource {
        /// The resource.
        resource: String,
        /// The resource that was meant, perhaps.
        near: Option<String>,
    },
    /// A request for a resource that no instance type and no node has.
    RequestWithoutResource {
        /// The resource.
        resource: String,
        /// The resource that was meant, perhaps.
        near: Option<String>,
    },
    /// A field that decides something in Karpenter, and nothing here.
    Unmodelled {
        /// Its name.
        name: String,
    },
    /// A field that this kind is not known to have.
    UnknownField {
        /// Its name.
        name: String,
    },
    /// An object of a kind that nothing here knows.
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
        /// The kind that was meant, perhaps.
        near: Option<String>,
    },
    /// A budget whose schedule cannot be read: as in Karpenter, its NodePool's nodes are not disrupted.
    UnreadableSchedule {
        /// As it stands.
        schedule: String,
    },
    /// A part of Kubernetes or Karpenter that is not modelled.
    NotModelled {
        /// What, in the plural.
        what: &'static str,
        /// What happens instead.
        instead: &'static str,
    },
    /// NodeOverlays while their feature gate is off.
    GateOff {
        /// The gate.
        gate: &'static str,
    },
    /// A price of a NodeOverlay that cannot be read. The API server would refuse it.
    UnreadablePrice {
        /// As it stands.
        price: String,
    },
    /// A NodeClaim that has no instance yet: it keeps Karpenter from deciding anything.
    NodeClaimNotLaunched,
    /// A NodePool that lacks conditions, and so does not count.
    NodePoolNotReady {
        /// The conditions that are not `True`.
        conditions: Vec<&'static str>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::default() {
            write!(f, "{}: ", self.place)?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoticeKind::NotCarriedOver { because } => {
                write!(f, "not converted to karpenter.sh/v1: {because}")
            }
            NoticeKind::LimitWithoutResource { resource, near } => {
                write!(f, "no instance type has the resource `{resource}`, so this limit has no effect")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, " (did you mean `{near}`?)"))
            }
            NoticeKind::RequestWithoutResource { resource, near } => {
                write!(
                    f,
                    "no instance type or node has the resource `{resource}` that the pod requests, so the pod is \
                     unschedulable"
                )?;
                near.as_ref().map_or(Ok(()), |near| write!(f, " (did you mean `{near}`?)"))
            }
            NoticeKind::Unmodelled { name } => write!(f, "field `{name}` is not modelled and has no effect"),
            NoticeKind::UnknownField { name } => write!(f, "unknown field `{name}` has no effect"),
            NoticeKind::UnknownKind { api_version, kind, near } => {
                write!(f, "objects of unknown kind {kind} ({api_version}) have no effect")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, " (did you mean `{near}`?)"))
            }
            NoticeKind::UnreadableSchedule { schedule } => write!(
                f,
                "Karpenter cannot parse {schedule:?}, so it disrupts no nodes of the NodePool; expected five cron fields \
                 such as \"0 9 * * 1-5\", or a macro such as @daily"
            ),
            NoticeKind::NotModelled { what, instead } => write!(f, "{what} are not modelled: {instead}"),
            NoticeKind::GateOff { gate } => {
                write!(
                    f,
                    "has no effect: the feature gate {gate} is off (enable it with --feature-gates {gate}=true)"
                )
            }
            NoticeKind::UnreadablePrice { price } => {
                write!(
                    f,
                    "{price:?} has no effect: expected a price such as \"0.25\", or an adjustment such as \"+0.5\" or \"-10%\""
                )
            }
            NoticeKind::NodeClaimNotLaunched => f.write_str(
                "is not launched yet (no status.providerID), and Karpenter makes no decisions until it is",
            ),
            NoticeKind::NodePoolNotReady { conditions } => write!(
                f,
                "is ignored, because these status conditions are not True: {}",
                conditions.join(", ")
            ),
        }
    }
}

/// The candidate that `name` was meant to be, if one is near: equal but for case, or with few letters changed.
pub fn near_miss<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let letters = lower.chars().count();
    let allowed = match letters {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::near_miss;

    #[test]
    fn near_misses_are_near() {
        let known = ["requests", "limits", "claims"];
        assert_eq!(near_miss("request", known), Some("requests"));
        assert_eq!(near_miss("Limits", known), Some("limits"));
        assert_eq!(near_miss("reqeusts", known), Some("requests"));
        assert_eq!(near_miss("resources", known), None);
        assert_eq!(near_miss("x", ["y"]), None);
    }
}
