//! Compares the stored data with the data that handlers confirmed.

use super::load::Tally;
use bson::RawBsonRef;
use futures::TryStreamExt as _;
use krt_store::{FindLimits, PREDICTIONS, Reader};
use std::{collections::HashMap, fmt, path::Path};
use tempfile::TempDir;

/// The stored data of one kind.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    stored: usize,
    confirmed: usize,
    /// Confirmed, but not stored.
    lost: Vec<u32>,
    /// Stored more than once.
    doubled: Vec<u32>,
}

/// The stored data.
#[derive(Debug)]
pub(super) struct Saved([Kind; 2]);

/// Reads the store after the engine has stopped.
pub(super) async fn compare(folder: TempDir, tally: &Tally) -> Saved {
    let data = folder.path().join("data");
    let (documents, predictions) =
        (tally.documents.lock().unwrap().clone(), tally.predictions.lock().unwrap().clone());
    let (saved, predicted) =
        (numbers(&data, "saved", &[]).await, numbers(&data, PREDICTIONS, &["extra"]).await);
    Saved([
        Kind::compare("documents", &saved, &documents),
        Kind::compare("predictions", &predicted, &predictions),
    ])
}

/// How often each number is stored; `path` leads to the number in a document.
async fn numbers(data: &Path, collection: &str, path: &[&str]) -> HashMap<u32, usize> {
    let reader = Reader::open(data).expect("the engine has left a store");
    let mut found = Box::pin(reader.find(collection, &bson::doc! {}, FindLimits::default()).unwrap());
    let mut counts = HashMap::new();
    while let Some(document) = found.try_next().await.unwrap() {
        let document = path.iter().fold(&*document, |document, name| document.get_document(name).unwrap());
        let number = match document.get("number").unwrap() {
            Some(RawBsonRef::Int32(number)) => i64::from(number),
            Some(RawBsonRef::Int64(number)) => number,
            other => panic!("each has a number, not {other:?}"),
        };
        *counts.entry(u32::try_from(number).unwrap()).or_default() += 1;
    }
    counts
}

impl Kind {
    fn compare(name: &'static str, stored: &HashMap<u32, usize>, confirmed: &[u32]) -> Self {
        let lost = confirmed.iter().filter(|number| !stored.contains_key(number)).copied().collect();
        let doubled = stored.iter().filter(|(_, count)| **count > 1).map(|(number, _)| *number).collect();
        Self { name, stored: stored.values().sum(), confirmed: confirmed.len(), lost, doubled }
    }
}

impl Saved {
    pub(super) fn assert_nothing_lost(&self) {
        for Kind { name, lost, .. } in &self.0 {
            assert!(lost.is_empty(), "{name} were confirmed and are lost: {lost:?}");
        }
    }

    pub(super) fn assert_nothing_doubled(&self) {
        for Kind { name, doubled, .. } in &self.0 {
            assert!(doubled.is_empty(), "{name} are stored more than once: {doubled:?}");
        }
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Kind { name, stored, confirmed, lost, doubled }) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            let (lost, doubled) = (lost.len(), doubled.len());
            write!(
                f,
                "{between}{name}: {confirmed} confirmed, {stored} stored, {lost} lost, {doubled} doubled"
            )?;
        }
        Ok(())
    }
}
