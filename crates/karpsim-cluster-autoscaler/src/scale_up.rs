//! Scaling up: which group grows, by how much.
//!
//! Every group in question makes an offer: the pods that a bare new node could take are packed onto as many nodes as it
//! takes ([`crate::estimator`]). The expander chooses one offer; its number of nodes is cut to the limits and spread over
//! the group and those that are similar.

use crate::cluster_state::ClusterState;
use crate::decision::{ExpansionOption, ScaleUpReport, ScaleUpResult, SizeIncrease};
use crate::equivalence::{PodGroup, group};
use crate::estimator::{NodeLimit, estimate};
use crate::expander::{Priorities, ScaleUpOption, best};
use crate::nodes::NodeRef;
use crate::options::Options;
use crate::pods::{PodRef, key};
use crate::predicates::Predicates;
use crate::quotas::Quotas;
use crate::similarity::{Resize, are_similar, balance};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::time::Nanos;
use crate::view::{Cloud, NodeGroup};
use karpsim::model::meta::Str;
use std::collections::BTreeSet;

/// What an attempt works on.
pub(crate) struct ScaleUp<'a, P> {
    pub(crate) options: &'a Options,
    pub(crate) groups: &'a [NodeGroup],
    pub(crate) templates: &'a [NodeInfo],
    pub(crate) snapshot: &'a mut Snapshot<P>,
    pub(crate) cluster_state: &'a mut ClusterState,
    pub(crate) target_sizes: &'a mut [i64],
    /// When each group was last scaled up.
    pub(crate) last_scale_ups: &'a mut [Option<Nanos>],
    pub(crate) cloud: &'a mut dyn Cloud,
    /// All nodes that there are or will be, with their groups.
    pub(crate) nodes: &'a [(NodeRef, Option<usize>)],
    pub(crate) priorities: Option<&'a Priorities>,
    pub(crate) now: Nanos,
}

impl<'a, P: Predicates> ScaleUp<'a, P> {
    /// Helps `pods`, as far as it goes.
    pub(crate) fn help(&mut self, pods: &[PodRef]) -> ScaleUpReport {
        let mut pod_groups = group(pods);
        let mut quotas = self.quotas();
        let in_question: Vec<usize> =
            (0..self.groups.len()).filter(|&group| self.is_in_question(group, &mut quotas)).collect();
        for &group in &in_question {
            self.ask_template(group, &mut pod_groups);
        }
        let mut options = Vec::new();
        for &group in &in_question {
            let option = self.option(group, &pod_groups);
            if option.nodes > 0 && !option.pods.is_empty() {
                options.push(option);
            }
        }
        let offered = options.iter().map(|option| self.named(option)).collect();
        let Some(chosen) = best(&self.options.expanders, &options, self.groups, self.priorities) else {
            return report(ScaleUpResult::ScaleUpNoOptionsAvailable, offered, Vec::new(), &pod_groups);
        };
        let helped: Vec<Str> = chosen.pods.iter().map(|pod| key(pod)).collect();
        let Some(nodes) = self.capped_by_total(chosen.nodes, self.nodes.len() as i64) else {
            for pod_group in &mut pod_groups {
                pod_group.schedulable = false;
            }
            return report(ScaleUpResult::ScaleUpError, offered, helped, &pod_groups);
        };
        let resizes = self.shares(chosen.group, nodes, &pod_groups, &mut quotas);
        if let Err(failed) = self.carry_out(&resizes) {
            // What comes after the group that failed is not tried either.
            let failed: BTreeSet<usize> = resizes[failed..].iter().map(|resize| resize.group).collect();
            for pod_group in &mut pod_groups {
                if !pod_group.schedulable_on.is_empty() {
                    pod_group.schedulable &=
                        pod_group.schedulable_on.iter().any(|group| !failed.contains(group));
                }
            }
            return report(ScaleUpResult::ScaleUpError, offered, helped, &pod_groups);
        }
        let mut report = report(ScaleUpResult::ScaleUpSuccessful, offered, helped, &pod_groups);
        report.increase = self.increases(&resizes);
        report.awaiting = pod_groups
            .iter()
            .filter(|pod_group| pod_group.schedulable && pod_group.refused_by.contains(&chosen.group))
            .flat_map(|pod_group| &pod_group.pods)
            .map(|pod| key(pod))
            .collect();
        report.sort();
        report
    }

