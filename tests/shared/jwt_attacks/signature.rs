//! Attacks by P-256 signatures that are not two numbers in range and of the exact length.

use keyswap_core::identity::jwt::JwtError;

use super::forge::{Attack, Forge, ended};

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Returns attacks with malformed signatures of a P-256 key.
pub(crate) fn j13(forge: &Forge<'_>) -> Vec<Attack> {
    let (text, good) = forge.signed();
    let (r, s) = good.split_at(32);
    let one = [&[0; 31][..], &[1]].concat();
    let odd = [
        [[0; 32], [0; 32]].concat(),
        [r, &[0; 32]].concat(),
        [&[0; 32], s].concat(),
        [r, &ORDER].concat(),
        [&ORDER, s].concat(),
        [ORDER, ORDER].concat(),
        [&[0xff; 32], s].concat(),
        [&one[..], &one].concat(),
        [s, r].concat(),
        [&good[..], &[0]].concat(),
        [&[0], &good[..]].concat(),
        good[..63].to_vec(),
        [r, r, s, s].concat(),
        der(r, s),
        sequence(&[positive(r), positive(s)]),
        vec![0],
        vec![1],
        vec![1; 64],
    ];
    odd.into_iter().map(|signature| Attack::new(ended(&text, signature), JwtError::Signature)).collect()
}

/// Encodes a signature as DER `Ecdsa-Sig-Value`, which many libraries produce and JWS does not permit.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let shortest = |bytes: &[u8]| {
        let kept: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if kept.first().is_some_and(|byte| *byte > 0x7f) { positive(&kept) } else { kept }
    };
    sequence(&[shortest(r), shortest(s)])
}

fn positive(number: &[u8]) -> Vec<u8> {
    [&[0], number].concat()
}

fn sequence(integers: &[Vec<u8>]) -> Vec<u8> {
    let tagged =
        |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).unwrap_or_default()], bytes].concat();
    tagged(0x30, &integers.iter().flat_map(|integer| tagged(2, integer)).collect::<Vec<_>>())
}

/// Returns `(r, n - s)` for `(r, s)`, which is valid as well: the standard permits both.
pub(crate) fn mirrored(good: &[u8]) -> Vec<u8> {
    let (r, s) = good.split_at(32);
    [r, &difference(&ORDER, s)].concat()
}

/// Returns the difference of two numbers of equal length. `from` must not be smaller.
fn difference(from: &[u8], take: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = from
        .iter()
        .zip(take)
        .rev()
        .map(|(from, take)| {
            let digit = i16::from(*from) - i16::from(*take) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap_or_default()
        })
        .collect();
    digits.reverse();
    digits
}
