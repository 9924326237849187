//! Prices of models, and the cost of tokens: integers throughout.

mod cost;
mod money;
mod names;
mod row;
mod sheet;
mod table;

pub use self::cost::Counts;
pub use self::money::{Nano, scaled};
pub use self::names::candidates;
pub use self::row::{read_row, write_row};
pub use self::sheet::{Part, Price, Sheet, Tier};
pub use self::table::{Found, Origin, Prices, Table};
