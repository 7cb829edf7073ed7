//! `karpsim catalogue import aws`: a catalogue out of the JSON that the AWS command line prints in one's own account.
//!
//! Five commands, each in any number of files (pages, or one a region's part): `describe-instance-types`,
//! `describe-instance-type-offerings --location-type availability-zone`, `describe-availability-zones`,
//! `describe-spot-price-history` and `pricing get-products`. Which one a file is from is told by its content. Of several
//! prices for one thing the newest wins; prices of zero, of Windows and of other tenancies are passed over.

use super::aws_prices::{self, OnDemandPrice, SpotPrice};
use crate::catalogue::overlay::in_one;
use crate::catalogue::read::{one_value, value_problem};
use crate::catalogue::{Catalogue, InstanceType, Offering, Price};
use crate::kubernetes::labels;
use crate::model::meta::Str;
use crate::problem::{Place, Problem, ProblemKind};
use crate::provider::Settings;
use crate::provider::aws::{Ec2NodeClass, Machine, figures, labels as aws_labels};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A command of which there are outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `aws ec2 describe-instance-types`.
    InstanceTypes,
    /// `aws ec2 describe-instance-type-offerings --location-type availability-zone`.
    Offerings,
    /// `aws ec2 describe-availability-zones`.
    Zones,
    /// `aws pricing get-products --service-code AmazonEC2`.
    Products,
    /// `aws ec2 describe-spot-price-history`.
    SpotPrices,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 5] =
        [Part::InstanceTypes, Part::Offerings, Part::Zones, Part::Products, Part::SpotPrices];

    /// The command.
    pub const fn command(self) -> &'static str {
        match self {
            Part::InstanceTypes => "aws ec2 describe-instance-types",
            Part::Offerings => "aws ec2 describe-instance-type-offerings --location-type availability-zone",
            Part::Zones => "aws ec2 describe-availability-zones",
            Part::Products => "aws pricing get-products --service-code AmazonEC2",
            Part::SpotPrices => "aws ec2 describe-spot-price-history",
        }
    }

    /// The field that holds its list.
    const fn field(self) -> &'static str {
        match self {
            Part::InstanceTypes => "InstanceTypes",
            Part::Offerings => "InstanceTypeOfferings",
            Part::Zones => "AvailabilityZones",
            Part::Products => "PriceList",
            Part::SpotPrices => "SpotPriceHistory",
        }
    }
}

/// What is worth saying about an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportNote {
    /// A command of which there is no output.
    MissingPart(Part),
    /// Types without an on-demand price, though they can be had on demand.
    NoOnDemandPrice(Vec<Str>),
    /// Types without a spot price in some of their zones, though they can be had on the spot market.
    NoSpotPrice(Vec<Str>),
    /// Types that no zone offers, or that have no price at all: left out.
    LeftOut(Vec<Str>),
    /// Types that Karpenter does not use: no hvm, or neither x86_64 nor arm64.
    NotForKarpenter(Vec<Str>),
    /// Types of which bandwidth and branch interfaces are not known.
    NoNetworkFacts(Vec<Str>),
    /// Zones that are no availability zones, or are not described.
    ZonesLeftOut(Vec<Str>),
}

impl std::fmt::Display for ImportNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed = |names: &[Str]| {
            let shown: Vec<&str> = names.iter().take(4).map(Str::as_str).collect();
            match names.len().saturating_sub(shown.len()) {
                0 => shown.join(", "),
                more => format!("{} and {more} other(s)", shown.join(", ")),
            }
        };
        match self {
            ImportNote::MissingPart(Part::Zones) => {
                write!(f, "missing output of `{}`: offerings have no zone IDs", Part::Zones.command())
            }
            ImportNote::MissingPart(Part::Products) => {
                write!(
                    f,
                    "missing output of `{}`: there are no on-demand offerings",
                    Part::Products.command()
                )
            }
            ImportNote::MissingPart(part) => {
                write!(f, "missing output of `{}`: there are no spot offerings", part.command())
            }
            ImportNote::NoOnDemandPrice(names) => write!(f, "no on-demand price: {}", listed(names)),
            ImportNote::NoSpotPrice(names) => write!(f, "no spot price in some zones: {}", listed(names)),
            ImportNote::LeftOut(names) => {
                write!(f, "skipped, because no zone offers them at a known price: {}", listed(names))
            }
            ImportNote::NotForKarpenter(names) => {
                write!(f, "skipped, because Karpenter does not use them: {}", listed(names))
            }
            ImportNote::NoNetworkFacts(names) => {
                write!(f, "pod-eni and network bandwidth are unknown: {}", listed(names))
            }
            ImportNote::ZonesLeftOut(names) => {
                write!(f, "skipped, because they are not availability zones: {}", listed(names))
            }
        }
    }
}

