//! A certificate authority for tests, made anew each time, so that the repository contains no private key.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Result;
use keyswap_core::base::Digest;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// An authority with the certificates that it signs.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// The year in which certificates expire, unless it is said.
const LAST_YEAR: i32 = 2090;

impl Pair {
    /// Returns the SHA-256 of the certificate in DER.
    pub fn sha256(&self) -> Result<Digest> {
        Ok(Digest::of(&CertificateDer::from_pem_slice(self.certificate.as_bytes())?))
    }
}

impl Authority {
    /// Makes an authority.
    pub fn new() -> Result<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Clients look an issuer up by its name.
        let name = format!("Authority {} of a test", MADE.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Returns the certificate of the authority, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate of a server on the loopback address.
    pub fn server(&self) -> Result<Pair> {
        self.server_named("localhost")
    }

    /// Signs a certificate of a server of this name on the loopback address.
    pub fn server_named(&self, name: &str) -> Result<Pair> {
        self.sign(name, ExtendedKeyUsagePurpose::ServerAuth, LAST_YEAR)
    }

    /// Signs a certificate of such a server that expires at the beginning of a year.
    pub fn server_until(&self, year: i32) -> Result<Pair> {
        self.sign("localhost", ExtendedKeyUsagePurpose::ServerAuth, year)
    }

    /// Signs a certificate of a client.
    pub fn client(&self) -> Result<Pair> {
        self.sign("localhost", ExtendedKeyUsagePurpose::ClientAuth, LAST_YEAR)
    }

    /// Signs a certificate of a client with these URIs and DNS names, in this order.
    pub fn workload(&self, uris: &[&str], dns_names: &[&str]) -> Result<Pair> {
        let mut names = Vec::new();
        for uri in uris {
            names.push(SanType::URI((*uri).try_into()?));
        }
        for name in dns_names {
            names.push(SanType::DnsName((*name).try_into()?));
        }
        self.sign_names(names, ExtendedKeyUsagePurpose::ClientAuth, LAST_YEAR)
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose, year: i32) -> Result<Pair> {
        let names =
            vec![SanType::DnsName(name.try_into()?), SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        self.sign_names(names, usage, year)
    }

    fn sign_names(&self, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose, year: i32) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.not_after = date_time_ymd(year, 1, 1);
        Ok(Pair { certificate: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}
