//! Variants of a trace: patches of its objects, options and catalogue, or overlays.

mod patch;

pub use patch::{Patch, PatchError};

use crate::error::Error;
use crate::overlay::{OverlayError, OverlayFile, TraceOverlays};
use crate::trace::{Header, HeaderObject, Trace, TraceEvent};
use karpsim::input::convert;
use karpsim::problem::Notice;
use std::fmt;
use std::sync::Arc;

/// What is different in a variant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Variant {
    /// Changes to objects, options and catalogue.
    Patch {
        /// Its file, as messages name it.
        file: Arc<str>,
        /// The changes.
        patch: Patch,
    },
    /// What is laid over the trace or its catalogue.
    Overlay {
        /// Its file, as messages name it.
        file: Arc<str>,
        /// The overlay.
        overlays: Box<TraceOverlays>,
    },
}

/// Why a text is no variant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VariantError {
    /// It is an overlay, and wrong.
    Overlay(OverlayError),
    /// It is no overlay, and as a patch it is wrong.
    Patch(PatchError),
}

impl VariantError {
    /// What could help.
    pub fn hint(&self) -> Option<String> {
        match self {
            VariantError::Overlay(error) => error.hint(),
            VariantError::Patch(error) => error.hint(),
        }
    }
}

impl fmt::Display for VariantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariantError::Overlay(error) => error.fmt(f),
            VariantError::Patch(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for VariantError {}

impl Variant {
    /// Reads the variant in `text`, which is the content of `file`: an overlay if it is one, else a patch.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn read(text: &str, file: &Arc<str>) -> Result<Self, VariantError> {
        let overlay = OverlayFile::read_if_overlay(text, file).map_err(VariantError::Overlay)?;
        Ok(match overlay {
            None => Variant::Patch {
                file: Arc::clone(file),
                patch: Patch::read(text).map_err(VariantError::Patch)?,
            },
            Some(overlay) => Variant::Overlay {
                file: Arc::clone(file),
                overlays: Box::new(TraceOverlays::new(vec![overlay])),
            },
        })
    }
}

/// A trace of which variants are made.
#[derive(Debug, Clone)]
pub struct Original {
    /// What older objects lose in being converted.
    pub notices: Vec<Notice>,
    /// The header, its objects in the form of `karpenter.sh/v1`.
    header: Header,
    events: Vec<TraceEvent>,
}

impl Original {
    pub(crate) fn new(
        mut header: Header,
        events: impl Iterator<Item = Result<TraceEvent, Error>>,
    ) -> Result<Self, Error> {
        let events = events.collect::<Result<_, _>>()?;
        let mut objects = Vec::with_capacity(header.objects.len());
        let mut notices = Vec::new();
        for HeaderObject { value, index, file } in std::mem::take(&mut header.objects) {
            let converted = convert::convert(value).map_err(|problem| {
                Error::from(problem).below(&format!("objects[{index}]")).of_file(file.clone())
            })?;
            let place = |value| HeaderObject { value, index, file: file.clone() };
            objects.extend(converted.objects.into_iter().map(place));
            notices.extend(converted.notices);
        }
        header.objects = objects;
        Ok(Original { notices, header, events })
    }

    /// The trace as it is.
    pub fn trace(&self) -> Trace {
        Trace { header: self.header.clone(), events: self.events.clone() }
    }

    /// The trace with `patch`.
    ///
    /// # Errors
    ///
    /// If a part of the patch matches nothing, or what comes out is no trace.
    pub fn with(&self, patch: &Patch) -> Result<Trace, PatchError> {
        patch.apply(self.trace())
    }
}
