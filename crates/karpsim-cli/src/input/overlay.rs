//! `--overlay FILE`: what is laid over a catalogue, or over a trace. Which it is, is told by the content.

use crate::failure::Failure;
use crate::flags::StrictFlag;
use crate::input::trace::{as_json, trace_failure};
use crate::input::unpack;
use karpsim::api::problem::{Place, Problem, ProblemKind, near_miss};
use karpsim::api::yaml;
use karpsim::catalogue::import::SpotPrice;
use karpsim::catalogue::import::aws::AwsImport;
use karpsim::catalogue::price_series::{self, PriceEvent};
use karpsim::catalogue::{Catalogue, CatalogueOverlay};
use karpsim_sim::Trace;
use karpsim_sim::trace::{EventKind, Header, NewPrice, Offerings, TraceEvent, merge_events};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// An overlay and where it is from.
pub(crate) struct OverlayFile {
    /// The file as messages name it.
    pub(crate) shown: Arc<str>,
    /// What it holds.
    pub(crate) overlay: Overlay,
}

/// What can be laid over something.
pub(crate) enum Overlay {
    /// Discounts, reservations, GPU sharing.
    Catalogue(CatalogueOverlay),
    /// Objects and events of another trace.
    Trace(Box<Trace>),
    /// What `aws ec2 describe-spot-price-history` prints.
    SpotPrices(Vec<SpotPrice>),
}

/// As much of a file as tells what it is.
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

const CATALOGUE: &str = "CatalogueOverlay";
const TRACE: &str = "Trace";

impl Head {
    fn kind(&self) -> &str {
        self.kind.as_ref().and_then(Value::as_str).unwrap_or_default()
    }

    fn read(text: &str, shown: &str) -> Result<Self, Failure> {
        let first = text.trim_start();
        if first.is_empty() {
            return Err(Failure::input(format!("{shown}: is empty")));
        }
        if first.starts_with(['{', '[']) {
            let head = serde_json::Deserializer::from_str(text).into_iter().next();
            return head
                .transpose()
                .map(Option::unwrap_or_default)
                .map_err(|error| Failure::input(format!("{shown}: is no overlay: {error}")));
        }
        let documents = yaml::documents(text).map_err(|problem| Failure::problem(shown, 1, &problem))?;
        let first = documents.into_iter().next().map(|document| document.value).unwrap_or_default();
        if !first.is_object() {
            return Err(Failure::input(format!("{shown}: holds no fields, so it is no overlay")));
        }
        serde_json::from_value(first)
            .map_err(|error| Failure::input(format!("{shown}: is no overlay: {error}")))
    }

    fn is_overlay(&self) -> bool {
        self.spot_price_history.is_some() || [CATALOGUE, TRACE].contains(&self.kind())
    }

    /// It is something else.
    fn failure(&self, shown: &str) -> Failure {
        let found = match self.kind() {
            "" => "no `kind`".to_owned(),
            kind => format!("`{kind}`"),
        };
        let failure = Failure::input(format!(
            "{shown}: `kind`: found {found}, allowed is `{CATALOGUE}`, `{TRACE}`, or what `aws ec2 \
             describe-spot-price-history` prints"
        ));
        if let Some(near) = near_miss(self.kind(), [CATALOGUE, TRACE]) {
            failure.hint(format!("did you mean `{near}`?"))
        } else if self.instance_types.is_some() {
            failure.hint("a catalogue is given with --catalogue")
        } else if !self.kind().is_empty() {
            failure.hint(format!("a {} is one of the `objects` of a trace or scenario", self.kind()))
        } else if self.objects.is_some() {
            failure.hint("patches are for `karpsim whatif TRACE --variant NAME=FILE`")
        } else {
            failure.hint("`karpsim schema catalogue-overlay` and `karpsim schema trace` print the forms")
        }
    }
}

impl OverlayFile {
    /// Reads the overlay in `path`.
    ///
    /// # Errors
    ///
    /// If it is none, or something in it is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = unpack::shown(path);
        let text = unpack::text(path)?;
        let head = Head::read(&text, &shown)?;
        if !head.is_overlay() {
            return Err(head.failure(&shown));
        }
        Self::of(text, &head, &shown)
    }

    /// The same; `None` if the file is something else.
    ///
    /// # Errors
    ///
    /// If something in the overlay is wrong.
    pub(crate) fn read_if_overlay(path: &Path) -> Result<Option<Self>, Failure> {
        let shown = unpack::shown(path);
        let text = unpack::text(path)?;
        match Head::read(&text, &shown) {
            Ok(head) if head.is_overlay() => Self::of(text, &head, &shown).map(Some),
            _ => Ok(None),
        }
    }

    fn of(text: String, head: &Head, shown: &str) -> Result<Self, Failure> {
        let shown: Arc<str> = shown.into();
        let overlay = if head.spot_price_history.is_some() {
            let mut import = AwsImport::default();
            import.add(&text).map_err(|problem| Failure::problem(&shown, 0, &problem))?;
            if import.spot_prices().is_empty() {
                return Err(Failure::input(format!("{shown}: holds no spot price for Linux")));
            }
            Overlay::SpotPrices(import.spot_prices().to_vec())
        } else if head.kind() == CATALOGUE {
            let overlay = CatalogueOverlay::read(&text);
            Overlay::Catalogue(overlay.map_err(|problem| Failure::problem(&shown, 0, &problem))?)
        } else {
            let json = as_json(Box::new(Cursor::new(text.into_bytes())), &shown)?;
            let mut trace = Trace::read(json).map_err(|error| trace_failure(&shown, &error))?;
            for object in &mut trace.header.objects {
                object.file = Some(Arc::clone(&shown));
            }
            for event in &mut trace.events {
                event.file = Some(Arc::clone(&shown));
            }
            Overlay::Trace(Box::new(trace))
        };
        Ok(OverlayFile { shown, overlay })
    }
}

