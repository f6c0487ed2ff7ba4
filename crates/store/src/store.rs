//! The handle that writes, and the owner of its threads.

use crate::{
    database,
    documents::{
        self, check, key,
        queue::{Queue, Save, SaveGroup},
    },
    error::{Error, PointError},
    log::LogRecord,
    options::Options,
    point::{Key, Point, Value, put_key, put_row},
    reader::Reader,
    telemetry::{self, Counters, Sink, Telemetry},
};
use bson::{Bson, Document};
use krt_model::request::RequestRecord;
use std::{
    fmt,
    fs::File,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

/// Writes to a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    telemetry: Arc<Telemetry>,
    queue: Arc<Queue>,
    reader: Reader,
}

/// Owns the threads that write, and the folder's lock. Dropping it equals [`Writer::close`].
#[derive(Debug)]
pub struct Writer {
    telemetry: Arc<Telemetry>,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    /// Held until the threads have ended.
    _lock: File,
}

/// A measurement with its tags, encoded once for many points. Cheap to clone.
#[derive(Clone)]
pub struct Series {
    telemetry: Arc<Telemetry>,
    measurement: Arc<str>,
    key: Key,
}

impl Store {
    /// Opens or creates the store in a folder. Only one process may have it open to write.
    pub fn open(folder: &Path, options: &Options) -> Result<(Self, Writer), Error> {
        Self::build(folder, options, None)
    }

    /// Opens the store in a folder like [`Store::open`], but sends points to `sink`.
    pub fn open_with_sink(
        folder: &Path,
        options: &Options,
        sink: Box<dyn Sink>,
    ) -> Result<(Self, Writer), Error> {
        Self::build(folder, options, Some(sink))
    }

    fn build(folder: &Path, options: &Options, sink: Option<Box<dyn Sink>>) -> Result<(Self, Writer), Error> {
        let lock = database::lock(folder)?;
        let telemetry = Arc::new(Telemetry::new(options.buffer));
        let queue = Arc::new(Queue::new());
        let points = telemetry::Writer::open(folder, options, sink, Arc::clone(&telemetry))?;
        let saves = documents::writer::Writer::open(folder, options, Arc::clone(&queue))?;
        let reader = Reader::open(folder)?;
        let mut writer = Writer {
            telemetry: Arc::clone(&telemetry),
            queue: Arc::clone(&queue),
            threads: Vec::new(),
            _lock: lock,
        };
        writer.spawn("krt-telemetry", || points.run())?;
        writer.spawn("krt-documents", || saves.run())?;
        Ok((Self { telemetry, queue, reader }, writer))
    }

    /// Encodes a series, for many points with the same tags.
    pub fn series(&self, measurement: &str, tags: &[(&str, &str)]) -> Result<Series, PointError> {
        let key = Key::new(measurement, tags)?;
        Ok(Series { telemetry: Arc::clone(&self.telemetry), measurement: measurement.into(), key })
    }

    /// Adds a point. Never blocks; when the buffer is full, the point is dropped and counted.
    pub fn measure(&self, point: &Point<'_>) -> Result<(), PointError> {
        point.check()?;
        let mut key = Vec::with_capacity(256);
        put_key(&mut key, point.measurement, point.tags)?;
        self.telemetry.measure(|out| put_row(out, &key, point.time, point.fields));
        Ok(())
    }

    /// Adds a log record. Never blocks; when the buffer is full, the record is dropped and counted.
    pub fn log(&self, record: &LogRecord<'_>) {
        self.telemetry.log(record);
    }

    /// Adds a finished request. Never blocks; when the buffer is full, the request is dropped and counted.
    pub fn request(&self, request: &RequestRecord) {
        self.telemetry.request(request);
    }

    /// Saves a document and returns its `_id`, which is added where missing.
    ///
    /// Once this returns, the document survives any end of the process; a power cut may still lose the last
    /// ones.
    pub async fn save(&self, collection: &str, document: Document) -> Result<Bson, Error> {
        self.begin(collection, document, None).await?.await.unwrap_or(Err(Error::Closed))
    }

    /// Saves documents in sequence, like [`Store::save`], and returns each result. With `ordered`, the first
    /// error is the last result, and the rest are not saved.
    pub async fn save_many(
        &self,
        collection: &str,
        documents: Vec<Document>,
        ordered: bool,
    ) -> Vec<Result<Bson, Error>> {
        let order = ordered.then(SaveGroup::default);
        let mut begun = Vec::with_capacity(documents.len());
        for document in documents {
            let save = self.begin(collection, document, order.clone()).await;
            let failed = save.is_err();
            begun.push(save);
            if failed && ordered {
                break;
            }
        }
        let mut results = Vec::with_capacity(begun.len());
        for save in begun {
            let result = match save {
                Ok(confirmed) => confirmed.await.unwrap_or(Err(Error::Closed)),
                Err(error) => Err(error),
            };
            let failed = result.is_err();
            results.push(result);
            if failed && ordered {
                break;
            }
        }
        results
    }

    /// Queues a document for the writer, which confirms it.
    async fn begin(
        &self,
        collection: &str,
        document: Document,
        order: Option<SaveGroup>,
    ) -> Result<oneshot::Receiver<Result<Bson, Error>>, Error> {
        check::check_collection(collection)?;
        let check::ValidDocument { id, data } = check::check_document(document)?;
        let key = key::encode(&id);
        let permit = self.queue.room(data.len()).await?;
        let (done, confirmed) = oneshot::channel();
        self.queue.push(Save { collection: collection.to_owned(), key, id, data, done, order, permit });
        Ok(confirmed)
    }

    /// Writes the waiting measurements, logs and requests, so that readers see them.
    pub async fn flush(&self) -> Result<(), Error> {
        self.telemetry.flush().await.map_err(|_| Error::Closed)
    }

    /// Counts of measurements, logs and requests since the store was opened.
    pub fn counters(&self) -> Counters {
        self.telemetry.counters()
    }

    /// A reader of this store.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

impl Writer {
    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run).map_err(Error::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Writes everything that waits, and ends. Blocks until done; later points, records and saves are
    /// refused.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.telemetry.close();
        self.queue.close();
        for thread in self.threads.drain(..) {
            let name = thread.thread().name().unwrap_or_default().to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "a writer of the store panicked");
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Series {
    /// Adds a point; see [`Store::measure`].
    pub fn point(&self, time: i64, fields: &[(&str, Value<'_>)]) -> Result<(), PointError> {
        Point { measurement: &self.measurement, tags: &[], fields, time }.check()?;
        self.telemetry.measure(|out| put_row(out, self.key.as_bytes(), time, fields));
        Ok(())
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("measurement", &self.measurement).finish_non_exhaustive()
    }
}
