//! The progress of the bench: one line that changes in a terminal, else a line now and then.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::{Duration, Instant},
};

/// The interval of lines where the output is not a terminal.
const PAUSE: Duration = Duration::from_secs(5);

/// The progress of a run.
pub(super) struct Progress {
    began: Instant,
    in_terminal: bool,
    told: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { began: Instant::now(), in_terminal: stderr().is_terminal(), told: None }
    }
}

impl Progress {
    /// Shows the next step; `done` is the finished part of the run.
    pub(super) fn tell(&mut self, what: &str, done: f64) {
        let line = format!("[{:3.0} %{}] {what}", done * 100.0, remaining(self.began.elapsed(), done));
        let mut stderr = stderr().lock();
        // Nobody may be reading any more, and that ends nothing.
        let _ = if self.in_terminal {
            write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
        } else if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.told = Some(Instant::now());
            writeln!(stderr, "{line}")
        } else {
            Ok(())
        };
    }

    pub(super) fn end(&self) {
        if self.in_terminal {
            eprint!("\r\x1b[K");
        }
        eprintln!("measured in {} s", self.began.elapsed().as_secs());
    }
}

/// Returns the time left, or `None` while it cannot be estimated.
fn remaining(elapsed: Duration, done: f64) -> String {
    if done < 0.02 {
        return String::new();
    }
    let left = elapsed.mul_f64((1.0 - done).max(0.0) / done).as_secs();
    if left < 90 { format!(", {left} s left") } else { format!(", {} min left", left.div_ceil(60)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_once_it_can_be_told() {
        for (seconds, done, expect) in [
            (10, 0.0, ""),
            (10, 0.5, ", 10 s left"),
            (60, 0.25, ", 3 min left"),
            (60, 1.0, ", 0 s left"),
            (60, 1.1, ", 0 s left"),
        ] {
            assert_eq!(remaining(Duration::from_secs(seconds), done), expect);
        }
    }
}
