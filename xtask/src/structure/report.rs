//! The text of violations: both files, the name that is taken, and the remedy.

use std::fmt::{self, Display, Formatter};

use super::resolve::{Arrow, Arrows};
use super::tree::Tree;

/// A violation of a rule by the sources.
pub(super) enum Violation {
    Upward { step: Step, floor: String, above: String },
    Circle { of: String, steps: Vec<Step>, size: usize },
    CodeInModFile { path: String, line: usize, items: usize },
    PrivateUseInModFile { path: String, line: usize },
    LongFile { path: String, lines: usize, most: usize },
    LongFunction { path: String, line: usize, name: String, lines: usize, most: usize },
    ManyEntries { folder: String, entries: usize, most: usize },
}

/// An arrow in a report: a file takes names from another.
pub(super) struct Step {
    pub(super) from: String,
    pub(super) line: usize,
    pub(super) to: String,
    pub(super) names: Vec<String>,
    /// The number of further files of the same folder with such an arrow.
    pub(super) more: usize,
}

impl Step {
    pub(super) fn of(tree: &Tree, arrows: &Arrows, arrow: Arrow) -> Self {
        let (from, to) = arrow;
        let names = arrows.get(&arrow);
        Self {
            from: tree.files[from].path.clone(),
            line: names.into_iter().flatten().map(|(_, line)| *line).min().unwrap_or(1),
            to: tree.files[to].path.clone(),
            names: names.into_iter().flatten().map(|(name, _)| name.clone()).collect(),
            more: 0,
        }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { from, line, to, names, more } = self;
        write!(f, "{from}:{line} takes `{}` from {to}", names.join("`, `"))?;
        if *more > 0 {
            write!(f, " (and {more} more like it)")?;
        }
        Ok(())
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upward { step, floor, above } => write!(
                f,
                "{step}, up a floor: `{above}` stands above `{floor}`. Move the name down to `{floor}` or below, or the code \
                 that takes it up to `{above}`."
            ),
            Self::Circle { of, steps, size } => {
                let [first, rest @ ..] = steps.as_slice() else {
                    return Ok(());
                };
                write!(f, "{first}: this closes a circle of {of}")?;
                rest.iter().try_for_each(|step| write!(f, "\n    {step}"))?;
                if *size > steps.len() {
                    write!(f, "\n    It is the shortest circle of {size} that all lead to each other.")?;
                }
                f.write_str("\n    Cut one of these arrows: move the name to a place below both sides.")
            }
            Self::CodeInModFile { path, line, items } => write!(
                f,
                "{path}:{line}: {items} items of code, and a `mod.rs` only declares and re-exports. Move them to a file \
                 beside it."
            ),
            Self::PrivateUseInModFile { path, line } => {
                write!(f, "{path}:{line}: a private `use` in a `mod.rs`. Import the name where it is needed.")
            }
            Self::LongFile { path, lines, most } => {
                write!(f, "{path}:{most}: the file has {lines} lines, and {most} are the most. Split it.")
            }
            Self::LongFunction { path, line, name, lines, most } => write!(
                f,
                "{path}:{line}: the body of `{name}` has {lines} lines, and {most} are the most. Split it, or give the \
                 reason in a comment above it: `// Long: …`."
            ),
            Self::ManyEntries { folder, entries, most } => {
                write!(
                    f,
                    "{folder}: there are {entries} entries, and {most} are the most. Group them into folders."
                )
            }
        }
    }
}
