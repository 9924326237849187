//! `cargo xtask component`: the component for hosts, and the engine for programs that embed it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use keyswap_tests::{AUTHORIZER, COMPONENT, tools};

/// The options of `cargo xtask component`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Folder to write to [default: the folder `target` of the repository].
    #[arg(long)]
    into: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = options.into.clone().unwrap_or_else(|| tools::project_root().join("target"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (build, name) in [(&COMPONENT, "keyswap.wasm"), (&AUTHORIZER, "keyswap-authorizer.wasm")] {
        let path = folder.join(name);
        let size =
            fs::copy(build.path()?, &path).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{} ({size} bytes)", path.display());
    }
    Ok(())
}
