//! Instance types, compiled once for as long as the catalogue stays what it is.
//!
//! To compile a catalogue of 1,300 types takes some ten milliseconds, far more than the rest of a small cluster. [`Offers`]
//! keeps what depends on the catalogue alone: the ids of its labels and requirements, and the table of types in the units
//! that were last asked for. Clones share the table, so that many clusters, or many threads, compile it once.

use super::overlays;
use super::pools;
use super::resources::Resources;
use super::types::{RawType, Reader, ReservationId, TypeTable, compile_type};
use crate::catalogue::Catalogue;
use crate::kubernetes::labels::HOSTNAME;
use crate::kubernetes::requests::raw;
use crate::label_rules::LabelRules;
use crate::model::meta::Str;
use crate::quantity::Quantity;
use crate::requirements::Algebra;
use crate::scenario::Scenario;
use crate::version::{KarpenterVersion, Rules};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Offers {
    catalogue: Arc<Catalogue>,
    version: KarpenterVersion,
    pub(super) rules: LabelRules,
    pub(super) algebra: Algebra,
    /// Units in which the catalogue's amounts are whole, and those of the clusters that were compiled with it.
    pub(super) resources: Resources,
    reservations: FxHashMap<Str, ReservationId>,
    raw: Arc<[RawType]>,
    /// The table, in the units of `resources`.
    table: Option<Arc<TypeTable>>,
}

/// The tables of the NodePools of a cluster.
pub(super) struct Tables {
    pub(super) all: Vec<Arc<TypeTable>>,
    /// By NodePool.
    pub(super) of_pool: FxHashMap<Str, usize>,
    /// What each reservation has left: where offerings disagree, the least.
    pub(super) reservations: Vec<i64>,
}

/// The types of the NodePools of a cluster, before units are settled.
pub(super) enum RawTables {
    /// All NodePools are offered the catalogue as it is.
    AsOffered(FxHashMap<Str, usize>),
    /// NodeOverlays make each NodePool's types different.
    Overlaid(FxHashMap<Str, usize>, Vec<Vec<RawType>>, usize),
}

impl Offers {
    /// Compiles `catalogue` by the rules of `version`.
    pub fn new(catalogue: &Arc<Catalogue>, version: KarpenterVersion) -> Self {
        let rules = LabelRules::new(catalogue);
        let mut algebra = Algebra::default();
        algebra.key(HOSTNAME, |_| false);
        let mut resources = Resources::default();
        // The units that pods ask for as a rule, so that the table does not have to be made anew for them.
        for (name, least) in [("cpu", Quantity::from_nanos(1_000_000)), ("memory", Quantity::from_units(1))] {
            resources.note_one(name, least);
        }
        let mut reservations = FxHashMap::default();
        let mut reader = Reader::new(&rules, version.rules());
        let raw = catalogue
            .instance_types
            .iter()
            .map(|it| {
                let prices = vec![None; it.offerings.len()];
                compile_type(
                    &mut algebra,
                    &mut reader,
                    &mut resources,
                    &mut reservations,
                    it,
                    raw(&it.capacity),
                    &prices,
                )
            })
            .collect();
        let catalogue = Arc::clone(catalogue);
        Offers { catalogue, version, rules, algebra, resources, reservations, raw, table: None }
    }

    /// The algebra that clusters begin with.
    pub(crate) fn algebra(&self) -> &Algebra {
        &self.algebra
    }

    /// Whether it was compiled from `catalogue` by the rules of `version`.
    pub fn is_of(&self, catalogue: &Arc<Catalogue>, version: KarpenterVersion) -> bool {
        Arc::ptr_eq(&self.catalogue, catalogue) && self.version == version
    }

