//! Packing instances of the literature whose optimum is known by construction.
//!
//! Triplets (E. Falkenauer, A hybrid grouping genetic algorithm for bin packing, 1996): capacity 1000; of each three items
//! the first is uniform in 380..=490, the second uniform from 250 to half of what is left, the third is the rest. No item
//! is below 250 and no two fill a bin, so a third as many bins as items is the optimum: every bin is filled exactly. With
//! two resources each is drawn so.

mod corpus;

use corpus::random::Sequence;
use corpus::{small, types};
use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Status, nanos};
use serde_json::{Value, json};

const PRICE: f64 = 0.1;

fn triplet(sequence: &mut Sequence) -> [i64; 3] {
    let first = 380 + sequence.below(111) as i64;
    let left = 1000 - first;
    let second = 250 + sequence.below((left / 2 - 250) as u64) as i64;
    [first, second, left - second]
}

/// Solves an instance of `bins` full bins.
fn solve(bins: usize, seed: u64, two_resources: bool) -> Optimum {
    let mut sequence = Sequence(seed);
    let mut pods: Vec<Value> = Vec::new();
    for _ in 0..bins {
        let cpu = triplet(&mut sequence);
        let memory = triplet(&mut sequence);
        for (cpu, memory) in cpu.into_iter().zip(memory) {
            let memory = if two_resources { memory } else { 1 };
            let requests = json!({"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")});
            pods.push(small::pod(&format!("item-{:03}", pods.len()), &requests, &json!({}), &json!({})));
        }
    }
    pods.push(small::node_pool("default", &[]));
    let bin = types::instance_type("bin", "1000m", "1000Mi", &[("a", PRICE)]);
    let scenario = karpsim_testkit::scenario(&small::scenario(&types::catalogue(&[bin]), &pods));
    Optimum::solve(&OptimizationProblem::new(&scenario), &Limits::default())
}

#[test]
fn triplets_are_packed_into_full_bins() {
    for seed in 1..=4 {
        let optimum = solve(10, seed, false);
        assert_eq!(optimum.status, Status::Optimal);
        assert_eq!(optimum.cost, 10 * nanos(PRICE), "seed {seed}");
        assert_eq!(optimum.unplaced, 0);
    }
}

#[test]
fn triplets_of_two_resources_are_packed_into_full_bins() {
    for seed in 1..=4 {
        let optimum = solve(8, seed, true);
        assert_eq!(optimum.status, Status::Optimal);
        assert_eq!(optimum.cost, 8 * nanos(PRICE), "seed {seed}");
        assert!(optimum.karpenter_cost >= optimum.cost);
    }
}
