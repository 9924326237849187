//! Makes a component smaller: its largest core module is replaced by what Binaryen's `wasm-opt` makes of it.
//!
//! All else stays as it is, byte for byte: a module's imports and exports are what the rest of a component knows of it.

use std::{fs, ops::Range, process::Command};

use anyhow::{Context as _, Result};
use wasm_encoder::{Component, ComponentSectionId, RawSection};
use wasmparser::{Parser, Payload};

use crate::tools;

/// What Rust's targets for WASI count on, and every host of WASI 0.2 has.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// The component with a smaller module in it.
pub(crate) fn component(original: &[u8]) -> Result<Vec<u8>> {
    let sections = sections(original)?;
    let is_module = |id: u8| id == ComponentSectionId::CoreModule as u8;
    let modules = sections.iter().filter(|(id, _)| is_module(*id)).map(|(_, range)| range.len());
    let largest = modules.max().context("there is no module in the component")?;
    let mut smaller = Component::new();
    for (id, range) in sections {
        let data = original.get(range).context("a section is in its component")?;
        if is_module(id) && data.len() == largest {
            smaller.section(&RawSection { id, data: &optimised(data)? });
        } else {
            smaller.section(&RawSection { id, data });
        }
    }
    Ok(smaller.finish())
}

/// The sections of a component, not of what is nested in it.
fn sections(component: &[u8]) -> Result<Vec<(u8, Range<usize>)>> {
    let mut sections = Vec::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.context("this is no component")?;
        if let Some((id, range)) = payload.as_section().filter(|_| depth == 0) {
            sections.push((id, usize::try_from(range.start)?..usize::try_from(range.end)?));
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(sections)
}

fn optimised(module: &[u8]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let (from, to) = (folder.path().join("from.wasm"), folder.path().join("to.wasm"));
    fs::write(&from, module)?;
    let mut command = Command::new("node");
    command
        .arg(tools::node_host()?.join("node_modules/binaryen/bin/wasm-opt"))
        .arg("-O3")
        .args(FEATURES)
        .arg(&from)
        .arg("-o")
        .arg(&to);
    tools::run(&mut command, tools::NODE_REMEDY).context("the component could not be made smaller")?;
    Ok(fs::read(to)?)
}
