//! The stand-in's certificates: a new authority and a leaf for each start. Only the authority's certificate is written
//! to disk.

use std::{fs, net::Ipv4Addr, path::Path, sync::Arc};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Returns a TLS configuration with a certificate for `hosts` and the loopback address. Writes its authority to
/// `ca_file`.
pub(super) fn issue(hosts: &[&str], ca_file: &Path) -> Result<Arc<ServerConfig>> {
    let mut ca = CertificateParams::new([])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(DnType::CommonName, "Keyswap stand-in CA");
    let ca_key = KeyPair::generate()?;
    fs::write(ca_file, ca.self_signed(&ca_key)?.pem())?;

    let own = Ipv4Addr::LOCALHOST.to_string();
    let names: Vec<_> = hosts.iter().map(ToString::to_string).chain([own]).collect();
    let mut leaf = CertificateParams::new(names)?;
    // Distinguishes the authorities of two stand-ins, which have the same name.
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.distinguished_name.push(DnType::CommonName, "Keyswap stand-in");
    let leaf_key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&leaf_key, &Issuer::new(ca, ca_key))?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    Ok(Arc::new(tls))
}
