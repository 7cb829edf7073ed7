//! Overlays: what is laid over a catalogue or over a trace. What a file holds is told by its content.
//!
//! A CatalogueOverlay changes the catalogue, another trace adds objects and events, a spot price history changes prices
//! while time passes. [`Layers`](crate::layers::Layers) has the order in which they apply.

mod catalogue;
mod events;

pub use catalogue::{CatalogueOverlays, Overlaid, UnusedRule};
pub use events::{Events, HistoryRemark, TraceOverlays};

use crate::error::Error;
use crate::trace::{Trace, json_of_yaml};
use karpsim::catalogue::CatalogueOverlay;
use karpsim::problem::{Problem, near_miss};
use karpsim::provider::import::SpotPrice;
use karpsim::provider::import::aws::AwsImport;
use karpsim::yaml;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// What can be laid over something.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Overlay {
    /// Discounts, reservations, GPU sharing.
    Catalogue(CatalogueOverlay),
    /// Objects and events of another trace.
    Trace(Box<Trace>),
    /// What `aws ec2 describe-spot-price-history` prints.
    SpotPrices(Vec<SpotPrice>),
}

/// An overlay and the file it is from, as messages name it.
#[derive(Debug, Clone)]
pub struct OverlayFile {
    /// The file.
    pub file: Arc<str>,
    /// What it holds.
    pub overlay: Overlay,
}

/// Why a text is no overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverlayError {
    /// There is nothing but white space.
    Empty,
    /// It is not JSON.
    Json {
        /// What the reader says.
        message: String,
    },
    /// It is YAML, but not a mapping.
    NoFields,
    /// It is something else.
    OtherKind {
        /// Its `kind`; empty: it has none.
        kind: String,
        /// What it seems to be.
        seems: Seeming,
    },
    /// A spot price history without prices of Linux.
    NoSpotPrices,
    /// The YAML, the CatalogueOverlay or the price history is wrong.
    Problem(Problem),
    /// The trace is wrong.
    Trace(Error),
}

/// What a text seems to be that is no overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seeming {
    /// An overlay whose kind is misspelt.
    Misspelt {
        /// The kind that is meant.
        kind: &'static str,
    },
    /// A catalogue.
    Catalogue,
    /// An object of a trace or scenario.
    Object,
    /// A patch of a trace.
    Patch,
    /// Nothing that is known.
    Unknown,
}

/// As much of a text as tells what it is.
#[derive(Debug, Default, Deserialize)]
struct Head {
    #[serde(default)]
    kind: Option<Value>,
    #[serde(default, rename = "SpotPriceHistory")]
    spot_price_history: Option<IgnoredAny>,
    #[serde(default, rename = "instanceTypes")]
    instance_types: Option<IgnoredAny>,
    #[serde(default)]
    objects: Option<IgnoredAny>,
}

/// The kind of an overlay of catalogues.
pub const CATALOGUE_OVERLAY: &str = "CatalogueOverlay";
const TRACE: &str = "Trace";

impl Head {
    fn kind(&self) -> &str {
        self.kind.as_ref().and_then(Value::as_str).unwrap_or_default()
    }

    fn read(text: &str) -> Result<Self, OverlayError> {
        let json = |error: serde_json::Error| OverlayError::Json { message: error.to_string() };
        let first = text.trim_start();
        if first.is_empty() {
            return Err(OverlayError::Empty);
        }
        if first.starts_with(['{', '[']) {
            // Only the first value: a stream may go on for long.
            let head = serde_json::Deserializer::from_str(text).into_iter().next();
            return head.transpose().map(Option::unwrap_or_default).map_err(json);
        }
        let documents = yaml::documents(text).map_err(OverlayError::Problem)?;
        let first = documents.into_iter().next().map(|document| document.value).unwrap_or_default();
        if !first.is_object() {
            return Err(OverlayError::NoFields);
        }
        serde_json::from_value(first).map_err(json)
    }

    fn is_overlay(&self) -> bool {
        self.spot_price_history.is_some() || [CATALOGUE_OVERLAY, TRACE].contains(&self.kind())
    }

    fn other_kind(&self) -> OverlayError {
        let seems = if let Some(kind) = near_miss(self.kind(), [CATALOGUE_OVERLAY, TRACE]) {
            Seeming::Misspelt { kind }
        } else if self.instance_types.is_some() {
            Seeming::Catalogue
        } else if !self.kind().is_empty() {
            Seeming::Object
        } else if self.objects.is_some() {
            Seeming::Patch
        } else {
            Seeming::Unknown
        };
        OverlayError::OtherKind { kind: self.kind().to_owned(), seems }
    }
}

impl OverlayFile {
    /// Reads the overlay in `text`, which is the content of `file`.
    ///
    /// # Errors
    ///
    /// If it is none, or something in it is wrong.
    pub fn read(text: &str, file: &Arc<str>) -> Result<Self, OverlayError> {
        let head = Head::read(text)?;
        if head.is_overlay() { Self::of(text, &head, file) } else { Err(head.other_kind()) }
    }

    /// The same; `None` if the text is something else.
    ///
    /// # Errors
    ///
    /// If something in the overlay is wrong.
    pub fn read_if_overlay(text: &str, file: &Arc<str>) -> Result<Option<Self>, OverlayError> {
        match Head::read(text) {
            Ok(head) if head.is_overlay() => Self::of(text, &head, file).map(Some),
            _ => Ok(None),
        }
    }

