//! The output of an installer or compiler: reported line by line, with the last lines kept.

use crate::mask::mask;
use std::collections::VecDeque;

/// Lines kept for an error.
const MAX_LINES: usize = 60;

/// The longest line, in bytes; longer ones are split.
const MAX_LINE: usize = 4096;

/// Splits bytes into lines.
pub(crate) struct Output<'a> {
    on_line: &'a (dyn Fn(String) + Send + Sync),
    open: Vec<u8>,
    last: VecDeque<String>,
    dropped: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(on_line: &'a (dyn Fn(String) + Send + Sync)) -> Self {
        Self { on_line, open: Vec::new(), last: VecDeque::new(), dropped: 0 }
    }

    /// Takes bytes. A carriage return ends a line too, as progress bars use it.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                _ => self.open.push(byte),
            }
            if self.open.len() >= MAX_LINE {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = mask(String::from_utf8_lossy(&self.open).trim_end());
        self.open.clear();
        if line.is_empty() {
            return;
        }
        (self.on_line)(line.clone());
        self.last.push_back(line);
        if self.last.len() > MAX_LINES {
            self.last.pop_front();
            self.dropped += 1;
        }
    }

    /// The last lines, and the number of lines before them.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.end_line();
        let cut = (self.dropped > 0).then(|| format!("… {} lines before", self.dropped));
        cut.into_iter().chain(self.last).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    fn lines_of(chunks: &[&[u8]]) -> (Vec<String>, Vec<String>) {
        let reported = Mutex::new(Vec::new());
        let on_line = |line| reported.lock().unwrap().push(line);
        let mut output = Output::new(&on_line);
        chunks.iter().for_each(|chunk| output.take(chunk));
        let kept = output.finish();
        (reported.into_inner().unwrap(), kept)
    }

    #[test]
    fn lines_are_masked_reported_and_kept() {
        let (reported, kept) = lines_of(&[b"one\r\ntw", b"o https://u:p@h/\n\n10%\r20%", b"\xff"]);
        assert_eq!(reported, ["one", "two https://****@h/", "10%", "20%\u{fffd}"]);
        assert_eq!(kept, reported);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let (reported, kept) = lines_of(&[text.as_bytes()]);
        assert_eq!(reported.len(), 100);
        assert_eq!(kept[0], "… 40 lines before");
        assert_eq!(kept[1..], reported[40..]);
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(text in "[a-c\n\r ]{0,200}", cut in 0usize..200) {
            let cut = cut.min(text.len());
            let (start, end) = text.as_bytes().split_at(cut);
            prop_assert_eq!(lines_of(&[start, end]), lines_of(&[text.as_bytes()]));
        }

        #[test]
        fn long_lines_are_cut(length in 0usize..20_000) {
            let (reported, _) = lines_of(&[&vec![b'x'; length]]);
            prop_assert!(reported.iter().all(|line| line.len() <= MAX_LINE));
            prop_assert_eq!(reported.concat().len(), length);
        }
    }
}
