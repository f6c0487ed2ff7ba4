//! The process that reads a package: reads a request, and sends steps and an answer.

use crate::frame::{self, Frame};
use crate::limits;
use krt_package::reading::{Message, ReadRequest, Reading, Step, Steps};
use std::cell::RefCell;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;

/// The largest request, in bytes.
const MAX_REQUEST: u32 = 1 << 20;

/// The longest message of a failure, in bytes. More could fill the pipe, which is read only at the end.
const MAX_MESSAGE: usize = 1000;

/// Reads the package named at standard input, and ends when that closes.
pub fn run() -> ExitCode {
    limits::set();
    std::panic::set_hook(Box::new(print_panic));
    let Frame::Whole(request) = frame::read(&mut io::stdin(), MAX_REQUEST) else { return ExitCode::FAILURE };
    let Some(request) = ReadRequest::decode(&request) else { return ExitCode::FAILURE };
    thread::spawn(end_with_parent);
    let worker = thread::Builder::new().stack_size(limits::STACK).spawn(move || work(&request));
    match worker.map(thread::JoinHandle::join) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn print_panic(panic: &PanicHookInfo<'_>) {
    let text = panic.to_string();
    let text = &text[..text.floor_char_boundary(MAX_MESSAGE)];
    #[expect(clippy::disallowed_methods, reason = "the other process reads it")]
    let _ = writeln!(io::stderr(), "{text}");
}

/// Ends this process when standard input closes; nothing more is written to it.
fn end_with_parent() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(1);
}

fn work(request: &ReadRequest) {
    let limited = RefCell::new(None);
    let steps = move |step: Step| {
        let limit = limits::time(&step);
        // Compiling many files is one step, which sets the time once.
        if limited.replace(limit) != limit {
            limit.into_iter().for_each(limits::set_time);
        }
        send(&Message::Step(step));
    };
    let message = match request.read(&(Rc::new(steps) as Steps)) {
        Ok(reading) => Message::Done(Box::new(verified(reading))),
        Err(failure) => Message::Failed(failure),
    };
    send(&message);
}

/// The reading, after a check that the parent can decode it.
fn verified(reading: Reading) -> Reading {
    let prove = move || (reading.is_sound(), reading);
    let proof = thread::Builder::new().stack_size(limits::LATER_STACK).spawn(prove);
    let (is_sound, reading) = proof.expect("a thread starts").join().expect("it does not panic");
    assert!(is_sound, "the compiled files cannot be read again");
    reading
}

fn send(message: &Message) {
    // Fails when the parent has ended, which ends this process.
    #[expect(clippy::disallowed_methods, reason = "the other process reads it")]
    let _ = frame::write(&mut io::stdout(), &message.encode());
}
