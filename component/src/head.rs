//! The head of a request as hosts of components hand it over, owned, and what the engine is shown of it.

use keyswap_core::request::{Header, RequestHead};

/// A head.
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Whom the request is for; empty where nobody says.
    pub(crate) authority: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The lines, for [`Head::with`].
    pub(crate) fn lines(&self) -> Vec<Header<'_>> {
        self.fields.iter().map(|(name, value)| Header { name: name.as_bytes(), value }).collect()
    }

    /// The head as the engine takes it. No host of components tells where a connection comes from.
    pub(crate) fn with<'a>(&'a self, lines: &'a [Header<'a>]) -> RequestHead<'a> {
        RequestHead {
            method: self.method.as_bytes(),
            path: self.target.as_bytes(),
            authority: self.authority.as_bytes(),
            headers: lines,
            peer: || None,
        }
    }
}
