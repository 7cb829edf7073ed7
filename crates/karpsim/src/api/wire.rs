//! How objects are read: one pass over the text, straight into the fields that decide.
//!
//! `wire!` declares a struct together with three lists of JSON names: the fields that are kept, those that are known
//! and have no bearing on a decision (`passed`), and those that have a bearing which karpsim does not model
//! (`unmodelled`). A name in none of the lists, or in the last, is remembered in [`Leftover`], so that the door can
//! report it with its path, once, without a second pass over the text.

use compact_str::CompactString;
use std::hash::{Hash, Hasher};

/// A field that was in the text and is not in the struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftoverField {
    /// The JSON name as found.
    pub name: CompactString,
    /// Known to Kubernetes and of consequence for a decision, but not modelled. Otherwise: not known at all.
    pub unmodelled: bool,
}

/// The fields of one JSON object that did not find a place. Takes no part in comparisons: two objects that differ only
/// here decide alike.
#[derive(Debug, Clone, Default)]
pub struct Leftover(
    // A list behind a pointer: nearly every object has none, and every object has the place for it.
    #[allow(clippy::box_collection)] Option<Box<Vec<LeftoverField>>>,
);

impl Leftover {
    /// Notes a field.
    pub fn push(&mut self, field: LeftoverField) {
        self.0.get_or_insert_default().push(field);
    }

    /// The fields, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &LeftoverField> {
        self.0.iter().flat_map(|fields| fields.iter())
    }
}

impl PartialEq for Leftover {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Leftover {}
impl Hash for Leftover {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What [`Audit`] finds.
pub trait Sink {
    /// A field without a place. `path` leads to the object that holds it (`spec.containers[0]`), `known` are the
    /// names that the object could have had.
    fn leftover(&mut self, path: &Path<'_>, field: &LeftoverField, known: &'static [&'static str]);
}

/// A path into an object, as a list that grows on the stack.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The path of the object itself.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// One field further.
    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// One list element further.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            match self.step {
                Step::Root => Ok(()),
                Step::Field(name) if matches!(parent.step, Step::Root) => f.write_str(name),
                Step::Field(name) => write!(f, ".{name}"),
                Step::Index(index) => write!(f, "[{index}]"),
            }
        } else {
            Ok(())
        }
    }
}

/// Something that may hold fields without a place, itself or further down.
pub trait Audit {
    /// Reports every field without a place to `sink`.
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink);
}

impl<T: Audit> Audit for Vec<T> {
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink) {
        for (index, element) in self.iter().enumerate() {
            element.audit(&path.index(index), sink);
        }
    }
}

impl<T: Audit> Audit for Option<T> {
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink) {
        if let Some(inner) = self {
            inner.audit(path, sink);
        }
    }
}

impl<T: Audit> Audit for std::sync::Arc<T> {
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink) {
        (**self).audit(path, sink);
    }
}

impl<T: Audit> Audit for Box<T> {
    fn audit(&self, path: &Path<'_>, sink: &mut dyn Sink) {
        (**self).audit(path, sink);
    }
}

/// Types that hold nothing further: [`Audit`] ends here. After `=>` stands their JSON Schema; without it, any value.
macro_rules! leaf {
    ($($ty:ty),* $(,)?) => { $($crate::api::wire::leaf!($ty => "true");)* };
    ($ty:ty => $schema:expr) => {
        impl $crate::api::wire::Audit for $ty {
            fn audit(&self, _: &$crate::api::wire::Path<'_>, _: &mut dyn $crate::api::wire::Sink) {}
        }
        impl $crate::api::schema::Describe for $ty {
            fn describe(_: &mut $crate::api::schema::Definitions) -> serde_json::Value {
                $crate::api::schema::parse($schema)
            }
        }
    };
}
pub(crate) use leaf;

leaf!(CompactString => r#"{"type": "string"}"#);
leaf!(bool => r#"{"type": "boolean"}"#);
leaf!(i32 => r#"{"type": "integer"}"#);
leaf!(i64 => r#"{"type": "integer"}"#);
leaf!(u32 => r#"{"type": "integer", "minimum": 0}"#);
leaf!(u64 => r#"{"type": "integer", "minimum": 0}"#);
leaf!(f64 => r#"{"type": "number"}"#);

/// Declares a struct that is read from a JSON object. See the module's head.
macro_rules! wire {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident : $ty:ty = $key:literal, )*
        }
        passed { $($passed:literal),* $(,)? }
        unmodelled { $($unmodelled:literal),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $ty, )*
            /// Fields of the text that have no place here.
            pub leftover: $crate::api::wire::Leftover,
        }

        impl $name {
            /// The JSON names that this object can have.
            pub const NAMES: &'static [&'static str] = &[$($key,)* $($passed,)* $($unmodelled,)*];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, dead_code)]
                enum Name { $($field,)* Passed_, Leftover_($crate::api::wire::LeftoverField) }
                impl<'de> serde::Deserialize<'de> for Name {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        struct NameVisitor;
                        impl serde::de::Visitor<'_> for NameVisitor {
                            type Value = Name;
                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("a field name")
                            }
                            fn visit_str<E: serde::de::Error>(self, json_name: &str) -> Result<Name, E> {
                                Ok(match json_name {
                                    $($key => Name::$field,)*
                                    $($passed => Name::Passed_,)*
                                    $($unmodelled => Name::Leftover_($crate::api::wire::LeftoverField {
                                        name: json_name.into(), unmodelled: true,
                                    }),)*
                                    _ => Name::Leftover_($crate::api::wire::LeftoverField {
                                        name: json_name.into(), unmodelled: false,
                                    }),
                                })
                            }
                        }
                        deserializer.deserialize_identifier(NameVisitor)
                    }
                }
                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut object = $name::default();
                        while let Some(json_name) = map.next_key::<Name>()? {
                            match json_name {
                                $(Name::$field => {
                                    object.$field = map.next_value::<Option<$ty>>()?.unwrap_or_default();
                                })*
                                Name::Passed_ => { map.next_value::<serde::de::IgnoredAny>()?; }
                                Name::Leftover_(field) => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                    object.leftover.push(field);
                                }
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(ObjectVisitor)
            }
        }

        impl $crate::api::wire::Audit for $name {
            fn audit(&self, path: &$crate::api::wire::Path<'_>, sink: &mut dyn $crate::api::wire::Sink) {
                for field in self.leftover.iter() {
                    sink.leftover(path, field, Self::NAMES);
                }
                $( $crate::api::wire::Audit::audit(&self.$field, &path.field($key), sink); )*
            }
        }

        impl $crate::api::schema::Describe for $name {
            fn describe(definitions: &mut $crate::api::schema::Definitions) -> serde_json::Value {
                definitions.object(stringify!($name), module_path!(), stringify!($(#[$meta])*), |_definitions| {
                    let mut shape = $crate::api::schema::Shape::default();
                    $(
                        let value = <$ty as $crate::api::schema::Describe>::describe(_definitions);
                        shape.field($key, stringify!($(#[$field_meta])*), value);
                    )*
                    $(shape.passed($passed);)*
                    $(shape.unmodelled($unmodelled);)*
                    shape
                })
            }
        }
    };
}
pub(crate) use wire;
