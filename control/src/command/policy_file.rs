//! Policy files: JSON is passed to the engine byte for byte, YAML is converted to JSON.

use std::borrow::Cow;
use std::path::Path;

use keyswap_core::policy::{Policy, PolicyError, PolicyErrors, RolloutPolicy};
use serde_json::Value;

use super::terminal::{input, output};
use crate::text::yaml;

/// The largest policy file: room for about 20,000 tokens, many more than a policy without a registry should hold.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The text of a policy, with its name and syntax.
#[derive(Clone)]
pub(crate) struct PolicyFile {
    /// The name of the file in output.
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
        Ok(Self::of(path, &input::read(path, MAX_BYTES)?))
    }

    /// Takes the text that the file has, or is to have.
    pub(crate) fn of(path: &Path, bytes: &[u8]) -> Self {
        let syntax = Syntax::of(path, bytes);
        let name = if input::is_stdin(path) {
            input::name(path)
        } else {
            output::visible(&path.display().to_string())
        };
        Self { name, bytes: bytes.to_owned(), syntax }
    }

    /// Tells whether the text is JSON.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.syntax, Syntax::Json)
    }

    /// Reads the policy with the engine's reader.
    pub(crate) fn policy(&self) -> Result<Policy, PolicyErrors> {
        Policy::from_json(&self.json()?)
    }

    /// Reads a policy, or a rollout of a policy and its candidate, with the engine's reader.
    pub(crate) fn rollout(&self) -> Result<RolloutPolicy, PolicyErrors> {
        RolloutPolicy::from_json(&self.json()?)
    }

    /// Returns the document as JSON, the form in which data planes are configured.
    pub(crate) fn json(&self) -> Result<Cow<'_, [u8]>, PolicyErrors> {
        match self.syntax {
            Syntax::Json => Ok(Cow::Borrowed(&self.bytes)),
            Syntax::Yaml => {
                let document = yaml::parse(&self.bytes).map_err(|error| whole(error.to_string()))?;
                Ok(Cow::Owned(document.to_string().into_bytes()))
            }
        }
    }

    /// Parses the document without validating it. Errors do not quote the document, which may hold secrets.
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
    /// Returns the syntax by the file's extension. Without a known extension, a text that begins with `{` is JSON.
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

/// Returns an error that concerns the whole document.
fn whole(message: String) -> PolicyErrors {
    PolicyErrors(vec![PolicyError { path: String::new(), message }])
}
