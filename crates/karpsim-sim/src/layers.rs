//! What is laid over a trace, in which order.
//!
//! | | the trace's | then | then |
//! |---|---|---|---|
//! | header | header | overlays that are traces | the variant: a patch, or an overlay; Karpenter's settings |
//! | catalogue | what the header names | catalogue overlays | the variant, if it is a catalogue overlay |
//! | events | events | overlays that are traces, the variant's patch, price histories | the variant, if it is a trace or a price history |
//!
//! Prices of histories are the provider's: catalogue overlays change them as they change the catalogue's. A variant's
//! discount is no part of that, for it is laid over a trace whose prices are what they are.

use crate::error::Error;
use crate::overlay::{Events, TraceOverlays};
use crate::replay::{ReplayOptions, replay_events};
use crate::result::ReplayResult;
use crate::trace::{Header, Trace, TraceReader};
use crate::variant::{Original, PatchError, Variant};
use crate::world::Observer;
use karpsim::catalogue::{Catalogue, CatalogueReference};
use karpsim::problem::Problem;
use karpsim::scenario::Options;
use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

/// What is laid over a trace, whichever it is.
pub struct Layers<'a> {
    /// Overlays.
    pub overlays: &'a TraceOverlays,
    /// How it is played.
    pub options: &'a ReplayOptions,
    /// Changes Karpenter's settings.
    pub settings: &'a (dyn Fn(&mut Options) + Sync),
    /// Finds the catalogue that a header names, and applies the catalogue overlays of `overlays` to it.
    pub catalogue: &'a (dyn Fn(&CatalogueReference) -> Result<Arc<Catalogue>, Problem> + Sync),
}

/// Why a trace with everything that is laid over it cannot be played.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LayersError {
    /// Something is wrong in the trace, or in the overlay that the error names.
    Trace(Error),
    /// There is no such catalogue, or it is wrong.
    Catalogue {
        /// The overlay or variant that names it; `None`: the trace itself.
        file: Option<Arc<str>>,
        /// What is wrong.
        problem: Problem,
    },
    /// A catalogue overlay of the variant does not fit the catalogue; the problem names the file.
    Overlay(Problem),
    /// The patch does not fit the trace.
    Patch {
        /// The patch.
        file: Arc<str>,
        /// What is wrong.
        error: PatchError,
    },
}

impl From<Error> for LayersError {
    fn from(error: Error) -> Self {
        LayersError::Trace(error)
    }
}

impl fmt::Display for LayersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = match self {
            LayersError::Trace(error) => error.file.as_ref(),
            LayersError::Overlay(_) => None,
            LayersError::Catalogue { file, .. } => file.as_ref(),
            LayersError::Patch { file, .. } => Some(file),
        };
        if let Some(file) = file {
            write!(f, "{file}: ")?;
        }
        match self {
            LayersError::Trace(error) => error.fmt(f),
            LayersError::Catalogue { problem, .. } | LayersError::Overlay(problem) => problem.fmt(f),
            LayersError::Patch { error, .. } => error.fmt(f),
        }
    }
}

impl std::error::Error for LayersError {}

impl Layers<'_> {
    /// Whether the replay of a trace with this header has an end of its own.
    fn has_end(&self, header: &Header) -> bool {
        self.options.end.is_some() || header.end.is_some()
    }

    fn catalogue(&self, header: &Header, named_in: Option<&Arc<str>>) -> Result<Arc<Catalogue>, LayersError> {
        (self.catalogue)(&header.catalogue)
            .map_err(|problem| LayersError::Catalogue { file: named_in.cloned(), problem })
    }

    /// Plays a trace whose events are read as they are needed, and shows what happens to `observer`.
    ///
    /// # Errors
    ///
    /// If something in the trace or in an overlay is wrong.
    pub fn replay<R: BufRead>(
        &self,
        trace: TraceReader<R>,
        observer: Observer<'_>,
    ) -> Result<ReplayResult, LayersError> {
        let overlays = self.overlays;
        let mut header = overlays.header(&trace.header)?;
        (self.settings)(&mut header.options.karpenter);
        let has_end = self.has_end(&header);
        let catalogue = self.catalogue(&header, overlays.catalogue_file())?;
        let events = overlays.events(Box::new(trace), has_end);
        let events = overlays.with_prices(events, &header, &catalogue, &overlays.catalogue, has_end);
        let mut result = replay_events(&header, events, self.options, catalogue, observer)?;
        say_remarks(overlays, &header, &mut result);
        Ok(result)
    }

    /// The trace with the overlays that are traces, of which variants are played.
    ///
    /// # Errors
    ///
    /// If something in the trace or in an overlay is wrong, or an object of an older version cannot be converted.
    pub fn original<R: BufRead>(&self, trace: TraceReader<R>) -> Result<Original, LayersError> {
        let header = self.overlays.header(&trace.header)?;
        let has_end = self.has_end(&header);
        let events = self.overlays.events(Box::new(trace), has_end);
        Ok(Original::new(header, events)?)
    }

    /// Plays a trace with `variant`; without: as it is.
    ///
    /// # Errors
    ///
    /// If a part of the variant matches nothing, or what comes out cannot be played.
    pub fn replay_variant(
        &self,
        original: &Original,
        variant: Option<&Variant>,
    ) -> Result<ReplayResult, LayersError> {
        let none = TraceOverlays::default();
        let (file, patch, own) = match variant {
            None => (None, None, &none),
            Some(Variant::Patch { file, patch }) => (Some(file), Some(patch), &none),
            Some(Variant::Overlay { file, overlays }) => (Some(file), None, &**overlays),
        };
        // What is wrong with the trace now is the variant's fault.
        let at_fault = |error: Error| error.of_file(file.cloned());
        let Trace { mut header, events } = match (file, patch) {
            (Some(file), Some(patch)) => original.with(patch).map_err(|error| match error {
                PatchError::Original(error) => LayersError::Trace(error),
                PatchError::Trace(error) => LayersError::Trace(at_fault(error)),
                error => LayersError::Patch { file: Arc::clone(file), error },
            })?,
            _ => original.trace(),
        };
        header = own.header(&header).map_err(at_fault)?;
        (self.settings)(&mut header.options.karpenter);
        let has_end = self.has_end(&header);
        let named_in = file.or_else(|| self.overlays.catalogue_file());
        let catalogue = self.catalogue(&header, named_in)?;
        let overlaid = own.catalogue.apply(&catalogue).map_err(LayersError::Overlay)?;
        let catalogue = overlaid.catalogue;
        let discounts = &self.overlays.catalogue;
        let events: Events<'_> = Box::new(events.into_iter().map(Ok));
        let events = self.overlays.with_prices(events, &header, &catalogue, discounts, has_end);
        let events = own.events(events, has_end);
        let events = own.with_prices(events, &header, &catalogue, discounts, has_end);
        let mut result = replay_events(&header, events, self.options, catalogue, None).map_err(at_fault)?;
        say_remarks(self.overlays, &header, &mut result);
        result.warnings.extend(overlaid.unused.iter().map(ToString::to_string));
        say_remarks(own, &header, &mut result);
        Ok(result)
    }
}

fn say_remarks(overlays: &TraceOverlays, header: &Header, result: &mut ReplayResult) {
    let remarks = overlays.remarks(header, result.end);
    result.warnings.extend(remarks.iter().map(ToString::to_string));
}
