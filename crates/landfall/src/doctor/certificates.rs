//! When certificates end.

use domain::Timestamp;

use super::Finding;

const DAY_MS: i64 = 86_400_000;
/// Time enough to renew what somebody else has to sign.
const NOTE_DAYS: i64 = 30;
/// A CA is registered anew, and its devices need new certificates.
const CA_NOTE_DAYS: i64 = 90;

pub fn of_server(name: &str, not_after: Timestamp, now: Timestamp) -> Finding {
    ending("certificate", name, not_after, now, NOTE_DAYS, "replace it: no device trusts the server with it")
}

pub fn of_ca(name: &str, not_after: Timestamp, now: Timestamp) -> Finding {
    let advice = "register its successor, and give its devices new certificates: with this one none is let in";
    ending("CA", name, not_after, now, CA_NOTE_DAYS, advice)
}

fn ending(
    what: &'static str,
    name: &str,
    not_after: Timestamp,
    now: Timestamp,
    note_days: i64,
    advice: &str,
) -> Finding {
    let (left_ms, day) = (not_after.since(now), not_after.to_rfc3339());
    let day = day.get(..10).unwrap_or(&day);
    if left_ms < 0 {
        Finding::wrong(what, format!("{name} ended on {day}; {advice}"))
    } else if left_ms < note_days * DAY_MS {
        Finding::note(what, format!("{name} ends on {day}, in {} days; {advice} then", left_ms / DAY_MS))
    } else {
        Finding::good(what, format!("{name} is valid until {day}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn ends_are_told_in_time() {
        let now = Timestamp::from_seconds(1_800_000_000);
        for (days, server, ca) in [
            (400, Verdict::Good, Verdict::Good),
            (60, Verdict::Good, Verdict::Note),
            (10, Verdict::Note, Verdict::Note),
            (-1, Verdict::Wrong, Verdict::Wrong),
        ] {
            let end = now.plus_millis(days * DAY_MS);
            assert_eq!(of_server("s", end, now).verdict, server, "{days}");
            assert_eq!(of_ca("c", end, now).verdict, ca, "{days}");
        }
    }
}
