//! The engine's own answers: refusals, and what needs no caller.

use super::engine::Engine;
use super::progress::{Check, Progress};
use super::tell::Verdict;
use crate::answer::{CheckError, LocalReply, Resource, cors};
use crate::provider::Dialect;
use crate::request::{HeaderNames, RequestHead};
use crate::syntax::read;

impl Engine {
    /// Refuses a request, in the dialect of its caller.
    pub(super) fn refuse<'a>(
        &'a self,
        error: CheckError<'a>,
        head: &RequestHead<'a>,
        names: &HeaderNames,
        progress: &mut Progress<'a>,
    ) -> Verdict<'a> {
        self.tell_page(head, names, progress);
        progress.checks.push(Check::Refused(error));
        let dialect = progress.route.map_or(Dialect::OpenAi, |route| route.dialect);
        let headers = progress.response.for_reply(&error);
        let words = progress.words.as_deref();
        let mut reply = LocalReply::refuse_saying(error.reason(), words, dialect, headers);
        if let Some(resource) = &self.policy.resource {
            resource.guide(&error, head, &mut reply);
        }
        Verdict::Reply(error.reason(), reply)
    }

    /// Writes into the answer which pages may see it.
    pub(super) fn tell_page(&self, head: &RequestHead<'_>, names: &HeaderNames, progress: &mut Progress<'_>) {
        if names.has(read::ORIGIN) {
            cors::apply(&self.policy.origins, head, &mut progress.response);
        }
    }

    /// Answers a request that needs no caller: a preflight, or one for the metadata. Returns `None` for any other
    /// request.
    pub(super) fn answer(&self, head: &RequestHead<'_>) -> Option<LocalReply> {
        let origins = &self.policy.origins;
        let describe = |resource: &Resource| {
            resource.describe(head, self.policy.issuers(), cors::headers(origins, head))
        };
        cors::preflight(origins, head).or_else(|| self.policy.resource.as_ref().and_then(describe))
    }
}
