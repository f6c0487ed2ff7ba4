//! `krt data documents`, and documents as records.

use super::{
    paging::{LimitArgs, OrderArgs},
    printer::{Printed, Printer, Records},
    record::Record,
    unknown,
};
use crate::error::{Result, ensure};
use bson::{Document, RawDocumentBuf};
use clap::Args;
use futures::{Stream, StreamExt as _};
use krt_store::{Filter, FindLimits, Order, Reader};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{fmt, pin::Pin};
use tokio::runtime::{self, Runtime};

/// The arguments of `krt data documents`.
#[derive(Debug, Args)]
pub(super) struct DocumentsArgs {
    /// Collection; without it, lists all collections
    collection: Option<String>,

    /// Only documents that match this query: JSON in MongoDB's query language
    #[arg(long, value_name = "JSON", value_parser = query, requires = "collection")]
    query: Option<Document>,

    #[command(flatten)]
    limit: LimitArgs,

    #[command(flatten)]
    order: OrderArgs,
}

/// Prints documents, or lists all collections.
pub(super) fn print(args: &DocumentsArgs, reader: &Reader, printer: &mut Printer) -> Result<Printed> {
    let Some(collection) = &args.collection else { return print_list(args, reader, printer) };
    let known = reader.collections()?.into_iter().map(|collection| collection.name);
    unknown::check("there is no collection", collection, known.collect())?;
    let query = args.query.clone().unwrap_or_default();
    let printed = printer.print(args.limit.of(printer.format()), &|| {
        Ok(Documents::find(reader, collection, &query, args.order.order())?.records())
    })?;
    Ok(args.limit.note(printed))
}

fn print_list(args: &DocumentsArgs, reader: &Reader, printer: &mut Printer) -> Result<Printed> {
    ensure!(
        !args.limit.is_set() && !args.order.is_set(),
        "these options need the name of a collection";
        hint: "`krt data documents` lists all"
    );
    let collections = reader.collections()?.into_iter();
    let record =
        |name: String, count: u64| Record::default().with("collection", name).with("documents", count);
    printer.print_all(collections.map(|it| record(it.name, it.documents)).collect())
}

/// Parses and validates a query.
fn query(text: &str) -> Result<Document, krt_store::Error> {
    let query = krt_store::parse_document(text)?;
    Filter::parse(&query)?;
    Ok(query)
}

type Found = Pin<Box<dyn Stream<Item = Result<RawDocumentBuf, krt_store::Error>> + Send>>;

/// An iterator over documents that keeps only a few in memory.
pub(super) struct Documents {
    runtime: Runtime,
    found: Found,
}

impl Documents {
    /// Searches a collection.
    pub(super) fn find(reader: &Reader, collection: &str, query: &Document, order: Order) -> Result<Self> {
        let limits = FindLimits { newest_first: order == Order::NewestFirst, ..FindLimits::default() };
        Ok(Self {
            runtime: runtime::Builder::new_current_thread().build()?,
            found: Box::pin(reader.find(collection, query, limits)?),
        })
    }

    /// The documents as records.
    pub(super) fn records(self) -> Records<'static> {
        Box::new(self.map(|document| record(&document?)))
    }
}

impl Iterator for Documents {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.runtime.block_on(self.found.next())?.map_err(Into::into))
    }
}

/// A record with the document's JSON.
pub(super) fn record(document: &RawDocumentBuf) -> Result<Record> {
    let Fields(fields) = serde_json::from_str(&krt_store::to_json(document))?;
    Ok(fields.into_iter().fold(Record::default(), |record, (name, value)| record.with(name, value)))
}

/// The fields of a JSON object, in order.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}
