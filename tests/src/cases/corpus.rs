//! The corpus: the suites of the files and of the tables of providers and endpoints.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use keyswap_cases::Suite;
use serde_json::Value;

use super::{complete, endpoints, providers, unkept::unkept_suite};

/// A suite of the corpus.
pub struct CorpusSuite {
    /// The place of the suite: its file, or the table and the mode.
    pub place: String,
    /// The file; `None` for a suite of the table.
    pub file: Option<PathBuf>,
    /// The document of the suite.
    pub document: Value,
    /// The parsed suite.
    pub suite: Suite,
}

impl CorpusSuite {
    fn of(place: String, file: Option<PathBuf>, document: Value) -> Result<Self> {
        let suite = Suite::read(document.clone()).with_context(|| place.clone())?;
        complete::check(&suite).with_context(|| place.clone())?;
        Ok(Self { place, file, document, suite })
    }
}

/// Returns the suite of endpoints that mint, for the engine alone: a host would wait for answers that can be brokered.
pub fn minting() -> Result<CorpusSuite> {
    CorpusSuite::of("endpoints.yaml, minting".to_owned(), None, endpoints::minting_suite()?)
}

/// Returns the suite of what APIs keep whose objects are not known.
pub fn unkept() -> Result<CorpusSuite> {
    CorpusSuite::of("endpoints.yaml, unkept".to_owned(), None, unkept_suite()?)
}

/// Returns all suites of the corpus.
pub fn corpus() -> Result<Vec<CorpusSuite>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut suites = Vec::new();
    for (place, document) in providers::suites()?.into_iter().chain(endpoints::suites()?) {
        suites.push(CorpusSuite::of(place, None, document)?);
    }
    for file in files {
        let place = file.display().to_string();
        let document = serde_saphyr::from_str(&fs::read_to_string(&file)?)
            .with_context(|| format!("reading {place}"))?;
        suites.push(CorpusSuite::of(place, Some(file), document)?);
    }
    Ok(suites)
}
