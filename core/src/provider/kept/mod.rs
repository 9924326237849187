//! The objects of the built-in APIs.

mod anthropic;
mod google;
mod openai;

pub(super) use self::anthropic::ANTHROPIC;
pub(super) use self::google::{GEMINI, VERTEX};
pub(super) use self::openai::{AZURE, GROK, GROQ, MISTRAL, OF_GATEWAYS, OPENAI};
