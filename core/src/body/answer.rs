//! The scanner of an answer: finds the usage, whatever the form, and cuts out the chunk that the caller did not ask for.
//!
//! No byte is kept, but for an event of at most 4 KiB that may have to be cut. An answer in a form that cannot be read
//! passes, and its usage is told as unknown, never as zero.

use super::cut::{Cut, Edit};
use super::form::{Form, Unreadable};
use super::grammar::JsonError;
use super::reader::{Chunk, Reader, Texts as _};
use super::usage::{Usage, parse_count};

/// The headers in which Bedrock tells the input and the output tokens of a model.
pub const TOKEN_COUNT_HEADERS: [&str; 2] =
    ["x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count"];

/// The head of an answer, as far as it says how to read the body.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerHead<'h> {
    /// The status.
    pub status: u16,
    /// The value of `content-type`.
    pub content_type: Option<&'h str>,
    /// The value of `content-encoding`.
    pub content_encoding: Option<&'h str>,
    /// The values of [`TOKEN_COUNT_HEADERS`].
    pub token_counts: [Option<&'h str>; 2],
}

/// The purposes for which an answer is read. Where there is none, the answer is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purposes {
    /// The usage is sought.
    pub reads_usage: bool,
    /// The chunk of OpenAI's streams that tells nothing but usage is cut out.
    pub cuts_usage_chunk: bool,
}

/// The reason why the usage of an answer is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmetered {
    /// The body is compressed.
    Encoded,
    /// The body is in no form that tells usage, such as sound or plain text.
    Form,
    /// The body is not whole, or not of the form that its head says.
    Broken,
    /// The body tells no usage.
    Untold,
}

/// The result of a scan.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding<'s> {
    /// The usage. Where the answer is an error that tells none, it is zero.
    ///
    /// # Errors
    /// The reason why it is unknown.
    pub usage: Result<Usage, Unmetered>,
    /// The model that answered.
    pub model: Option<&'s str>,
    /// The tier of the service that was used.
    pub tier: Option<&'s str>,
    /// The speed that was used, where the provider has several.
    pub speed: Option<&'s str>,
    /// The region in which the model ran, where it has a price of its own.
    pub region: Option<&'s str>,
    /// The events that held output of the model: a lower estimate of the output tokens of a stream that broke off.
    pub events_with_content: u64,
    /// Set where the body was read to its end, or is an error that tells no usage. Else there may have been more usage than
    /// was told.
    pub is_whole: bool,
    /// Set where the body came to its end, read or not.
    pub has_ended: bool,
    /// Set where the usages of several answers add up, of which each may have a model of its own.
    pub is_sum: bool,
    /// The usage of other models, which the one that answered has asked: it is told beside that of the answer.
    pub others: Option<Usage>,
}

/// A scanner of the body of one answer.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub struct AnswerScanner {
    form: Form,
    reader: Reader,
    cut: Option<Cut>,
    /// The reason why the usage is unknown, if none is told.
    unmetered: Unmetered,
    is_error: bool,
    is_sum: bool,
    is_whole: bool,
    has_ended: bool,
}

impl AnswerScanner {
    /// Makes a scanner.
    pub fn new(head: &AnswerHead<'_>, purposes: Purposes) -> Self {
        let encoding = head.content_encoding.unwrap_or_default().trim();
        let is_encoded = !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity");
        let form = if is_encoded || purposes == Purposes::default() {
            Form::Unread
        } else {
            Form::of(head.status, head.content_type.unwrap_or_default())
        };
        let unmetered = match form {
            _ if is_encoded => Unmetered::Encoded,
            Form::Unread => Unmetered::Form,
            _ => Unmetered::Untold,
        };
        let can_cut = purposes.cuts_usage_chunk && matches!(form, Form::Events(_));
        let mut reader = Reader::new(form.adds_up());
        let [input, output] = head.token_counts.map(|count| count.and_then(parse_count));
        reader.take_counts(input, output);
        let is_error = head.status >= 300;
        let (is_sum, cut) = (form.adds_up(), can_cut.then(Cut::default));
        Self { form, reader, cut, unmetered, is_error, is_sum, is_whole: false, has_ended: false }
    }

    /// Takes the next slice of the body, and says what goes on. For [`Edit::Replace`] it is put behind what `out` holds.
    pub fn feed(&mut self, slice: &[u8], out: &mut Vec<u8>) -> Edit {
        let fed = self.form.feed(&mut self.reader, self.cut.as_mut(), slice, out);
        fed.unwrap_or_else(|unreadable| {
            self.form = Form::Unread;
            self.unmetered = match unreadable {
                Unreadable::Encoded => Unmetered::Encoded,
                Unreadable::Broken => Unmetered::Broken,
            };
            Edit::Pass
        })
    }

    /// Ends the body, at its end or where it broke off. Puts out what is still to go on.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let ended = self.reader.end_text();
        if let Some(cut) = &mut self.cut {
            cut.finish(ended.is_ok_and(Chunk::tells_usage_only), out);
        }
        // A text of a stream that is no JSON tells nothing. The one under way has broken off with the stream.
        let is_broken = match ended {
            Ok(_) => false,
            Err(JsonError::Incomplete) => true,
            Err(_) => !self.form.is_stream(),
        };
        self.is_whole = !is_broken && self.form.may_end();
        self.has_ended = !is_broken || matches!(self.form, Form::Unread);
        if is_broken {
            self.unmetered = Unmetered::Broken;
        }
    }

    /// Returns what was found so far.
    pub fn finding(&self) -> Finding<'_> {
        let noted = self.reader.noted();
        let told = noted.usage();
        let none = if self.is_error { Ok(Usage::default()) } else { Err(self.unmetered) };
        Finding {
            usage: told.map_or(none, Ok),
            model: noted.model.text(),
            tier: noted.tier.text(),
            speed: noted.speed.text(),
            region: noted.region.text(),
            events_with_content: noted.texts_with_content,
            is_whole: self.is_whole || (self.is_error && told.is_none()),
            has_ended: self.has_ended,
            is_sum: self.is_sum,
            others: noted.others(),
        }
    }
}
