//! A random log behind a random connection: whoever folds what is given out ends with the log, without a hole and
//! without a repetition.

mod support;

use open_cowork_cloud_client::{LineOptions, Update};
use open_cowork_contracts::SessionId;
use proptest::prelude::*;
use std::time::Duration;
use support::{Fake, Step, chunk, end, envelope, error, event, ok, snapshot_required, stream};

/// What befalls one request.
#[derive(Clone, Debug)]
enum Luck {
    /// The stream sends so many events, cut into pieces of this size, and ends so.
    Stream {
        events: u64,
        repeat: u64,
        piece: usize,
        ending: u8,
    },
    /// The oldest events are gone: the cloud announces a gap.
    Gap { pruned: u64, then: u64 },
    /// An event is left out and nobody says so.
    Hole { at: u64, then: u64 },
    /// A frame is garbage.
    Garbage,
    /// The request fails.
    Fails(u16),
    /// Nothing comes.
    Silence,
}

fn luck() -> impl Strategy<Value = Luck> {
    prop_oneof![
        4 => (0u64..9, 0u64..3, 1usize..400, 0u8..4)
            .prop_map(|(events, repeat, piece, ending)| Luck::Stream { events, repeat, piece, ending }),
        1 => (1u64..6, 0u64..5).prop_map(|(pruned, then)| Luck::Gap { pruned, then }),
        1 => (0u64..4, 1u64..5).prop_map(|(at, then)| Luck::Hole { at, then }),
        1 => Just(Luck::Garbage),
        1 => prop_oneof![Just(500u16), Just(502), Just(503), Just(429)].prop_map(Luck::Fails),
        1 => Just(Luck::Silence),
    ]
}

/// Cuts a text into chunks of so many bytes, also through characters.
fn cut(text: &str, piece: usize) -> Vec<Step> {
    let pieces = text.as_bytes().chunks(piece);
    pieces
        .map(|bytes| {
            Step::Send([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
        })
        .collect()
}

fn answer(luck: &Luck, after: u64, last: u64) -> Vec<Step> {
    let until = |from: u64, count: u64| -> String {
        (from..=last).take(count as usize).map(event).collect()
    };
    let mut steps = stream("", "");
    match *luck {
        Luck::Stream {
            events,
            repeat,
            piece,
            ending,
        } => {
            let from = (after + 1).saturating_sub(repeat).max(1);
            steps.extend(cut(&until(from, events + repeat), piece));
            match ending {
                0 => steps.push(end()),
                1 => steps.push(Step::Reset),
                2 => steps.extend([chunk("id: 9\ndata: {\"se"), Step::Reset]),
                _ => {}
            }
        }
        Luck::Gap { pruned, then } if after > 0 => {
            let latest = (after + 1 + pruned).min(last);
            steps.push(chunk(&snapshot_required(
                after,
                latest,
                "event_retention_gap",
            )));
            steps.push(chunk(&until(latest + 1, then)));
        }
        Luck::Hole { at, then } if after > 0 => {
            steps.push(chunk(&until(after + 1, at)));
            steps.push(chunk(&until(after + at + 2, then)));
        }
        Luck::Gap { .. } | Luck::Hole { .. } => {}
        Luck::Garbage => steps.push(chunk("data: {]\n\n")),
        Luck::Fails(status) => return error(status, ""),
        Luck::Silence => steps.push(Step::Hang),
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_follower_ends_with_the_log_whatever_befalls_its_connections(
        last in 1u64..60,
        lucks in prop::collection::vec(luck(), 0..25),
        lags in prop::collection::vec(0u64..12, 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let (mut lucks, mut lags) = (lucks.into_iter(), lags.into_iter());
            let mut garbage = 0;
            // Views never go back by themselves: a lagging one is as far as the events that were sent.
            let mut sent = 0;
            let fake = Fake::start(move |_, request| {
                if !request.line.contains("/events") {
                    return match lags.next() {
                        Some(lag) => ok(&envelope(sent.max(last / 2).saturating_sub(lag).min(last))),
                        None => ok(&envelope(last)),
                    };
                }
                let after = request.line.rsplit_once("after=").map_or(0, |(_, after)| after.parse().unwrap());
                sent = sent.max(after);
                let luck = match lucks.next() {
                    // Three in a row end a stream, by design.
                    Some(Luck::Garbage) if garbage > 0 => Luck::Fails(503),
                    Some(luck) => luck,
                    None => Luck::Stream { events: 100, repeat: 1, piece: 77, ending: 0 },
                };
                garbage += u32::from(matches!(luck, Luck::Garbage));
                answer(&luck, after, last)
            })
            .await;
            let options = LineOptions { longest: Duration::from_secs(2), ..LineOptions::default() };
            let client = fake.builder().line(options).build().unwrap();
            let mut follow = client.sessions().follow(&SessionId::from("s"));
            let mut folded = None;
            while folded != Some(last) {
                match follow.next().await.unwrap().unwrap() {
                    Update::Snapshot(envelope) => {
                        let sequence = envelope.projection.map_or(0, |projection| projection.sequence);
                        assert!(folded.is_none_or(|folded| sequence >= folded), "went back to {sequence}");
                        folded = Some(sequence);
                    }
                    Update::Event(event) => {
                        assert_eq!(Some(event.sequence - 1), folded, "a hole or a repetition");
                        folded = Some(event.sequence);
                    }
                }
                assert_eq!(follow.cursor(), folded.unwrap());
            }
        });
    }
}
