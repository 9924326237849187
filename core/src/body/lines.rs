//! The file of a batch: a request a line, each one JSON text.
//!
//! The requests are judged as the file passes. Whether they count is known at the end of the form, by the purpose of the file.

use super::named::Named;
use super::request::{BodyError, RequestScanner};
use crate::provider::objects::Sought;

/// A scanner of the lines of a file.
pub(super) struct Lines {
    sought: Sought,
    /// The line under way, from its first byte that is no space.
    line: Option<Box<RequestScanner>>,
    /// The first error: the lines behind it are not read, since a batch with such a file is refused.
    error: Option<BodyError>,
}

impl Lines {
    /// Makes a scanner; `None` where the form has no file that may be that of a batch.
    pub(super) fn new(sought: Sought) -> Option<Self> {
        // What a line says makes no file.
        let of_line = Sought { makes: "", has_items: true, ..sought };
        sought.brings_file().then_some(Self { sought: of_line, line: None, error: None })
    }

    /// Takes a part of the file, and tells the objects that its lines name.
    pub(super) fn feed(&mut self, data: &[u8], tell: &mut dyn FnMut(Named<'_>)) {
        for line in data.split_inclusive(|byte| *byte == b'\n') {
            if self.error.is_some() {
                return;
            }
            let (text, ends) = line.strip_suffix(b"\n").map_or((line, false), |text| (text, true));
            self.error = self.take(text, tell).err();
            if ends {
                self.end();
            }
        }
    }

    /// Ends the line under way, and so the file.
    pub(super) fn end(&mut self) {
        if let Some(mut line) = self.line.take() {
            self.error = self.error.or(line.finish().err());
        }
    }

    /// Returns the error of a file that is not that of a batch.
    pub(super) fn error(&self) -> Option<BodyError> {
        self.error
    }

    fn take(&mut self, text: &[u8], tell: &mut dyn FnMut(Named<'_>)) -> Result<(), BodyError> {
        let line = match &mut self.line {
            Some(line) => line,
            None if text.trim_ascii().is_empty() => return Ok(()),
            none => none.insert(Box::new(RequestScanner::new(false).telling(Some(self.sought)))),
        };
        line.feed(text, &mut |named| {
            if let Named::Object(id) = named {
                tell(Named::InFile(id));
            }
        })?;
        Ok(())
    }
}
