//! How fast frames are decoded on one core: `cargo run --release -p open-cowork-opencode --example decode_speed`.
//!
//! The yardstick is OpenCode itself: it makes about 4,000 deltas per second and core
//! (docs/contract/08-opencode.md §14).

use open_cowork_opencode::sse::SseReader;
use open_cowork_opencode::{Event, decode_frame};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

const FRAMES: usize = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let ids = r#""sessionID":"ses_e0815a766ffeviHvrkgmg9c0yR","messageID":"msg_1f7e1160f00185S8JeZkWib0fU""#;
    let delta = format!(
        r#"{{"directory":"/workspace","project":"7b70c6cdac8dbbe0f0da95007fd9c75d6cc4b2d9","payload":{{"id":"evt_1f7e11863001KRA3dcQVq0il2f","type":"message.part.delta","properties":{{{ids},"partID":"prt_1f7e11861001TjCKXmfNZsj0Y8","field":"text","delta":"{}"}}}}}}"#,
        "x".repeat(64)
    );
    let tool = format!(
        r#"{{"directory":"/workspace","payload":{{"id":"evt_1","type":"message.part.updated","properties":{{"sessionID":"ses_1","part":{{"id":"prt_1",{ids},"type":"tool","tool":"bash","callID":"call_1","state":{{"status":"running","input":{{"command":"make"}},"metadata":{{"output":"{}"}},"time":{{"start":1}}}}}},"time":2}}}}}}"#,
        r"line of output\n".repeat(2000)
    );
    for (name, frame) in [
        ("message.part.delta, 64 characters", &delta),
        ("message.part.updated, 28 kB of output", &tool),
    ] {
        let count = FRAMES * 377 / frame.len().max(377);
        let started = Instant::now();
        for _ in 0..count {
            if matches!(
                black_box(decode_frame(black_box(frame))?).event,
                Event::Unknown { .. }
            ) {
                return Err("the frame should be known".into());
            }
        }
        report(name, count, frame.len(), started);
    }
    let chunk = format!("data: {delta}\n\n").repeat(64);
    let (mut reader, mut frames) = (SseReader::new(1 << 20), 0);
    let started = Instant::now();
    while frames < FRAMES {
        let mut error = None;
        reader.feed(chunk.as_bytes(), |data| match decode_frame(&data) {
            Ok(frame) => {
                black_box(frame);
                frames += 1;
            }
            Err(failure) => error = Some(failure),
        })?;
        if let Some(error) = error {
            return Err(error.into());
        }
    }
    report(
        "the same deltas out of the byte stream",
        frames,
        delta.len(),
        started,
    );
    Ok(())
}

fn report(name: &str, count: usize, bytes: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let (per_second, mib) = (
        count as f64 / seconds,
        (count * bytes) as f64 / seconds / 1_048_576.0,
    );
    println!("{name:40} {per_second:>10.0} frames/s {mib:>8.0} MiB/s");
}
