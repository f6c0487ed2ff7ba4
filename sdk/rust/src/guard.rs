//! Confines a panic of user code to its future, with its location and stack.

use std::{
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    task::{Context, Poll},
};

thread_local! {
    /// Whether this thread is inside guarded user code.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// The last panic in it.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic of user code.
#[derive(Debug)]
pub(crate) struct Panic {
    /// The message.
    pub(crate) message: String,
    /// The message, location and stack.
    pub(crate) trace: String,
}

/// A future that returns its panics.
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
                .unwrap_or_else(|| Panic { message: "panic".to_owned(), trace: "panic".to_owned() }))),
        }
    }
}

/// Installs a hook that records panics of guarded code instead of printing them.
pub(crate) fn watch() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !GUARDED.get() {
            return usual(info);
        }
        let message = format!("panic: {}", info.payload_as_str().unwrap_or("a value that is no text"));
        let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let stack = user_frames(&Backtrace::force_capture().to_string());
        LAST.set(Some(Panic { trace: format!("{message}{place}\n{stack}"), message }));
    }));
}

/// Keeps the part of a stack between the panic and this SDK.
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

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: &str = "   0: std::backtrace::Backtrace::force_capture
   1: core::panicking::panic_fmt
             at /rustc/library/core/src/panicking.rs:1:1
   2: node::predict
             at src/main.rs:3:5
   3: node::handler::{{closure}}
   4: <krt_sdk::guard::Guard<F> as core::future::future::Future>::poll
   5: std::panicking::try
   6: main
";

    #[test]
    fn stacks_are_cut_to_user_code() {
        let expected =
            "   2: node::predict\n             at src/main.rs:3:5\n   3: node::handler::{{closure}}";
        assert_eq!(user_frames(STACK), expected);
    }

    #[test]
    fn panics_become_values_with_a_location() {
        watch();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let work = async { [1, 2].get(2).copied().expect("no third") };
        let panic = runtime.block_on(Guard(Box::pin(work))).unwrap_err();
        assert_eq!(panic.message, "panic: no third");
        assert!(panic.trace.starts_with("panic: no third at "), "{}", panic.trace);
        assert!(panic.trace.contains("guard.rs:"), "{}", panic.trace);
        let well = runtime.block_on(Guard(Box::pin(async { 7 })));
        assert_eq!(well.unwrap(), 7);
    }
}
