//! A developer's machine: a home folder, and a network of which only Keyswap answers.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Read as _, Seek as _},
    os::unix::{fs::symlink, process::CommandExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{agent::Agent, block::block};
use crate::{
    scripted::{Script, Scripted},
    waiting::until_within,
};

/// The time limit of a run. The slowest agent needs seconds.
const PATIENCE: Duration = Duration::from_secs(90);

/// A developer's machine.
pub struct Machine {
    /// A proxy that refuses all.
    proxy: Scripted,
}

/// The output of an agent, and the other hosts that it asked for.
#[derive(Debug)]
pub struct Printed {
    /// Standard output, without blanks and ends of lines: agents wrap lines.
    pub text: String,
    /// The addresses of other hosts, each once.
    pub others: Vec<String>,
}

impl Machine {
    /// Starts the proxy.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub fn start() -> Result<Self> {
        Ok(Self { proxy: Scripted::start(|_| Script::answer(403, ""))? })
    }

    /// Runs an agent in a new home folder. Its blocks have this address and token.
    ///
    /// # Errors
    ///
    /// It cannot be installed, fails, takes too long, or shows the proxy its token.
    pub fn run(&self, agent: &Agent, address: &str, token: &str) -> Result<Printed> {
        let home = tempfile::tempdir()?;
        let packages = agent.packages()?;
        for (name, place) in agent.files {
            write(&home.path().join(place), &block(name, address, token)?)?;
        }
        let (bin, work) = (home.path().join("bin"), home.path().join("work"));
        fs::create_dir_all(&work)?;
        fs::create_dir_all(&bin)?;
        let program = packages.join(agent.program);
        ensure!(program.exists(), "there is no `{}`", program.display());
        symlink(program, bin.join(agent.command))?;

        let proxy = format!("http://{}", self.proxy.address());
        let mut bash = Command::new("bash");
        bash.args(["-euc", &script(agent, address, token)?])
            .current_dir(work)
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", path(&bin)?)
            .envs(agent.variables.iter().copied());
        if agent.program.starts_with("bin/") {
            bash.env("PYTHONPATH", &packages).env("PYTHONDONTWRITEBYTECODE", "1");
        }
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            bash.env(name, &proxy);
        }
        bash.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let before = self.proxy.calls().len();
        let (status, text, errors) = finish(bash)?;
        let calls = self.proxy.calls().split_off(before);
        let asked = format!("{calls:?}");
        ensure!(!asked.contains(token), "{} tells another host the token: {asked}", agent.name);
        let mut others: Vec<String> = calls.into_iter().map(|call| call.target).collect();
        others.sort();
        others.dedup();
        ensure!(status.success(), "{} failed ({status}), asked for {others:?}:\n{text}{errors}", agent.name);
        Ok(Printed { text: text.split_whitespace().collect(), others })
    }
}

/// Returns the block for the shell, whose last line asks the question.
fn script(agent: &Agent, address: &str, token: &str) -> Result<String> {
    let block = block(agent.shell, address, token)?;
    let (before, last) = block.trim_end().rsplit_once('\n').unwrap_or(("", block.trim_end()));
    ensure!(
        last.split(' ').next() == Some(agent.command),
        "the last line of `{}` does not start the agent",
        agent.shell
    );
    Ok(format!("{before}\nexec {last} {}\n", agent.question))
}

fn path(first: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").context("there is no PATH")?;
    Ok(env::join_paths([first.to_owned()].into_iter().chain(env::split_paths(&path)))?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
    Ok(fs::write(path, text)?)
}

/// Waits for the end of a run. Returns its status, standard output and standard error.
fn finish(mut command: Command) -> Result<(ExitStatus, String, String)> {
    let (mut output, mut errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(errors.try_clone()?).process_group(0);
    let mut run = Run(command.spawn()?);
    let mut status = None;
    let waited = until_within(PATIENCE, "the agent ends", || {
        status = run.0.try_wait()?;
        Ok(status.is_some())
    });
    drop(run);
    let (output, errors) = (text(&mut output)?, text(&mut errors)?);
    match (waited, status) {
        (Ok(_), Some(status)) => Ok((status, output, errors)),
        _ => bail!("it took longer than {PATIENCE:?}:\n{output}{errors}"),
    }
}

fn text(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A run with its children, which end on drop.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // It fails where the whole group has ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}
