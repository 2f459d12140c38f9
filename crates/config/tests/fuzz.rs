//! The short run of the fuzz targets: their committed corpus, every input that ever broke something, and
//! mutations of both that are the same on every machine. `cargo xtask fuzz` runs the real fuzzer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value
)] // in functions beside the tests too

mod fuzzed;

use std::path::PathBuf;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 2] = [("loader", fuzzed::loader), ("document", fuzzed::document)];

/// Mutations of each input: about two seconds in a debug build.
const MUTATIONS: usize = 15;

fn inputs(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(folder)
        .join(target);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn the_corpus_and_its_mutations_break_nothing() {
    for (name, run) in TARGETS {
        let corpus = inputs("corpus", name);
        assert!(!corpus.is_empty(), "fuzz/corpus/{name} has inputs");
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for input in &corpus {
            run(input);
            for _ in 0..MUTATIONS {
                run(&random.mutate(input, &corpus));
            }
        }
    }
}

#[test]
fn what_broke_once_stays_mended() {
    for (name, run) in TARGETS {
        for input in inputs("regressions", name) {
            run(&input);
        }
    }
}

/// xorshift: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn mutate(&mut self, input: &[u8], corpus: &[Vec<u8>]) -> Vec<u8> {
        const TOKENS: [&str; 16] = [
            "{",
            "}",
            "[",
            "]",
            "\"",
            ",",
            ":",
            "null",
            "\"\"",
            "1e3",
            "-0",
            "{env:A}",
            "{file:./n.txt}",
            "/*",
            "\\ud800",
            "\u{feff}",
        ];
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => bytes.truncate(at),
                2 => {
                    let end = (at + self.below(16)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    let end = (from + self.below(64)).min(other.len());
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    bytes.splice(at..at, token.bytes());
                }
            }
        }
        bytes
    }
}
