//! Finds and counts documents.

use super::{
    Shared,
    arguments::Arguments,
    cursors::{self, BatchLimits, Cursor, DocumentStream, FIRST_BATCH},
    error::CommandError,
    projection::Projection,
    sort::{self, Sort, Sorted},
};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use krt_store::{Filter, FindLimits};
use std::{sync::Arc, time::Duration};

/// The supported fields of `find`.
const FIND_FIELDS: [&str; 22] = [
    "allowDiskUse",
    "allowPartialResults",
    "awaitData",
    "batchSize",
    "collation",
    "filter",
    "hint",
    "let",
    "limit",
    "max",
    "min",
    "noCursorTimeout",
    "oplogReplay",
    "projection",
    "returnKey",
    "showRecordId",
    "singleBatch",
    "skip",
    "snapshot",
    "sort",
    "tailable",
    "term",
];
/// Fields that would change the result and are not supported.
const UNSUPPORTED_FIELDS: [&str; 8] =
    ["awaitData", "collation", "let", "max", "min", "returnKey", "showRecordId", "tailable"];
/// The timeout of a count.
const COUNT_TIMEOUT: Duration = Duration::from_secs(300);

/// A search with its order and form of results.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) filter: Document,
    pub(super) sort: Sort,
    pub(super) skip: u64,
    pub(super) limit: Option<u64>,
    pub(super) projection: Option<Projection>,
}

impl Search {
    /// Starts the search in a collection.
    pub(super) async fn open(
        self,
        shared: &Shared,
        database: &str,
        collection: &str,
    ) -> Result<DocumentStream, CommandError> {
        let Self { filter, sort, skip, limit, projection } = self;
        let found = match sort {
            Sort::Natural { newest_first } => {
                scan(shared, database, collection, &filter, FindLimits { skip, limit, newest_first })?
            }
            Sort::Fields(keys) => {
                let all = scan(shared, database, collection, &filter, FindLimits::default())?;
                window(sort::sorted(all, &keys, &shared.sorting).await?, skip, limit)
            }
        };
        Ok(match projection {
            None => found,
            Some(projection) => {
                let project = move |document: RawDocumentBuf| {
                    let projected = projection.apply(cursors::decode(&document)?);
                    RawDocumentBuf::try_from(&projected)
                        .map_err(|error| CommandError::BadValue(error.to_string()))
                };
                found.and_then(move |document| future::ready(project(document))).boxed()
            }
        })
    }
}

/// The documents that match a filter, in the order of saving. Any other database is empty.
fn scan(
    shared: &Shared,
    database: &str,
    collection: &str,
    filter: &Document,
    limits: FindLimits,
) -> Result<DocumentStream, CommandError> {
    if !shared.is_ours(database) {
        Filter::parse(filter).map_err(krt_store::Error::from)?;
        return Ok(stream::empty().boxed());
    }
    let found = shared.store.reader().find(collection, filter, limits)?;
    Ok(found.map_err(CommandError::from).boxed())
}

fn window(sorted: Sorted, skip: u64, limit: Option<u64>) -> DocumentStream {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let Sorted { documents, permit } = sorted;
    let documents = documents.into_iter().skip(count(skip)).take(limit.map_or(usize::MAX, count));
    // Frees the share of the memory with the last document.
    let permit = Arc::new(permit);
    stream::iter(documents)
        .map(move |document| {
            let _held = &permit;
            Ok(document)
        })
        .boxed()
}

pub(super) async fn find(shared: &Shared, database: &str, body: &Document) -> Result<Document, CommandError> {
    let arguments = Arguments::new("find", body).allow(&FIND_FIELDS)?;
    UNSUPPORTED_FIELDS.iter().try_for_each(|field| arguments.reject(field))?;
    let collection = collection(arguments)?;
    // A negative limit asks for a single batch of that size, as old drivers send it.
    let limit = arguments.integer("limit")?.filter(|&limit| limit != 0);
    let single = arguments.flag("singleBatch", false)? || limit.is_some_and(i64::is_negative);
    let limit = limit.map(i64::unsigned_abs);
    let search = Search {
        filter: arguments.document("filter")?,
        sort: Sort::parse(&arguments.document("sort")?)?,
        skip: arguments.count("skip")?.unwrap_or(0),
        limit,
        projection: Projection::parse(&arguments.document("projection")?)?,
    };
    let count = arguments.count("batchSize")?.unwrap_or(FIRST_BATCH);
    let found = search.open(shared, database, collection).await?;
    let cursor = Cursor::new(format!("{database}.{collection}"), found);
    shared.cursors.first_batch(cursor, BatchLimits { count, single, time: arguments.time()? }).await
}

