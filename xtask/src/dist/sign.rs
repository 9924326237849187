//! Signatures of a release, in the formats that cosign verifies, and its provenance as SLSA states it.
//!
//! - An image's signature and statements are images beside it: [`super::attached`].
//! - `SHA256SUMS.sig` signs the checksums of all files, for `cosign verify-blob`.
//! - `provenance.intoto.jsonl` is a signed in-toto statement with the predicate of SLSA 1.0.
//!
//! ECDSA is computed with the nonce of RFC 6979, so that a second run makes the same signatures.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use keyswap_tests::tools;
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer as _},
    pkcs8::DecodePrivateKey as _,
};
use serde_json::{Value, json};

use super::image::{Blob, Image, sha256};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The type of a statement with a bill of materials in `CycloneDX`.
pub(crate) const BILL: &str = "https://cyclonedx.org/bom";
/// The type of a statement with a provenance.
pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A key of ECDSA on P-256.
pub(crate) struct Key(SigningKey);

impl Key {
    /// Reads a private key in PKCS #8, as `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` writes it.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read the key {shown}"))?;
        // The error of the parser could quote the key.
        let key = SigningKey::from_pkcs8_pem(&text).ok();
        Ok(Self(key.with_context(|| format!("{shown} is no private key of P-256 in PKCS #8 (PEM)"))?))
    }

    /// Returns the signature of SHA-256 in DER and base64.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        let signature: Signature = self.0.sign(bytes);
        BASE64.encode(signature.to_der().as_bytes())
    }

    /// Returns the layer with the signature of an image below a registry.
    pub(crate) fn signature_of(&self, image: &Image, registry: &str) -> Blob {
        let reference = format!("{}/{}", registry.trim_end_matches('/'), image.name);
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": reference},
                "image": {"docker-manifest-digest": image.manifest.digest},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let layer = Blob::json(PAYLOAD, &payload);
        let signature = self.sign(&layer.bytes);
        layer.annotated(json!({"dev.cosignproject.cosign/signature": signature}))
    }

    /// Returns the statement in an envelope of DSSE, as one line.
    pub(crate) fn envelope(&self, statement: &Value) -> String {
        let payload = statement.to_string();
        // The encoding before authentication, of the DSSE specification.
        let signed = format!("DSSEv1 {} {STATEMENT} {} {payload}", STATEMENT.len(), payload.len());
        let envelope = json!({
            "payloadType": STATEMENT,
            "payload": BASE64.encode(payload),
            "signatures": [{"keyid": "", "sig": self.sign(signed.as_bytes())}],
        });
        format!("{envelope}\n")
    }
}

/// The origin of a release: the commit, and the builder.
pub(crate) struct Origin {
    commit: String,
    lock: String,
    builder: String,
}

impl Origin {
    /// Reads the commit of the sources.
    pub(crate) fn of(builder: &str) -> Result<Self> {
        let mut git = Command::new("git");
        git.args(["rev-parse", "HEAD"]).current_dir(tools::project_root());
        let commit = tools::run(&mut git, "a release is built from a commit")?.trim().to_owned();
        let lock = sha256(&fs::read(tools::project_root().join("Cargo.lock"))?);
        Ok(Self { commit, lock, builder: builder.to_owned() })
    }

    /// Returns the provenance as SLSA states it.
    pub(crate) fn predicate(&self) -> Value {
        json!({
            "buildDefinition": {
                "buildType": "urn:keyswap:cargo-xtask-dist:1",
                "externalParameters": {"version": env!("CARGO_PKG_VERSION")},
                "resolvedDependencies": [
                    {"name": "keyswap", "digest": {"gitCommit": self.commit}},
                    {"name": "Cargo.lock", "digest": {"sha256": self.lock}},
                ],
            },
            "runDetails": {"builder": {"id": self.builder}},
        })
    }
}

/// Returns the entries of the files of `SHA256SUMS` in a statement.
pub(crate) fn files(sums: &str) -> Vec<Value> {
    let files = sums.lines().filter_map(|line| line.split_once("  "));
    files.map(|(sum, name)| json!({"name": name, "digest": {"sha256": sum}})).collect()
}

/// Returns an in-toto statement of a type.
pub(crate) fn statement(kind: &str, subjects: &[Value], predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": kind,
        "predicate": predicate,
    })
}
