//! The head of a part: the name of its field, and the form of its text.
//!
//! A judged field is plain text under its exact name. Where another reader could find that field under this head, or not
//! find it, the head is an error.

use super::parameters::{is_token, split};
use crate::provider::objects::{Objects, plain_name};

/// The fields that are judged: those of these names, and those that name objects.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) names: &'static [&'static str],
    pub(super) objects: Option<&'static Objects>,
}

/// The error of a form that is not whole, or that readers may understand in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormError {
    /// The content type is that of no form, or names no boundary.
    ContentType,
    /// Bytes that cannot stand where they stand.
    Malformed,
    /// A head that readers may understand in two ways.
    Head,
    /// A judged field comes a second time.
    Again(usize),
    /// A judged field is a file, or its text is encoded.
    NoText(usize),
    /// The name of a field differs a little from that of a judged field.
    Alike(usize),
    /// Bytes behind the form.
    Trailing,
    /// The form has broken off.
    Incomplete,
}

/// The head of the part under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    field: Option<Field>,
    is_file: bool,
    /// Set where a content type is not that of plain text in UTF-8.
    is_encoded: bool,
    has_type: bool,
}

/// The field whose content follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Judged(usize),
    File,
    Other,
}

/// The name of the field that has a file.
const FILE: &str = "file";

impl Head {
    /// Takes a line of the head.
    pub(super) fn take(&mut self, line: &str, fields: Fields) -> Result<(), FormError> {
        let (name, value) = line.split_once(':').ok_or(FormError::Head)?;
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(FormError::Head);
        }
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" => self.take_disposition(value, fields),
            "content-type" => {
                self.is_encoded = !is_plain_text(value);
                if std::mem::replace(&mut self.has_type, true) { Err(FormError::Head) } else { Ok(()) }
            }
            "content-transfer-encoding"
                if !["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain)) =>
            {
                Err(FormError::Head)
            }
            _ => Ok(()),
        }
    }

    /// Ends the head. Returns the judged field whose text follows; `None` for another field.
    pub(super) fn end(self) -> Result<Option<usize>, FormError> {
        match self.field.ok_or(FormError::Head)? {
            Field::Judged(field) if self.is_file || self.is_encoded => Err(FormError::NoText(field)),
            Field::Judged(field) => Ok(Some(field)),
            Field::File | Field::Other => Ok(None),
        }
    }

    /// Returns whether the part has a file, by its name.
    pub(super) fn is_of_file(self) -> bool {
        self.field == Some(Field::File)
    }

    fn take_disposition(&mut self, value: &str, fields: Fields) -> Result<(), FormError> {
        let (mut field, mut files) = (None, [false; 2]);
        let first = split(value, &mut |parameter, value| {
            let is_again = match parameter {
                "name" => field.replace(value).is_some(),
                "filename" => std::mem::replace(&mut files[0], true),
                "filename*" => std::mem::replace(&mut files[1], true),
                _ => true,
            };
            (!is_again).then_some(())
        });
        if !first.ok_or(FormError::Head)?.eq_ignore_ascii_case("form-data") || self.field.is_some() {
            return Err(FormError::Head);
        }
        self.is_file = files.contains(&true);
        self.field = Some(field_of(field.ok_or(FormError::Head)?, fields)?);
        Ok(())
    }
}

/// Returns the field of a name.
fn field_of(name: &str, fields: Fields) -> Result<Field, FormError> {
    // Some readers decode `%22`. A field `_charset_` changes the encoding of all others.
    if name.is_empty() || name.contains('%') || name.eq_ignore_ascii_case("_charset_") {
        return Err(FormError::Head);
    }
    // Some readers take `model[]`, `Model` and ` model` for `model`.
    let base = name.split(['[', '.']).next().unwrap_or_default().trim();
    let names = fields.names;
    match names.iter().position(|judged| judged.eq_ignore_ascii_case(base)) {
        Some(field) if names.get(field) == Some(&name) => Ok(Field::Judged(field)),
        Some(field) => Err(FormError::Alike(field)),
        None => {
            let member = fields.objects.and_then(|objects| member_of(name, objects));
            let other = if base.eq_ignore_ascii_case(FILE) { Field::File } else { Field::Other };
            Ok(member.map_or(other, |member| Field::Judged(names.len().saturating_add(member))))
        }
    }
}

/// Returns the member that a name such as `file_ids[]` or `video[id]` stands for.
fn member_of(name: &str, objects: &Objects) -> Option<usize> {
    let is_name = |part: &&str| !part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.split(['[', ']', '.']).map(str::trim).filter(is_name).map(plain_name).rev();
    let (last, parent) = (parts.next()?, parts.next().unwrap_or_default());
    if objects.free.contains(&&*parent) || parts.any(|part| objects.free.contains(&&*part)) {
        return None;
    }
    let is_it = |name: &str, within: &str| name == last && (within.is_empty() || within == parent);
    objects.members.iter().position(|member| is_it(member.name, member.parent))
}

fn is_plain_text(content_type: &str) -> bool {
    let first = split(content_type, &mut |name, value| {
        let is_plain = value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii");
        (name == "charset" && is_plain).then_some(())
    });
    first.is_some_and(|first| first.eq_ignore_ascii_case("text/plain"))
}
