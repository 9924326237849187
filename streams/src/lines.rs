//! The lines of a header map, as a host hands them over.

use keyswap_core::request::MisplacedPseudoHeader;

/// The lines of a whole header map, kept apart from the host's own.
pub trait Lines {
    /// Returns the number of lines.
    fn len(&self) -> usize;

    /// Returns whether there is no line.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes that are kept.
    fn size(&self) -> usize;

    /// Returns the pairs of name and value, in order. A map that cannot be read to its end is an error: it might hide a
    /// header.
    fn iter(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Malformed>>;
}

/// The error of a map that differs from the one that the host announced, or that runs past its end.
#[derive(Clone, Copy, Debug)]
pub struct Malformed;

impl From<MisplacedPseudoHeader> for Malformed {
    fn from(MisplacedPseudoHeader: MisplacedPseudoHeader) -> Self {
        Self
    }
}
