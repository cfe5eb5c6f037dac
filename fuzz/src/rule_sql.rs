//! A rule's statement and a message: the SQL, an empty line, the payload.

use domain::Timestamp;
use domain::sql::{EVALUATION_BYTES_MAX, Input, Outcome, SQL_BYTES_MAX, SqlVersion, Statement, Template};

use crate::parts::paragraph;

pub fn rule_sql(data: &[u8]) {
    let (sql, payload) = paragraph(data);
    let Ok(sql) = std::str::from_utf8(sql) else { return };
    for version in [SqlVersion::V2015_10_08, SqlVersion::V2016_03_23] {
        match Statement::parse(sql, version) {
            Ok(statement) => {
                assert!(sql.len() <= SQL_BYTES_MAX);
                check(&statement, payload);
            }
            Err(error) => {
                let line = sql.split('\n').nth(error.line - 1).expect("the line exists");
                assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}");
                assert!(error.message.len() < 1024, "{error}");
            }
        }
        // The same text as a template of an action: it has a text or a reason, each time the same.
        if let Ok(template) = Template::parse(sql, version) {
            let rendered = over(payload, |input| template.render(input));
            assert_eq!(rendered, over(payload, |input| template.render(input)));
        }
    }
}

fn check(statement: &Statement, payload: &[u8]) {
    let outcome = evaluated(statement, payload);
    assert_eq!(outcome, evaluated(statement, payload), "the same each time");
    let Outcome::Emit(emitted) = outcome else { return };
    if emitted.as_ref() == payload || emitted.is_empty() {
        return;
    }
    // JSON takes at most six bytes for a character that takes one.
    assert!(emitted.len() <= 6 * (EVALUATION_BYTES_MAX + payload.len()));
    assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&emitted).is_ok(), "what is selected is JSON");
}

fn evaluated(statement: &Statement, payload: &[u8]) -> Outcome {
    over(payload, |input| statement.evaluate(input)).outcome
}

fn over<T>(payload: &[u8], look: impl FnOnce(&Input<'_>) -> T) -> T {
    let account = "123456789012".parse().expect("an account");
    look(&Input {
        topic: "a/b/c",
        payload,
        client_id: Some("client"),
        principal: Some("principal"),
        account: &account,
        timestamp: Timestamp::from_millis(1),
        trace_id: "trace",
        properties: &mqtt::packet::Properties::new(),
        seed: [7; 32],
    })
}
