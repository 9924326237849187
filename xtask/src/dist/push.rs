//! Pushing images to a registry, over TLS unless the registry is on this machine.

use std::{env, net::IpAddr};

use anyhow::{Context as _, Result, ensure};
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};

use super::image::{Image, MANIFEST};

/// Pushes images below `registry`, and checks that the registry reports the same digests.
pub(crate) fn push(registry: &str, images: &[Image]) -> Result<()> {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for image in images {
            let name = format!("{}/{}:{}", registry.trim_end_matches('/'), image.name, image.tag);
            let reference: Reference = name.parse().with_context(|| format!("`{name}` is no image"))?;
            push_image(&reference, image).await.with_context(|| format!("cannot push {name}"))?;
            println!("pushed {name}@{}", image.manifest.digest);
        }
        Ok(())
    })
}

async fn push_image(reference: &Reference, image: &Image) -> Result<()> {
    let protocol = if is_here(reference.registry()) { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::try_from(ClientConfig { protocol, ..ClientConfig::default() })?;
    client.auth(reference, &authentication(), RegistryOperation::Push).await?;
    for blob in &image.blobs {
        client.push_blob(reference, blob.bytes.clone(), &blob.digest).await?;
    }
    let media_type = MANIFEST.parse().context("a media type is a header's value")?;
    client.push_manifest_raw(reference, image.manifest.bytes.clone(), media_type).await?;
    let kept = client.fetch_manifest_digest(reference, &authentication()).await?;
    ensure!(kept == image.manifest.digest, "the registry has {kept} instead of {}", image.manifest.digest);
    Ok(())
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
