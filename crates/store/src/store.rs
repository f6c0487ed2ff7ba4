//! The handle that writes, and the owner of the threads behind it.

use crate::{
    database,
    documents::{
        self, check, key,
        queue::{Queue, Save},
    },
    error::{Error, PointError},
    log::LogRecord,
    options::Options,
    point::{Key, Point, Value, put_key, put_row},
    reader::Reader,
    request::Request,
    telemetry::{self, Counters, Sink, Telemetry},
};
use bson::{Bson, Document};
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

/// Owns the threads that write, and the folder's lock. Dropping it is [`Writer::close`].
#[derive(Debug)]
pub struct Writer {
    telemetry: Arc<Telemetry>,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    /// Held until the threads have ended.
    _lock: File,
}

/// A measurement with its tags, prepared once for many points. Cheap to clone.
#[derive(Clone)]
pub struct Series {
    telemetry: Arc<Telemetry>,
    measurement: Arc<str>,
    key: Key,
}

impl Store {
    /// Opens the store in a folder, and makes it where there is none. One process at a time.
    pub fn open(folder: &Path, options: &Options) -> Result<(Self, Writer), Error> {
        Self::build(folder, options, None)
    }

    /// Opens the store in a folder as [`Store::open`] does, but points go to `sink`.
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

    /// Prepares a series, for many points with the same tags.
    pub fn series(&self, measurement: &str, tags: &[(&str, &str)]) -> Result<Series, PointError> {
        let key = Key::new(measurement, tags)?;
        Ok(Series { telemetry: Arc::clone(&self.telemetry), measurement: measurement.into(), key })
    }

    /// Adds a point. Never blocks; where the buffer is full the point is dropped and counted.
    pub fn measure(&self, point: &Point<'_>) -> Result<(), PointError> {
        point.check()?;
        let mut key = Vec::with_capacity(256);
        put_key(&mut key, point.measurement, point.tags)?;
        self.telemetry.measure(|out| put_row(out, &key, point.time, point.fields));
        Ok(())
    }

    /// Adds a log record. Never blocks; where the buffer is full the record is dropped and counted.
    pub fn log(&self, record: &LogRecord<'_>) {
        self.telemetry.log(record);
    }

    /// Adds a request that ended. Never blocks; where the buffer is full the request is dropped and counted.
    pub fn request(&self, request: &Request<'_>) {
        self.telemetry.request(request);
    }

    /// Saves a document and gives its `_id`, which it gets where it has none.
    ///
    /// Once this returns the document outlives the process, however it ends; a power cut may still
    /// take the last ones.
    pub async fn save(&self, collection: &str, document: Document) -> Result<Bson, Error> {
        check::check_collection(collection)?;
        let check::Checked { id, data } = check::check_document(document)?;
        let key = key::encode(&id);
        let permit = self.queue.room(data.len()).await?;
        let (done, confirmed) = oneshot::channel();
        self.queue.push(Save { collection: collection.to_owned(), key, id, data, done, permit });
        confirmed.await.unwrap_or(Err(Error::Closed))
    }

    /// Writes the measurements, logs and requests that wait, so that readers see them.
    pub async fn flush(&self) -> Result<(), Error> {
        self.telemetry.flush().await.map_err(|_| Error::Closed)
    }

    /// What became of measurements, logs and requests since the store was opened.
    pub fn counters(&self) -> Counters {
        self.telemetry.counters()
    }

    /// Reads what is in the store.
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

    /// Writes what waits and ends. Blocks until that is done; later points, records and saves are
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
