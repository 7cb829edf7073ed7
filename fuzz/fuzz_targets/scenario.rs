//! Any bytes through the door as a scenario, as JSON and as YAML: a scenario comes out, or a problem that can be said.
#![no_main]

use karpsim::input::{Catalogues, Findings, Read, validate, read_json, read_yaml};
use karpsim::problem::{Place, Problem, ProblemKind};
use karpsim::catalogue::Catalogue;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// Every name leads to an empty catalogue, so that what follows the catalogue is reached.
struct Empty;

impl Catalogues for Empty {
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        self.named(name)
    }

    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        if name.len() > 64 {
            return Err(Problem::new(Place::at("catalogue"), ProblemKind::NoCatalogue));
        }
        Ok(Arc::new(Catalogue::default()))
    }
}

fn through_the_door(read: Read) {
    let mut findings = Findings::default();
    if let Err(problem) = validate(read.text, &Empty, &mut findings) {
        said(&problem);
    }
    for finding in findings.iter() {
        assert!(!finding.to_string().is_empty());
    }
}

fn said(problem: &Problem) {
    assert!(!problem.to_string().is_empty());
    assert!(problem.hint().is_none_or(|hint| !hint.is_empty()));
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read_json(text) {
        Ok(read) => through_the_door(read),
        Err(problem) => said(&problem),
    }
    match read_yaml(text) {
        Ok(documents) => documents.into_iter().for_each(|(_, read)| through_the_door(read)),
        Err((_, problem)) => said(&problem),
    }
});
