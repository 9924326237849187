//! The scanner of the objects that a JSON text names, by the names of members, however deep they stand.
//!
//! A text that upstream reads is judged by the follower first, so this scanner takes its grammar for granted. It keeps a
//! fixed state. A text that is too long for an id is told as one that no object has.

use super::grammar::{Escape, MAX_DEPTH, unescape};
use super::text::Text;
use crate::base::bytes::plain_length;
use crate::provider::objects::{Form, Member, Objects, plain_name};

/// The longest name or text that is looked at, in bytes.
const MAX_BYTES: usize = 512;

/// A scanner of one text.
pub(super) struct IdScanner {
    table: &'static Objects,
    /// The arrays and objects that are open.
    levels: [Level; MAX_DEPTH],
    depth: usize,
    /// The member under way in the innermost object.
    member: Value,
    /// Set where the next string is the name of a member.
    is_name: bool,
    string: Option<Escape>,
    text: Text<MAX_BYTES>,
    /// Set where the bytes of the string under way are kept.
    is_kept: bool,
}

/// An open array or object.
#[derive(Clone, Copy, Default)]
struct Level {
    is_object: bool,
    /// The value that it is.
    value: Value,
}

/// The meaning of a value, by the member that it is of. An element has that of its array.
#[derive(Clone, Copy, Default)]
struct Value {
    /// The place of the member's name among the names of the table, counted from 1; 0 is any other name.
    name: u8,
    /// The place of the form in the table, counted from 1; 0 names nothing.
    form: u8,
    /// Set where the value is the caller's own data.
    is_free: bool,
}

impl IdScanner {
    /// Makes a scanner.
    pub(crate) fn new(table: &'static Objects) -> Self {
        Self {
            table,
            levels: [Level::default(); MAX_DEPTH],
            depth: 0,
            member: Value::default(),
            is_name: false,
            string: None,
            text: Text::default(),
            is_kept: false,
        }
    }

    /// Takes the next slice of the text, and tells the ids in it.
    pub(crate) fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(&[u8])) {
        let mut rest = slice;
        while let Some((byte, behind)) = rest.split_first() {
            if let Some(Escape::None) = self.string {
                let (run, others) = rest.split_at_checked(plain_length(rest)).unwrap_or((rest, &[]));
                if !run.is_empty() {
                    self.keep(run);
                    rest = others;
                    continue;
                }
            }
            match self.string {
                Some(escape) => self.in_string(*byte, escape, tell),
                None => self.between(*byte),
            }
            rest = behind;
        }
    }

    fn between(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.string = Some(Escape::None);
                self.text.clear();
                self.is_kept = self.is_name || self.value().form != 0;
            }
            b'{' | b'[' => {
                let level = Level { is_object: byte == b'{', value: self.value() };
                if let Some(place) = self.levels.get_mut(self.depth) {
                    *place = level;
                }
                self.depth = self.depth.saturating_add(1);
                self.is_name = level.is_object;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.is_name = false;
            }
            b',' => self.is_name = self.level().is_object,
            _ => {}
        }
    }

    fn in_string(&mut self, byte: u8, escape: Escape, tell: &mut dyn FnMut(&[u8])) {
        let next = match (escape, byte) {
            (Escape::None | Escape::High(_), b'"') => {
                if escape != Escape::None {
                    self.keep(&[0]);
                }
                self.string = None;
                return self.end_string(tell);
            }
            (Escape::None, b'\\') => Escape::Backslash,
            (Escape::None, _) => {
                self.keep(&[byte]);
                Escape::None
            }
            (Escape::Backslash, b'u') => Escape::Digits { count: 0, value: 0, high: None },
            (Escape::Backslash, _) => {
                self.keep(&unescape(byte).map_or([byte], |byte| [byte]));
                Escape::None
            }
            (Escape::High(high), b'\\') => Escape::HighBackslash(high),
            (Escape::HighBackslash(high), b'u') => Escape::Digits { count: 0, value: 0, high: Some(high) },
            // Half of a pair, which no id has.
            (Escape::High(_), _) => {
                self.keep(&[0, byte]);
                Escape::None
            }
            (Escape::HighBackslash(_), _) => {
                self.keep(&[0]);
                return self.in_string(byte, Escape::Backslash, tell);
            }
            (Escape::Digits { count, value, high }, _) => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
                let value = (value << 4) | digit.unwrap_or(0);
                if count < 3 {
                    Escape::Digits { count: count.saturating_add(1), value, high }
                } else {
                    let (escape, character) = Escape::behind(high, value);
                    match character {
                        Some(character) => self.keep(character.encode_utf8(&mut [0; 4]).as_bytes()),
                        None if high.is_some() || escape == Escape::None => self.keep(&[0]),
                        None => {}
                    }
                    escape
                }
            }
        };
        self.string = Some(next);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_kept {
            self.text.extend(bytes);
        }
    }

    fn end_string(&mut self, tell: &mut dyn FnMut(&[u8])) {
        if self.is_name {
            let name = self.text.text().map(plain_name);
            self.member = self.of_member(name.as_deref().unwrap_or_default());
            self.is_name = false;
            return;
        }
        let Some(form) = self.form() else { return };
        match self.text.bytes() {
            // No object has an empty id.
            Some([]) => {}
            Some(bytes) => match str::from_utf8(bytes) {
                Ok(text) => form.id_in(text).into_iter().for_each(tell),
                Err(_) => tell(&[0]),
            },
            None => tell(&[0]),
        }
    }

    /// Returns the meaning of the value of a member of the innermost object.
    fn of_member(&self, name: &str) -> Value {
        let object = self.level().value;
        if object.is_free || self.table.free.contains(&name) {
            return Value { is_free: true, ..Value::default() };
        }
        let members = self.table.members;
        let first = |name: &str| {
            place_of(members.iter().position(|member| member.name == name || member.parent == name))
        };
        let is_its = |member: &&Member| {
            member.name == name && (member.parent.is_empty() || first(member.parent) == object.name)
        };
        Value {
            name: first(name),
            form: place_of(members.iter().position(|member| is_its(&member))),
            is_free: false,
        }
    }

    /// Returns the meaning of the value that comes next.
    fn value(&self) -> Value {
        let level = self.level();
        if level.is_object { self.member } else { level.value }
    }

    fn form(&self) -> Option<Form> {
        let place = usize::from(self.value().form).checked_sub(1)?;
        self.table.members.get(place).map(|member| member.form)
    }

    fn level(&self) -> Level {
        let level = self.depth.checked_sub(1).and_then(|depth| self.levels.get(depth));
        level.copied().unwrap_or_default()
    }
}

