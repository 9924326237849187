//! The fields by which an issuer says whose tokens it takes: `issuer`, with `tenants` or without, or `trust_domain`.

use super::preset::Preset;
use super::presets::{GENERIC, KnownBy, Row};
use super::reader::{Fields, Node, read_texts};
use crate::identity::jwt::{Origin, SPIFFE, TENANT, is_trust_domain};
use crate::syntax::{BaseUrl, glob};

/// The tenant of every personal account at Microsoft.
const PERSONAL_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// The fields of an entry.
pub(super) struct Named<'d> {
    pub(super) issuer: Option<Node<'d>>,
    tenants: Option<Node<'d>>,
    trust_domain: Option<Node<'d>>,
}

impl<'d> Named<'d> {
    pub(super) fn read(fields: &mut Fields<'d>, row: Option<&Row>) -> Self {
        let is_domain = row.is_some_and(|row| row.known_by == KnownBy::TrustDomain);
        let trust_domain =
            if is_domain { fields.required("trust_domain") } else { fields.optional("trust_domain") };
        let issuer = if trust_domain.is_some() || is_domain {
            fields.optional("issuer")
        } else {
            fields.required("issuer")
        };
        Self { issuer, tenants: fields.optional("tenants"), trust_domain }
    }

    /// Returns the origin of the tokens. `names_keys` is set where the policy says where the keys are.
    pub(super) fn origin(&self, preset: Preset, row: Option<&Row>, names_keys: bool) -> Option<Origin> {
        let kind = row.map(|row| row.known_by);
        let is_generic = preset == Preset::Oidc && row.is_none();
        if let Some(node) = &self.trust_domain {
            if !is_generic && kind != Some(KnownBy::TrustDomain) {
                node.fail(format!("a trust domain is for `spiffe` and `{GENERIC}`: remove it"));
                return None;
            }
            return self.trust_domain(node, names_keys);
        }
        let issuer = self.issuer.as_ref()?;
        let Some(tenants) = &self.tenants else {
            if kind == Some(KnownBy::Tenants) {
                issuer.fail("list the `tenants` whose tokens count");
                return None;
            }
            let name = preset.read_url(issuer, names_keys)?;
            return has_form(issuer, &name, kind).then_some(Origin::Name(name));
        };
        if !is_generic && kind != Some(KnownBy::Tenants) {
            tenants.fail(format!("tenants are for `entra`, `entra_v1` and `{GENERIC}`: remove them"));
            return None;
        }
        read_tenants(issuer, tenants, kind.is_some(), names_keys)
    }

    fn trust_domain(&self, node: &Node<'_>, names_keys: bool) -> Option<Origin> {
        for other in [&self.issuer, &self.tenants].into_iter().flatten() {
            other.fail("a token is known by its issuer or by its trust domain: leave one of them out");
        }
        let name = node.text()?;
        let expected = "expected the name of a trust domain in lower case, such as `example.org`";
        let name = node.check(Some(name).filter(|name| is_trust_domain(name)), expected)?;
        if !names_keys {
            node.fail("a trust domain says nowhere where its keys are: name its trust bundle in `jwks.url` or `jwks.inline`");
            return None;
        }
        Some(Origin::TrustDomain(format!("{SPIFFE}{name}")))
    }
}

/// Checks that a name has the form of the preset's.
fn has_form(node: &Node<'_>, name: &str, kind: Option<KnownBy>) -> bool {
    match kind {
        Some(KnownBy::Issuer(form, example)) if !glob::fits(form.as_bytes(), name.as_bytes(), u8::eq) => {
            node.fail(format!("expected an issuer of the preset, such as `{example}`"));
            false
        }
        _ => true,
    }
}

/// Reads the template of the names, and the tenants. They share one key set, which is asked for at one address.
fn read_tenants(
    issuer: &Node<'_>,
    node: &Node<'_>,
    are_directories: bool,
    names_keys: bool,
) -> Option<Origin> {
    let tenants = read_texts(node, "tenant");
    let is_plain = |tenant: &String| {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        tenant.len() <= 128 && tenant.bytes().all(is_of_name)
    };
    if are_directories && tenants.iter().any(|tenant| tenant == PERSONAL_ACCOUNTS) {
        node.fail("this is the tenant of every personal account, which anyone can have: remove it");
        return None;
    }
    if are_directories && !tenants.iter().all(|tenant| is_directory(tenant)) {
        node.fail(
            "expected the ids of directories as tokens have them, in lower case: no token has a domain or `common`",
        );
        return None;
    }
    if !tenants.iter().all(is_plain) {
        node.fail("expected letters, digits, `-`, `_` or `.`");
        return None;
    }
    let template = issuer.text()?;
    let parts = template
        .split_once(TENANT)
        .filter(|(before, after)| ![before, after].iter().any(|part| part.contains(['{', '}'])));
    if parts.is_none() || BaseUrl::parse(&template.replace(TENANT, "a")).is_err() {
        issuer.fail("expected a URL with `{tenant}` once, in place of a tenant's id");
        return None;
    }
    if !names_keys {
        issuer.fail("the tenants share one key set: name it in `jwks.url`");
        return None;
    }
    Some(Origin::tenants(template, tenants))
}

/// Returns whether a text is the id of a directory of Microsoft Entra ID, as its tokens have it.
fn is_directory(id: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    id.split('-').map(str::len).eq(lengths) && id.split('-').all(is_hex)
}
