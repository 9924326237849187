//! `cargo xtask dist`: the content of a release, and pulling its images. The test of reproducible builds is beside the
//! build.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{COMPONENT, FILTER, tools, until};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const MODULE: &str = "keyswap_filter.wasm";
const COMPONENT_FILE: &str = "keyswap_component.wasm";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Runs `cargo xtask dist` on modules that are built already.
fn dist(output: &Path, arguments: &[&str]) -> Result<()> {
    let modules = tempfile::tempdir()?;
    fs::copy(FILTER.path()?, modules.path().join(MODULE))?;
    fs::copy(COMPONENT.path()?, modules.path().join(COMPONENT_FILE))?;
    let mut dist = Command::new(env!("CARGO_BIN_EXE_xtask"));
    dist.arg("dist").arg("--output").arg(output).arg("--modules").arg(modules.path()).args(arguments);
    tools::run(&mut dist, "it is part of the workspace").map(drop)
}

fn released() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    dist(folder.path(), &[])?;
    Ok(folder)
}

fn json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&fs::read(path).with_context(|| path.display().to_string())?).context("not JSON")
}

#[test]
fn checksums_are_of_the_files_beside_them() -> Result<()> {
    let folder = released()?;
    let sums = fs::read_to_string(folder.path().join("SHA256SUMS"))?;
    let mut names = Vec::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").context("a line is a sum and a name")?;
        ensure!(sha256(&fs::read(folder.path().join(name))?) == sum, "{name}");
        names.push(name);
    }
    let expect = [MODULE, "keyswap-filter.cdx.json", COMPONENT_FILE, "keyswap-component.cdx.json"];
    ensure!(names == expect, "{names:?}");
    Ok(())
}

#[test]
fn images_have_what_istio_and_envoy_gateway_look_for() -> Result<()> {
    let folder = released()?;
    let module = fs::read(FILTER.path()?)?;
    let layout = folder.path().join("oci/keyswap-filter");
    let blob = |digest: &Value| -> Result<Vec<u8>> {
        let digest = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:")).context("a digest")?;
        let bytes = fs::read(layout.join("blobs/sha256").join(digest))?;
        ensure!(sha256(&bytes) == digest, "the blob {digest} is another");
        Ok(bytes)
    };
    ensure!(json(&layout.join("oci-layout"))?["imageLayoutVersion"] == "1.0.0");
    let index = json(&layout.join("index.json"))?;
    let mut seen = Vec::new();
    for descriptor in index["manifests"].as_array().context("manifests")? {
        let bytes = blob(&descriptor["digest"])?;
        ensure!(descriptor["size"] == bytes.len(), "{descriptor}");
        let manifest: Value = serde_json::from_slice(&bytes)?;
        blob(&manifest["config"]["digest"])?;
        let layers = manifest["layers"].as_array().context("layers")?;
        let types: Vec<&str> = layers.iter().filter_map(|layer| layer["mediaType"].as_str()).collect();
        let last = blob(&layers.last().context("a layer")?["digest"])?;
        match types.as_slice() {
            [LAYER] => {
                let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(last.as_slice()));
                let mut entries = archive.entries()?;
                let mut entry = entries.next().context("the archive is empty")??;
                ensure!(entry.path()?.to_str() == Some("plugin.wasm"));
                let mut found = Vec::new();
                entry.read_to_end(&mut found)?;
                ensure!(found == module, "the archive has another module");
                ensure!(entries.next().is_none(), "the archive has more");
                seen.push("compatible");
            }
            [WASM_CONFIG, WASM_LAYER] => {
                ensure!(last == module, "the layer is another module");
                seen.push("artefact");
            }
            other => anyhow::bail!("layers of unknown types: {other:?}"),
        }
    }
    ensure!(seen == ["compatible", "artefact"], "{seen:?}");
    Ok(())
}

