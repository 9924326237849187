//! Files of secrets, as a host reads them for the engine.

use std::fmt;

/// The most bytes that a host reads of a file. A longer one holds no credential.
pub const MAX_SECRET_FILE_BYTES: usize = 16 * 1024;

/// The content of a file that holds one secret.
pub struct SecretFile {
    /// The bytes of the file, as they are.
    pub bytes: Vec<u8>,
    /// Set where every user of the machine may read the file.
    pub is_open_to_all: bool,
}

/// The reason why a host has no content of a file. It tells nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretFileError {
    /// There is no such file.
    Missing,
    /// The host's user may not read it.
    Denied,
    /// It lies outside of the folders that the host reads secrets from.
    Outside,
    /// It is a folder, a device, a socket or a pipe.
    Special,
    /// It has more than [`MAX_SECRET_FILE_BYTES`].
    TooLong,
    /// The system reported another error.
    Failed,
}

impl fmt::Display for SecretFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is not there: create it, or correct the path",
            Self::Denied => "may not be read: give the user of this process the permission",
            Self::Outside => {
                "lies in none of the folders that this host reads secrets from: move it, or name its folder in \
                 `KEYSWAP_SECRET_FOLDERS`"
            }
            Self::Special => "is no regular file",
            Self::TooLong => "has more than 16 KiB: a file has one credential and nothing else",
            Self::Failed => "cannot be read: see the system's log for the disk or the network it is on",
        })
    }
}

impl std::error::Error for SecretFileError {}
