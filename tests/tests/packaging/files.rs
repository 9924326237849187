//! The files that other programs read.

pub(crate) use keyswap_tests::tools::yaml;

pub(crate) const ACTION: &str = "packaging/action/action.yml";
