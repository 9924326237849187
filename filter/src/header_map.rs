//! Header maps in the form in which the host hands them over and takes them.
//!
//! A map has the number of pairs, and the sizes of each name and value. Then come the names and values, each with a NUL
//! behind it (proxy-wasm ABI 0.2.1). Numbers are 32 bits, little-endian. A map that cannot be read to its end is
//! refused: it might hide a header.

use keyswap_streams::{Lines, Malformed};

/// The bytes that hold the sizes of the name and the value of a pair.
const SIZES: usize = 8;

/// A whole header map.
pub(crate) struct HeaderMap {
    bytes: Vec<u8>,
    pairs: usize,
}

impl HeaderMap {
    /// Reads a map of `count` pairs from the host. The host hands over no bytes where a map is too large for it.
    pub(crate) fn parse(bytes: Vec<u8>, count: usize) -> Result<Self, Malformed> {
        let pairs = if bytes.is_empty() { 0 } else { number(&bytes, 0).ok_or(Malformed)? };
        let can_be = pairs <= bytes.len() / SIZES;
        if pairs == count && can_be { Ok(Self { bytes, pairs }) } else { Err(Malformed) }
    }
}

impl Lines for HeaderMap {
    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn len(&self) -> usize {
        self.pairs
    }

    fn iter(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Malformed>> {
        let mut sizes = 4_usize;
        let mut at = self.pairs.checked_mul(SIZES).and_then(|size| size.checked_add(4));
        let mut next = move || {
            let name = text(&self.bytes, &mut at, number(&self.bytes, sizes)?)?;
            let value = text(&self.bytes, &mut at, number(&self.bytes, sizes.checked_add(4)?)?)?;
            sizes = sizes.checked_add(SIZES)?;
            Some((name, value))
        };
        (0..self.pairs).map(move |_| next().ok_or(Malformed))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

fn text<'a>(bytes: &'a [u8], at: &mut Option<usize>, size: usize) -> Option<&'a [u8]> {
    let start = (*at)?;
    let end = start.checked_add(size)?;
    *at = end.checked_add(1);
    bytes.get(start..end)
}

/// Writes headers in that form.
pub(crate) fn serialize<'h>(headers: impl ExactSizeIterator<Item = (&'h str, &'h str)> + Clone) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap_or(0).to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers.clone() {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for text in headers.flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}
