//! The progress of the start, and the requests that the stand-in receives.

use std::{
    io::Write as _,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use keyswap_tests::Received;

/// The interval at which a long step reports that it still runs.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest part of a request that is shown, in characters.
const SHOWN: usize = 2000;

/// The numbered steps of the start, with their durations.
pub(super) struct Progress {
    step: usize,
    steps: usize,
}

impl Progress {
    pub(super) fn of(steps: usize) -> Self {
        Self { step: 0, steps }
    }

    pub(super) fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.step += 1;
        let number = format!("[{}/{}]", self.step, self.steps);
        print(&format!("{number} {what} …\n"));
        let started = Instant::now();
        let (done, running) = mpsc::channel::<()>();
        let ticker = thread::spawn(move || {
            while running.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                print(&format!("      still running after {} s\n", started.elapsed().as_secs()));
            }
        });
        let result = work();
        drop(done);
        let _ = ticker.join();
        if result.is_ok() {
            print(&format!("      done in {:.1} s\n", started.elapsed().as_secs_f32()));
        }
        result
    }
}

/// Prints and flushes. Errors are ignored: a closed output must not end the program.
pub(super) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Returns the text of a request that the stand-in received.
pub(super) fn request(received: &Received) -> String {
    let text = format!("{received:?}");
    let shown: String = text.chars().take(SHOWN).collect();
    let more = if shown.len() < text.len() { " …" } else { "" };
    let shown = format!("{shown}{more}");
    format!("\nthe stand-in received\n  | {}\n", shown.trim_end().replace('\n', "\n  | "))
}
