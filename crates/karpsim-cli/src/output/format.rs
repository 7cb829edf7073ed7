//! Output formats, and what is shared by all results in them.

use crate::failure::Failure;
use clap::ValueEnum;
use serde::Serialize;

/// The version of results that are JSON or YAML.
pub(crate) const API_VERSION: &str = "karpsim.dev/v1alpha1";

/// Formats of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables
    Table,
    /// JSON
    Json,
    /// YAML
    Yaml,
}

impl Format {
    /// `value` in this format; `table` makes the table.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) fn render<T: Serialize>(
        self,
        value: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<String, Failure> {
        match self {
            Format::Table => Ok(table(value)),
            Format::Json => json(value),
            Format::Yaml => yaml(value),
        }
    }
}

/// Formats of a list of instance types or prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table
    Table,
    /// A table with all columns
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Comma-separated values, plain numbers
    Csv,
    /// Names only
    Name,
    /// KWOK's instance types file
    Kwok,
}

/// A value as JSON with line breaks.
///
/// # Errors
///
/// If it has no such form.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| unwritable(&error))
}

/// A value as YAML, its fields in the order in which JSON has them. One line a text, so that it can be searched.
///
/// # Errors
///
/// If it has no such form.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).map_err(|error| unwritable(&error))
}

/// Comma-separated values under a heading.
///
/// # Errors
///
/// If they have no such form.
pub(crate) fn csv(heading: &[&str], rows: &[Vec<String>]) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(heading)
        .and_then(|()| rows.iter().try_for_each(|row| writer.write_record(row)))
        .map_err(|error| unwritable(&error))?;
    let bytes = writer.into_inner().map_err(|error| unwritable(error.error()))?;
    String::from_utf8(bytes).map_err(|error| unwritable(&error))
}

fn unwritable(error: &dyn std::error::Error) -> Failure {
    Failure::resources(format!("cannot write the result: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{csv, yaml};
    use serde::Serialize;
    use serde_json::{Value, json};

    #[test]
    fn yaml_keeps_the_order_of_fields() {
        #[derive(Serialize)]
        struct Node {
            name: &'static str,
            cost: f64,
            at: f64,
            pods: Vec<&'static str>,
            labels: Vec<String>,
        }
        let node = Node { name: "b: c", cost: 40.0, at: 0.526, pods: vec!["x", "12:30"], labels: vec![] };
        assert_eq!(
            yaml(&node).unwrap(),
            "name: \"b: c\"\ncost: 40.0\nat: 0.526\npods:\n- x\n- \"12:30\"\nlabels: []\n"
        );
    }

    #[test]
    fn yaml_is_read_as_what_it_was() {
        let long = "a long text of many words that is not folded, ".repeat(4);
        let value = json!({
            "texts": ["yes", "no", "on", "y", "null", "~", "true", "1e3", "0x10", "012", "1_000", ".5", "12:30", "2026-01-05",
                "", " a", "a ", "a: b", "a #b", "- a", "? a", "*a", "&a", "!a", "%a", "@a", "`a", "{a", "[a", "a]", "'a'", "\"a\"",
                "a\\b", "a\nb", "a\tb", "é", "…", long],
            "numbers": [0, -1, 1.5, 1e300, 1e-7, 0.1, 40.5, i64::MAX, u64::MAX],
            "nested": {"on": {"n": null, "list": [[], {}, [[1], [{"a": 1}]]]}, "a": true},
        });
        let text = yaml(&value).unwrap();
        assert!(text.lines().any(|line| line.contains(long.trim_end())), "{text}");
        let documents = karpsim::yaml::documents(&text).unwrap();
        assert_eq!(documents[0].value, value, "{text}");
        let strict: Value = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(documents[0].value, strict);
    }

    #[test]
    fn cells_with_commas_are_quoted() {
        let rows = [vec!["x,\"y\"".to_owned(), "a\rb".to_owned()], vec![String::new(), "c".to_owned()]];
        assert_eq!(csv(&["a", "b"], &rows).unwrap(), "a,b\n\"x,\"\"y\"\"\",\"a\rb\"\n,c\n");
    }
}
