//! What Karpenter decided keeps the rules of Kubernetes, but for what the validator says that Karpenter is looser in.

use karpsim_testkit::{Recording, Recordings};
use karpsim_validator::{Decided, violations};
use rayon::prelude::*;

#[test]
fn every_recorded_decision_is_feasible() {
    let recordings = Recordings::read("provisioning");
    let lines: Vec<Recording<'_>> = recordings.iter().collect();
    let found: Vec<String> = lines
        .par_iter()
        .flat_map_iter(|recording| {
            let scenario = recording.scenario();
            let decided: Decided = serde_json::from_str(recording.decision).expect("a decision");
            let found = violations(&scenario, &decided);
            found.into_iter().map(|it| format!("{}: {it}", recording.name)).collect::<Vec<_>>()
        })
        .collect();
    println!("{} recordings", lines.len());
    assert_eq!(lines.len(), 2_392);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}
