//! Decisions, and the facts that led to them: the explanation is data.

use super::observation::{ALLOWED, ANSWERED, Observation};
use super::pending::Pending;
use super::watch::Watch;
use crate::answer::{CheckError, LocalReply, Reason, ResponseHeaders};
use crate::base::Moment;
use crate::body::{Asked, Relink};
use crate::identity::{Class, Principal};
use crate::judge::body::{BodyPlan, ListJudge, Meter, ObjectWatch, RequestJudge, WouldReserve};
use crate::judge::forward::Rewrite;
use crate::judge::progress::{Admitted, Check, Progress, Sent};
use crate::provider::{Dialect, OPENAI};
use crate::request::{RequestHead, request_id};
use crate::services::{Fetch, RecordSource};
use crate::upstream::{Minting, UploadAddress};

/// The provider's name in the decision on a request that no policy has judged.
const NO_PROVIDER: &str = "none";

/// A verdict on a request, the facts behind it, and what remains to be done.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The verdict, for the host to carry out.
    pub verdict: Verdict<'a>,
    /// The facts behind it.
    pub facts: Facts<'a>,
    /// The changes to an upstream's answer, or to the host's where the upstream gives none. A reply has them already.
    pub response: ResponseHeaders,
    /// The work that remains to be done.
    pub follow_up: FollowUp,
}

/// The facts behind a verdict, for explanations, logs and metrics.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Every check that was made, in order. The last one of a refusal is the one that failed.
    pub checks: Vec<Check<'a>>,
    /// The provider that the request is for, as far as its head tells.
    pub provider: &'a str,
    /// The class of the endpoint, once that is known; also where the request is refused for it.
    pub class: Option<Class>,
    /// The principal of the request, once that is known; also where it is refused afterwards.
    pub principal: Option<Principal>,
    /// The place of the principal's record; `None` where the policy itself has it, or nothing has.
    pub record_source: Option<RecordSource>,
}

/// The work that a decision leaves to do.
#[derive(Debug, Default)]
pub struct FollowUp {
    /// Fetches that are due, and that this request does not wait for.
    pub refresh: Vec<Fetch>,
    /// Observations, for metrics and the log.
    pub observations: Vec<Observation>,
    /// The subjects of which the upstream's reply tells something.
    pub(crate) sent: Sent,
    /// The caller of a forwarded request, where its exchange ends with its right.
    pub(crate) admitted: Option<Box<Admitted>>,
    /// The request, where it mints and its answer is brokered.
    pub(crate) minting: Option<Box<Minting>>,
    /// The address of an upload that the answer may tell.
    pub(crate) upload: Option<Box<UploadAddress>>,
    /// The change of addresses in the answer.
    pub(crate) relink: Option<Box<Relink>>,
    /// The judge of the request's body, where it is read.
    pub(crate) pending: Option<Box<Pending>>,
    /// The judges of the body whose policies do not decide.
    pub(crate) watch: Option<Box<Watch>>,
    /// The meter of the request, where its usage is metered.
    pub(crate) meter: Option<Box<Meter>>,
    /// The filter of the answer, where it is a list of models.
    pub(crate) list: Option<Box<ListJudge>>,
    /// The watch over objects, where they are judged.
    pub(crate) objects: Option<Box<ObjectWatch>>,
    /// Set where the answer is the status, which shadow mode gives, too.
    pub(crate) tells_status: bool,
}

/// The action to take on a request.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Forward the request, rewritten.
    Forward(Rewrite<'a>),
    /// Refuse the request, for this reason.
    Reply(Reason, LocalReply),
    /// Answer the request: it asks for nothing of an upstream.
    Answer(LocalReply),
    /// Let the request pass untouched: the policy is in shadow mode.
    Pass(Passed),
}

/// A request that a policy in shadow mode lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The reason code that the request would have had; `undecided` where that was not known in time.
    pub reason: &'static str,
    pub(crate) tell: bool,
}

impl Passed {
    /// Returns the header that tells the upstream, if the policy asks for one.
    pub fn header(&self) -> Option<(&'static str, &'static str)> {
        self.tell.then_some(("x-keyswap-shadow", self.reason))
    }
}

impl<'a> Decision<'a> {
    /// Returns the decision that a judgement came to.
    pub(crate) fn of(verdict: Verdict<'a>, progress: Progress<'a>) -> Self {
        let provider = progress.route.map_or(OPENAI, |route| route.provider);
        Self {
            verdict,
            facts: Facts {
                checks: progress.checks,
                provider,
                class: progress.class,
                principal: progress.principal,
                record_source: progress.record_source,
            },
            response: progress.response,
            // Field by field: a default would be made first, and moved.
            follow_up: FollowUp {
                refresh: progress.refresh,
                observations: Vec::new(),
                sent: progress.sent,
                admitted: progress.admitted,
                minting: progress.minting,
                upload: progress.upload,
                relink: progress.relink,
                pending: None,
                watch: None,
                meter: None,
                list: None,
                objects: None,
                tells_status: false,
            },
        }
    }

