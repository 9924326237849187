//! A decision that the body of its request may still turn into a refusal, and the usage of a request that has ended.

use std::fmt;

use super::observation::{ALLOWED, Observation};
use super::refused::Refused;
use crate::answer::{CheckError, LocalReply, ResponseHeader, ResponseHeaders};
use crate::base::Moment;
use crate::body::Asked;
use crate::host::Store;
use crate::identity::{Class, Principal};
use crate::judge::body::{Charged, Lack, Meter, ObjectWatch, RequestJudge, Slice};
use crate::provider::Dialect;
use crate::services::Fetch;

/// The longest body of which a slice waits before all of them have come, in bytes.
const MAX_SHORT_BODY: u64 = 32 * 1024;

/// Returns whether a host can hold all of a body, as far as its head says.
fn is_short(declared: u64) -> bool {
    (1..=MAX_SHORT_BODY).contains(&declared)
}

/// A request that is forwarded while its body is judged.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct Pending {
    /// The judge of the body; `None` where the body is not read.
    pub(crate) judge: Option<RequestJudge>,
    pub(crate) asks_usage: bool,
    pub(crate) dialect: Dialect,
    pub(crate) provider: String,
    pub(crate) class: Option<Class>,
    pub(crate) principal: Option<Principal>,
    pub(crate) request_id: Option<String>,
    /// The bytes of the body, as far as the head says.
    pub(crate) declared: u64,
    /// The bytes that have come.
    came: u64,
    /// Set once the budgets cover the request.
    is_reserved: bool,
    /// Set while a call is made for a budget.
    is_waiting: bool,
    is_last: bool,
    /// Set once a slice has come.
    has_begun: bool,
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

/// A slice that was judged.
pub(crate) struct JudgedSlice {
    pub(crate) slice: Slice,
    /// Set where the slice has to wait.
    pub(crate) waits: bool,
    /// The call that it waits for, or that is made while the body goes on.
    pub(crate) fetch: Option<Box<Fetch>>,
    /// Set where nothing of the body has to be judged any more.
    pub(crate) is_done: bool,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Pending {
    /// Makes the state of a request whose body has not come yet.
    pub(crate) fn new(
        judge: Option<RequestJudge>,
        asks_usage: bool,
        dialect: Dialect,
        about: (String, Option<Class>, Option<Principal>, Option<String>),
        declared: u64,
    ) -> Self {
        let (provider, class, principal, request_id) = about;
        Self {
            judge,
            asks_usage,
            dialect,
            provider,
            class,
            principal,
            request_id,
            declared,
            came: 0,
            is_reserved: false,
            is_waiting: false,
            is_last: false,
            has_begun: false,
        }
    }

    /// Returns whether a byte of the body that is still to come can decide if the request is refused. The messages of a
    /// WebSocket, which follow the answer, are judged one by one.
    pub(crate) fn is_open(&self, meter: Option<&Meter>) -> bool {
        let is_judged = self.judge.as_ref().is_some_and(RequestJudge::is_strict);
        let is_upgrade = self.judge.as_ref().is_some_and(RequestJudge::is_upgrade);
        !self.is_reserved && !is_upgrade && (is_judged || meter.is_some_and(Meter::has_budgets))
    }

    /// Judges the next slice of the body. At the byte that makes the body useful the budgets must cover the request.
    ///
    /// `is_last` says that nothing follows. Hosts may say so behind the last byte, which is too late for a body whose head states
    /// its length: with that byte the body is whole upstream.
    pub(crate) fn take(
        &mut self,
        mut meter: Option<&mut Meter>,
        objects: Option<&mut ObjectWatch>,
        (slice, is_last): (&[u8], bool),
        now: Moment,
        store: &dyn Store,
    ) -> Result<JudgedSlice, CheckError<'static>> {
        self.came = self.came.saturating_add(u64::try_from(slice.len()).unwrap_or(u64::MAX));
        let is_last = is_last || (self.came == self.declared && self.came > 0);
        self.is_last |= is_last;
        let slice = match &mut self.judge {
            Some(judge) => judge.take(slice, is_last)?,
            None => Slice::Same,
        };
        if self.is_waiting {
            return Ok(JudgedSlice { slice, waits: true, fetch: None, is_done: false });
        }
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first
            && !self.is_known()
            && let Some(meter) = &mut meter
            && let Some(fetch) = meter.prepare(self.declared, now, store)
        {
            return Ok(JudgedSlice { slice, ..self.wait(fetch) });
        }
        Ok(JudgedSlice { slice, ..self.reserve(meter, objects, now, store)? })
    }

