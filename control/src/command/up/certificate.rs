//! The certificate that callers see, and its private key.
//!
//! Envoy reads the key from the user's file, so that no other file holds it. The certificate stands in a file that Envoy watches:
//! replacing that file makes Envoy read both anew.

use std::path::{Path, absolute};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::watch::Watch;
use crate::server::TlsFiles;

/// The name of the secret in Envoy.
const NAME: &str = "callers";

/// A certificate and its key, in files.
pub(super) struct Certificate {
    files: TlsFiles,
}

/// A certificate whose files are watched.
pub(super) struct Renewal {
    certificate: Certificate,
    watches: [Watch; 2],
}

impl Certificate {
    /// Takes both files, which must fit together.
    pub(super) fn new(chain: &Path, key: &Path) -> anyhow::Result<Self> {
        let place = |path: &Path| absolute(path).with_context(|| format!("`{}` is no path", path.display()));
        let certificate =
            Self { files: TlsFiles { certificate: place(chain)?, key: place(key)?, client_ca: None } };
        certificate.secret()?;
        Ok(certificate)
    }

    /// Returns the files.
    pub(super) fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Reads both files, and returns the secret as Envoy takes it: the certificate, and the name of the key's file.
    pub(super) fn secret(&self) -> anyhow::Result<Value> {
        let read = || {
            let chain = String::from_utf8(self.files.read_chain()?).context("the certificate is no text")?;
            let key = self.files.key.to_str().context("the path of the key is no text")?;
            Ok::<_, anyhow::Error>(json!({
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": NAME,
                "tls_certificate": {
                    "certificate_chain": {"inline_string": chain},
                    "private_key": {"filename": key},
                },
            }))
        };
        read().context("`--tls-cert` and `--tls-key` cannot be used")
    }
}

impl Renewal {
    /// Watches the files from now on. The caller reads them after this, so that no change is missed.
    pub(super) fn of(certificate: Certificate) -> Self {
        let watches = [&certificate.files.certificate, &certificate.files.key].map(|file| Watch::new(file));
        Self { certificate, watches }
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Waits until a file is another than before. Cancelling the wait loses no change.
    pub(super) async fn changed(&mut self) {
        let [chain, key] = &mut self.watches;
        tokio::select! {
            () = chain.changed() => {}
            () = key.changed() => {}
        }
    }
}

/// Returns the name under which Envoy counts changes of the secret.
pub(super) fn statistics() -> String {
    format!("sds.{NAME}")
}

/// Returns the setting of a listener that takes its certificate from a file that Envoy watches.
pub(super) fn transport_socket(file: &Path) -> Value {
    let source = json!({"path_config_source": {"path": file}, "resource_api_version": "V3"});
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [{"name": NAME, "sds_config": source}],
            },
        },
    })
}
