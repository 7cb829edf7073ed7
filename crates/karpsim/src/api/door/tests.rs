use super::{Catalogues, Findings, admit, read_json, read_yaml};
use crate::api::problem::{Place, Problem, ProblemKind};
use crate::api::scenario::{Scenario, ScenarioKind};
use crate::catalogue::Catalogue;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data").join(path)
}

fn unpacked(path: &str) -> String {
    let file = std::fs::File::open(data(path)).unwrap();
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The catalogues of the recordings, each read once.
#[derive(Default)]
struct Recorded(Mutex<Vec<(String, Arc<Catalogue>)>>);

impl Catalogues for Recorded {
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        let mut read = self.0.lock().unwrap();
        if let Some((_, catalogue)) = read.iter().find(|(known, _)| known == name) {
            return Ok(catalogue.clone());
        }
        let text = unpacked(&format!("conformance/{name}.zst"));
        let catalogue = Arc::new(crate::catalogue::read(&text)?);
        read.push((name.to_owned(), catalogue.clone()));
        Ok(catalogue)
    }

    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        Err(Problem::new(
            Place::at("catalogue.name"),
            ProblemKind::UnknownName {
                what: "catalogue",
                name: name.into(),
                sought: "the recordings".into(),
                near: None,
            },
        ))
    }
}

fn admitted(text: &str, findings: &mut Findings) -> Result<Scenario, Problem> {
    admit(read_json(text)?.text, &Recorded::default(), findings)
}

#[test]
fn every_recorded_scenario_passes() {
    for (file, count) in [("provisioning", 2392), ("disruption", 921)] {
        let text = unpacked(&format!("conformance/{file}.jsonl.zst"));
        let catalogues = Recorded::default();
        let mut findings = Findings::default();
        let mut passed = 0;
        for line in text.lines() {
            let scenario = admit(read_json(line).unwrap().text, &catalogues, &mut findings);
            let scenario = scenario.unwrap_or_else(|problem| panic!("{}: {problem}", &line[..90]));
            assert_eq!(scenario.kind.as_str(), file);
            passed += 1;
        }
        assert_eq!(passed, count);
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        println!("{said:#?}");
        assert!(said.len() <= 1 && said.iter().all(|said| said.contains("does not count")), "{said:#?}");
    }
}
