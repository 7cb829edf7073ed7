//! Hundreds of pods of hundreds of kinds, with topology over zones and nodes: too many for one linear program that knows
//! everything, and still close to the bound.

use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Relaxation};
use karpsim_validator::{Decided, violations};

fn solve(file: &str, threads: usize) -> Optimum {
    let scenario = karpsim_testkit::scenario(&karpsim_testkit::text(&format!("bench/{file}")));
    // No clock: the search ends where it must get to.
    let limits = Limits { gap: 0.01, threads, ..Limits::default() };
    let optimum = Optimum::solve(&OptimizationProblem::new(&scenario), &limits);
    let text = serde_json::to_string(&optimum.decision).expect("a decision is JSON");
    let decided: Decided = serde_json::from_str(&text).expect("the form of the recordings");
    let found = violations(&scenario, &decided);
    assert!(found.is_empty(), "{found:#?}");
    assert!(optimum.bound <= optimum.cost);
    optimum
}

fn is_close(optimum: &Optimum) {
    assert_eq!((optimum.unplaced, optimum.karpenter_unplaced), (0, 0));
    assert!(optimum.gap() < 0.01, "{} against {}", optimum.bound, optimum.cost);
    // Karpenter's decision is dearer by more than a quarter.
    assert!(optimum.karpenter_gap().is_some_and(|gap| gap > 0.25), "{:?}", optimum.karpenter_gap());
    assert!(optimum.relaxed.contains(&Relaxation::DomainRules), "{:?}", optimum.relaxed);
}

#[test]
fn five_hundred_pods_whatever_the_number_of_threads() {
    let [one, three] = [1, 3].map(|threads| solve("diverse-500.json.zst", threads));
    is_close(&one);
    assert_eq!((one.cost, one.bound), (three.cost, three.bound));
    assert_eq!(
        serde_json::to_string(&one.decision).expect("a decision is JSON"),
        serde_json::to_string(&three.decision).expect("a decision is JSON")
    );
}

#[test]
#[ignore = "takes minutes, most of them for the oracle"]
fn five_thousand_pods() {
    is_close(&solve("diverse-5000.json.zst", 2));
}
