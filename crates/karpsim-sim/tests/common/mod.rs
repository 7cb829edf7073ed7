//! Reading traces and catalogues for the tests.

use karpsim::catalogue::Catalogue;
use karpsim::input;
use karpsim_sim::{ReplayOptions, ReplayResult, Trace, replay};
use karpsim_testkit::Catalogues;
use std::sync::Arc;

/// A trace of the project.
pub(crate) fn trace(path: &str) -> Trace {
    Trace::read(karpsim_testkit::text(path).as_bytes()).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The catalogue that a trace names.
pub(crate) fn catalogue(trace: &Trace) -> Arc<Catalogue> {
    input::resolve(&trace.header.catalogue, &Catalogues).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Plays a trace of the project.
pub(crate) fn play(path: &str, options: &ReplayOptions) -> ReplayResult {
    let trace = trace(path);
    let catalogue = catalogue(&trace);
    replay(&trace, options, catalogue).unwrap_or_else(|error| panic!("{path}: {error}"))
}
