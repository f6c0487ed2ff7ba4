//! The reader of MongoDB's messages and the commands in them, for `fuzz/targets/mongo.rs`. It exists with
//! `--cfg fuzzing` only.

use super::{
    Server, commands,
    wire::{HEADER, Request},
};
use bson::Document;

/// A command that was read.
#[derive(Debug)]
pub struct Command(Request);

impl Command {
    /// Reads a message: its header and what follows it.
    pub fn parse(message: &[u8]) -> Result<Self, String> {
        let (header, rest) = message.split_first_chunk::<HEADER>().ok_or("no header")?;
        Request::parse(*header, rest).map(Self).map_err(|error| error.to_string())
    }

    /// The command, with its sequences as arrays.
    pub fn body(&self) -> &Document {
        &self.0.body
    }

    /// A reply as it travels; none where the client waits for none.
    pub fn reply(&self, reply: &Document) -> Option<Vec<u8>> {
        self.0.reply.map(|form| form.encode(reply, 1).expect("a reply of ours can be encoded"))
    }

    /// What the server answers a client that has signed in.
    pub async fn answer(&self, server: &Server) -> Document {
        commands::run(&server.shared, &self.0).await.unwrap_or_else(|error| error.reply())
    }
}
