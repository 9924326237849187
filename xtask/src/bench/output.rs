//! Results: on the terminal, in files, in the repository.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use keyswap_tests::{
    docs,
    figures::{self, Report},
    tools::project_root,
};

use super::options::Options;

/// Writes the measurements, even if they are not all that were planned.
pub(super) fn write(options: &Options, report: &Report) -> Result<()> {
    let document = format!("{}\n{}", figures::document(report), figures::judgement(report));
    println!("{document}");
    for table in &report.tables {
        eprintln!("the table `{}` took {} s", table.name, table.seconds);
    }
    if let Some(file) = &options.json {
        write_file(file, &report.to_json()?)?;
    }
    if let Some(file) = &options.markdown {
        write_file(file, &document)?;
    }
    Ok(())
}

pub(super) fn update_docs(report: &Report) -> Result<()> {
    write_file(&project_root().join(figures::FILE), &report.to_json()?)?;
    docs::update()
}

fn write_file(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
