//! The last use of tokens, with a precision of one day.

use super::handle::{Registry, Result};
use super::record::clock::now;
use super::record::day::Day;
use super::record::error::RegistryError;
use super::record::mark::Mark;

/// The largest number of marks in one call.
const MAX_MARKS: usize = 500;

impl Registry {
    /// Stores the last use of tokens, all marks or none. Unknown tokens are ignored: they may have been deleted since.
    /// The tokens' records and versions do not change.
    pub async fn mark_used(&self, mut marks: Vec<Mark>) -> Result<()> {
        let invalid = |expected: String| RegistryError::Invalid { field: "marks", expected };
        if marks.len() > MAX_MARKS {
            return Err(invalid(format!("expected at most {MAX_MARKS}")));
        }
        // A data plane's clock may be ahead, but a day in the far future would hide every use until then.
        let tomorrow = Day(Day::of(now()).0 + 1);
        if marks.iter().any(|mark| mark.day > tomorrow) {
            return Err(invalid("expected no day after tomorrow".to_owned()));
        }
        // One order for all batches, so that two with the same tokens cannot deadlock.
        marks.sort_unstable();
        marks.dedup();
        self.0.mark_used(&marks).await
    }
}
