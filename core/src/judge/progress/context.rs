//! The context that a request is judged in, the exits before a rewrite, and the progress on the way.

use std::sync::Arc;

use super::admitted::{Admitted, Means, UsableModels};
use super::check::Check;
use super::part::Part;
use super::sent::Sent;
use crate::answer::{CheckError, LocalReply, ResponseHeaders, is_forwarded};
use crate::base::{Digest, Moment};
use crate::body::Relink;
use crate::host::Store;
use crate::identity::{CallerRecord, Class, ModelGroups, Principal};
use crate::provider::Route;
use crate::request::{HeaderNames, RequestHead, request_id};
use crate::services::{Fetch, FetchResults, RecordSource};
use crate::upstream::{Minting, UploadAddress};

/// The context of one judgement.
pub(crate) struct Context<'a, 'r> {
    pub(crate) head: &'r RequestHead<'a>,
    pub(crate) names: &'r HeaderNames,
    pub(crate) now: Moment,
    pub(crate) store: &'r dyn Store,
    /// The resolutions of the fetches that were made for this request.
    pub(crate) results: &'r FetchResults,
    pub(crate) part: Part,
}

impl Context<'_, '_> {
    /// Checks that the method is forwarded, and that a WebSocket is opened by GET (RFC 6455 section 4.1): of another method the
    /// body would be judged as frames, and read by upstream as what it is.
    pub(crate) fn check_method(&self) -> Result<(), CheckError<'static>> {
        match self.head.method {
            method if !is_forwarded(method) => Err(CheckError::Method),
            method if self.names.is_upgrade && method != b"GET" => Err(CheckError::UpgradeMethod),
            _ => Ok(()),
        }
    }

    /// Tells whether the decision about a principal's request is carried out.
    pub(crate) fn decides(&self, principal: &Digest) -> bool {
        self.part.decides(principal, self.now)
    }
}

/// An end of judging before a rewrite.
pub(crate) enum Exit<'a> {
    /// A check failed.
    Refuse(CheckError<'a>),
    /// The answer is the engine's own.
    Answer(LocalReply),
    /// The caller may see the status.
    Status,
    /// Something must be fetched first.
    Fetch(Box<Fetch>),
}

impl<'a> From<CheckError<'a>> for Exit<'a> {
    fn from(error: CheckError<'a>) -> Self {
        Self::Refuse(error)
    }
}

/// The findings on the way to a verdict.
pub(crate) struct Progress<'a> {
    pub(crate) checks: Vec<Check<'a>>,
    /// The class of the endpoint, once a check told it.
    pub(crate) class: Option<Class>,
    pub(crate) route: Option<Route<'a>>,
    pub(crate) principal: Option<Principal>,
    /// The means by which the caller was verified, where the policy looks at it again.
    pub(crate) means: Option<Means>,
    /// The models of that caller, where it opens a session.
    pub(crate) models: Option<UsableModels>,
    /// The caller, once it was admitted, where the policy looks at it again.
    pub(crate) admitted: Option<Box<Admitted>>,
    pub(crate) record_source: Option<RecordSource>,
    pub(crate) refresh: Vec<Fetch>,
    pub(crate) sent: Sent,
    pub(crate) response: ResponseHeaders,
    /// Words for a refusal, beside its message.
    pub(crate) words: Option<String>,
    /// The request, where it mints and its answer is brokered.
    pub(crate) minting: Option<Box<Minting>>,
    /// The address of an upload that the answer may tell.
    pub(crate) upload: Option<Box<UploadAddress>>,
    /// The change of addresses in the answer.
    pub(crate) relink: Option<Box<Relink>>,
}

impl Progress<'_> {
    /// Notes a call that is due, if there is one. Nearly always there is none, and nothing is moved.
    #[inline]
    pub(crate) fn note_renewal(&mut self, renewal: Option<Fetch>) {
        if let Some(renewal) = renewal {
            self.refresh.push(renewal);
        }
    }

    /// Notes the models of a caller that opens a session, where the policy looks at it again.
    pub(crate) fn note_models(
        &mut self,
        record: &CallerRecord,
        names: &HeaderNames,
        groups: &Arc<ModelGroups>,
    ) {
        self.models = (self.means.is_some() && names.is_upgrade)
            .then(|| UsableModels { models: record.models.clone(), groups: Arc::clone(groups) });
    }

    /// Notes the caller of a request that is forwarded, where the policy looks at it again.
    pub(crate) fn note_admitted(&mut self, head: &RequestHead<'_>) {
        let Some(means) = self.means.take() else { return };
        let is_session = self.checks.iter().any(|check| matches!(check, Check::SealOpened(_)));
        if let (Some(principal), Some(route), Some(class)) = (&self.principal, &self.route, self.class) {
            self.admitted = Some(Box::new(Admitted {
                means,
                principal: principal.clone(),
                provider: route.provider.to_owned(),
                class: if is_session { Class::Mint } else { class },
                models: self.models.take(),
                request_id: request_id(head).map(str::to_owned),
            }));
        }
    }

    pub(crate) fn new() -> Self {
        Self {
            // Room for the checks of a forwarded request.
            checks: Vec::with_capacity(12),
            class: None,
            route: None,
            principal: None,
            means: None,
            models: None,
            admitted: None,
            record_source: None,
            refresh: Vec::new(),
            sent: Sent::default(),
            response: ResponseHeaders::default(),
            words: None,
            minting: None,
            upload: None,
            relink: None,
        }
    }
}
