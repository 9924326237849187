//! A program that ends with the process that started it.
//!
//! The kernel ends the program when its parent ends, whatever the reason. A killed `keyswap up` leaves no proxy behind.
//! The request to the kernel stays in force when the process becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::command::terminal::exit::Exit;

/// Become a program that ends with the parent process
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct Tied {
    /// Process that started this one
    #[arg(long)]
    parent: u32,
    /// Program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Tied {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have ended before the request to the kernel.
        anyhow::ensure!(std::os::unix::process::parent_id() == self.parent, "the parent process has ended");
        let (program, arguments) = self.command.split_first().context("there is no program")?;
        let error = Command::new(program).args(arguments).exec();
        Err(error).with_context(|| format!("cannot run `{}`", program.display()))
    }
}
