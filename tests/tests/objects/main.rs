//! Objects that callers keep at providers: two data planes, a registry, and an upstream that knows no callers.
//!
//! Every kind is tried as a caller would: what one caller made is for another as if it had never been.

mod answers;
mod attacks;
mod bed;
mod kinds;
mod long;
mod outages;
mod sdks;
mod slices;
mod waits;
