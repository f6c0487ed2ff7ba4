//! Scores predictions: accuracy, scores by class, confusion, and their course over time.

use krt_api::{
    Time,
    prediction::{ClassScore, Confusion, PredictionSummary, PredictionWindow},
};
use krt_registry::Timestamp;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// The most labels counted apart; all others are counted together.
const MAX_LABELS: usize = 200;
/// The name of all other labels together.
const OTHERS: &str = "…";

/// A prediction with what its score needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoredPrediction<'a> {
    /// When it was made.
    pub time: Timestamp,
    /// The predicted label.
    pub predicted: &'a str,
    /// The true label, once known.
    pub actual: Option<&'a str>,
    /// Why it cannot be scored.
    pub error: Option<ScoreError>,
}

/// Why a prediction cannot be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreError {
    /// Values were missing.
    MissingValues,
    /// Labels were new.
    NewLabels,
}

impl ScoreError {
    /// Parses the text that a node saved.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "missing_values" => Some(Self::MissingValues),
            "new_labels" => Some(Self::NewLabels),
            _ => None,
        }
    }
}

/// Counts of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Count {
    predictions: u64,
    correct: u64,
    missing_values: u64,
    new_labels: u64,
    pending: u64,
}

impl Count {
    fn add(&mut self, prediction: &ScoredPrediction<'_>) {
        match (prediction.error, prediction.actual) {
            (Some(ScoreError::MissingValues), _) => self.missing_values += 1,
            (Some(ScoreError::NewLabels), _) => self.new_labels += 1,
            (None, None) => self.pending += 1,
            (None, Some(actual)) => {
                self.predictions += 1;
                self.correct += u64::from(prediction.predicted == actual);
            }
        }
    }
}

/// A running count of predictions.
#[derive(Debug, Default)]
pub struct Tally {
    all: Count,
    span: Option<(Timestamp, Timestamp)>,
    /// The number of each label, in order of appearance.
    labels: HashMap<String, usize>,
    /// By the numbers of the true and of the predicted label.
    pairs: HashMap<(usize, usize), u64>,
    /// By second; merged into windows once their length is known.
    seconds: BTreeMap<i64, Count>,
}

impl Tally {
    /// Counts a prediction.
    pub fn add(&mut self, prediction: &ScoredPrediction<'_>) {
        self.all.add(prediction);
        let (first, last) = self.span.unwrap_or((prediction.time, prediction.time));
        self.span = Some((first.min(prediction.time), last.max(prediction.time)));
        self.seconds.entry(prediction.time.0.div_euclid(1_000_000)).or_default().add(prediction);
        if let (None, Some(actual)) = (prediction.error, prediction.actual) {
            let pair = (self.label(actual), self.label(prediction.predicted));
            *self.pairs.entry(pair).or_default() += 1;
        }
    }

    /// The label's number, or the number of all others when there are too many.
    fn label(&mut self, label: &str) -> usize {
        if let Some(&number) = self.labels.get(label) {
            return number;
        }
        let label = if self.labels.len() < MAX_LABELS { label } else { OTHERS };
        let next = self.labels.len();
        *self.labels.entry(label.to_owned()).or_insert(next)
    }

    /// Sums up, in windows of `every`, or in about a hundred windows. `unmatched` counts updates without a prediction.
    pub fn finish(self, every: Option<Duration>, unmatched: u64, truncated: bool) -> PredictionSummary {
        let every = every.map_or_else(|| self.every(), |every| every.as_secs().max(1));
        let mut labels: Vec<_> = self.labels.iter().map(|(label, number)| (label.clone(), *number)).collect();
        labels.sort();
        let pair = |actual, predicted| self.pairs.get(&(actual, predicted)).copied().unwrap_or_default();
        let row = |(_, actual): &(String, usize)| {
            labels.iter().map(|(_, predicted)| pair(*actual, *predicted)).collect()
        };
        let counts: Vec<Vec<u64>> = labels.iter().map(row).collect();
        let labels: Vec<String> = labels.into_iter().map(|(label, _)| label).collect();
        PredictionSummary {
            predictions: self.all.predictions,
            correct: self.all.correct,
            accuracy: ratio(self.all.correct, self.all.predictions),
            missing_values: self.all.missing_values,
            new_labels: self.all.new_labels,
            pending: self.all.pending,
            unmatched_updates: unmatched,
            first: self.span.map(|(first, _)| Time(first.0)),
            last: self.span.map(|(_, last)| Time(last.0)),
            classes: labels.iter().enumerate().map(|(index, label)| class(label, index, &counts)).collect(),
            over_time: windows(&self.seconds, every),
            confusion: Confusion { labels, counts },
            every_seconds: every,
            truncated,
        }
    }

