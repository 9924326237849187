//! The scanner of the objects that a JSON text names, by the names of members, however deep they stand.
//!
//! A text that upstream reads is judged by the follower first, so this scanner takes its grammar for granted. It keeps a
//! fixed state. A text that is too long for an id is told as one that no object has.

use super::grammar::{Escape, MAX_DEPTH, unescape};
use super::item::Item;
use super::named::Named;
use super::text::Text;
use crate::base::bytes::plain_length;
use crate::provider::form::Form;
use crate::provider::objects::{Member, Sought, is_batch_purpose, plain_name};

/// The longest name or text that is looked at, in bytes.
const MAX_BYTES: usize = 512;

/// A scanner of one text.
pub(super) struct IdScanner {
    sought: Sought,
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
    /// The item of a conversation under way.
    item: Option<Item>,
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
    pub(crate) fn new(sought: Sought) -> Self {
        Self {
            sought,
            levels: [Level::default(); MAX_DEPTH],
            depth: 0,
            member: Value::default(),
            is_name: false,
            string: None,
            text: Text::default(),
            is_kept: false,
            item: None,
        }
    }

    /// Takes the next slice of the text, and tells the ids in it.
    pub(crate) fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Named<'_>)) {
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
                None => self.between(*byte, tell),
            }
            rest = behind;
        }
    }

    fn between(&mut self, byte: u8, tell: &mut dyn FnMut(Named<'_>)) {
        match byte {
            b'"' => {
                self.string = Some(Escape::None);
                self.text.clear();
                self.is_kept = self.is_name || self.form().is_some_and(|form| form != Form::Items);
            }
            b'{' | b'[' => {
                let level = Level { is_object: byte == b'{', value: self.value() };
                if let Some(place) = self.levels.get_mut(self.depth) {
                    *place = level;
                }
                self.depth = self.depth.saturating_add(1);
                self.is_name = level.is_object;
                if level.is_object && self.form_of(level.value) == Some(Form::Keeps) {
                    tell(Named::Keeps);
                }
                if level.is_object && self.form_of(level.value) == Some(Form::Items) && self.item.is_none() {
                    self.item = Some(Item::new(self.depth));
                }
            }
            b'}' | b']' => {
                if let Some(item) = self.item.take_if(|item| item.depth == self.depth) {
                    item.end(tell);
                }
                self.depth = self.depth.saturating_sub(1);
                self.is_name = false;
            }
            b',' => self.is_name = self.level().is_object,
            _ => {}
        }
    }

    fn in_string(&mut self, byte: u8, escape: Escape, tell: &mut dyn FnMut(Named<'_>)) {
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

    fn end_string(&mut self, tell: &mut dyn FnMut(Named<'_>)) {
        if self.is_name {
            let name = self.text.text().unwrap_or_default();
            self.member = self.of_member(name);
            self.is_name = false;
            if let (Some(form), Some(item)) = (self.form(), self.own_item()) {
                item.begin(form);
            }
            return;
        }
        let Some(form) = self.form() else { return };
        let text = self.text.bytes();
        let id = match self.item.as_mut().filter(|item| item.depth == self.depth) {
            Some(item) if form.is_of_items() => match item.take(form, text) {
                Some(other) => Some(other),
                None => return,
            },
            _ => None,
        };
        let text = id.as_deref().map_or(text, Some);
        match text {
            // No object has an empty id.
            Some([]) => {}
            None if !form.names() => {}
            Some(bytes) => match str::from_utf8(bytes) {
                Ok(text) if form == Form::Purpose && self.sought.brings_file() && is_batch_purpose(text) => {
                    tell(Named::UnreadFile);
                }
                Ok(_) if form == Form::UnreadName && self.sought.makes_batch() => tell(Named::UnreadFile),
                Ok(text) => form.id_in(text).into_iter().for_each(|id| tell(Named::Object(id))),
                Err(_) => tell(Named::Object(&[0])),
            },
            None => tell(Named::Object(&[0])),
        }
    }

    /// Returns the meaning of the value of a member of the innermost object.
    fn of_member(&self, written: &str) -> Value {
        let name = &*plain_name(written);
        let object = self.level().value;
        if object.is_free || self.sought.table.free.contains(&name) {
            return Value { is_free: true, ..Value::default() };
        }
        let members = self.sought.table.members;
        let first = |name: &str| {
            place_of(members.iter().position(|member| member.name == name || member.parent == name))
        };
        let is_its = |member: &&Member| {
            member.name == name
                && (member.parent.is_empty() || first(member.parent) == object.name)
                && (self.sought.has_items || !member.form.is_of_items())
                // A name that upstream does not know says nothing of the item.
                && (!member.form.is_of_saying() || matches!(written, "type" | "encrypted_content"))
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
        self.form_of(self.value())
    }

    fn form_of(&self, value: Value) -> Option<Form> {
        let place = usize::from(value.form).checked_sub(1)?;
        self.sought.table.members.get(place).map(|member| member.form)
    }

    /// Returns the item whose members come next.
    fn own_item(&mut self) -> Option<&mut Item> {
        self.item.as_mut().filter(|item| item.depth == self.depth)
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

    fn sought(has_items: bool) -> Sought {
        let openai = BUILT_IN.iter().find(|row| row.id == OPENAI).unwrap();
        Sought { table: crate::provider::objects_of(&openai.endpoints()).unwrap(), has_items, makes: "" }
    }

    fn ids(slices: &[&[u8]]) -> Vec<String> {
        let (mut scanner, mut ids) = (IdScanner::new(sought(true)), Vec::new());
        for slice in slices {
            scanner.feed(slice, &mut |named| match named {
                Named::Object(id) => ids.push(String::from_utf8_lossy(id).into_owned()),
                named => panic!("{named:?}"),
            });
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
    fn the_id_of_an_item_is_told_unless_the_item_says_all_of_itself() {
        for (item, is_told) in [
            (r#"{"type":"item_reference","id":"x"}"#, true),
            (r#"{"id":"x","type":"item_reference"}"#, true),
            (r#"{"id":"x"}"#, true),
            (r#"{"id":"x","type":null}"#, true),
            (r#"{"ID":"x"}"#, true),
            (r#"{"id":"x","type":"message","content":[{"type":"output_text","id":"no"}]}"#, false),
            (r#"{"type":"me\u0073sage","id":"x"}"#, false),
            (r#"{"id":"x","type":"function_call","arguments":"{}"}"#, false),
            (r#"{"id":"x","type":"image_generation_call","result":"AAAA"}"#, true),
            (r#"{"id":"x","type":"reasoning","summary":[]}"#, true),
            (r#"{"id":"x","type":"reasoning","encrypted_content":"gAAA"}"#, false),
            (r#"{"encrypted_content":"gAAA","id":"x","type":"reasoning"}"#, false),
            (r#"{"id":"x","type":"reasoning","encrypted_content":""}"#, true),
            (r#"{"id":"x","type":"reasoning","encrypted_content":null}"#, true),
            (r#"{"id":"x","type":"reasoning","encrypted_content":["a"]}"#, true),
            (r#"{"id":"x","type":"reasoning","encrypted_content":"a","encrypted_content":null}"#, true),
            (r#"{"id":"x","type":"item_reference","encrypted_content":"gAAA"}"#, true),
            (r#"{"id":"x","encrypted_content":"gAAA"}"#, true),
            // A name that upstream does not know.
            (r#"{"id":"x","Type":"message"}"#, true),
            (r#"{"id":"x","ty_pe":"message"}"#, true),
            (r#"{"id":"x","type":"reasoning","encryptedContent":"gAAA"}"#, true),
            (r#"{"id":"x","type":"message","type":"item_reference"}"#, true),
            (r#"{"id":"x","type":"item_reference","type":"message"}"#, true),
            (r#"{"id":"x","type":["message"]}"#, true),
            (r#"{"id":"x","caller":{"type":"message"}}"#, true),
            (r#"{"id":"x","input":[{"type":"message"}]}"#, true),
        ] {
            for list in ["input", "items", "INPUT"] {
                let text = format!(r#"{{"{list}":[{{"id":"own","type":"message"}},{item}]}}"#);
                let expect: &[&str] = if is_told { &["x"] } else { &[] };
                for cut in 0..text.len() {
                    let (begin, rest) = text.as_bytes().split_at(cut);
                    assert_eq!(ids(&[begin, rest]), expect, "{text} at {cut}");
                }
                let (mut scanner, mut told) = (IdScanner::new(sought(false)), 0);
                scanner.feed(text.as_bytes(), &mut |_| told += 1);
                assert_eq!(told, 0, "{text}, in a session");
            }
        }
        for (text, expect) in [
            (r#"{"input":[{"id":"a","id":"b","type":"message"}]}"#, vec!["a"]),
            (r#"{"input":[{"id":"a","input":[{"id":"b","type":"message"}]}]}"#, vec!["b", "a"]),
            (r#"{"input":[[{"id":"a"}],{"id":""},"id"],"id":"no","tools":[{"id":"no"}]}"#, vec!["a"]),
            (r#"{"requests":[{"body":{"input":[{"id":"a","file_id":"b"}]}}]}"#, vec!["b", "a"]),
            (r#"{"input":{"id":"a"},"tools":[{"input_schema":{"items":{"id":"no"}}}]}"#, vec!["a"]),
        ] {
            assert_eq!(ids(&[text.as_bytes()]), expect, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_longer_than_any_id_is_told_as_one_that_no_object_has() {
        let text = |length: usize| format!(r#"{{"file_id":"{}"}}"#, "a".repeat(length));
        assert_eq!(ids(&[text(512).as_bytes()]), ["a".repeat(512)]);
        assert_eq!(ids(&[text(513).as_bytes()]), ["\0"]);
        for name in ["input", "items", "purpose"] {
            let long = text(5000).replace("file_id", name);
            assert!(ids(&[long.as_bytes()]).is_empty(), "{name} is no id");
        }
        let item = format!(r#"{{"input":[{{"id":"x","type":"{}"}}]}}"#, "a".repeat(5000));
        assert_eq!(ids(&[item.as_bytes()]), ["x"]);
        let sealed =
            item.replace(&"a".repeat(5000), "reasoning").replace("}]", r#","encrypted_content":"@"}]"#);
        assert!(ids(&[sealed.replace('@', &"a".repeat(5000)).as_bytes()]).is_empty());
        let nested = format!(
            r#"{{"input":[{{"type":"message","x":{{"items":[{{"type":"{}"}}]}}}}]}}"#,
            "a".repeat(5000)
        );
        assert!(ids(&[nested.as_bytes()]).is_empty());
    }
}
