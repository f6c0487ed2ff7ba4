//! Summarizes predictions.

use super::{
    printer::{Format, Printed, Printer},
    record::Record,
};
use crate::error::Result;
use bson::RawDocumentBuf;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of different pairs of true and predicted value that are counted separately.
const MAX_PAIRS: usize = 10_000;

/// The maximum number of different values for a readable confusion matrix.
const MAX_MATRIX: usize = 12;

/// The quality of predictions.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    /// The number of predictions without an error whose true value is known.
    compared: u64,
    correct: u64,
    /// The number of errors of each kind.
    errors: BTreeMap<String, u64>,
    /// The number of predictions for each pair of true and predicted value.
    pairs: BTreeMap<(String, String), u64>,
    /// The number of predictions beyond [`MAX_PAIRS`].
    other: u64,
    /// The number of predictions whose true value is not known yet.
    pending: u64,
    /// The number of requests with a true value that came later, but without a prediction.
    pub(super) unmatched_updates: u64,
}

/// The summary as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sums<'a> {
    count: u64,
    compared: u64,
    correct: u64,
    accuracy: Option<f64>,
    errors: &'a BTreeMap<String, u64>,
    confusion: Vec<Pair<'a>>,
    /// The number of predictions beyond [`MAX_PAIRS`].
    other: u64,
    pending: u64,
    unmatched_updates: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pair<'a> {
    true_value: &'a str,
    predicted_value: &'a str,
    count: u64,
}

impl Summary {
    /// Counts a prediction (docs/reference/krt-v1.md#predictions).
    pub(super) fn add(&mut self, prediction: &RawDocumentBuf) {
        let text = |name| prediction.get_str(name).unwrap_or_default().to_owned();
        let (error, wanted) = (text("error"), text("trueValue"));
        if !error.is_empty() {
            *self.errors.entry(error).or_default() += 1;
        } else if wanted.is_empty() {
            self.pending += 1;
        } else {
            self.compare(wanted, text("predictedValue"));
        }
    }

    fn compare(&mut self, wanted: String, predicted: String) {
        self.compared += 1;
        self.correct += u64::from(wanted == predicted);
        let pair = (wanted, predicted);
        if self.pairs.len() < MAX_PAIRS || self.pairs.contains_key(&pair) {
            *self.pairs.entry(pair).or_default() += 1;
        } else {
            self.other += 1;
        }
    }

    fn count(&self) -> u64 {
        self.compared + self.pending + self.errors.values().sum::<u64>()
    }