    fn karpenter(&self) -> &'static Rules {
        self.version.rules()
    }

    /// The types that each NodePool of `scenario` is offered, their amounts noted in `resources`.
    pub(super) fn raw_tables(
        &self,
        scenario: &Scenario,
        algebra: &mut Algebra,
        resources: &mut Resources,
    ) -> RawTables {
        let objects = &scenario.objects;
        let provider = self.catalogue.provider.as_str();
        let managed = || objects.node_pools.iter().filter(|pool| pools::is_managed(pool, provider));
        let changes = if scenario.options.node_overlay() {
            let overlays = &objects.node_overlays;
            overlays::Changes::new(algebra, &self.rules, &self.catalogue, &objects.node_pools, overlays)
        } else {
            overlays::Changes::default()
        };
        if changes.is_empty() {
            return RawTables::AsOffered(managed().map(|pool| (pool.metadata.name.clone(), 0)).collect());
        }
        let mut reservations = self.reservations.clone();
        let mut reader = Reader::new(&self.rules, self.karpenter());
        let mut table = |pool: &str| -> Vec<RawType> {
            let types = self.catalogue.instance_types.iter().enumerate();
            types
                .map(|(index, it)| {
                    let capacity = changes.capacity(pool, index, &it.capacity);
                    let prices: Vec<Option<f64>> = it
                        .offerings
                        .iter()
                        .map(|offering| {
                            let kind = reader.of_offering(algebra, &offering.requirements);
                            changes.price(pool, index, kind, offering.price.0)
                        })
                        .collect();
                    compile_type(algebra, &mut reader, resources, &mut reservations, it, capacity, &prices)
                })
                .collect()
        };
        let mut of_pool = FxHashMap::default();
        let mut tables = Vec::new();
        for pool in managed() {
            of_pool.insert(pool.metadata.name.clone(), tables.len());
            tables.push(table(&pool.metadata.name));
        }
        RawTables::Overlaid(of_pool, tables, reservations.len())
    }

    /// The allocatable amounts of all types in `tables`.
    pub(super) fn amounts<'a>(
        &'a self,
        tables: &'a RawTables,
    ) -> impl Iterator<Item = (&'a Str, &'a Quantity)> + 'a {
        let types: Vec<&RawType> = match tables {
            RawTables::AsOffered(_) => self.raw.iter().collect(),
            RawTables::Overlaid(_, tables, _) => tables.iter().flatten().collect(),
        };
        types.into_iter().flat_map(|it| it.shapes.iter().flatten())
    }

    /// The tables in the units of `resources`, which are settled now.
    pub(super) fn tables(&mut self, raw: RawTables, algebra: &Algebra, resources: &Resources) -> Tables {
        let (all, of_pool, reservations) = match raw {
            RawTables::AsOffered(of_pool) if of_pool.is_empty() => (Vec::new(), of_pool, 0),
            RawTables::AsOffered(of_pool) => {
                (vec![self.table(algebra, resources)], of_pool, self.reservations.len())
            }
            RawTables::Overlaid(of_pool, tables, reservations) => {
                let tables = tables
                    .iter()
                    .map(|types| Arc::new(TypeTable::new(self.karpenter(), algebra, resources, types)));
                (tables.collect(), of_pool, reservations)
            }
        };
        let mut left = vec![i64::MAX; reservations];
        for offering in all.iter().flat_map(|table| &table.types).flat_map(|it| &it.offerings) {
            if let Some(reservation) = offering.reservation {
                let left = &mut left[reservation.0 as usize];
                *left = (*left).min(offering.reservation_capacity);
            }
        }
        Tables { all, of_pool, reservations: left }
    }

    fn table(&mut self, algebra: &Algebra, resources: &Resources) -> Arc<TypeTable> {
        if let Some(known) = &self.table
            && self.resources.has_units_of(resources)
        {
            return Arc::clone(known);
        }
        let table = Arc::new(TypeTable::new(self.karpenter(), algebra, resources, &self.raw));
        if !resources.are_fine() {
            self.resources = resources.clone();
            self.table = Some(Arc::clone(&table));
        }
        table
    }
}
