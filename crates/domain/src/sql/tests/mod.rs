//! What statements mean, as data: statement, payload, what the actions get.

mod expressions;
mod functions;
mod nested;
mod properties;
mod templates;

use super::SqlVersion::{V2015_10_08, V2016_03_23};
use super::*;
use crate::Timestamp;

const SKIPPED: &str = "(skipped)";

fn evaluate(sql: &str, version: SqlVersion, topic: &str, payload: &[u8]) -> Outcome {
    let statement = Statement::parse(sql, version).unwrap_or_else(|err| panic!("{sql}: {err}"));
    over(topic, payload, |input| statement.evaluate(input)).outcome
}

/// Something of a message from `device-1`.
fn over<T>(topic: &str, payload: &[u8], look: impl FnOnce(&Input<'_>) -> T) -> T {
    let account = "123456789012".parse().unwrap();
    look(&Input {
        topic,
        payload,
        client_id: Some("device-1"),
        principal: Some("c0ffee"),
        account: &account,
        timestamp: Timestamp::from_millis(1_481_825_251_155),
        trace_id: "trace-1",
        properties: &mqtt::packet::Properties::new(),
        seed: [7; 32],
    })
}

fn output(sql: &str, version: SqlVersion, payload: &str) -> String {
    match evaluate(sql, version, "a/b/c", payload.as_bytes()) {
        Outcome::Skip => SKIPPED.to_owned(),
        Outcome::Emit(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

fn check(sql: &str, payload: &str, expected: &str) {
    assert_eq!(output(sql, V2016_03_23, payload), expected, "{sql} over {payload}");
}

/// One expression, by `SELECT VALUE`.
fn check_value(expression: &str, payload: &str, expected: &str) {
    check(&format!("SELECT VALUE {expression} FROM 'a/#'"), payload, expected);
}

#[test]
fn columns() {
    let payload = r#"{"color":{"red":255,"green":0},"temperature":50,"list":[{"v":1},{"v":2}],"n":null}"#;
    for (columns, expected) in [
        ("*", payload),
        ("temperature", r#"{"temperature":50}"#),
        ("temperature AS t, color.red as RED", r#"{"t":50,"RED":255}"#),
        ("color.red", r#"{"red":255}"#),
        ("color.red AS a.b.c, color.green AS a.b.d", r#"{"a":{"b":{"c":255,"d":0}}}"#),
        ("temperature AS 'with space'", r#"{"with space":50}"#),
        ("list[1].v", r#"{"v":2}"#),
        ("list[1]", r#"{"list":{"v":2}}"#),
        ("list[2].v, color.blue, nothing.at.all, temperature.x", "{}"),
        ("n", r#"{"n":null}"#),
        ("n.m", "{}"),
        (
            "*, 15 AS speed",
            r#"{"color":{"red":255,"green":0},"temperature":50,"list":[{"v":1},{"v":2}],"n":null,"speed":15}"#,
        ),
        (
            "1 AS x, temperature AS color, *",
            r#"{"x":1,"color":{"red":255,"green":0},"temperature":50,"list":[{"v":1},{"v":2}],"n":null}"#,
        ),
        ("temperature AS x, color AS x.y", r#"{"x":{"y":{"red":255,"green":0}}}"#),
        ("timestamp(), upper('a')", r#"{"timestamp":1481825251155,"upper":"A"}"#),
        ("get(list, 0).v", r#"{"v":1}"#),
        ("VALUE temperature", "50"),
        ("VALUE color", r#"{"red":255,"green":0}"#),
        ("VALUE *", payload),
        ("VALUE nothing", ""),
        ("VALUE 'x'", r#""x""#),
        ("{'a': [temperature, nothing, null], 'b': nothing} AS o", r#"{"o":{"a":[50,null]}}"#),
    ] {
        check(&format!("SELECT {columns} FROM 'a/#'"), payload, expected);
        check(&format!("select {columns} from \"a/#\""), payload, expected);
    }
}

#[test]
fn words_that_may_be_names() {
    let payload = r#"{"value":[3],"end":2,"timestamp":7,"as":{"from":1},"Größe":9}"#;
    for (sql, expected) in [
        ("SELECT value FROM 'a'", r#"{"value":[3]}"#),
        ("SELECT value[0] AS v, end FROM 'a'", r#"{"v":3,"end":2}"#),
        ("SELECT VALUE [end] FROM 'a'", "[2]"),
        ("SELECT VALUE timestamp FROM 'a'", "7"),
        ("SELECT value AS value", r#"{"value":[3]}"#),
        ("SELECT VALUE CASE end WHEN 2 THEN end END", "2"),
        ("SELECT VALUE get(*, 'as').from", "1"),
        ("SELECT Größe", r#"{"Größe":9}"#),
    ] {
        check(sql, payload, expected);
    }
    check("SELECT value - 2 AS less FROM 'a'", r#"{"value":3}"#, r#"{"less":1}"#);
    check("SELECT value * 2 AS twice FROM 'a'", r#"{"value":3}"#, r#"{"twice":6}"#);
}

#[test]
fn the_star_alone_does_not_read_the_payload() {
    for payload in ["", "no json", "{\"a\":  1.50}", "[1", "\u{1}"] {
        check("SELECT * FROM 'a'", payload, payload);
        check("SELECT * FROM 'a' WHERE topic(1) = 'a'", payload, payload);
        check("SELECT VALUE * FROM 'a'", payload, payload);
    }
    assert_eq!(evaluate("SELECT *", V2015_10_08, "a", &[0xff, 0]), Outcome::Emit(vec![0xff, 0].into()));
}

#[test]
fn payloads_that_are_no_json() {
    for (sql, expected) in [
        ("SELECT encode(*, 'base64') AS data, topic() AS t FROM 'a'", r#"{"data":"bm8ganNvbg==","t":"a/b/c"}"#),
        ("SELECT a, 1 AS b FROM 'a'", r#"{"b":1}"#),
        ("SELECT *, timestamp() AS ts FROM 'a'", SKIPPED),
        ("SELECT * FROM 'a' WHERE a = 1", SKIPPED),
        ("SELECT * FROM 'a' WHERE isUndefined(*)", "no json"),
    ] {
        check(sql, "no json", expected);
    }
    let deep = "[".repeat(100_000);
    check("SELECT VALUE isUndefined(*)", &deep, "true");
}

#[test]
fn the_topic_filter() {
    for (sql, expected) in [
        ("SELECT * FROM 'a/+/#'", Some("a/+/#")),
        ("SELECT * FROM \"it's\"", Some("it's")),
        (
            "SELECT * FROM $aws/events/certificates/registered/# WHERE true",
            Some("$aws/events/certificates/registered/#"),
        ),
        ("SELECT *\nFROM\n  topic/# ", Some("topic/#")),
        ("SELECT * WHERE true", None),
        ("SELECT 1 AS x", None),
    ] {
        let statement = Statement::parse(sql, V2015_10_08).unwrap();
        assert_eq!(statement.topic_filter().map(mqtt::TopicFilter::as_str), expected, "{sql}");
    }
}

#[test]
fn errors_name_the_place() {
    let nested = format!("SELECT VALUE {}1{}", "(".repeat(100), ")".repeat(100));
    let chain = format!("SELECT VALUE 1{}", " + 1".repeat(1000));
    let long = format!("SELECT '{}' AS x", "x".repeat(SQL_BYTES_MAX));
    let name = format!("SELECT 1 AS a{}", ".a".repeat(100));
    for (sql, line, column, message) in [
        ("", 1, 1, "expected SELECT, found the end of the statement"),
        ("UPDATE x", 1, 1, "expected SELECT, found `UPDATE`"),
        ("SELECT", 1, 7, "expected an expression, found the end of the statement"),
        ("SELECT FROM 'a'", 1, 8, "expected an expression, found `FROM`"),
        ("SELECT * FROM", 1, 14, "expected a topic filter in quotes after FROM"),
        ("SELECT * FROM WHERE true", 1, 15, "expected a topic filter in quotes after FROM"),
        ("SELECT * FROM (SELECT 1)", 1, 15, "expected a topic filter in quotes after FROM"),
        ("SELECT * FROM 'a/#/b'", 1, 15, "'a/#/b' is not a topic filter"),
        ("SELECT * FROM 'a", 1, 15, "this string has no closing '"),
        ("SELECT *\nFROM 'ä' WHERE\n  é = ", 3, 7, "expected an expression, found the end of the statement"),
        ("SELECT * FROM 'a' x", 1, 19, "expected WHERE or the end of the statement, found `x`"),
        ("SELECT * FROM 'a';", 1, 18, "a statement does not end with `;`"),
        ("SELECT a b FROM 'a'", 1, 10, "expected `,`, FROM, WHERE or the end of the statement, found `b`"),
        ("SELECT * FROM 'a' WHERE a != 1", 1, 27, "`!=` is written `<>` in rule SQL"),
        (
            "SELECT * FROM 'a' WHERE a = 1 1",
            1,
            31,
            "expected an operator or the end of the statement, found the number 1",
        ),
        ("SELECT 1 + 2 FROM 'a'", 1, 8, "this column has no name: add `AS name` after it"),
        ("SELECT a AS FROM 'a'", 1, 13, "expected a name after AS, found `FROM`"),
        ("SELECT a AS 1", 1, 13, "expected a name after AS, found the number 1"),
        ("SELECT a.1 FROM 'a'", 1, 10, "expected a name after `.`, found the number 1"),
        ("SELECT a[x]", 1, 10, "expected an index after `[`, found `x`"),
        ("SELECT 1x", 1, 8, "a name cannot begin with a digit"),
        ("SELECT a ? b", 1, 10, "unexpected character '?'"),
        ("SELECT nope(1)", 1, 8, "there is no function `nope`"),
        ("SELECT upper(", 1, 14, "expected an expression, found the end of the statement"),
        ("SELECT upper('a' 'b')", 1, 18, "expected `,`, found the string 'b'"),
        ("SELECT AWS_Lambda('f', *)", 1, 8, "the function aws_lambda() is not served yet"),
        ("SELECT get_thing_shadow('t', 'r')", 1, 8, "the function get_thing_shadow() is not served yet"),
        ("SELECT (SELECT a FROM b)", 1, 8, "this column has no name"),
        ("SELECT (SELECT a) AS x", 1, 17, "expected FROM, found `)`"),
        ("SELECT (SELECT a FROM 'b') AS x", 1, 23, "expected the name of an array after FROM"),
        ("SELECT (SELECT a FROM b WHERE) AS x", 1, 30, "expected an expression, found `)`"),
        ("SELECT (SELECT a FROM b AS x", 1, 25, "expected `)`, found `AS`"),
        ("SELECT * WHERE a IN [1]", 1, 18, "IN is not served yet; use = and OR"),
        ("SELECT CASE WHEN a THEN 1 END AS x", 1, 13, "CASE needs a value before WHEN"),
        ("SELECT CASE a THEN 1 END AS x", 1, 15, "expected WHEN, found `THEN`"),
        ("SELECT cast(a AS blob)", 1, 18, "there is no type `blob` to cast to"),
        ("SELECT {a: 1} AS x", 1, 9, "expected a key in quotes, found `a`"),
        ("SELECT VALUE 1, 2", 1, 15, "SELECT VALUE takes one expression"),
        ("SELECT 999999999999999999999999999999999999999999", 1, 8, "this number is too large"),
        (&nested, 1, 78, "the expression is more than 64 levels deep"),
        (&chain, 1, 1036, "the expression has more than 256 operators in a chain"),
        (&name, 1, 141, "the name after AS is more than 64 levels deep"),
        (&long, 1, 1, "the statement is longer than 65536 bytes"),
    ] {
        let err = Statement::parse(sql, V2016_03_23).expect_err(sql);
        assert_eq!((err.line, err.column), (line, column), "{sql}: {err}");
        assert!(err.message.starts_with(message), "{sql}\nexpected: {message}\n     got: {}", err.message);
    }
}

#[test]
fn what_the_first_version_does_not_have() {
    for (sql, message) in [
        ("SELECT [1] AS x", "array and object literals need awsIotSqlVersion 2016-03-23"),
        ("SELECT {'a': 1} AS x", "array and object literals need awsIotSqlVersion 2016-03-23"),
        (
            "SELECT encode(*, 'base64') AS x",
            "the function encode() needs awsIotSqlVersion 2016-03-23; this statement has 2015-10-08",
        ),
        ("SELECT (SELECT a FROM b) AS x", "a nested SELECT needs awsIotSqlVersion 2016-03-23"),
        ("SELECT cast(a AS boolean)", "cast to boolean needs awsIotSqlVersion 2016-03-23"),
    ] {
        assert_eq!(Statement::parse(sql, V2015_10_08).expect_err(sql).message, message);
        assert!(Statement::parse(sql, SqlVersion::Beta).is_ok(), "{sql}");
    }
}

#[test]
fn versions() {
    for version in [V2015_10_08, V2016_03_23, SqlVersion::Beta] {
        assert_eq!(SqlVersion::parse(version.as_str()), Some(version));
    }
    assert_eq!(SqlVersion::parse("2016-03-24"), None);
}

#[test]
fn an_evaluation_is_bounded() {
    let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    for expression in [
        format!("concat(a{})", ", a".repeat(1000)),
        format!("a{}", " + a".repeat(250)),
        "replace(a, 'x', a)".to_owned(),
    ] {
        check_value(&expression, &payload, SKIPPED);
    }
    let columns: Vec<String> = (0..1000).map(|index| format!("a AS a{index}")).collect();
    check(&format!("SELECT {}", columns.join(", ")), &payload, SKIPPED);
    check(&format!("SELECT {}", columns[..10].join(", ")), r#"{"b":1}"#, "{}");
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    check("SELECT *, 1 AS x", r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2,"x":1}"#);
}
