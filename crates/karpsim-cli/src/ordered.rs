//! A result as YAML, in the order in which its JSON has it.

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt::Write;

/// A JSON value whose fields keep their order.
enum Tree {
    Scalar(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// `value` as YAML.
///
/// # Errors
///
/// If it cannot be written as JSON.
pub(crate) fn yaml<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let tree: Tree = serde_json::from_slice(&serde_json::to_vec(value)?)?;
    let mut text = String::new();
    tree.write(&mut text, 0);
    Ok(text)
}

impl Tree {
    /// Writes the value behind a `key:` or `-` that stands in the line already, `indent` deep.
    fn write(&self, text: &mut String, indent: usize) {
        match self {
            Tree::Scalar(scalar) => {
                text.push_str(scalar);
                text.push('\n');
            }
            Tree::List(values) if values.is_empty() => text.push_str("[]\n"),
            Tree::Map(fields) if fields.is_empty() => text.push_str("{}\n"),
            Tree::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    margin(text, indent, index);
                    text.push_str("- ");
                    value.write(text, indent + 2);
                }
            }
            Tree::Map(fields) => {
                for (index, (name, value)) in fields.iter().enumerate() {
                    margin(text, indent, index);
                    text.push_str(&string(name));
                    text.push(':');
                    match value {
                        Tree::Map(inner) if !inner.is_empty() => {
                            text.push('\n');
                            text.push_str(&" ".repeat(indent + 2));
                            value.write(text, indent + 2);
                        }
                        // A list may stand as deep as its key.
                        Tree::List(inner) if !inner.is_empty() => {
                            text.push('\n');
                            text.push_str(&" ".repeat(indent));
                            value.write(text, indent);
                        }
                        _ => {
                            text.push(' ');
                            value.write(text, indent);
                        }
                    }
                }
            }
        }
    }
}

/// The first entry stands where the line is, the others begin one.
fn margin(text: &mut String, indent: usize, index: usize) {
    if index > 0 {
        text.push_str(&" ".repeat(indent));
    }
}

/// A text: bare if every YAML reader takes it for one, else quoted.
fn string(text: &str) -> String {
    let first = text.bytes().next();
    let bare = first.is_some_and(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    if bare {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TreeVisitor;
        impl<'de> Visitor<'de> for TreeVisitor {
            type Value = Tree;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Scalar("null".to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Scalar(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Scalar(
                    serde_json::Number::from_f64(value).map_or("null".to_owned(), |it| it.to_string()),
                ))
            }
            fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Scalar(string(text)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Tree::List(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Tree::Map(fields))
            }
        }
        deserializer.deserialize_any(TreeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::yaml;
    use serde_json::value::RawValue;

    #[test]
    fn yaml_keeps_order_and_meaning() {
        let json = r#"{"kind":"A","b":[{"x":1,"a":[1.5,"2"]},[],{}],"a":{"on":"yes","t":"12:30","n":null,"s":"a: b"},"z":{}}"#;
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let text = yaml(&raw).unwrap();
        assert_eq!(
            text,
            "kind: A\nb:\n- x: 1\n  a:\n  - 1.5\n  - \"2\"\n- []\n- {}\na:\n  \"on\": \"yes\"\n  t: \"12:30\"\n  \"n\": \
             null\n  s: \"a: b\"\nz: {}\n"
        );
        let back = karpsim::yaml::documents(&text).unwrap();
        assert_eq!(back[0].value, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }
}