#[test]
fn what_it_is_made_of_is_what_is_linked_into_it() -> Result<()> {
    let folder = released()?;
    let text = fs::read(folder.path().join("keyswap-filter.cdx.json"))?;
    let bom = cyclonedx_bom::prelude::Bom::parse_from_json(text.as_slice())?;
    ensure!(cyclonedx_bom::prelude::Validate::validate(&bom).passed());
    let document: Value = serde_json::from_slice(&text)?;
    ensure!(document["bomFormat"] == "CycloneDX" && document["specVersion"] == "1.5", "{document}");
    ensure!(document["metadata"]["component"]["name"] == "keyswap-filter");
    let components = document["components"].as_array().context("components")?;
    let find = |name: &str| components.iter().find(|component| component["name"] == name);
    let proxy_wasm = find("proxy-wasm").context("the SDK is linked")?;
    ensure!(proxy_wasm["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/proxy-wasm@")));
    ensure!(
        proxy_wasm["hashes"][0]["alg"] == "SHA-256" && proxy_wasm["licenses"][0]["expression"].is_string()
    );
    ensure!(find("keyswap-core").is_some(), "the engine is linked");
    for other in ["proptest", "sqlx", "cyclonedx-bom", "tokio"] {
        ensure!(find(other).is_none(), "{other} is not linked into the filter");
    }
    let root = tools::project_root();
    ensure!(
        !String::from_utf8(text)?.contains(&*root.to_string_lossy()),
        "the document has a path of this machine"
    );
    Ok(())
}

/// Debian's registry server, with a temporary folder.
struct Registry {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Registry {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // The registry does not report its port, so a free port is chosen first.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = folder.path().join("config.yml");
        let data = folder.path().join("data");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n",
            data.display()
        );
        fs::write(&config, text)?;
        let program = tools::unpacked_of_debian("docker-registry", "usr/bin/docker-registry")?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Self { child, address, _folder: folder };
        until("the registry listens", || Ok(std::net::TcpStream::connect(address).is_ok()))?;
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_pushed_to_a_registry_is_pulled_from_it_unchanged() -> Result<()> {
    let registry = Registry::start()?;
    let folder = tempfile::tempdir()?;
    dist(folder.path(), &["--push", &format!("{}/keyswap", registry.address)])?;
    let images = fs::read_to_string(folder.path().join("IMAGES"))?;
    ensure!(images.lines().count() == 2, "{images}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for line in images.lines() {
        let (_, digest) = line.split_once('@').context("an image has a digest")?;
        let name = format!("{}/keyswap/{line}", registry.address);
        let pulled = runtime.block_on(pull(&name))?;
        ensure!(pulled.contains_key(digest), "{line}: not pulled by its digest");
        for (digest, bytes) in &pulled {
            ensure!(format!("sha256:{}", sha256(bytes)) == *digest, "{digest} came as another");
            let kept = folder
                .path()
                .join("oci/keyswap-filter/blobs/sha256")
                .join(digest.trim_start_matches("sha256:"));
            ensure!(fs::read(kept)? == *bytes, "{digest} is not what was released");
        }
    }
    Ok(())
}

/// Pulls a manifest and the blobs that it names. Returns them by their digests.
async fn pull(name: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let reference: Reference = name.parse()?;
    let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
    let client = Client::try_from(config)?;
    let accepted = ["application/vnd.oci.image.manifest.v1+json"];
    let (bytes, digest) = client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &accepted).await?;
    let manifest: oci_client::manifest::OciImageManifest = serde_json::from_slice(&bytes)?;
    let mut pulled = BTreeMap::from([(digest, bytes.to_vec())]);
    for descriptor in manifest.layers.iter().chain([&manifest.config]) {
        let mut blob = Vec::new();
        client.pull_blob(&reference, descriptor, &mut blob).await?;
        pulled.insert(descriptor.digest.clone(), blob);
    }
    Ok(pulled)
}

/// The test reads the recipe: building the image needs a container builder.
#[test]
fn the_container_is_built_with_the_pinned_toolchain_and_does_not_run_as_root() -> Result<()> {
    let read = |name: &str| fs::read_to_string(tools::project_root().join(name)).context(name.to_owned());
    let recipe = read("Containerfile")?;
    let toolchain = read("rust-toolchain.toml")?;
    let version = toolchain.split('"').find(|part| part.starts_with("1.")).context("a version")?;
    let minor = version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    ensure!(
        recipe.contains(&format!("FROM rust:{minor}-")),
        "the recipe has another toolchain than {version}"
    );
    let (_, last) = recipe.rsplit_once("\nFROM ").context("stages")?;
    ensure!(last.starts_with("scratch\n"), "the image has more in it than the command");
    ensure!(last.contains("\nUSER 65532:65532\n"), "it runs as root");
    ensure!(
        last.contains(" /usr/local/bin/keyswap\n")
            && last.contains("ENTRYPOINT [\"/usr/local/bin/keyswap\"]")
    );
    ensure!(recipe.contains("cargo build --locked --release --package keyswap\n"));
    Ok(())
}
