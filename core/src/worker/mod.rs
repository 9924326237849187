//! Worker: the policies in force, and the loop between a host and the engine.

mod canary;
mod exchange;
mod in_force;
mod next;
mod rollout;
mod running;
mod slice;
mod ticket;

pub use self::exchange::Exchange;
pub use self::in_force::InForce;
pub use self::next::{Background, Next};
pub use self::running::{Due, Worker};
pub use self::slice::{AnswerBody, AnswerFault, AnswerSlice, Ended, RequestSlice};
pub use self::ticket::{Entry, Ticket};
pub use crate::judge::Refusal;
pub use crate::upstream::MintFault;
