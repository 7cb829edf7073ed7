//! Small scenarios whose optimum is found by trying everything.

mod corpus;

use corpus::random::Sequence;
use corpus::{small, types};
use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Status};
use serde_json::{Value, json};

/// Types: name, thousandths of a cpu, MiB, and nano-dollars in the zones `a` and `b`.
const TYPES: [(&str, i64, i64, [i64; 2]); 4] = [
    ("t.small", 2000, 4096, [100_000_000, 90_000_000]),
    ("t.medium", 4000, 8192, [180_000_000, 170_000_000]),
    ("t.wide", 8000, 8192, [290_000_000, 300_000_000]),
    ("t.large", 8000, 16384, [350_000_000, 310_000_000]),
];

/// What the pods that are marked must keep among themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    Nothing,
    /// No two on a node.
    Apart,
    /// At most one more in a zone than in the other.
    Even,
    /// All in one zone.
    Together,
}

#[derive(Debug, Clone, Copy)]
struct Pod {
    cpu: i64,
    memory: i64,
    marked: bool,
}

/// The cheapest cost of all ways to put `pods` on nodes.
fn brute_force(pods: &[Pod], rule: Rule) -> i64 {
    let mut best = i64::MAX;
    partitions(pods.len(), &mut Vec::new(), &mut |blocks| {
        for zones in 0..1_u32 << blocks.len() {
            let zone = |block: usize| (zones >> block & 1) as usize;
            let marked = |block: &[usize]| block.iter().filter(|pod| pods[**pod].marked).count() as i64;
            let mut in_zone = [0_i64; 2];
            for (at, block) in blocks.iter().enumerate() {
                in_zone[zone(at)] += marked(block);
            }
            let keeps = match rule {
                Rule::Nothing => true,
                Rule::Apart => blocks.iter().all(|block| marked(block) <= 1),
                Rule::Even => (in_zone[0] - in_zone[1]).abs() <= 1,
                Rule::Together => in_zone.contains(&0),
            };
            if !keeps {
                continue;
            }
            let cost: Option<i64> = blocks
                .iter()
                .enumerate()
                .map(|(at, block)| {
                    let cpu: i64 = block.iter().map(|pod| pods[*pod].cpu).sum();
                    let memory: i64 = block.iter().map(|pod| pods[*pod].memory).sum();
                    let fitting = TYPES.iter().filter(|(_, cpus, mib, _)| cpu <= *cpus && memory <= *mib);
                    fitting.map(|(.., prices)| prices[zone(at)]).min()
                })
                .sum();
            best = cost.map_or(best, |cost| best.min(cost));
        }
    });
    best
}

/// Calls `each` with every way to part the numbers below `count` into blocks.
fn partitions(count: usize, blocks: &mut Vec<Vec<usize>>, each: &mut dyn FnMut(&[Vec<usize>])) {
    let next: usize = blocks.iter().map(Vec::len).sum();
    if next == count {
        each(blocks);
        return;
    }
    for at in 0..blocks.len() {
        blocks[at].push(next);
        partitions(count, blocks, each);
        blocks[at].pop();
    }
    blocks.push(vec![next]);
    partitions(count, blocks, each);
    blocks.pop();
}

fn scenario(pods: &[Pod], rule: Rule) -> String {
    let types: Vec<Value> = TYPES
        .iter()
        .map(|(name, cpu, memory, prices)| {
            let zones = [("a", prices[0] as f64 * 1e-9), ("b", prices[1] as f64 * 1e-9)];
            types::instance_type(name, &format!("{cpu}m"), &format!("{memory}Mi"), &zones)
        })
        .collect();
    let selector = json!({"matchLabels": {"app": "x"}});
    let zone = "topology.kubernetes.io/zone";
    let spec = match rule {
        Rule::Nothing => json!({}),
        Rule::Apart => {
            json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}]}}})
        }
        Rule::Even => json!({"topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": zone, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}]}),
        Rule::Together => {
            json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": selector, "topologyKey": zone}]}}})
        }
    };
    let mut objects: Vec<Value> = pods
        .iter()
        .enumerate()
        .map(|(at, pod)| {
            let requests = json!({"cpu": format!("{}m", pod.cpu), "memory": format!("{}Mi", pod.memory)});
            let (labels, more) =
                if pod.marked { (json!({"app": "x"}), spec.clone()) } else { (json!({}), json!({})) };
            small::pod(&format!("pod-{at}"), &requests, &labels, &more)
        })
        .collect();
    objects.push(small::node_pool("default", &[]));
    small::scenario(&types::catalogue(&types), &objects)
}

#[test]
fn the_optimum_is_what_trying_everything_finds() {
    let mut sequence = Sequence(7);
    let mut proven = 0;
    let mut count = 0;
    for round in 0..60 {
        let rule = [Rule::Nothing, Rule::Apart, Rule::Even, Rule::Together][round % 4];
        let pods: Vec<Pod> = (0..3 + sequence.below(4))
            .map(|_| Pod {
                cpu: 250 * (1 + sequence.below(16) as i64),
                memory: 512 * (1 + sequence.below(12) as i64),
                marked: sequence.below(2) == 1,
            })
            .collect();
        let scenario = karpsim_testkit::scenario(&scenario(&pods, rule));
        let optimum = Optimum::solve(&OptimizationProblem::new(&scenario), &Limits::default());
        let expected = brute_force(&pods, rule);
        assert!(optimum.bound <= expected, "{rule:?} {pods:?}: bound {} of {expected}", optimum.bound);
        assert!(optimum.cost <= optimum.karpenter_cost);
        assert_eq!(optimum.cost, expected, "{rule:?} {pods:?}: {}", optimum.difference);
        count += 1;
        proven += usize::from(optimum.status == Status::Optimal);
    }
    assert_eq!(proven, count, "all of them are proven");
}
