//! Event ids and times in few bytes. They occur once or twice per event, so they are most of a row that holds
//! a short delta. Both codecs are exact: what can't be shortened is kept as it is.

use open_cowork_contracts::{EventId, SessionId};

/// Any text follows.
const TEXT: u8 = 0;
/// `runtime:<own session>:<uuid>`: the 16 bytes of the UUID follow.
const RUNTIME_UUID: u8 = 1;
/// `<own session>:` and the text that follows.
const OWN: u8 = 2;

/// The short form of an explicit event id.
pub(crate) fn pack_event_id(session: &SessionId, id: &EventId) -> Vec<u8> {
    let own = |text: &'_ str| {
        Some(
            text.strip_prefix(session.as_str())?
                .strip_prefix(':')?
                .to_owned(),
        )
    };
    if let Some(uuid) = id
        .as_str()
        .strip_prefix("runtime:")
        .and_then(own)
        .and_then(|text| pack_uuid(&text))
    {
        return [&[RUNTIME_UUID], uuid.as_slice()].concat();
    }
    match own(id.as_str()) {
        Some(rest) => [&[OWN], rest.as_bytes()].concat(),
        None => [&[TEXT], id.as_str().as_bytes()].concat(),
    }
}

/// The id of a short form; `None` for bytes that [`pack_event_id`] never makes.
pub(crate) fn unpack_event_id(session: &SessionId, packed: &[u8]) -> Option<EventId> {
    let (form, rest) = packed.split_first()?;
    match *form {
        TEXT => Some(std::str::from_utf8(rest).ok()?.into()),
        OWN => Some(format!("{session}:{}", std::str::from_utf8(rest).ok()?).into()),
        RUNTIME_UUID => {
            let hex: String = <[u8; 16]>::try_from(rest)
                .ok()?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let groups = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ]
            .join("-");
            Some(format!("runtime:{session}:{groups}").into())
        }
        _ => None,
    }
}

/// The bytes of a UUID in its canonical form (lower case, 8-4-4-4-12).
fn pack_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let dashes = [8, 13, 18, 23];
    if bytes.len() != 36 || !dashes.iter().all(|at| bytes[*at] == b'-') {
        return None;
    }
    let mut packed = [0; 16];
    let mut digits = bytes.iter().filter(|byte| **byte != b'-');
    for byte in &mut packed {
        *byte = (hex(*digits.next()?)? << 4) | hex(*digits.next()?)?;
    }
    digits.next().is_none().then_some(packed)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// A time in the usual form as milliseconds since 1970; `None`: keep the text.
pub(crate) fn pack_time(text: &str) -> Option<i64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    let millisecond = at.as_millisecond();
    (unpack_time(millisecond).as_deref() == Some(text)).then_some(millisecond)
}

/// `2026-01-01T00:00:07.000Z`.
pub(crate) fn unpack_time(millisecond: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(millisecond).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_ids_become_short() {
        let session = "0198c0de-0000-7000-8000-000000000001".into();
        let length = |id: &str| pack_event_id(&session, &id.into()).len();
        let minted = format!("runtime:{session}:123e4567-e89b-12d3-a456-426614174000");
        assert_eq!(length(&minted), 17);
        assert_eq!(
            length(&format!("{session}:command:c1:prompt-submitted")),
            1 + "command:c1:prompt-submitted".len()
        );
        assert_eq!(length("opencode:x:1"), 13);
    }

    #[test]
    fn the_usual_times_become_numbers_and_others_stay() {
        assert_eq!(pack_time("1970-01-01T00:00:07.001Z"), Some(7001));
        for kept in [
            "1970-01-01T00:00:07Z",
            "1970-01-01T01:00:07.001+01:00",
            "yesterday",
            "",
        ] {
            assert_eq!(pack_time(kept), None, "{kept}");
        }
    }

    proptest! {
        #[test]
        fn every_id_survives(session in "[a-z:0-9-]{1,12}", own in any::<bool>(), runtime in any::<bool>(), rest in "(.{0,40}|[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})") {
            let prefix = format!("{}{}", if runtime { "runtime:" } else { "" }, if own { format!("{session}:") } else { String::new() });
            let id = EventId::new(format!("{prefix}{rest}"));
            let session = session.into();
            prop_assert_eq!(unpack_event_id(&session, &pack_event_id(&session, &id)), Some(id));
        }

        #[test]
        fn every_time_survives(millisecond in -60_000_000_000_000i64..250_000_000_000_000) {
            let text = unpack_time(millisecond).unwrap();
            prop_assert_eq!(pack_time(&text), Some(millisecond));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            unpack_event_id(&"s".into(), &bytes);
        }
    }
}
