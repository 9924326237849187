//! The data planes' API conforms to its `OpenAPI` document, tested by a fuzzer.

use std::process::Command;

use anyhow::Result;
use keyswap_tests::Registry;
use keyswap_tests::tools::{installed, project_root, run};

const REQUIREMENTS: &str = include_str!("../openapi/requirements.txt");
const REMEDY: &str = "install Python 3.11 or newer with pip (Debian: `apt install python3 python3-pip`)";

/// No answer is a 5xx, every answer has a documented status, type and schema, and every route requires the credential.
#[test]
fn the_data_plane_api_is_what_its_description_says() -> Result<()> {
    let registry = Registry::start()?;
    let folder = tempfile::tempdir()?;
    let packages = fuzzer()?;
    let report = run(
        Command::new("python3")
            .args(["-m", "schemathesis.cli", "--config-file"])
            .arg(project_root().join("tests/openapi/schemathesis.toml"))
            .args(["run", "--no-color", "--phases", "coverage,fuzzing"])
            .arg(format!("{}/v1/openapi.json", registry.url()))
            .env("PYTHONPATH", packages)
            .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
            .env("NO_PROXY", "127.0.0.1")
            .current_dir(folder.path()),
        REMEDY,
    )?;
    anyhow::ensure!(report.contains("Tested: 11"), "not every operation was tested:\n{report}");
    Ok(())
}

fn fuzzer() -> Result<std::path::PathBuf> {
    let fingerprint = keyswap_core::base::Digest::of(REQUIREMENTS.as_bytes()).to_hex();
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
