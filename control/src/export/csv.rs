//! CSV (RFC 4180, with the line ends of Unix). Names come from callers and identity providers, so no cell may be read as a formula.

/// The characters with which a formula begins, and those that a spreadsheet skips before it. East Asian versions read the
/// full-width forms, too.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Rows of cells, the first with the names of the columns.
pub(super) struct Csv(String);

impl Csv {
    pub(super) fn of(columns: &[&str]) -> Self {
        let mut csv = Self(String::new());
        csv.row(columns);
        csv
    }

    /// Returns rows that follow others.
    pub(super) fn rest() -> Self {
        Self(String::new())
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: &[impl AsRef<str>]) {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.cell(cell.as_ref());
        }
        self.0.push('\n');
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn cell(&mut self, cell: &str) {
        let is_formula = cell.starts_with(FORMULA);
        let needs_quotes = is_formula || cell.contains([',', '"', '\n', '\r']);
        if !needs_quotes {
            self.0.push_str(cell);
            return;
        }
        self.0.push('"');
        // A spreadsheet shows what follows an apostrophe as text.
        if is_formula {
            self.0.push('\'');
        }
        self.0.push_str(&cell.replace('"', "\"\""));
        self.0.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_cell_is_a_formula() {
        let mut csv = Csv::of(&["a", "b"]);
        csv.row(&["1,5", "say \"no\""]);
        csv.row(&["=HYPERLINK(\"x\")", "-1"]);
        csv.row(&["two\nlines", ""]);
        csv.row(&["＝1", "\n=1"]);
        let expect = "a,b\n\"1,5\",\"say \"\"no\"\"\"\n\"'=HYPERLINK(\"\"x\"\")\",\"'-1\"\n\"two\nlines\",\n\"'＝1\",\"'\n=1\"\n";
        assert_eq!(csv.into_text(), expect);
    }
}
