//! Optimises modules with Binaryen's `wasm-opt`.
//!
//! In a component the largest core module is replaced. The rest stays byte for byte the same: it depends only on the
//! module's imports and exports. A filter's module keeps the exports that Envoy calls, and no others.

use std::{collections::BTreeSet, fs, ops::Range, process::Command};

use anyhow::{Context as _, Result, ensure};
use wasm_encoder::{
    Component, ComponentSectionId, ExportSection, Module, RawSection,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasmparser::{ExportSectionReader, Parser, Payload};

use crate::tools;

/// The Wasm features that Rust's WASI targets and `.cargo/config.toml` require. Every host of WASI 0.2 has them.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Optimisation for speed, without inlining of long functions: a host needs memory to compile a large function, and
/// Envoy keeps that memory. Functions with the most callers get the shortest indices.
const OPTIMISE: [&str; 3] = ["-O3", "--one-caller-inline-max-function-size=50", "--reorder-functions"];

/// Returns the component with its largest module optimised.
pub fn component(original: &[u8]) -> Result<Vec<u8>> {
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

/// The exports of the filter: its memory, and the hooks of `filter/src/hooks.rs`.
const OF_FILTER: [&str; 15] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
];

/// Returns the filter's module without exports that Envoy does not call. A hook that the module lacks is an error: Envoy would
/// do without it, and nothing else tells.
pub fn filter(original: &[u8]) -> Result<Vec<u8>> {
    let mut smaller = Module::new();
    for payload in Parser::new(0).parse_all(original) {
        let payload = payload.context("this is no module")?;
        if let Payload::ExportSection(exports) = &payload {
            smaller.section(&kept(exports.clone())?);
        } else if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = original.get(range).context("a section is in its module")?;
            smaller.section(&RawSection { id, data });
        }
    }
    optimised(&smaller.finish())
}

fn kept(exports: ExportSectionReader<'_>) -> Result<ExportSection> {
    let mut kept = ExportSection::new();
    let mut missing: BTreeSet<&str> = OF_FILTER.into();
    for export in exports {
        let export = export?;
        if missing.remove(export.name) {
            kept.export(export.name, RoundtripReencoder.export_kind(export.kind)?, export.index);
        }
    }
    ensure!(missing.is_empty(), "the filter does not export {missing:?}");
    Ok(kept)
}

/// Returns the top-level sections of a component.
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
        .args(OPTIMISE)
        .args(FEATURES)
        .arg(&from)
        .arg("-o")
        .arg(&to);
    tools::run(&mut command, tools::NODE_REMEDY).context("a module could not be made smaller")?;
    Ok(fs::read(to)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A callback that is not exported is never called, and nothing else tells.
    #[test]
    fn every_hook_of_the_filter_is_exported() {
        let hooks = include_str!("../../filter/src/hooks.rs").lines();
        let hooks = hooks.filter_map(|line| line.strip_prefix("extern \"C\" fn ")?.split_once('('));
        let mut hooks: Vec<&str> = hooks.map(|(name, _)| name).chain(["memory"]).collect();
        hooks.sort_unstable();
        assert_eq!(hooks, OF_FILTER);
    }
}
