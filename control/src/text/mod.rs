//! Texts that come from outside: YAML and JSON documents, and requests as people write them down.

pub(crate) mod mask;
pub(crate) mod object;
pub(crate) mod request_head;
pub(crate) mod yaml;
