//! How the program ends: done, or a sentence that says what is wrong and how to mend it.

use karpsim::problem::{Problem, ProblemKind};
use std::fmt;
use std::io;

/// Why the program ends early.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Whoever read the output has enough: no error.
    OutputClosed,
    /// The answer is no where one was asked for; it has been said.
    No,
    /// The input is wrong.
    Input(Sentence),
    /// Memory, disk or a limit is used up.
    Resources(Sentence),
}

/// What is said on the terminal.
#[derive(Debug, Clone)]
pub(crate) struct Sentence {
    /// What is wrong.
    pub(crate) text: String,
    /// How it could be mended.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Bad input.
    pub(crate) fn input(text: impl Into<String>) -> Self {
        Failure::Input(Sentence { text: text.into(), hint: None })
    }

    /// Out of something.
    pub(crate) fn resources(text: impl Into<String>) -> Self {
        Failure::Resources(Sentence { text: text.into(), hint: None })
    }

    /// The same with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Failure::Input(sentence) | Failure::Resources(sentence) = &mut self {
            sentence.hint = Some(hint.into());
        }
        self
    }

    /// The same with a hint, if there is one.
    pub(crate) fn maybe_hint(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// A problem in `file`. `line` is where the text begins that was read; 0: not known.
    pub(crate) fn problem(file: &str, line: usize, problem: &Problem) -> Self {
        let place = match problem.kind {
            ProblemKind::Syntax { line: inner, column, .. } if inner > 0 => {
                format!("{file}:{}:{column}", line.max(1) + inner - 1)
            }
            _ if line > 1 => format!("{file}:{line}"),
            _ => file.to_owned(),
        };
        let mut failure = Failure::input(format!("{place}: {problem}"));
        if let Some(hint) = problem.hint() {
            failure = failure.hint(hint);
        }
        failure
    }

    /// What went wrong while writing.
    pub(crate) fn writing(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::OutputClosed
        } else {
            Failure::resources(format!("cannot write {what}: {error}"))
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::OutputClosed => 0,
            Failure::No => 1,
            Failure::Input(_) => 2,
            Failure::Resources(_) => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Input(sentence) | Failure::Resources(sentence)) = self else { return Ok(()) };
        write!(f, "error: {}", sentence.text)?;
        sentence.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}
