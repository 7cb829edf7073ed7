//! The objects of a cluster, sorted by kind while they are read.

use super::convert;
use super::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use super::karpenter::{NodeClaim, NodeOverlay, NodePool};
use super::meta::Str;
use super::problem::{Notice, Problem};
use super::wire::{Audit, Field, Path, Sink};
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
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
    /// What was not carried over from objects of older forms.
    pub notices: Vec<Notice>,
    /// Objects of older forms that could not be converted.
    pub problems: Vec<Problem>,
}

impl Objects {
    /// Reads one object into its place.
    ///
    /// # Errors
    ///
    /// If the object's fields do not have the types of its kind.
    pub fn add<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        ObjectSeed { objects: self, of: None }.deserialize(deserializer)
    }

    /// Takes over all of `more`, as if they had stood behind these.
    pub fn append(&mut self, mut more: Objects) {
        self.pods.append(&mut more.pods);
        self.nodes.append(&mut more.nodes);
        self.node_claims.append(&mut more.node_claims);
        self.node_pools.append(&mut more.node_pools);
        self.node_overlays.append(&mut more.node_overlays);
        self.daemon_sets.append(&mut more.daemon_sets);
        self.namespaces.append(&mut more.namespaces);
        self.persistent_volumes.append(&mut more.persistent_volumes);
        self.persistent_volume_claims.append(&mut more.persistent_volume_claims);
        self.storage_classes.append(&mut more.storage_classes);
        self.csi_nodes.append(&mut more.csi_nodes);
        self.pod_disruption_budgets.append(&mut more.pod_disruption_budgets);
        for other in &mut more.others {
            other.index += self.count;
        }
        self.others.append(&mut more.others);
        self.count += more.count;
        self.notices.append(&mut more.notices);
        self.problems.append(&mut more.problems);
    }

    /// Reads the fields of an object, or the items of a list of objects, whose type was read before.
    pub(crate) fn add_known<'de, A: MapAccess<'de>>(
        &mut self,
        api_version: &str,
        kind: &str,
        rest: Rest<A>,
    ) -> Result<(), A::Error> {
        macro_rules! read {
            () => {
                Field::read(serde::de::value::MapAccessDeserializer::new(rest))?
            };
        }
        if let Some(of) = kind.strip_suffix("List") {
            // `v1` List holds objects of any kind; the items of a PodList do not repeat theirs.
            return ListSeed { objects: self, of: (api_version.into(), of.into()) }.read(rest);
        }
        let index = self.count;
        self.count += 1;
        match (api_version, kind) {
            ("v1", "Pod") => self.pods.push(read!()),
            ("v1", "Node") => self.nodes.push(read!()),
            ("karpenter.sh/v1", "NodeClaim") => self.node_claims.push(read!()),
            ("karpenter.sh/v1", "NodePool") => self.node_pools.push(read!()),
            ("karpenter.sh/v1alpha1", "NodeOverlay") => self.node_overlays.push(read!()),
            ("apps/v1", "DaemonSet") => self.daemon_sets.push(read!()),
            ("v1", "Namespace") => self.namespaces.push(read!()),
            ("v1", "PersistentVolume") => self.persistent_volumes.push(read!()),
            ("v1", "PersistentVolumeClaim") => self.persistent_volume_claims.push(read!()),
            ("storage.k8s.io/v1", "StorageClass") => self.storage_classes.push(read!()),
            ("storage.k8s.io/v1", "CSINode") => self.csi_nodes.push(read!()),
            ("policy/v1", "PodDisruptionBudget") => self.pod_disruption_budgets.push(read!()),
            ("karpenter.sh/v1alpha5", "Provisioner") | ("karpenter.sh/v1beta1", "NodePool" | "NodeClaim") => {
                let old = serde::de::value::MapAccessDeserializer::new(rest);
                let mut old = serde_json::Value::deserialize(old)?;
                if let Some(fields) = old.as_object_mut() {
                    fields.insert("apiVersion".into(), api_version.into());
                    fields.insert("kind".into(), kind.into());
                }
                self.add_old(old);
            }
            _ => {
                IgnoredAny::deserialize(serde::de::value::MapAccessDeserializer::new(rest))?;
                self.others.push(OtherObject { api_version: api_version.into(), kind: kind.into(), index });
            }
        }
        Ok(())
    }

    /// Adds what stands for an object of an older form. Its problems are kept with their places, which an error of the
    /// reader could not hold.
    fn add_old(&mut self, old: serde_json::Value) {
        let converted = match convert::convert(old) {
            Ok(converted) => converted,
            Err(problem) => return self.problems.push(problem),
        };
        self.notices.extend(converted.notices);
        let count = self.count;
        for object in converted.objects {
            if let Err(fault) = self.add(super::door::Located(&object)) {
                self.problems.push(fault.in_object(&object));
            }
        }
        self.count = count;
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
                while seq.next_element_seed(ObjectSeed { objects: &mut objects, of: None })?.is_some() {}
                Ok(objects)
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

/// Reads one object; `of` is what it is taken to be where it does not say.
struct ObjectSeed<'a> {
    objects: &'a mut Objects,
    of: Option<&'a (Str, Str)>,
}

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
                        return self.objects.add_known(
                            api_version,
                            kind,
                            Rest { first: Some(key), inner: map },
                        );
                    }
                    aside.insert(key.to_string(), map.next_value()?);
                }
            }
        }
        let (of_version, of_kind) =
            self.of.map_or((None, None), |(version, kind)| (Some(version), Some(kind)));
        let api_version =
            api_version.or(of_version.cloned()).ok_or_else(|| A::Error::missing_field("apiVersion"))?;
        let kind = kind.or(of_kind.cloned()).ok_or_else(|| A::Error::missing_field("kind"))?;
        aside.insert("apiVersion".into(), api_version.as_str().into());
        aside.insert("kind".into(), kind.as_str().into());
        let rest = serde::de::value::MapDeserializer::new(aside.into_iter());
        self.objects
            .add_known(&api_version, &kind, Rest { first: None, inner: rest })
            .map_err(A::Error::custom)
    }
}

/// Reads the `items` of a list.
struct ListSeed<'a> {
    objects: &'a mut Objects,
    of: (Str, Str),
}

impl ListSeed<'_> {
    fn read<'de, A: MapAccess<'de>>(mut self, mut rest: Rest<A>) -> Result<(), A::Error> {
        while let Some(key) = rest.next_key::<Str>()? {
            if key == "items" {
                rest.next_value_seed(&mut self)?;
            } else {
                rest.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut ListSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut ListSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of Kubernetes objects")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let of = (!self.of.1.is_empty()).then_some(&self.of);
        while seq.next_element_seed(ObjectSeed { objects: self.objects, of })?.is_some() {}
        Ok(())
    }
}

/// What is left of a map whose next key was already read.
pub(crate) struct Rest<A> {
    /// That key, if it was not used yet.
    pub(crate) first: Option<Str>,
    /// The map.
    pub(crate) inner: A,
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
        fn each<'a, T: Audit + 'a>(
            kind: &str,
            all: impl Iterator<Item = &'a T>,
            path: &Path<'_>,
            sink: &mut dyn Sink,
        ) {
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
