//! Identity slots: the headers and cookies in which identity providers hand over their JWTs.
//!
//! Identity slots stand beside the auth slots, which carry JWTs as well as proxy tokens. A slot with two values is
//! refused.
//!
//! A header that is a slot never goes upstream. `cookie` and the well-known names are protected in every policy, and
//! the engine adds a policy's own ([`IdentitySlot::header`]).

use std::fmt;

use super::credential::{Ambiguous, only};
use super::head::RequestHead;

/// Identity headers that programs set, and no proxy makes of a cookie: of Cloudflare's command line, and of Vercel's
/// functions.
const SET_BY_CLIENTS: [&str; 2] = ["cf-access-token", "x-vercel-oidc-token"];

/// A place in a request that carries an identity JWT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySlot {
    /// A header of its own; the name is in lower case.
    Header(String),
    /// A cookie (RFC 6265). Its name is case-sensitive.
    Cookie(String),
}

impl IdentitySlot {
    /// Returns the header that carries the slot, and must not be forwarded.
    pub fn header(&self) -> &str {
        match self {
            Self::Header(name) => name,
            Self::Cookie(_) => "cookie",
        }
    }

    /// Returns whether a browser fills the slot by itself, for requests of any page: a cookie, or a header that a proxy
    /// makes of one.
    ///
    /// A header counts as such a one, unless it is known that clients and platforms set it.
    pub(crate) fn is_filled_by_browsers(&self) -> bool {
        match self {
            Self::Header(name) => !SET_BY_CLIENTS.contains(&name.as_str()),
            Self::Cookie(_) => true,
        }
    }

    fn find<'a>(&self, head: &RequestHead<'a>) -> Result<Option<&'a [u8]>, Ambiguous> {
        match self {
            Self::Header(name) => only(lines(head, name)),
            Self::Cookie(name) => {
                let mut values = lines(head, "cookie").flat_map(|line| cookies(line, name.as_bytes()));
                match (values.next(), values.next()) {
                    (found, None) => Ok(found.filter(|value| !value.is_empty())),
                    _ => Err(Ambiguous),
                }
            }
        }
    }
}

impl fmt::Display for IdentitySlot {
    /// Writes the slot as a policy has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

/// A JWT that a caller presented outside the auth slots. The type has no `Debug`, because a JWT is the caller's secret.
pub struct IdentityCredential<'p, 'a> {
    /// The slot that the token stood in.
    pub slot: &'p IdentitySlot,
    /// The token, not yet read.
    pub token: &'a [u8],
}

/// Finds the first slot that holds a token. All slots are looked at, so that an ambiguity in a later one counts.
///
/// # Errors
/// The slot that does not hold exactly one credential.
pub fn find_identity<'p, 'a>(
    slots: impl IntoIterator<Item = &'p IdentitySlot>,
    head: &RequestHead<'a>,
) -> Result<Option<IdentityCredential<'p, 'a>>, &'p IdentitySlot> {
    let mut found = None;
    for slot in slots {
        let token = slot.find(head).map_err(|Ambiguous| slot)?;
        if let (None, Some(token)) = (&found, token) {
            found = Some(IdentityCredential { slot, token });
        }
    }
    Ok(found)
}

fn lines<'a>(head: &RequestHead<'a>, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let named = head.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|header| header.value)
}

/// Returns the values of the cookies of one name (RFC 6265 section 4.2.1). HTTP/2 may split the header into several
/// lines (RFC 9113 section 8.2.3).
fn cookies<'a>(line: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    line.split(|byte| *byte == b';').filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (own, value) = pair.split_at_checked(at)?;
        (own.trim_ascii() == name).then_some(value.get(1..)?.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Header;

    fn access() -> [IdentitySlot; 3] {
        [
            IdentitySlot::Header("cf-access-jwt-assertion".to_owned()),
            IdentitySlot::Header("cf-access-token".to_owned()),
            IdentitySlot::Cookie("CF_Authorization".to_owned()),
        ]
    }

    /// Returns `slot=token`, `none`, or `ambiguous slot`.
    fn find(headers: &[(&str, &str)]) -> String {
        let headers: Vec<Header<'_>> = headers
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead::new(b"POST", b"/", &headers);
        match find_identity(&access(), &head) {
            Ok(None) => "none".to_owned(),
            Ok(Some(found)) => format!("{}={}", found.slot, str::from_utf8(found.token).unwrap()),
            Err(slot) => format!("ambiguous {slot}"),
        }
    }

    #[test]
    fn the_first_slot_in_order_is_judged_and_a_cookie_is_found_by_its_exact_name() {
        for (headers, expect) in [
            (&[][..], "none"),
            (&[("Cf-Access-Jwt-Assertion", " a.b.c ")], "header:cf-access-jwt-assertion=a.b.c"),
            (
                &[("cf-access-token", "t"), ("CF-Access-Jwt-Assertion", "j")],
                "header:cf-access-jwt-assertion=j",
            ),
            (&[("cf-access-jwt-assertion", ""), ("cf-access-token", "t")], "header:cf-access-token=t"),
            (&[("cookie", "a=b; CF_Authorization=e.y.J; c=d")], "cookie:CF_Authorization=e.y.J"),
            (&[("cookie", "a=b"), ("cookie", "CF_Authorization=e==")], "cookie:CF_Authorization=e=="),
            (&[("cookie", "cf_authorization=x; XCF_Authorization=y; CF_AuthorizationX=z")], "none"),
            (&[("cookie", "CF_Authorization=; a=CF_Authorization=b")], "none"),
            (&[("cookie", "CF_Authorization")], "none"),
        ] {
            assert_eq!(find(headers), expect, "{headers:?}");
        }
    }

    #[test]
    fn h1_a_slot_that_says_two_things_is_refused_even_behind_a_good_one() {
        for (headers, slot) in [
            (
                &[("cf-access-jwt-assertion", "a"), ("Cf-Access-Jwt-Assertion", "b")][..],
                "header:cf-access-jwt-assertion",
            ),
            (&[("cf-access-jwt-assertion", "a,b")], "header:cf-access-jwt-assertion"),
            (&[("cf-access-jwt-assertion", "a b")], "header:cf-access-jwt-assertion"),
            (&[("cookie", "CF_Authorization=a; CF_Authorization=a")], "cookie:CF_Authorization"),
            (&[("cookie", "CF_Authorization=a"), ("cookie", "CF_Authorization=")], "cookie:CF_Authorization"),
            (
                &[("cf-access-jwt-assertion", "j"), ("cf-access-token", "a"), ("cf-access-token", "b")],
                "header:cf-access-token",
            ),
        ] {
            assert_eq!(find(headers), format!("ambiguous {slot}"), "{headers:?}");
        }
    }
}
