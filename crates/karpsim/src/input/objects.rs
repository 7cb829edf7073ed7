//! Lists of objects, sorted by kind while they are read.

use super::convert;
use super::located::Located;
use crate::model::meta::Str;
use crate::model::objects::{Objects, OtherObject};
use crate::model::wire::Field;
use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

impl Objects {
    /// Reads one object into its place.
    ///
    /// # Errors
    ///
    /// If the object's fields do not have the types of its kind.
    pub fn add<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        ObjectSeed { objects: self, of: None }.deserialize(deserializer)
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
            ("v1", "Service") => self.services.push(read!()),
            ("v1", "ReplicationController") => self.replication_controllers.push(read!()),
            ("apps/v1", "ReplicaSet") => self.replica_sets.push(read!()),
            ("apps/v1", "StatefulSet") => self.stateful_sets.push(read!()),
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
            if let Err(fault) = self.add(Located(&object)) {
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
