//! Aggregations that find and count: stages in the order `$match`, `$sort`, `$skip`, `$limit`, `$project`,
//! and last `$count` or a `$group` that counts everything, as drivers send for `countDocuments`.

use super::{
    Shared,
    arguments::{Arguments, to_integer},
    cursors::{self, BatchLimits, Cursor, FIRST_BATCH},
    error::CommandError,
    projection::Projection,
    read::{self, Search},
    sort::Sort,
};
use bson::{Bson, Document, doc};

/// An aggregation.
#[derive(Debug)]
struct Pipeline {
    search: Search,
    end: End,
}

/// The result of an aggregation.
#[derive(Debug, Clone, PartialEq)]
enum End {
    /// The documents.
    Documents,
    /// Their count: the names of the fields, where the first has a value of its own.
    Count { id: Option<Bson>, field: String },
}

/// The position of a stage in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Match,
    Sort,
    Skip,
    Limit,
    Project,
    Count,
}

impl Pipeline {
    fn parse(stages: &[Bson]) -> Result<Self, CommandError> {
        let search = Search {
            filter: Document::new(),
            sort: Sort::Natural { newest_first: false },
            skip: 0,
            limit: None,
            projection: None,
        };
        let mut pipeline = Self { search, end: End::Documents };
        let (mut filters, mut before) = (Vec::new(), Rank::Match);
        for stage in stages {
            let Some((name, value)) = stage.as_document().and_then(only_field) else {
                return Err(CommandError::BadValue("each stage must be an object with one field".to_owned()));
            };
            let rank = rank(name).ok_or_else(|| unsupported(name))?;
            if rank < before || (rank == before && rank != Rank::Match) {
                return Err(unsupported(&format!("{name} at this place in a pipeline")));
            }
            before = rank;
            if rank == Rank::Match {
                filters.push(document(name, value)?);
            } else {
                pipeline.put(name, value)?;
            }
        }
        pipeline.search.filter = match filters.len() {
            0 | 1 => filters.pop().unwrap_or_default(),
            _ => doc! { "$and": filters },
        };
        Ok(pipeline)
    }

    /// Adds a stage other than `$match`.
    fn put(&mut self, name: &str, value: &Bson) -> Result<(), CommandError> {
        match name {
            "$sort" => self.search.sort = Sort::parse(&document(name, value)?)?,
            "$skip" => self.search.skip = count(name, value)?,
            "$limit" => self.search.limit = Some(count(name, value)?).filter(|&limit| limit > 0),
            "$project" => self.search.projection = Projection::parse(&document(name, value)?)?,
            "$count" => {
                let field =
                    value.as_str().filter(|name| !name.is_empty() && !name.contains(['$', '.', '\0']));
                let field = field.ok_or_else(|| wrong(name, "the name of a field"))?.to_owned();
                self.end = End::Count { id: None, field };
            }
            _ => self.end = group(&document(name, value)?)?,
        }
        Ok(())
    }
}

fn rank(name: &str) -> Option<Rank> {
    Some(match name {
        "$match" => Rank::Match,
        "$sort" => Rank::Sort,
        "$skip" => Rank::Skip,
        "$limit" => Rank::Limit,
        "$project" => Rank::Project,
        "$count" | "$group" => Rank::Count,
        _ => return None,
    })
}

/// `{_id: 1, n: {$sum: 1}}`: everything in one group, counted.
fn group(group: &Document) -> Result<End, CommandError> {
    let mut fields = group.iter();
    let (first, second, third) = (fields.next(), fields.next(), fields.next());
    let (Some(("_id", id)), Some((field, sum)), None) = (first.map(by_name), second.map(by_name), third)
    else {
        return Err(unsupported("$group with other fields than `_id` and one sum"));
    };
    let constant = !matches!(id, Bson::Document(_) | Bson::Array(_))
        && !id.as_str().is_some_and(|text| text.starts_with('$'));
    let ones = sum
        .as_document()
        .and_then(only_field)
        .is_some_and(|(name, value)| name == "$sum" && to_integer(value) == Some(1));
    match constant && ones {
        true => Ok(End::Count { id: Some(id.clone()), field: field.to_owned() }),
        false => Err(unsupported("$group that does more than count")),
    }
}

fn by_name<'a>((name, value): (&'a String, &'a Bson)) -> (&'a str, &'a Bson) {
    (name.as_str(), value)
}

fn only_field(document: &Document) -> Option<(&str, &Bson)> {
    let mut fields = document.iter().map(by_name);
    fields.next().filter(|_| document.len() == 1)
}

fn document(name: &str, value: &Bson) -> Result<Document, CommandError> {
    value.as_document().cloned().ok_or_else(|| wrong(name, "an object"))
}

fn count(name: &str, value: &Bson) -> Result<u64, CommandError> {
    to_integer(value).and_then(|number| number.try_into().ok()).ok_or_else(|| wrong(name, "0 or more"))
}

