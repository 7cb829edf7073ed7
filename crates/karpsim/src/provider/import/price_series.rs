//! Prices that change: a spot price history as the `price` events of a trace.

use super::SpotPrice;
use crate::kubernetes::labels;
use crate::model::meta::Str;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// From `at` on, the chosen offerings cost `price`.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceEvent {
    /// Nanoseconds since the start of the trace.
    pub at_nanos: i64,
    /// Instance type.
    pub instance_type: Str,
    /// Zones, sorted.
    pub zones: Vec<Str>,
    /// Dollars an hour.
    pub price: f64,
}

/// The series from `start` on: what held at the start is at 0; a price that does not change is not said again; zones
/// whose price becomes the same at the same time share an event. Sorted by time, then type, then zone.
pub fn series(history: &[SpotPrice], start: Timestamp) -> Vec<PriceEvent> {
    let mut by_place: BTreeMap<(&Str, &Str), Vec<&SpotPrice>> = BTreeMap::new();
    for price in history {
        by_place.entry((&price.instance_type, &price.zone)).or_default().push(price);
    }
    let mut events: Vec<PriceEvent> = Vec::new();
    for ((instance_type, zone), mut prices) in by_place {
        prices.sort_by(|a, b| a.at.cmp(&b.at).then(a.price.total_cmp(&b.price)));
        // What held at the start: the last price not after it.
        let first = prices.iter().rposition(|price| price.at <= start).unwrap_or(0);
        let mut last: Option<f64> = None;
        for price in prices.into_iter().skip(first) {
            if last == Some(price.price) {
                continue;
            }
            last = Some(price.price);
            let nanos = price.at.as_nanosecond() - start.as_nanosecond();
            events.push(PriceEvent {
                at_nanos: i64::try_from(nanos.max(0)).unwrap_or(i64::MAX),
                instance_type: instance_type.clone(),
                zones: vec![zone.clone()],
                price: price.price,
            });
        }
    }
    events.sort_by(|a, b| {
        (a.at_nanos, &a.instance_type)
            .cmp(&(b.at_nanos, &b.instance_type))
            .then(a.price.total_cmp(&b.price))
            .then_with(|| a.zones.cmp(&b.zones))
    });
    events.dedup_by(|next, first| {
        let same = next.at_nanos == first.at_nanos
            && next.instance_type == first.instance_type
            && next.price.total_cmp(&first.price).is_eq();
        if same {
            first.zones.append(&mut next.zones);
            first.zones.dedup();
        }
        same
    });
    events
}

impl PriceEvent {
    /// As an event of a trace.
    pub fn to_json(&self) -> Value {
        let at: Value = if self.at_nanos % 1_000_000_000 == 0 {
            (self.at_nanos / 1_000_000_000).into()
        } else {
            // The shortest decimal of the double is exact here for some 100 days at a nanosecond, and years at a microsecond.
            (self.at_nanos as f64 / 1e9).into()
        };
        json!({"at": at, "price": {
            "instanceTypes": [self.instance_type.as_str()],
            "zones": self.zones.iter().map(Str::as_str).collect::<Vec<_>>(),
            "capacityTypes": [labels::SPOT],
            "price": self.price,
        }})
    }
}

/// A trace that holds the series and nothing else, one event a line: an overlay for `karpsim replay`. It has no `start`
/// and no `name`, so that the trace it is laid over keeps its own.
pub fn write_trace(events: &[PriceEvent], start: Timestamp) -> String {
    let head = json!({
        "apiVersion": crate::catalogue::overlay::API_VERSION,
        "kind": "Trace",
        "source": format!("aws ec2 describe-spot-price-history, from {start} on"),
    });
    let mut text = format!("{head}\n");
    for event in events {
        text.push_str(&event.to_json().to_string());
        text.push('\n');
    }
    text
}
