//! The documents of a search.

use crate::Error;
use bson::RawDocumentBuf;
use futures::stream::BoxStream;

/// The documents of a search. Dropping the stream ends the search.
pub type DocumentStream = BoxStream<'static, Result<RawDocumentBuf, Error>>;