/// Returns a place in a table as a number from 1 on; 0 is none.
fn place_of(found: Option<usize>) -> u8 {
    found.and_then(|place| u8::try_from(place.saturating_add(1)).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::OPENAI;
    use crate::provider::table::BUILT_IN;

    fn table() -> &'static Objects {
        let openai = BUILT_IN.iter().find(|row| row.id == OPENAI).unwrap();
        crate::provider::objects_of(&openai.endpoints()).unwrap()
    }

    fn ids(slices: &[&[u8]]) -> Vec<String> {
        let (mut scanner, mut ids) = (IdScanner::new(table()), Vec::new());
        for slice in slices {
            scanner.feed(slice, &mut |id| ids.push(String::from_utf8_lossy(id).into_owned()));
        }
        ids
    }

    #[test]
    fn ids_are_told_wherever_they_stand_and_whatever_the_slices() {
        let deep = format!(r#"{}{{"file_id":"d"}}{}"#, "[".repeat(100), "]".repeat(100));
        for (text, expect) in [
            (r#"{"file_id":"a","x":{"file_ids":["b",["c"],{"id":"no"}]}}"#, vec!["a", "b", "c"]),
            (r#"{"conversation":{"id":"a","x":{"id":"no"}},"id":"no"}"#, vec!["a"]),
            (r#"{"conversation":[{"id":"a"}],"conversation":"b"}"#, vec!["a", "b"]),
            (r#"{"FileId":"a","file__id":"b","fil":"no","file_i":"no","file_idx":"no"}"#, vec!["a", "b"]),
            (r#"{"metadata":{"file_id":"no","x":[{"file_id":"no"}]},"file_id":"a"}"#, vec!["a"]),
            (r#"{"x":"file_id","y":["file_id","no"],"file_id":"a"}"#, vec!["a"]),
            (r#"{"file_id":null,"file_ids":[],"container":{"type":"auto","file_ids":["a"]}}"#, vec!["a"]),
            (r#"{"f\u0069le_\u0069d":"\ud83d\ude00\n\u0061\/"}"#, vec!["\u{1f600}\na/"]),
            (
                r#"{"file_id":"\ud83d","file_ids":["\ud83dx","\ud83d\n","\udc00"]}"#,
                vec!["\0", "\0x", "\0\n", "\0"],
            ),
            (r#"{"conversation":"auto","skill_id":"pptx","model":"gpt-5","file_id":"ä"}"#, vec!["ä"]),
            (&deep, vec!["d"]),
        ] {
            assert_eq!(ids(&[text.as_bytes()]), expect, "{text}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(ids(&bytes), expect, "{text}, byte by byte");
            for cut in 0..text.len() {
                let (begin, rest) = text.as_bytes().split_at(cut);
                assert_eq!(ids(&[begin, rest]), expect, "{text} at {cut}");
            }
        }
    }

    #[test]
    fn a_text_that_is_longer_than_any_id_is_told_as_one_that_no_object_has() {
        let text = |length: usize| format!(r#"{{"file_id":"{}"}}"#, "a".repeat(length));
        assert_eq!(ids(&[text(512).as_bytes()]), ["a".repeat(512)]);
        assert_eq!(ids(&[text(513).as_bytes()]), ["\0"]);
    }
}
