//! The line reader under an event stream: bytes in pieces of any size in, whole frames out, never more than one frame
//! in memory (docs/contract/08-opencode.md §7; format: the HTML standard's event stream).
//!
//! OpenCode sends `data:` lines and, on v2, comments. Other fields are read over. `eventsource-stream` does the same
//! for trusted servers, but buffers a line without bound.

/// A frame was longer than the limit. The reader has lost its place: connect anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame of the event stream has more than {limit} bytes; reconnect and read the sessions again"
)]
pub struct FrameTooLarge {
    /// Largest frame, in bytes.
    pub limit: usize,
}

/// Reads the frames of one response body.
#[derive(Debug)]
pub struct SseReader {
    limit: usize,
    /// The current line, when it began in an earlier piece.
    line: Vec<u8>,
    /// Data lines of the current frame, each followed by a line feed.
    data: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_cr: bool,
    /// Nothing was read yet: a byte order mark may come.
    at_start: bool,
}

impl SseReader {
    /// A reader that holds frames of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes in a piece and calls `emit` with the data of every frame that it completes, in order.
    pub fn feed(
        &mut self,
        mut piece: &[u8],
        mut emit: impl FnMut(Vec<u8>),
    ) -> Result<(), FrameTooLarge> {
        while !piece.is_empty() {
            if std::mem::take(&mut self.after_cr) && piece[0] == b'\n' {
                piece = &piece[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', piece) else {
                self.bound(self.line.len() + piece.len())?;
                self.line.extend_from_slice(piece);
                return Ok(());
            };
            self.after_cr = piece[end] == b'\r';
            let (rest_of_line, rest) = (&piece[..end], &piece[end + 1..]);
            self.bound(self.line.len() + rest_of_line.len())?;
            if self.line.is_empty() {
                self.end_line(rest_of_line, &mut emit)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(rest_of_line);
                self.end_line(&line, &mut emit)?;
                line.clear();
                self.line = line;
            }
            piece = rest;
        }
        Ok(())
    }

    fn end_line(
        &mut self,
        line: &[u8],
        emit: &mut impl FnMut(Vec<u8>),
    ) -> Result<(), FrameTooLarge> {
        let line = match std::mem::take(&mut self.at_start) {
            true => line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            if self.data.pop().is_some() {
                emit(std::mem::take(&mut self.data));
            }
            return Ok(());
        }
        let value = match line.strip_prefix(b"data") {
            Some([b':', b' ', value @ ..]) | Some([b':', value @ ..]) => value,
            Some([]) => &[],
            _ => return Ok(()),
        };
        self.bound(self.data.len() + value.len())?;
        self.data.extend_from_slice(value);
        self.data.push(b'\n');
        Ok(())
    }

    fn bound(&self, bytes: usize) -> Result<(), FrameTooLarge> {
        // A data line is its frame's content after `data: `.
        match bytes > self.limit.saturating_add(b"data: ".len()) {
            true => Err(FrameTooLarge { limit: self.limit }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(pieces: &[&[u8]], limit: usize) -> Result<Vec<String>, FrameTooLarge> {
        let mut reader = SseReader::new(limit);
        let mut frames = Vec::new();
        for piece in pieces {
            reader.feed(piece, |frame| {
                frames.push(String::from_utf8(frame).unwrap())
            })?;
        }
        Ok(frames)
    }

    #[test]
    fn every_line_end_ends_a_line() {
        for text in [
            "data: a\n\ndata: b\n\n",
            "data: a\r\n\r\ndata: b\r\n\r\n",
            "data: a\r\rdata: b\r\r",
        ] {
            assert_eq!(
                frames(&[text.as_bytes()], 99).unwrap(),
                ["a", "b"],
                "{text:?}"
            );
        }
    }

    #[test]
    fn data_lines_join_and_other_lines_are_read_over() {
        let text = "\u{feff}: heartbeat\n\nid: 7\nevent: x\ndata: one\ndata:two\ndata\nretry: 9\ndatabase: no\n\n\n";
        assert_eq!(frames(&[text.as_bytes()], 99).unwrap(), ["one\ntwo\n"]);
    }

    #[test]
    fn an_unfinished_frame_is_not_given_out() {
        assert!(frames(&[b"data: half"], 99).unwrap().is_empty());
        assert!(frames(&[b"data: half\n"], 99).unwrap().is_empty());
    }

    #[test]
    fn a_frame_above_the_limit_is_an_error_whether_in_one_line_or_many() {
        let limit = 100;
        let exact = format!("data: {}\n\n", "x".repeat(limit));
        assert_eq!(frames(&[exact.as_bytes()], limit).unwrap()[0].len(), limit);
        let long = format!("data: {}", "x".repeat(limit + 1));
        assert_eq!(
            frames(&[long.as_bytes()], limit),
            Err(FrameTooLarge { limit })
        );
        assert!(frames(&[b"data: x\n".repeat(200).as_slice()], limit).is_err());
        assert!(frames(&vec![b"y".as_slice(); 200], limit).is_err());
    }

    proptest! {
        #[test]
        fn frames_do_not_depend_on_how_the_bytes_are_cut(
            lines in prop::collection::vec("(data: ?|: |id: )?[a-z é]{0,8}(\n|\r|\r\n)", 0..30),
            cuts in prop::collection::vec(1usize..9, 0..60),
        ) {
            let text = lines.concat() + "\n\n";
            let mut pieces: Vec<&[u8]> = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(frames(&pieces, 1000).unwrap(), frames(&[text.as_bytes()], 1000).unwrap());
        }
    }
}
