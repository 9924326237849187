//! A new token or API key in a cookie, so that the page that shows it can be loaded again and is not lost with a reload.
//!
//! The secret is sealed with a key of the registry (AES-256-GCM), so neither the browser's files nor the database alone
//! have it. The seal names the secret's digest, the person and the session: in the hands of another it opens
//! nothing. Browser and server forget it after ten minutes. The cookie is sent to the one page that shows the secret.

use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::Digest;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::registry::{RegistryError, SecretText, now};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{self, Mints, Permit, Person};

/// The time in which the page can be loaded again.
pub(super) const LIFETIME_SECONDS: u32 = 600;

/// The longest secret that is sealed: a cookie has 4096 bytes at most. Only a custom token is longer.
const MAX_SECRET_BYTES: usize = 2048;

/// The bytes of the time at the beginning of the sealed text.
const TIME_BYTES: usize = 8;

/// The kind of a secret that a page shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A proxy token.
    Token,
    /// An API key.
    ApiKey,
}

impl Kind {
    /// Returns the path of the page that shows a secret with this digest.
    pub(super) fn page(self, digest: &Digest) -> String {
        let folder = match self {
            Self::Token => "tokens",
            Self::ApiKey => "api-keys",
        };
        format!("/admin/{folder}/{}/new", digest.to_hex())
    }

    /// Returns the cookie. Its path would keep the two apart, too.
    fn cookie(self) -> &'static str {
        match self {
            Self::Token => "keyswap_new_token",
            Self::ApiKey => "keyswap_new_api_key",
        }
    }

    /// Returns the first words of the text that binds a seal.
    fn words(self) -> &'static str {
        match self {
            Self::Token => "keyswap new token",
            Self::ApiKey => "keyswap new API key",
        }
    }
}

/// Returns the `Set-Cookie` with a new secret, `None` for one that is too long.
pub(super) async fn seal<O: Mints>(
    kind: Kind,
    permit: &Permit<O>,
    client: &Client,
    headers: &HeaderMap,
    secret: &SecretText,
) -> Result<Option<HeaderValue>, RegistryError> {
    let text = secret.expose().as_bytes();
    if text.len() > MAX_SECRET_BYTES {
        return Ok(None);
    }
    let digest = Digest::of(text);
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    let until = now().0.saturating_add(LIFETIME_SECONDS.into());
    let mut sealed = Zeroizing::new(Vec::with_capacity(TIME_BYTES + text.len() + AES_256_GCM.tag_len()));
    sealed.extend_from_slice(&until.to_be_bytes());
    sealed.extend_from_slice(text);
    let bound = bound_to(kind, &digest, permit.person(), headers);
    let failed = |_| RegistryError::Corrupt("key of new tokens");
    key(permit)
        .await?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&bound), &mut *sealed)
        .map_err(failed)?;
    let value = BASE64_URL_SAFE_NO_PAD.encode([nonce.as_slice(), sealed.as_slice()].concat());
    set_cookie(kind, &digest, &value, LIFETIME_SECONDS, client).map(Some)
}

/// Returns the secret that the cookie of a request holds. Without a cookie that was sealed for this secret, person
/// and session, and is not too old, returns `None`.
pub(super) async fn open<O: Mints>(
    kind: Kind,
    permit: &Permit<O>,
    headers: &HeaderMap,
    digest: &Digest,
) -> Result<Option<SecretText>, RegistryError> {
    let Some(value) = gate::cookie(headers, kind.cookie()) else { return Ok(None) };
    let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(value) else { return Ok(None) };
    let Some((nonce, sealed)) = bytes.split_first_chunk::<NONCE_LEN>() else { return Ok(None) };
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let bound = bound_to(kind, digest, permit.person(), headers);
    let key = key(permit).await?;
    let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&bound), &mut sealed);
    let Ok(opened) = opened else { return Ok(None) };
    let Some((until, secret)) = opened.split_first_chunk::<TIME_BYTES>() else { return Ok(None) };
    let is_current = i64::from_be_bytes(*until) > now().0;
    let secret = std::str::from_utf8(secret).ok().map(|secret| SecretText::new(secret.to_owned()));
    Ok(secret.filter(|secret| is_current && Digest::of(secret.expose().as_bytes()) == *digest))
}

/// Returns the `Set-Cookie` that removes the cookie of a secret.
pub(super) fn forget(kind: Kind, digest: &Digest, client: &Client) -> Result<HeaderValue, RegistryError> {
    set_cookie(kind, digest, "", 0, client)
}

async fn key<O: Mints>(permit: &Permit<O>) -> Result<LessSafeKey, RegistryError> {
    let corrupt = || RegistryError::Corrupt("key of new tokens");
    let text = permit.seal_key().await?;
    let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text.expose()).map_err(|_| corrupt())?);
    UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new).map_err(|_| corrupt())
}

/// Returns the text that binds a seal. Digests have a fixed length and the name is the last part, so that no two bindings
/// have the same text.
fn bound_to(kind: Kind, digest: &Digest, person: &Person, headers: &HeaderMap) -> Vec<u8> {
    let session = gate::session_id(headers).map(|id| id.to_hex()).unwrap_or_default();
    let (words, means, name) = (kind.words(), person.means(), person.name());
    format!("{words}\n{}\n{session}\n{means:?}\n{name}", digest.to_hex()).into_bytes()
}

fn set_cookie(
    kind: Kind,
    digest: &Digest,
    value: &str,
    seconds: u32,
    client: &Client,
) -> Result<HeaderValue, RegistryError> {
    gate::set_cookie(kind.cookie(), value, &kind.page(digest), seconds, "Strict", client)
}
