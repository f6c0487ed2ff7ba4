//! The requests of this door: each waits for one answer, in an inbox of its own.

use super::{Nats, carry};
use crate::flow::{Answer, Flow, ReplyTo, Request, Trail};
use krt_broker::{Connection, Envelope, Era, Error, Heard, Listener};
use krt_model::{
    name::Name,
    outcome::{self, Failure, Kind, Step},
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::task::JoinSet;

/// The requests that wait for an answer, by their id.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What every inbox of this engine begins with.
    inbox: String,
    requests: Mutex<HashMap<Arc<str>, Weak<Request>>>,
}

/// A message between nodes that nobody took; it travels in the subject of the inbox in which the server says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nobody<'a> {
    pub(super) replied: bool,
    pub(super) workflow: usize,
    pub(super) position: usize,
    pub(super) request: &'a str,
    pub(super) reply: &'a str,
}

impl fmt::Display for Nobody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replied, workflow, position, request, reply } = self;
        // An id of another runner may hold anything.
        let plain =
            !request.is_empty() && request.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let request = if plain { request } else { "-" };
        write!(f, "{}.{workflow}.{position}.{request}.{reply}", u8::from(*replied))
    }
}

impl<'a> Nobody<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = text.splitn(5, '.');
        Some(Self {
            replied: words.next()? == "1",
            workflow: words.next()?.parse().ok()?,
            position: words.next()?.parse().ok()?,
            request: words.next()?,
            reply: words.next()?,
        })
    }
}

