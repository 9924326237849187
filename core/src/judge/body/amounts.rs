//! The amounts of one request: what it reserves, and what it was charged.

use crate::body::Unmetered;
use crate::limit::TokenLimit;
use crate::price::{Counts, Nano};

/// The result of a metered request.
pub(crate) struct Charged {
    /// The model's name in the table of prices; `None` for one that is not there.
    pub(crate) model: Option<String>,
    /// The tokens, or the reason why they are not known.
    pub(crate) usage: Result<Counts, Unmetered>,
    /// The cost; `None` where the model has no price.
    pub(crate) cost: Option<Nano>,
}

/// The amount that a request reserves before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldReserve {
    /// The rate limit in tokens of the caller, where it has one.
    pub limit: Option<TokenLimit>,
    /// The tokens: estimated input, and the most output.
    pub tokens: u64,
    /// The cost; `None` where the model has no price.
    pub cost: Option<Nano>,
    /// The model's name in the table of prices; `None` for one that is not there.
    pub model: Option<String>,
}
