//! The engine for programs that forward requests themselves: `keyswap:auth/authorizer`.
//!
//! Here is only what the interface asks for beside the engine: the head is kept while a request waits (`judging`), and
//! what is to be logged or called without a request waiting is gathered until it is asked for (`shared`).

mod bindings;
mod convert;
mod engine;
mod judging;
mod shared;
