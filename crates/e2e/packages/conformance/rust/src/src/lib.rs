//! The messages of `public_input.proto`.

use prost::{Message, Name};

#[derive(Clone, PartialEq, Message)]
pub struct Order {
    #[prost(string, tag = "1")]
    pub act: String,
    #[prost(string, tag = "2")]
    pub text: String,
    #[prost(string, tag = "3")]
    pub then: String,
    #[prost(int64, tag = "4")]
    pub number: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub blob: Vec<u8>,
}

impl Name for Order {
    const NAME: &'static str = "Order";
    const PACKAGE: &'static str = "conformance";
}

#[derive(Clone, PartialEq, Message)]
pub struct Answer {
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(string, repeated, tag = "2")]
    pub trail: Vec<String>,
    #[prost(string, tag = "3")]
    pub then: String,
    #[prost(int64, tag = "4")]
    pub process: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub blob: Vec<u8>,
}

impl Name for Answer {
    const NAME: &'static str = "Answer";
    const PACKAGE: &'static str = "conformance";
}
