//! Client certificates in a policy: the authorities whose certificates are accepted as identities.
//!
//! The certificates of the authorities themselves are the host's: its listener verifies. The policy says which names count.

use super::document::Policy;
use super::issuer_rules::{self, Rights};
use super::reader::{Errors, Node, read_texts};
use super::tokens::WhyNot;
use crate::identity::jwt::{Given, Issuer, IssuerRule, SPIFFE, is_trust_domain};
use crate::identity::{CERTIFICATE_CLAIMS, CertificateAuthority, CertificateSubjects, ModelGroups, PEOPLE};

const DOMAIN_EXPECTED: &str = "expected the name of a trust domain in lower case, such as `example.org`";
const DNS_EXPECTED: &str = "expected DNS names in lower case such as `*.agents.example.com`: `*` is any text, but not in the last label";

/// Reads the list. `why_not` returns the fault of an entry in a scope, if it has one.
#[inline(never)]
pub(super) fn read(node: &Node<'_>, why_not: &WhyNot<'_>, groups: &ModelGroups) -> Vec<CertificateAuthority> {
    let mut authorities: Vec<CertificateAuthority> = Vec::new();
    for item in node.items() {
        let Some(authority) = read_authority(&item, why_not, groups) else { continue };
        if authorities.iter().any(|other| other.name == authority.name) {
            item.fail(format!("another entry is named `{}`, too", authority.name));
        }
        authorities.push(authority);
    }
    authorities
}

impl Policy {
    /// Checks that issuers, authorities and people share no name: a principal's id is made from that name and its subject.
    pub(super) fn check_authorities(&self, errors: &Errors) {
        let issuers =
            self.issuers.iter().map(Issuer::name).enumerate().map(|(at, name)| ("issuers", at, name));
        let authorities = self.client_certificates.iter().map(CertificateAuthority::name).enumerate();
        for (list, index, name) in
            issuers.chain(authorities.map(|(at, name)| ("client_certificates", at, name)))
        {
            if name == PEOPLE {
                let message = format!("`{PEOPLE}` is the name of known people: choose another");
                errors.add(format!("{list}[{index}].name"), message);
            }
        }
        for (index, authority) in self.client_certificates.iter().enumerate() {
            if self.issuers.iter().any(|issuer| issuer.name() == authority.name()) {
                let message = format!("an issuer is named `{}`, too", authority.name());
                errors.add(format!("client_certificates[{index}].name"), message);
            }
        }
    }
}

fn read_authority(
    node: &Node<'_>,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
) -> Option<CertificateAuthority> {
    let mut fields = node.fields()?;
    let name = fields.required("name").and_then(|node| node.name());
    let trust_domain = fields.optional("trust_domain").map(|node| read_domain(&node));
    let dns_names = fields.optional("dns_names").map(|node| read_dns_names(&node));
    let rights = Rights::read(&mut fields, why_not, groups);
    let rules = fields.optional("rules");
    fields.finish();
    let rights = rights.for_all().map(|rights| match &rules {
        Some(node) => issuer_rules::read(node, &rights, why_not, groups),
        None => vec![rights],
    });
    check_claims(node, rights.as_deref().unwrap_or_default());
    let subjects = match (trust_domain, dns_names) {
        (Some(domain), None) => domain,
        (None, Some(names)) => names,
        _ => node.check(None, "expected either `trust_domain` or `dns_names`: whose certificates count"),
    };
    Some(CertificateAuthority { name: name?, subjects: subjects?, rights: rights? })
}

fn read_domain(node: &Node<'_>) -> Option<CertificateSubjects> {
    let name = node.text()?;
    let name = node.check(Some(name).filter(|name| is_trust_domain(name)), DOMAIN_EXPECTED)?;
    Some(CertificateSubjects::TrustDomain(format!("{SPIFFE}{name}")))
}

fn read_dns_names(node: &Node<'_>) -> Option<CertificateSubjects> {
    let names = read_texts(node, "DNS name");
    let is_of_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'*');
    // A star at the end would be for every domain.
    let is_name = |name: &String| {
        let last = name.rsplit('.').next().unwrap_or_default();
        let are_labels = name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_name));
        name.len() <= 253 && are_labels && !last.contains('*')
    };
    let fits = names.iter().all(is_name);
    node.check(fits.then_some(CertificateSubjects::DnsNames(names)), DNS_EXPECTED)
}

/// Checks that the rules are on claims that certificates have. A rule on any other fits none.
fn check_claims(node: &Node<'_>, rights: &[IssuerRule]) {
    let of_rule = |rule: &IssuerRule| {
        let given = [&rule.team, &rule.label].into_iter().flatten().filter_map(|given| match given {
            Given::Claim(name) => Some(name.clone()),
            Given::Name(_) => None,
        });
        rule.when.iter().map(|(name, _)| name.clone()).chain(given).collect::<Vec<_>>()
    };
    let mut names = rights.iter().flat_map(of_rule);
    if names.any(|name| !CERTIFICATE_CLAIMS.contains(&name.as_str())) {
        node.fail("a certificate has the claims `sub`, `namespace` and `service_account`, and no others");
    }
}
