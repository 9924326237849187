//! `cargo xtask bench`: files are written, and Ctrl-C leaves no process behind.

#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{figures::Report, tools};
use rustix::process::{Pid, Signal, kill_process};

/// The time limit of a run. A first run builds and installs.
const PATIENCE: Duration = Duration::from_mins(4);

fn bench(arguments: &[&str], temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("bench").args(arguments).env("TMPDIR", temporary).stdin(Stdio::null());
    command
}

#[test]
fn results_are_written_as_json_and_as_markdown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name| folder.path().join(name).display().to_string();
    let (json, markdown) = (file("results.json"), file("results.md"));
    let arguments = ["--quick", "--set-up", "lua", "--json", &json, "--markdown", &markdown];
    let printed = tools::run(&mut bench(&arguments, folder.path()), "it was built with this test")?;
    let report: Report = serde_json::from_str(&fs::read_to_string(json)?)?;
    let set_ups: Vec<_> = report.tables[0].rows.iter().map(|row| row.set_up.as_str()).collect();
    assert_eq!(set_ups, ["bare", "lua"], "the baseline is always measured");
    assert_eq!(printed.trim(), fs::read_to_string(markdown)?.trim());
    Ok(())
}

#[test]
fn what_does_not_exist_or_is_no_whole_run_is_refused_before_anything_is_built() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (arguments, told) in [
        (&["--set-up", "magic"][..], "there is no set-up `magic`"),
        (&["--table", "magic"], "the tables are set-ups, component"),
        (&["--quick", "--update-docs"], "whole runs only"),
        (&["--set-up", "lua", "--update-docs"], "whole runs only"),
    ] {
        let output = bench(arguments, folder.path()).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(told), "{errors}");
    }
    Ok(())
}

#[test]
fn ctrl_c_ends_everything() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let arguments = ["--set-up", "empty-filter", "--rounds", "10000", "--slice", "20"];
    let mut running = Running(bench(&arguments, temporary.path()).stderr(Stdio::piped()).spawn()?);
    let mut told = BufReader::new(running.0.stderr.take().context("no standard error")?).lines();
    let mut until = |word: &str| -> Result<()> {
        let found = told.by_ref().map_while(Result::ok).any(|line| line.contains(word));
        ensure!(found, "it ended without `{word}`");
        Ok(())
    };
    until("set-ups, ")?;
    let proxies = children(running.0.id())?;
    ensure!(proxies.len() == 2, "it has started {proxies:?}");
    kill_process(Pid::from_child(&running.0), Signal::INT)?;
    until("interrupted")?;
    assert!(!running.wait()?.success());
    for proxy in proxies {
        assert!(!Path::new(&format!("/proc/{proxy}")).exists(), "{proxy} still runs");
    }
    assert_eq!(fs::read_dir(temporary.path())?.count(), 0, "temporary files were left");
    Ok(())
}

/// Returns the child processes of a process.
fn children(of: u32) -> Result<Vec<String>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{of}/task"))? {
        let listed = fs::read_to_string(task?.path().join("children"))?;
        children.extend(listed.split_whitespace().map(str::to_owned));
    }
    Ok(children)
}

struct Running(Child);

impl Running {
    fn wait(&mut self) -> Result<std::process::ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            ensure!(started.elapsed() < PATIENCE, "it did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
