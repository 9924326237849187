//! Findings of `policy lint`, in a policy or in a configuration that runs it.

use keyswap_core::policy::Finding;
use serde::Serialize;

use crate::command::terminal::output::visible;

/// A finding with its place.
#[derive(Serialize)]
pub(super) struct Warning {
    pub(super) code: &'static str,
    pub(super) file: String,
    pub(super) path: String,
    pub(super) message: String,
    pub(super) remedy: &'static str,
}

impl Warning {
    pub(super) fn of(file: &str, Finding { lint, path, message }: Finding) -> Self {
        Self { code: lint.code(), file: file.to_owned(), path, message, remedy: lint.remedy() }
    }

    pub(super) fn line(&self) -> String {
        let Self { code, file, path, message, remedy } = self;
        visible(&format!("warning [{code}] {file} at `{path}`: {message}: {remedy}"))
    }
}
