//! The services that a policy asks, answering as a file of cases says.

mod answer;
mod directory;
mod registry;

pub use answer::ServiceAnswer;
pub use directory::Services;
