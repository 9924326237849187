//! `cargo xtask dist`: the files of a release. They are the Wasm modules, the dynamic module and the command for each machine,
//! with checksums, images and bills of materials, the packages of the authorizer, the wheels of the command, and the Helm chart.
//!
//! Except for the push, the output depends on the sources of this repository only. It holds no time, no path of the
//! machine and no random number, so it is the same on every machine.

mod artefact;
mod attached;
mod base;
mod build;
mod chart;
mod image;
mod layout;
mod machine_image;
mod packages;
mod push;
mod sbom;
mod sign;
mod wheel;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools;

use artefact::{ARTEFACTS, Artefact};
use attached::Signer;
use base::Base;
use image::Image;
use layout::Layout;
use sbom::Linked;
use sign::{Key, Origin};

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
    /// Folder with files that are built already.
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Push the images of this release, which was made before, and make nothing.
    #[arg(
        long,
        value_name = "DIR",
        requires = "push",
        conflicts_with_all = ["output", "modules", "base", "sign"]
    )]
    from: Option<PathBuf>,
    /// Make images of the command, too, on this image with a glibc and certificates for both machines, such as
    /// `registry.example.com/base@sha256:…`.
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Sign images and checksums with this private key, and state the provenance. The key is one of P-256, in PKCS #8.
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// The builder that the provenance names, as a URI.
    #[arg(long, value_name = "URI", default_value = "urn:keyswap:unattested-builder", requires = "sign")]
    builder: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let (Some(release), Some(registry)) = (&options.from, &options.push) {
        let release = tools::project_root().join(release);
        check_images(&release)?;
        return push::push(registry, &release.join("oci"));
    }
    let output = tools::project_root().join(&options.output);
    // First, so that an error of it comes at once.
    let base = options.base.as_deref().map(Base::pull).transpose()?;
    let linked = Linked::read()?;
    replace_folder(&output)?;
    let mut sums = String::new();
    let mut images = Vec::new();
    for artefact in &ARTEFACTS {
        let module = module(options, artefact)?;
        write(&output, &artefact.file(), &module, &mut sums)?;
        let sbom = linked.artefact(artefact)?;
        write(&output, &artefact.sbom_file(), &sbom, &mut sums)?;
        images.extend(Image::all(artefact, &module, &sbom)?);
    }
    for (name, package) in packages::all()?.into_iter().chain(wheel::all(&output)?) {
        write(&output, &name, &package, &mut sums)?;
    }
    let (name, chart) = chart::pack()?;
    write(&output, &name, &chart, &mut sums)?;
    images.push(chart::image(chart)?.listing(linked.image("keyswap-chart", &[], Vec::new())?));
    fs::write(output.join("SHA256SUMS"), &sums)?;
    if let Some(base) = &base {
        images.extend(machine_image::all(&output, base, &linked)?);
    }
    let mut list = String::new();
    for image in &images {
        if let Some(tag) = &image.tag {
            let _ = writeln!(list, "{}:{tag}@{}", image.name, image.manifest.digest);
        }
    }
    fs::write(output.join("IMAGES"), &list)?;
    let signer = options.sign.as_deref().map(|file| signer(file, &options.builder)).transpose()?;
    if let Some(Signer { key, origin }) = &signer {
        fs::write(output.join("SHA256SUMS.sig"), key.sign(sums.as_bytes()))?;
        let files = sign::files(&sums).into_iter();
        let subjects: Vec<_> = files.chain(images.iter().map(attached::subject)).collect();
        let statement = sign::statement(sign::PROVENANCE, &subjects, &origin.predicate());
        fs::write(output.join("provenance.intoto.jsonl"), key.envelope(&statement))?;
    }
    let registry = options.push.as_deref().unwrap_or("keyswap");
    images.extend(attached::all(&images, signer.as_ref(), registry)?);
    layout::write(&output.join("oci"), &images)?;
    println!("{}\n{list}", output.display());
    match &options.push {
        Some(registry) => push::push(registry, &output.join("oci")),
        None => Ok(()),
    }
}

/// Checks that the folder of a release has the images that its list names, and no other.
fn check_images(release: &Path) -> Result<()> {
    let list = fs::read_to_string(release.join("IMAGES")).context("the release has no list of images")?;
    let mut listed: Vec<&str> = list.lines().collect();
    let mut stored = Vec::new();
    for layout in Layout::all(&release.join("oci"))? {
        let named = layout.tags()?.into_iter().filter(|(tag, _)| !attached::is_beside(tag));
        stored.extend(named.map(|(tag, manifest)| format!("{}:{tag}@{}", layout.name, manifest.digest)));
    }
    listed.sort_unstable();
    stored.sort_unstable();
    ensure!(listed == stored, "the release lists {listed:?}, and has {stored:?}");
    Ok(())
}

fn signer(file: &Path, builder: &str) -> Result<Signer> {
    Ok(Signer { key: Key::read(file)?, origin: Origin::of(builder)? })
}

fn module(options: &Options, artefact: &Artefact) -> Result<Vec<u8>> {
    if let Some(folder) = &options.modules {
        let path = folder.join(artefact.file());
        return fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    }
    eprintln!("building {} for {} …", artefact.package, artefact.target);
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
