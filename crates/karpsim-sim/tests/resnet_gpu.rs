//! The walk-through of GPU inference with Karpenter v0.6.3.

mod common;

use common::play;
use karpsim_sim::{ReplayOptions, ReplayResult};

const TRACE: &str = "traces/resnet-gpu.json";

/// `(at, kind, reason, launched, removed)` of every decision.
fn decisions(result: &ReplayResult) -> Vec<(f64, &str, &str, usize, usize)> {
    result
        .decisions
        .iter()
        .map(|it| (it.at, it.kind, it.reason, it.launched.len(), it.removed.len()))
        .collect()
}

#[test]
fn without_delays_it_costs_what_can_be_computed_by_hand() {
    let result = play(TRACE, &ReplayOptions::default().without_delays());
    assert_eq!(
        decisions(&result),
        [
            (0.0, "provision", "Provisioned", 1, 0),
            (600.0, "provision", "Provisioned", 5, 0),
            (1830.0, "disrupt", "Empty", 0, 6),
        ]
    );
    for decision in &result.decisions {
        for node in &decision.launched {
            assert_eq!(
                (node.instance_type.as_str(), node.capacity_type.as_str()),
                ("g4dn.xlarge", "on-demand")
            );
            assert_eq!(node.pods.len(), 1, "one GPU each");
        }
    }
    let totals = &result.totals;
    // 1 × 1830 s + 5 × 1230 s at 0.526 dollars an hour.
    assert_eq!(totals.node_seconds_by_instance_type["g4dn.xlarge"], 7980.0);
    assert_eq!(totals.cost_usd, 1.165_966_667);
    // 3 × 2400 s at 0.096 dollars an hour.
    assert_eq!(totals.cost_usd_unmanaged, 0.192);
    assert_eq!((totals.nodes_launched, totals.nodes_removed, totals.pods_never_bound), (6, 6, 0));
    let bound = &totals.pods_by_instance_type;
    assert_eq!(bound["default/resnet"]["g4dn.xlarge"], 6);
    assert_eq!(
        bound["kube-system/aws-node"]["g4dn.xlarge"], 6,
        "those on the node group were bound before 0"
    );
    for (owner, count) in [
        ("kube-system/coredns", 2),
        ("kube-system/aws-load-balancer-controller", 2),
        ("karpenter/karpenter", 1),
    ] {
        assert_eq!(bound[owner]["unmanaged"], count, "{owner}");
    }
    assert!(result.warnings.iter().any(|it| it.contains("`gpu`")), "{:?}", result.warnings);
    assert_eq!((result.profile, result.binding), ("karpenter-0.6", "early"));
}

#[test]
fn with_delays_the_decisions_are_the_same() {
    let result = play(TRACE, &ReplayOptions::default());
    let found = decisions(&result);
    assert_eq!(
        found[..2],
        [(1.0, "provision", "Provisioned", 1, 0), (601.0, "provision", "Provisioned", 5, 0)]
    );
    let removed: usize = found[2..].iter().map(|it| it.4).sum();
    assert_eq!(removed, 6);
    // The pods are gone a second after they were deleted; from then on 30 s count.
    assert!(found[2..].iter().all(|it| it.0 == 1831.0 && it.2 == "Empty"), "{found:?}");
    assert_eq!(result.nodes.iter().filter(|node| node.gone.is_none()).count(), 3);
}

#[test]
fn early_binding_starts_pods_no_later() {
    use karpsim_controller::Binding;
    let waits = |binding| {
        let options = ReplayOptions { binding: Some(binding), ..ReplayOptions::default() };
        let totals = play(TRACE, &options).totals;
        (totals.pods_pending_seconds.max, totals.pods_until_running_seconds.max)
    };
    let (early, late) = (waits(Binding::Early), waits(Binding::Scheduler));
    // Window 1 s, launch 2 s, node after 25 s: bound then. Ready 12 s later: bound then. Both run 3 s after ready.
    assert_eq!(early, (28.0, 43.0));
    assert_eq!(late, (40.0, 43.0));
}

#[test]
fn the_same_bytes_twice() {
    let text = || serde_json::to_string(&play(TRACE, &ReplayOptions::default())).unwrap();
    assert_eq!(text(), text());
}
