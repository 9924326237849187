//! One direction of an exchange: bytes go from a source to a sink as they come, and stay outside of the component.

use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// The most bytes that one step moves.
const MAX_STEP_BYTES: u64 = 1024 * 1024;

pub(super) struct Pump {
    source: InputStream,
    sink: OutputStream,
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

    /// Returns whether the bytes that come are still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.sink.check_write().is_ok()
    }
}