pub(super) async fn count(
    shared: &Shared,
    database: &str,
    body: &Document,
) -> Result<Document, CommandError> {
    let arguments = Arguments::new("count", body);
    let arguments = arguments.allow(&["query", "limit", "skip", "hint", "fields", "collation"])?;
    arguments.reject("collation")?;
    let collection = collection(arguments)?;
    let limit = arguments.integer("limit")?.filter(|&limit| limit != 0).map(i64::unsigned_abs);
    let limits = FindLimits { skip: arguments.count("skip")?.unwrap_or(0), limit, newest_first: false };
    let found = scan(shared, database, collection, &arguments.document("query")?, limits)?;
    let count = count_all(found, arguments.time()?).await?;
    Ok(doc! { "n": as_number(count), "ok": 1.0 })
}

/// The number of documents that a search finds.
pub(super) async fn count_all(found: DocumentStream, time: Option<Duration>) -> Result<u64, CommandError> {
    let counted = found.try_fold(0_u64, |count, _| future::ready(Ok(count + 1)));
    let time = time.unwrap_or(COUNT_TIMEOUT).min(COUNT_TIMEOUT);
    tokio::time::timeout(time, counted).await.map_err(|_| CommandError::Time)?
}

/// A count in the smallest integer type that holds it, as in MongoDB.
pub(super) fn as_number(count: u64) -> Bson {
    match i32::try_from(count) {
        Ok(count) => Bson::Int32(count),
        Err(_) => Bson::Int64(i64::try_from(count).unwrap_or(i64::MAX)),
    }
}

pub(super) async fn get_more(
    shared: &Shared,
    database: &str,
    body: &Document,
) -> Result<Document, CommandError> {
    let arguments = Arguments::new("getMore", body).allow(&["collection", "batchSize", "term"])?;
    let Some(id) = arguments.integer("getMore")? else { return Err(CommandError::Cursor { id: 0 }) };
    let namespace = format!("{database}.{}", arguments.text("collection")?);
    let count = arguments.count("batchSize")?.filter(|&count| count > 0).unwrap_or(u64::MAX);
    let wanted = BatchLimits { count, single: false, time: arguments.time()? };
    shared.cursors.next_batch(id, &namespace, wanted).await
}

pub(super) fn kill_cursors(
    shared: &Shared,
    database: &str,
    body: &Document,
) -> Result<Document, CommandError> {
    let arguments = Arguments::new("killCursors", body).allow(&["cursors"])?;
    let namespace = format!("{database}.{}", arguments.collection()?);
    let (mut killed, mut not_found) = (Vec::new(), Vec::new());
    for id in arguments.array("cursors")? {
        let closed = id.as_i64().is_some_and(|id| shared.cursors.close(id, &namespace));
        if closed { &mut killed } else { &mut not_found }.push(id.clone());
    }
    let (alive, unknown) = (Vec::<Bson>::new(), Vec::<Bson>::new());
    Ok(doc! {
        "cursorsKilled": killed,
        "cursorsNotFound": not_found,
        "cursorsAlive": alive,
        "cursorsUnknown": unknown,
        "ok": 1.0,
    })
}

/// `listCollections`.
pub(super) async fn collections(
    shared: &Shared,
    database: &str,
    body: &Document,
) -> Result<Document, CommandError> {
    let arguments = Arguments::new("listCollections", body);
    let arguments = arguments.allow(&["filter", "nameOnly", "cursor", "authorizedCollections"])?;
    let names = arguments.flag("nameOnly", false)?;
    let filter = Filter::parse(&arguments.document("filter")?).map_err(krt_store::Error::from)?;
    let reader = shared.store.reader().clone();
    let collections = match shared.is_ours(database) {
        false => Vec::new(),
        true => tokio::task::spawn_blocking(move || reader.collections())
            .await
            .map_err(krt_store::Error::Interrupted)??,
    };
    let described = collections.into_iter().map(|collection| {
        let mut described = doc! { "name": collection.name, "type": "collection" };
        if !names {
            described.insert("options", doc! {});
            described.insert("info", doc! { "readOnly": false });
        }
        described
    });
    let passes = |described: &Document| {
        RawDocumentBuf::try_from(described).is_ok_and(|described| filter.matches(&described))
    };
    let batch = described.filter(passes).collect();
    Ok(cursors::reply(0, &format!("{database}.$cmd.listCollections"), "firstBatch", batch))
}

fn collection<'a>(arguments: Arguments<'a>) -> Result<&'a str, CommandError> {
    let name = arguments.collection()?;
    match name {
        "" => Err(CommandError::Collection { name: name.to_owned() }),
        name => Ok(name),
    }
}
