//! `aws pricing get-products` and `aws ec2 describe-spot-price-history`.

use super::aws::text;
use crate::catalogue::read::value_problem;
use crate::model::meta::{Str, Time};
use crate::problem::Problem;
use crate::provider::aws::Machine;
use serde_json::Value;
use std::collections::BTreeMap;

/// A price of the list, with what tells it from others of the type.
#[derive(Debug, Clone)]
pub(super) struct OnDemandPrice {
    instance_type: Str,
    region: Str,
    dedicated: bool,
    bare_metal_family: bool,
    pub(super) price: f64,
    pub(super) effective_date: Str,
}

/// The Linux on-demand prices in one entry: a JSON text, or already an object.
pub(super) fn product(entry: &Value, path: &str) -> Result<Vec<OnDemandPrice>, Problem> {
    let parsed;
    let entry = match entry {
        Value::String(inner) => {
            parsed = serde_json::from_str::<Value>(inner)
                .map_err(|error| value_problem("", path, error.to_string(), "a JSON text"))?;
            &parsed
        }
        other => other,
    };
    let Some(attributes) = entry.pointer("/product/attributes") else {
        return Err(value_problem("", path, "no product.attributes", "an entry of PriceList"));
    };
    let attribute = |name: &str| attributes.get(name).and_then(Value::as_str).unwrap_or_default();
    let is = |name: &str, value: &str| matches!(attribute(name), own if own.is_empty() || own.eq_ignore_ascii_case(value));
    let tenancy = attribute("tenancy");
    let wanted = !attribute("instanceType").is_empty()
        && attribute("operatingSystem") == "Linux"
        && is("preInstalledSw", "NA")
        && is("capacitystatus", "Used")
        && is("marketoption", "OnDemand")
        && (tenancy == "Shared" || tenancy == "Dedicated");
    if !wanted {
        return Ok(Vec::new());
    }
    let mut prices = Vec::new();
    let terms = entry.pointer("/terms/OnDemand").and_then(Value::as_object);
    for term in terms.into_iter().flat_map(|terms| terms.values()) {
        let effective_date = term
            .get("effectiveDate")
            .or_else(|| entry.get("publicationDate"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let dimensions = term.get("priceDimensions").and_then(Value::as_object);
        for dimension in dimensions.into_iter().flat_map(|dimensions| dimensions.values()) {
            let hourly = dimension
                .get("unit")
                .and_then(Value::as_str)
                .is_none_or(|unit| unit.eq_ignore_ascii_case("Hrs"));
            let per_unit = ["USD", "CNY"]
                .into_iter()
                .find_map(|unit| dimension.pointer(&format!("/pricePerUnit/{unit}")));
            let price = per_unit.and_then(decimal).filter(|&price| hourly && price > 0.0);
            if let Some(price) = price {
                prices.push(OnDemandPrice {
                    instance_type: attribute("instanceType").into(),
                    region: attribute("regionCode").into(),
                    dedicated: tenancy == "Dedicated",
                    bare_metal_family: entry.pointer("/product/productFamily").and_then(Value::as_str)
                        == Some("Compute Instance (bare metal)"),
                    price,
                    effective_date: effective_date.into(),
                });
            }
        }
    }
    Ok(prices)
}

/// A number, or one as text.
fn decimal(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite())
}

/// The newest price of each type: with shared tenancy, of metal with a dedicated host's.
pub(super) fn newest_on_demand(
    prices: &[OnDemandPrice],
    region: &str,
    types: &BTreeMap<Str, Machine>,
) -> BTreeMap<Str, OnDemandPrice> {
    let mut newest: BTreeMap<Str, OnDemandPrice> = BTreeMap::new();
    for price in prices {
        let metal = types.get(&price.instance_type).is_some_and(|raw| raw.bare_metal);
        let fits = (price.region.is_empty() || price.region == region)
            && if metal { price.dedicated && price.bare_metal_family } else { !price.dedicated };
        let newer = newest.get(&price.instance_type).is_none_or(|other| {
            // Times of one form, so their order as text is that of time.
            price.effective_date > other.effective_date
                || (price.effective_date == other.effective_date && price.price > other.price)
        });
        if fits && newer {
            newest.insert(price.instance_type.clone(), price.clone());
        }
    }
    newest
}

/// What an instance cost on the spot market from some moment on.
#[derive(Debug, Clone, PartialEq)]
pub struct SpotPrice {
    /// Instance type.
    pub instance_type: Str,
    /// Zone.
    pub zone: Str,
    /// Dollars (or the region's currency) an hour.
    pub price: f64,
    /// From when on.
    pub at: jiff::Timestamp,
}

/// One entry of the history, if it is a price for Linux.
pub(super) fn spot(entry: &Value, path: &str) -> Result<Option<SpotPrice>, Problem> {
    let product = entry.get("ProductDescription").and_then(Value::as_str).unwrap_or("Linux/UNIX");
    if !["Linux/UNIX", "Linux/UNIX (Amazon VPC)"].contains(&product) {
        return Ok(None);
    }
    let price = entry.get("SpotPrice").and_then(decimal);
    let Some(price) = price else {
        return Err(value_problem(
            "",
            format!("{path}.SpotPrice"),
            "no number",
            "a price such as \"0.036500\"",
        ));
    };
    let at = text(entry, path, "Timestamp")?;
    let time: Time = serde_json::from_value(at.into()).map_err(|_| {
        value_problem(
            "",
            format!("{path}.Timestamp"),
            format!("`{at}`"),
            "a time such as 2026-08-20T01:15:07Z",
        )
    })?;
    Ok((price > 0.0).then_some(SpotPrice {
        instance_type: text(entry, path, "InstanceType")?.into(),
        zone: text(entry, path, "AvailabilityZone")?.into(),
        price,
        at: time.0,
    }))
}

/// The latest price of each type and zone.
pub(super) fn newest_spot(prices: &[SpotPrice]) -> BTreeMap<(Str, Str), &SpotPrice> {
    let mut newest: BTreeMap<(Str, Str), &SpotPrice> = BTreeMap::new();
    for price in prices {
        let key = (price.instance_type.clone(), price.zone.clone());
        if newest.get(&key).is_none_or(|other| other.at < price.at) {
            newest.insert(key, price);
        }
    }
    newest
}
