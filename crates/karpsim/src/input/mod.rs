//! The door: a scenario as text in, a checked [`Scenario`] out.
//!
//! Three steps: *read* the text into structs ([`read_json`], [`read_yaml`]), *check* what stands there and bring in the
//! catalogue ([`validate`]), and collect what is worth saying ([`Findings`]). Nothing here opens a file: whoever calls gives
//! the text, and leads names of catalogues to catalogues ([`Catalogues`]).

mod check;
mod complete;
mod findings;
mod located;
mod object;
mod objects;
mod read;

pub mod convert;
pub mod defaults;
pub mod documents;
pub mod resources;

pub use check::check_kind;
pub use findings::{Finding, Findings};
pub use located::{Fault, Located};
pub use object::{Object, read_object, read_template};

pub use read::{Read, read_json, read_value, read_yaml};

use crate::catalogue::{Catalogue, CatalogueReference};
use crate::model::meta::Time;
use crate::problem::{Place, Problem, ProblemKind, near_miss};
use crate::scenario::{Scenario, ScenarioKind, ScenarioText};
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Leads the names in a scenario to catalogues.
pub trait Catalogues {
    /// The catalogue in the file `name`, as the scenario writes it.
    ///
    /// # Errors
    ///
    /// If it cannot be had, or is no catalogue.
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem>;

    /// The catalogue that the program carries under `name`.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem>;

    /// The catalogue to be used, whatever the scenario says; `None`: what the scenario says.
    ///
    /// # Errors
    ///
    /// As the others.
    fn instead(&self) -> Result<Option<Arc<Catalogue>>, Problem> {
        Ok(None)
    }

    /// `catalogue` as the user's overlays make it.
    ///
    /// # Errors
    ///
    /// If they do not fit it.
    fn overlaid(&self, catalogue: Arc<Catalogue>) -> Result<Arc<Catalogue>, Problem> {
        Ok(catalogue)
    }
}

/// Catalogues at hand, by the name or the file that scenarios write.
impl Catalogues for BTreeMap<String, Arc<Catalogue>> {
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        at_hand(self, "catalogue.file", name)
    }

    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        at_hand(self, "catalogue.name", name)
    }
}

fn at_hand(
    catalogues: &BTreeMap<String, Arc<Catalogue>>,
    field: &str,
    name: &str,
) -> Result<Arc<Catalogue>, Problem> {
    catalogues.get(name).cloned().ok_or_else(|| {
        let known = catalogues.keys().map(String::as_str);
        Problem::new(
            Place::at(field),
            ProblemKind::UnknownName {
                what: "catalogue",
                name: name.to_owned(),
                sought: "the given catalogues".to_owned(),
                near: near_miss(name, known).map(str::to_owned),
            },
        )
    })
}

/// Checks a scenario and gives it its catalogue. What is worth saying goes to `findings`, also if the scenario is refused.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(
    mut text: ScenarioText,
    catalogues: &dyn Catalogues,
    findings: &mut Findings,
) -> Result<Scenario, Problem> {
    check::scenario(&mut text, findings)?;
    let catalogue = resolve(&text.catalogue, catalogues)?;
    let mut objects = text.objects.0;
    complete::complete(&mut objects);
    check::launched(&objects, &catalogue.provider, findings);
    let overlays = if text.options.node_overlay() { &objects.node_overlays[..] } else { &[] };
    resources::requests_without_resource(&objects, overlays, &catalogue, findings);
    let now = text.now.unwrap_or_else(|| latest(&objects));
    Ok(Scenario {
        name: text.name,
        kind: text.kind.unwrap_or(ScenarioKind::Provisioning),
        now,
        options: text.options,
        catalogue,
        objects,
        memory: text.cluster,
    })
}

/// The catalogue that `reference` stands for, under the user's overlays.
///
/// # Errors
///
/// If it names none, one that cannot be had, or types that the catalogue does not have; if the overlays do not fit it.
pub fn resolve(
    reference: &CatalogueReference,
    catalogues: &dyn Catalogues,
) -> Result<Arc<Catalogue>, Problem> {
    referred(reference, catalogues).and_then(|catalogue| catalogues.overlaid(catalogue))
}

/// The catalogue that `reference` stands for.
fn referred(reference: &CatalogueReference, catalogues: &dyn Catalogues) -> Result<Arc<Catalogue>, Problem> {
    if let Some(catalogue) = catalogues.instead()? {
        return Ok(catalogue);
    }
    let place = |field: &str| Place::at(format!("catalogue{field}"));
    let (base, sought) = match (reference.file.as_str(), reference.name.as_str()) {
        ("", "") => (None, String::new()),
        (file, "") => (Some(catalogues.file(file)?), format!("catalogue file `{file}`")),
        ("", name) => (Some(catalogues.named(name)?), format!("catalogue `{name}`")),
        _ => return Err(Problem::new(place(""), ProblemKind::Exclusive { first: "file", second: "name" })),
    };
    let own = &reference.instance_types;
    let Some(base) = base else {
        if own.is_empty() {
            return Err(Problem::new(place(""), ProblemKind::NoCatalogue));
        }
        return Ok(Arc::new(reference.resolve(None)));
    };
    match &reference.include {
        None if own.is_empty() => Ok(base),
        None => Ok(Arc::new(reference.resolve(Some(&base)))),
        Some(include) => {
            let catalogue = reference.resolve(Some(&base));
            let names: FxHashSet<&str> = include.iter().map(compact_str::CompactString::as_str).collect();
            if catalogue.instance_types.len() < names.len() {
                let there: FxHashSet<&str> =
                    catalogue.instance_types.iter().map(|it| it.name.as_str()).collect();
                if let Some(at) = include.iter().position(|name| !there.contains(name.as_str())) {
                    let name = include[at].to_string();
                    let near = near_miss(&name, base.instance_types.iter().map(|it| it.name.as_str()));
                    return Err(Problem::new(
                        place(&format!(".include[{at}]")),
                        ProblemKind::UnknownName {
                            what: "instance type",
                            near: near.map(str::to_owned),
                            name,
                            sought,
                        },
                    ));
                }
            }
            Ok(Arc::new(catalogue))
        }
    }
}

/// The latest time that any object was created at: the clock of a scenario that has none.
fn latest(objects: &crate::model::Objects) -> Time {
    let pods = objects.pods.iter().map(|pod| &pod.metadata);
    let nodes = objects.nodes.iter().map(|node| &node.metadata);
    let claims = objects.node_claims.iter().map(|claim| &claim.metadata);
    let pools = objects.node_pools.iter().map(|pool| &pool.metadata);
    pods.chain(nodes)
        .chain(claims)
        .chain(pools)
        .filter_map(|metadata| metadata.creation_timestamp)
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
