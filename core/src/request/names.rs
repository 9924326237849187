//! The names of a request's headers, judged in one walk: most headers concern nothing here, and are not looked at again.

use super::head::{Header, RequestHead};
use super::slot::Slot;
use crate::syntax::{HeaderName, read};

/// The names of the headers of one request.
#[derive(Clone, Copy, Default)]
pub(crate) struct HeaderNames {
    /// The headers that are read, and that are there in some spelling.
    read: u16,
    /// The places of reserved names among the first headers, as bits.
    reserved: [u64; NOTED / 64],
    /// Set where the request is for a WebSocket.
    pub(crate) is_upgrade: bool,
}

/// The number of headers that have a bit each, a multiple of 64. Heads with more are rare, and the names beyond are looked up
/// twice.
const NOTED: usize = 128;

impl HeaderNames {
    pub(crate) fn of(head: &RequestHead<'_>) -> Self {
        let (mut all, mut reserved) = (0, [0; NOTED / 64]);
        for (place, Header { name, .. }) in head.headers.iter().enumerate() {
            let found = HeaderName::of(name);
            all |= found.read;
            if found.is_reserved
                && let Some(bits) = reserved.get_mut(place / 64)
            {
                *bits |= 1u64 << (place % 64);
            }
        }
        let is_upgrade = all & read::UPGRADE != 0 && head.is_websocket_upgrade();
        Self { read: all, reserved, is_upgrade }
    }

    /// Returns whether a header that is read may be there. The bit is that of [`read`].
    pub(crate) fn has(&self, header: u16) -> bool {
        self.read & header != 0
    }

    /// Returns whether a slot may hold something. Only headers are looked at.
    pub(crate) fn may_fill(&self, slot: Slot) -> bool {
        match slot {
            Slot::XApiKey => self.has(read::X_API_KEY),
            Slot::XGoogApiKey => self.has(read::X_GOOG_API_KEY),
            Slot::ApiKey => self.has(read::API_KEY),
            Slot::Authorization => self.has(read::AUTHORIZATION),
            Slot::QueryKey => true,
            Slot::Subprotocol => self.is_upgrade && self.has(read::SUBPROTOCOL),
        }
    }

    /// Returns whether the header at a place, with this name, is reserved.
    #[inline]
    pub(crate) fn is_reserved(&self, place: usize, name: &[u8]) -> bool {
        match self.reserved.get(place / 64) {
            Some(bits) => bits >> (place % 64) & 1 == 1,
            None => HeaderName::of(name).is_reserved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_noted_at_every_place() {
        for place in [0, 1, 63, 64, 127, 128, 129, 300] {
            let mut headers = vec![Header { name: b"accept", value: b"" }; 301];
            headers[place].name = b"X_Api.Key";
            let head = RequestHead::new(b"GET", b"/", &headers);
            let names = HeaderNames::of(&head);
            for (at, header) in headers.iter().enumerate() {
                assert_eq!(names.is_reserved(at, header.name), at == place, "{at}");
            }
            assert!(names.may_fill(Slot::XApiKey) && !names.may_fill(Slot::ApiKey) && !names.is_upgrade);
        }
    }
}
