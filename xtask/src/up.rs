//! `cargo xtask up`: builds what `keyswap up` needs, and becomes `keyswap up`.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use keyswap_tests::{Artefact, KEYSWAP, tools};

/// The interval at which a long step reports that it still runs.
const PATIENCE: Duration = Duration::from_secs(10);

/// The options of `cargo xtask up`: those of `keyswap up`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Options of `keyswap up`; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let host = host(&options.options);
    let (name, artefact) = match host.as_str() {
        "wasmtime" => ("Wasmtime", Artefact::Component),
        "module" => ("Envoy", Artefact::Module),
        // `keyswap up` refuses what is no host.
        _ => ("Envoy", Artefact::Filter),
    };
    let program = step(1, &format!("getting {name}"), || match artefact {
        Artefact::Component => tools::wasmtime(),
        _ => tools::envoy(),
    })?;
    let what = artefact.name();
    let (command, folder) = step(2, &format!("building the {what} and the `keyswap` command"), || {
        Ok((KEYSWAP.path()?, keyswap_tests::artefacts(&[artefact])?))
    })?;
    let variable = if artefact == Artefact::Component { "KEYSWAP_WASMTIME" } else { "KEYSWAP_ENVOY" };
    let mut up = Command::new(&command);
    up.arg("up").args(&options.options).env(variable, program).env("KEYSWAP_ARTEFACTS", folder);
    Err(up.exec()).with_context(|| format!("cannot run {}", command.display()))
}

/// Returns the host that the options name, or the default.
fn host(options: &[OsString]) -> String {
    let texts: Vec<String> = options.iter().map(|option| option.to_string_lossy().into_owned()).collect();
    let after = texts.iter().position(|option| option == "--host").and_then(|place| texts.get(place + 1));
    let joined = texts.iter().find_map(|option| option.strip_prefix("--host="));
    after.map(String::as_str).or(joined).unwrap_or("envoy").to_owned()
}

/// Runs a step, and prints its name before and its duration after it.
fn step<T>(number: usize, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("[{number}/2] {what} …");
    let started = Instant::now();
    let (done, running) = mpsc::channel::<()>();
    let ticker = thread::spawn(move || {
        while running.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            println!("      still running after {} s", started.elapsed().as_secs());
        }
    });
    let result = work();
    drop(done);
    let _ = ticker.join();
    if result.is_ok() {
        println!("      done in {:.1} s", started.elapsed().as_secs_f32());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_in_both_spellings() {
        for (options, expect) in [
            (&["--port", "0"][..], "envoy"),
            (&["--port", "0", "--host", "wasmtime"], "wasmtime"),
            (&["--host=module"], "module"),
            (&["--host"], "envoy"),
        ] {
            let options: Vec<OsString> = options.iter().map(OsString::from).collect();
            assert_eq!(host(&options), expect, "{options:?}");
        }
    }
}
