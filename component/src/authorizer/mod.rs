//! The engine for programs that forward requests themselves: `keyswap:auth/authorizer`.
//!
//! These modules hold only what the interface needs beside the engine. `judging` keeps the head while a request waits.
//! `shared` gathers log lines and calls until the program asks for them.

mod bindings;
mod convert;
mod engine;
mod judging;
mod shared;
