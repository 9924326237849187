//! Uploads whose parts go to an address that an answer tells: the caller gets an address at this proxy in its place.
//!
//! The id of the upload works at the upstream without any credential, so it is sealed like a minted one. SDKs send no
//! credential to that address; there the sealed id stands for the token whose caller began the upload, for that upload only.

use std::rc::Rc;
use std::time::Duration;

use percent_encoding::percent_decode;

use super::bound::Upstream;
use super::broker::{Broker, Session, audience};
use crate::answer::CheckError;
use crate::base::{Digest, UnixTime};
use crate::secret::{Key, SealKey};
use crate::syntax::query;

/// The longest life of an upload: over a slow line the largest files take hours.
const MAX_TTL: Duration = Duration::from_hours(6);

/// The uploads of one policy.
pub(crate) struct Uploads(Broker);

/// The address of an upload that an answer may tell.
pub(crate) struct UploadAddress {
    uploads: Rc<Uploads>,
    audience: String,
    /// The token whose caller began the upload.
    parent: Digest,
    /// The address of the request at this proxy, without a query; `None` where the host does not know it.
    place: Option<String>,
    now: UnixTime,
    /// The end of an upload that goes on.
    expires_at: Option<UnixTime>,
}

/// An upload that goes on.
pub(crate) struct Running {
    /// Its id at the upstream.
    pub(crate) id: Rc<Key>,
    pub(crate) expires_at: UnixTime,
}

impl Uploads {
    pub(crate) fn new(key: SealKey) -> Self {
        Self(Broker::of(key, MAX_TTL))
    }

    /// Opens the id of an upload at a provider.
    ///
    /// # Errors
    /// An id that was not sealed here, or not for an upload, or whose time is over.
    pub(crate) fn open(
        &self,
        id: &[u8],
        provider: &str,
        now: UnixTime,
    ) -> Result<Session, CheckError<'static>> {
        self.0.open(id, &of_uploads(provider), now)
    }

    /// Opens the id of an upload that a caller began at this path of an upstream; `None` for any other.
    pub(crate) fn find(
        &self,
        id: &[u8],
        caller: &Digest,
        (upstream, path): (&Upstream, &[u8]),
        now: UnixTime,
    ) -> Option<Running> {
        let session = self.open(id, &upstream.provider, now).ok()?;
        if session.parent != *caller {
            return None;
        }
        let id = session.key_at(&audience_at(upstream, path)?)?;
        Some(Running { id, expires_at: session.expires_at })
    }
}

/// Returns the name under which ids of uploads are sealed. No provider has it, so no other token is taken for one.
fn of_uploads(provider: &str) -> String {
    [provider, "/upload"].concat()
}

/// Returns the audience of an upload: the path of an upstream.
fn audience_at(upstream: &Upstream, path: &[u8]) -> Option<String> {
    let of_provider = audience(upstream);
    let (provider, site) = of_provider.split_once(' ')?;
    Some([&of_uploads(provider), " ", site, str::from_utf8(path).ok()?].concat())
}

impl UploadAddress {
    /// Makes the address for a request to this path of an upstream. `place` is its address at this proxy. An upload that goes on
    /// keeps its end.
    pub(crate) fn new(
        uploads: &Rc<Uploads>,
        (upstream, path): (&Upstream, &[u8]),
        parent: Digest,
        place: Option<String>,
        (now, expires_at): (UnixTime, Option<UnixTime>),
    ) -> Option<Self> {
        let audience = audience_at(upstream, path)?;
        Some(Self { uploads: Rc::clone(uploads), audience, parent, place, now, expires_at })
    }

    /// Returns the address for the caller in place of the upstream's; `None` for an address in which no upload has its id.
    pub(crate) fn replace(&self, address: &[u8]) -> Option<String> {
        let address =
            str::from_utf8(address).ok().filter(|it| it.bytes().all(|byte| byte.is_ascii_graphic()))?;
        let (place, told) = address.split_once('?')?;
        let mut ids = query::values(told.as_bytes(), query::UPLOAD_ID);
        let (id, None) = (ids.next()?, ids.next()) else { return None };
        let id = String::from_utf8(percent_decode(id).collect()).ok().filter(|id| !id.is_empty())?;
        let (sealed, _) = self.uploads.0.seal(&self.audience, self.parent, &id, self.expires_at, self.now)?;
        // The upstream may repeat the parameters that it got, a credential among them.
        let rest = query::without_all(told.as_bytes(), query::UPLOAD_ID);
        let rest = rest.and_then(|rest| query::without_all(&rest, query::KEY));
        let rest = rest.and_then(|rest| query::without_reserved(&rest));
        let query = String::from_utf8(query::with(rest.as_deref(), query::UPLOAD_ID, &sealed)).ok()?;
        Some([self.place.as_deref().unwrap_or(place), "?", &query].concat())
    }
}

impl std::fmt::Debug for UploadAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadAddress").field("place", &self.place).finish_non_exhaustive()
    }
}
