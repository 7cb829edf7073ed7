//! Overlays of a catalogue.

use karpsim::catalogue::{Catalogue, CatalogueOverlay};
use karpsim::problem::{Place, Problem, ProblemKind};
use karpsim::provider::import::price_series::PriceEvent;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Overlays of a catalogue and their files, in the order in which they apply.
#[derive(Debug, Clone, Default)]
pub struct CatalogueOverlays(Vec<(Arc<str>, CatalogueOverlay)>);

/// What became of a catalogue.
#[derive(Debug, Clone)]
pub struct Overlaid {
    /// The catalogue under all overlays.
    pub catalogue: Arc<Catalogue>,
    /// Rules that selected nothing: most likely slips.
    pub unused: BTreeSet<UnusedRule>,
}

/// A rule of an overlay that selected nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnusedRule {
    /// The overlay's place in the order: a file may be given twice.
    overlay: usize,
    /// Its path, as `prices[2]`.
    rule: String,
    /// The overlay's file.
    file: Arc<str>,
}

impl fmt::Display for UnusedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` matches nothing in the catalogue", self.file, self.rule)
    }
}

impl CatalogueOverlays {
    /// Overlays in the order in which they apply.
    pub fn new(overlays: Vec<(Arc<str>, CatalogueOverlay)>) -> Self {
        CatalogueOverlays(overlays)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `catalogue` under all of them.
    ///
    /// # Errors
    ///
    /// If MIG profiles do not fit a GPU that they are for.
    pub fn apply(&self, catalogue: &Arc<Catalogue>) -> Result<Overlaid, Problem> {
        let mut overlaid = Overlaid { catalogue: Arc::clone(catalogue), unused: BTreeSet::new() };
        for (index, (file, overlay)) in self.0.iter().enumerate() {
            let applied = overlay.apply(&overlaid.catalogue).map_err(|error| {
                let message = format!("{file}: {error}");
                Problem::new(Place::default(), ProblemKind::Catalogue { message, hint: None })
            })?;
            let unused = |rule| UnusedRule { overlay: index, rule, file: Arc::clone(file) };
            overlaid.unused.extend(applied.unused.into_iter().map(unused));
            overlaid.catalogue = Arc::new(applied.catalogue);
        }
        Ok(overlaid)
    }

    /// What an offering costs under them when the provider asks the price of `event` for it.
    pub(super) fn spot_price(&self, catalogue: &Catalogue, event: &PriceEvent, zone: &str) -> f64 {
        let of_name = catalogue.instance_types.iter().find(|it| it.name == event.instance_type);
        let Some(instance_type) = of_name else { return event.price };
        self.0.iter().fold(event.price, |price, (_, overlay)| overlay.spot_price(instance_type, zone, price))
    }
}
