//! Roots of file systems, as a container has them: programs in them see no file of this machine.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use keyswap_tests::tools;

/// The root of a file system.
pub(crate) struct Root(pub(crate) PathBuf);

impl Root {
    /// Makes a root with packages of Debian, which are unpacked and not configured, so that nothing of them runs.
    pub(crate) fn of_debian(root: PathBuf, packages: &str) -> Result<Self> {
        let mut unpack = Command::new(tools::of_debian("mmdebstrap", "mmdebstrap")?);
        unpack.args(["--quiet", "--variant=extract"]).arg(format!("--include={packages}"));
        unpack.arg(release_of_debian()?).arg(&root).args(sources_of_debian());
        tools::run(&mut unpack, "a mirror of Debian is needed")?;
        Ok(Self(root))
    }

    /// Returns a command in the root, run by `user`, with these variables alone.
    pub(crate) fn command(&self, user: &str, environment: &[String], command: &[&str]) -> Command {
        let mount = "root=$1 && user=$2 && shift 2 && mkdir -p $root/dev $root/proc && \
                     mount --rbind /dev $root/dev && mount -t proc proc $root/proc && \
                     exec chroot --userspec=$user $root \"$@\"";
        let mut inside = Command::new("unshare");
        inside.args(["--mount", "--propagation", "private", "sh", "-ec", mount, "sh"]);
        inside.arg(&self.0).args([user, "/usr/bin/env", "-i"]).args(environment).args(command);
        inside
    }

    /// Tells whether a command of root succeeds in the root.
    pub(crate) fn runs(&self, command: &[&str]) -> bool {
        let mut command = self.command("0:0", &[], command);
        command.output().is_ok_and(|output| output.status.success())
    }
}

fn release_of_debian() -> Result<String> {
    let facts = fs::read_to_string("/etc/os-release")?;
    let name = facts.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("this is not a release of Debian")?.trim_matches('"').to_owned())
}

/// Returns the files that name the mirrors of this machine.
fn sources_of_debian() -> Vec<PathBuf> {
    let is_source = |path: &PathBuf| path.extension().is_some_and(|it| it == "sources" || it == "list");
    let others = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().map_while(Result::ok);
    let all = others.map(|entry| entry.path()).chain([PathBuf::from("/etc/apt/sources.list")]);
    all.filter(|path| path.is_file() && is_source(path)).collect()
}
