//! Ten recordings of each family: the answer keeps all rules, costs no more than Karpenter's decision, and no less than
//! the bound.

mod corpus;

use corpus::steps::Steps;
use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Status};
use karpsim_testkit::Recordings;
use karpsim_validator::{Decided, violations};
use std::time::Duration;

const OF_EACH: usize = 10;

#[test]
fn answers_keep_the_rules_and_cost_no_more_than_karpenter() {
    let (mut count, mut optimal, mut cheaper) = (0, 0, 0);
    for recording in Recordings::read("provisioning").first_of_each(OF_EACH) {
        let scenario = recording.scenario();
        let watch = Steps::default();
        let limits = Limits { time: Some(Duration::from_secs(1)), watch: &watch, ..Limits::default() };
        let optimum = Optimum::solve(&OptimizationProblem::new(&scenario), &limits);
        let name = &scenario.name;
        assert!(optimum.bound <= optimum.cost, "{name}");
        assert!(optimum.unplaced <= optimum.karpenter_unplaced, "{name}");
        if optimum.unplaced == optimum.karpenter_unplaced {
            assert!(optimum.cost <= optimum.karpenter_cost, "{name}");
            cheaper += usize::from(optimum.cost < optimum.karpenter_cost);
        }
        let text = serde_json::to_string(&optimum.decision).expect("a decision is JSON");
        let decided: Decided = serde_json::from_str(&text).expect("the form of the recordings");
        let found = violations(&scenario, &decided);
        assert!(found.is_empty(), "{name}: {found:#?}");
        count += 1;
        optimal += usize::from(optimum.status == Status::Optimal);
    }
    println!("{optimal} of {count} proven optimal, {cheaper} cheaper than Karpenter's decision");
    assert!(count >= 22 * OF_EACH, "{count}");
    assert!(optimal * 10 > count * 8, "{optimal} of {count}");
    assert!(cheaper * 10 > count, "{cheaper} of {count}");
}
