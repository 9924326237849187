//! `keyswap version`: the release, the formats that it reads, and what changed for a policy of an older release.

mod release;

mod changes;

mod command;

pub(crate) use command::Version;
