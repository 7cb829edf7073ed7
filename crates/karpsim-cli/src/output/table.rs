//! Tables for people: columns as wide as their widest cell, no frames, so that they can be cut and searched.
//!
//! Crates that lay out tables draw frames, wrap cells and ask the terminal for its width; none of that is wanted here.

use std::fmt;

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    heading: String,
    align: Align,
}

/// A column of words.
pub(crate) fn left(heading: impl Into<String>) -> Column {
    Column { heading: heading.into(), align: Align::Left }
}

/// A column of numbers.
pub(crate) fn right(heading: impl Into<String>) -> Column {
    Column { heading: heading.into(), align: Align::Right }
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    indent: &'static str,
    keeps_empty_columns: bool,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Table {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            indent: "",
            keeps_empty_columns: true,
        }
    }

    /// The same, indented.
    pub(crate) fn indented(mut self) -> Self {
        self.indent = "  ";
        self
    }

    /// The same without columns in which no cell says anything.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        self.keeps_empty_columns = false;
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn is_shown(&self, column: usize) -> bool {
        let says_something =
            |row: &Vec<String>| row.get(column).is_some_and(|cell| !matches!(cell.as_str(), "" | "-"));
        self.keeps_empty_columns || self.is_empty() || self.rows.iter().any(says_something)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |text: &str| text.chars().count();
        let shown: Vec<(usize, &Column, usize)> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(index, _)| self.is_shown(*index))
            .map(|(index, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                (index, column, cells.map(|cell| length(cell)).fold(length(&column.heading), usize::max))
            })
            .collect();
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.clone()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let mut line = self.indent.to_owned();
            for (index, column, width) in &shown {
                let cell = row.get(*index).map_or("", String::as_str);
                let padding = " ".repeat(width.saturating_sub(length(cell)));
                match column.align {
                    Align::Left => line.extend([cell, &padding, "  "]),
                    Align::Right => line.extend([&padding, cell, "  "]),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, left, right};

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new([left("NAME"), right("COST"), left("ZONE")]);
        table.row(vec!["gpu-1".into(), "$1.5".into(), "a".into()]);
        table.row(vec!["é".into(), "$10.25".into()]);
        assert_eq!(table.to_string(), "NAME     COST  ZONE\ngpu-1    $1.5  a\né      $10.25\n");
    }

    #[test]
    fn empty_columns_can_be_left_out() {
        let mut table = Table::new([left("NAME"), left("EMPTY"), right("$/h")]);
        table.row(vec!["a".into(), "-".into(), "10.00".into()]);
        table.row(vec!["long".into(), String::new(), "1.00".into()]);
        assert_eq!(table.to_string(), "NAME  EMPTY    $/h\na     -      10.00\nlong          1.00\n");
        let indented = table.without_empty_columns().indented();
        assert_eq!(indented.to_string(), "  NAME    $/h\n  a     10.00\n  long   1.00\n");
    }
}
