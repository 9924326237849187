//! A precise timer. Tokio's has a resolution of a millisecond, in which many requests are due.

use std::{os::fd::OwnedFd, time::Duration};

use anyhow::Result;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A timer that ticks with a fixed period.
pub(super) struct Clock(AsyncFd<OwnedFd>);

impl Clock {
    pub(super) fn every(period: Duration) -> Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let period = Timespec::try_from(period)?;
        let spec = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        #[expect(unsafe_code, reason = "tokio cannot tell that a descriptor stays open")]
        // SAFETY: the timer owns its descriptor, which stays open and the same until the timer is dropped.
        let timer = unsafe { AsyncFd::register(timer)? };
        Ok(Self(timer))
    }

    /// Waits for the next tick. Missed ticks count as one.
    pub(super) async fn tick(&self) -> Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut ticks = [0; 8];
            if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut ticks)?)) {
                read?;
                return Ok(());
            }
        }
    }
}
