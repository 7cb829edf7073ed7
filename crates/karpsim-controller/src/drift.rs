//! Whether a NodeClaim is still what its NodePool asks for.

use crate::capacity::value_allowed;
use crate::claim::{Claim, plain};
use crate::names::fnv;
use karpsim::model::core::Taint;
use karpsim::model::karpenter::NodePool;
use karpsim::model::meta::{Labels, Operator, Str};
use std::fmt::Write;

/// The version of the hash, as Karpenter v1 calls it. The hash itself is ours: it is only ever compared with itself.
pub(crate) const HASH_VERSION: &str = "v3";

/// A hash of everything in the NodePool's template but its requirements. Lists count as sets.
pub(crate) fn template_hash(pool: &NodePool) -> Str {
    let template = &pool.spec.template;
    let mut text = String::new();
    let labels = |text: &mut String, labels: &Labels| {
        for (key, value) in labels.iter() {
            let _ = writeln!(text, "{key}={value}");
        }
        text.push('|');
    };
    let taints = |text: &mut String, taints: &[Taint]| {
        let mut words: Vec<String> = taints
            .iter()
            .map(|taint| {
                format!("{}={}:{}", taint.key, taint.value, taint.effect.map_or("", |it| it.as_str()))
            })
            .collect();
        words.sort();
        let _ = write!(text, "{}|", words.join(","));
    };
    labels(&mut text, &template.metadata.labels);
    labels(&mut text, &template.metadata.annotations);
    taints(&mut text, &template.spec.taints);
    taints(&mut text, &template.spec.startup_taints);
    let class = &template.spec.node_class_ref;
    let _ = write!(text, "{}/{}/{}|", class.group, class.kind, class.name);
    let _ = write!(text, "{:?}|", template.spec.termination_grace_period.map(|it| it.nanos));
    let _ = write!(text, "{:?}", template.spec.expire_after.and_then(|it| it.0).map(|it| it.nanos));
    Str::from(fnv(text.bytes()).to_string())
}

/// Why the NodeClaim has drifted, if it has.
pub(crate) fn drifted(claim: &Claim, pool: &NodePool) -> Option<&'static str> {
    let annotations = &claim.object.metadata.annotations;
    if let (Some(hash), Some(HASH_VERSION)) =
        (annotations.get("karpenter.sh/nodepool-hash"), annotations.get("karpenter.sh/nodepool-hash-version"))
        && hash != template_hash(pool)
    {
        return Some("NodePoolDrifted");
    }
    let labels = &claim.object.metadata.labels;
    let fits = pool.spec.template.spec.requirements.iter().map(plain).all(|requirement| {
        let Some(operator) = requirement.operator else { return true };
        match labels.get(&requirement.key) {
            Some(_) if operator == Operator::DoesNotExist => false,
            Some(value) => value_allowed(operator.as_str(), &requirement.values, value),
            None => matches!(operator, Operator::NotIn | Operator::DoesNotExist),
        }
    });
    (!fits).then_some("RequirementsDrifted")
}

#[cfg(test)]
mod tests {
    use super::{drifted, template_hash};
    use crate::claim::Claim;
    use crate::time::Calendar;
    use karpsim::model::karpenter::{NodeClaim, NodePool};
    use std::sync::Arc;

    fn pool(template: &str) -> NodePool {
        serde_json::from_str(&format!(
            r#"{{"metadata": {{"name": "default"}}, "spec": {{"template": {template}}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn the_hash_sees_the_template_but_not_its_requirements() {
        let base = r#"{"metadata": {"labels": {"gen": "one"}}, "spec": {"expireAfter": "720h",
            "taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoSchedule"}],
            "requirements": [{"key": "x", "operator": "In", "values": ["1"]}]}}"#;
        let hash = template_hash(&pool(base));
        for (change, from, to, same) in [
            ("nothing", "720h", "720h", true),
            ("requirements", r#"["1"]"#, r#"["2"]"#, true),
            ("label", "one", "two", false),
            ("expireAfter", "720h", "Never", false),
            ("taint", r#""b""#, r#""c""#, false),
            ("taints in another order", r#""key": "a""#, r#""key": "b""#, false),
        ] {
            assert_eq!(template_hash(&pool(&base.replace(from, to))) == hash, same, "{change}");
        }
        let swapped = base.replace(r#""a""#, "@").replace(r#""b""#, r#""a""#).replace('@', r#""b""#);
        assert_eq!(template_hash(&pool(&swapped)), hash, "lists are sets");
    }

    #[test]
    fn requirements_drift_is_seen_in_the_labels() {
        let claim: NodeClaim = serde_json::from_str(
            r#"{"metadata": {"name": "default-1", "labels": {"node.kubernetes.io/instance-type": "m5.large", "cpu": "4"}}}"#,
        )
        .unwrap();
        let claim = Claim::found(Arc::new(claim), &Calendar::new("2026-01-01T00:00:00Z".parse().unwrap()));
        for (requirement, reason) in [
            (
                r#"{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.large"]}"#,
                None,
            ),
            (
                r#"{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["c5.large"]}"#,
                Some("RequirementsDrifted"),
            ),
            (r#"{"key": "cpu", "operator": "Gt", "values": ["3"]}"#, None),
            (r#"{"key": "cpu", "operator": "Lt", "values": ["4"]}"#, Some("RequirementsDrifted")),
            (r#"{"key": "team", "operator": "Exists"}"#, Some("RequirementsDrifted")),
            (r#"{"key": "team", "operator": "DoesNotExist"}"#, None),
            (r#"{"key": "cpu", "operator": "DoesNotExist"}"#, Some("RequirementsDrifted")),
        ] {
            let pool = pool(&format!(r#"{{"spec": {{"requirements": [{requirement}]}}}}"#));
            assert_eq!(drifted(&claim, &pool), reason, "{requirement}");
        }
    }
}
