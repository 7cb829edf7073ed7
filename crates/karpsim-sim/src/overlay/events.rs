//! Overlays of a trace: objects, events, and prices that change.

use super::{CatalogueOverlays, Overlay, OverlayFile};
use crate::error::Error;
use crate::trace::{EventKind, Header, NewPrice, Offerings, Trace, TraceEvent, merge_events};
use jiff::Timestamp;
use karpsim::catalogue::Catalogue;
use karpsim::provider::import::SpotPrice;
use karpsim::provider::import::price_series::{self, PriceEvent};
use std::fmt;
use std::sync::Arc;

/// Events of a trace, by time.
pub type Events<'a> = Box<dyn Iterator<Item = Result<TraceEvent, Error>> + 'a>;

/// What is laid over a trace; within each list in the order in which it was given.
#[derive(Debug, Clone, Default)]
pub struct TraceOverlays {
    /// What changes its catalogue.
    pub catalogue: CatalogueOverlays,
    traces: Vec<(Arc<str>, Arc<Trace>)>,
    prices: Vec<(Arc<str>, Arc<[SpotPrice]>)>,
}

impl TraceOverlays {
    /// Sorts overlays by what they are laid over.
    pub fn new(files: Vec<OverlayFile>) -> Self {
        let mut overlays = TraceOverlays::default();
        let mut list = Vec::new();
        for OverlayFile { file, overlay } in files {
            match overlay {
                Overlay::Catalogue(overlay) => list.push((file, overlay)),
                Overlay::Trace(trace) => overlays.traces.push((file, Arc::from(trace))),
                Overlay::SpotPrices(prices) => overlays.prices.push((file, prices.into())),
            }
        }
        overlays.catalogue = CatalogueOverlays::new(list);
        overlays
    }

    /// `header` under the overlays that are traces.
    pub(crate) fn header(&self, header: &Header) -> Result<Header, Error> {
        self.traces.iter().try_fold(header.clone(), |header, (_, trace)| header.under(&trace.header))
    }

    /// The overlay that names the catalogue, if one does.
    pub(crate) fn catalogue_file(&self) -> Option<&Arc<str>> {
        let named = self.traces.iter().rev().find(|(_, trace)| trace.header.has("catalogue"));
        named.map(|(file, _)| file)
    }

    /// The events of a trace and of the overlays that are traces. `has_end`: see [`merge_events`].
    pub(crate) fn events<'a>(&'a self, base: Events<'a>, has_end: bool) -> Events<'a> {
        self.traces.iter().fold(base, |base, (_, trace)| {
            Box::new(merge_events(base, trace.events.iter().cloned().map(Ok), has_end))
        })
    }

    /// The same with the spot prices that change. They are the provider's, so that `discounts` apply to them.
    pub(crate) fn with_prices<'a>(
        &'a self,
        base: Events<'a>,
        header: &Header,
        catalogue: &Catalogue,
        discounts: &CatalogueOverlays,
        has_end: bool,
    ) -> Events<'a> {
        self.prices.iter().fold(base, |base, (file, prices)| {
            let series = price_series::series(prices, header.start);
            let events: Vec<TraceEvent> =
                series.iter().flat_map(|event| price_events(event, file, catalogue, discounts)).collect();
            Box::new(merge_events(base, events.into_iter().map(Ok), has_end))
        })
    }

    /// Remarks on histories that a replay of `header`'s trace up to `end` (in seconds) does not touch.
    pub(crate) fn remarks(&self, header: &Header, end: f64) -> Vec<HistoryRemark> {
        let remark = |(file, prices): &(Arc<str>, Arc<[SpotPrice]>)| {
            let first = prices.iter().map(|price| price.at).min()?;
            let last = prices.iter().map(|price| price.at).max()?;
            let since_start = |at: Timestamp| at.duration_since(header.start).as_secs_f64();
            let file = Arc::clone(file);
            if since_start(last) < 0.0 {
                Some(HistoryRemark::BeforeStart { file, last })
            } else if since_start(first) > end {
                Some(HistoryRemark::AfterEnd { file, first })
            } else {
                None
            }
        };
        self.prices.iter().filter_map(remark).collect()
    }
}

/// A spot price history that is not of the trace's time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryRemark {
    /// It is over when the trace starts: the last prices hold all the time.
    BeforeStart {
        /// Its file.
        file: Arc<str>,
        /// The time of its last price.
        last: Timestamp,
    },
    /// It starts when the trace is over.
    AfterEnd {
        /// Its file.
        file: Arc<str>,
        /// The time of its first price.
        first: Timestamp,
    },
}

impl fmt::Display for HistoryRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryRemark::BeforeStart { file, last } => write!(
                f,
                "{file}: the last price is from {last}, before the trace starts, so prices do not change"
            )?,
            HistoryRemark::AfterEnd { file, first } => write!(
                f,
                "{file}: the first price is from {first}, after the trace ends, so the history has no effect"
            )?,
        }
        f.write_str(" (`karpsim catalogue import spot-prices --start TIME` shifts a history)")
    }
}

/// A change of price in zones, as events: one, unless discounts make the zones differ.
fn price_events(
    event: &PriceEvent,
    file: &Arc<str>,
    catalogue: &Catalogue,
    discounts: &CatalogueOverlays,
) -> Vec<TraceEvent> {
    let mut events: Vec<(f64, Offerings)> = Vec::new();
    for zone in &event.zones {
        let price = discounts.spot_price(catalogue, event, zone);
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
            file: Some(Arc::clone(file)),
        })
        .collect()
}
