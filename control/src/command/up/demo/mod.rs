//! A first try without a policy: the upstream that the environment names or the stand-in, and commands to try.

mod upstream;

mod instructions;

mod run;

pub(super) use run::run;
