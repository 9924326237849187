//! The form of values in shared memory: a digest, some numbers, and bytes behind them.
//!
//! Many values share one slot, so the digest identifies the value. A value of another form or with another digest is a
//! miss.

use crate::base::Digest;

/// A value: `N` numbers of 64 bits (little-endian) behind a digest, then bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedValue<'v, const N: usize> {
    pub(crate) numbers: [u64; N],
    pub(crate) bytes: &'v [u8],
}

impl<'v, const N: usize> SharedValue<'v, N> {
    /// Returns a value without bytes.
    pub(crate) const fn of(numbers: [u64; N]) -> Self {
        Self { numbers, bytes: &[] }
    }

    /// Reads the value of `digest`; `None` for anything else.
    pub(crate) fn decode(value: &'v [u8], digest: &Digest) -> Option<Self> {
        let mut rest = value.strip_prefix(digest.bytes())?;
        let mut numbers = [0; N];
        for number in &mut numbers {
            let (bytes, behind) = rest.split_first_chunk::<8>()?;
            *number = u64::from_le_bytes(*bytes);
            rest = behind;
        }
        Some(Self { numbers, bytes: rest })
    }

    /// Reads the numbers of a value that has no bytes behind them; `None` for anything else.
    pub(crate) fn numbers(value: &'v [u8], digest: &Digest) -> Option<[u64; N]> {
        Self::decode(value, digest).filter(|value| value.bytes.is_empty()).map(|value| value.numbers)
    }

    /// Writes the value of `digest`.
    pub(crate) fn encode(&self, digest: &Digest) -> Vec<u8> {
        let mut value = Vec::with_capacity(32 + N * 8 + self.bytes.len());
        value.extend_from_slice(digest.bytes());
        for number in self.numbers {
            value.extend_from_slice(&number.to_le_bytes());
        }
        value.extend_from_slice(self.bytes);
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written_and_another_digests_is_a_miss() {
        let digest = Digest::of(b"t");
        let value = SharedValue { numbers: [1, u64::MAX], bytes: b"{}" };
        let written = value.encode(&digest);
        assert_eq!(SharedValue::decode(&written, &digest), Some(value));
        assert_eq!(SharedValue::<2>::decode(&written, &Digest::of(b"u")), None);
        assert_eq!(SharedValue::<2>::numbers(&written, &digest), None);
        assert_eq!(
            SharedValue::<2>::numbers(&SharedValue::of([3, 4]).encode(&digest), &digest),
            Some([3, 4])
        );
    }

    proptest! {
        #[test]
        fn garbage_is_a_miss_or_is_read_as_it_stands(value in prop::collection::vec(any::<u8>(), 0..120)) {
            let digest = Digest::of(b"t");
            for value in [value.clone(), [&digest.bytes()[..], &value].concat()] {
                if let Some(read) = SharedValue::<3>::decode(&value, &digest) {
                    prop_assert_eq!(read.encode(&digest), value);
                }
            }
        }
    }
}
