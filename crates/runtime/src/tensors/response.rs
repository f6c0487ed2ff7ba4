//! An answer, apart from its form.

use super::{RawTensor, request::Output};
use krt_package::open_inference::Layout;

/// An answer with tensors.
#[derive(Debug, Clone, Copy)]
pub struct InferResponse<'a> {
    /// The model's name.
    pub model: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The client's id for its request.
    pub id: Option<&'a str>,
    /// The model's outputs.
    pub layout: &'a Layout,
    /// The tensors, by their index in the layout.
    pub tensors: &'a [Option<RawTensor>],
    /// Those that the client wants, in order.
    pub outputs: &'a [Output],
}

impl<'a> InferResponse<'a> {
    /// Returns the wanted outputs that the answer has: names, forms and tensors.
    pub(super) fn present(self) -> impl Iterator<Item = (&'a str, Output, &'a RawTensor)> {
        self.outputs.iter().filter_map(move |&output| {
            let tensor = self.tensors[output.tensor].as_ref()?;
            Some((self.layout.tensors[output.tensor].name.as_str(), output, tensor))
        })
    }
}
