//! Lines and columns of a text, and which lines are code.

use super::place::{Language, Place};

/// Where lines start, and which of them stand in a fenced block.
pub(super) struct Lines {
    starts: Vec<usize>,
    /// Per line; empty when everything is code.
    is_code: Vec<bool>,
}

impl Lines {
    pub(super) fn of(text: &str, place: &Place) -> Lines {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        let is_code = if place.language == Language::Prose {
            fences(text)
        } else {
            Vec::new()
        };
        Lines { starts, is_code }
    }

    /// Index of the line that holds this byte.
    pub(super) fn index(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    pub(super) fn is_code(&self, at: usize) -> bool {
        self.is_code
            .get(self.index(at))
            .copied()
            .unwrap_or(self.is_code.is_empty())
    }

    /// Line and column from 1, the column in characters.
    pub(super) fn place(&self, text: &str, at: usize) -> (u32, u32) {
        let index = self.index(at);
        let column = text[self.starts[index]..at].chars().count() + 1;
        (narrow(index + 1), narrow(column))
    }

    /// The line with this index, without its end.
    pub(super) fn line<'a>(&self, text: &'a str, index: usize) -> &'a str {
        let Some(start) = self.starts.get(index) else {
            return "";
        };
        let end = self.starts.get(index + 1).copied().unwrap_or(text.len());
        text[*start..end].trim_end_matches(['\n', '\r'])
    }

    /// What follows on the same line, at most 4 KiB of it.
    pub(super) fn rest<'a>(&self, text: &'a str, at: usize) -> &'a str {
        let end = self
            .starts
            .get(self.index(at) + 1)
            .copied()
            .unwrap_or(text.len());
        let mut end = end.min(at + 4096);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[at..end]
    }

    /// The byte at which a line starts.
    pub(super) fn start(&self, index: usize) -> usize {
        self.starts.get(index).copied().unwrap_or_default()
    }

    /// How many lines hold something.
    pub(super) fn count(&self, text: &str) -> usize {
        self.starts.len() - usize::from(text.is_empty() || text.ends_with('\n'))
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn fences(text: &str) -> Vec<bool> {
    let mut open: Option<&str> = None;
    let mark = |line: &str| {
        let line = line.trim_start();
        ["```", "~~~"]
            .into_iter()
            .find(|fence| line.starts_with(fence))
    };
    text.split('\n')
        .map(|line| match (open, mark(line)) {
            (None, Some(fence)) => {
                open = Some(fence);
                true
            }
            (Some(fence), Some(closing)) if fence == closing => {
                open = None;
                true
            }
            (is_open, _) => is_open.is_some(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\nüü x";
        let lines = Lines::of(text, &Place::of("a.txt"));
        assert_eq!(lines.place(text, text.len() - 1), (2, 4));
        assert_eq!(lines.place(text, 0), (1, 1));
        assert_eq!(lines.count(text), 2);
        assert_eq!(Lines::of("a\n", &Place::of("a.txt")).count("a\n"), 1);
    }

    #[test]
    fn fenced_lines_are_code() {
        let text = "talk\n```sh\nX=1\n```\ntalk";
        let lines = Lines::of(text, &Place::of("a.md"));
        assert!(!lines.is_code(0));
        assert!(lines.is_code(12));
        assert!(!lines.is_code(text.len() - 1));
        assert!(Lines::of(text, &Place::of("a.sh")).is_code(0));
    }
}
