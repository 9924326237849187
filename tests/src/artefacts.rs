//! The folder with the artefacts that `keyswap up` runs, as a release has it: `share/keyswap` beside the command.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};

use crate::builds::{Build, COMPONENT, FILTER, KEYSWAP, MODULE};

/// An artefact of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artefact {
    /// The filter.
    Filter,
    /// The dynamic module.
    Module,
    /// The component.
    Component,
}

impl Artefact {
    /// Returns the name in sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Module => "module",
            Self::Component => "component",
        }
    }

    fn build(self) -> (&'static Build, &'static str) {
        match self {
            Self::Filter => (&FILTER, "keyswap_filter.wasm"),
            Self::Module => (&MODULE, "libkeyswap.so"),
            Self::Component => (&COMPONENT, "keyswap_component.wasm"),
        }
    }
}

/// Builds artefacts, and returns their folder, where the command of [`KEYSWAP`] looks for them.
pub fn artefacts(artefacts: &[Artefact]) -> Result<PathBuf> {
    let command = KEYSWAP.path()?;
    let prefix = command.parent().and_then(Path::parent).context("a build is in a folder")?;
    let folder = prefix.join("share/keyswap");
    fs::create_dir_all(&folder)?;
    put(&folder, "VERSION", |partial| fs::write(partial, concat!(env!("CARGO_PKG_VERSION"), "\n")))?;
    for artefact in artefacts {
        let (build, name) = artefact.build();
        let source = build.path()?;
        put(&folder, name, |partial| fs::copy(&source, partial).map(drop))?;
    }
    Ok(folder)
}

/// Makes a file, and renames it: another process finds a complete file, or the former one.
fn put(folder: &Path, name: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let partial = folder.join(format!("{name}.{}-{number}.partial", std::process::id()));
    make(&partial)
        .and_then(|()| fs::rename(&partial, folder.join(name)))
        .with_context(|| format!("cannot make {name}"))
}
