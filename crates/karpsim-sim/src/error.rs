//! What can be wrong with a trace.

use std::fmt;
use std::sync::Arc;

/// Something wrong in a trace: where, what, and what could help.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Error {
    /// The overlay that it is in, as messages name it; `None`: the trace itself.
    pub file: Option<Arc<str>>,
    /// Line in the file, from 1; 0: not known.
    pub line: usize,
    /// Path inside the line or document, as `events[3].pods.count`; empty: all of it.
    pub path: String,
    /// What was found and what is allowed.
    pub message: String,
    /// What could help.
    pub hint: Option<String>,
}

impl Error {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Error { path: path.into(), message: message.into(), ..Error::default() }
    }

    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The same at a line of the file.
    pub(crate) fn at_line(mut self, line: usize) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    /// The same in the overlay `file`.
    #[must_use]
    pub fn of_file(mut self, file: Option<Arc<str>>) -> Self {
        self.file = self.file.or(file);
        self
    }

    /// The same below `path`.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        self.path = match (path.is_empty(), self.path.is_empty()) {
            (_, true) => path.to_owned(),
            (true, false) => self.path,
            (false, false) if self.path.starts_with('[') => format!("{path}{}", self.path),
            (false, false) => format!("{path}.{}", self.path),
        };
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<karpsim::problem::Problem> for Error {
    fn from(problem: karpsim::problem::Problem) -> Self {
        let hint = problem.hint();
        Error::new("", problem.to_string()).hint(hint)
    }
}