fn wrong(name: &str, expected: &str) -> CommandError {
    CommandError::BadValue(format!("`{name}` must be {expected}"))
}

fn unsupported(what: &str) -> CommandError {
    CommandError::NotSupported { what: format!("the aggregation stage {what}") }
}

pub(super) async fn aggregate(
    shared: &Shared,
    database: &str,
    body: &Document,
) -> Result<Document, CommandError> {
    let arguments = Arguments::new("aggregate", body);
    let known = ["pipeline", "cursor", "allowDiskUse", "hint", "collation", "let", "explain"];
    let arguments = arguments.allow(&known)?;
    ["collation", "let", "explain"].into_iter().try_for_each(|field| arguments.reject(field))?;
    let collection = arguments.collection().map_err(|_| unsupported("over a whole database"))?;
    let Pipeline { search, end } = Pipeline::parse(&without_statistics(arguments.array("pipeline")?))?;
    let namespace = format!("{database}.{collection}");
    let found = search.open(shared, database, collection).await?;
    match end {
        End::Documents => {
            let cursor = arguments.document("cursor")?;
            let batch = Arguments::new("cursor", &cursor).count("batchSize")?.unwrap_or(FIRST_BATCH);
            let wanted = BatchLimits { count: batch, single: false, time: arguments.time()? };
            shared.cursors.first_batch(Cursor::new(namespace, found), wanted).await
        }
        End::Count { id, field } => {
            let count = read::count_all(found, arguments.time()?).await?;
            let mut counted = Document::new();
            counted.extend(id.map(|id| ("_id".to_owned(), id)));
            counted.insert(field, read::as_number(count));
            // Without documents there is no group.
            let batch = if count > 0 { vec![counted] } else { Vec::new() };
            Ok(cursors::reply(0, &namespace, "firstBatch", batch))
        }
    }
}

/// Removes the statistics with which some drivers count documents: `$collStats`, then a sum of its counts.
fn without_statistics(stages: &[Bson]) -> Vec<Bson> {
    let statistics = doc! { "$collStats": { "count": {} } };
    match stages {
        [Bson::Document(first), Bson::Document(second)] if *first == statistics => {
            let id = second.get_document("$group").ok().and_then(|group| group.get("_id")).cloned();
            vec![Bson::Document(doc! { "$group": { "_id": id, "n": { "$sum": 1 } } })]
        }
        stages => stages.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(stages: &[Document]) -> Result<Pipeline, CommandError> {
        let stages: Vec<_> = stages.iter().cloned().map(Bson::Document).collect();
        Pipeline::parse(&without_statistics(&stages))
    }

    #[test]
    fn counting_pipelines_of_drivers() {
        let counted = |id: Bson| End::Count { id: Some(id), field: "n".to_owned() };
        let group = || doc! { "$group": { "_id": 1, "n": { "$sum": 1 } } };
        let pipeline =
            parse(&[doc! { "$match": { "a": 1 } }, doc! { "$skip": 2 }, doc! { "$limit": 3_i64 }, group()]);
        let Pipeline { search, end } = pipeline.unwrap();
        assert_eq!((search.filter, search.skip, search.limit), (doc! { "a": 1 }, 2, Some(3)));
        assert_eq!(end, counted(Bson::Int32(1)));
        let statistics = doc! { "$collStats": { "count": {} } };
        let sum = doc! { "$group": { "_id": 1, "n": { "$sum": "$count" } } };
        assert_eq!(parse(&[statistics, sum]).unwrap().end, counted(Bson::Int32(1)));
        let end = parse(&[doc! { "$count": "all" }]).unwrap().end;
        assert_eq!(end, End::Count { id: None, field: "all".to_owned() });
        let both = parse(&[doc! { "$match": { "a": 1 } }, doc! { "$match": { "b": 2 } }]).unwrap();
        assert_eq!(both.search.filter, doc! { "$and": [{ "a": 1 }, { "b": 2 }] });
    }

    #[test]
    fn unsupported_pipelines() {
        for stages in [
            vec![doc! { "$lookup": {} }],
            vec![doc! { "$limit": 1 }, doc! { "$skip": 1 }],
            vec![doc! { "$limit": 1 }, doc! { "$limit": 2 }],
            vec![doc! { "$count": "n" }, doc! { "$match": {} }],
            vec![doc! { "$group": { "_id": "$a", "n": { "$sum": 1 } } }],
            vec![doc! { "$group": { "_id": 1, "n": { "$sum": "$a" } } }],
            vec![doc! { "$group": { "_id": 1, "n": { "$sum": 1 }, "m": { "$sum": 1 } } }],
            vec![doc! { "$match": {}, "$skip": 1 }],
            vec![doc! { "$match": 1 }],
            vec![doc! { "$skip": -1 }],
            vec![doc! { "$count": "" }],
            // A string may hold it, the name of a field may not.
            vec![doc! { "$count": "a\0b" }],
        ] {
            assert!(parse(&stages).is_err(), "{stages:?}");
        }
    }
}
