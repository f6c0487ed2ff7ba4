//! The reason an HTTP request to a receiver failed: the library reports only the failure itself.

use bytes::Bytes;
use http::{Request, Response};
use krt_model::hint;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The reason of the last failure. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Reason(Arc<Mutex<Option<String>>>);

impl Reason {
    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A client that records the reason of a failed request.
#[derive(Debug)]
pub(super) struct RecordingClient<C> {
    pub(super) client: C,
    pub(super) reason: Reason,
}

impl<C: HttpClient> HttpClient for RecordingClient<C> {
    // The signature that `async_trait` generates for an async method.
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'c: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let answered = self.client.send_bytes(request).await;
            self.reason.set(answered.as_ref().err().map(|error| hint::messages(&**error)));
            answered
        })
    }
}

/// An exporter whose errors contain the reason.
#[derive(Debug)]
pub(super) struct ExplainingExporter<E> {
    pub(super) exporter: E,
    pub(super) reason: Reason,
}

impl<E: SpanExporter> SpanExporter for ExplainingExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        exported.map_err(|error| match (error, self.reason.take()) {
            (OTelSdkError::InternalFailure(text), Some(reason)) => {
                OTelSdkError::InternalFailure(format!("{text}: {reason}"))
            }
            (error, _) => error,
        })
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
