//! The scenarios for measuring, in `data/bench`.

use karpsim::catalogue::Catalogue;
use karpsim::input::{Findings, read_json, validate};
use karpsim::scenario::Scenario;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

static CATALOGUES: LazyLock<BTreeMap<String, Arc<Catalogue>>> = LazyLock::new(|| {
    ["catalogues/fake-400.json", "catalogues/aws-us-west-2.json"]
        .map(|file| {
            let types = karpsim::catalogue::read(&crate::data::text(&format!("conformance/{file}")))
                .expect("a catalogue");
            (file.to_owned(), Arc::new(types))
        })
        .into()
});

/// The scenario of that name.
pub(crate) fn scenario(name: &str) -> Scenario {
    read(&crate::data::text(&format!("bench/{name}.json")))
}

/// The scenario that a text is.
pub(crate) fn read(text: &str) -> Scenario {
    let read = read_json(text).unwrap_or_else(|problem| panic!("{problem}"));
    validate(read.text, &*CATALOGUES, &mut Findings::default()).unwrap_or_else(|problem| panic!("{problem}"))
}
