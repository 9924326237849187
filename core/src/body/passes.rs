//! The passes of which an answer was made: Anthropic tells each with its own usage, beside that of the answer.

use super::usage::{Counts, Usage};

/// A pass.
#[derive(Default)]
pub(super) struct Pass {
    pub(super) counts: Counts,
    pub(super) kind: PassKind,
}

/// The place of a pass's counts.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PassKind {
    /// In the counts of the answer.
    #[default]
    Within,
    /// In the counts of the answer, in place of all passes before it: another model went on where theirs declined.
    Fallback,
    /// Beside the counts of the answer, of the same model.
    Beside,
    /// Beside the counts of the answer, of another model.
    OfOther,
}

impl PassKind {
    /// Returns the kind with a name. One that is not known may be counted nowhere else, so it is that of another model's pass.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "message" => Self::Within,
            "fallback_message" => Self::Fallback,
            "compaction" => Self::Beside,
            _ => Self::OfOther,
        }
    }
}

/// The usage of passes, by its place.
#[derive(Clone, Copy, Default)]
pub(super) struct Passes {
    within: Option<Usage>,
    pub(super) beside: Option<Usage>,
    pub(super) others: Option<Usage>,
}

impl Passes {
    /// Returns the usage with that of one more pass.
    #[must_use]
    pub(super) fn with(self, pass: &Pass) -> Self {
        let usage = pass.counts.usage();
        match pass.kind {
            // What declined without output is not billed.
            PassKind::Within => {
                Self { within: sum([self.within, usage.filter(|usage| usage.output > 0)]), ..self }
            }
            PassKind::Fallback => Self { within: usage, others: sum([self.others, self.within]), ..self },
            PassKind::Beside => Self { beside: sum([self.beside, usage]), ..self },
            PassKind::OfOther => Self { others: sum([self.others, usage]), ..self },
        }
    }
}

/// Returns the sum of usages; `None` where none is there.
pub(super) fn sum<const N: usize>(usages: [Option<Usage>; N]) -> Option<Usage> {
    usages.into_iter().flatten().reduce(|sum, other| sum.saturating_add(&other))
}
