//! `cargo xtask scale`: as many tokens, people, providers and streams as the promises name.
//!
//! These are tests, `scale::` of `tests/tests`: there the numbers are small.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    hardening::{self, Row},
    tools::{self, project_root},
};

use crate::test;

/// The files of figures that the tests leave, each with the promise and the attack.
const FILES: [(&str, &str, &str); 4] = [
    (
        "people",
        "a person is let in however many there are",
        "JWTs of many people in turn, at last without the registry",
    ),
    (
        "policy",
        "each provider gets its own credential, however many there are",
        "a policy with many providers and tokens, and requests by each for its own provider and for another's",
    ),
    (
        "streams",
        "a stream that ends early leaves nothing behind",
        "streams reset in any state: at the head, in the body, without an answer, at its head, in it",
    ),
    (
        "tokens",
        "a token is let in however many there are",
        "requests by many tokens in turn, then by each once more",
    ),
];

/// The options of `cargo xtask scale`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Put the run into `docs/security/hardening.md`.
    #[arg(long)]
    record: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = project_root().join("target/scale");
    fs::create_dir_all(&folder)?;
    let mut tests = Command::new(tools::nextest()?);
    tests.args(["nextest", "run", "--workspace", "--locked", "--profile", "soak", "--no-capture"]);
    tests.args(["-E", "test(/^scale::/)"]).env("KEYSWAP_SCALE", &folder).envs(test::built(false)?);
    let status = tests.current_dir(project_root()).status().context("cannot run nextest")?;
    ensure!(status.success(), "a test of scale failed");
    let mut rows = Vec::new();
    for (name, promise, attack) in FILES {
        let text = fs::read_to_string(folder.join(format!("{name}.json")))?;
        let figures: Vec<(u64, String)> = serde_json::from_str(&text)?;
        for (number, unit) in &figures {
            println!("{name:<10}{number:>12} {unit}");
        }
        rows.push(Row {
            promise: promise.to_owned(),
            attack: attack.to_owned(),
            figures,
            date: hardening::today()?,
            command: "cargo xtask scale --record".to_owned(),
        });
    }
    if options.record { hardening::write("scale", &rows) } else { Ok(()) }
}