    fn of(text: &str, head: &Head, file: &Arc<str>) -> Result<Self, OverlayError> {
        let overlay = if head.spot_price_history.is_some() {
            let mut import = AwsImport::default();
            import.add(text).map_err(OverlayError::Problem)?;
            if import.spot_prices().is_empty() {
                return Err(OverlayError::NoSpotPrices);
            }
            Overlay::SpotPrices(import.spot_prices().to_vec())
        } else if head.kind() == CATALOGUE_OVERLAY {
            Overlay::Catalogue(CatalogueOverlay::read(text).map_err(OverlayError::Problem)?)
        } else {
            let trace = if yaml::looks_like_json(text) {
                Trace::read(text.as_bytes())
            } else {
                Trace::read(json_of_yaml(text).map_err(OverlayError::Problem)?.as_bytes())
            };
            let mut trace = trace.map_err(OverlayError::Trace)?;
            for object in &mut trace.header.objects {
                object.file = Some(Arc::clone(file));
            }
            for event in &mut trace.events {
                event.file = Some(Arc::clone(file));
            }
            Overlay::Trace(Box::new(trace))
        };
        Ok(OverlayFile { file: Arc::clone(file), overlay })
    }
}

impl OverlayError {
    /// What could help.
    pub fn hint(&self) -> Option<String> {
        match self {
            OverlayError::Empty
            | OverlayError::Json { .. }
            | OverlayError::NoFields
            | OverlayError::NoSpotPrices => None,
            OverlayError::Problem(problem) => problem.hint(),
            OverlayError::Trace(error) => error.hint.clone(),
            OverlayError::OtherKind { kind, seems } => Some(match seems {
                Seeming::Misspelt { kind } => format!("did you mean `{kind}`?"),
                Seeming::Catalogue => "use --catalogue for a catalogue".to_owned(),
                Seeming::Object => format!("put a {kind} into the `objects` of a trace or scenario"),
                Seeming::Patch => "use `karpsim whatif TRACE --variant NAME=FILE` for a patch".to_owned(),
                Seeming::Unknown => {
                    "run `karpsim schema catalogue-overlay` or `karpsim schema trace` for the schema"
                        .to_owned()
                }
            }),
        }
    }
}

impl fmt::Display for OverlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OverlayError::Empty => f.write_str("the file is empty"),
            OverlayError::Json { message } => write!(f, "not an overlay: {message}"),
            OverlayError::NoFields => f.write_str("not an overlay: expected a YAML mapping"),
            OverlayError::OtherKind { kind, .. } => {
                let found = if kind.is_empty() {
                    "field `kind` is missing".to_owned()
                } else {
                    format!("`kind`: invalid value `{kind}`")
                };
                write!(
                    f,
                    "{found}: expected `{CATALOGUE_OVERLAY}`, `{TRACE}`, or the output of `aws ec2 \
                     describe-spot-price-history`"
                )
            }
            OverlayError::NoSpotPrices => f.write_str("the history has no spot price for Linux"),
            OverlayError::Problem(problem) => problem.fmt(f),
            OverlayError::Trace(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OverlayError {}

#[cfg(test)]
mod tests {
    use super::{Overlay, OverlayError, OverlayFile, Seeming};

    fn read(text: &str) -> Result<OverlayFile, OverlayError> {
        OverlayFile::read(text, &"f".into())
    }

    #[test]
    fn the_content_tells_what_an_overlay_is() {
        let catalogue = "apiVersion: karpsim.dev/v1alpha1\nkind: CatalogueOverlay\nname: x\n";
        assert!(matches!(read(catalogue).unwrap().overlay, Overlay::Catalogue(_)));
        let stream = r#"{"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace"}
            {"at": 1, "mark": "m"}"#;
        let Overlay::Trace(trace) = read(stream).unwrap().overlay else { panic!() };
        assert_eq!(trace.events[0].file.as_deref(), Some("f"));
        let yaml = "apiVersion: karpsim.dev/v1alpha1\nkind: Trace\nevents:\n- {at: 1, mark: m}\n";
        assert!(matches!(read(yaml).unwrap().overlay, Overlay::Trace(trace) if trace.events.len() == 1));
    }

    #[test]
    fn what_is_something_else_is_named() {
        let seems = |text| match read(text) {
            Err(OverlayError::OtherKind { seems, .. }) => seems,
            other => panic!("{other:?}"),
        };
        assert_eq!(seems("kind: CatalogOverlay"), Seeming::Misspelt { kind: "CatalogueOverlay" });
        assert_eq!(seems(r#"{"instanceTypes": []}"#), Seeming::Catalogue);
        assert_eq!(seems("kind: NodePool"), Seeming::Object);
        assert_eq!(seems("objects: []"), Seeming::Patch);
        assert_eq!(seems("options: {}"), Seeming::Unknown);
        assert_eq!(read(" \n").unwrap_err(), OverlayError::Empty);
        assert_eq!(read("- 1").unwrap_err(), OverlayError::NoFields);
        assert!(OverlayFile::read_if_overlay("objects: []", &"f".into()).unwrap().is_none());
    }
}
