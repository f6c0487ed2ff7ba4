//! Limits and order of results.

use super::printer::{Format, Printed};
use clap::Args;
use krt_store::Order;
use std::str::FromStr;

/// The default number of results in a table.
pub(super) const DEFAULT_LIMIT: usize = 100;

/// The limit of results.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Most rows to print, or `all` [default: 100 in a table, all in other formats]
    #[arg(long, value_name = "N")]
    limit: Option<Limit>,
}

/// The order of results, which decides which ones are within the limit.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// Newest first (the default)
    #[arg(long, conflicts_with = "oldest")]
    newest: bool,

    /// Oldest first
    #[arg(long)]
    oldest: bool,
}

/// The maximum number of results.
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
    /// Whether the limit was given.
    pub(super) fn is_set(&self) -> bool {
        self.limit.is_some()
    }

    /// The maximum number of results in a format.
    pub(super) fn of(&self, format: Format) -> usize {
        match (self.limit, format) {
            (Some(Limit(limit)), _) => limit,
            (None, Format::Table) => DEFAULT_LIMIT,
            (None, Format::Json | Format::Csv) => usize::MAX,
        }
    }

    /// Drops the note about more results if the user set the limit.
    pub(super) fn note(&self, printed: Printed) -> Printed {
        Printed { any: printed.any, more: printed.more && !self.is_set() }
    }
}

impl OrderArgs {
    /// Whether the order was given.
    pub(super) fn is_set(&self) -> bool {
        self.newest || self.oldest
    }

    /// The order of results.
    pub(super) fn order(&self) -> Order {
        if self.oldest { Order::OldestFirst } else { Order::NewestFirst }
    }
}
