//! `cargo xtask dist`: the files of a release. They are the Wasm modules with checksums, images and bills of materials.
//!
//! Except for the push, the output depends on the sources of this repository only. It holds no time, no path of the
//! machine and no random number, so it is the same on every machine.

mod artefact;
mod build;
mod image;
mod layout;
mod push;
mod sbom;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use keyswap_tests::tools;

use artefact::{ARTEFACTS, Artefact};
use image::Image;

/// The options of `cargo xtask dist`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folder to write to; its content is replaced.
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    output: PathBuf,
    /// Push the images below this name, such as `registry.example.com/keyswap`. `KEYSWAP_PUSH_USER` and
    /// `KEYSWAP_PUSH_PASSWORD` sign in.
    #[arg(long, value_name = "REGISTRY")]
    push: Option<String>,
    /// Folder with modules that are built already.
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let output = tools::project_root().join(&options.output);
    replace_folder(&output)?;
    let mut sums = String::new();
    let mut images = Vec::new();
    for artefact in &ARTEFACTS {
        let module = module(options, artefact)?;
        write(&output, &artefact.file(), &module, &mut sums)?;
        let sbom = sbom::of(artefact)?;
        write(&output, &format!("{}.cdx.json", artefact.package), &sbom, &mut sums)?;
        images.extend(Image::all(artefact, &module)?);
    }
    fs::write(output.join("SHA256SUMS"), sums)?;
    layout::write(&output.join("oci"), &images)?;
    let mut list = String::new();
    for image in &images {
        let _ = writeln!(list, "{}:{}@{}", image.name, image.tag, image.manifest.digest);
    }
    fs::write(output.join("IMAGES"), &list)?;
    println!("{}\n{list}", output.display());
    match &options.push {
        Some(registry) => push::push(registry, &images),
        None => Ok(()),
    }
}

fn module(options: &Options, artefact: &Artefact) -> Result<Vec<u8>> {
    if let Some(folder) = &options.modules {
        let path = folder.join(artefact.file());
        return fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    }
    eprintln!("building {} …", artefact.package);
    build::build(artefact, &tools::project_root())
}

fn write(folder: &Path, name: &str, bytes: &[u8], sums: &mut String) -> Result<()> {
    // The format of `sha256sum --check`.
    let _ = writeln!(sums, "{}  {name}", image::sha256(bytes));
    fs::write(folder.join(name), bytes).with_context(|| format!("cannot write {name}"))
}

fn replace_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
