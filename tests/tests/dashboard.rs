//! The dashboard in a real Chromium: mouse, keyboard alone, wide, narrow, light, dark, accessibility.
//!
//! `tests/browser/dashboard.mjs` does it and says what does not hold. Its screenshots are in `target/screenshots`.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::tools::{installed, of_debian, project_root, run};

use keyswap_tests::{KEYSWAP, Registry, Request, docs};
use serde_json::{Value, json};

const PROXY: &str = "https://llm.acme.example";
const FILES: [&str; 4] = ["package.json", "package-lock.json", "dashboard.mjs", "pictures.mjs"];
/// The pictures of the book, in `docs/pictures`.
const PICTURES: [&str; 3] = ["dashboard-token.png", "dashboard-tokens.png", "dashboard-policy.png"];
const NODE_REMEDY: &str = "install Node.js 20 or newer with npm (Debian: `apt install nodejs npm`)";

#[test]
fn the_dashboard_works_in_a_browser() -> Result<()> {
    let chromium = of_debian("chromium", "chromium")?;
    let driver = driver()?;
    let screenshots = project_root().join("target/screenshots");
    fs::create_dir_all(&screenshots)?;
    let registry =
        Registry::setup().arguments(&["--proxy-url", PROXY, "--environment", "staging"]).start()?;
    publish(&registry, "error%20at%20%60credentials%60%3A%20%3Cb%3Enot%20bold")?;
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

#[test]
fn the_pictures_of_the_book_are_taken_from_the_dashboard() -> Result<()> {
    let registry = Registry::setup().arguments(&["--proxy-url", PROXY]).start()?;
    publish(&registry, "error%20at%20%60credentials%60%3A%20%60OPENAI_API_KEY%60%20is%20not%20set")?;
    for (label, providers, limit) in [
        ("alice-laptop", json!(["openai", "anthropic", "gemini"]), Value::Null),
        ("build-pipeline", json!(["openai"]), json!({"requests": 60, "per": "60s"})),
        ("carol-notebook", json!(["anthropic"]), json!({"requests": 100, "per": "1h"})),
    ] {
        let owner = format!("{}@acme.example", label.split('-').next().unwrap_or_default());
        let mut token = json!({"label": label, "owner": owner, "providers": providers});
        token["expires_at"] = json!("2030-06-30T00:00:00Z");
        token["rate_limit"] = limit;
        registry.create_token(&token)?;
    }
    let taken = tempfile::tempdir()?;
    run(
        Command::new("node")
            .arg("pictures.mjs")
            .args([&registry.url(), registry.password()])
            .arg(taken.path())
            .current_dir(driver()?)
            .env("KEYSWAP_CHROMIUM", of_debian("chromium", "chromium")?),
        NODE_REMEDY,
    )?;
    for name in PICTURES {
        let picture = fs::read(taken.path().join(name))?;
        let in_book = project_root().join("docs/pictures").join(name);
        if docs::is_update() {
            fs::write(&in_book, &picture)?;
        }
        // Fonts and times of day differ between machines; the size of a page does not.
        ensure!(size_of_png(&picture)? == size_of_png(&fs::read(in_book)?)?, "{name} shows another page");
    }
    Ok(())
}

/// Returns the bytes with the width and height of a PNG (RFC 2083 section 3.3).
fn size_of_png(picture: &[u8]) -> Result<&[u8]> {
    ensure!(picture.starts_with(b"\x89PNG"), "this is no PNG");
    picture.get(16..24).context("it has no header")
}

/// Publishes a policy and then a candidate. One data plane runs the first and refuses the second, another one has
/// neither.
fn publish(registry: &Registry, problem: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("policy.key");
    let policy = project_root().join("envoy/policy.yaml");
    let keyswap = |args: &[&str]| -> Result<()> {
        let mut command = Command::new(KEYSWAP.path()?);
        command.args(args).args(["--key"]).arg(&key);
        command.env("KEYSWAP_SERVER", registry.url()).env("KEYSWAP_ADMIN_PASSWORD", registry.password());
        run(&mut command, "see above").map(drop)
    };
    run(Command::new(KEYSWAP.path()?).args(["policy", "keygen"]).arg(&key), "see above")?;
    keyswap(&["policy", "publish", "prod", &policy.to_string_lossy()])?;
    keyswap(&[
        "policy",
        "publish",
        "prod",
        &policy.to_string_lossy(),
        "--candidate",
        "--percent",
        "10",
        "--yes",
    ])?;
    let bundle = registry.admin("GET", "/policies/prod/revisions/2", &Value::Null)?;
    let refused = Digest::of(bundle["bundle"].as_str().unwrap_or_default().as_bytes()).to_hex();
    for told in [
        format!("plane=edge-1&running=1&refused={refused}&problem=bad_policy&detail={problem}"),
        "plane=edge-2".to_owned(),
    ] {
        let request = Request::get(format!("/v1/policies/prod?{told}")).bearer(registry.registry_token());
        ensure!(registry.send(&request)?.status == 200, "{told}");
    }
    Ok(())
}

/// Returns a folder with the script and its packages.
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