    fn every(&self) -> u64 {
        let span = self.span.map_or(0, |(first, last)| last.0 - first.0);
        (span.unsigned_abs() / 1_000_000 / 100).max(1)
    }
}

fn class(label: &str, index: usize, counts: &[Vec<u64>]) -> ClassScore {
    let support = counts[index].iter().sum();
    let predicted = counts.iter().map(|row| row[index]).sum();
    let correct = counts[index][index];
    let f1 = ratio(2 * correct, support + predicted);
    let (precision, recall) = (ratio(correct, predicted), ratio(correct, support));
    ClassScore { label: label.to_owned(), support, predicted, correct, precision, recall, f1 }
}

fn windows(seconds: &BTreeMap<i64, Count>, every: u64) -> Vec<PredictionWindow> {
    let every = i64::try_from(every).unwrap_or(i64::MAX);
    let mut windows = BTreeMap::<i64, Count>::new();
    for (second, count) in seconds {
        let window = windows.entry(second.div_euclid(every) * every).or_default();
        window.predictions += count.predictions;
        window.correct += count.correct;
        window.missing_values += count.missing_values;
        window.new_labels += count.new_labels;
    }
    let window = |(start, count): (i64, Count)| PredictionWindow {
        start: Time(start.saturating_mul(1_000_000)),
        predictions: count.predictions,
        correct: count.correct,
        accuracy: ratio(count.correct, count.predictions),
        missing_values: count.missing_values,
        new_labels: count.new_labels,
    };
    windows.into_iter().map(window).collect()
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction<'a>(second: i64, actual: &'a str, predicted: &'a str) -> ScoredPrediction<'a> {
        ScoredPrediction { time: Timestamp(second * 1_000_000), predicted, actual: Some(actual), error: None }
    }

    #[test]
    fn scores() {
        let mut tally = Tally::default();
        for (second, actual, predicted) in
            [(0, "cat", "cat"), (1, "cat", "dog"), (2, "dog", "dog"), (61, "dog", "dog")]
        {
            tally.add(&prediction(second, actual, predicted));
        }
        tally.add(&ScoredPrediction { error: Some(ScoreError::NewLabels), ..prediction(62, "", "") });
        tally.add(&ScoredPrediction { actual: None, ..prediction(63, "", "cat") });
        let summary = tally.finish(Some(Duration::from_secs(60)), 5, false);
        assert_eq!((summary.predictions, summary.correct, summary.new_labels), (4, 3, 1));
        assert_eq!((summary.pending, summary.unmatched_updates), (1, 5));
        assert_eq!(summary.accuracy, Some(0.75));
        assert_eq!(summary.confusion.labels, ["cat", "dog"]);
        assert_eq!(summary.confusion.counts, [[1, 1], [0, 2]]);
        let dog = &summary.classes[1];
        assert_eq!((dog.support, dog.predicted, dog.correct), (2, 3, 2));
        assert_eq!((dog.recall, dog.f1), (Some(1.0), Some(0.8)));
        let accuracies: Vec<_> = summary.over_time.iter().map(|window| window.correct).collect();
        assert_eq!(accuracies, [2, 1]);
    }

    #[test]
    fn an_empty_tally_has_no_accuracy() {
        let summary = Tally::default().finish(None, 0, false);
        assert_eq!((summary.accuracy, summary.every_seconds, summary.over_time.len()), (None, 1, 0));
    }

    #[test]
    fn excess_labels_are_combined() {
        let mut tally = Tally::default();
        for number in 0..MAX_LABELS + 50 {
            let label = number.to_string();
            tally.add(&prediction(0, &label, &label));
        }
        let summary = tally.finish(None, 0, false);
        assert_eq!(summary.confusion.labels.len(), MAX_LABELS + 1);
        assert_eq!(summary.predictions as usize, MAX_LABELS + 50);
    }
}
