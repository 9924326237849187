//! The engine without a host, the reference for every host.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_cases::{Case, CaseHost, Found, Outcome, Suite};
use keyswap_core::base::Moment;
use keyswap_core::host::Capabilities;
use keyswap_core::judge::{AnswerFields, Decision, Field, Verdict};
use keyswap_core::request::{OwnedHead, RequestHead};
use keyswap_tests::{Request, Response, Standin};

use crate::seen::{Seen, answered, at_any_moment};

/// The engine with its environment.
pub(crate) struct Core {
    host: CaseHost,
    standin: Standin,
}

/// A decision of the engine, with the views of the upstream and the caller.
pub(crate) struct Decided {
    found: Found,
    pub(crate) seen: Seen,
}

impl Core {
    pub(crate) fn start(suite: &Suite, capabilities: Capabilities) -> Result<Self> {
        Ok(Self { host: CaseHost::new(suite, None, capabilities)?, standin: Standin::start()? })
    }

    pub(crate) fn decide(&self, head: &OwnedHead, case: &Case) -> Result<Decided> {
        let body = case.body().unwrap_or_default();
        let ask = |decision: &Decision<'_>, head: &RequestHead<'_>| self.ask_upstream(decision, head, body);
        let (found, answer, mut exchange) = self.host.decide(head, case.body().as_deref(), now(), ask);
        let answer = match answer? {
            Some(raw) if matches!(found.outcome, Outcome::Forwarded(_)) => {
                let fields =
                    exchange.response().fields(&lines(&raw)).map(owned).collect::<Result<Vec<_>>>()?;
                let head = AnswerFields { status: raw.status, fields: &lines(&raw) };
                let body = self.host.receive(&mut exchange, &head, raw.body.clone(), now());
                let body = String::from_utf8(body.context("the answer is cut off")?)?;
                Some(answered(raw.status, &fields, body))
            }
            _ => None,
        };
        let seen = match &found.outcome {
            Outcome::Forwarded(forwarded) => Seen {
                upstream: Some(forwarded.clone()),
                caller: answer.context("what is forwarded has an answer")?,
            },
            Outcome::Replied(reply) => Seen { upstream: None, caller: at_any_moment(reply) },
            Outcome::Failed(error) => bail!("nothing was decided that could be compared: {error}"),
        };
        Ok(Decided { found, seen })
    }

    /// Returns the stand-in's answer, `None` if the request is not forwarded.
    fn ask_upstream(
        &self,
        decision: &Decision<'_>,
        head: &RequestHead<'_>,
        body: Vec<u8>,
    ) -> Result<Option<Response>> {
        let Verdict::Forward(rewrite) = &decision.verdict else { return Ok(None) };
        let method = str::from_utf8(head.method)?;
        let mut request = Request::new(method, &rewrite.path).body(body);
        for (name, value) in rewrite.fields(head) {
            request = request.header(name, value);
        }
        let raw = keyswap_tests::send(self.standin.plain(rewrite.authority)?, &request)?;
        self.standin.take();
        Ok(Some(raw))
    }
}

fn lines(raw: &Response) -> Vec<Field<'_>> {
    raw.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect()
}

impl Decided {
    /// Compares the decision with the expectation of the file.
    pub(crate) fn check(&self, case: &Case) -> Result<()> {
        let differences: Vec<String> = case.compare(&self.found).iter().map(ToString::to_string).collect();
        ensure!(differences.is_empty(), "{}\n found: {:?}", differences.join("\n"), self.seen);
        if let Some(reply) = &case.reply {
            let header = self.seen.caller.headers.get("x-keyswap-reason");
            ensure!(header == reply.reason.as_ref(), "the header gives another reason: {header:?}");
        }
        Ok(())
    }
}

fn owned((name, value): Field<'_>) -> Result<(String, Vec<u8>)> {
    Ok((str::from_utf8(name)?.to_owned(), value.to_vec()))
}

pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
