//! A connection whose client has to read: an answer that is not taken in time ends the connection.
//!
//! The time runs from the first write that has to wait until everything is written. Reading a byte now and then does
//! not extend it.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A connection with a time limit for its client to take what is written.
pub(super) struct Prompt<T> {
    io: T,
    patience: Duration,
    /// The end of the time, `None` while nothing waits to be written.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T: AsyncWrite + Unpin> Prompt<T> {
    pub(super) fn new(io: T, patience: Duration) -> Self {
        Self { io, patience, deadline: None }
    }

    /// Returns the outcome of `write`. While it waits, the time runs; after the time it is an error.
    fn within<R>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        // Asked before the write too, so that a client that reads slowly does not make each write succeed.
        if self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready()) {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        let written = write(Pin::new(&mut self.io), context);
        if written.is_pending() && self.deadline.is_none() {
            let deadline = self.deadline.insert(Box::pin(sleep(self.patience)));
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Prompt<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Prompt<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.within(context, |io, context| io.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.within(context, |io, context| io.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Hyper flushes when it has written all that it holds, which ends the time.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.within(context, T::poll_flush));
        if flushed.is_ok() {
            self.deadline = None;
        }
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.within(context, T::poll_shutdown)
    }
}
