//! Problems of one autoscaler, with their places.

use karpsim::model::autoscaling::HorizontalPodAutoscaler;
use karpsim::problem::{Place, Problem, ProblemKind};
use std::fmt::Display;

/// Makes problems of one autoscaler.
pub(crate) struct Places {
    title: String,
}

impl Places {
    pub(crate) fn of(object: &HorizontalPodAutoscaler) -> Self {
        Places::new(&object.metadata.namespace, &object.metadata.name)
    }

    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        let separator = if namespace.is_empty() { "" } else { "/" };
        Places { title: format!("HorizontalPodAutoscaler `{namespace}{separator}{name}`") }
    }

    pub(crate) fn problem(&self, path: &str, kind: ProblemKind) -> Problem {
        Problem::new(Place::in_object(self.title.clone(), path), kind)
    }

    /// A value that cannot stand at `path`.
    pub(crate) fn value(&self, path: &str, found: impl Display, allowed: impl Into<String>) -> Problem {
        self.problem(
            path,
            ProblemKind::Value { found: format!("`{found}`"), allowed: allowed.into(), near: None },
        )
    }

    /// A field that must stand at `path`.
    pub(crate) fn missing(&self, path: &str, field: &str) -> Problem {
        self.problem(path, ProblemKind::Missing { name: field.to_owned() })
    }
}
