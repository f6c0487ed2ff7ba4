//! Where messages travel: subjects, streams, queue groups and consumers.

use krt_model::{
    name::Name,
    version::{Version, Workflow},
};
use std::fmt;

/// Which of the two eras of KRT v1 a broker speaks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(usize)]
pub enum Era {
    /// Runners 1.x and 2.0: plain NATS.
    #[default]
    Core,
    /// Runners 2.1: JetStream.
    JetStream,
}

/// One station of a workflow, as those at its two ends know it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The runtime's id: the database's name is made of it, and in the second era the stream's.
    pub runtime: &'a str,
    /// The version.
    pub version: &'a Version,
    /// The workflow.
    pub workflow: &'a Workflow,
    /// The station, from 0.
    pub position: usize,
}

impl Place<'_> {
    /// The node.
    pub fn node(&self) -> &Name {
        &self.version.nodes[self.workflow.sequence[self.position]].name
    }

    /// Whether the workflow ends here.
    pub fn is_last(&self) -> bool {
        self.position + 1 == self.workflow.sequence.len()
    }

    /// Where the node's messages come from.
    pub fn input(&self, era: Era) -> String {
        match (era, self.position) {
            (Era::Core, 0) => format!("{}-{}-entrypoint", self.version.name, self.workflow.entrypoint),
            (Era::Core, _) => {
                format!("{}-{}-{}", self.version.name, self.workflow.entrypoint, self.turn())
            }
            (Era::JetStream, _) => format!("{}.{}", self.stream(), self.turn()),
        }
    }

    /// Where its answers go. None for the last node of the first era, which answers to the request's inbox.
    pub fn output(&self, era: Era) -> Option<String> {
        match (era, self.is_last()) {
            (_, false) => Some(Self { position: self.position + 1, ..*self }.input(era)),
            (Era::Core, true) => None,
            (Era::JetStream, true) => Some(self.entrypoint()),
        }
    }

    /// The queue group of the node's replicas: each message goes to one of them. First era.
    pub fn queue_group(&self) -> String {
        format!("queue_{}", self.input(Era::Core))
    }

    /// The workflow's stream. Second era.
    pub fn stream(&self) -> String {
        format!("{}-{}-{}", self.runtime, self.version.name, self.workflow.entrypoint)
    }

    /// Where documents are saved by runners that exist.
    pub fn mongo_writer(&self) -> String {
        mongo_writer(self.runtime, &self.version.name)
    }

    /// Where the entrypoint listens for the answers of the workflow. Second era.
    pub fn entrypoint(&self) -> String {
        answers(&self.stream())
    }

    /// The durable consumer of the node's replicas. Second era.
    pub fn consumer(&self) -> String {
        format!("{}-{}", self.version.name, self.turn())
    }

    /// All that is known of the station, on its own.
    pub fn station(&self) -> Station {
        Station {
            input: [self.input(Era::Core), self.input(Era::JetStream)],
            queue_group: self.queue_group(),
            stream: self.stream(),
            consumer: self.consumer(),
            workflow: self.workflow.name.to_string(),
            node: self.node().to_string(),
            dead: dead_stream(self.runtime, &self.version.name),
        }
    }

    /// The node's name; with its turn, where the workflow comes by more than once.
    fn turn(&self) -> Turn<'_> {
        let node = self.workflow.sequence[self.position];
        let before = self.workflow.sequence[..self.position].iter().filter(|&&other| other == node).count();
        Turn { node: self.node(), turn: before + 1 }
    }
}

/// One station of a workflow: where its messages come from, and what they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    input: [String; 2],
    pub(crate) queue_group: String,
    pub(crate) stream: String,
    pub(crate) consumer: String,
    /// The workflow's name.
    pub workflow: String,
    /// The node's name.
    pub node: String,
    pub(crate) dead: String,
}

impl Station {
    /// Where its messages come from.
    pub fn input(&self, era: Era) -> &str {
        &self.input[era as usize]
    }

    /// Where the answers of its workflow go. Second era.
    pub fn answers(&self) -> String {
        answers(&self.stream)
    }
}

fn answers(stream: &str) -> String {
    format!("{stream}.entrypoint")
}

/// The stream of what was given up. No runtime's name has capitals, so it is nobody else's.
pub fn dead_stream(runtime: &str, version: &Name) -> String {
    format!("DEAD-{runtime}-{version}")
}

/// Where runners that exist send documents to be saved.
pub fn mongo_writer(runtime: &str, version: &Name) -> String {
    format!("{runtime}-{version}-mongo-writer")
}

/// What our own parts tell one another of a version: `about` is one word.
pub fn aside(runtime: &str, version: &Name, about: &str) -> String {
    format!("krt.{runtime}.{version}.{about}")
}

struct Turn<'a> {
    node: &'a Name,
    turn: usize,
}

impl fmt::Display for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.turn {
            1 => write!(f, "{}", self.node),
            turn => write!(f, "{}-{turn}", self.node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::version::{Node, RunOptions};

    fn version(sequence: &[usize]) -> Version {
        let name = |text: &str| Name::parse(text).unwrap();
        let node = |text: &str| Node {
            name: name(text),
            src: String::new(),
            build: None,
            image: None,
            gpu: false,
            run: RunOptions::default(),
        };
        Version {
            name: name("shop-v1"),
            description: String::new(),
            proto: String::new(),
            config: Vec::new(),
            nodes: vec![node("etl"), node("model")],
            workflows: vec![Workflow {
                name: name("buying"),
                entrypoint: "Buy".to_owned(),
                sequence: sequence.to_vec(),
            }],
        }
    }

    #[test]
    fn a_workflow_of_each_era() {
        let version = version(&[0, 1, 0]);
        let at = |position| Place {
            runtime: "shop",
            version: &version,
            workflow: &version.workflows[0],
            position,
        };
        let inputs = |era| [0, 1, 2].map(|position| at(position).input(era));
        let outputs = |era| [0, 1, 2].map(|position| at(position).output(era));
        let core = ["shop-v1-Buy-entrypoint", "shop-v1-Buy-model", "shop-v1-Buy-etl-2"];
        assert_eq!(inputs(Era::Core), core);
        assert_eq!(outputs(Era::Core), [Some(core[1].to_owned()), Some(core[2].to_owned()), None]);
        let stream = ["shop-shop-v1-Buy.etl", "shop-shop-v1-Buy.model", "shop-shop-v1-Buy.etl-2"];
        assert_eq!(inputs(Era::JetStream), stream);
        let ends = [stream[1], stream[2], "shop-shop-v1-Buy.entrypoint"];
        assert_eq!(outputs(Era::JetStream), ends.map(|end| Some(end.to_owned())));
        assert_eq!(at(1).queue_group(), "queue_shop-v1-Buy-model");
        assert_eq!(at(1).consumer(), "shop-v1-model");
        assert!(at(2).is_last() && !at(1).is_last());
    }
}
