//! The objects of a cluster, sorted by kind while they are read.

use super::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, StorageClass,
};
use super::karpenter::{NodeClaim, NodeOverlay, NodePool};
use super::meta::Str;
use super::wire::{Audit, Path, Sink};
use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::sync::Arc;

/// An object of a kind that has no bearing on a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherObject {
    /// Group and version.
    pub api_version: Str,
    /// Kind.
    pub kind: Str,
    /// Where it stood among the objects.
    pub index: usize,
}

/// The objects of a cluster by kind, each in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// `v1` Pod.
    pub pods: Vec<Arc<Pod>>,
    /// `v1` Node.
    pub nodes: Vec<Arc<Node>>,
    /// `karpenter.sh/v1` NodeClaim.
    pub node_claims: Vec<Arc<NodeClaim>>,
    /// `karpenter.sh/v1` NodePool.
    pub node_pools: Vec<NodePool>,
    /// `karpenter.sh/v1alpha1` NodeOverlay.
    pub node_overlays: Vec<NodeOverlay>,
    /// `apps/v1` DaemonSet.
    pub daemon_sets: Vec<DaemonSet>,
    /// `v1` Namespace.
    pub namespaces: Vec<Namespace>,
    /// `v1` PersistentVolume.
    pub persistent_volumes: Vec<PersistentVolume>,
    /// `v1` PersistentVolumeClaim.
    pub persistent_volume_claims: Vec<PersistentVolumeClaim>,
    /// `storage.k8s.io/v1` StorageClass.
    pub storage_classes: Vec<StorageClass>,
    /// `storage.k8s.io/v1` CSINode.
    pub csi_nodes: Vec<CsiNode>,
    /// `policy/v1` PodDisruptionBudget.
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    /// Kinds that decide nothing.
    pub others: Vec<OtherObject>,
    /// How many objects were read, of all kinds.
    pub count: usize,
}

impl Objects {
    /// Reads one object into its place.
    ///
    /// # Errors
    ///
    /// If the object's fields do not have the types of its kind.
    pub fn add<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        ObjectSeed(self).deserialize(deserializer)
    }

    fn add_known<'de, A: MapAccess<'de>>(&mut self, api_version: &str, kind: &str, rest: Rest<A>) -> Result<(), A::Error> {
        macro_rules! read {
            () => {
                Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(rest))?
            };
        }
        let index = self.count;
        self.count += 1;
        match (api_version, kind) {
            ("v1", "Pod") => self.pods.push(Arc::new(read!())),
            ("v1", "Node") => self.nodes.push(Arc::new(read!())),
            ("karpenter.sh/v1", "NodeClaim") => self.node_claims.push(Arc::new(read!())),
            ("karpenter.sh/v1", "NodePool") => self.node_pools.push(read!()),
            ("karpenter.sh/v1alpha1", "NodeOverlay") => self.node_overlays.push(read!()),
            ("apps/v1", "DaemonSet") => self.daemon_sets.push(read!()),
            ("v1", "Namespace") => self.namespaces.push(read!()),
            ("v1", "PersistentVolume") => self.persistent_volumes.push(read!()),
            ("v1", "PersistentVolumeClaim") => self.persistent_volume_claims.push(read!()),
            ("storage.k8s.io/v1", "StorageClass") => self.storage_classes.push(read!()),
            ("storage.k8s.io/v1", "CSINode") => self.csi_nodes.push(read!()),
            ("policy/v1", "PodDisruptionBudget") => self.pod_disruption_budgets.push(read!()),
            _ => {
                let _: serde::de::IgnoredAny = read!();
                self.others.push(OtherObject { api_version: api_version.into(), kind: kind.into(), index });
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = Objects;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of Kubernetes objects")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Objects, A::Error> {
                let mut objects = Objects::default();
                while seq.next_element_seed(ObjectSeed(&mut objects))?.is_some() {}
                Ok(objects)
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ObjectSeed<'a>(&'a mut Objects);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a Kubernetes object")
    }

    /// As a rule `apiVersion` and `kind` come first (kubectl sorts by name); then the rest is read straight into its
    /// struct. Otherwise what comes before them is kept aside.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut api_version, mut kind) = (None::<Str>, None::<Str>);
        let mut aside = serde_json::Map::new();
        while let Some(key) = map.next_key::<Str>()? {
            match key.as_str() {
                "apiVersion" => api_version = Some(map.next_value()?),
                "kind" => kind = Some(map.next_value()?),
                _ => {
                    if let (Some(api_version), Some(kind)) = (&api_version, &kind)
                        && aside.is_empty()
                    {
                        return self.0.add_known(api_version, kind, Rest { first: Some(key), inner: map });
                    }
                    aside.insert(key.to_string(), map.next_value()?);
                }
            }
        }
        let api_version = api_version.ok_or_else(|| A::Error::missing_field("apiVersion"))?;
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        aside.insert("apiVersion".into(), api_version.as_str().into());
        aside.insert("kind".into(), kind.as_str().into());
        let rest = serde::de::value::MapDeserializer::new(aside.into_iter());
        self.0.add_known(&api_version, &kind, Rest { first: None, inner: rest }).map_err(A::Error::custom)
    }
}

/// What is left of a map whose next key was already read.
struct Rest<A> {
    first: Option<Str>,
    inner: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<A> {
    type Error = A::Error;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(key) => {
                let key: StrDeserializer<'_, A::Error> = key.as_str().into_deserializer();
                seed.deserialize(key).map(Some)
            }
            None => self.inner.next_key_seed(seed),
        }
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

impl Audit for Objects {
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink) {
        fn each<'a, T: Audit + 'a>(kind: &str, all: impl Iterator<Item = &'a T>, path: &Path<'_>, sink: &mut dyn Sink) {
            for (index, object) in all.enumerate() {
                object.audit(&path.field(kind).index(index), sink);
            }
        }
        each("Pod", self.pods.iter().map(|pod| &**pod), path, sink);
        each("Node", self.nodes.iter().map(|node| &**node), path, sink);
        each("NodeClaim", self.node_claims.iter().map(|claim| &**claim), path, sink);
        each("NodePool", self.node_pools.iter(), path, sink);
        each("NodeOverlay", self.node_overlays.iter(), path, sink);
        each("DaemonSet", self.daemon_sets.iter(), path, sink);
        each("Namespace", self.namespaces.iter(), path, sink);
        each("PersistentVolume", self.persistent_volumes.iter(), path, sink);
        each("PersistentVolumeClaim", self.persistent_volume_claims.iter(), path, sink);
        each("StorageClass", self.storage_classes.iter(), path, sink);
        each("CSINode", self.csi_nodes.iter(), path, sink);
        each("PodDisruptionBudget", self.pod_disruption_budgets.iter(), path, sink);
    }
}
