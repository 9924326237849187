//! Policy files: JSON goes to the engine byte for byte, YAML as the JSON it stands for.

use std::borrow::Cow;
use std::path::Path;

use keyswap_core::policy::{Policy, PolicyError, PolicyErrors, RolloutPolicy};
use serde_json::Value;

use super::terminal::{input, output};
use crate::text::yaml;

/// Room for some 20,000 inline tokens, where a registry has long served better.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The text of a policy and where it is from.
#[derive(Clone)]
pub(crate) struct PolicyFile {
    /// Its name in output.
    pub(crate) name: String,
    bytes: Vec<u8>,
    syntax: Syntax,
}

#[derive(Clone, Copy)]
enum Syntax {
    Json,
    Yaml,
}

impl PolicyFile {
    /// Reads the file, or standard input for `-`.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = input::read(path, MAX_BYTES)?;
        let syntax = Syntax::of(path, &bytes);
        let name = if input::is_stdin(path) {
            input::name(path)
        } else {
            output::visible(&path.display().to_string())
        };
        Ok(Self { name, bytes, syntax })
    }

    /// Reads the policy in it, as the engine does.
    pub(crate) fn policy(&self) -> Result<Policy, PolicyErrors> {
        Policy::from_json(&self.json()?)
    }

    /// Reads the policy, or the policy and its candidate.
    pub(crate) fn rollout(&self) -> Result<RolloutPolicy, PolicyErrors> {
        RolloutPolicy::from_json(&self.json()?)
    }

    /// Returns the document as JSON, as data planes are configured with it.
    pub(crate) fn json(&self) -> Result<Cow<'_, [u8]>, PolicyErrors> {
        match self.syntax {
            Syntax::Json => Ok(Cow::Borrowed(&self.bytes)),
            Syntax::Yaml => {
                let document = yaml::parse(&self.bytes).map_err(|error| whole(error.to_string()))?;
                Ok(Cow::Owned(document.to_string().into_bytes()))
            }
        }
    }

    /// Returns the document as it stands, whatever is in it. The error repeats nothing of it.
    pub(crate) fn document(&self) -> Result<Value, String> {
        match self.syntax {
            Syntax::Json => serde_json::from_slice(&self.bytes).map_err(|error| {
                format!("not valid JSON at line {} column {}", error.line(), error.column())
            }),
            Syntax::Yaml => yaml::parse(&self.bytes).map_err(|error| error.to_string()),
        }
    }
}

impl Syntax {
    /// Tells the syntax from the extension; without a known one, a `{` at the beginning is JSON.
    fn of(path: &Path, bytes: &[u8]) -> Self {
        let extension = path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
        match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            _ if bytes.trim_ascii_start().starts_with(b"{") => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Returns an error of the document as a whole.
fn whole(message: String) -> PolicyErrors {
    PolicyErrors(vec![PolicyError { path: String::new(), message }])
}
