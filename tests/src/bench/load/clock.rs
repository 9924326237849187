//! A clock that ticks on time: tokio's own is a millisecond coarse, which is many requests.

use std::{os::fd::OwnedFd, time::Duration};

use anyhow::Result;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// Ticks with one period.
pub(super) struct Clock(AsyncFd<OwnedFd>);

impl Clock {
    pub(super) fn every(period: Duration) -> Result<Self> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let period = Timespec::try_from(period)?;
        let spec = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        #[expect(unsafe_code, reason = "tokio cannot tell that a descriptor stays open")]
        // SAFETY: the timer is owned, so its descriptor is open until it is dropped, and always the same.
        let timer = unsafe { AsyncFd::register(timer)? };
        Ok(Self(timer))
    }

    /// Waits for the next tick. Ticks that were missed are one.
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
