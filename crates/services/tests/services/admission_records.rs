//! One peer that knocks without end: its refusals are counted, and everybody else's records stay.

use domain::Timestamp;
use services::admission::{AdmissionFilter, AdmissionRecord, Recorded};

use crate::world::World;

const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;

fn record(world: &World, source: &str, client_id: &str, reason: &str) -> AdmissionRecord {
    AdmissionRecord {
        at: Timestamp::from_millis(world.now_ms()),
        last_at: None,
        count: 1,
        source: format!("{source}:40000"),
        listener: "127.0.0.1:8883".to_owned(),
        sni: None,
        alpn: None,
        tls_version: None,
        tls_resumed: false,
        // As much as the gateway lets pass.
        chain: vec!["A".repeat(20_000)],
        certificate_id: None,
        certificate_subject: None,
        certificate_issuer: None,
        certificate_status: None,
        ca_certificate_id: None,
        client_id: Some(client_id.to_owned()),
        policy_statement: None,
        reason: reason.to_owned(),
        sentence: format!("{client_id} was refused."),
    }
}

fn all(world: &World) -> Vec<(String, String, u64)> {
    let records = world.services.admission_records(&AdmissionFilter::default(), 1_000_000);
    records.into_iter().map(|record| (record.client_id.unwrap_or_default(), record.reason, record.count)).collect()
}

fn of<'a>(client_id: &'a str, reason: &'a str, count: u64) -> (String, String, u64) {
    (client_id.to_owned(), reason.to_owned(), count)
}

#[tokio::test]
async fn identical_refusals_are_counted_and_come_first_when_they_are_newest() {
    let world = World::new();
    let record = |client_id, reason| world.services.record_admission(record(&world, "192.0.2.1", client_id, reason));
    assert_eq!(record("a", "X"), Recorded::Written);
    world.pass_ms(10);
    assert_eq!(record("b", "X"), Recorded::Written, "another client is another matter");
    world.pass_ms(10);
    assert_eq!(record("a", "Y"), Recorded::Written, "another reason as well");
    assert_eq!(all(&world), [of("a", "Y", 1), of("b", "X", 1), of("a", "X", 1)]);
    world.pass_ms(10);
    assert_eq!(record("a", "X"), Recorded::Counted);
    assert_eq!(record("a", "X"), Recorded::Counted);
    assert_eq!(all(&world), [of("a", "X", 3), of("a", "Y", 1), of("b", "X", 1)], "seen at once, and newest");
    let first = &world.services.admission_records(&AdmissionFilter::default(), 1)[0];
    assert_eq!(first.last_at.map(Timestamp::millis), Some(world.now_ms()));
    assert_eq!(first.at.millis(), world.now_ms() - 30);

    // Some time later the next one is written, and stands for those that were counted.
    world.pass_ms(61_000);
    assert_eq!(record("a", "X"), Recorded::Written);
    assert_eq!(all(&world), [of("a", "X", 3), of("a", "Y", 1), of("b", "X", 1), of("a", "X", 1)]);
}

#[tokio::test]
async fn a_shutdown_writes_what_was_counted() {
    let world = World::new();
    for _ in 0..500 {
        world.services.record_admission(record(&world, "192.0.2.1", "a", "X"));
    }
    let shutdown = world.run();
    shutdown.send_replace(true);
    shutdown.closed().await;
    let world = world.reopen().await;
    let counts: Vec<u64> = all(&world).into_iter().map(|(_, _, count)| count).collect();
    assert_eq!(counts, [499, 1]);
}

/// For two minutes each ten milliseconds, and then on for a week.
#[tokio::test]
async fn who_hammers_pushes_nobody_out() {
    let world = World::new();
    world.services.record_admission(record(&world, "192.0.2.200", "victim", "X"));
    let pauses_ms = [10].into_iter().cycle().take(12_000).chain([WEEK_MS / 10_000].into_iter().cycle().take(9_900));
    let (mut knocks, mut written) = (0, 0);
    for pause_ms in pauses_ms {
        world.pass_ms(pause_ms);
        let recorded = world.services.record_admission(record(&world, "192.0.2.1", "loud", "X"));
        (knocks, written) = (knocks + 1, written + u64::from(recorded == Recorded::Written));
    }
    assert!(written < 200, "{written} records for one device and one reason");
    let records = all(&world);
    assert!(records.contains(&of("victim", "X", 1)), "{} records", records.len());
    let loud: u64 = records.iter().filter(|(client, ..)| client == "loud").map(|(.., count)| count).sum();
    assert_eq!(loud, knocks, "none is forgotten");
}

/// A peer that is another client each time is not counted together; what it writes is bounded all the same.
#[tokio::test]
async fn who_changes_its_name_pushes_nobody_out_either() {
    let world = World::new();
    world.services.record_admission(record(&world, "192.0.2.200", "victim", "X"));
    world.services.record_admission(record(&world, "2001:db8::1", "victim6", "X"));
    for index in 0..10_000 {
        world.pass_ms(10);
        // Two hundred megabytes, from addresses that one host commands.
        let source = format!("[2001:db8:0:7::{index:x}]");
        world.services.record_admission(record(&world, &source, &format!("loud-{index}"), "X"));
    }
    let records = all(&world);
    assert!(records.contains(&of("victim", "X", 1)), "{} records", records.len());
    assert!(records.len() > 900, "its share is there: {}", records.len());
    assert!(records.len() < 1200, "16 + 4 MiB of 20 kB each at most: {}", records.len());
    let mut page = services::metrics::Exposition::default();
    world.services.show_metrics(&mut page);
    let page = page.into_text();
    let dropped = "landfall_journal_entries_dropped_total{cause=\"source_share\"} ";
    let dropped: usize = page.lines().find_map(|line| line.strip_prefix(dropped)?.parse().ok()).expect("it is counted");
    assert!(dropped >= 10_000 - 1200, "{dropped}");
}
