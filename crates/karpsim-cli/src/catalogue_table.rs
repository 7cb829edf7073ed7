//! Tables as kubectl has them, and figures as people read them.

use crate::failure::Failure;
use clap::ValueEnum;
use std::fmt::Write;

/// Forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
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

/// A column's place in its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings.
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    indent: &'static str,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Align)>) -> Table {
        let columns = columns.into_iter().map(|(name, align)| (name.into(), align)).collect();
        Table { columns, rows: Vec::new(), indent: "" }
    }

    /// The same, set in.
    pub(crate) fn indented(mut self) -> Table {
        self.indent = "  ";
        self
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As text. A column in which nothing stands is left out.
    pub(crate) fn render(&self) -> String {
        let kept: Vec<usize> = (0..self.columns.len())
            .filter(|&index| {
                self.rows.is_empty()
                    || self
                        .rows
                        .iter()
                        .any(|row| row.get(index).is_some_and(|cell| !cell.is_empty() && cell != "-"))
            })
            .collect();
        let length = |text: &str| text.chars().count();
        let widths: Vec<usize> = kept
            .iter()
            .map(|&index| {
                let head = self.columns.get(index).map_or(0, |(name, _)| length(name));
                self.rows
                    .iter()
                    .filter_map(|row| row.get(index))
                    .map(|cell| length(cell))
                    .fold(head, usize::max)
            })
            .collect();
        let mut text = String::new();
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = self.indent.to_owned();
            for (place, (&index, &width)) in kept.iter().zip(&widths).enumerate() {
                let cell = row.get(index).map_or("", String::as_str);
                let padding = " ".repeat(width.saturating_sub(length(cell)));
                if place > 0 {
                    line.push_str("  ");
                }
                if self.columns.get(index).is_some_and(|(_, align)| *align == Align::Right) {
                    line.push_str(&padding);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&padding);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Two to four decimals (five below a cent).
pub(crate) fn price(value: f64) -> String {
    let text = if value != 0.0 && value < 0.01 { format!("{value:.5}") } else { format!("{value:.4}") };
    let trimmed = text.trim_end_matches('0');
    let decimals = trimmed.rsplit('.').next().map_or(0, str::len);
    let mut text = trimmed.to_owned();
    for _ in decimals..2 {
        text.push('0');
    }
    text
}

/// A price with the mark of an estimate, filled up with spaces so that decimal points stand below each other.
pub(crate) fn marked(value: Option<f64>, mark: &str) -> String {
    const DECIMALS: usize = 4;
    value.map_or_else(
        || "-".to_owned(),
        |value| {
            let text = format!("{}{mark}", price(value));
            let behind = text.split_once('.').map_or(0, |(_, behind)| behind.chars().count());
            format!("{text}{}", " ".repeat((DECIMALS + 1).saturating_sub(behind)))
        },
    )
}

/// What a month of it costs.
pub(crate) fn month(value: f64, mark: &str) -> String {
    format!("{:.2}{}", value * HOURS_PER_MONTH, if mark.is_empty() { " " } else { mark })
}

/// Hours that a month has in prices.
const HOURS_PER_MONTH: f64 = 730.0;

/// MiB as GiB.
pub(crate) fn gib(mib: i64) -> String {
    let gib = mib as f64 / 1024.0;
    let text = format!("{gib:.2}");
    format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Mbit/s as Gbit/s.
pub(crate) fn gbps(mbps: i64) -> String {
    let text = format!("{:.3}", mbps as f64 / 1000.0);
    format!("{} Gbit/s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A number without needless decimals.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Comma-separated values with a head.
pub(crate) fn csv(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = head.join(",");
    text.push('\n');
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| {
                if cell.contains([',', '"', '\n']) {
                    format!("\"{}\"", cell.replace('"', "\"\""))
                } else {
                    cell.clone()
                }
            })
            .collect();
        let _ = writeln!(text, "{}", cells.join(","));
    }
    text
}

/// A value as YAML.
///
/// # Errors
///
/// If it has no such form.
pub(crate) fn yaml(value: &serde_json::Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value)
        .map_err(|error| Failure::input(format!("cannot be shown as YAML: {error}")))
}

/// A value as JSON with line breaks.
pub(crate) fn json(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{Align, Table, csv, gbps, gib, price};

    #[test]
    fn figures_are_short_and_exact() {
        for (value, shown) in [
            (0.526, "0.526"),
            (55.04, "55.04"),
            (0.0042, "0.0042"),
            (1.0, "1.00"),
            (0.00123, "0.00123"),
            (0.37853, "0.3785"),
        ] {
            assert_eq!(price(value), shown);
        }
        assert_eq!(
            (gib(16384), gib(3840), gib(22888)),
            ("16 GiB".into(), "3.75 GiB".into(), "22.35 GiB".into())
        );
        assert_eq!(
            (gbps(5000), gbps(750), gbps(3_200_000)),
            ("5 Gbit/s".into(), "0.75 Gbit/s".into(), "3200 Gbit/s".into())
        );
    }

    #[test]
    fn tables_align_and_leave_out_empty_columns() {
        let mut table = Table::new([("NAME", Align::Left), ("EMPTY", Align::Left), ("$/h", Align::Right)]);
        table.row(vec!["a".into(), "-".into(), "10.00".into()]);
        table.row(vec!["long".into(), String::new(), "1.00".into()]);
        assert_eq!(table.render(), "NAME    $/h\na     10.00\nlong   1.00\n");
        assert_eq!(csv(&["a"], &[vec!["x,\"y\"".into()]]), "a\n\"x,\"\"y\"\"\"\n");
    }
}