    /// Leaves the bodies of a forwarded request to the parts of a plan.
    pub(crate) fn follow(&mut self, plan: Box<BodyPlan>, dialect: Dialect, head: &RequestHead<'_>) {
        let BodyPlan { judge, meter, list, objects, asks_usage } = *plan;
        let (facts, id) = (&self.facts, request_id(head).map(str::to_owned));
        let about = (facts.provider.to_owned(), facts.class, facts.principal.clone(), id);
        let pending = Pending::new(judge, asks_usage, dialect, about, head.content_length());
        let is_pending = pending.judge.is_some() || meter.is_some();
        self.follow_up.pending = is_pending.then(|| Box::new(pending));
        self.follow_up.meter = meter.map(Box::new);
        self.follow_up.list = list.map(Box::new);
        self.follow_up.objects = objects.map(Box::new);
    }

    /// Returns a decision about a request that no policy has judged.
    fn unjudged(verdict: Verdict<'a>, checks: Vec<Check<'a>>, provider: &'a str) -> Self {
        Self {
            verdict,
            facts: Facts { checks, provider, class: None, principal: None, record_source: None },
            response: ResponseHeaders::default(),
            follow_up: FollowUp::default(),
        }
    }

    /// Returns the decision while no policy is in force.
    pub(crate) fn no_policy() -> Self {
        let verdict = Verdict::Reply(Reason::PolicyUnavailable, LocalReply::no_policy());
        Self::unjudged(verdict, vec![Check::Refused(CheckError::PolicyUnavailable)], NO_PROVIDER)
    }

    /// Returns the decision where the host failed before a policy could judge.
    pub(crate) fn host_failure() -> Self {
        let verdict = Verdict::Reply(Reason::HostFailure, LocalReply::host_failure());
        Self::unjudged(verdict, vec![Check::Refused(CheckError::Host)], NO_PROVIDER)
    }

    /// Returns the answer to whatever asks if the engine lives. It holds nothing of any policy.
    pub(crate) fn live() -> Self {
        Self::unjudged(Verdict::Answer(LocalReply::live()), Vec::new(), NO_PROVIDER)
    }

    /// Tells whether the request is for a host that the policy is not for.
    pub(crate) fn is_for_another_host(&self) -> bool {
        matches!(self.verdict, Verdict::Reply(Reason::HostNotServed, _))
    }

    /// Returns the decision about a request that passes before its outcome is known.
    pub(crate) fn undecided(tell: bool) -> Self {
        let passed = Passed { reason: "undecided", tell };
        Self::unjudged(Verdict::Pass(passed), Vec::new(), "undecided")
    }

    /// Turns the decision into one of shadow mode: the request passes, and its answer is not changed.
    pub(crate) fn pass(&mut self, tell: bool) {
        self.verdict = Verdict::Pass(Passed { reason: self.reason_code(), tell });
        self.response = ResponseHeaders::default();
        self.follow_up.sent = Sent::default();
        self.follow_up.admitted = None;
        self.follow_up.minting = None;
        self.follow_up.upload = None;
        self.follow_up.relink = None;
        self.follow_up.pending = None;
        self.follow_up.meter = None;
        self.follow_up.list = None;
        self.follow_up.objects = None;
    }

    /// Makes another judge of the request's body; `None` where the body is not judged.
    pub(crate) fn another_judge(&self, head: &RequestHead<'_>) -> Option<RequestJudge> {
        self.follow_up.pending.as_ref()?.judge.as_ref()?.again(head)
    }

    /// Judges the request as if its body named this model, and returns what it then reserves; `None` where the model is refused,
    /// and where no usage is metered.
    pub fn with_model(&mut self, model: Option<&str>, asked: &Asked, now: Moment) -> Option<WouldReserve> {
        let pending = self.follow_up.pending.as_ref();
        let judge = pending.and_then(|pending| pending.judge.as_ref());
        let checked = judge.zip(model).map_or(Ok(()), |(judge, model)| judge.check_model(model));
        if let Err(error) = checked {
            let refusal = pending.map(|pending| pending.refuse(error, &self.response, now));
            self.verdict = Verdict::Reply(error.reason(), refusal.map(|it| it.reply)?);
            self.facts.checks.push(Check::Refused(error));
            return None;
        }
        let declared = pending.map_or(0, |pending| pending.declared);
        self.follow_up.meter.as_mut().map(|meter| meter.would_reserve(model, asked, declared))
    }

    /// Returns whether the body of the request may still turn the decision into a refusal.
    pub fn is_pending(&self) -> bool {
        self.follow_up.pending.is_some()
    }

    /// Turns the decision into a refusal, where its rewrite could not be carried out in full: nothing is forwarded.
    pub fn fail(&mut self) {
        self.facts.checks.push(Check::Refused(CheckError::Host));
        self.verdict = Verdict::Reply(Reason::HostFailure, LocalReply::host_failure());
    }

    /// Returns `forward`, `reply`, `answer` or `pass`, as metrics and logs have it.
    pub fn verdict_name(&self) -> &'static str {
        match self.verdict {
            Verdict::Forward(_) => "forward",
            Verdict::Reply(..) => "reply",
            Verdict::Answer(_) => "answer",
            Verdict::Pass(_) => "pass",
        }
    }

    /// Returns the code of the reason: [`Reason::code`], or `allowed`, or `answered`.
    pub fn reason_code(&self) -> &'static str {
        match self.verdict {
            Verdict::Forward(_) => ALLOWED,
            Verdict::Reply(reason, _) => reason.code(),
            Verdict::Answer(_) => ANSWERED,
            Verdict::Pass(passed) => passed.reason,
        }
    }
}
