//! The judges of a body whose policies do not decide: in shadow mode, and those of two policies that are compared.
//!
//! They read what passes, and hold, change and refuse nothing. What they find is told when the exchange ends. Budgets are no
//! part of it: nothing is reserved for a request that another policy decides.

use super::observation::Observation;
use super::outcome::{About, Compared, Outcome};
use crate::answer::CheckError;
use crate::body::{BodyError, FrameError};
use crate::judge::body::RequestJudge;

/// The judges of one body.
#[derive(Default)]
pub(crate) struct Watch {
    shadow: Option<(Side, About)>,
    compared: Option<(Compared, [Option<RequestJudge>; 2])>,
}

/// The outcome under a policy, and the judge of the body under it.
struct Side {
    outcome: Outcome,
    judge: Option<RequestJudge>,
}

/// The findings of a watch.
#[derive(Default)]
pub(crate) struct Watched {
    /// The outcome under a policy in shadow mode.
    pub(crate) observations: Vec<Observation>,
    /// The outcomes under two policies.
    pub(crate) compared: Option<Compared>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Makes the watch of two policies that both forward a request; `judges` are those of the stable policy and of the
    /// candidate.
    pub(crate) fn comparing(compared: Compared, judges: [Option<RequestJudge>; 2]) -> Self {
        Self { compared: Some((compared, judges)), shadow: None }
    }

    /// Adds the policy in shadow mode that lets the request pass.
    pub(crate) fn shadow(&mut self, outcome: Outcome, judge: RequestJudge, about: About) {
        self.shadow = Some((Side { outcome, judge: Some(judge) }, about));
    }

    /// Takes the next slice of the body.
    pub(crate) fn take(&mut self, slice: &[u8], is_last: bool) {
        if let Some((Side { outcome, judge }, _)) = &mut self.shadow {
            take(outcome, judge, slice, is_last);
        }
        if let Some((compared, [stable, candidate])) = &mut self.compared {
            take(&mut compared.stable, stable, slice, is_last);
            take(&mut compared.candidate, candidate, slice, is_last);
        }
    }

    /// Ends the body, whole or not. A body that broke off is judged as far as it came.
    pub(crate) fn end(self) -> Watched {
        let shadow = self.shadow.map(|(side, about)| Observation::shadow_of_body(&side.outcome, &about));
        Watched {
            observations: shadow.into_iter().collect(),
            compared: self.compared.map(|(compared, _)| compared),
        }
    }
}

/// Judges a slice under one policy. Its first error is the outcome.
///
/// A policy that decides forbids the compression of messages. One that does not cannot read them.
fn take(outcome: &mut Outcome, judge: &mut Option<RequestJudge>, slice: &[u8], is_last: bool) {
    const COMPRESSED: CheckError<'_> = CheckError::BodyInvalid(BodyError::Frames(FrameError::Compressed));
    if let Some(error) = judge.as_mut().and_then(|judge| judge.take(slice, is_last).err()) {
        *outcome = Outcome::refused(if error == COMPRESSED { &CheckError::BodyUnreadable } else { &error });
        *judge = None;
    }
}
