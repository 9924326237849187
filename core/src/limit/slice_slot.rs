//! The form of slices in shared memory: each slot has the slices of the subjects that fall into it.
//!
//! A value of another form has no slices. A slot that is full keeps those that are in use: a newcomer finds no room, so that
//! its requests cannot be counted, and are judged as if the registry could not be asked.

use super::amount::Unit;
use super::slice::{Numbers, Slice};
use crate::base::{Digest, Moment};

/// The form of the value: this byte, then the entries. Anything else is no value.
const FORM: u8 = 2;
/// The most slices of one slot.
pub(super) const MAX_ENTRIES: usize = 16;
/// The longest id of a lease, in bytes.
pub(super) const MAX_LEASE_BYTES: usize = 64;

/// The slices of a slot, by subject.
#[derive(Default)]
pub(super) struct Slot(Vec<(Digest, Slice)>);

impl Slot {
    /// Reads a value.
    pub(super) fn read(value: Option<&[u8]>) -> Self {
        Self(value.and_then(entries).unwrap_or_default())
    }

    pub(super) fn get_mut(&mut self, subject: &Digest) -> Option<&mut Slice> {
        self.0.iter_mut().find(|(own, _)| own == subject).map(|(_, slice)| slice)
    }

    /// Returns the slice of a subject, and makes one where there is none. Returns `None` where there is no room.
    pub(super) fn get_or_make(&mut self, subject: &Digest, new: Slice, now: Moment) -> Option<&mut Slice> {
        if self.get_mut(subject).is_none() {
            if self.0.len() >= MAX_ENTRIES {
                let spare = self.0.iter_mut().position(|(_, slice)| slice.is_spare(now))?;
                self.0.swap_remove(spare);
            }
            self.0.push((*subject, new));
        }
        self.get_mut(subject)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut value = vec![FORM];
        for (subject, slice) in &self.0 {
            value.extend_from_slice(subject.bytes());
            value.extend_from_slice(&slice.nonce);
            let mut numbers = slice.numbers;
            for number in numbers.each() {
                value.extend_from_slice(&number.to_le_bytes());
            }
            value.push(match slice.unit {
                None => 0,
                Some(Unit::Usd) => 1,
                Some(Unit::Tokens) => 2,
            });
            // An id is shorter than a byte can tell: the reader of answers takes no other.
            let id = slice.lease.as_bytes().get(..MAX_LEASE_BYTES).unwrap_or(slice.lease.as_bytes());
            value.push(u8::try_from(id.len()).unwrap_or_default());
            value.extend_from_slice(id);
        }
        value
    }
}

fn entries(value: &[u8]) -> Option<Vec<(Digest, Slice)>> {
    let (&FORM, mut rest) = value.split_first()? else { return None };
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (subject, behind) = rest.split_first_chunk::<32>()?;
        let (nonce, behind) = behind.split_first_chunk::<16>()?;
        let (numbers, behind) = Numbers::read(behind)?;
        let ([unit, length], behind) = behind.split_first_chunk::<2>()?;
        let (id, behind) = behind.split_at_checked(usize::from(*length))?;
        let unit = match unit {
            0 => None,
            1 => Some(Unit::Usd),
            2 => Some(Unit::Tokens),
            _ => return None,
        };
        let lease = std::str::from_utf8(id).ok().filter(|id| id.len() <= MAX_LEASE_BYTES)?.to_owned();
        entries.push((Digest::from_bytes(*subject), Slice { nonce: *nonce, lease, unit, numbers }));
        rest = behind;
    }
    (entries.len() <= MAX_ENTRIES).then_some(entries)
}

impl Numbers {
    const COUNT: usize = 17;

    /// Returns all numbers, in the order in which a slot has them.
    fn each(&mut self) -> [&mut u64; Self::COUNT] {
        let Self {
            limit,
            granted,
            spent,
            returned,
            told,
            held,
            held_before,
            epoch,
            more,
            size,
            resets_at,
            granted_at,
            expires_at,
            calls,
            answered,
            asked_at,
            unreported,
        } = self;
        [
            limit,
            granted,
            spent,
            returned,
            told,
            held,
            held_before,
            epoch,
            more,
            size,
            resets_at,
            granted_at,
            expires_at,
            calls,
            answered,
            asked_at,
            unreported,
        ]
    }

    fn read(mut bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut numbers = Self::default();
        for number in numbers.each() {
            let (own, behind) = bytes.split_first_chunk::<8>()?;
            *number = u64::from_le_bytes(*own);
            bytes = behind;
        }
        Some((numbers, bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_are_read_as_they_were_written(
            slices in prop::collection::vec((any::<[u8; 32]>(), any::<[u8; 16]>(), any::<[u64; 17]>(), "[a-z0-9]{0,64}", 0..3_u8), 0..16),
        ) {
            let mut slot = Slot::default();
            for (subject, nonce, list, lease, unit) in &slices {
                let bytes: Vec<u8> = list.iter().flat_map(|number| number.to_le_bytes()).collect();
                let (mut numbers, _) = Numbers::read(&bytes).unwrap();
                prop_assert_eq!(&numbers.each().map(|number| *number), list);
                let unit = [None, Some(Unit::Usd), Some(Unit::Tokens)][usize::from(*unit)];
                slot.0.push((Digest::from_bytes(*subject), Slice { nonce: *nonce, lease: lease.clone(), unit, numbers }));
            }
            let value = slot.write();
            prop_assert_eq!(Slot::read(Some(&value)).0, slot.0);
            prop_assert!(value.len() <= 1 + MAX_ENTRIES * (32 + 16 + 136 + 2 + MAX_LEASE_BYTES));
        }

        #[test]
        fn garbage_has_no_slices_or_is_read_as_it_stands(mut value in prop::collection::vec(any::<u8>(), 0..500)) {
            for form in [0, FORM] {
                if let Some(first) = value.first_mut() {
                    *first = form;
                }
                let slot = Slot::read(Some(&value));
                prop_assert!(slot.0.is_empty() || slot.write() == value);
            }
        }
    }
}
