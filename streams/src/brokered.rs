//! The body of a brokered answer: nothing of it goes on before its end, and then another body in its place.
//!
//! Envoy sends the head of an answer on before the body comes. So where a body turns out to be one that must not go out,
//! the stream is reset, and nothing of that body has left.

use keyswap_core::worker::{Exchange, MintFault};

use crate::host::{Action, Body, Host, HostError};

/// A body that is held back.
pub(crate) enum Held {
    /// The bytes that have come so far, of an answer with this status.
    Collected(u16, Vec<u8>),
    /// Nothing more goes out.
    Ended,
}

/// The reason why nothing of an answer goes out.
enum Fault {
    Answer(MintFault),
    Host(HostError),
}

impl From<HostError> for Fault {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl Held {
    /// Takes the bytes that are on their way now.
    pub(crate) fn take<H: Host>(&mut self, exchange: &Exchange, size: usize, is_last: bool) -> Action {
        let Self::Collected(status, body) = self else { return Action::Pause };
        match collect::<H>(body, size)
            .and_then(|()| if is_last { send::<H>(exchange, *status, body) } else { Ok(()) })
        {
            Ok(()) => Action::Continue,
            Err(fault) => self.end::<H>(exchange, &fault),
        }
    }

    /// Ends an answer that has no last byte of a body, because trailers follow.
    pub(crate) fn cut<H: Host>(&mut self, exchange: &Exchange) -> Action {
        self.end::<H>(exchange, &Fault::Answer(MintFault::Incomplete))
    }

    fn end<H: Host>(&mut self, exchange: &Exchange, fault: &Fault) -> Action {
        *self = Self::Ended;
        match fault {
            Fault::Answer(fault) => log::warn!("an answer was not brokered, and is withheld: {fault}"),
            Fault::Host(error) => log::error!("an answer was not brokered, and is withheld: {error}"),
        }
        // Best: a host that has not sent the head yet sends this in its place.
        if let Err(error) = H::reply(&exchange.withheld()) {
            log::error!("a reply could not be sent: {error}");
        }
        Action::Pause
    }
}

/// Keeps the bytes that are on their way, and lets none of them go on.
fn collect<H: Host>(body: &mut Vec<u8>, size: usize) -> Result<(), Fault> {
    if size == 0 {
        return Ok(());
    }
    if body.len().saturating_add(size) > Exchange::MAX_BROKERED_BYTES {
        return Err(Fault::Answer(MintFault::TooLong));
    }
    body.extend(H::slice(Body::Response, size)?);
    Ok(H::replace(Body::Response, &[])?)
}

fn send<H: Host>(exchange: &Exchange, status: u16, body: &[u8]) -> Result<(), Fault> {
    let body = exchange.broker(status, body, H::now()?).map_err(Fault::Answer)?;
    Ok(H::replace(Body::Response, body.as_bytes())?)
}
