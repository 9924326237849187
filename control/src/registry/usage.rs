//! The last use of tokens, to the day.

use super::handle::{Registry, Result};
use super::record::clock::now;
use super::record::day::Day;
use super::record::error::RegistryError;
use super::record::mark::Mark;

/// The most marks at once.
const MAX_MARKS: usize = 500;

impl Registry {
    /// Remembers when tokens were last used, all or none of it. Unknown tokens are left out: they may have been
    /// deleted since. It changes no version and no record.
    pub async fn mark_used(&self, mut marks: Vec<Mark>) -> Result<()> {
        let invalid = |expected: String| RegistryError::Invalid { field: "marks", expected };
        if marks.len() > MAX_MARKS {
            return Err(invalid(format!("expected at most {MAX_MARKS}")));
        }
        // A data plane's clock may be ahead, but a day far away would hide every use until then.
        let tomorrow = Day(Day::of(now()).0 + 1);
        if marks.iter().any(|mark| mark.day > tomorrow) {
            return Err(invalid("expected no day after tomorrow".to_owned()));
        }
        // In one order everywhere, so that two batches with the same tokens do not wait for each other.
        marks.sort_unstable();
        marks.dedup();
        self.0.mark_used(&marks).await
    }
}
