//! The endpoints of the built-in APIs, by class.
//!
//! A path stands below the prefix that its provider has at its own host. What administers an account or mints a
//! credential stands first, so that no wider row opens it. What is in no row is refused: a row that is missing here costs
//! an endpoint, never a key.

mod agents;
mod anthropic;
mod gateways;
mod google;
mod hosts;
mod openai;
mod speech;

pub(super) use self::agents::{MISTRAL, PARALLEL, PERPLEXITY};
pub(super) use self::anthropic::ANTHROPIC;
pub(super) use self::gateways::{COMPAT, OPENROUTER, REST, UNIVERSAL, VERCEL, WORKERS_AI};
pub(super) use self::google::{GEMINI, VERTEX};
pub(super) use self::hosts::{
    BASETEN, BEDROCK, CEREBRAS, COHERE, DEEPSEEK, FIREWORKS, GROK, GROQ, HUGGINGFACE, REPLICATE,
};
pub(super) use self::openai::{AZURE, OPENAI};
pub(super) use self::speech::{CARTESIA, DEEPGRAM, ELEVENLABS};
