//! The lines an installer or a compiler writes: told as they come, and the last of them kept.

use crate::mask::mask;
use std::collections::VecDeque;

/// Lines kept for an error.
const KEPT: usize = 60;

/// The longest line, in bytes; longer ones are cut to pieces.
const LONGEST: usize = 4096;

/// Takes bytes, gives lines.
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

    /// Takes what was read. A carriage return ends a line too: progress is drawn with it.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                _ => self.open.push(byte),
            }
            if self.open.len() >= LONGEST {
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
        if self.last.len() > KEPT {
            self.last.pop_front();
            self.dropped += 1;
        }
    }

    /// The last lines, and how many came before.
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
        let told = Mutex::new(Vec::new());
        let on_line = |line| told.lock().unwrap().push(line);
        let mut output = Output::new(&on_line);
        chunks.iter().for_each(|chunk| output.take(chunk));
        let kept = output.finish();
        (told.into_inner().unwrap(), kept)
    }

    #[test]
    fn lines_are_told_masked_and_kept() {
        let (told, kept) = lines_of(&[b"one\r\ntw", b"o https://u:p@h/\n\n10%\r20%", b"\xff"]);
        assert_eq!(told, ["one", "two https://****@h/", "10%", "20%\u{fffd}"]);
        assert_eq!(kept, told);
    }

    #[test]
    fn only_the_last_are_kept() {
        let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let (told, kept) = lines_of(&[text.as_bytes()]);
        assert_eq!(told.len(), 100);
        assert_eq!(kept[0], "… 40 lines before");
        assert_eq!(kept[1..], told[40..]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[a-c\n\r ]{0,200}", cut in 0usize..200) {
            let cut = cut.min(text.len());
            let (start, end) = text.as_bytes().split_at(cut);
            prop_assert_eq!(lines_of(&[start, end]), lines_of(&[text.as_bytes()]));
        }

        #[test]
        fn no_line_is_too_long(length in 0usize..20_000) {
            let (told, _) = lines_of(&[&vec![b'x'; length]]);
            prop_assert!(told.iter().all(|line| line.len() <= LONGEST));
            prop_assert_eq!(told.concat().len(), length);
        }
    }
}
