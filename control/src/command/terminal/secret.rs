//! A secret that a person types at the terminal.

use std::io::{self, BufRead as _, Read as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::output;

/// The terminal at standard input, which does not show what is typed until drop.
struct Silent {
    before: Termios,
}

/// Asks for a line of at most `limit` bytes, which is not shown.
pub(crate) fn ask(question: &str, limit: u64) -> io::Result<Vec<u8>> {
    let silent = Silent::new()?;
    output::note(question);
    let mut line = Vec::new();
    io::stdin().lock().take(limit).read_until(b'\n', &mut line)?;
    drop(silent);
    Ok(line)
}

impl Silent {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
