//! The signatures and statements of a release, verified by OpenSSL.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use keyswap_tests::tools;
use serde_json::{Value, json};

use crate::{dist, json as read_json, layout::Layout};

const BILL: &str = "https://cyclonedx.org/bom";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

#[test]
fn a_signed_release_is_verified_by_other_tools() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let openssl = |arguments: &[&str]| {
        let mut openssl = Command::new("openssl");
        tools::run(openssl.args(arguments).current_dir(folder.path()), "install OpenSSL")
    };
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem"])?;
    openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"])?;
    let verify = |bytes: &[u8], signature: &str| -> Result<()> {
        fs::write(folder.path().join("signed"), bytes)?;
        fs::write(folder.path().join("signature"), BASE64.decode(signature)?)?;
        openssl(&["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "signed"]).map(drop)
    };
    let (release, key) = (folder.path().join("release"), folder.path().join("key.pem"));
    dist(&release, &["--sign", &key.display().to_string(), "--builder", "https://ci.example.com"])?;
    let sums = fs::read_to_string(release.join("SHA256SUMS"))?;
    let signature = fs::read_to_string(release.join("SHA256SUMS.sig"))?;
    verify(sums.as_bytes(), &signature)?;
    ensure!(verify(sums.to_uppercase().as_bytes(), &signature).is_err(), "every text verifies");

    let envelope = read_json(&release.join("provenance.intoto.jsonl"))?;
    let statement = opened(&envelope, &verify)?;
    ensure!(statement["predicateType"] == PROVENANCE, "{statement}");
    ensure!(statement["predicate"]["runDetails"]["builder"]["id"] == "https://ci.example.com");
    let subjects: Vec<&Value> = statement["subject"].as_array().into_iter().flatten().collect();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").context("a line is a sum and a name")?;
        ensure!(subjects.iter().any(|it| it["name"] == name && it["digest"]["sha256"] == sum), "{name}");
    }

    let images = fs::read_to_string(release.join("IMAGES"))?;
    let names: BTreeSet<&str> = images.lines().filter_map(|line| line.split(':').next()).collect();
    ensure!(names.len() == 4, "{images}");
    for name in names {
        let layout = Layout::of(&release, name)?;
        for manifest in layout.images().values() {
            let digest = Layout::digest_of(manifest);
            ensure!(images.contains(&format!("@sha256:{digest}\n")), "{name} is not in {images}");
            ensure!(
                subjects.iter().any(|it| it["name"] == name && it["digest"]["sha256"] == digest),
                "{name}"
            );
            let layer = &layout.beside(manifest, "sig")?["layers"][0];
            let payload = layout.blob(&layer["digest"])?;
            verify(&payload, &text(&layer["annotations"]["dev.cosignproject.cosign/signature"])?)?;
            let payload: Value = serde_json::from_slice(&payload)?;
            let signed = &payload["critical"]["image"]["docker-manifest-digest"];
            ensure!(*signed == format!("sha256:{digest}"), "{payload}");
            // Beside each image are its bill of materials and its provenance, which are statements about this image alone.
            let layers = layout.beside(manifest, "att")?["layers"].as_array().context("layers")?;
            for (layer, kind) in layers.iter().zip([BILL, PROVENANCE]) {
                ensure!(layer["mediaType"] == "application/vnd.dsse.envelope.v1+json", "{layer}");
                ensure!(layer["annotations"]["predicateType"] == kind, "{layer}");
                let statement = opened(&serde_json::from_slice(&layout.blob(&layer["digest"])?)?, &verify)?;
                ensure!(statement["predicateType"] == kind, "{statement}");
                let about = json!([{"name": name, "digest": {"sha256": digest}}]);
                ensure!(statement["subject"] == about, "{statement}");
            }
            ensure!(layers.len() == 2, "{layers:?}");
            let beside = layout.blob(&layout.beside(manifest, "sbom")?["layers"][0]["digest"])?;
            let attested = opened(&serde_json::from_slice(&layout.blob(&layers[0]["digest"])?)?, &verify)?;
            ensure!(attested["predicate"] == serde_json::from_slice::<Value>(&beside)?, "the bills differ");
        }
    }
    Ok(())
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("a text")?.to_owned())
}

/// Verifies an envelope of DSSE, and returns its statement.
fn opened(envelope: &Value, verify: &dyn Fn(&[u8], &str) -> Result<()>) -> Result<Value> {
    let payload = BASE64.decode(text(&envelope["payload"])?)?;
    let kind = text(&envelope["payloadType"])?;
    let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    signed.extend(&payload);
    verify(&signed, &text(&envelope["signatures"][0]["sig"])?)?;
    Ok(serde_json::from_slice(&payload)?)
}
