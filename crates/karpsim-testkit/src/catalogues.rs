//! Catalogues of scenarios, each read once a process.

use crate::files::text;
use karpsim::catalogue::{self, Catalogue};
use karpsim::input::{self, Findings};
use karpsim::problem::Problem;
use karpsim::scenario::Scenario;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The catalogues that scenarios and traces name: `catalogue.file` relative to `data/conformance`, `catalogue.name` as
/// the program carries them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Catalogues;

static READ: Mutex<BTreeMap<String, Arc<Catalogue>>> = Mutex::new(BTreeMap::new());

fn read(file: String) -> Result<Arc<Catalogue>, Problem> {
    let mut known = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(catalogue) = known.get(&file) {
        return Ok(Arc::clone(catalogue));
    }
    let catalogue = Arc::new(catalogue::read(&text(&file))?);
    known.insert(file, Arc::clone(&catalogue));
    Ok(catalogue)
}

impl input::Catalogues for Catalogues {
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        read(format!("conformance/{name}"))
    }

    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        read(format!("catalogues/{}.json", name.replace('/', "-")))
    }
}

/// The scenario in a JSON text.
///
/// # Panics
///
/// If it is none.
pub fn scenario(text: &str) -> Scenario {
    input::read_json(text)
        .and_then(|read| input::validate(read.text, &Catalogues, &mut Findings::default()))
        .unwrap_or_else(|problem| panic!("{problem}: {text:.200}"))
}
