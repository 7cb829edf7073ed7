//! Volumes: where a pod's claims can be reached, and how many a node can attach ("Storage Classes", "Node-specific Volume
//! Limits").
//!
//! Looser than Kubernetes: the hostname that a local volume names is not asked for, since a pod that moves to a new node
//! cannot keep it; terms without expressions ask for nothing.

use crate::selectors::expressions;
use karpsim::kubernetes::labels::HOSTNAME;
use karpsim::model::core::{NodeSelectorRequirement, PersistentVolumeClaimSpec, Pod};
use karpsim::model::meta::Operator;
use karpsim::scenario::Scenario;
use std::collections::BTreeSet;

type Terms = Vec<Vec<NodeSelectorRequirement>>;

/// The claims of a pod: their names and what they ask for.
fn claims<'a>(scenario: &'a Scenario, pod: &'a Pod) -> Vec<(String, &'a PersistentVolumeClaimSpec)> {
    let named = |name: &str| {
        let mut all = scenario.objects.persistent_volume_claims.iter();
        all.find(|claim| claim.metadata.namespace == pod.metadata.namespace && claim.metadata.name == name)
    };
    let volumes = pod.spec.volumes.iter().filter_map(|volume| {
        let name = match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(source), _) => source.claim_name.to_string(),
            (None, Some(_)) => format!("{}-{}", pod.metadata.name, volume.name),
            (None, None) => return None,
        };
        let template = volume.ephemeral.as_ref().and_then(|it| it.volume_claim_template.as_ref());
        let spec = named(&name).map(|claim| &claim.spec).or(template.map(|template| &template.spec))?;
        Some((format!("{}/{name}", pod.metadata.namespace), spec))
    });
    volumes.collect()
}

/// For each claim of the pod that is particular about nodes: terms of which one must hold.
pub(crate) fn asked(scenario: &Scenario, pod: &Pod) -> Vec<Terms> {
    let of_claim = |claim: &PersistentVolumeClaimSpec| -> Terms {
        if !claim.volume_name.is_empty() {
            let mut volumes = scenario.objects.persistent_volumes.iter();
            let Some(volume) = volumes.find(|volume| volume.metadata.name == claim.volume_name) else {
                return Terms::new();
            };
            let is_local = volume.spec.local.is_some() || volume.spec.host_path.is_some();
            let required = volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
            return required
                .iter()
                .flat_map(|required| required.node_selector_terms.iter().map(expressions))
                .filter(|term| !term.is_empty())
                .map(|term| term.into_iter().filter(|it| !(is_local && it.key == HOSTNAME)).collect())
                .collect();
        }
        let class = claim.storage_class_name.as_ref();
        let mut classes = scenario.objects.storage_classes.iter();
        let Some(class) = classes.find(|it| Some(&it.metadata.name) == class) else { return Terms::new() };
        let of_term = |it: &karpsim::model::core::TopologySelectorTerm| -> Vec<NodeSelectorRequirement> {
            let one =
                |label: &karpsim::model::core::TopologySelectorLabelRequirement| NodeSelectorRequirement {
                    key: label.key.clone(),
                    operator: Some(Operator::In),
                    values: label.values.clone(),
                    ..NodeSelectorRequirement::default()
                };
            it.match_label_expressions.iter().map(one).collect()
        };
        class.allowed_topologies.iter().map(of_term).filter(|term| !term.is_empty()).collect()
    };
    claims(scenario, pod).iter().map(|(_, claim)| of_claim(claim)).filter(|terms| !terms.is_empty()).collect()
}

/// The driver of a claim's volume. Volumes of the former in-tree driver of AWS are attached by its CSI driver.
fn driver(scenario: &Scenario, claim: &PersistentVolumeClaimSpec) -> Option<String> {
    let of_volume = |name: &str| {
        let volume =
            scenario.objects.persistent_volumes.iter().find(|volume| volume.metadata.name == name)?;
        match (&volume.spec.csi, &volume.spec.aws_elastic_block_store) {
            (Some(csi), _) => Some(csi.driver.to_string()),
            (None, Some(_)) => Some("ebs.csi.aws.com".to_owned()),
            (None, None) => None,
        }
    };
    if !claim.volume_name.is_empty() {
        return of_volume(&claim.volume_name);
    }
    let class = claim.storage_class_name.as_ref()?;
    let class = scenario.objects.storage_classes.iter().find(|it| it.metadata.name == *class)?;
    Some(if class.provisioner == "kubernetes.io/aws-ebs" {
        "ebs.csi.aws.com".into()
    } else {
        class.provisioner.to_string()
    })
}

/// A driver of which `node` would have to attach more volumes than it can, for the sake of `newcomers`.
pub(crate) fn over_limit(
    scenario: &Scenario,
    node: &str,
    residents: &[&Pod],
    newcomers: &[&Pod],
) -> Option<String> {
    let limits = scenario.objects.csi_nodes.iter().find(|it| it.metadata.name == node)?;
    let attached = |pods: &[&Pod], of: &str| -> BTreeSet<String> {
        let all = pods.iter().flat_map(|pod| claims(scenario, pod));
        all.filter(|(_, claim)| driver(scenario, claim).as_deref() == Some(of))
            .map(|(name, _)| name)
            .collect()
    };
    limits.spec.drivers.iter().find_map(|entry| {
        let limit = usize::try_from(entry.allocatable.as_ref()?.count?).unwrap_or(0);
        let before = attached(residents, &entry.name);
        let after = &before | &attached(newcomers, &entry.name);
        (after.len() > before.len() && after.len() > limit)
            .then(|| format!("{} volumes of {}, limit {limit}", after.len(), entry.name))
    })
}
