//! One direction of an exchange: bytes go from a source to a sink as they come, and stay outside of the component unless
//! they are judged.

use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::reply;

/// The most bytes that one step moves.
const MAX_STEP_BYTES: u64 = 1024 * 1024;
/// The most bytes of one step that are read.
const MAX_READ_BYTES: u64 = 64 * 1024;

pub(super) struct Pump {
    source: InputStream,
    sink: OutputStream,
    /// Bytes that were read before, and go first.
    begun: Vec<u8>,
    /// The bytes still to come, where the head states a length. Hosts hold a body to it.
    left: Option<u64>,
}

/// The outcome of a step.
pub(super) enum Flow {
    /// Bytes were moved; there may be more.
    Moved,
    /// Nothing can be moved before this is ready.
    Waits(Pollable),
    /// The direction has ended.
    Ended(End),
}

/// The end of a direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the last byte.
    Complete,
    /// The source broke off.
    Broken,
    /// The sink takes no more.
    Unwanted,
    /// A slice was refused.
    Refused,
}

/// The error of a slice that may not go on.
pub(super) struct Refused;

/// A judge of slices, who returns the bytes that go on in the place of one; `None` where it goes on as it is. The flag says
/// that nothing follows.
pub(super) type Judge<'j> = dyn FnMut(&[u8], bool) -> Result<Option<Vec<u8>>, Refused> + 'j;

impl Pump {
    pub(super) fn new(source: InputStream, sink: OutputStream, length: Option<u64>, begun: Vec<u8>) -> Self {
        Self { source, sink, begun, left: length }
    }

    pub(super) fn step(&mut self, judge: Option<&mut Judge<'_>>) -> Flow {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            return self.judge(&begun, judge);
        }
        let most = self.left.map_or(MAX_STEP_BYTES, |left| left.min(MAX_STEP_BYTES));
        match judge {
            // A body that is whole has ended: its host is asked nothing more.
            None if most == 0 => Flow::Ended(End::Complete),
            None => self.splice(most),
            Some(judge) if most == 0 => self.end(judge),
            Some(judge) => self.pass(most.min(MAX_READ_BYTES), judge),
        }
    }

    fn splice(&mut self, most: u64) -> Flow {
        match self.sink.splice(&self.source, most) {
            Ok(moved @ 1..) => {
                self.count(moved);
                Flow::Moved
            }
            // A closed sink looks the same. Finishing that one does nothing.
            Err(StreamError::Closed) => Flow::Ended(End::Complete),
            Err(StreamError::LastOperationFailed(_)) => Flow::Ended(End::Broken),
            // The sink tells which side has to be waited for.
            Ok(0) => match self.sink.check_write() {
                Ok(0) => Flow::Waits(self.sink.subscribe()),
                Ok(_) => Flow::Waits(self.source.subscribe()),
                Err(_) => Flow::Ended(End::Unwanted),
            },
        }
    }

    /// Reads a slice, and writes what the judge lets pass.
    fn pass(&mut self, most: u64, judge: &mut Judge<'_>) -> Flow {
        match self.sink.check_write() {
            Ok(0) => return Flow::Waits(self.sink.subscribe()),
            Ok(_) => {}
            Err(_) => return Flow::Ended(End::Unwanted),
        }
        let slice = match self.source.read(most) {
            Ok(slice) if slice.is_empty() => return Flow::Waits(self.source.subscribe()),
            Ok(slice) => slice,
            Err(StreamError::Closed) => return self.end(judge),
            Err(StreamError::LastOperationFailed(_)) => return Flow::Ended(End::Broken),
        };
        self.count(u64::try_from(slice.len()).unwrap_or(u64::MAX));
        self.judge(&slice, Some(judge))
    }

    fn judge(&self, slice: &[u8], judge: Option<&mut Judge<'_>>) -> Flow {
        match judge.map_or(Ok(None), |judge| judge(slice, false)) {
            Err(Refused) => Flow::Ended(End::Refused),
            Ok(other) => self.write(other.as_deref().unwrap_or(slice)),
        }
    }

    /// Tells the judge that nothing follows.
    fn end(&mut self, judge: &mut Judge<'_>) -> Flow {
        match judge(&[], true) {
            Err(Refused) => Flow::Ended(End::Refused),
            Ok(more) => match self.write(more.as_deref().unwrap_or_default()) {
                Flow::Moved => Flow::Ended(End::Complete),
                flow => flow,
            },
        }
    }

    fn write(&self, bytes: &[u8]) -> Flow {
        match reply::write(&self.sink, bytes) {
            Ok(()) => Flow::Moved,
            Err(reply::Closed) => Flow::Ended(End::Unwanted),
        }
    }

    fn count(&mut self, moved: u64) {
        self.left = self.left.map(|left| left.saturating_sub(moved));
    }

    /// Returns whether the bytes that come are still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.sink.check_write().is_ok()
    }
}
