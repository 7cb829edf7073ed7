//! A NodeClaim and what Karpenter remembers of it.

use crate::drift;
use crate::time::{Calendar, Nanos};
use karpsim::decision::NewNodeClaim;
use karpsim::model::core::NodeSelectorRequirement;
use karpsim::model::karpenter::{NodeClaim, NodeClaimSpec, NodePool, RequirementWithMinValues};
use karpsim::model::meta::{
    Condition, Duration, NillableDuration, ObjectMeta, Operator, OwnerReference, Str, Time,
};
use std::sync::Arc;

pub(crate) const NODE_POOL: &str = "karpenter.sh/nodepool";
const HASH: &str = "karpenter.sh/nodepool-hash";
const HASH_VERSION: &str = "karpenter.sh/nodepool-hash-version";

/// A NodeClaim and what Karpenter remembers of it.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// As the API server has it.
    pub(crate) object: Arc<NodeClaim>,
    /// Its NodePool.
    pub(crate) pool: Str,
    /// Resources that its pods and daemons asked for; its node must have registered them all.
    pub(crate) requested: Vec<Str>,
    /// Pods that it was made for.
    pub(crate) planned_pods: Vec<Str>,
    /// When it was made.
    pub(crate) created: Nanos,
    /// When an instance ran for it.
    pub(crate) launched: Option<Nanos>,
    /// When its node was there.
    pub(crate) registered: Option<Nanos>,
    /// When its node could take pods.
    pub(crate) initialized: Option<Nanos>,
    /// `lastPodEventTime`, as it was written.
    pub(crate) last_pod_event: Option<Nanos>,
    /// When it was told to go.
    pub(crate) deleting: Option<Nanos>,
    /// Until when a pod is expected on it.
    pub(crate) nominated_until: Nanos,
    /// A command will remove it.
    pub(crate) marked: bool,
    /// Since when no pod that counts is on it.
    pub(crate) empty_since: Option<Nanos>,
}

impl Claim {
    /// The NodeClaim that `pool` makes for `wanted`, called `name`.
    pub(crate) fn new(
        name: &Str,
        wanted: &NewNodeClaim,
        pool: &NodePool,
        calendar: &Calendar,
        now: Nanos,
    ) -> Claim {
        let template = &pool.spec.template;
        let mut metadata = ObjectMeta {
            name: name.clone(),
            uid: Str::from(format!("nodeclaim-{name}")),
            creation_timestamp: Some(calendar.stamp(now)),
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.clone(),
            ..ObjectMeta::default()
        };
        let class = &template.spec.node_class_ref;
        metadata.labels.insert(NODE_POOL, pool.metadata.name.clone());
        metadata
            .labels
            .insert(Str::from(format!("{}/{}", class.group, class.kind.to_lowercase())), class.name.clone());
        metadata.annotations.insert(HASH, drift::template_hash(pool));
        metadata.annotations.insert(HASH_VERSION, drift::HASH_VERSION);
        metadata.owner_references.push(OwnerReference {
            api_version: "karpenter.sh/v1".into(),
            kind: "NodePool".into(),
            name: pool.metadata.name.clone(),
            uid: pool.metadata.uid.clone(),
            ..OwnerReference::default()
        });
        let mut requirements: Vec<RequirementWithMinValues> = wanted
            .requirements
            .iter()
            .map(|requirement| RequirementWithMinValues {
                key: requirement.key.clone(),
                operator: operator(requirement.operator),
                values: requirement.values.clone(),
                min_values: requirement.min_values.map(i64::from),
                ..RequirementWithMinValues::default()
            })
            .collect();
        if !wanted.instance_types.is_empty()
            && requirements.iter().all(|it| it.key != crate::capacity::INSTANCE_TYPE)
        {
            requirements.push(RequirementWithMinValues {
                key: crate::capacity::INSTANCE_TYPE.into(),
                operator: Some(Operator::In),
                values: wanted.instance_types.to_vec(),
                ..RequirementWithMinValues::default()
            });
        }
        let spec = NodeClaimSpec {
            taints: template.spec.taints.clone(),
            startup_taints: template.spec.startup_taints.clone(),
            requirements,
            node_class_ref: class.clone(),
            termination_grace_period: template.spec.termination_grace_period,
            expire_after: template.spec.expire_after,
            ..NodeClaimSpec::default()
        };
        Claim {
            object: Arc::new(NodeClaim { metadata, spec, ..NodeClaim::default() }),
            pool: pool.metadata.name.clone(),
            requested: wanted
                .requests
                .iter()
                .filter(|(_, it)| !it.is_zero())
                .map(|(name, _)| name.clone())
                .collect(),
            planned_pods: wanted.pods.clone(),
            created: now,
            launched: None,
            registered: None,
            initialized: None,
            last_pod_event: None,
            deleting: None,
            nominated_until: Nanos::MIN,
            marked: false,
            empty_since: None,
        }
    }