    /// Orders what groups lack up to their minimum.
    pub(crate) fn enforce_min_sizes(&mut self) -> ScaleUpReport {
        let mut quotas = self.quotas();
        let mut resizes = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let target = self.target_sizes[number];
            if target >= group.min_size || !self.cluster_state.can_scale_up(number, target, self.now) {
                continue;
            }
            let template = &self.templates[number].node;
            let allowed = quotas.allowed(template, number, group.min_size - target);
            if allowed < 1 {
                continue;
            }
            // The limit is held against this group's size alone.
            if let Some(nodes) = self.capped_by_total(allowed, target) {
                resizes.push(Resize::new(number, target, target + nodes, group.max_size));
            }
        }
        if resizes.is_empty() {
            return ScaleUpReport::of(ScaleUpResult::ScaleUpNotNeeded);
        }
        if self.carry_out(&resizes).is_err() {
            return ScaleUpReport::of(ScaleUpResult::ScaleUpError);
        }
        let mut report = ScaleUpReport::of(ScaleUpResult::ScaleUpSuccessful);
        report.increase = self.increases(&resizes);
        report.sort();
        report
    }

    fn quotas(&self) -> Quotas {
        Quotas::upwards(
            self.options,
            self.groups.len(),
            self.nodes.iter().map(|(node, group)| (node, *group)),
        )
    }

    /// Whether a group can grow by a node.
    fn is_in_question(&self, group: usize, quotas: &mut Quotas) -> bool {
        let target = self.target_sizes[group];
        self.cluster_state.can_scale_up(group, target, self.now)
            && target < self.groups[group].max_size
            && quotas.allowed(&self.templates[group].node, group, 1) == 1
    }

    /// Notes which pods a bare new node of the group could take.
    fn ask_template(&mut self, group: usize, pod_groups: &mut [PodGroup]) {
        let template = &self.templates[group];
        self.snapshot.fork();
        self.snapshot.add_node(template.clone());
        for pod_group in pod_groups {
            if self.snapshot.check(pod_group.exemplar(), template.name()).is_ok() {
                pod_group.schedulable = true;
                pod_group.schedulable_on.push(group);
            } else {
                pod_group.refused_by.push(group);
            }
        }
        self.snapshot.revert();
    }

    /// What the group offers.
    fn option(&mut self, group: usize, pod_groups: &[PodGroup]) -> ScaleUpOption<'a> {
        let template = &self.templates[group];
        let taken: Vec<&[PodRef]> = pod_groups
            .iter()
            .filter(|pod_group| pod_group.schedulable_on.contains(&group))
            .map(|pod_group| pod_group.pods.as_slice())
            .collect();
        let mut option =
            ScaleUpOption { group, node: &template.node, nodes: 0, pods: Vec::new(), similar: Vec::new() };
        if !taken.is_empty() {
            option.similar = self.similar_groups(group, pod_groups);
            let limit = self.node_limit(group, &option.similar);
            let estimate = estimate(self.snapshot, &taken, template, limit, self.options.fastpath_binpacking);
            (option.nodes, option.pods) = (estimate.nodes, estimate.pods);
        }
        option
    }

    fn node_limit(&self, group: usize, similar: &[usize]) -> NodeLimit {
        let room = |group: usize| (self.groups[group].max_size - self.target_sizes[group]).max(0);
        let in_groups = room(group) + similar.iter().map(|&group| room(group)).sum::<i64>();
        let most = self.options.max_nodes_total;
        let in_total = most - self.nodes.len() as i64;
        // Where nothing is left the limit is below zero; zero would be no limit.
        let left = |nodes: i64| if nodes > 0 { nodes } else { -1 };
        NodeLimit::least(&[
            self.options.max_nodes_per_scale_up,
            left(in_groups),
            if most == 0 { 0 } else { left(in_total) },
        ])
    }

    /// Groups that could share a scale-up of `group`: alike, in question, and able to take all that it takes.
    fn similar_groups(&self, group: usize, pod_groups: &[PodGroup]) -> Vec<usize> {
        if !self.options.balance_similar_node_groups {
            return Vec::new();
        }
        let taken: Vec<&PodGroup> =
            pod_groups.iter().filter(|pod_group| pod_group.schedulable_on.contains(&group)).collect();
        (0..self.groups.len())
            .filter(|&other| other != group)
            .filter(|&other| !taken.is_empty() && taken.iter().all(|it| it.schedulable_on.contains(&other)))
            .filter(|&other| self.cluster_state.can_scale_up(other, self.target_sizes[other], self.now))
            .filter(|&other| are_similar(&self.templates[group], &self.templates[other], self.options))
            .collect()
    }

    /// `nodes`, or as many as `max-nodes-total` leaves beside `there`. `None`: none at all.
    fn capped_by_total(&self, nodes: i64, there: i64) -> Option<i64> {
        let most = self.options.max_nodes_total;
        if most > 0 && nodes + there > most {
            let left = most - there;
            return (left >= 1).then_some(left);
        }
        Some(nodes)
    }

    /// How the group and those similar share `nodes`, each within the quotas.
    fn shares(&self, group: usize, nodes: i64, pod_groups: &[PodGroup], quotas: &mut Quotas) -> Vec<Resize> {
        let allowed = quotas.allowed(&self.templates[group].node, group, nodes);
        let mut sharing = vec![group];
        for other in self.similar_groups(group, pod_groups) {
            if quotas.allowed(&self.templates[other].node, other, 1) == 1 {
                sharing.push(other);
            }
        }
        let sizes: Vec<(usize, i64, i64)> =
            sharing.iter().map(|&it| (it, self.target_sizes[it], self.groups[it].max_size)).collect();
        let mut resizes = balance(&sizes, allowed);
        for resize in &mut resizes {
            let template = &self.templates[resize.group].node;
            let share = quotas.allowed(template, resize.group, resize.to - resize.from);
            resize.to = resize.from + share;
            quotas.take(template, resize.group, share);
        }
        resizes.retain(|resize| resize.to != resize.from);
        resizes
    }

    /// Orders the nodes, group by group. After the first refusal nothing more is ordered; its place is returned.
    fn carry_out(&mut self, resizes: &[Resize]) -> Result<(), usize> {
        for (place, resize) in resizes.iter().enumerate() {
            let by = resize.to - resize.from;
            if self.cloud.increase_size(&self.groups[resize.group].name, by).is_err() {
                self.cluster_state.backoff.note_failure(resize.group, self.now);
                return Err(place);
            }
            self.target_sizes[resize.group] = resize.to;
            self.last_scale_ups[resize.group] = Some(self.now);
            self.cluster_state.note_scale_up(resize.group, by, self.now);
        }
        Ok(())
    }

    fn increases(&self, resizes: &[Resize]) -> Vec<SizeIncrease> {
        resizes
            .iter()
            .map(|resize| SizeIncrease {
                node_group: self.groups[resize.group].name.clone(),
                from: resize.from,
                to: resize.to,
            })
            .collect()
    }

    fn named(&self, option: &ScaleUpOption<'_>) -> ExpansionOption {
        ExpansionOption {
            node_group: self.groups[option.group].name.clone(),
            nodes: option.nodes,
            pods: option.pods.iter().map(|pod| key(pod)).collect(),
            similar: option.similar.iter().map(|&group| self.groups[group].name.clone()).collect(),
        }
    }
}

fn report(
    result: ScaleUpResult,
    options: Vec<ExpansionOption>,
    helped: Vec<Str>,
    pod_groups: &[PodGroup],
) -> ScaleUpReport {
    let unschedulable = pod_groups
        .iter()
        .filter(|pod_group| !pod_group.schedulable)
        .flat_map(|pod_group| &pod_group.pods)
        .map(|pod| key(pod))
        .collect();
    let mut report = ScaleUpReport { options, helped, unschedulable, ..ScaleUpReport::of(result) };
    report.sort();
    report
}
