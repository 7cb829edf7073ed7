//! Every pod that is to be placed stands in the decision exactly once, and no other pod does.

use crate::decided::Decided;
use crate::launches::is_usable;
use crate::selectors::selects;
use crate::sites::{is_owned_by, is_pending, is_terminal, name_of, sites};
use karpsim::kubernetes::labels::DO_NOT_DISRUPT;
use karpsim::model::core::Pod;
use karpsim::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let mut mentions: BTreeMap<&str, usize> = BTreeMap::new();
    let claims = decision.new_node_claims.iter().flat_map(|claim| &claim.pods);
    let nodes = decision.existing_nodes.iter().flat_map(|node| &node.pods);
    for pod in claims.chain(nodes).chain(decision.pod_errors.keys()).chain(&decision.ignored_pods) {
        *mentions.entry(pod).or_default() += 1;
    }

    let leaving: Vec<&Pod> =
        sites(scenario).iter().filter(|site| site.leaves).flat_map(|site| site.pods.clone()).collect();
    let pending: BTreeSet<String> =
        scenario.objects.pods.iter().filter(|pod| is_pending(pod)).map(|pod| name_of(pod)).collect();
    let may_move: BTreeSet<String> = leaving.iter().map(|pod| name_of(pod)).collect();
    // Without a NodePool to launch nodes from no round is played, and these pods have a node still.
    let has_round = scenario.objects.node_pools.iter().any(is_usable);
    let must_move =
        leaving.iter().filter(|pod| has_round && moves_freely(scenario, pod)).map(|pod| name_of(pod));

    let mut found = Vec::new();
    for (pod, count) in &mentions {
        if *count > 1 {
            found.push(format!("pod {pod} stands {count} times in the decision"));
        }
        if !pending.contains(*pod) && !may_move.contains(*pod) {
            found.push(format!("pod {pod} is neither pending nor on a node that leaves"));
        }
    }
    for pod in pending.iter().cloned().chain(must_move) {
        if !mentions.contains_key(pod.as_str()) {
            found.push(format!("pod {pod} is lost"));
        }
    }
    for pod in &decision.ignored_pods {
        if !pending.contains(pod) {
            found.push(format!("pod {pod} is ignored, but it is not pending"));
        }
    }
    found
}

/// Whether nothing could keep the pod from being evicted. (Who is in doubt may be left where it is.)
fn moves_freely(scenario: &Scenario, pod: &Pod) -> bool {
    let guarded = scenario.objects.pod_disruption_budgets.iter().any(|budget| {
        budget.metadata.namespace == pod.metadata.namespace
            && selects(budget.spec.selector.as_ref(), &pod.metadata.labels)
    });
    !guarded
        && !is_terminal(pod)
        && pod.metadata.deletion_timestamp.is_none()
        && pod.metadata.annotations.get(DO_NOT_DISRUPT).is_none()
        && !is_owned_by(pod, "DaemonSet")
        && !is_owned_by(pod, "Node")
}
