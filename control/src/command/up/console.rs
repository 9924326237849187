//! The progress of the start, and the requests that the stand-in receives.

use std::io::Write as _;
use std::time::{Duration, Instant};

use keyswap_standin::Received;

use crate::command::terminal::output::visible;

/// The interval at which a long step reports that it still runs.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest part of a request that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 2000;

/// The numbered steps of the start, with their durations.
pub(super) struct Progress {
    step: usize,
    steps: usize,
}

impl Progress {
    pub(super) fn of(steps: usize) -> Self {
        Self { step: 0, steps }
    }

    /// Runs a step, and prints its name before and its duration after it.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.step += 1;
        print(&format!("[{}/{}] {name} …\n", self.step, self.steps));
        let started = Instant::now();
        let mut work = std::pin::pin!(work);
        let result = loop {
            match tokio::time::timeout(PATIENCE, &mut work).await {
                Ok(result) => break result,
                Err(_) => print(&format!("      still running after {} s\n", started.elapsed().as_secs())),
            }
        };
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

/// Returns the text of a request that the stand-in received. A caller's bytes move no cursor.
pub(super) fn request(received: &Received) -> String {
    let text = format!("{received:?}");
    let shown: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { " …" } else { "" };
    let lines: Vec<String> = shown.trim_end().lines().map(|line| format!("  | {}", visible(line))).collect();
    format!("\nthe stand-in received\n{}{more}\n", lines.join("\n"))
}
