//! Endpoints that mint a short-lived credential whose answer can be brokered: the places of the secret in the answer, and
//! the endpoints that the secret is for.
//!
//! Only an answer whose form is known is brokered. An endpoint of the class `mint` that is missing here stays closed, and so
//! does one whose secret goes upstream otherwise than as `Authorization: Bearer`.

use super::pattern::{Methods, POST, WEBSOCKET, fits};

/// The endpoints of one API whose answers are brokered, and those that a minted secret opens.
#[derive(Debug)]
pub(crate) struct Brokered {
    pub(super) mints: &'static [Mint],
    pub(super) opens: &'static [(Methods, &'static [&'static str])],
}

/// Endpoints with one form of answer. Each is asked by POST.
#[derive(Debug)]
pub(crate) struct Mint {
    pub(super) paths: &'static [&'static str],
    /// The places of secrets in the answer. The first is always there.
    pub(crate) secrets: &'static [MintedSecret],
}

/// The place of a secret in an answer, as JSON pointers (RFC 6901).
#[derive(Debug)]
pub(crate) struct MintedSecret {
    pub(crate) value: &'static str,
    pub(crate) expiry: Expiry,
}

/// The place that tells when a secret expires.
#[derive(Debug)]
pub(crate) enum Expiry {
    /// A Unix time, in seconds.
    At(&'static str),
    /// Seconds from now on.
    In(&'static str),
    /// The answer does not tell.
    Untold,
}

impl Brokered {
    /// Returns the form of the answer to a POST to this path, which has no version in front; `None` where the answer is not
    /// brokered.
    pub(super) fn mint(&self, path: &[u8]) -> Option<&'static Mint> {
        self.mints.iter().find(|mint| mint.paths.iter().any(|row| fits(row, path)))
    }

    /// Returns whether a minted secret is for this endpoint.
    pub(super) fn opens(&self, methods: Methods, path: &[u8]) -> bool {
        let mut rows = self.opens.iter().filter(|(of_row, _)| of_row.has_any(methods));
        rows.any(|(_, paths)| paths.iter().any(|row| fits(row, path)))
    }
}

/// A client secret with the effective session, which may repeat it.
const CLIENT_SECRET: &[MintedSecret] = &[
    MintedSecret { value: "/value", expiry: Expiry::At("/expires_at") },
    MintedSecret {
        value: "/session/client_secret/value",
        expiry: Expiry::At("/session/client_secret/expires_at"),
    },
];

/// A session with its client secret, the older form.
const SESSION: &[MintedSecret] =
    &[MintedSecret { value: "/client_secret/value", expiry: Expiry::At("/client_secret/expires_at") }];

pub(super) static OPENAI: Brokered = Brokered {
    mints: &[
        Mint {
            paths: &["/realtime/client_secrets", "/realtime/translations/client_secrets"],
            secrets: CLIENT_SECRET,
        },
        Mint { paths: &["/realtime/sessions", "/realtime/transcription_sessions"], secrets: SESSION },
    ],
    opens: &[
        (WEBSOCKET, &["/realtime", "/realtime/translations"]),
        (POST, &["/realtime/calls", "/realtime/translations/calls"]),
    ],
};

pub(super) static AZURE: Brokered = Brokered {
    mints: &[
        Mint {
            paths: &["/openai/v1/realtime/client_secrets", "/openai/v1/realtime/translations/client_secrets"],
            secrets: CLIENT_SECRET,
        },
        Mint {
            paths: &["/openai/v1/realtime/sessions", "/openai/v1/realtime/transcription_sessions"],
            secrets: SESSION,
        },
    ],
    opens: &[(WEBSOCKET, &["/openai/v1/realtime"]), (POST, &["/openai/v1/realtime/calls"])],
};

pub(super) static GROK: Brokered = Brokered {
    mints: &[Mint { paths: &["/realtime/client_secrets"], secrets: CLIENT_SECRET }],
    opens: &[(WEBSOCKET, &["/realtime"])],
};

pub(super) static CARTESIA: Brokered = Brokered {
    mints: &[Mint {
        paths: &["/access-token"],
        secrets: &[MintedSecret { value: "/token", expiry: Expiry::Untold }],
    }],
    opens: &[
        (POST, &["/tts/bytes", "/tts/sse", "/stt"]),
        (WEBSOCKET, &["/tts/websocket", "/stt/websocket", "/stt/turns/websocket", "/agents/stream/{}"]),
    ],
};

pub(super) static DEEPGRAM: Brokered = Brokered {
    mints: &[Mint {
        paths: &["/auth/grant"],
        secrets: &[MintedSecret { value: "/access_token", expiry: Expiry::In("/expires_in") }],
    }],
    opens: &[(POST, &["/listen", "/speak", "/read"]), (WEBSOCKET, &["/listen", "/speak", "/agent/converse"])],
};
