//! A decision that the body of its request may still turn into a refusal.

use std::fmt;

use super::decision::ALLOWED;
use super::log::Refused;
use super::observation::Observation;
use crate::answer::{CheckError, LocalReply, ResponseHeaders};
use crate::identity::{Class, Principal};
use crate::judge::body::{RequestJudge, Slice};
use crate::provider::Dialect;

/// A request that is forwarded while its body is judged.
pub(crate) struct Pending {
    pub(crate) judge: RequestJudge,
    pub(crate) dialect: Dialect,
    pub(crate) provider: String,
    pub(crate) class: Option<Class>,
    pub(crate) principal: Option<Principal>,
    pub(crate) request_id: Option<String>,
}

/// The refusal of a request by its body.
#[derive(Debug)]
pub struct Refusal {
    /// The reply. A host that has sent an answer's head already ends the stream instead.
    pub reply: LocalReply,
    /// The code of the reason.
    pub reason: &'static str,
    /// The observation, for metrics and the log.
    pub observation: Observation,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Pending {
    /// Judges the next slice of the body.
    pub(crate) fn take(
        &mut self,
        slice: &[u8],
        is_last: bool,
        response: &ResponseHeaders,
    ) -> Result<Slice, Box<Refusal>> {
        self.judge.take(slice, is_last).map_err(|error| Box::new(self.refuse(error, response)))
    }

    /// Returns the observation of a request whose body holds.
    pub(crate) fn allowed(&self) -> Observation {
        Observation { metric: metric("forward", ALLOWED, &self.provider), line: None }
    }

    fn refuse(&self, error: CheckError<'static>, response: &ResponseHeaders) -> Refusal {
        let reason = error.reason();
        let words = (error == CheckError::ModelNotAllowed).then(|| self.judge.words());
        let reply = LocalReply::refuse_saying(reason, words.as_deref(), self.dialect, Vec::new());
        let line = Refused {
            reason,
            status: reply.status,
            fault: Some(error.to_string()),
            provider: &self.provider,
            class: self.class,
            principal: self.principal.as_ref(),
            request_id: self.request_id.as_deref(),
        };
        let metric = metric("reply", reason.code(), &self.provider);
        let observation = Observation { metric, line: Some(line.to_string()) };
        Refusal { reply: reply.with(response), reason: reason.code(), observation }
    }
}

fn metric(verdict: &str, reason: &str, provider: &str) -> String {
    format!("keyswap.decisions.verdict.{verdict}.reason.{reason}.provider.{provider}")
}
