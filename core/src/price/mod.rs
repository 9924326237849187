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
pub use self::row::{read_factor, read_row, write_factor, write_row};
pub use self::sheet::{Factor, Factors, Part, Price, Sheet, Tier};
pub use self::table::{Found, Origin, Prices, Table};
