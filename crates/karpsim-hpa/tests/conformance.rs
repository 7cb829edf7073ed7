//! Every recorded series of Kubernetes' autoscaler, matched sync by sync: one test a family.
//!
//! All of a sync is compared: the replicas before and after, the conditions, what the metrics were, and the text of
//! the error.

mod recorded;

use karpsim_testkit::Recordings;
use libtest_mimic::{Arguments, Failed, Trial};
use recorded::Recording;

fn check_family(family: &str, series: &[karpsim_testkit::Recording<'_>]) -> Result<(), Failed> {
    let (mut syncs, mut report, mut differing) = (0, String::new(), 0);
    for recording in series {
        let Recording { scenario, decision } = serde_json::from_str(recording.line).expect("a recording");
        let ours = scenario.play();
        assert_eq!(ours.len(), decision.ticks.len(), "{}: syncs", scenario.name);
        syncs += ours.len();
        let mut pairs = ours.iter().zip(&decision.ticks);
        if let Some((ours, recorded)) = pairs.find(|(ours, recorded)| ours != recorded) {
            differing += 1;
            report += &format!("{}:\n  ours:     {ours}\n  recorded: {recorded}\n", scenario.name);
        }
    }
    println!("{family}: {} of {} series with {syncs} syncs matched", series.len() - differing, series.len());
    if differing == 0 { Ok(()) } else { Err(report.into()) }
}

fn main() {
    let arguments = Arguments::from_args();
    let recordings: &'static Recordings = Box::leak(Box::new(Recordings::read("hpa")));
    let families = recordings.families();
    let total: usize = families.values().map(Vec::len).sum();
    assert_eq!(total, 300, "recorded series");
    println!("{total} series in {} families", families.len());
    let trials = families
        .into_iter()
        .map(|(family, series)| Trial::test(family, move || check_family(family, &series)));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
