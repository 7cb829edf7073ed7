//! Scenarios out of text.

use karpsim::catalogue::Catalogue;
use karpsim::scenario::Scenario;
use karpsim::scenario::ScenarioText;
use std::sync::Arc;

/// The scenario in `text`, whose catalogue's file `catalogue` knows.
pub(crate) fn scenario_of(text: &str, catalogue: impl FnOnce(&str) -> Arc<Catalogue>) -> Scenario {
    let text: ScenarioText = serde_json::from_str(text).expect("a scenario");
    let base = (!text.catalogue.file.is_empty()).then(|| catalogue(&text.catalogue.file));
    Scenario {
        name: text.name,
        kind: text.kind.expect("its kind"),
        now: text.now.expect("a clock"),
        options: text.options,
        catalogue: Arc::new(text.catalogue.resolve(base.as_deref())),
        objects: text.objects.0,
        memory: text.cluster,
    }
}
