//! The names of a request's headers, judged in one walk: most headers concern nothing here, and are not looked at again.

use super::head::{Header, RequestHead};
use crate::syntax::{HeaderName, read};

/// The names of the headers of one request.
#[derive(Clone, Copy, Default)]
pub(crate) struct HeaderNames {
    /// The headers that are read, and that are there in some spelling.
    read: u16,
    /// The places of reserved names among the first headers.
    reserved: Places,
    /// The places of values among the first headers that have [`LONG_BYTES`] at least.
    long: Places,
    authorization: Lines,
    /// Set where the request is for a WebSocket.
    pub(crate) is_upgrade: bool,
}

/// The number of headers that have a bit each. Heads with more are rare, and the names beyond are looked up twice.
const NOTED: usize = 128;
/// Places among the first headers, as bits.
type Places = u128;

/// The length from which a value is long, in bytes. A proxy token has 36, and few other values are as long.
const LONG_BYTES: usize = 20;

/// The lines of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lines {
    #[default]
    None,
    /// One line, at this place.
    One(usize),
    Several,
}

/// Returns the bit of a place; none for a place that has none.
fn bit(place: usize) -> Places {
    u32::try_from(place).ok().and_then(|place| (1 as Places).checked_shl(place)).unwrap_or(0)
}

impl HeaderNames {
    pub(crate) fn of(head: &RequestHead<'_>) -> Self {
        let mut names = Self::default();
        for (place, header) in head.headers.iter().enumerate() {
            // Nearly every header is of a plain name, and short.
            if HeaderName::is_noted(header.name) {
                names.note(place, HeaderName::of(header.name));
            }
            if header.value.len() >= LONG_BYTES {
                names.long |= bit(place);
            }
        }
        names.is_upgrade = names.has(read::UPGRADE) && head.is_websocket_upgrade();
        names
    }

    fn note(&mut self, place: usize, found: HeaderName) {
        self.read |= found.read;
        if found.read == read::AUTHORIZATION {
            self.authorization = match self.authorization {
                Lines::None => Lines::One(place),
                Lines::One(_) | Lines::Several => Lines::Several,
            };
        }
        if found.is_reserved {
            self.reserved |= bit(place);
        }
    }

    /// Returns the value of `authorization`, where it has one line.
    pub(crate) fn authorization<'a>(&self, head: &RequestHead<'a>) -> Option<&'a [u8]> {
        let Lines::One(place) = self.authorization else { return None };
        head.headers.get(place).map(|header| header.value)
    }

    /// Returns the headers that are reserved or long enough to hold a text of this length, in order, each with whether it is
    /// reserved. Others may be among them.
    pub(crate) fn notable<'a>(
        &self,
        head: &RequestHead<'a>,
        length: usize,
    ) -> impl Iterator<Item = (bool, &'a Header<'a>)> + use<'a> {
        let (headers, reserved) = (head.headers, self.reserved);
        let mut left = reserved | if length < LONG_BYTES { u128::MAX } else { self.long };
        let noted = std::iter::from_fn(move || {
            let place = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            let header = headers.get(usize::try_from(place).ok()?).filter(|_| place < u128::BITS)?;
            Some((reserved.wrapping_shr(place) & 1 == 1, header))
        });
        let beyond = headers.get(NOTED..).unwrap_or_default().iter();
        noted.chain(beyond.map(|header| (HeaderName::of(header.name).is_reserved, header)))
    }

    /// Returns whether a header that is read may be there. The bit is that of [`read`].
    pub(crate) fn has(&self, header: u16) -> bool {
        self.read & header != 0
    }

    /// Returns the bits of the slots that may hold something, see [`Slot::bit`](super::slot::Slot::bit).
    #[inline]
    pub(crate) fn filled(&self, has_query: bool) -> u16 {
        let subprotocol = if self.is_upgrade { 0 } else { read::SUBPROTOCOL };
        (self.read & !subprotocol) | if has_query { read::QUERY } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(names: &HeaderNames, head: &RequestHead<'_>, length: usize) -> Vec<(bool, usize)> {
        let place =
            |header: &Header<'_>| head.headers.iter().position(|other| std::ptr::eq(other, header)).unwrap();
        names.notable(head, length).map(|(is_reserved, header)| (is_reserved, place(header))).collect()
    }

    #[test]
    fn a_reserved_name_and_a_long_value_are_noted_at_every_place() {
        let long = [b'x'; LONG_BYTES];
        for count in [1, 127, 128, 129, 301] {
            for place in [0, 1, 63, 64, 126, 127, 128, 129, 300].into_iter().filter(|place| *place < count) {
                let plain = Header { name: b"accept", value: &long[1..] };
                let with = |header| {
                    let mut headers = vec![plain; count];
                    headers[place] = header;
                    headers
                };
                let beyond = |place: usize| (NOTED..count).filter(move |other| *other != place);
                let headers = with(Header { name: b"X_Api.Key", value: b"" });
                let head = RequestHead::new(b"GET", b"/", &headers);
                let names = HeaderNames::of(&head);
                let found = places(&names, &head, LONG_BYTES);
                assert!(found.contains(&(true, place)), "{place}");
                let others = found.into_iter().filter(|(is_reserved, _)| !is_reserved).map(|(_, at)| at);
                assert!(others.eq(beyond(place)), "{place}");
                assert!(places(&names, &head, LONG_BYTES - 1).into_iter().map(|(_, at)| at).eq(0..count));
                assert!(names.filled(false) == read::X_API_KEY && !names.is_upgrade);

                let headers = with(Header { name: b"x", value: &long });
                let head = RequestHead::new(b"GET", b"/", &headers);
                let found = places(&HeaderNames::of(&head), &head, LONG_BYTES);
                assert!(found.contains(&(false, place)) && found.len() == 1 + beyond(place).count());
            }
        }
    }

    #[test]
    fn the_line_of_authorization_is_known_where_it_is_the_only_one() {
        let accept = Header { name: b"accept", value: b"" };
        let [one, other] =
            [&b"Authorization"[..], b"AUTHORIZATION"].map(|name| Header { name, value: b"Bearer a" });
        let proxy = Header { name: b"proxy-authorization", value: b"Basic a" };
        for (headers, expect) in [
            (&[accept, proxy][..], None),
            (&[accept, one, proxy], Some(&b"Bearer a"[..])),
            (&[accept, one, other], None),
            (&[accept, one, other, one], None),
        ] {
            let head = RequestHead::new(b"GET", b"/", headers);
            assert_eq!(HeaderNames::of(&head).authorization(&head), expect);
        }
    }
}
