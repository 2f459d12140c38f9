//! Frames out of bytes (03 §9.3; format: the HTML standard's event stream). Pieces of any size in, whole frames out,
//! never more than one frame in memory.

/// One frame. A comment is a frame too: it tells that the stream lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The `event` field; empty without one.
    pub event: String,
    /// The `id` field, where the frame has one.
    pub id: Option<String>,
    /// The `data` lines, joined by line feeds.
    pub data: Vec<u8>,
}

/// A frame is longer than the bound. The reader has lost its place: connect anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of the event stream has more than {limit} bytes")]
pub struct FrameTooLarge {
    /// Longest frame, bytes.
    pub limit: usize,
}

/// Reads the frames of one response body.
#[derive(Debug)]
pub struct SseReader {
    limit: usize,
    /// The current line, when it began in an earlier piece.
    line: Vec<u8>,
    frame: Frame,
    has_data: bool,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_cr: bool,
    /// Nothing was read yet: a byte order mark may come.
    at_start: bool,
}

impl SseReader {
    /// A reader of frames of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        SseReader {
            limit,
            line: Vec::new(),
            frame: Frame::default(),
            has_data: false,
            after_cr: false,
            at_start: true,
        }
    }

    /// Takes in a piece and calls `emit` with every frame that it completes, in order. Frames without data are left
    /// out, as the standard says.
    pub fn feed(
        &mut self,
        mut piece: &[u8],
        mut emit: impl FnMut(Frame),
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
            let (head, rest) = (&piece[..end], &piece[end + 1..]);
            self.bound(self.line.len() + head.len())?;
            if self.line.is_empty() {
                self.end_line(head, &mut emit)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                self.end_line(&line, &mut emit)?;
                line.clear();
                self.line = line;
            }
            piece = rest;
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], emit: &mut impl FnMut(Frame)) -> Result<(), FrameTooLarge> {
        let line = match std::mem::take(&mut self.at_start) {
            true => line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            let frame = std::mem::take(&mut self.frame);
            if std::mem::take(&mut self.has_data) {
                emit(frame);
            }
            return Ok(());
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                self.bound(self.frame.data.len() + value.len())?;
                if std::mem::replace(&mut self.has_data, true) {
                    self.frame.data.push(b'\n');
                }
                self.frame.data.extend_from_slice(value);
            }
            b"event" => self.frame.event = String::from_utf8_lossy(value).into_owned(),
            b"id" if !value.contains(&0) => {
                self.frame.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            // Comments, `retry`, and what a later version may add.
            _ => {}
        }
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

    fn frames(pieces: &[&[u8]], limit: usize) -> Result<Vec<Frame>, FrameTooLarge> {
        let mut reader = SseReader::new(limit);
        let mut frames = Vec::new();
        for piece in pieces {
            reader.feed(piece, |frame| frames.push(frame))?;
        }
        Ok(frames)
    }

    fn frame(event: &str, id: Option<&str>, data: &str) -> Frame {
        Frame {
            event: event.to_owned(),
            id: id.map(str::to_owned),
            data: data.as_bytes().to_vec(),
        }
    }

    #[test]
    fn every_line_end_ends_a_line() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "id: 7\nevent: x\ndata: a\n\ndata: b\n\n".replace('\n', end);
            let expected = [frame("x", Some("7"), "a"), frame("", None, "b")];
            assert_eq!(frames(&[text.as_bytes()], 99).unwrap(), expected, "{end:?}");
        }
    }

    #[test]
    fn comments_and_unknown_fields_are_read_over() {
        let text = "\u{feff}: connected\n\nretry: 9\ndatabase: no\ndata: one\ndata:two\ndata\n\n: keep-alive\n\n";
        assert_eq!(
            frames(&[text.as_bytes()], 99).unwrap(),
            [frame("", None, "one\ntwo\n")]
        );
    }

    #[test]
    fn a_frame_without_data_or_without_an_end_is_not_given_out() {
        assert!(frames(&[b"event: x\nid: 4\n\n"], 99).unwrap().is_empty());
        assert!(frames(&[b"data: half"], 99).unwrap().is_empty());
        assert!(frames(&[b"data: half\n"], 99).unwrap().is_empty());
        let empty = frames(&[b"data:\n\n"], 99).unwrap();
        assert_eq!(empty, [frame("", None, "")]);
    }

    #[test]
    fn an_event_name_does_not_leak_into_the_next_frame() {
        let text = b"event: x\nid: 1\n\ndata: a\n\n";
        assert_eq!(frames(&[text], 99).unwrap(), [frame("", None, "a")]);
    }

    #[test]
    fn a_frame_above_the_limit_is_an_error_whether_in_one_line_or_many() {
        let limit = 100;
        let exact = format!("data: {}\n\n", "x".repeat(limit));
        assert_eq!(
            frames(&[exact.as_bytes()], limit).unwrap()[0].data.len(),
            limit
        );
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
            lines in prop::collection::vec("(data: ?|: |id: |event: )?[a-z é😀]{0,8}(\n|\r|\r\n)", 0..30),
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

        #[test]
        fn no_bytes_make_it_panic_or_hold_more_than_a_frame(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40),
        ) {
            let mut reader = SseReader::new(64);
            for piece in &pieces {
                if reader.feed(piece, |frame| assert!(frame.data.len() <= 70)).is_err() {
                    break;
                }
                prop_assert!(reader.line.len() <= 70);
            }
        }
    }
}
