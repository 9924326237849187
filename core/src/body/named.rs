//! The names in a body that its judge looks at.

/// A name in a body that the caller of the scanner judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'n> {
    /// A model.
    Model(&'n str),
    /// A provider.
    Provider(&'n str),
    /// The endpoint of a provider, beside its name.
    Endpoint(&'n str),
    /// The end of a message, or of a request among others in the body.
    End,
    /// An object by its id.
    Object(&'n [u8]),
    /// An object by its id, in a line of a file. It counts if the file is that of a batch.
    InFile(&'n [u8]),
    /// A file of requests that nothing has judged.
    UnreadFile,
    /// The wish to keep the conversation under the id of the answer.
    Keeps,
}
