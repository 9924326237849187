//! The parts of a document that are executed or generated.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::{pages::Page, reference, tables};
use crate::{
    figures::{self, Report},
    hardening, litellm,
    scanning::Scanning,
    tools::project_root,
};

const RUN: &str = "<!-- run -->";
const FENCE: &str = "```";
const END: &str = "<!-- end -->";

/// Returns the text of a document with its generated parts up to date.
///
/// # Errors
///
/// A part has no end, an unknown name, or cannot be generated.
pub fn current(page: &Page) -> Result<String> {
    let mut text = String::with_capacity(page.text.len());
    let mut lines = page.text.lines();
    while let Some(line) = lines.next() {
        text.extend([line, "\n"]);
        let Some(comment) = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let place = || format!("{}: `{}`", page.path, line.trim());
        if let Some(path) = comment.strip_prefix("file: ") {
            let fence = lines.next().filter(|line| line.starts_with(FENCE)).with_context(place)?;
            let file = fs::read_to_string(project_root().join(path)).with_context(place)?;
            text.extend([fence, "\n", &file, FENCE, "\n"]);
            lines.by_ref().find(|line| *line == FENCE).with_context(place)?;
        } else if let Some(words) = comment.strip_prefix("generated: ") {
            let part = generate(words).with_context(place)?;
            text.extend(["\n", part.trim_end(), "\n\n", END, "\n"]);
            lines.by_ref().find(|line| *line == END).with_context(place)?;
        }
    }
    Ok(text)
}

/// Returns the commands of a document that a test runs, without the indentation of a list.
pub fn scripts(text: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix(RUN) else { continue };
        let block = lines.by_ref().skip(1).take_while(|line| line.trim() != FENCE);
        let block = block.map(|line| format!("{}\n", line.strip_prefix(indent).unwrap_or(line)));
        scripts.push(block.collect());
    }
    scripts
}

fn generate(words: &str) -> Result<String> {
    let (name, arguments) = words.split_once(' ').unwrap_or((words, ""));
    match name {
        "agents" => tables::agents(),
        "alert" => tables::alert(arguments),
        "clients" => tables::clients(),
        "cost" => Ok(figures::summary(&Report::committed()?)),
        "first-run" => tables::first_run(),
        "hardening" => hardening::table(),
        "help" => tables::help(arguments),
        "lints" => tables::lints(),
        "litellm-keys" => litellm::table(),
        "presets" => Ok(tables::presets()),
        "performance" => Ok(figures::document(&Report::committed()?)),
        "providers" => tables::providers(),
        "reason" => tables::reason(arguments),
        "reasons" => Ok(tables::reasons()),
        "reference" => reference::fields(),
        "scanning" => Scanning::committed()?.table(),
        "versions" => Ok(tables::versions()),
        _ => bail!("there is no part of that name"),
    }
}
