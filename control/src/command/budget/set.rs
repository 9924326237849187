//! `keyswap budget set`: the budget of a subject, in place of the present one.

use clap::{ArgGroup, Args, ValueEnum};

use super::subject::Subject;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::{Budget, Per, Zone};

/// Set the budget of a token, an owner or a team
///
/// It goes before the policy's budget for the subject. Data planes follow within a minute. What was spent counts on, unless
/// the unit, the period or the time zone changes: then another window begins.
#[derive(Args)]
#[command(
    group = ArgGroup::new("amount").required(true).args(["usd", "tokens"]),
    after_help = exit::help(
        "  keyswap budget set owner:alice@example.com --usd 25 --per week --database sqlite://keyswap.db\n  \
         keyswap budget set token:ci --tokens 1000000 --per day --database sqlite://keyswap.db"
    )
)]
pub(crate) struct Set {
    #[command(flatten)]
    subject: Subject,
    /// Dollars in each window, such as `500` or `0.25`
    #[arg(long, value_name = "DOLLARS")]
    usd: Option<String>,
    /// Input and output tokens in each window
    #[arg(long, value_name = "COUNT")]
    tokens: Option<u64>,
    /// Length of the windows; weeks begin on Monday
    #[arg(long, value_enum)]
    per: PerName,
    /// Time zone in which windows begin, a name of the IANA database
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    #[command(flatten)]
    target: Target,
}

/// The length of a window on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum PerName {
    /// From minute 0 to minute 0
    Hour,
    /// From midnight to midnight
    Day,
    /// From Monday to Monday
    Week,
    /// From the first of a month to the first of the next
    Month,
}

impl From<PerName> for Per {
    fn from(name: PerName) -> Self {
        match name {
            PerName::Hour => Self::Hour,
            PerName::Day => Self::Day,
            PerName::Week => Self::Week,
            PerName::Month => Self::Month,
        }
    }
}

impl Set {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let (per, zone) = (self.per.into(), Zone::parse(&self.timezone)?);
        let budget = match (&self.usd, self.tokens) {
            (Some(usd), _) => Budget::of_dollars(usd, per, zone)?,
            (None, tokens) => Budget::of_tokens(tokens.unwrap_or(0), per, zone)?,
        };
        let registry = self.target.open_or_make()?;
        let subject = self.subject.find(&*registry)?;
        view::print(&registry.set_budget(&subject, &budget)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