/// Overlays of a catalogue, in the order in which they are applied.
#[derive(Default)]
pub(crate) struct CatalogueOverlays {
    list: Vec<(Arc<str>, CatalogueOverlay)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What they were last applied to, and what came of it: as a rule all scenarios of a file have one catalogue.
    last: Option<(Arc<Catalogue>, Arc<Catalogue>)>,
    /// Rules that selected nothing in any catalogue so far.
    unused: Option<BTreeSet<(usize, String)>>,
}

impl CatalogueOverlays {
    /// Reads `--overlay` of a command in which no time passes.
    ///
    /// # Errors
    ///
    /// If a file is wrong, or is for a trace.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut list = Vec::with_capacity(paths.len());
        for path in paths {
            let file = OverlayFile::read(path)?;
            let what = match file.overlay {
                Overlay::Catalogue(overlay) => {
                    list.push((file.shown, overlay));
                    continue;
                }
                Overlay::Trace(_) => "a trace",
                Overlay::SpotPrices(_) => "a spot price history",
            };
            let failure = Failure::input(format!("{}: found {what}, allowed is a `{CATALOGUE}`", file.shown));
            return Err(failure.hint("`karpsim replay TRACE --overlay FILE` takes it: there time passes"));
        }
        Ok(Self::new(list))
    }

    fn new(list: Vec<(Arc<str>, CatalogueOverlay)>) -> Self {
        CatalogueOverlays { list, state: Mutex::default() }
    }

    /// `catalogue` under all of them.
    ///
    /// # Errors
    ///
    /// If MIG profiles do not fit a GPU that they are for.
    pub(crate) fn apply(&self, catalogue: Arc<Catalogue>) -> Result<Arc<Catalogue>, Problem> {
        if self.list.is_empty() {
            return Ok(catalogue);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, result)) = &state.last
            && Arc::ptr_eq(of, &catalogue)
        {
            return Ok(Arc::clone(result));
        }
        let mut unused = BTreeSet::new();
        let mut result = Arc::clone(&catalogue);
        for (index, (shown, overlay)) in self.list.iter().enumerate() {
            let applied = overlay.apply(&result).map_err(|error| {
                Problem::new(
                    Place::default(),
                    ProblemKind::Catalogue { message: format!("{shown}: {error}"), hint: None },
                )
            })?;
            unused.extend(applied.unused.into_iter().map(|rule| (index, rule)));
            result = Arc::new(applied.catalogue);
        }
        state.unused = Some(match state.unused.take() {
            Some(before) => before.intersection(&unused).cloned().collect(),
            None => unused,
        });
        state.last = Some((catalogue, Arc::clone(&result)));
        Ok(result)
    }

    /// A remark on every rule that selected nothing in any catalogue.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = state.unused.iter().flatten();
        let remark = |(index, rule): &(usize, String)| {
            let (shown, _) = self.list.get(*index)?;
            Some(format!("{shown}: `{rule}` selects nothing in this catalogue"))
        };
        unused.filter_map(remark).collect()
    }

    /// Says them.
    ///
    /// # Errors
    ///
    /// With `strict`, if there is one.
    pub(crate) fn warn(&self, strict: StrictFlag) -> Result<(), Failure> {
        strict.warn(None, self.remarks())
    }

    /// What an offering costs under them whose provider asks `price` for it.
    fn price(&self, catalogue: &Catalogue, event: &PriceEvent, zone: &str) -> f64 {
        let of_name = catalogue.instance_types.iter().find(|it| it.name == event.instance_type);
        self.list.iter().fold(event.price, |price, (_, overlay)| {
            of_name.map_or(price, |instance_type| overlay.spot_price(instance_type, zone, price))
        })
    }
}

/// What is laid over a trace.
#[derive(Default)]
pub(crate) struct TraceOverlays {
    /// What its catalogue becomes.
    pub(crate) catalogue: Arc<CatalogueOverlays>,
    traces: Vec<(Arc<str>, Arc<Trace>)>,
    prices: Vec<(Arc<str>, Arc<[SpotPrice]>)>,
}

