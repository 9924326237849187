//! The files of TLS: a certificate, its key, and the authorities of client certificates.
//!
//! Errors name the file and the remedy, and never quote a file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use keyswap_core::base::{Digest, UnixTime};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use zeroize::Zeroizing;

/// The protocols that are offered to clients (RFC 7301), the preferred one first.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// The files with certificates and key, all in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, followed by intermediate ones.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// The authorities that sign client certificates, `None` if clients need none.
    pub client_ca: Option<PathBuf>,
}

/// The content of the files.
pub(super) struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// The files, read and found to fit together.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    pub(super) authorities: Vec<CertificateDer<'static>>,
    pub(super) validity: Option<Validity>,
}

/// The validity of the certificate of the chain that expires first.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Validity {
    pub(in crate::server) not_before: UnixTime,
    pub(in crate::server) not_after: UnixTime,
}

impl TlsFiles {
    /// Reads the files.
    pub(super) fn read(&self) -> anyhow::Result<Content> {
        let read = |path: &Path| {
            fs::read(path).with_context(|| {
                format!("cannot read `{}`: check the name, and that the server may read it", path.display())
            })
        };
        Ok(Content {
            certificate: read(&self.certificate)?,
            key: Zeroizing::new(read(&self.key)?),
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// Reads the files, and checks that they fit together. Returns the certificate and intermediate ones in PEM.
    pub(crate) fn read_chain(&self) -> anyhow::Result<Vec<u8>> {
        let content = self.read()?;
        self.identity(&content)?;
        Ok(content.certificate)
    }

    /// Returns the meaning of the files.
    pub(super) fn identity(&self, content: &Content) -> anyhow::Result<Identity> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("cannot use TLS")?;
        let authorities = match (&self.client_ca, &content.client_ca) {
            (Some(path), Some(pem)) => certificates(path, pem)?,
            _ => Vec::new(),
        };
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let not_one =
                    || format!("`{}` has a certificate that cannot be an authority", path.display());
                let mut roots = RootCertStore::empty();
                for authority in &authorities {
                    roots.add(authority.clone()).with_context(not_one)?;
                }
                // Administrators have no certificate: the data-plane API asks for one by itself.
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build();
                builder.with_client_cert_verifier(verifier.with_context(not_one)?)
            }
        };
        let chain = certificates(&self.certificate, &content.certificate)?;
        let validity = chain.iter().filter_map(validity).min_by_key(|validity| validity.not_after);
        let Ok(key) = PrivateKeyDer::from_pem_slice(&content.key) else {
            bail!(
                "`{}` has no private key in PEM: expected one as `openssl genpkey` writes it",
                self.key.display()
            )
        };
        let mut config = builder.with_single_cert(chain, key).with_context(|| {
            let (key, certificate) = (self.key.display(), self.certificate.display());
            format!("the key in `{key}` and the certificate in `{certificate}` are no pair: give those that were issued together")
        })?;
        config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(Identity { acceptor: Arc::new(config).into(), authorities, validity })
    }

    /// Returns true if every user of the machine may read the key.
    pub(super) fn key_is_open(&self) -> bool {
        fs::metadata(&self.key).is_ok_and(|data| data.permissions().mode() & 0o004 != 0)
    }
}

impl Content {
    /// Returns a digest, by which a change is noticed even if it leaves the time of a file as it was.
    pub(super) fn digest(&self) -> Digest {
        let parts = [&self.certificate, &*self.key, self.client_ca.as_ref().unwrap_or(&Vec::new())]
            .map(|part| Digest::of(part).to_hex());
        Digest::of(parts.concat().as_bytes())
    }
}

fn certificates(path: &Path, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => bail!(
            "`{}` has no certificate in PEM: expected one or more, the server's own first",
            path.display()
        ),
    }
}

/// Returns the validity of a certificate, `None` if it cannot be read: it is told only, and clients judge it.
fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    Some(Validity {
        not_before: UnixTime(validity.not_before.timestamp()),
        not_after: UnixTime(validity.not_after.timestamp()),
    })
}
