//! Whole tokens of a JSON text (RFC 8259) within one slice: most of a text is passed over by them.
//!
//! Nothing here decides. A token that is cut, that is no token, or that leaves the part of the text that nothing selects
//! is left to the follower, which takes it byte by byte.

use super::grammar::{Escape, MAX_DEPTH, State, is_space, unescape};
use crate::base::bytes::plain_length;

/// The arrays and objects that are open.
#[derive(Clone, Copy, Default)]
pub(super) struct Nest {
    /// A bit for each, the innermost lowest, set for an object.
    objects: u128,
    depth: usize,
}

impl Nest {
    /// Opens an array or an object; returns whether that is not too deep.
    pub(super) fn open(&mut self, is_object: bool) -> bool {
        let is_allowed = self.depth < MAX_DEPTH;
        if is_allowed {
            self.objects = (self.objects << 1) | u128::from(is_object);
            self.depth = self.depth.saturating_add(1);
        }
        is_allowed
    }

    pub(super) fn close(&mut self) {
        self.objects >>= 1;
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// The place between two tokens within arrays and objects.
#[derive(Clone, Copy)]
enum Place {
    Value,
    Name,
    Colon,
    Next,
}

impl Place {
    fn state(self, may_close: bool) -> State {
        match self {
            Self::Value => State::Value { may_close },
            Self::Name => State::Name { may_close },
            Self::Colon => State::Colon,
            Self::Next => State::Next,
        }
    }
}

/// Returns what follows the part of a string that is plain, with the escapes in it that are whole: the mark that ends the
/// string, nothing, or what has to be looked at.
pub(super) fn behind_text(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = rest.get(plain_length(rest)..).unwrap_or_default();
        // Nearly every string ends here.
        if rest.first() == Some(&b'"') {
            return rest;
        }
        rest = match rest {
            [b'\\', b'u', a, b, c, d, behind @ ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => {
                behind
            }
            [b'\\', letter, behind @ ..] if unescape(*letter).is_some() => behind,
            _ => return rest,
        };
    }
}

/// Returns what follows a number or a word; `None` where this is neither, or may go on behind the slice.
fn behind_scalar(text: &[u8]) -> Option<&[u8]> {
    let mut rest = match text {
        [b'0', behind @ ..] | [b'-', b'0', behind @ ..] => behind,
        [b'1'..=b'9', behind @ ..] | [b'-', b'1'..=b'9', behind @ ..] => behind_digits(behind),
        [b't', b'r', b'u', b'e', behind @ ..]
        | [b'n', b'u', b'l', b'l', behind @ ..]
        | [b'f', b'a', b'l', b's', b'e', behind @ ..] => return Some(behind),
        _ => return None,
    };
    if let [b'.', b'0'..=b'9', behind @ ..] = rest {
        rest = behind_digits(behind);
    }
    if let [b'e' | b'E', b'0'..=b'9', behind @ ..] | [b'e' | b'E', b'+' | b'-', b'0'..=b'9', behind @ ..] =
        rest
    {
        rest = behind_digits(behind);
    }
    // What may go on, or goes on with what no number has, is not whole.
    let is_whole = rest.first().is_some_and(|byte| !matches!(byte, b'.' | b'e' | b'E'));
    is_whole.then_some(rest)
}

/// Returns what follows a string without escapes or a whole number, and the comma behind it; `None` where neither stands there.
/// Most members of a text that has many are such.
pub(super) fn behind_short_member(text: &[u8]) -> Option<&[u8]> {
    let behind = match text {
        [b'"', text @ ..] => text.get(plain_length(text)..)?.strip_prefix(b"\"")?,
        [b'1'..=b'9', digits @ ..] => behind_digits(digits),
        _ => return None,
    };
    behind.strip_prefix(b",")
}

fn behind_digits(mut text: &[u8]) -> &[u8] {
    while let [b'0'..=b'9', behind @ ..] = text {
        text = behind;
    }
    text
}

fn behind_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', behind @ ..] = text {
        text = behind;
    }
    text
}

/// The part of a text that nothing selects.
#[derive(Clone, Copy)]
pub(super) struct Dull {
    /// The least depth of the arrays and objects in it.
    pub(super) least: usize,
    /// Set where the end of the outermost is told.
    pub(super) is_end_told: bool,
}

/// Passes over whole tokens of a dull part, and over one value that stands just above it. Returns the state behind them, and
/// what follows. A string that is not whole is passed over as far as it is plain. The comma behind a member just above is
/// taken, too: nothing depends on it.
pub(super) fn pass_over<'t>(text: &'t [u8], from: State, nest: &mut Nest, dull: Dull) -> (State, &'t [u8]) {
    let Dull { least, is_end_told } = dull;
    let least_closed = least.saturating_add(usize::from(is_end_told));
    let in_string = |is_name| State::String { is_name, escape: Escape::None };
    let (mut rest, mut is_in_object, mut is_above) = (text, nest.is_in_object(), nest.depth() < least);
    let (mut place, mut may_close) = match from {
        State::Value { may_close } => (Place::Value, may_close),
        State::Name { may_close } => (Place::Name, may_close),
        State::Colon => (Place::Colon, false),
        _ => (Place::Next, true),
    };
    while let [byte, behind @ ..] = rest {
        (place, rest) = match (place, *byte) {
            (Place::Next, b',') => (if is_in_object { Place::Name } else { Place::Value }, behind),
            (Place::Name, b'"') => match behind_text(behind) {
                [b'"', b':', behind @ ..] => (Place::Value, behind),
                [b'"', behind @ ..] => (Place::Colon, behind),
                cut => return (in_string(true), cut),
            },
            (Place::Colon, b':') => (Place::Value, behind),
            (Place::Value, b'"') => match behind_text(behind) {
                [b'"', behind @ ..] => (Place::Next, behind),
                cut => return (in_string(false), cut),
            },
            (Place::Value, b'{' | b'[') if nest.open(*byte == b'{') => {
                (is_in_object, is_above, may_close, rest) = (*byte == b'{', false, true, behind);
                place = if is_in_object { Place::Name } else { Place::Value };
                continue;
            }
            (Place::Next | Place::Name, b'}') | (Place::Next | Place::Value, b']')
                if may_close && is_in_object == (*byte == b'}') && nest.depth() >= least_closed =>
            {
                nest.close();
                (is_in_object, is_above) = (nest.is_in_object(), nest.depth() < least);
                (Place::Next, behind)
            }
            (_, byte) if is_space(byte) => {
                rest = behind_space(behind);
                continue;
            }
            (Place::Value, _) => match behind_scalar(rest) {
                Some(behind) => (Place::Next, behind),
                None => break,
            },
            _ => break,
        };
        may_close = matches!(place, Place::Next);
        if is_above && may_close {
            match rest {
                [b',', behind @ ..] if is_in_object => return (State::Name { may_close: false }, behind),
                _ => break,
            }
        }
    }
    (place.state(may_close), rest)
}
