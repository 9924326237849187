//! Tables for people: aligned columns, or a paragraph for each row where the terminal is too narrow.
//!
//! Values are escaped with [`visible`].

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::output::visible;

/// The text of an absent value.
pub(in crate::command) const NONE: &str = "-";

/// A table: the names of its columns, and its rows.
pub(in crate::command) struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(in crate::command) fn new(columns: &'static [&'static str]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, with one value for each column.
    pub(in crate::command) fn add(&mut self, values: impl IntoIterator<Item = String>) {
        self.rows.push(values.into_iter().map(|value| visible(&value)).collect());
    }

    /// Returns the table as text that fits the terminal's width. Without a terminal the width is not limited.
    pub(in crate::command) fn to_text(&self) -> String {
        self.fit(terminal_width())
    }

    fn fit(&self, width: Option<usize>) -> String {
        let columns = self.as_columns();
        let widest = columns.lines().map(unicode_width::UnicodeWidthStr::width).max().unwrap_or_default();
        if width.is_none_or(|width| widest <= width) { columns } else { self.as_paragraphs() }
    }

    fn as_columns(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|name| name.to_uppercase()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&titles).chain(&self.rows).collect();
        let width_of =
            |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|v| v.width()).max();
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|column| width_of(column).unwrap_or(0)).collect();
        let text: Vec<String> = lines
            .iter()
            .map(|line| {
                let cells: Vec<String> =
                    line.iter().zip(&widths).map(|(value, width)| padded(value, *width)).collect();
                cells.join("  ").trim_end().to_owned()
            })
            .collect();
        text.join("\n")
    }

    /// Returns each row as a paragraph, with one value a line.
    pub(in crate::command) fn as_paragraphs(&self) -> String {
        let width = self.columns.iter().map(|name| name.width() + 2).max().unwrap_or(0);
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            for (name, value) in self.columns.iter().zip(row) {
                let _ = writeln!(text, "{}{value}", padded(&format!("{name}:"), width));
            }
        }
        text.trim_end().to_owned()
    }
}

fn padded(value: &str, width: usize) -> String {
    let missing = width.saturating_sub(value.width());
    format!("{value}{}", " ".repeat(missing))
}

/// Returns the width in columns, from `COLUMNS` or else from the terminal; `None` without either.
fn terminal_width() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.or_else(|| terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["label", "owner"]);
        table.add(["ci".to_owned(), "a@acme.example".to_owned()]);
        table.add(["電話\u{1b}[2J".to_owned(), NONE.to_owned()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let lines = ["LABEL          OWNER", "ci             a@acme.example", "電話\\u{1b}[2J  -"];
        assert_eq!(table().fit(None), lines.join("\n"));
    }

    #[test]
    fn a_narrow_terminal_gets_paragraphs() {
        let expect = "label: ci\nowner: a@acme.example\n\nlabel: 電話\\u{1b}[2J\nowner: -";
        assert_eq!(table().fit(Some(20)), expect);
    }
}
