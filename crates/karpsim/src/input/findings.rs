//! What is worth saying about the inputs of a run: every kind of thing once, with its first place and a count.

use crate::problem::{Notice, NoticeKind};
use rustc_hash::FxHashMap;
use std::fmt;

/// A notice, where it was first, and how often it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The first.
    pub notice: Notice,
    /// How many there were.
    pub count: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notice.fmt(f)?;
        if self.count > 1 { write!(f, " (and {} more like it)", self.count - 1) } else { Ok(()) }
    }
}

/// Findings in the order in which they were first made.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    found: Vec<Finding>,
    by_likeness: FxHashMap<Likeness, usize>,
}

/// What makes two notices one: the same thing in another object, or at another index, is the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Likeness {
    Field { kind: String, path: String, name: String },
    ObjectKind { api_version: String, kind: String },
    NotReady,
    NotLaunched,
    RequestWithoutResource(String),
    GateOff,
    NotModelled(&'static str),
    Same(Notice),
}

impl Likeness {
    fn of(notice: &Notice) -> Self {
        match &notice.kind {
            NoticeKind::Unmodelled { name } | NoticeKind::UnknownField { name } => Likeness::Field {
                kind: notice.place.object.split(' ').next().unwrap_or_default().to_owned(),
                path: without_indices(&notice.place.path),
                name: name.clone(),
            },
            NoticeKind::UnknownKind { api_version, kind, .. } => {
                Likeness::ObjectKind { api_version: api_version.clone(), kind: kind.clone() }
            }
            NoticeKind::NodePoolNotReady { .. } => Likeness::NotReady,
            NoticeKind::RequestWithoutResource { resource, .. } => {
                Likeness::RequestWithoutResource(resource.clone())
            }
            NoticeKind::NodeClaimNotLaunched => Likeness::NotLaunched,
            NoticeKind::GateOff { .. } => Likeness::GateOff,
            NoticeKind::NotModelled { what, .. } => Likeness::NotModelled(what),
            _ => Likeness::Same(notice.clone()),
        }
    }
}

fn without_indices(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            other if !inside => text.push(other),
            _ => {}
        }
    }
    text
}

impl Findings {
    /// Adds one notice.
    pub fn add(&mut self, notice: Notice) {
        self.add_counted(Finding { notice, count: 1 });
    }

    /// Adds all of `later`, which was found behind these.
    pub fn append(&mut self, later: Findings) {
        for finding in later.found {
            self.add_counted(finding);
        }
    }

    /// What was found.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn add_counted(&mut self, finding: Finding) {
        match self.by_likeness.entry(Likeness::of(&finding.notice)) {
            std::collections::hash_map::Entry::Occupied(at) => {
                if let Some(first) = self.found.get_mut(*at.get()) {
                    first.count += finding.count;
                }
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(self.found.len());
                self.found.push(finding);
            }
        }
    }
}