    /// The share of correct predictions among those compared.
    fn accuracy(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.correct as f64 / self.compared as f64)
    }

    /// Prints one object in JSON, or a row for each counter in CSV.
    pub(super) fn print(&self, printer: &mut Printer) -> Result<Printed> {
        if self.count() + self.unmatched_updates == 0 {
            return Ok(Printed { any: false, more: false });
        }
        match printer.format() {
            Format::Json => printer.text(&format!("{}\n", self.json()?)),
            Format::Csv => printer.print_all(self.rows().collect()).map(drop),
            Format::Table => self.print_tables(printer),
        }?;
        Ok(Printed { any: true, more: false })
    }

    fn json(&self) -> serde_json::Result<String> {
        let confusion = self.pairs.iter().map(|((wanted, predicted), &count)| Pair {
            true_value: wanted,
            predicted_value: predicted,
            count,
        });
        serde_json::to_string(&Sums {
            count: self.count(),
            compared: self.compared,
            correct: self.correct,
            accuracy: self.accuracy(),
            errors: &self.errors,
            confusion: confusion.collect(),
            other: self.other,
            pending: self.pending,
            unmatched_updates: self.unmatched_updates,
        })
    }

    /// Rows that count every prediction exactly once.
    fn rows(&self) -> impl Iterator<Item = Record> {
        let row = |wanted: Option<&str>, predicted: Option<&str>, error: Option<&str>, count: u64| {
            Record::default()
                .with("trueValue", wanted)
                .with("predictedValue", predicted)
                .with("error", error)
                .with("count", count)
        };
        let pairs = self.pairs.iter();
        let pairs =
            pairs.map(move |((wanted, predicted), &count)| row(Some(wanted), Some(predicted), None, count));
        let other = (self.other > 0).then(|| row(None, None, None, self.other));
        let errors = self.errors.iter().map(move |(error, &count)| row(None, None, Some(error), count));
        let pending = (self.pending > 0).then(|| row(None, None, Some("pending"), self.pending));
        pairs.chain(other).chain(errors).chain(pending)
    }

    fn print_tables(&self, printer: &mut Printer) -> Result<()> {
        let accuracy = self.accuracy().map(|accuracy| format!("{:.1} %", accuracy * 100.0));
        let mut head = Record::default()
            .with("predictions", self.count())
            .with("compared", self.compared)
            .with("correct", self.correct)
            .with("accuracy", accuracy);
        for (name, count) in
            [("pending", self.pending), ("updates without prediction", self.unmatched_updates)]
        {
            if count > 0 {
                head = head.with(name, count);
            }
        }
        printer.print_all(vec![head])?;
        if !self.errors.is_empty() {
            printer.text("\n")?;
            let row = |(error, &count): (&String, _)| {
                Record::default().with("error", error.as_str()).with("count", count)
            };
            printer.print_all(self.errors.iter().map(row).collect())?;
        }
        if !self.pairs.is_empty() {
            printer.text("\n")?;
            printer.print_all(self.confusion())?;
        }
        Ok(())
    }

    /// A row for each true value and a column for each predicted one. With many values, a row for each pair
    /// instead, most frequent first.
    fn confusion(&self) -> Vec<Record> {
        let predicted: BTreeSet<_> = self.pairs.keys().map(|(_, predicted)| predicted).collect();
        let wanted: BTreeSet<_> = self.pairs.keys().map(|(wanted, _)| wanted).collect();
        if predicted.len() > MAX_MATRIX || wanted.len() > 2 * MAX_MATRIX {
            return self.frequent();
        }
        let count = |wanted: &str, predicted: &str| {
            self.pairs.get(&(wanted.to_owned(), predicted.to_owned())).copied().unwrap_or_default()
        };
        let row = |wanted: &String| {
            let cells = predicted.iter().map(|predicted| ((*predicted).clone(), count(wanted, predicted)));
            Record::default().with("true \\ predicted", wanted.as_str()).with_group("predicted", cells)
        };
        wanted.into_iter().map(row).collect()
    }

    fn frequent(&self) -> Vec<Record> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let row = |((wanted, predicted), &count): (&(String, String), _)| {
            Record::default()
                .with("true", wanted.as_str())
                .with("predicted", predicted.as_str())
                .with("count", count)
        };
        let rest: u64 = pairs.iter().skip(MAX_SHOWN).map(|(_, count)| **count).sum::<u64>() + self.other;
        let others = (rest > 0).then(|| Record::default().with("true", "(others)").with("count", rest));
        pairs.into_iter().take(MAX_SHOWN).map(row).chain(others).collect()
    }
}

/// The maximum number of pairs in a table.
const MAX_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_past_the_limit_are_only_counted() {
        let mut summary = Summary::default();
        for n in 0..MAX_PAIRS + 5 {
            summary.compare(n.to_string(), n.to_string());
        }
        summary.compare("0".to_owned(), "0".to_owned());
        assert_eq!(
            (summary.pairs.len(), summary.other, summary.correct),
            (MAX_PAIRS, 5, MAX_PAIRS as u64 + 6)
        );
        let counted: u64 = summary.pairs.values().sum::<u64>() + summary.other;
        assert_eq!(counted, summary.count());
        let shown = summary.confusion();
        assert_eq!(shown.len(), MAX_SHOWN + 1);
        assert_eq!(shown[0].fields()[2].1.text(), "2", "the most frequent comes first");
    }

    #[test]
    fn an_empty_summary_has_no_accuracy() {
        assert_eq!(Summary::default().accuracy(), None);
    }
}
