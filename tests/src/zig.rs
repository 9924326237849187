//! Builds of native programs that run on machines other than this one, with Zig as the C compiler and the linker.
//!
//! They need a glibc that is older than that of any image that Envoy or a mesh has. Their bytes do not depend on the
//! machine that builds them.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    builds::{add_target, artifacts_of, remapped},
    tools,
};

/// The release of Zig.
const VERSION: &str = "0.17.1";

/// The newest glibc that a built file may need: that of Debian 11 and of Ubuntu 20.04.
pub const GLIBC: (u32, u32) = (2, 31);

/// The folder with the names of the system's functions that programs for macOS link to. A linker needs no more of them.
const FRAMEWORKS: &str = "packaging/macos";

/// The head of a program of macOS for arm64: the magic number of 64 bits, and the type of the processor.
const MACH_O_ARM64: [u8; 8] = [0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1];

/// Builds the packages for a target such as `aarch64-unknown-linux-gnu`, in one go, and returns the files that cargo made.
///
/// `root` has the sources: this project, or a copy elsewhere. The build is in its `target`. Packages that are built in
/// one go share the features of their dependencies, so that a release builds all of them together.
pub fn build_native(root: &Path, packages: &[&str], target: &str) -> Result<Vec<PathBuf>> {
    add_target(target)?;
    let root = root.canonicalize().with_context(|| format!("{} is not there", root.display()))?;
    let folder = zig()?;
    let remapped = remapped(&root)?;
    let (major, minor) = GLIBC;
    let (versioned, of_system) = if is_macos(target) {
        (target.to_owned(), Some(format!("-Clink-arg=-F{}", root.join(FRAMEWORKS).display())))
    } else {
        (format!("{target}.{major}.{minor}"), None)
    };
    let flags: Vec<&String> = remapped.iter().chain(&of_system).collect();
    let mut build = Command::new(folder.join("bin/cargo-zigbuild"));
    build
        .args(["zigbuild", "--locked", "--release", "--message-format", "json-render-diagnostics"])
        .args(["--target", &versioned])
        .args(["--config", &format!("target.{target}.rustflags = {flags:?}")])
        .arg("--target-dir")
        .arg(root.join("target"))
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .current_dir(&root);
    // The variables would override all configured flags, and hide the names of files that the C compiler sees.
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let of_c: Vec<String> =
        remapped.iter().map(|flag| flag.replace("--remap-path-prefix", "-ffile-prefix-map")).collect();
    build.env("CFLAGS", of_c.join(" "));
    build.env("CARGO_ZIGBUILD_ZIG_PATH", folder.join("ziglang/zig"));
    if let Some(cargo) = env::var_os("CARGO") {
        build.env("CARGO", cargo);
    }
    artifacts_of(&mut build)
}

/// Returns a folder with `bin/cargo-zigbuild` and `ziglang/zig`.
fn zig() -> Result<PathBuf> {
    tools::installed("zig", VERSION, |folder| {
        tools::install_wheel(folder, "zig.txt")?;
        ["bin/cargo-zigbuild", "ziglang/zig"].into_iter().try_for_each(|program| {
            Ok(fs::set_permissions(folder.join(program), Permissions::from_mode(0o755))?)
        })
    })
}

fn is_macos(target: &str) -> bool {
    target.ends_with("-apple-darwin")
}

/// Checks that a file is for the machine of a target, and needs no newer glibc than [`GLIBC`].
pub fn check_native(file: &Path, target: &str) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display();
    if is_macos(target) {
        ensure!(bytes.starts_with(&MACH_O_ARM64), "{name} is not a program for {target}");
        return Ok(());
    }
    let is_for = |number| machine(&bytes) == Some(number);
    ensure!(machine_of(target).is_some_and(is_for), "{name} is not a program for {target}");
    let (needed, (major, minor)) = (needed_glibc(&bytes), GLIBC);
    ensure!(
        needed.is_none_or(|needed| needed <= GLIBC),
        "{name} needs glibc {needed:?}, and a machine may have {major}.{minor}"
    );
    Ok(())
}

/// Returns the number of the machine in the head of an ELF file; `None` for another file.
fn machine(bytes: &[u8]) -> Option<u16> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let number = rest.get(14..16)?.first_chunk::<2>()?;
    (magic == b"\x7fELF").then(|| u16::from_le_bytes(*number))
}

fn machine_of(target: &str) -> Option<u16> {
    match target.split('-').next()? {
        "x86_64" => Some(62),
        "aarch64" => Some(183),
        _ => None,
    }
}

/// Returns the newest glibc that a file names: the linker writes the versions that it needs as text.
fn needed_glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    const NAME: &[u8] = b"GLIBC_";
    let version = |at: usize| {
        let rest = bytes.get(at.checked_add(NAME.len())?..)?;
        let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'.'))?;
        let mut parts = std::str::from_utf8(rest.get(..end)?).ok()?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let places = bytes.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    places.filter_map(|(at, _)| version(at)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_that_a_file_names_is_found() {
        for (text, expect) in [
            (&b"\0GLIBC_2.2.5\0GLIBC_2.31\0GLIBC_2.4\0"[..], Some((2, 31))),
            (b"\0GLIBC_PRIVATE\0GLIBC_2.17\0", Some((2, 17))),
            (b"\0GLIBCXX_3.4\0", None),
            (b"GLIBC_", None),
            (b"", None),
        ] {
            assert_eq!(needed_glibc(text), expect, "{text:?}");
        }
    }

    #[test]
    fn a_file_of_another_machine_or_of_a_newer_glibc_is_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("program");
        let elf = |machine: u8, glibc: &str| {
            let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
            bytes.resize(18, 0);
            bytes.extend([machine, 0]);
            bytes.extend(format!("\0GLIBC_{glibc}\0").into_bytes());
            bytes
        };
        for (content, target, is_good) in [
            (elf(62, "2.31"), "x86_64-unknown-linux-gnu", true),
            (elf(183, "2.17"), "aarch64-unknown-linux-gnu", true),
            (elf(183, "2.17"), "x86_64-unknown-linux-gnu", false),
            (elf(62, "2.32"), "x86_64-unknown-linux-gnu", false),
            (elf(62, "3.0"), "x86_64-unknown-linux-gnu", false),
            (b"#!/bin/sh\n".to_vec(), "x86_64-unknown-linux-gnu", false),
            (Vec::new(), "riscv64gc-unknown-linux-gnu", false),
            (MACH_O_ARM64.to_vec(), "aarch64-apple-darwin", true),
            (elf(183, "2.17"), "aarch64-apple-darwin", false),
        ] {
            fs::write(&file, &content)?;
            assert_eq!(check_native(&file, target).is_ok(), is_good, "{target}");
        }
        Ok(())
    }

    #[test]
    fn this_program_is_one_for_this_machine() -> Result<()> {
        let bytes = fs::read(env::current_exe()?)?;
        assert_eq!(machine(&bytes), machine_of(env::consts::ARCH));
        assert!(needed_glibc(&bytes).is_some_and(|(major, _)| major == 2));
        Ok(())
    }
}
