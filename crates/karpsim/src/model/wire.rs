//! How objects are read: one pass over the text, straight into the fields that decide.
//!
//! `wire!` declares a struct together with three lists of JSON names: the fields that are kept, those that are known
//! and have no bearing on a decision (`passed`), and those that have a bearing which karpsim does not model
//! (`unmodelled`). A name in none of the lists, or in the last, is remembered in [`Leftover`], so that the door can
//! report it with its path, once, without a second pass over the text.

use compact_str::CompactString;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

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

/// Something that can be the value of a field.
///
/// As serde's `Deserialize`, but read where it is to stand: objects are large, and moving them about costs more than
/// reading them.
pub trait Field: Sized {
    /// Reads a value that is not null.
    ///
    /// # Errors
    ///
    /// If it is not of this type.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Reads a value that is not null into one that stands at its default.
    ///
    /// # Errors
    ///
    /// If it is not of this type.
    fn read_into<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        *self = Self::read(deserializer)?;
        Ok(())
    }
}

impl<T: Field> Field for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Some)
    }
}

impl<T: Field> Field for Box<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Box::new)
    }
}

impl<T: Field + Default> Field for std::sync::Arc<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut shared = Self::default();
        // Nobody else has it yet, so there is nothing to copy.
        std::sync::Arc::get_mut(&mut shared).map_or(Ok(()), |place| place.read_into(deserializer))?;
        Ok(shared)
    }
}

impl<T: Field> Field for Vec<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);
        impl<'de, T: Field> Visitor<'de> for ListVisitor<T> {
            type Value = Vec<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sequence")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element_seed(Element(PhantomData))? {
                    if list.is_empty() {
                        // Most lists have one element, and some elements are large.
                        list.reserve_exact(1);
                    }
                    list.push(element);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// An element of a list.
struct Element<T>(PhantomData<T>);

impl<'de, T: Field> DeserializeSeed<'de> for Element<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}

/// Reads a field where it stands. Null leaves it as it is.
pub struct Place<'a, T>(pub &'a mut T);

impl<'de, T: Field> DeserializeSeed<'de> for Place<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, T: Field> Visitor<'de> for Place<'_, T> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("option")
    }
    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.read_into(deserializer)
    }
}

/// Types that hold nothing further: [`Audit`] ends here. After `=>` stands their JSON Schema; without it, any value.
macro_rules! leaf {
    ($($ty:ty),* $(,)?) => { $($crate::model::wire::leaf!($ty => "true");)* };
    ($ty:ty => $schema:expr) => {
        impl $crate::model::wire::Audit for $ty {
            fn audit(&self, _: &$crate::model::wire::Path<'_>, _: &mut dyn $crate::model::wire::Sink) {}
        }
        impl $crate::model::wire::Field for $ty {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(deserializer)
            }
        }
        impl $crate::model::schema::Describe for $ty {
            fn describe(_: &mut $crate::model::schema::Definitions) -> serde_json::Value {
                $crate::model::schema::parse($schema)
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
            pub leftover: $crate::model::wire::Leftover,
        }

        impl $name {
            /// The JSON names that this object can have.
            pub const NAMES: &'static [&'static str] = &[$($key,)* $($passed,)* $($unmodelled,)*];
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::model::wire::Field::read(deserializer)
            }
        }

        impl $crate::model::wire::Field for $name {
            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut object = $name::default();
                $crate::model::wire::Field::read_into(&mut object, deserializer)?;
                Ok(object)
            }

            fn read_into<'de, D: serde::Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                #[allow(non_camel_case_types, dead_code)]
                #[derive(Clone, Copy)]
                enum Name { $($field,)* Passed_, Unmodelled_, Unknown_ }
                struct Key(Name, $crate::model::meta::Str);
                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                        struct KeyVisitor;
                        impl serde::de::Visitor<'_> for KeyVisitor {
                            type Value = Key;
                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("a field name")
                            }
                            fn visit_str<E: serde::de::Error>(self, json_name: &str) -> Result<Key, E> {
                                let which = match json_name {
                                    $($key => Name::$field,)*
                                    $($passed => Name::Passed_,)*
                                    $($unmodelled => Name::Unmodelled_,)*
                                    _ => Name::Unknown_,
                                };
                                let found = match which {
                                    Name::Unmodelled_ | Name::Unknown_ => json_name.into(),
                                    _ => $crate::model::meta::Str::default(),
                                };
                                Ok(Key(which, found))
                            }
                        }
                        deserializer.deserialize_identifier(KeyVisitor)
                    }
                }
                struct ObjectVisitor<'a>(&'a mut $name);
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor<'_> {
                    type Value = ();
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                        // What was seen of an object is noted in the bits of one word.
                        const { assert!((Name::Unknown_ as u32) < u64::BITS) }
                        let object = self.0;
                        let mut seen = 0_u64;
                        while let Some(Key(which, found)) = map.next_key()? {
                            let bit = 1 << (which as u32);
                            #[allow(unused_variables)] // Not every object has fields.
                            let again = seen & bit != 0;
                            seen |= bit;
                            match which {
                                // Of two fields with one name the last holds.
                                $(Name::$field => {
                                    if again {
                                        object.$field = Default::default();
                                    }
                                    map.next_value_seed($crate::model::wire::Place(&mut object.$field))?;
                                })*
                                Name::Passed_ => { map.next_value::<serde::de::IgnoredAny>()?; }
                                Name::Unmodelled_ | Name::Unknown_ => {
                                    map.next_value::<serde::de::IgnoredAny>()?;
                                    let unmodelled = matches!(which, Name::Unmodelled_);
                                    object.leftover.push($crate::model::wire::LeftoverField { name: found, unmodelled });
                                }
                            }
                        }
                        Ok(())
                    }
                }
                deserializer.deserialize_map(ObjectVisitor(self))
            }
        }

        impl $crate::model::wire::Audit for $name {
            fn audit(&self, path: &$crate::model::wire::Path<'_>, sink: &mut dyn $crate::model::wire::Sink) {
                for field in self.leftover.iter() {
                    sink.leftover(path, field, Self::NAMES);
                }
                $( $crate::model::wire::Audit::audit(&self.$field, &path.field($key), sink); )*
            }
        }

        impl $crate::model::schema::Describe for $name {
            fn describe(definitions: &mut $crate::model::schema::Definitions) -> serde_json::Value {
                definitions.object(stringify!($name), module_path!(), stringify!($(#[$meta])*), |_definitions| {
                    let mut shape = $crate::model::schema::Shape::default();
                    $(
                        let value = <$ty as $crate::model::schema::Describe>::describe(_definitions);
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
