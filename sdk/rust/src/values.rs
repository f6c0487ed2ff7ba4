//! Values that `init` and every call of the handler share.

use std::{
    any::{Any, type_name},
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Why [`Context::get`](crate::Context::get) returns no value.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// No value was set.
    #[error("no value is kept for '{key}'; hint: `ctx.set` it in `init`")]
    Missing {
        /// The requested key.
        key: String,
    },
    /// The value has another type.
    #[error("the value for '{key}' is no `{wanted}`")]
    OtherType {
        /// The requested key.
        key: String,
        /// The requested type.
        wanted: &'static str,
    },
}

/// The values of a process.
#[derive(Default)]
pub(crate) struct Values(RwLock<HashMap<String, Arc<dyn Any + Send + Sync>>>);

impl Values {
    pub(crate) fn set<T: Any + Send + Sync>(&self, key: &str, value: T) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.insert(key.to_owned(), Arc::new(value));
    }

    pub(crate) fn get<T: Any + Send + Sync>(&self, key: &str) -> Result<Arc<T>, NotKept> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let value = kept.ok_or_else(|| NotKept::Missing { key: key.to_owned() })?;
        value.downcast().map_err(|_| NotKept::OtherType { key: key.to_owned(), wanted: type_name::<T>() })
    }
}
