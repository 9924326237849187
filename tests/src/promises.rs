//! Checks that hold for every host: what callers and upstreams may rely on.

use anyhow::{Context as _, Result, ensure};
use keyswap_core::answer::{LocalReply, UpstreamFailure};

use crate::{Request, Response, Server, Standin};

/// Ensures that the first text of a stream arrives while the rest is held back, and that the stream is complete.
pub fn events_keep_their_spacing(standin: &Standin, host: &Server, request: &Request) -> Result<()> {
    let held = standin.hold();
    let mut answer = host.open(request)?;
    ensure!(answer.status() == 200 && answer.header("content-length").is_none());
    // Events before the hold arrive while the later ones are held back.
    while !answer.next_event()?.context("the stream ended")?.contains("Hello") {}
    held.release();
    let mut last = String::new();
    while let Some(event) = answer.next_event()? {
        last = event;
    }
    ensure!(last.contains("[DONE]"), "{last}");
    Ok(())
}

/// Ensures that the answer is Keyswap's reply to this failure of the upstream.
pub fn tells_of(failure: UpstreamFailure, answer: &Response) -> Result<()> {
    let expected = LocalReply::upstream(failure);
    ensure!((answer.status, answer.text()) == (expected.status, expected.body), "{answer:?}");
    Ok(())
}
