//! The arguments that all renderings share, and the files that they write.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::Args;
use keyswap_core::host::Capabilities;
use keyswap_core::policy::Configuration;

use super::plan::Plan;
use super::site::{Named, Site};
use super::text::quoted;
use crate::command::policy::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::{self, Format};
use crate::command::terminal::written;

/// The arguments that all renderings share.
#[derive(Args)]
pub(super) struct Common {
    /// Configuration of the filter, in YAML or JSON: a policy, a rollout or a bundle source; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Upstream to add to those of the policy, for later policies, such as `openai=https://api.openai.com`; repeatable
    #[arg(long, value_name = "NAME=URL")]
    upstream: Vec<Named>,
    /// Cluster to add to those of the policy; replaces a cluster of the same name; repeatable
    #[arg(long, value_name = "NAME=URL")]
    cluster: Vec<Named>,
    /// Variable that the filter may read in addition to those of the policy; repeatable
    #[arg(long, value_name = "NAME", value_parser = variable)]
    env: Vec<String>,
    /// Folder to write to (default: standard output)
    #[arg(long, value_name = "DIR", value_parser = written::path())]
    output: Option<PathBuf>,
}

/// A file of the output.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) text: String,
}

/// The URL of a download, with its server.
#[derive(Clone)]
pub(super) struct Remote {
    pub(super) url: String,
    pub(super) site: Site,
}

/// An image pinned by its digest. A tag could be moved to another image.
#[derive(Clone)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) digest: String,
}

impl Common {
    /// Reads the configuration and writes the files that `files` renders. A configuration that is invalid, or that the filter
    /// or the module would refuse, is reported.
    pub(super) fn render(
        &self,
        is_native: bool,
        files: impl FnOnce(Plan) -> anyhow::Result<Vec<File>>,
    ) -> anyhow::Result<Exit> {
        let file = PolicyFile::read(&self.policy)?;
        let host = if is_native { Capabilities::MODULE } else { Capabilities::ENVOY };
        let read = file.json().and_then(|json| Configuration::from_json(&json));
        let configuration = match read.and_then(|it| it.fits(host).map(|()| it)) {
            Ok(configuration) => configuration,
            Err(errors) => return report_invalid(&file.name, &errors, Format::Human),
        };
        // The same text was parsed above, so this does not fail.
        let document = file.document().map_err(anyhow::Error::msg)?;
        let plan = Plan::of(&configuration, document, &self.upstream, &self.cluster, &self.env)?;
        self.write(&files(plan)?)?;
        Ok(Exit::Ok)
    }

    fn write(&self, files: &[File]) -> anyhow::Result<()> {
        let Some(folder) = &self.output else {
            let texts: Vec<&str> = files.iter().map(|file| file.text.trim_end()).collect();
            return output::print(&texts.join("\n---\n"));
        };
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create `{}`", output::visible(&folder.display().to_string())))?;
        for file in files {
            let path = folder.join(file.name);
            fs::write(&path, &file.text).with_context(|| {
                format!("cannot write `{}`", output::visible(&path.display().to_string()))
            })?;
        }
        Ok(())
    }
}

impl FromStr for Remote {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        ensure!(url.bytes().all(|byte| byte.is_ascii_graphic()), "expected a URL without spaces");
        Ok(Self { url: url.to_owned(), site: url.parse()? })
    }
}

impl Image {
    /// Returns the image with its digest, as a YAML scalar.
    pub(super) fn pinned(&self) -> String {
        quoted(&format!("{}@{}", self.name, self.digest))
    }
}

impl FromStr for Image {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, hex) = text.split_once("@sha256:").unwrap_or_default();
        let name_is_plain = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte));
        ensure!(
            name_is_plain && digest(hex).is_ok(),
            "expected an image with its digest, such as `registry.example.com/keyswap-filter@sha256:…`"
        );
        Ok(Self { name: name.to_owned(), digest: format!("sha256:{hex}") })
    }
}

/// Parses a SHA-256 of 64 lower-case hexadecimal digits.
pub(super) fn digest(text: &str) -> Result<String, String> {
    let is_digest =
        text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_digest
        .then(|| text.to_owned())
        .ok_or_else(|| "expected 64 hexadecimal digits, in lower case".to_owned())
}

/// Parses the name of an environment variable.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let is_name = !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| text.to_owned()).ok_or_else(|| "expected a name such as `OPENAI_API_KEY`".to_owned())
}

/// Parses a DNS label (RFC 1123), the form of names in Kubernetes.
pub(super) fn label(text: &str) -> Result<String, String> {
    let is_label = (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    is_label.then(|| text.to_owned()).ok_or_else(|| "expected lower-case letters, digits and `-`".to_owned())
}