/// An import under way.
#[derive(Debug, Default)]
pub struct AwsImport {
    seen: BTreeSet<Part>,
    types: BTreeMap<Str, Machine>,
    /// Type and zone.
    offered: BTreeSet<(Str, Str)>,
    zones: BTreeMap<Str, Zone>,
    on_demand: Vec<OnDemandPrice>,
    spot: Vec<SpotPrice>,
}

#[derive(Debug)]
struct Zone {
    id: Str,
    region: Str,
    usable: bool,
}

impl AwsImport {
    /// Takes in one file.
    ///
    /// # Errors
    ///
    /// If it is no output of one of the five commands, or lacks a field that is needed.
    pub fn add(&mut self, text: &str) -> Result<Part, Problem> {
        // What the command line prints for several pages is one value; concatenated files are several.
        let values: Vec<Value> = match serde_json::Deserializer::from_str(text).into_iter().collect() {
            Ok(values) => values,
            Err(_) => vec![one_value(text)?],
        };
        let mut part = None;
        for value in &values {
            part = Some(self.add_value(value)?);
        }
        part.ok_or_else(|| value_problem("", "", "an empty text", "the JSON of an aws command"))
    }

    fn add_value(&mut self, value: &Value) -> Result<Part, Problem> {
        let part = Part::ALL.into_iter().find(|part| value.get(part.field()).is_some_and(Value::is_array));
        let Some(part) = part else {
            let fields = Part::ALL.map(Part::field).join(", ");
            let found = value.as_object().map_or_else(
                || "no object".to_owned(),
                |object| format!("fields {}", object.keys().cloned().collect::<Vec<_>>().join(", ")),
            );
            return Err(value_problem("", "", found, format!("an object with one of the lists {fields}")));
        };
        self.seen.insert(part);
        let list = value.get(part.field()).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, element) in list.iter().enumerate() {
            let path = format!("{}[{index}]", part.field());
            match part {
                Part::InstanceTypes => {
                    let raw = Machine::read(element, &path)?;
                    self.types.insert(raw.name.clone(), raw);
                }
                Part::Offerings => {
                    let (name, zone) =
                        (text(element, &path, "InstanceType")?, text(element, &path, "Location")?);
                    self.offered.insert((name.into(), zone.into()));
                }
                Part::Zones => {
                    let name = text(element, &path, "ZoneName")?;
                    let zone = Zone {
                        id: text(element, &path, "ZoneId")?.into(),
                        region: element.get("RegionName").and_then(Value::as_str).unwrap_or_default().into(),
                        usable: element
                            .get("ZoneType")
                            .and_then(Value::as_str)
                            .is_none_or(|kind| kind == "availability-zone"),
                    };
                    self.zones.insert(name.into(), zone);
                }
                Part::Products => self.on_demand.extend(aws_prices::product(element, &path)?),
                Part::SpotPrices => self.spot.extend(aws_prices::spot(element, &path)?),
            }
        }
        Ok(part)
    }

    /// All spot prices that were taken in, for a [price series](super::price_series).
    pub fn spot_prices(&self) -> &[SpotPrice] {
        &self.spot
    }

    /// The catalogue of `region` (absent: the one region that there is), for the default EC2NodeClass under `settings`.
    ///
    /// # Errors
    ///
    /// If there are no instance types, or no zones or prices for any of them, or several regions and none is named.
    pub fn finish(
        self,
        region: Option<&str>,
        settings: &Settings,
    ) -> Result<(Catalogue, Vec<ImportNote>), Problem> {
        let mut missing: Vec<Part> = [Part::InstanceTypes, Part::Offerings]
            .into_iter()
            .filter(|part| !self.seen.contains(part))
            .collect();
        if !self.seen.contains(&Part::Products) && !self.seen.contains(&Part::SpotPrices) {
            missing.extend([Part::Products, Part::SpotPrices]);
        }
        if !missing.is_empty() {
            let commands: Vec<String> = missing.iter().map(|part| format!("`{}`", part.command())).collect();
            return Err(Problem::new(
                Place::default(),
                ProblemKind::Catalogue {
                    message: format!("missing output of {}", commands.join(", ")),
                    hint: Some("pass all files of one region together".to_owned()),
                },
            ));
        }
        let region = self.region(region)?;
        let mut notes: Vec<ImportNote> = [Part::Zones, Part::Products, Part::SpotPrices]
            .into_iter()
            .filter(|part| !self.seen.contains(part))
            .map(ImportNote::MissingPart)
            .collect();
        let (zones_of, zones_left_out) = self.zones_of_types(&region);
        let on_demand = aws_prices::newest_on_demand(&self.on_demand, &region, &self.types);
        let spot = aws_prices::newest_spot(&self.spot);
        let mut gaps = Gaps::default();
        let mut instance_types = Vec::new();
        for raw in self.types.values() {
            if !raw.for_karpenter {
                gaps.not_for_karpenter.push(raw.name.clone());
                continue;
            }
            let zones = zones_of.get(&raw.name).map_or(&[][..], Vec::as_slice);
            let offerings = self.offerings(raw, zones, on_demand.get(&raw.name), &spot, &mut gaps);
            if offerings.is_empty() {
                gaps.left_out.push(raw.name.clone());
                continue;
            }
            if !raw.network_known {
                gaps.no_network.push(raw.name.clone());
            }
            let class = Ec2NodeClass::default();
            let derived = figures(&raw.facts, &class, settings).map_err(|error| {
                value_problem(format!("instance type `{}`", raw.name), "", error.to_string(), "known figures")
            })?;
            let mut instance_type = InstanceType {
                name: raw.name.clone(),
                requirements: raw.requirements(&region, zones, &self.zone_ids(zones)),
                capacity: raw.devices.clone(),
                offerings,
                ..InstanceType::default()
            };
            derived.put_into(&mut instance_type);
            instance_types.push(instance_type.into());
        }
        if !self.seen.contains(&Part::Products) {
            gaps.no_on_demand.clear();
        }
        if !self.seen.contains(&Part::SpotPrices) {
            gaps.no_spot.clear();
        }
        gaps.zones = zones_left_out;
        notes.extend(gaps.notes());
        let china = region.starts_with("cn-");
        let catalogue = Catalogue {
            provider: "aws".into(),
            well_known_labels: aws_labels::WELL_KNOWN.map(Str::from).to_vec(),
            restricted_label_domains: vec!["karpenter.k8s.aws".into()],
            normalized_labels: [("topology.ebs.csi.aws.com/zone", labels::ZONE)].into_iter().collect(),
            reservation_id_label: "karpenter.k8s.aws/capacity-reservation-id".into(),
            currency: Some(if china { "CNY" } else { "USD" }.into()),
            source: "AWS command line".into(),
            instance_types,
            region,
            ..Catalogue::default()
        };
        Ok((catalogue, notes))
    }

    fn region(&self, wanted: Option<&str>) -> Result<Str, Problem> {
        if let Some(region) = wanted {
            return Ok(region.into());
        }
        let mut regions: BTreeSet<Str> = self.zones.values().map(|zone| zone.region.clone()).collect();
        regions.remove("");
        if regions.is_empty() {
            // An availability zone is its region with a letter behind; local zones have more hyphens.
            regions = self
                .offered
                .iter()
                .filter(|(_, zone)| zone.split('-').count() <= 4)
                .map(|(_, zone)| zone.trim_end_matches(|c: char| c.is_ascii_lowercase()).into())
                .collect();
        }
        let mut names = regions.into_iter();
        match (names.next(), names.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(value_problem("", "", "no zone", "zones of one region")),
            (Some(one), Some(other)) => Err(value_problem(
                "",
                "",
                format!("regions {one}, {other}"),
                "one region; name it with --region",
            )),
        }
    }

    fn zones_of_types(&self, region: &str) -> (BTreeMap<Str, Vec<Str>>, Vec<Str>) {
        let mut zones_of: BTreeMap<Str, Vec<Str>> = BTreeMap::new();
        let mut left_out: BTreeSet<Str> = BTreeSet::new();
        for (name, zone) in &self.offered {
            let fits = match self.zones.get(zone) {
                Some(known) => known.usable && (known.region.is_empty() || known.region == region),
                None => {
                    self.zones.is_empty() && zone.strip_prefix(region).is_some_and(|rest| rest.len() == 1)
                }
            };
            if fits {
                zones_of.entry(name.clone()).or_default().push(zone.clone());
            } else {
                left_out.insert(zone.clone());
            }
        }
        (zones_of, left_out.into_iter().collect())
    }

    fn zone_ids(&self, zones: &[Str]) -> Vec<Str> {
        let mut ids: Vec<Str> =
            zones.iter().filter_map(|zone| self.zones.get(zone)).map(|zone| zone.id.clone()).collect();
        ids.sort();
        ids
    }

    fn offerings(
        &self,
        raw: &Machine,
        zones: &[Str],
        on_demand: Option<&OnDemandPrice>,
        spot: &BTreeMap<(Str, Str), &SpotPrice>,
        gaps: &mut Gaps,
    ) -> Vec<Offering> {
        let mut offerings = Vec::new();
        let mut offer = |zone: &Str, capacity_type: &str, price: f64, source: &str, date: Str| {
            let mut requirements = vec![in_one(labels::CAPACITY_TYPE, capacity_type)];
            if let Some(known) = self.zones.get(zone) {
                requirements.push(in_one("topology.k8s.aws/zone-id", &known.id));
            }
            requirements.push(in_one(labels::ZONE, zone));
            offerings.push(Offering {
                requirements,
                price: Price(price),
                // AL2023, the default image, does not run on the first generation of Graviton.
                available: !raw.name.starts_with("a1."),
                price_source: source.into(),
                price_date: date,
                ..Offering::default()
            });
        };
        if raw.on_demand {
            match on_demand {
                Some(price) => {
                    for zone in zones {
                        offer(
                            zone,
                            labels::ON_DEMAND,
                            price.price,
                            "list",
                            price.effective_date.chars().take(10).collect(),
                        );
                    }
                }
                None if zones.is_empty() => {}
                None => gaps.no_on_demand.push(raw.name.clone()),
            }
        }
        if raw.spot {
            let mut lacking = false;
            for zone in zones {
                match spot.get(&(raw.name.clone(), zone.clone())) {
                    Some(price) => {
                        offer(zone, labels::SPOT, price.price, "spot-history", price.at.to_string().into());
                    }
                    None => lacking = true,
                }
            }
            if lacking {
                gaps.no_spot.push(raw.name.clone());
            }
        }
        offerings
    }
}

