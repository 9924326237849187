//! One direction of an exchange: bytes go from a source to a sink as they come, and stay outside of the component.

use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// So much is moved at once at most.
const MAX_STEP_BYTES: u64 = 1024 * 1024;

pub(super) struct Pump {
    source: InputStream,
    sink: OutputStream,
    /// The bytes still to come, where the head has said it. Hosts hold a body to it.
    left: Option<u64>,
}

/// The outcome of a step.
pub(super) enum Flow {
    /// Something was moved; there may be more.
    Moved,
    /// Nothing can be moved before this is ready.
    Waits(Pollable),
    /// It is over.
    Ended(End),
}

/// How a direction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the last byte.
    Complete,
    /// The source broke off.
    Broken,
    /// Nobody takes what comes.
    Unwanted,
}

impl Pump {
    pub(super) fn new(source: InputStream, sink: OutputStream, length: Option<u64>) -> Self {
        Self { source, sink, left: length }
    }

    pub(super) fn step(&mut self) -> Flow {
        let most = self.left.map_or(MAX_STEP_BYTES, |left| left.min(MAX_STEP_BYTES));
        // A body that is whole has ended: its host is asked nothing more.
        if most == 0 {
            return Flow::Ended(End::Complete);
        }
        match self.sink.splice(&self.source, most) {
            Ok(moved @ 1..) => {
                self.left = self.left.map(|left| left.saturating_sub(moved));
                Flow::Moved
            }
            // Where it was the sink that closed, to finish it does nothing.
            Err(StreamError::Closed) => Flow::Ended(End::Complete),
            Err(StreamError::LastOperationFailed(_)) => Flow::Ended(End::Broken),
            // Which side has to be waited for is the sink's to say.
            Ok(0) => match self.sink.check_write() {
                Ok(0) => Flow::Waits(self.sink.subscribe()),
                Ok(_) => Flow::Waits(self.source.subscribe()),
                Err(_) => Flow::Ended(End::Unwanted),
            },
        }
    }

    /// Returns whether the bytes that come are still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.sink.check_write().is_ok()
    }
}
