//! The changes from one revision to the next, in the words of `policy diff`.

use std::fmt::Write as _;

use keyswap_core::policy::{Policy, RolloutPolicy};

use super::document::{Document, Trial};
use crate::command::policy::diff::{compare, in_words};

/// A document, and the policies that the engine reads from it.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) document: &'a Document,
    pub(super) policy: &'a RolloutPolicy,
}

/// Returns the changes as text: those of the stable policy, and those of the candidate.
pub(super) fn changes(before: Read<'_>, after: Read<'_>) -> String {
    let stable = &after.policy.stable;
    let mut text = format!("policy in force:{}", policies(&before.policy.stable, stable));
    let candidate = match (before.candidate(), after.candidate()) {
        (None, None) => return text,
        (Some(_), None) => "removed, its trial ends".to_owned(),
        (None, Some((trial, new))) => {
            format!("{}; from the policy in force:{}", trial.summary(), policies(stable, new))
        }
        (Some((old_trial, old)), Some((trial, new))) => {
            let (before, after) = (old_trial.summary(), trial.summary());
            let words = if before == after { after } else { format!("{before} → {after}") };
            format!("{words}:{}", policies(old, new))
        }
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "\ncandidate: {candidate}");
    text
}

impl<'a> Read<'a> {
    fn candidate(self) -> Option<(&'a Trial, &'a Policy)> {
        self.document
            .candidate
            .as_ref()
            .zip(self.policy.candidate.as_ref().map(|candidate| &candidate.policy))
    }
}

/// Returns the changes of a policy: behind a space, or on lines of their own.
fn policies(before: &Policy, after: &Policy) -> String {
    let changes = compare(&before.outline(), &after.outline());
    if changes.is_empty() {
        return " no changes".to_owned();
    }
    in_words(&changes).lines().fold(String::new(), |text, line| text + "\n  " + line)
}
