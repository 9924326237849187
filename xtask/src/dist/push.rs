//! Pushing images to a registry, over TLS unless the registry is on this machine.

use std::{env, net::IpAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};

use super::{
    attached::is_beside,
    image::INDEX,
    layout::{Layout, Stored},
};

/// Pushes all images of a folder below `registry`, and checks that the registry reports the same digests.
pub(crate) fn push(registry: &str, folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for layout in Layout::all(folder)? {
            for (tag, manifest) in layout.tags()? {
                let name = format!("{}/{}:{tag}", registry.trim_end_matches('/'), layout.name);
                let reference: Reference = name.parse().with_context(|| format!("`{name}` is no image"))?;
                push_image(&layout, &reference, &manifest)
                    .await
                    .with_context(|| format!("cannot push {name}"))?;
                if !is_beside(&tag) {
                    println!("pushed {name}@{}", manifest.digest);
                }
            }
        }
        Ok(())
    })
}

async fn push_image(layout: &Layout, reference: &Reference, manifest: &Stored) -> Result<()> {
    let client = client(reference)?;
    client.auth(reference, &authentication(), RegistryOperation::Push).await?;
    if manifest.media_type == INDEX {
        for of_machine in layout.named_by(manifest, &["manifests"])? {
            let reference = reference.clone_with_digest(of_machine.digest.clone());
            push_one(&client, layout, &reference, &of_machine).await?;
        }
        return push_manifest(&client, reference, manifest).await;
    }
    push_one(&client, layout, reference, manifest).await
}

async fn push_one(client: &Client, layout: &Layout, reference: &Reference, manifest: &Stored) -> Result<()> {
    for blob in layout.named_by(manifest, &["config", "layers"])? {
        client.push_blob(reference, blob.bytes, &blob.digest).await?;
    }
    push_manifest(client, reference, manifest).await
}

async fn push_manifest(client: &Client, reference: &Reference, manifest: &Stored) -> Result<()> {
    let media_type = manifest.media_type.parse().context("a media type is a header's value")?;
    client.push_manifest_raw(reference, manifest.bytes.clone(), media_type).await?;
    let kept = client.fetch_manifest_digest(reference, &authentication()).await?;
    ensure!(kept == manifest.digest, "the registry has {kept} instead of {}", manifest.digest);
    Ok(())
}

/// Returns a client for the registry of an image.
pub(crate) fn client(image: &Reference) -> Result<Client> {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let protocol = if is_here(image.registry()) { ClientProtocol::Http } else { ClientProtocol::Https };
    Ok(Client::try_from(ClientConfig { protocol, ..ClientConfig::default() })?)
}

fn authentication() -> RegistryAuth {
    match (env::var("KEYSWAP_PUSH_USER"), env::var("KEYSWAP_PUSH_PASSWORD")) {
        (Ok(user), Ok(password)) => RegistryAuth::Basic(user, password),
        _ => RegistryAuth::Anonymous,
    }
}

fn is_here(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
