//! The lines of the proxy's program in the log of the command.

use std::io::Write as _;

use serde_json::json;

use crate::command::log::LogFormat;
use crate::command::terminal::output::visible;

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
