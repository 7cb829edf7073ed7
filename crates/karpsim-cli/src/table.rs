//! Tables for people: columns as wide as their widest cell, no frames, so that they can be cut and searched.

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a head.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    head: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(head: &[(&'static str, Align)]) -> Self {
        Table { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize, head: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.max().unwrap_or(0).max(head.chars().count())
        };
        let widths: Vec<usize> =
            self.head.iter().enumerate().map(|(column, (head, _))| width(column, head)).collect();
        let head: Vec<String> = self.head.iter().map(|(head, _)| (*head).to_owned()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), (_, align)) in row.iter().zip(&widths).zip(&self.head) {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                match align {
                    Align::Left => line.extend([cell.as_str(), &gap]),
                    Align::Right => line.extend([gap.as_str(), cell]),
                }
                line.push_str("  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Seconds as a clock shows them: `0:10:01`, `2d 03:00:00`, with tenths if there are any.
pub(crate) fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round().max(0.0) as u64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    let mut text = if days > 0 {
        format!("{days}d {hours:02}:{minutes:02}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    };
    if tenth > 0 {
        text.extend([".", &tenth.to_string()]);
    }
    text
}

/// A length of time as Kubernetes shows an age: the two largest units.
pub(crate) fn age(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let units = [(whole / 86_400, "d"), (whole / 3600 % 24, "h"), (whole / 60 % 60, "m"), (whole % 60, "s")];
    let Some(first) = units.iter().position(|(count, _)| *count > 0) else {
        return if seconds > 0.0 { format!("{seconds:.1}s") } else { "0s".to_owned() };
    };
    let mut text = String::new();
    for (count, unit) in units.iter().skip(first).take(2).filter(|(count, _)| *count > 0) {
        text.extend([&count.to_string(), *unit]);
    }
    text
}

/// A wait in seconds, short.
pub(crate) fn wait(seconds: f64) -> String {
    if seconds < 100.0 { format!("{}s", (seconds * 10.0).round() / 10.0) } else { age(seconds) }
}

/// Dollars: to the cent if they are many, else to a hundredth of one.
pub(crate) fn dollars(amount: f64) -> String {
    let digits = if amount.abs() >= 100.0 { 2 } else { 4 };
    let text = format!("{:.digits$}", amount.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if amount < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { "-" } else { "" };
    format!("{sign}${}.{fraction}", grouped(whole))
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A list as Karpenter shortens it: `a, b and 3 other(s)`.
pub(crate) fn shortened<'a>(names: impl IntoIterator<Item = &'a str>, shown: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let text = names.iter().take(shown).copied().collect::<Vec<_>>().join(", ");
    if names.len() > shown { format!("{text} and {} other(s)", names.len() - shown) } else { text }
}

#[cfg(test)]
mod tests {
    use super::{Align, Table, age, clock, dollars, shortened, wait};

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(&[("NAME", Align::Left), ("COST", Align::Right), ("ZONE", Align::Left)]);
        table.row(vec!["gpu-1".into(), "$1.5".into(), "a".into()]);
        table.row(vec!["é".into(), "$10.25".into(), String::new()]);
        assert_eq!(table.to_string(), "NAME     COST  ZONE\ngpu-1    $1.5  a\né      $10.25\n");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [0.0, 601.0, 90.34, 183_605.0].map(clock),
            ["0:00:00", "0:10:01", "0:01:30.3", "2d 03:00:05"]
        );
        assert_eq!(
            [0.0, 0.25, 59.0, 1830.0, 3600.0, 90_061.0].map(age),
            ["0s", "0.2s", "59s", "30m30s", "1h", "1d1h"]
        );
        assert_eq!([0.0, 1.04, 41.26, 125.0].map(wait), ["0s", "1s", "41.3s", "2m5s"]);
        assert_eq!(
            [1.16597, 0.0, -0.00001, -12.5, 1_234_567.891].map(dollars),
            ["$1.1660", "$0.0000", "$0.0000", "-$12.5000", "$1,234,567.89"]
        );
        assert_eq!(shortened(["a", "b", "c", "d"], 2), "a, b and 2 other(s)");
        assert_eq!(shortened(["a", "b"], 2), "a, b");
    }
}
