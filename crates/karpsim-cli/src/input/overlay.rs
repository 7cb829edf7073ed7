//! `--overlay FILE` and variants, from files.

use crate::failure::Failure;
use crate::flags::StrictFlag;
use crate::input::{trace, unpack};
use karpsim::catalogue::Catalogue;
use karpsim::problem::Problem;
use karpsim_sim::overlay::{
    CATALOGUE_OVERLAY, CatalogueOverlays, Overlay, OverlayError, OverlayFile, TraceOverlays, UnusedRule,
};
use karpsim_sim::variant::{PatchError, Variant, VariantError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the overlay in `path`.
fn read(path: &Path) -> Result<OverlayFile, Failure> {
    let file: Arc<str> = unpack::shown(path).into();
    OverlayFile::read(&unpack::text(path)?, &file).map_err(|error| overlay_failure(&file, &error))
}

fn overlay_failure(file: &str, error: &OverlayError) -> Failure {
    match error {
        OverlayError::Problem(problem) => Failure::problem(file, 0, problem),
        OverlayError::Trace(error) => trace::trace_failure(file, error),
        _ => Failure::input(format!("{file}: {error}")).maybe_hint(error.hint()),
    }
}

/// Reads the variant in `path`.
///
/// # Errors
///
/// If it is none.
pub(crate) fn variant(path: &Path) -> Result<Variant, Failure> {
    let file: Arc<str> = unpack::shown(path).into();
    Variant::read(&unpack::text(path)?, &file).map_err(|error| match error {
        VariantError::Overlay(error) => overlay_failure(&file, &error),
        VariantError::Patch(error) => patch_failure(&file, &error),
        _ => Failure::input(format!("{file}: {error}")),
    })
}

/// What is wrong with a patch, in a sentence.
pub(crate) fn patch_failure(file: &str, error: &PatchError) -> Failure {
    match error {
        PatchError::Syntax(problem) => Failure::problem(file, 1, problem),
        _ => Failure::input(format!("{file}: {error}")).maybe_hint(error.hint()),
    }
}

/// Reads `--overlay` of a command that plays a trace.
///
/// # Errors
///
/// If a file is wrong.
pub(crate) fn of_trace(paths: &[PathBuf]) -> Result<TraceOverlays, Failure> {
    paths.iter().map(|path| read(path)).collect::<Result<_, _>>().map(TraceOverlays::new)
}

/// Reads `--overlay` of a command in which no time passes.
///
/// # Errors
///
/// If a file is wrong, or is for a trace.
pub(crate) fn of_catalogue(paths: &[PathBuf]) -> Result<CatalogueOverlays, Failure> {
    let mut list = Vec::with_capacity(paths.len());
    for path in paths {
        let OverlayFile { file, overlay } = read(path)?;
        let found = match overlay {
            Overlay::Catalogue(overlay) => {
                list.push((file, overlay));
                continue;
            }
            Overlay::Trace(_) => "a trace",
            Overlay::SpotPrices(_) => "a spot price history",
            _ => "another overlay",
        };
        let failure = Failure::input(format!("{file}: expected a `{CATALOGUE_OVERLAY}`, found {found}"));
        return Err(failure.hint("use it with `karpsim replay TRACE --overlay FILE`"));
    }
    Ok(CatalogueOverlays::new(list))
}

/// Applies overlays to the catalogues that a run meets. As a rule all scenarios of a file have one catalogue: the last is
/// kept.
#[derive(Default)]
pub(crate) struct OverlaidCatalogues {
    overlays: CatalogueOverlays,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A catalogue, and what became of it.
    last: Option<(Arc<Catalogue>, Arc<Catalogue>)>,
    /// Rules that selected nothing in any catalogue so far.
    unused: Option<BTreeSet<UnusedRule>>,
}

impl OverlaidCatalogues {
    /// With these overlays.
    pub(crate) fn new(overlays: CatalogueOverlays) -> Self {
        OverlaidCatalogues { overlays, state: Mutex::default() }
    }

    /// `catalogue` under all of them.
    ///
    /// # Errors
    ///
    /// If MIG profiles do not fit a GPU that they are for.
    pub(crate) fn apply(&self, catalogue: Arc<Catalogue>) -> Result<Arc<Catalogue>, Problem> {
        if self.overlays.is_empty() {
            return Ok(catalogue);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, result)) = &state.last
            && Arc::ptr_eq(of, &catalogue)
        {
            return Ok(Arc::clone(result));
        }
        let overlaid = self.overlays.apply(&catalogue)?;
        state.unused = Some(match state.unused.take() {
            Some(before) => before.intersection(&overlaid.unused).cloned().collect(),
            None => overlaid.unused,
        });
        state.last = Some((catalogue, Arc::clone(&overlaid.catalogue)));
        Ok(overlaid.catalogue)
    }

    /// A remark on every rule that selected nothing in any catalogue.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.unused.iter().flatten().map(ToString::to_string).collect()
    }

    /// Says them.
    ///
    /// # Errors
    ///
    /// With `strict`, if there is one.
    pub(crate) fn warn(&self, strict: StrictFlag) -> Result<(), Failure> {
        strict.warn(None, self.remarks())
    }
}
