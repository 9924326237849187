//! The log of the command and of the proxy's program, as lines of text or of JSON.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::command::terminal::output::visible;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object on each line
    Json,
}

/// Sends the log of this process to standard error.
pub(super) fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(filter).context("invalid `--log`")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

impl LogFormat {
    /// Returns Envoy's option for this form, `None` for Envoy's own.
    pub(super) const fn of_envoy(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Json => Some(
                r#"{"timestamp":"%Y-%m-%dT%T.%fZ","level":"%l","target":"envoy","fields":{"message":"%j"}}"#,
            ),
        }
    }

    /// Writes a line of a program's log to standard error. Errors are ignored: a closed output must not end the proxy.
    pub(super) fn pass(self, program: &str, line: &str) {
        let line = if self == Self::Text || is_object(line) {
            visible(line)
        } else {
            json!({"target": program.to_lowercase(), "fields": {"message": line}}).to_string()
        };
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

fn is_object(line: &str) -> bool {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}