    /// A NodeClaim that was there before.
    pub(crate) fn found(object: Arc<NodeClaim>, calendar: &Calendar) -> Claim {
        let since = |time: Option<Time>| time.map(|time| calendar.since_start(time));
        let reached = |kind: &str| {
            karpsim::model::meta::condition(&object.status.conditions, kind)
                .filter(|condition| condition.status == "True")
                .map(|condition| since(condition.last_transition_time).unwrap_or(0))
        };
        let launched = (!object.status.provider_id.is_empty()).then(|| reached("Launched").unwrap_or(0));
        Claim {
            pool: object.metadata.labels.get(NODE_POOL).unwrap_or_default().into(),
            requested: Vec::new(),
            planned_pods: Vec::new(),
            created: since(object.metadata.creation_timestamp).unwrap_or(0),
            launched,
            registered: reached("Registered"),
            initialized: reached("Initialized"),
            last_pod_event: since(object.status.last_pod_event_time),
            deleting: since(object.metadata.deletion_timestamp),
            nominated_until: Nanos::MIN,
            marked: false,
            empty_since: None,
            object,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &Str {
        &self.object.metadata.name
    }

    /// The name of its node, once that is registered.
    pub(crate) fn node(&self) -> Option<&Str> {
        Some(&self.object.status.node_name).filter(|name| !name.is_empty())
    }

    /// How decisions call it: as its node; as itself, until that is registered.
    pub(crate) fn state_name(&self) -> &Str {
        self.node().unwrap_or_else(|| self.name())
    }

    /// How the cloud calls its instance, once that runs.
    pub(crate) fn provider_id(&self) -> Option<&Str> {
        Some(&self.object.status.provider_id).filter(|id| !id.is_empty())
    }

    /// When it is too old, if ever.
    pub(crate) fn expires(&self, calendar: &Calendar) -> Option<Nanos> {
        match self.object.spec.expire_after {
            Some(NillableDuration(Some(Duration { nanos }))) => {
                Some(calendar.cut(self.created).saturating_add(nanos))
            }
            _ => None,
        }
    }

    /// When its drain must be over, if it is limited.
    pub(crate) fn termination_deadline(&self, calendar: &Calendar) -> Option<Nanos> {
        let grace = self.object.spec.termination_grace_period?;
        Some(calendar.cut(self.deleting?).saturating_add(grace.nanos))
    }

    /// Whether its condition `kind` is `True`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        karpsim::model::meta::condition_is_true(&self.object.status.conditions, kind)
    }

    /// Sets a condition to `True`; `false` if nothing changed.
    pub(crate) fn set_true(&mut self, kind: &'static str, reason: &'static str, stamp: Time) -> bool {
        let conditions = &self.object.status.conditions;
        if conditions.iter().any(|it| it.kind == kind && it.status == "True" && it.reason == reason) {
            return false;
        }
        let conditions = &mut Arc::make_mut(&mut self.object).status.conditions;
        let place = match conditions.iter().position(|it| it.kind == kind) {
            Some(place) => place,
            None => {
                conditions.push(Condition { kind: kind.into(), ..Condition::default() });
                conditions.len() - 1
            }
        };
        let condition = &mut conditions[place];
        if condition.status != "True" {
            condition.last_transition_time = Some(stamp);
        }
        condition.status = "True".into();
        condition.reason = reason.into();
        true
    }

    /// Takes a condition away; `false` if there was none.
    pub(crate) fn clear(&mut self, kind: &str) -> bool {
        if self.object.status.conditions.iter().all(|it| it.kind != kind) {
            return false;
        }
        Arc::make_mut(&mut self.object).status.conditions.retain(|it| it.kind != kind);
        true
    }
}

fn operator(word: &str) -> Option<Operator> {
    use Operator::{DoesNotExist, Exists, Gt, Gte, In, Lt, Lte, NotIn};
    [In, NotIn, Exists, DoesNotExist, Gt, Lt, Gte, Lte].into_iter().find(|operator| operator.as_str() == word)
}

/// A NodePool's requirements without `minValues`.
pub(crate) fn plain(requirement: &RequirementWithMinValues) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: requirement.key.clone(),
        operator: requirement.operator,
        values: requirement.values.clone(),
        ..NodeSelectorRequirement::default()
    }
}
