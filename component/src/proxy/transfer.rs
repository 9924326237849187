//! A body on its way from one side to the other, with its trailers where they were announced.

use keyswap_core::judge::Field;
use wasip2::http::types::{Fields, IncomingBody, OutgoingBody};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream};

use super::pump::{End, Flow, Judge, Pump};

/// A body on its way. The pump is dropped first, since it holds streams of the two ends.
pub(super) struct Transfer {
    pump: Pump,
    from: IncomingBody,
    to: OutgoingBody,
    traits: Traits,
}

/// The traits of a body that the head of its message tells.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits {
    has_trailers: bool,
    length: Option<u64>,
}

impl Traits {
    /// Returns the traits of the same body where bytes may be taken out of it.
    pub(super) fn without_length(self) -> Self {
        Self { length: None, ..self }
    }

    pub(super) fn of<'n>(lines: impl Iterator<Item = Field<'n>>) -> Self {
        let mut traits = Self::default();
        for (name, value) in lines {
            if name.eq_ignore_ascii_case(b"content-length") {
                traits.length = str::from_utf8(value).ok().and_then(|length| length.parse().ok());
            }
            traits.has_trailers |= name.eq_ignore_ascii_case(b"trailer");
        }
        traits
    }
}

impl Transfer {
    pub(super) fn new(
        (source, from): (InputStream, IncomingBody),
        (sink, to): (OutputStream, OutgoingBody),
        begun: Vec<u8>,
        traits: Traits,
    ) -> Self {
        Self { pump: Pump::new(source, sink, traits.length, begun), from, to, traits }
    }

    /// Returns whether the bytes that come are still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.pump.is_wanted()
    }

    /// Returns whether the source may be silent for long. A body of a known length is on its way at once.
    pub(super) fn may_be_silent(&self) -> bool {
        self.traits.length.is_none()
    }

    /// Finishes a body that is complete, with the trailers that `passes` lets through. A body that broke off is never
    /// finished, so that the other side sees it cut off.
    fn finish(self, passes: &dyn Fn(&[Field<'_>]) -> Option<Fields>) {
        let Self { pump, from, to, traits } = self;
        drop(pump);
        let trailers = traits.has_trailers.then(|| read_trailers(from)).flatten();
        let trailers = trailers.and_then(|lines| {
            let lines: Vec<Field<'_>> =
                lines.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
            passes(&lines)
        });
        // A side that has left needs no end.
        let _ = OutgoingBody::finish(to, trailers);
    }
}

fn read_trailers(body: IncomingBody) -> Option<Vec<(String, Vec<u8>)>> {
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let trailers = trailers.get()?.ok()?.ok()??;
    Some(trailers.entries())
}

/// One turn of all that is on its way.
#[derive(Default)]
pub(super) struct Turn {
    waits: Vec<Pollable>,
    has_moved: bool,
}

impl Turn {
    /// Moves some of a body; returns its end, if it has ended.
    pub(super) fn advance(
        &mut self,
        transfer: &mut Option<Transfer>,
        passes: &dyn Fn(&[Field<'_>]) -> Option<Fields>,
        judge: Option<&mut Judge<'_>>,
    ) -> Option<End> {
        match transfer.as_mut()?.pump.step(judge) {
            Flow::Moved => self.has_moved = true,
            Flow::Waits(until) => self.waits.push(until),
            Flow::Ended(end) => {
                let ended = transfer.take()?;
                if end == End::Complete {
                    ended.finish(passes);
                }
                self.has_moved = true;
                return Some(end);
            }
        }
        None
    }

    pub(super) fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// Waits for any of the bodies, or for `other`, unless bytes were moved and more may be there. Returns whether
    /// `other` came.
    pub(super) fn end(self, other: Option<&Pollable>) -> bool {
        if self.has_moved {
            return false;
        }
        match (self.waits.as_slice(), other) {
            ([], None) => false,
            ([], Some(other)) => {
                other.block();
                true
            }
            (waits, other) => {
                let all: Vec<&Pollable> = waits.iter().chain(other).collect();
                poll(&all).into_iter().any(|place| usize::try_from(place) == Ok(waits.len()))
            }
        }
    }
}
