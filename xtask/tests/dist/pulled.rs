//! Images in a registry: pulled from it by other clients, and started.

use std::{collections::BTreeMap, fs, process::Command, slice};

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_tests::{
    COMPONENT, Interfaces, OciRegistry, Request, Wasmtime,
    helm::{self, Release, Rendered},
    packages::{Package, Place},
    tools,
};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use serde_json::{Value, json};

use crate::{dist, sha256};

#[test]
fn what_is_pushed_to_a_registry_is_pulled_from_it_unchanged_and_starts() -> Result<()> {
    let registry = OciRegistry::start()?;
    let folder = tempfile::tempdir()?;
    dist(folder.path(), &[])?;
    // Another job of a release pushes what one has made. What is something else by then is refused.
    let push = || {
        let mut push = Command::new(env!("CARGO_BIN_EXE_xtask"));
        push.args(["dist", "--push", &format!("{}/keyswap", registry.address()), "--from"])
            .arg(folder.path());
        tools::run(&mut push, "it is part of the workspace")
    };
    let list = folder.path().join("IMAGES");
    let listed = fs::read_to_string(&list)?;
    for other in [listed.replace(":0", ":9"), String::new()] {
        fs::write(&list, other)?;
        let refused = format!("{:#}", push().err().context("another list is taken")?);
        ensure!(refused.contains("the release lists"), "{refused}");
    }
    fs::write(&list, listed)?;
    let sum = sha256(&fs::read(COMPONENT.path()?)?);
    let blob = folder.path().join("oci/keyswap-component/blobs/sha256").join(sum);
    let component = fs::read(&blob)?;
    fs::write(&blob, "another")?;
    let refused = format!("{:#}", push().err().context("another component is taken")?);
    ensure!(refused.contains("is something else"), "{refused}");
    fs::write(&blob, component)?;
    push()?;
    let images = fs::read_to_string(folder.path().join("IMAGES"))?;
    let names: Vec<&str> =
        images.lines().filter_map(|line| line.split_once('@')).map(|(name, _)| name).collect();
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        format!("keyswap-filter:{version}"),
        format!("keyswap-filter:{version}-artifact"),
        format!("keyswap-component:{version}"),
        format!("keyswap-authorizer:{version}"),
        format!("charts/keyswap:{version}"),
    ];
    ensure!(names == expected, "{names:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for line in images.lines() {
        let (image, digest) = line.split_once('@').context("an image has a digest")?;
        let name = format!("{}/keyswap/{line}", registry.address());
        let pulled = runtime.block_on(pull(&name))?;
        let image = image.split(':').next().context("a name")?;
        ensure!(pulled.contains_key(digest), "{line}: not pulled by its digest");
        for (digest, bytes) in &pulled {
            ensure!(format!("sha256:{}", sha256(bytes)) == *digest, "{digest} came as another");
            let kept = folder
                .path()
                .join("oci")
                .join(image)
                .join("blobs/sha256")
                .join(digest.trim_start_matches("sha256:"));
            ensure!(fs::read(kept)? == *bytes, "{digest} is not what was released");
        }
        if image == "keyswap-component" {
            serves(&component_of(&pulled, digest)?)?;
        }
        if image == "keyswap-authorizer" {
            judges(&component_of(&pulled, digest)?)?;
        }
    }
    is_the_chart(&format!("oci://{}/keyswap/charts/keyswap:{version}", registry.address()))
}

/// Returns the component of a pulled image, as the CNCF's guide describes its image.
fn component_of(pulled: &BTreeMap<String, Vec<u8>>, digest: &str) -> Result<Vec<u8>> {
    let blob = |digest: &Value| pulled.get(digest.as_str().unwrap_or_default()).context("a blob is missing");
    let manifest: Value = serde_json::from_slice(blob(&digest.into())?)?;
    ensure!(manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json", "{manifest}");
    let layers = manifest["layers"].as_array().context("layers")?;
    ensure!(layers.len() == 1 && layers[0]["mediaType"] == "application/wasm", "{manifest}");
    let config: Value = serde_json::from_slice(blob(&manifest["config"]["digest"])?)?;
    ensure!(config["architecture"] == "wasm" && config["os"] == "wasip2" && config["created"].is_string());
    ensure!(config["layerDigests"] == json!([layers[0]["digest"]]), "{config}");
    let component = blob(&layers[0]["digest"])?;
    let Interfaces { imports, exports } = Interfaces::of(component)?;
    ensure!(config["component"] == json!({"exports": exports, "imports": imports}), "{config}");
    Ok(component.clone())
}

/// Starts the component in Wasmtime.
fn serves(component: &[u8]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pulled.wasm");
    fs::write(&file, component)?;
    let policy = json!({"version": "keyswap/v1", "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]}});
    let wasmtime = Wasmtime::with(&policy).component(file).env("OPENAI_API_KEY", "sk-real").start()?;
    let answer = wasmtime.send(&Request::get("/v1/models").bearer("ptk_unknown"))?;
    ensure!(answer.status == 401 && answer.header("x-keyswap-reason") == Some("token_invalid"), "{answer:?}");
    Ok(())
}

/// Starts the authorizer in the package for Python.
fn judges(authorizer: &[u8]) -> Result<()> {
    let Place { folder, environment } = Package::Python.install_into_new_folder()?;
    fs::write(folder.path().join("keyswap-authorizer.wasm"), authorizer)?;
    let program = "import asyncio, httpx, pathlib, sys\n\
                   from keyswap_asgi import Keyswap, _authorizer\n\
                   _authorizer.files = lambda package: pathlib.Path(sys.argv[1])\n\
                   policy = {'version': 'keyswap/v1', 'credentials': {'openai': [{'env': 'OPENAI_API_KEY'}]}}\n\
                   async def main():\n    \
                   app = Keyswap(None, policy, {'OPENAI_API_KEY': 'sk-real'})\n    \
                   transport = httpx.ASGITransport(app=app)\n    \
                   async with httpx.AsyncClient(transport=transport, base_url='http://keyswap') as client:\n        \
                   answer = await client.get('/v1/models', headers={'authorization': 'Bearer ptk_unknown'})\n    \
                   print(answer.status_code, answer.headers['x-keyswap-reason'])\n\
                   asyncio.run(main())";
    let mut python = Command::new("python3");
    python.args(["-c", program]).arg(folder.path()).envs(environment);
    let printed = tools::run(&mut python, tools::PYTHON_REMEDY)?;
    ensure!(printed.trim() == "401 token_invalid", "{printed}");
    Ok(())
}

/// Compares what Helm makes of a chart in a registry with what it makes of the sources.
fn is_the_chart(pulled: &str) -> Result<()> {
    let image = format!("registry.example.com/keyswap@sha256:{}", "0".repeat(64));
    let release = Release { namespace: "keyswap", values: json!({"registry": {"image": image}}) };
    let files = |rendered: Vec<Rendered>| match rendered.into_iter().next() {
        Some(Rendered::Files { files, lint }) => {
            ensure!(!files.is_empty() && lint.iter().all(|finding| finding.severity < 3), "{lint:?}");
            Ok(files)
        }
        other => bail!("{other:?}"),
    };
    let ours = files(helm::render(slice::from_ref(&release))?)?;
    ensure!(files(helm::render_of(pulled, &[release])?)? == ours, "the registry has another chart");
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
