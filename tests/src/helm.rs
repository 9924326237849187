//! The chart, rendered and linted by Helm's own library.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tools::{self, PYTHON_REMEDY, project_root};

/// A release of the chart.
#[derive(Clone, Debug)]
pub struct Release {
    /// The namespace of the release.
    pub namespace: &'static str,
    /// The values that are given, over those of `values.yaml`.
    pub values: Value,
}

/// The objects of a release, or the reason for which it is refused.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Rendered {
    /// The release.
    Files {
        /// The text of each rendered template, by its path.
        files: BTreeMap<String, String>,
        /// The findings of `helm lint`.
        lint: Vec<Finding>,
    },
    /// The refusal of the values.
    Error {
        /// The reason, with the place.
        error: String,
    },
}

/// A finding of `helm lint`.
#[derive(Debug, Deserialize)]
pub struct Finding {
    /// 1 for advice, 2 for a warning, 3 for an error.
    pub severity: u8,
    /// The text of the finding.
    pub error: String,
}

/// Returns the folder of the chart.
pub fn chart() -> PathBuf {
    project_root().join("packaging/chart")
}

/// Returns `Chart.yaml`.
pub fn metadata() -> Result<Value> {
    tools::yaml("packaging/chart/Chart.yaml")
}

/// Renders releases of the chart in its folder, in one process: Helm takes its time to load.
pub fn render(releases: &[Release]) -> Result<Vec<Rendered>> {
    render_of(&chart().to_string_lossy(), releases)
}

/// Renders releases of a chart: a folder, an archive, or `oci://NAME:VERSION` in a registry without TLS.
pub fn render_of(chart: &str, releases: &[Release]) -> Result<Vec<Rendered>> {
    let sources = project_root().join("tests/packaging");
    let packages = tools::python_packages("helm", &sources.join("helm.txt"))?;
    let cases = tempfile::NamedTempFile::new()?;
    let text: Value = releases
        .iter()
        .map(|release| json!({"namespace": release.namespace, "values": release.values}))
        .collect();
    fs::write(cases.path(), text.to_string())?;
    let mut helm = Command::new("python3");
    helm.arg(sources.join("helm.py")).arg(chart).arg(cases.path()).env("PYTHONPATH", packages);
    let answer = tools::run(&mut helm, PYTHON_REMEDY)?;
    serde_json::from_str(&answer).context("the answer of Helm")
}
