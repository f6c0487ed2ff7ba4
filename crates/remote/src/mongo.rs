//! Documents in MongoDB, validated by the embedded store's rules.
//!
//! The server interprets queries: it supports more operators than the embedded store.

use crate::{Address, DocumentStream, Error};
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::StreamExt as _;
use krt_store::{ValidDocument, check_collection, check_document, json::value_text};
use mongodb::{
    Client, Database,
    error::{ErrorKind, WriteFailure},
    options::{Acknowledgment, ClientOptions},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// The default timeout of server selection: a handler waits for it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The memory of documents in flight, in KiB, as in the embedded store.
const BUDGET: u32 = 64 << 10;
/// The database that a check of the connection names; it needs no rights there.
const PINGED: &str = "admin";
/// The server's code for a second document with the same `_id`.
const DUPLICATE_KEY: i32 = 11000;

/// A server, whose connections the databases of all runtimes share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MongoServer {
    client: Client,
    address: Address,
}

/// The database of a runtime. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mongo {
    database: Database,
    address: Address,
    budget: Arc<Semaphore>,
}

impl MongoServer {
    /// Connects, and sends one request to check the connection.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let options = parse(address).await?;
        let failed = |source| Error::Connect { address: address.clone(), source };
        let client = Client::with_options(options).map_err(failed)?;
        ping(&client).await.map_err(failed)?;
        Ok(Self { client, address: address.clone() })
    }

    /// The database of a runtime.
    pub fn database(&self, runtime: &str) -> Mongo {
        let database = self.client.database(&database_name(runtime));
        let budget = Arc::new(Semaphore::new(BUDGET as usize));
        Mongo { database, address: self.address.clone(), budget }
    }
}

/// Sends one request, to check the connection.
async fn ping(client: &Client) -> Result<(), mongodb::error::Error> {
    client.database(PINGED).run_command(doc! { "ping": 1 }).await.map(drop)
}

/// The name of a runtime's database.
pub fn database_name(runtime: &str) -> String {
    format!("{runtime}-data")
}

impl Mongo {
    /// Opens the database `<runtime>-data`, and sends one request to check the connection.
    pub async fn connect(address: &Address, runtime: &str) -> Result<Self, Error> {
        Ok(MongoServer::connect(address).await?.database(runtime))
    }

    /// The server's address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// Sends one request, to check the connection.
    pub async fn check(&self) -> Result<(), Error> {
        ping(self.database.client()).await.map_err(|source| self.failure(source))
    }

    /// Deletes the database with all its documents, including those that others have put there.
    pub(crate) async fn delete(&self) -> Result<(), Error> {
        self.database.drop().await.map_err(|source| self.failure(source))
    }

    /// Saves a document; see [`Documents::save`](crate::Documents::save).
    pub(crate) async fn save(&self, collection: &str, document: Document) -> Result<Bson, Error> {
        check_collection(collection).map_err(krt_store::Error::from)?;
        let ValidDocument { id, data } = check_document(document).map_err(krt_store::Error::from)?;
        let share = u32::try_from(data.len() / 1024 + 1).unwrap_or(BUDGET).min(BUDGET);
        let permit = self.budget.acquire_many(share).await.expect("the semaphore is never closed");
        let raw = RawDocumentBuf::from_bytes(data).expect("what was encoded just now is whole");
        let saved = self.database.collection::<RawDocumentBuf>(collection).insert_one(raw).await;
        drop(permit);
        match saved {
            Ok(_) => Ok(id),
            Err(source) if is_duplicate(&source) => {
                let collection = collection.to_owned();
                Err(krt_store::Error::Duplicate { collection, id: value_text(&id) }.into())
            }
            Err(source) => Err(self.failure(source)),
        }
    }

    /// Finds documents; see [`Documents::find`](crate::Documents::find).
    pub(crate) async fn find(&self, collection: &str, query: Document) -> Result<DocumentStream, Error> {
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let cursor = collection.find(query).await.map_err(|source| self.failure(source))?;
        let mongo = self.clone();
        Ok(cursor.map(move |next| next.map_err(|source| mongo.failure(source))).boxed())
    }

    fn failure(&self, source: mongodb::error::Error) -> Error {
        Error::Mongo { address: self.address.clone(), source }
    }
}

fn is_duplicate(error: &mongodb::error::Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == DUPLICATE_KEY
    )
}

/// Parses the URL, and requires that a save returns only after it was confirmed.
async fn parse(address: &Address) -> Result<ClientOptions, Error> {
    let wrong = |reason| Error::Address { address: address.clone(), store: "MongoDB", reason };
    let mut options = match ClientOptions::parse(address.secret()).await {
        Ok(options) => options,
        Err(_) => return Err(wrong(reason(address).await)),
    };
    let concern = options.write_concern.as_ref().and_then(|concern| concern.w.as_ref());
    if concern == Some(&Acknowledgment::Nodes(0)) {
        return Err(wrong("with `w=0` no save is ever confirmed".to_owned()));
    }
    options.app_name.get_or_insert_with(|| "krt".to_owned());
    options.server_selection_timeout.get_or_insert(TIMEOUT);
    options.connect_timeout.get_or_insert(TIMEOUT);
    Ok(options)
}

/// Explains what is wrong with a URL. The driver's message may quote the secret, so the driver parses the
/// same URL without it.
async fn reason(address: &Address) -> String {
    let without = match address.credentials() {
        Some(credentials) => address.secret().replacen(credentials, "user:password", 1),
        None => address.secret().to_owned(),
    };
    match ClientOptions::parse(without).await {
        Ok(_) => "the user and the password must be percent-encoded".to_owned(),
        Err(error) => match *error.kind {
            ErrorKind::InvalidArgument { message, .. } => message,
            _ => error.to_string(),
        },
    }
}
