//! Auth slots: the places where SDKs put their API key, and so where callers put their proxy token.

use std::fmt;

use super::names::HeaderNames;
use crate::syntax::read;

/// A place in a request that carries a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// `x-api-key`: Anthropic's SDKs.
    XApiKey,
    /// `x-goog-api-key`: Google's SDKs.
    XGoogApiKey,
    /// `api-key`: OpenAI's SDKs in their Azure form.
    ApiKey,
    /// `xi-api-key`: the SDKs of `ElevenLabs`.
    XiApiKey,
    /// `Authorization: Bearer`: OpenAI's SDKs, and most others. `Authorization: Token`: Deepgram's.
    Authorization,
    /// The query parameter `key`: Google's REST examples.
    QueryKey,
    /// The query parameters `api-key` and `xi-api-key`: upgrades at Azure, Cartesia and `ElevenLabs`.
    QueryApiKey,
    /// The query parameter `access_token`: upgrades with a minted credential.
    QueryAccessToken,
    /// The WebSocket subprotocol `openai-insecure-api-key.…`, or the one behind `token` or `bearer`: browsers.
    Subprotocol,
    /// The sealed id of an upload, in an address that an answer told. SDKs send nothing else there. It is no slot of a
    /// policy, and counts where all of those are empty.
    UploadId,
}

impl Slot {
    /// Every slot of a policy, in the order in which they are judged unless the policy says otherwise.
    pub const ALL: [Self; 9] = [
        Self::XApiKey,
        Self::XGoogApiKey,
        Self::ApiKey,
        Self::Authorization,
        Self::QueryKey,
        Self::Subprotocol,
        Self::XiApiKey,
        Self::QueryApiKey,
        Self::QueryAccessToken,
    ];

    /// Returns the slot's name in a policy.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XApiKey => "x-api-key",
            Self::XGoogApiKey => "x-goog-api-key",
            Self::ApiKey => "api-key",
            Self::XiApiKey => "xi-api-key",
            Self::Authorization => "authorization",
            Self::QueryKey => "query:key",
            Self::QueryApiKey => "query:api-key",
            Self::QueryAccessToken => "query:access_token",
            Self::Subprotocol => "subprotocol",
            Self::UploadId => "query:upload_id",
        }
    }

    /// Returns the bit of the part of a head in which the slot is, see [`read`].
    pub(crate) const fn bit(self) -> u16 {
        match self {
            Self::XApiKey => read::X_API_KEY,
            Self::XGoogApiKey => read::X_GOOG_API_KEY,
            Self::ApiKey => read::API_KEY,
            Self::XiApiKey => read::XI_API_KEY,
            Self::Authorization => read::AUTHORIZATION,
            Self::Subprotocol => read::SUBPROTOCOL,
            Self::QueryKey | Self::QueryApiKey | Self::QueryAccessToken | Self::UploadId => read::QUERY,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The slots that a policy judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    /// The slots, in the order in which they are judged.
    pub(crate) order: Vec<Slot>,
    /// Their bits.
    pub(super) bits: u16,
    /// Set where a second credential in another slot is refused, in place of removed.
    pub(crate) refuses_second: bool,
}

impl Slots {
    pub(crate) fn new(order: Vec<Slot>, refuses_second: bool) -> Self {
        Self { bits: order.iter().fold(0, |bits, slot| bits | slot.bit()), order, refuses_second }
    }

    /// Returns whether more than one of the slots may hold something.
    pub(crate) fn may_have_two(&self, names: &HeaderNames, has_query: bool) -> bool {
        let filled = self.bits & names.filled(has_query);
        !filled.is_power_of_two() || filled == read::QUERY
    }

    /// Returns whether the slot is judged.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.order.contains(&slot)
    }
}