    /// Goes on with a slice that has waited for a call.
    pub(crate) fn reserve(
        &mut self,
        meter: Option<&mut Meter>,
        objects: Option<&mut ObjectWatch>,
        now: Moment,
        store: &dyn Store,
    ) -> Result<JudgedSlice, CheckError<'static>> {
        let is_known = self.is_known();
        self.is_waiting = false;
        let mut passed = JudgedSlice { slice: Slice::Same, waits: false, fetch: None, is_done: false };
        if let (Some(objects), Some(judge)) = (objects, &mut self.judge) {
            objects.note_store(judge.asked().store);
            match objects.check(judge.objects(), is_known, now, store) {
                Ok(true) => judge.objects_checked(),
                Ok(false) => {}
                // Of a long body more may come meanwhile than a host can hold.
                Err(Lack::Call(fetch)) if is_known || is_short(self.declared) => return Ok(self.wait(fetch)),
                Err(Lack::Call(fetch)) => return Ok(JudgedSlice { fetch: Some(fetch), ..passed }),
                Err(Lack::Refused(error)) => return Err(error),
            }
        }
        let is_session = self.judge.as_ref().is_some_and(RequestJudge::is_upgrade);
        if is_known
            && (is_session || !self.is_reserved)
            && let Some(meter) = meter
        {
            let asked =
                self.judge.as_ref().map_or(Asked { count: 1, ..Asked::default() }, RequestJudge::asked);
            let models = self.judge.iter().flat_map(RequestJudge::models);
            if self.is_reserved {
                passed.fetch = meter.renew(models, &asked, now, store)?;
                passed.is_done = self.is_last;
                return Ok(passed);
            }
            // Of a body that is not read the length is known by its head alone.
            let bytes = match &self.judge {
                Some(judge) if judge.is_unread() => judge.bytes().max(self.declared),
                Some(judge) => judge.bytes(),
                None => self.declared,
            };
            meter.note_request(models, &asked, bytes, self.asks_usage);
            match meter.reserve(&asked, now, store) {
                Ok(()) => {}
                Err(Lack::Call(fetch)) => return Ok(self.wait(fetch)),
                Err(Lack::Refused(error)) => return Err(error),
            }
        }
        self.is_reserved |= is_known;
        let is_read = self.judge.as_ref().is_some_and(|judge| !judge.is_unread());
        passed.is_done = self.is_last || (self.is_reserved && !is_read);
        Ok(passed)
    }

    /// Returns whether everything that the body can say is known.
    fn is_known(&self) -> bool {
        self.is_last || self.judge.as_ref().is_none_or(RequestJudge::is_over)
    }

    fn wait(&mut self, fetch: Box<Fetch>) -> JudgedSlice {
        self.is_waiting = true;
        JudgedSlice { slice: Slice::Same, waits: true, fetch: Some(fetch), is_done: false }
    }

    /// Returns the observation of a request whose body holds.
    pub(crate) fn allowed(&self) -> Observation {
        Observation { metric: metric("forward", ALLOWED, &self.provider), count: 1, line: None }
    }

    /// Returns the refusal for an error of the body.
    pub(crate) fn refuse(
        &self,
        error: CheckError<'static>,
        response: &ResponseHeaders,
        now: Moment,
    ) -> Refusal {
        let reason = error.reason();
        let words = self.judge.as_ref().filter(|_| error == CheckError::ModelNotAllowed);
        let words = words.and_then(RequestJudge::words);
        let reply = LocalReply::refuse_saying(reason, words.as_deref(), self.dialect, own(&error, now));
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
        let observation = Observation { metric, count: 1, line: Some(line.to_string()) };
        Refusal { reply: reply.with(response), reason: reason.code(), observation }
    }
}

/// Returns the headers that an error gives its reply.
fn own(error: &CheckError<'_>, now: Moment) -> Vec<ResponseHeader> {
    match error {
        CheckError::BudgetSpent(at) => {
            let seconds = at.0.saturating_sub(now.unix().0).max(1);
            vec![("retry-after", seconds.to_string().into())]
        }
        CheckError::ObjectsGuessed(taken) => {
            vec![("retry-after", taken.retry_after.max(1).to_string().into())]
        }
        CheckError::TokensLimited(taken) => {
            vec![("retry-after", taken.retry_after.max(1).to_string().into())]
        }
        _ => Vec::new(),
    }
}

fn metric(verdict: &str, reason: &str, provider: &str) -> String {
    format!("keyswap.decisions.verdict.{verdict}.reason.{reason}.provider.{provider}")
}

/// Returns the values of a metered request that has ended, for the access log.
pub(crate) fn logged(charged: &Charged) -> Vec<(&'static str, String)> {
    let model = charged.model.clone().unwrap_or_else(|| OTHER.to_owned());
    let counts = charged.usage.ok();
    let numbers = [
        ("keyswap_input_tokens", counts.map(|counts| counts.input)),
        ("keyswap_output_tokens", counts.map(|counts| counts.output)),
        ("keyswap_cost_nano_usd", charged.cost.map(|cost| cost.0)),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string())));
    [("keyswap_model", model)].into_iter().chain(numbers).collect()
}

/// The name of every model that has no price.
const OTHER: &str = "other";

/// Returns the observations of a metered request that has ended.
pub(crate) fn usage(charged: &Charged, provider: &str) -> Vec<Observation> {
    let model = charged.model.as_deref().unwrap_or(OTHER);
    let outcome = match (&charged.usage, charged.cost) {
        (Err(_), _) => "unmetered",
        (Ok(_), None) => "unpriced",
        (Ok(_), Some(_)) => "metered",
    };
    let counted = |metric: String, count: u64| Observation { metric, count, line: None };
    let mut observations =
        vec![counted(format!("keyswap.usage.outcome.{outcome}.provider.{provider}.model.{model}"), 1)];
    if let Ok(counts) = &charged.usage {
        let kinds = [
            ("input", counts.input),
            ("cached", counts.cached),
            ("cache_write", counts.cache_write),
            ("output", counts.output),
            ("reasoning", counts.reasoning),
        ];
        observations.extend(kinds.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| {
            counted(format!("keyswap.tokens.kind.{kind}.provider.{provider}.model.{model}"), count)
        }));
    }
    if let Some(cost) = charged.cost.filter(|cost| cost.0 > 0) {
        observations
            .push(counted(format!("keyswap.spend_nano_usd.provider.{provider}.model.{model}"), cost.0));
    }
    observations
}
