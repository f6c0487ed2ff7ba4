//! Answers on their way to other ingresses.

use super::{
    Nats, encode,
    remote::{self, ReplyTo},
    streams::Outgoing,
};
use crate::{
    flow::{AnswerMessage, AnswerMeta, no_memory},
    memory::Full,
};
use krt_broker::{Acker, Message, WireProtocol};
use krt_model::{message::Payload, outcome::Failure};

impl Nats {
    /// Sends an answer to a remote entrypoint. `sequence`: how many messages of a stream it ends.
    pub(super) fn answer(
        &self,
        workflow: usize,
        id: &str,
        to: &ReplyTo,
        answer: Result<Option<Payload>, Failure>,
        sequence: Option<u64>,
        meta: AnswerMeta,
    ) {
        let limit = self.limit();
        let AnswerMeta { tracking, hops, acker } = meta;
        let acker = acker.map(remote::of_intake);
        let encoded = |answer| -> Result<Message, Full> {
            let mut message = encode::answer(self, workflow, id, to, answer, &tracking, &hops)?;
            message.headers.sequence = sequence;
            Ok(message)
        };
        let failure = match encoded(answer).map(|message| encode::within(message, limit)) {
            Ok((message, size)) if size <= limit => return self.send_answer(message, to, acker),
            Ok((_, size)) => {
                let sender = encode::sender_name(&tracking);
                Failure::TooLargeToSend { sender, size, limit }
            }
            Err(full) => no_memory(full),
        };
        match encoded(Err(failure)) {
            Ok(message) => self.send_answer(message, to, acker),
            // Dropping the acker gives the message back.
            Err(full) => tracing::error!(request = id, "the answer is lost: {full}"),
        }
    }

    fn send_answer(&self, message: Message, to: &ReplyTo, acker: Option<Box<Acker>>) {
        if self.options.protocol == WireProtocol::JetStream && to.inbox.is_none() {
            self.sender.store(message, acker, None);
        } else if message.headers.sequence.is_some() {
            self.sender.send_in_order(message, acker);
        } else {
            self.sender.send(message, acker);
        }
    }

    /// Sends a message of a stream, unless that has ended. Ends it if the message cannot be sent.
    pub(super) fn send_part(
        &self,
        workflow: usize,
        to: &ReplyTo,
        outgoing: &Outgoing,
        message: AnswerMessage,
    ) {
        let AnswerMessage { payload, credit } = message;
        let sent = outgoing.send_next(credit, |number| {
            self.sender.send_in_order(self.part(to, outgoing, number, payload)?, None);
            Ok(())
        });
        if let Err(failure) = sent {
            self.end_stream(workflow, to, outgoing, Err(failure), AnswerMeta::default());
        }
    }

    fn part(
        &self,
        to: &ReplyTo,
        outgoing: &Outgoing,
        number: u64,
        payload: Payload,
    ) -> Result<Message, Failure> {
        let credit = self.replies.credit_inbox(&outgoing.key.to_string());
        let message =
            encode::part(self, &outgoing.request, to, credit, number, payload).map_err(no_memory)?;
        let (size, limit) = (message.size(), self.limit());
        match size <= limit {
            true => Ok(message),
            false => Err(Failure::TooLargeToSend { sender: outgoing.node.to_string(), size, limit }),
        }
    }

    /// Ends a stream, once.
    pub(super) fn end_stream(
        &self,
        workflow: usize,
        to: &ReplyTo,
        outgoing: &Outgoing,
        status: Result<(), Failure>,
        meta: AnswerMeta,
    ) {
        match outgoing.end() {
            Some(number) => {
                self.answer(workflow, &outgoing.request, to, status.map(|()| None), Some(number), meta);
            }
            None => meta.ack(),
        }
    }
}
