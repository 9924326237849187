//! The fields of a request head, found in one walk over a header map.

use keyswap_core::request::{Header, RequestHead};

use crate::header_map::{HeaderMap, Malformed};
use crate::host;

/// The fields of a head.
pub(crate) struct Fields<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authority: &'a [u8],
    headers: Vec<Header<'a>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(map: &'a HeaderMap) -> Result<Self, Malformed> {
        let headers = Vec::with_capacity(map.len());
        let mut fields = Self { method: b"", path: b"", authority: b"", headers };
        for pair in map.iter() {
            let (name, value) = pair?;
            match name {
                // They come first: Envoy goes by none that stands behind a header.
                [b':', ..] if !fields.headers.is_empty() => return Err(Malformed),
                b":method" => fields.method = value,
                b":path" => fields.path = value,
                b":authority" => fields.authority = value,
                [b':', ..] => {}
                _ => fields.headers.push(Header { name, value }),
            }
        }
        Ok(fields)
    }

    pub(crate) fn head(&self) -> RequestHead<'_> {
        let Self { method, path, authority, headers } = self;
        RequestHead { method, path, authority, headers, peer: host::peer }
    }
}
