//! A short text in a buffer of a fixed size.

/// A text of at most `N` bytes, or the knowledge that it was longer.
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
    is_long: bool,
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0, is_long: false }
    }
}

impl<const N: usize> Text<N> {
    pub(super) fn clear(&mut self) {
        (self.length, self.is_long) = (0, false);
    }

    pub(super) fn push(&mut self, byte: u8) {
        match self.bytes.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length = self.length.saturating_add(1);
            }
            None => self.is_long = true,
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let end = self.length.saturating_add(bytes.len());
        match self.bytes.get_mut(self.length..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.is_long = true,
        }
    }

    /// Returns the bytes; `None` where there were more than fit.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length).filter(|_| !self.is_long)
    }

    /// Returns the text; `None` where it is empty, longer than fits, or not UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        self.bytes().filter(|bytes| !bytes.is_empty()).and_then(|bytes| str::from_utf8(bytes).ok())
    }
}
