//! What the client sent beside its message.

use bson::{Binary, spec::BinarySubtype};
use std::{collections::BTreeMap, fmt};

/// What the client sent as gRPC metadata or HTTP headers, of the names that `krt.yml` lists.
///
/// Names are in lower case; a lookup takes any case. The values of names that end in `-bin` are bytes, which only
/// [`Metadata::binary`] returns.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, Vec<String>>);

impl Metadata {
    pub(crate) fn new(values: BTreeMap<String, Vec<String>>) -> Self {
        Self(values)
    }

    /// The text that came under a name. Several texts are one, with a comma and a space between them, as in HTTP.
    pub fn get(&self, name: &str) -> Option<String> {
        let values = self.all(name);
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The texts that came under a name, in their order.
    pub fn all(&self, name: &str) -> &[String] {
        if is_binary(name) { &[] } else { self.values(name) }
    }

    /// The values that came under a name that ends in `-bin`, in their order.
    pub fn binary(&self, name: &str) -> Vec<Vec<u8>> {
        let values = if is_binary(name) { self.values(name) } else { &[] };
        // The engine sends nothing else than base64.
        let decode = |value: &String| Binary::from_base64(value, BinarySubtype::Generic).ok();
        values.iter().filter_map(decode).map(|binary| binary.bytes).collect()
    }

    /// The names that have values, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn values(&self, name: &str) -> &[String] {
        self.0.get(&name.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }
}

/// Shows the names only: values may be secrets.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn is_binary(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("-bin")
}