/// Names of types that lack something.
#[derive(Default)]
struct Gaps {
    no_on_demand: Vec<Str>,
    no_spot: Vec<Str>,
    left_out: Vec<Str>,
    not_for_karpenter: Vec<Str>,
    no_network: Vec<Str>,
    zones: Vec<Str>,
}

impl Gaps {
    fn notes(mut self) -> Vec<ImportNote> {
        // What is left out is said once.
        self.no_on_demand.retain(|name| !self.left_out.contains(name));
        self.no_spot.retain(|name| !self.left_out.contains(name));
        [
            ImportNote::NoOnDemandPrice(self.no_on_demand),
            ImportNote::NoSpotPrice(self.no_spot),
            ImportNote::LeftOut(self.left_out),
            ImportNote::NotForKarpenter(self.not_for_karpenter),
            ImportNote::NoNetworkFacts(self.no_network),
            ImportNote::ZonesLeftOut(self.zones),
        ]
        .into_iter()
        .filter(|note| match note {
            ImportNote::MissingPart(_) => true,
            ImportNote::NoOnDemandPrice(names)
            | ImportNote::NoSpotPrice(names)
            | ImportNote::LeftOut(names)
            | ImportNote::NotForKarpenter(names)
            | ImportNote::NoNetworkFacts(names)
            | ImportNote::ZonesLeftOut(names) => !names.is_empty(),
        })
        .collect()
    }
}

/// A text that must be there.
pub(super) fn text<'a>(object: &'a Value, path: &str, field: &str) -> Result<&'a str, Problem> {
    object
        .get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Problem::new(Place::at(path), ProblemKind::Missing { name: field.to_owned() }))
}