impl Waiting {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { inbox: connection.new_inbox(), requests: Mutex::default() }
    }

    /// Names this engine.
    pub(super) fn engine(&self) -> &str {
        self.inbox.rsplit('.').next().unwrap_or_default()
    }

    /// Where a request's answer is waited for.
    pub(super) fn inbox(&self, id: &str) -> String {
        format!("{}.{id}", self.inbox)
    }

    /// Where the server says that nobody took a message.
    pub(super) fn nobody_inbox(&self, about: &Nobody<'_>) -> String {
        format!("{}-nobody.{about}", self.inbox)
    }

    pub(super) fn add(&self, request: &Arc<Request>) {
        self.lock().insert(Arc::clone(&request.id), Arc::downgrade(request));
    }

    pub(super) fn remove(&self, id: &str) -> Option<Arc<Request>> {
        self.lock().remove(id)?.upgrade()
    }

    /// Takes out all that wait.
    fn take_all(&self) -> Vec<Arc<Request>> {
        self.lock().drain().filter_map(|(_, request)| request.upgrade()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Weak<Request>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for answers, until it is stopped.
pub(super) async fn listen(nats: &Arc<Nats>, flow: &Arc<Flow>, tasks: &mut JoinSet<()>) -> Result<(), Error> {
    let inbox = Listener::open(&nats.connection, format!("{}.*", nats.waiting.inbox)).await?;
    tasks.spawn(hear_answers(Arc::clone(nats), Arc::clone(flow), inbox));
    if nats.options.era == Era::JetStream {
        // Runners of another kind know no inbox: all their answers come to one subject.
        for workflow in 0..nats.stations.len() {
            let subject = nats.answers_subject(workflow);
            let answers = Listener::open(&nats.connection, subject).await?;
            tasks.spawn(hear_answers(Arc::clone(nats), Arc::clone(flow), answers));
        }
    }
    tasks.spawn(watch_connection(Arc::clone(nats), Arc::clone(flow)));
    Ok(())
}

/// Listens for the server's word that nobody took a message between nodes.
pub(super) async fn listen_for_nobody(
    nats: &Arc<Nats>,
    flow: &Arc<Flow>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let prefix = format!("{}-nobody.", nats.waiting.inbox);
    let mut listener = Listener::open(&nats.connection, format!("{prefix}>")).await?;
    let (nats, flow) = (Arc::clone(nats), Arc::clone(flow));
    tasks.spawn(async move {
        while let Some(heard) = listener.next().await {
            let Some(about) = heard.subject.strip_prefix(&prefix).and_then(Nobody::parse) else { continue };
            if heard.nobody {
                nats.nobody_took(&flow, &about);
            } else {
                // Somebody who took the message answers here, instead of where the envelope says.
                let mut answer = carry::aside(about.reply, heard.body.to_vec());
                answer.headers = heard.headers;
                nats.sender.send(answer, None);
            }
        }
    });
    Ok(())
}

async fn hear_answers(nats: Arc<Nats>, flow: Arc<Flow>, mut listener: Listener) {
    while let Some(heard) = listener.next().await {
        nats.hear(&flow, heard);
    }
}

/// While the server is away what was sent of the first era is lost: its clients are told at once.
async fn watch_connection(nats: Arc<Nats>, flow: Arc<Flow>) {
    let mut up = nats.connection.watch();
    while up.changed().await.is_ok() {
        if !*up.borrow_and_update() && nats.options.era == Era::Core {
            for request in nats.waiting.take_all() {
                request.answer(Err(Failure::Disconnected), Trail::default());
            }
        }
        flow.nodes_changed();
    }
}

impl Nats {
    /// Where answers of a workflow go that no inbox is known for. Second era.
    pub(super) fn answers_subject(&self, workflow: usize) -> String {
        self.stations[workflow][0].answers()
    }

    fn hear(&self, flow: &Flow, heard: Heard) {
        let id = heard.subject.strip_prefix(&*self.waiting.inbox).map(|rest| rest.trim_start_matches('.'));
        if heard.nobody {
            let request = id.and_then(|id| self.waiting.remove(id));
            request.inspect(|request| self.no_first_node(flow, request));
            return;
        }
        let envelope = match Envelope::decode(heard.body, self.options.envelope()) {
            Ok(envelope) => envelope,
            Err(error) => {
                let request = id.and_then(|id| self.waiting.remove(id));
                let words = format!("the answer cannot be read: {}", crate::errors::chain(&error));
                tracing::error!(request = id, "{words}");
                let failure = Failure::Elsewhere { kind: Kind::Lost, words };
                request.inspect(|request| flow.reply_from_elsewhere(request, Err(failure)));
                return;
            }
        };
        let Some(request) = self.waiting.remove(id.unwrap_or(&envelope.reply)) else {
            if !envelope.error.is_empty() && envelope.reply.is_empty() && id.is_none() {
                // So do runners of the second era: whose it is, nobody can tell.
                tracing::error!(
                    "an error came without its request, whose client waits on: {}",
                    envelope.error
                );
            }
            // Another entrypoint's, or a second answer to the same request.
            flow.metrics().late.inc_by(u64::from(id.is_some()));
            return;
        };
        let answer = self.judge(&request, envelope, heard.headers.failure);
        flow.reply_from_elsewhere(&request, answer);
    }

    /// Makes an answer of what came for a request.
    fn judge(&self, request: &Request, envelope: Envelope, kind: Option<Kind>) -> Answer {
        if !envelope.error.is_empty() {
            let kind = kind.unwrap_or(Kind::Handler);
            return Err(Failure::Elsewhere { kind, words: envelope.error });
        }
        let Some(payload) = envelope.payload else {
            let words = "the answer has no message".to_owned();
            return Err(Failure::Elsewhere { kind: Kind::Handler, words });
        };
        let last = envelope.tracking.last().map(|station| &*station.node_name).unwrap_or_default();
        let node = Name::parse(last).unwrap_or_else(|_| self.last_node(request));
        let step = Step {
            node: &node,
            last: true,
            replied: false,
            retries_left: 0,
            redeliveries_left: 0,
            answer_type: &request.route.answer_type,
            answer_limit: request.route.answer_limit,
        };
        outcome::check_answer(&step, &payload).map(|()| payload)
    }

    fn last_node(&self, request: &Request) -> Name {
        let stations = &self.stations[request.route.index];
        let last = stations.last().expect("a workflow has at least one node");
        Name::parse(&last.node).expect("the name was parsed when the package was read")
    }

    fn no_first_node(&self, flow: &Flow, request: &Request) {
        let node = flow.desk(request.route.sequence[0]).node().clone();
        flow.reply_from_elsewhere(request, Err(Failure::Down { node }));
    }

    fn nobody_took(&self, flow: &Flow, about: &Nobody<'_>) {
        let Some(station) = self.stations.get(about.workflow).and_then(|of| of.get(about.position)) else {
            return;
        };
        let Ok(node) = Name::parse(&station.node) else { return };
        let failure = Failure::Down { node };
        if about.replied {
            flow.lost_in_background(&station.workflow, &station.node, about.request, &failure);
        } else {
            let to = ReplyTo { reply: about.reply.to_owned(), ..ReplyTo::default() };
            self.answer(about.workflow, about.request, &to, &Err(failure), Trail::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_took_is_known_by_its_subject() {
        let about = Nobody { replied: true, workflow: 2, position: 1, request: "0-a", reply: "_INBOX.x.y" };
        assert_eq!(Nobody::parse(&about.to_string()), Some(about));
        let strange = Nobody { replied: false, workflow: 0, position: 3, request: "a b.c", reply: "r" };
        assert_eq!(strange.to_string(), "0.0.3.-.r");
        assert_eq!(Nobody::parse("1.2"), None);
    }
}
