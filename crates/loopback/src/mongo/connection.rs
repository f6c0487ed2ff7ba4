//! A client's connection: its messages in sequence, and its sign-in.

use super::{
    Shared, arguments, commands,
    error::CommandError,
    scram::{Conversation, MECHANISM},
    wire::{HEADER, Header, Request, WireError},
};
use bson::{Binary, Document, doc, spec::BinarySubtype};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::timeout,
};

/// The timeout for a message from its first to its last byte, in either direction.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest message before the sign-in, in bytes.
const MAX_BEFORE_SIGN_IN: usize = 16 << 10;

/// A client.
#[derive(Debug)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    sign_in: SignIn,
    /// The id of the next reply.
    next_id: i32,
}

/// The progress of a sign-in.
#[derive(Debug)]
enum SignIn {
    Nothing,
    Begun {
        conversation: Conversation,
        skip_empty: bool,
    },
    /// The proof was right; the client still sends an empty message.
    Proven,
    Done,
}

/// Why a connection ends before its client closes it.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a message took longer than {} s", MESSAGE_TIMEOUT.as_secs())]
    Late,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, sign_in: SignIn::Nothing, next_id: 1 }
    }

    /// Serves the client until it leaves.
    pub(super) async fn serve(mut self, mut stream: TcpStream) {
        // Replies are written whole, so there is nothing to wait for.
        let _ = stream.set_nodelay(true);
        if let Err(error) = self.run(&mut stream).await {
            tracing::debug!(%error, "a client of the documents was cut off");
        }
    }

    async fn run(&mut self, stream: &mut TcpStream) -> Result<(), End> {
        while let Some((request, permit)) = self.receive(stream).await? {
            let reply = self.answer(&request).await.unwrap_or_else(|error| error.reply());
            drop(permit);
            if let Some(form) = request.reply {
                let bytes = form.encode(&reply, self.next_id)?;
                self.next_id = self.next_id.wrapping_add(1);
                timeout(MESSAGE_TIMEOUT, stream.write_all(&bytes)).await.map_err(|_| End::Late)??;
            }
        }
        Ok(())
    }

    /// The next message with its share of the memory; `None` when the client has left.
    async fn receive(&self, stream: &mut TcpStream) -> Result<Option<(Request, OwnedSemaphorePermit)>, End> {
        let mut header = [0; HEADER];
        match stream.read(&mut header[..1]).await {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            read => read?,
        };
        let read = async {
            stream.read_exact(&mut header[1..]).await?;
            let size = Header::parse(header)?.size;
            if size > MAX_BEFORE_SIGN_IN && !self.has_signed_in() {
                return Err(WireError::Size(size).into());
            }
            // The client waits while the share is acquired, which is slow only when the budget is used up.
            let share = u32::try_from(size / 1024 + 1).unwrap_or(super::BUDGET).min(super::BUDGET);
            let budget = Arc::clone(&self.shared.budget);
            let permit = budget.acquire_many_owned(share).await.expect("the budget is never closed");
            let mut rest = vec![0; size - HEADER];
            stream.read_exact(&mut rest).await?;
            Ok((rest, permit))
        };
        let read: Result<_, End> = timeout(MESSAGE_TIMEOUT, read).await.map_err(|_| End::Late)?;
        let (rest, permit) = read?;
        match Request::parse(header, &rest) {
            Ok(request) => Ok(Some((request, permit))),
            Err(error) => {
                tracing::warn!(%error, "a client of the documents sent what cannot be read");
                Err(error.into())
            }
        }
    }

    fn has_signed_in(&self) -> bool {
        matches!(self.sign_in, SignIn::Done)
    }

    async fn answer(&mut self, request: &Request) -> Result<Document, CommandError> {
        match request.name() {
            "saslStart" => self.start_sign_in(&request.body),
            "saslContinue" => self.continue_sign_in(&request.body),
            name if commands::is_open(name) || self.has_signed_in() => {
                commands::run(&self.shared, request).await
            }
            name => Err(CommandError::Unauthorized { command: name.to_owned() }),
        }
    }

    fn start_sign_in(&mut self, body: &Document) -> Result<Document, CommandError> {
        self.sign_in = SignIn::Nothing;
        let mechanism = body.get_str("mechanism").unwrap_or_default();
        if mechanism != MECHANISM {
            return Err(CommandError::Mechanism { mechanism: mechanism.to_owned() });
        }
        let first = arguments::payload(body).ok_or(CommandError::Authentication)?;
        let begun = self.shared.credentials.start(&first);
        let (conversation, answer) = begun.ok().flatten().ok_or(CommandError::Authentication)?;
        let options = body.get_document("options");
        let skip_empty = options.is_ok_and(|options| options.get_bool("skipEmptyExchange").unwrap_or(false));
        self.sign_in = SignIn::Begun { conversation, skip_empty };
        Ok(sasl_reply(&answer, false))
    }

    fn continue_sign_in(&mut self, body: &Document) -> Result<Document, CommandError> {
        let last = arguments::payload(body).ok_or(CommandError::Authentication)?;
        match std::mem::replace(&mut self.sign_in, SignIn::Nothing) {
            SignIn::Begun { conversation, skip_empty } => {
                let proof = self.shared.credentials.finish(&conversation, &last);
                let proof = proof.ok_or(CommandError::Authentication)?;
                self.sign_in = if skip_empty { SignIn::Done } else { SignIn::Proven };
                Ok(sasl_reply(&proof, skip_empty))
            }
            SignIn::Proven if last.is_empty() => {
                self.sign_in = SignIn::Done;
                Ok(sasl_reply("", true))
            }
            SignIn::Nothing | SignIn::Proven | SignIn::Done => Err(CommandError::Authentication),
        }
    }
}

fn sasl_reply(payload: &str, done: bool) -> Document {
    let payload = Binary { subtype: BinarySubtype::Generic, bytes: payload.as_bytes().to_vec() };
    doc! { "conversationId": 1, "done": done, "payload": payload, "ok": 1.0 }
}
