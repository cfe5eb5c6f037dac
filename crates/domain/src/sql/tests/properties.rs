//! Whatever the statement and the payload, there is an answer.

use proptest::prelude::*;

use crate::Timestamp;
use crate::sql::SqlVersion::{V2015_10_08, V2016_03_23};
use crate::sql::{Input, Outcome, Statement};

const GOOD: [&str; 5] = [
    "SELECT *, a.b[0].c AS x.y, 'it''s' + 1.5e3 FROM 'a/+/#' WHERE NOT a = 1 AND (b <> 2 OR c >= -3)",
    "SELECT CASE a WHEN 1 THEN 'x' ELSE null END AS r, cast(b AS int) AS i, topic(2) FROM \"t\"",
    "SELECT VALUE {'a': [1, 2.0, true], 'b': get(*, 'k').l} FROM $aws/events/#",
    "SELECT encode(*, 'base64') AS data, decode(a, 'base64').x AS y WHERE isUndefined(z) OR a % 2 = 0",
    "SELECT upper(concat(a, '-', clientid())) AS u, substring(a, 1, 2), round(b * 1.5) AS r FROM 'x'",
];

fn evaluate(statement: &Statement, payload: &[u8]) -> Outcome {
    let account = "123456789012".parse().unwrap();
    statement
        .evaluate(&Input {
            topic: "a/b",
            payload,
            client_id: None,
            principal: None,
            account: &account,
            timestamp: Timestamp::from_millis(1),
            trace_id: "",
            properties: &mqtt::packet::Properties::new(),
            seed: [7; 32],
        })
        .outcome
}

fn check(sql: &str) {
    for version in [V2015_10_08, V2016_03_23] {
        match Statement::parse(sql, version) {
            Ok(statement) => {
                let outcome = evaluate(&statement, br#"{"a":"x","b":2.5,"c":[1,{"d":null}]}"#);
                if let Outcome::Emit(bytes) = outcome {
                    // Undefined is the empty string; all else is JSON.
                    let is_json = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
                    assert!(bytes.is_empty() || is_json, "{sql}: {bytes:?}");
                }
            }
            Err(err) => {
                let line = sql.split('\n').nth(err.line - 1).expect("the line exists");
                assert!(err.column >= 1 && err.column <= line.chars().count() + 1, "{sql:?}: {err}");
            }
        }
    }
}

/// As deep and as long as a statement may be: neither the stack nor the time of one evaluation runs out.
#[test]
fn the_largest_statements() {
    let nested = |open: &str, close: &str, count: usize| format!("{}true{}", open.repeat(count), close.repeat(count));
    for expression in [
        nested("(", ")", 63),
        nested("NOT ", "", 63),
        nested("isNull(", ")", 63),
        nested("[", "]", 63),
        nested("{'a': ", "}", 63),
        nested("CASE true WHEN true THEN ", " END", 63),
        format!("true{}", " AND true".repeat(255)),
        nested("(", &format!(" AND true){}", " AND true".repeat(3)), 62),
    ] {
        let statement = Statement::parse(&format!("SELECT VALUE {expression}"), V2016_03_23);
        assert!(matches!(evaluate(&statement.expect(&expression), b"{}"), Outcome::Emit(_)));
    }
    let strings = format!("SELECT VALUE concat({}'')", "'a',".repeat(16_000));
    let statement = Statement::parse(&strings, V2016_03_23).unwrap();
    assert_eq!(evaluate(&statement, b"{}"), Outcome::Emit(format!("\"{}\"", "a".repeat(16_000)).into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,60}", space in "[ \t\n]{0,2}") {
        check(&text);
        check(&format!("SELECT {space}{text}"));
        check(&format!("SELECT * FROM '{text}'\nWHERE{space} {text}"));
    }

    #[test]
    fn changed_statements_are_answered(
        index in 0..GOOD.len(),
        other in 0..GOOD.len(),
        from in 0..120_usize,
        length in 0..8_usize,
        insert in "[a-z'\"()\\[\\]{}.,:*<>=+/%0-9 \n-]{0,4}",
    ) {
        let cut = |text: &str, at: usize| at.min(text.len());
        let good = GOOD[index];
        let start = cut(good, from);
        let end = cut(good, start + length);
        check(&format!("{}{insert}{}", &good[..start], &good[end..]));
        check(&format!("{}{insert}{}", &good[..start], &GOOD[other][cut(GOOD[other], from)..]));
    }

    #[test]
    fn any_payload_is_answered(payload in "\\PC{0,40}", index in 0..GOOD.len()) {
        for sql in ["SELECT *, a.b AS c", GOOD[index]] {
            if let Ok(statement) = Statement::parse(sql, V2016_03_23) {
                evaluate(&statement, payload.as_bytes());
            }
        }
    }
}
