//! Keeps a panic of user code to the future it happens in, with its place and stack.

use std::{
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    /// This thread is inside of user code that is guarded.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// What the last panic in there was.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic of user code.
#[derive(Debug)]
pub(crate) struct Panic {
    /// What it says.
    pub(crate) words: String,
    /// What it says, where, and the stack.
    pub(crate) trace: String,
}

/// A future whose panics are values.
pub(crate) struct Guard<F>(pub(crate) Pin<Box<F>>)
where
    F: Future + ?Sized;

impl<F: Future + ?Sized> Future for Guard<F> {
    type Output = Result<F::Output, Panic>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        GUARDED.set(true);
        let polled = panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx)));
        GUARDED.set(false);
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(LAST
                .take()
                .unwrap_or_else(|| Panic { words: "panic".to_owned(), trace: "panic".to_owned() }))),
        }
    }
}

/// Has panics of guarded code noted down in the place of being printed.
pub(crate) fn watch() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !GUARDED.get() {
            return usual(info);
        }
        let words = format!("panic: {}", info.payload_as_str().unwrap_or("a value that is no text"));
        let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let stack = user_frames(&format!("{:#}", Backtrace::force_capture()));
        LAST.set(Some(Panic { trace: format!("{words}{place}\n{stack}"), words }));
    }));
}

/// Leaves of a stack what lies between the panic and this SDK.
fn user_frames(stack: &str) -> String {
    let mut frames: Vec<String> = Vec::new();
    for line in stack.lines() {
        match line.trim_start().split_once(": ") {
            Some((number, _)) if number.parse::<u32>().is_ok() => frames.push(line.to_owned()),
            _ => frames.last_mut().into_iter().for_each(|frame| *frame = format!("{frame}\n{line}")),
        }
    }
    let is = |frame: &String, parts: &[&str]| parts.iter().any(|part| frame.contains(part));
    let panicking = ["core::panicking", "std::panicking", "panic_fmt", "rust_begin_unwind"];
    let start = frames
        .iter()
        .enumerate()
        .skip_while(|(_, frame)| !is(frame, &panicking))
        .find(|(_, frame)| !is(frame, &panicking))
        .map_or(0, |(first, _)| first);
    let user = frames[start..].iter().take_while(|frame| !is(frame, &["krt_sdk::form", "krt_sdk::guard"]));
    user.cloned().collect::<Vec<_>>().join("\n")
}
