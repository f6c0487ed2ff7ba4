//! How many results, and which first.

use super::printer::{Format, Printed};
use clap::Args;
use krt_store::Order;
use std::str::FromStr;

/// So many results are shown in a table if nothing else is said.
pub(super) const SHOWN: usize = 100;

/// How many results.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// At most so many, or `all` [default: 100 in a table, all in other formats]
    #[arg(long, value_name = "N")]
    limit: Option<Limit>,
}

/// Which results come first, and so are within the limit.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// The newest first, as by default
    #[arg(long, conflicts_with = "oldest")]
    newest: bool,

    /// The oldest first
    #[arg(long)]
    oldest: bool,
}

/// At most so many results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(usize);

impl FromStr for Limit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(usize::MAX)),
            number => number.parse().map(Self).map_err(|_| "expected a number, or `all`"),
        }
    }
}

impl LimitArgs {
    /// Whether a limit was typed.
    pub(super) fn is_set(&self) -> bool {
        self.limit.is_some()
    }

    /// The most results in a format.
    pub(super) fn of(&self, format: Format) -> usize {
        match (self.limit, format) {
            (Some(Limit(limit)), _) => limit,
            (None, Format::Table) => SHOWN,
            (None, Format::Json | Format::Csv) => usize::MAX,
        }
    }

    /// What was printed, as far as it is worth a word: who typed a limit knows of it.
    pub(super) fn told(&self, printed: Printed) -> Printed {
        Printed { any: printed.any, more: printed.more && !self.is_set() }
    }
}

impl OrderArgs {
    /// Whether an order was typed.
    pub(super) fn is_set(&self) -> bool {
        self.newest || self.oldest
    }

    /// Which results come first.
    pub(super) fn order(&self) -> Order {
        if self.oldest { Order::OldestFirst } else { Order::NewestFirst }
    }
}
