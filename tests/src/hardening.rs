//! The figures of attacks on promises: commands write them, and `docs/security/hardening.md` shows them.
//!
//! Each command has a file of its own in [`FOLDER`], so that commands do not write over each other.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    figures::heading,
    tools::{files_below, project_root},
};

/// The folder of the files.
const FOLDER: &str = "tests/hardening";

/// The variable with the folder in which tests leave their figures.
pub const FIGURES: &str = "KEYSWAP_FIGURES";

/// A promise, and what an attack on it showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The promise.
    pub promise: String,
    /// The attack, such as `inputs guided by coverage`.
    pub attack: String,
    /// The numbers, each with its unit, such as `(3600, "seconds")`.
    pub figures: Vec<(u64, String)>,
    /// The day of the last run, `YYYY-MM-DD`.
    pub date: String,
    /// The command that made the figures.
    pub command: String,
}

impl Row {
    /// Adds the numbers of an earlier run of the same command.
    pub fn add(&mut self, before: &Self) {
        for (number, unit) in &mut self.figures {
            let earlier = before.figures.iter().find(|(_, other)| other == unit);
            *number += earlier.map_or(0, |(number, _)| *number);
        }
    }
}

/// Returns the day, as rows have it.
///
/// # Errors
///
/// The clock is before 1970.
pub fn today() -> Result<String> {
    let now = keyswap_core::base::UnixTime(i64::try_from(crate::unix_now())?);
    Ok(now.to_string().chars().take(10).collect())
}

/// Returns whether the figures of tests are asked for.
pub fn is_recorded() -> bool {
    env::var_os(FIGURES).is_some()
}

/// Leaves the figures of a test where they are asked for.
///
/// # Errors
///
/// The file cannot be written.
pub fn tell(name: &str, figures: &[(u64, &str)]) -> Result<()> {
    let Some(folder) = env::var_os(FIGURES) else { return Ok(()) };
    let file = PathBuf::from(folder).join(format!("{name}.json"));
    fs::write(&file, serde_json::to_string(figures)?).with_context(|| file.display().to_string())
}

/// Returns the rows of a file, which is named for the task that writes it; none where there is no file yet.
///
/// # Errors
///
/// The file cannot be read.
pub fn read(name: &str) -> Result<Vec<Row>> {
    let path = project_root().join(FOLDER).join(format!("{name}.json"));
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Writes the rows of a file.
///
/// # Errors
///
/// The file cannot be written.
pub fn write(name: &str, rows: &[Row]) -> Result<()> {
    let folder = project_root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    // A line for each row, so that a difference can be read.
    let rows: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(fs::write(folder.join(format!("{name}.json")), format!("[\n{}\n]\n", rows.join(",\n")))?)
}

/// Returns the table of all files.
pub(crate) fn table() -> Result<String> {
    let mut table = heading(&["promise", "attack", "figures", "last run", "command"]);
    for file in files_below(FOLDER)? {
        for Row { promise, attack, figures, date, command } in read(file.trim_end_matches(".json"))? {
            let figures: Vec<String> =
                figures.iter().map(|(number, unit)| format!("{} {unit}", grouped(*number))).collect();
            let figures = figures.join(", ");
            let _ = writeln!(table, "| {promise} | {attack} | {figures} | {date} | `{command}` |");
        }
    }
    Ok(table)
}

/// Writes a number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_added_by_their_units() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let row = |figures: &[(u64, &str)]| Row {
            promise: "p".to_owned(),
            attack: "a".to_owned(),
            figures: figures.iter().map(|(number, unit)| (*number, (*unit).to_owned())).collect(),
            date: "2027-01-01".to_owned(),
            command: "c".to_owned(),
        };
        let mut now = row(&[(2, "seconds"), (3, "inputs")]);
        now.add(&row(&[(10, "seconds"), (1, "others")]));
        assert_eq!(now.figures, row(&[(12, "seconds"), (3, "inputs")]).figures);
    }
}
