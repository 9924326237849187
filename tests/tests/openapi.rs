//! The API of data planes is what its description says: a fuzzer that is driven by it finds nothing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use keyswap_tests::keyswap_command;
use keyswap_tests::tools::{installed, project_root, run};

const REQUIREMENTS: &str = include_str!("../openapi/requirements.txt");
const REMEDY: &str = "install Python 3.11 or newer with pip (Debian: `apt install python3 python3-pip`)";
const CREDENTIAL: &str = "registry-token-of-the-fuzzer";

/// Killed when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No answer is a 5xx, every answer has the documented status, type and shape, and none is had without a credential.
#[test]
fn the_data_plane_api_is_what_its_description_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Command::new(keyswap_command()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--database", "sqlite://registry.db"])
        .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map(Server)?;
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().context("standard output is piped")?).read_line(&mut line)?;
    let url = line.trim().strip_prefix("listening on ").context("the server did not start")?;

    let packages = fuzzer()?;
    let report = run(
        Command::new("python3")
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(project_root().join("tests/openapi/schemathesis.toml"))
            .args(["run", "--no-color", "--phases", "coverage,fuzzing"])
            .arg(format!("{url}/v1/openapi.json"))
            .env("PYTHONPATH", packages)
            .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
            .env("NO_PROXY", "127.0.0.1")
            .current_dir(folder.path()),
        REMEDY,
    )?;
    anyhow::ensure!(report.contains("Tested: 6"), "not every operation was tested:\n{report}");
    Ok(())
}

fn fuzzer() -> Result<std::path::PathBuf> {
    let fingerprint = keyswap_core::TokenDigest::of(REQUIREMENTS.as_bytes()).to_hex();
    installed("openapi-fuzzer", &fingerprint[..16], |folder| {
        run(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"])
                .args(["--require-hashes", "--target"])
                .arg(folder)
                .arg("-r")
                .arg(project_root().join("tests/openapi/requirements.txt")),
            REMEDY,
        )
        .map(drop)
    })
}
