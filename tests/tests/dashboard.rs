//! The dashboard in a real Chromium: by mouse, by keys alone, wide, narrow, light and dark, and for everybody.
//!
//! `tests/browser/dashboard.mjs` does it and says what does not hold. Its screenshots are in `target/screenshots`.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use keyswap_tests::Registry;
use keyswap_tests::tools::{installed, of_debian, project_root, run};

const PROXY: &str = "https://llm.acme.example";
const FILES: [&str; 3] = ["package.json", "package-lock.json", "dashboard.mjs"];
const NODE_REMEDY: &str = "install Node.js 20 or newer with npm (Debian: `apt install nodejs npm`)";

#[test]
fn the_dashboard_works_in_a_browser() -> Result<()> {
    let chromium = of_debian("chromium", "chromium")?;
    let driver = driver()?;
    let screenshots = project_root().join("target/screenshots");
    fs::create_dir_all(&screenshots)?;
    let registry = Registry::setup().arguments(&["--proxy-url", PROXY]).start()?;
    run(
        Command::new("node")
            .arg("dashboard.mjs")
            .args([&registry.url(), registry.password(), registry.registry_token(), PROXY])
            .arg(&screenshots)
            .current_dir(driver)
            .env("KEYSWAP_CHROMIUM", chromium),
        NODE_REMEDY,
    )?;
    ensure!(screenshots.join("tokens-light-360.png").is_file(), "there are no screenshots");
    Ok(())
}

/// The script with its packages.
fn driver() -> Result<PathBuf> {
    let source = project_root().join("tests/browser");
    let mut hasher = DefaultHasher::new();
    for name in FILES {
        fs::read(source.join(name))?.hash(&mut hasher);
    }
    installed("browser-driver", &format!("{:016x}", hasher.finish()), |folder| {
        for name in FILES {
            fs::copy(source.join(name), folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        run(&mut npm, NODE_REMEDY).map(drop)
    })
}