impl TraceOverlays {
    /// Reads `--overlay` of a command that plays a trace.
    ///
    /// # Errors
    ///
    /// If a file is wrong.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        paths.iter().map(|path| OverlayFile::read(path)).collect::<Result<Vec<_>, _>>().map(Self::of)
    }

    /// Of these files.
    pub(crate) fn of(files: Vec<OverlayFile>) -> Self {
        let mut overlays = TraceOverlays::default();
        let mut list = Vec::new();
        for OverlayFile { shown, overlay } in files {
            match overlay {
                Overlay::Catalogue(overlay) => list.push((shown, overlay)),
                Overlay::Trace(trace) => overlays.traces.push((shown, Arc::from(trace))),
                Overlay::SpotPrices(prices) => overlays.prices.push((shown, prices.into())),
            }
        }
        overlays.catalogue = Arc::new(CatalogueOverlays::new(list));
        overlays
    }

    /// `header` under the overlays that are traces.
    ///
    /// # Errors
    ///
    /// If what comes out is no header.
    pub(crate) fn header(&self, header: &Header) -> Result<Header, karpsim_sim::Error> {
        self.traces.iter().try_fold(header.clone(), |header, (_, trace)| header.under(&trace.header))
    }

    /// The overlay that the catalogue is named in, if it is one.
    pub(crate) fn catalogue_file(&self) -> Option<&str> {
        let named = self.traces.iter().rev().find(|(_, trace)| trace.header.has("catalogue"));
        named.map(|(shown, _)| &**shown)
    }

    /// The events of a trace and of the overlays that are traces. `has_end`: see [`merge_events`].
    pub(crate) fn events<'a>(&'a self, base: Events<'a>, has_end: bool) -> Events<'a> {
        self.traces.iter().fold(base, |base, (_, trace)| {
            Box::new(merge_events(base, trace.events.iter().cloned().map(Ok), has_end))
        })
    }

    /// The same with the spot prices that change. They are the provider's, so that `catalogue` overlays apply to them.
    pub(crate) fn with_prices<'a>(
        &'a self,
        base: Events<'a>,
        header: &Header,
        catalogue: &Catalogue,
        overlays: &CatalogueOverlays,
        has_end: bool,
    ) -> Events<'a> {
        self.prices.iter().fold(base, |base, (shown, prices)| {
            let series = price_series::series(prices, header.start);
            let events: Vec<TraceEvent> =
                series.iter().flat_map(|event| price_events(event, shown, catalogue, overlays)).collect();
            Box::new(merge_events(base, events.into_iter().map(Ok), has_end))
        })
    }

    /// Remarks on histories that a replay of `header`'s trace up to `end` (in seconds) does not touch.
    pub(crate) fn remarks(&self, header: &Header, end: f64) -> Vec<String> {
        let mut remarks = Vec::new();
        for (shown, prices) in &self.prices {
            let first = prices.iter().min_by_key(|price| price.at);
            let last = prices.iter().max_by_key(|price| price.at);
            let (Some(first), Some(last)) = (first, last) else { continue };
            let since_start = |price: &SpotPrice| price.at.duration_since(header.start).as_secs_f64();
            let found = if since_start(last) < 0.0 {
                format!(
                    "its last price is of {}, before the trace's start, so its prices do not change",
                    last.at
                )
            } else if since_start(first) > end {
                format!("its first price is of {}, after the trace's end, so it changes nothing", first.at)
            } else {
                continue;
            };
            remarks.push(format!(
                "{shown}: {found} (`karpsim catalogue import spot-prices --start TIME` lays a history elsewhere)"
            ));
        }
        remarks
    }
}

/// Events of a trace, by time.
pub(crate) type Events<'a> = Box<dyn Iterator<Item = Result<TraceEvent, karpsim_sim::Error>> + 'a>;

/// A change of price in zones, as events: one, unless overlays of the catalogue make the zones differ.
fn price_events(
    event: &PriceEvent,
    shown: &Arc<str>,
    catalogue: &Catalogue,
    overlays: &CatalogueOverlays,
) -> Vec<TraceEvent> {
    let mut events: Vec<(f64, Offerings)> = Vec::new();
    for zone in &event.zones {
        let price = overlays.price(catalogue, event, zone);
        match events.iter_mut().find(|(known, _)| known.total_cmp(&price).is_eq()) {
            Some((_, offerings)) => offerings.zones.get_or_insert_default().push(zone.clone()),
            None => events.push((
                price,
                Offerings {
                    instance_types: Some(vec![event.instance_type.clone()]),
                    zones: Some(vec![zone.clone()]),
                    capacity_types: Some(vec!["spot".into()]),
                    requirements: Vec::new(),
                },
            )),
        }
    }
    events
        .into_iter()
        .map(|(price, offerings)| TraceEvent {
            at: event.at_nanos,
            kind: EventKind::Price { offerings, price: NewPrice::Dollars(price) },
            line: 0,
            index: 0,
            file: Some(Arc::clone(shown)),
        })
        .collect()
}
