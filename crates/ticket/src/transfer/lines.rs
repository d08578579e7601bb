//! A file that arrives in pieces, line by line.

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use kernel::Result;

/// How many bytes a line has at most.
pub const MAX_LINE: usize = 1 << 20;

/// A line of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its bytes, without its end.
    pub bytes: Vec<u8>,
    /// Where the next one begins, in bytes from the beginning of the file.
    pub next: u64,
}

impl Line {
    /// Whether nothing stands in it.
    pub(super) fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line.
    Line(Line),
    /// One that is longer than [`MAX_LINE`].
    TooLong,
    /// Nothing more.
    End,
}

/// The lines of a file, from some place on.
pub(super) struct Lines {
    body: BoxStream<'static, Result<Bytes>>,
    read: Vec<u8>,
    /// How much of `read` was answered already.
    taken: usize,
    place: u64,
    ended: bool,
}

impl Lines {
    /// Of a body that begins at this place of the file, which begins a line.
    pub(super) fn new(body: BoxStream<'static, Result<Bytes>>, place: u64) -> Self {
        Self { body, read: Vec::new(), taken: 0, place, ended: false }
    }

    /// The next line.
    pub(super) async fn next(&mut self) -> Result<Next> {
        let mut looked = 0;
        loop {
            let rest = &self.read[self.taken..];
            if let Some(end) = rest[looked..].iter().position(|byte| *byte == b'\n') {
                return Ok(self.line(looked + end, 1));
            }
            looked = rest.len();
            if looked > MAX_LINE {
                return Ok(Next::TooLong);
            }
            if self.ended {
                return Ok(if looked == 0 { Next::End } else { self.line(looked, 0) });
            }
            match self.body.next().await {
                Some(chunk) => {
                    self.read.drain(..std::mem::take(&mut self.taken));
                    self.read.extend_from_slice(&chunk?);
                }
                None => self.ended = true,
            }
        }
    }

    fn line(&mut self, length: usize, end: usize) -> Next {
        if length > MAX_LINE {
            return Next::TooLong;
        }
        let bytes = self.read[self.taken..self.taken + length].to_vec();
        self.taken += length + end;
        self.place += (length + end) as u64;
        Next::Line(Line { bytes, next: self.place })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    fn lines_of(chunks: Vec<Vec<u8>>, place: u64) -> Vec<Next> {
        let body = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk)))).boxed();
        let mut lines = Lines::new(body, place);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move {
            let mut all = Vec::new();
            loop {
                match lines.next().await.unwrap() {
                    Next::Line(line) => all.push(Next::Line(line)),
                    last => {
                        all.push(last);
                        return all;
                    }
                }
            }
        })
    }

    fn line(text: &str, next: u64) -> Next {
        Next::Line(Line { bytes: text.as_bytes().to_vec(), next })
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let chunks = vec![b"on".to_vec(), b"e\n\ntw".to_vec(), b"o".to_vec()];
        assert_eq!(lines_of(chunks, 0), [line("one", 4), line("", 5), line("two", 8), Next::End]);
        assert_eq!(lines_of(vec![b"one\n".to_vec()], 10), [line("one", 14), Next::End]);
        assert_eq!(lines_of(Vec::new(), 0), [Next::End]);
    }

    #[test]
    fn a_line_has_an_end() {
        let fits = [vec![b'x'; MAX_LINE], b"\ny".to_vec()].concat();
        assert_eq!(lines_of(vec![fits], 0).len(), 3);
        assert_eq!(lines_of(vec![vec![b'x'; MAX_LINE + 1], b"\ny".to_vec()], 0), [Next::TooLong]);
        assert_eq!(lines_of(vec![[vec![b'x'; MAX_LINE + 1], b"\ny".to_vec()].concat()], 0), [Next::TooLong]);
    }

    proptest! {
        #[test]
        fn however_a_file_arrives_its_lines_are_the_same(text in "[ab\n]{0,40}", cuts in prop::collection::vec(0usize..40, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|pair| text.as_bytes()[pair[0]..pair[1]].to_vec()).collect();
            let whole = lines_of(vec![text.clone().into_bytes()], 0);
            prop_assert_eq!(&lines_of(chunks, 0), &whole);
            // From the place that a line gives, the file goes on with the next one.
            for (index, next) in whole.iter().enumerate() {
                if let Next::Line(line) = next {
                    let place = usize::try_from(line.next).unwrap();
                    prop_assert_eq!(&lines_of(vec![text.as_bytes()[place..].to_vec()], line.next)[..], &whole[index + 1..]);
                }
            }
        }
    }
}
