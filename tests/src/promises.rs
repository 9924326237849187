//! The promises of every host of Keyswap to callers and upstreams, checked in each by the same means.

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_core::answer::{LocalReply, UpstreamFailure};

use crate::{Received, Request, Response, Server, Standin};

impl Standin {
    /// Takes what has arrived. None of `secrets` may be in it, neither in a request nor in a byte that went before or
    /// after one; and it is forgotten.
    pub fn take_without(&self, secrets: &[&str]) -> Result<Vec<Received>> {
        let wire = self.wire();
        let received = self.take();
        for secret in secrets {
            let shows = wire.windows(secret.len()).any(|window| window == secret.as_bytes());
            let shows = shows || received.iter().any(|request| request.contains(secret));
            ensure!(!shows, "`{secret}` reached the upstream: {received:?}");
        }
        Ok(received)
    }

    /// Like [`Self::take_without`], of which there must be exactly one.
    pub fn take_one_without(&self, secrets: &[&str]) -> Result<Received> {
        let mut received = self.take_without(secrets)?;
        match (received.pop(), received.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => bail!("nothing reached the upstream"),
            (Some(last), false) => {
                bail!("more than one request reached the upstream: {received:?}, {last:?}")
            }
        }
    }
}

/// The first text of a stream comes while the rest is held back, and the stream is whole in the end.
pub fn events_keep_their_spacing(standin: &Standin, host: &Server, request: &Request) -> Result<()> {
    let held = standin.hold();
    let mut answer = host.open(request)?;
    ensure!(answer.status() == 200 && answer.header("content-length").is_none());
    // What comes before the hold is here while the rest is not there yet.
    while !answer.next_event()?.context("the stream ended")?.contains("Hello") {}
    held.release();
    let mut last = String::new();
    while let Some(event) = answer.next_event()? {
        last = event;
    }
    ensure!(last.contains("[DONE]"), "{last}");
    Ok(())
}

/// The answer says that the upstream failed so, in Keyswap's words.
pub fn tells_of(failure: UpstreamFailure, answer: &Response) -> Result<()> {
    let expected = LocalReply::upstream(failure);
    ensure!((answer.status, answer.text()) == (expected.status, expected.body), "{answer:?}");
    Ok(())
}
