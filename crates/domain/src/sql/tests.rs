//! What statements mean, as data: statement, payload, what the actions get.

use proptest::prelude::*;

use super::SqlVersion::{V2015_10_08, V2016_03_23};
use super::*;
use crate::Timestamp;

const SKIPPED: &str = "(skipped)";

fn evaluate(sql: &str, version: SqlVersion, topic: &str, payload: &[u8]) -> Outcome {
    let account = "123456789012".parse().unwrap();
    let input = Input {
        topic,
        payload,
        client_id: Some("device-1"),
        principal: Some("c0ffee"),
        account: &account,
        timestamp: Timestamp::from_millis(1_481_825_251_155),
        trace_id: "trace-1",
    };
    Statement::parse(sql, version).unwrap_or_else(|err| panic!("{sql}: {err}")).evaluate(&input)
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
fn where_must_be_true() {
    for (condition, passes) in [
        ("temperature > 40", true),
        ("temperature > 50", false),
        ("temperature >= 50 AND color = 'red'", true),
        ("temperature < 50 OR color <> 'red'", false),
        ("NOT temperature < 50", true),
        ("NOT color = 'blue' AND temperature = 50", true),
        ("temperature = 50 AND missing = 1", false),
        ("missing <> 1", false),
        ("NOT missing = 1", false),
        ("missing = 1 OR temperature = 50", false),
        ("isUndefined(missing) OR temperature = 1", true),
        ("flag", true),
        ("flag AND 'TRUE'", true),
        ("temperature", false),
        ("1", false),
        ("'yes' OR true", false),
        ("startswith(color, 're') AND length(color) = 3", true),
        ("temperature = '50'", false),
        ("temperature <> '50'", true),
        ("temperature >= '50'", true),
        ("color > 'a'", false),
        ("(temperature - 32) * 5 / 9 = 10", true),
        ("temperature % 7 = 1 AND -temperature = 0 - 50", true),
    ] {
        let payload = r#"{"temperature":50,"color":"red","flag":"true"}"#;
        let expected = if passes { payload } else { SKIPPED };
        check(&format!("SELECT * FROM 'a' WHERE {condition}"), payload, expected);
    }
}

#[test]
fn comparisons() {
    for (expression, expected) in [
        ("1 = 1.0", "true"),
        ("1 < 1.5", "true"),
        ("'1' = 1", "false"),
        ("'1' <> 1", "true"),
        ("'2' > '10'", "false"),
        ("'abc' > 1", ""),
        ("true > false", ""),
        ("true = true", "true"),
        ("null = null", "true"),
        ("null <> null", "false"),
        ("null = 0", "false"),
        ("[1, 'a'] = [1, 'a']", "true"),
        ("[1, 2] <> [2, 1]", "true"),
        ("{'a': 1, 'b': 2} = {'b': 2, 'a': 1}", "true"),
        ("{'a': 1} = {'a': 1, 'b': 2}", "false"),
        ("missing = missing", ""),
        ("missing > 1", ""),
        ("1 <= 1 AND 2 >= 3", "false"),
        ("9007199254740993 = 9007199254740992", "false"),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn logic() {
    for (expression, expected) in [
        ("true AND true", "true"),
        ("'True' AND 'FALSE'", "false"),
        ("false OR 'true'", "true"),
        ("NOT 'false'", "true"),
        ("NOT 1", ""),
        ("false AND missing", ""),
        ("true OR missing", ""),
        ("true AND 'x'", ""),
        ("true OR false AND false", "true"),
        ("NOT true OR true", "true"),
        ("NOT (true OR true)", "false"),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn arithmetic() {
    for (expression, expected) in [
        ("7 / 2", "3"),
        ("-7 / 2", "-3"),
        ("-7 % 2", "-1"),
        ("7 / 2.5", "2.8"),
        ("1 + 2 * 3 - 4", "3"),
        ("(1 + 2) * 3", "9"),
        ("2 - 3 - 4", "-5"),
        ("--3", "3"),
        ("0.5 + 0.25", "0.75"),
        ("'5' * '2'", "10"),
        ("'5' - 'x'", ""),
        ("'a' + 1", "\"a1\""),
        ("1 + 'a' + true", "\"1atrue\""),
        ("1.5 + 'a'", "\"1.5a\""),
        ("[1, 'x'] + ''", r#""[1,\"x\"]""#),
        ("'a' + null", ""),
        ("'a' + missing", ""),
        ("true + 1", ""),
        ("1 / 0", ""),
        ("1 % 0", ""),
        ("1 / 0.0", ""),
        ("1e308 * 10.5", ""),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("10000000000000000 * 100000000000000000", "1000000000000000000000000000000000"),
        ("99999999999999999999 * 99999999999999999999", "1e+40"),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn whole_decimals_by_version() {
    for (expression, early, late) in [
        ("10.0", "10.0", "10"),
        ("10.5", "10.5", "10.5"),
        ("x", "10.0", "10"),
        ("x / 4", "2.5", "2"),
        ("cast('10.0' AS double)", "10.0", "10"),
        ("cast(true AS int)", "1", "1"),
        ("sqrt(9)", "3.0", "3"),
        ("'5' - 2", "3.0", "3"),
        ("1e3", "1000.0", "1000"),
        ("1e300", "1e+300", "1e+300"),
    ] {
        let sql = format!("SELECT VALUE {expression}");
        assert_eq!(output(&sql, V2015_10_08, r#"{"x":10.0}"#), early, "{expression}");
        assert_eq!(output(&sql, V2016_03_23, r#"{"x":10.0}"#), late, "{expression}");
    }
}

#[test]
fn cases() {
    let instruction = "CASE color WHEN 'green' THEN 'go' WHEN 'yellow' THEN 'caution' ELSE 'stop' END";
    check_value(instruction, r#"{"color":"yellow"}"#, "\"caution\"");
    check_value(instruction, r#"{"color":"red"}"#, "\"stop\"");
    check_value(instruction, "{}", "");
    check_value("CASE 1 WHEN 2 THEN 3 END", "{}", "");
    check_value("CASE 1 WHEN 1.0 THEN CASE 2 WHEN 2 THEN 'in' END END", "{}", "\"in\"");
}

#[test]
fn casts() {
    for (expression, expected) in [
        ("cast(5 AS String)", "\"5\""),
        ("cast(1.5 as varchar)", "\"1.5\""),
        ("cast({'a': null} AS text)", r#""{\"a\":null}""#),
        ("cast(null AS string)", ""),
        ("cast(-1.5 AS int)", "-2"),
        ("cast('1.7' AS integer)", "1"),
        ("cast('-5E-1' AS decimal)", "-0.5"),
        ("cast('+5' AS decimal)", ""),
        ("cast('1.' AS decimal)", ""),
        ("cast('' AS decimal)", ""),
        ("cast(false AS decimal)", "0"),
        ("cast(0 AS bool)", "false"),
        ("cast(0.1 AS boolean)", "true"),
        ("cast('TRUE' AS boolean)", "true"),
        ("cast('yes' AS boolean)", ""),
        ("cast([1] AS int)", ""),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn functions_of_strings() {
    for (expression, expected) in [
        ("upper('hé') + lower('HÉ')", "\"HÉhé\""),
        ("lower(['HELLO'])", r#""[\"hello\"]""#),
        ("length('€a')", "2"),
        ("length(false)", "5"),
        ("numbytes('€')", "3"),
        ("concat()", ""),
        ("concat(1)", "1"),
        ("concat('he', 'is', 1)", "\"heis1\""),
        ("concat(1, 2)", ""),
        ("concat('a', missing)", ""),
        ("concat([1, 2], 'hello', [3])", r#"[1,2,"hello",3]"#),
        ("startswith('ranger', 'ran')", "true"),
        ("endswith(10, 0)", "true"),
        ("endswith('cat', missing)", ""),
        ("indexof('äbcd', 'cd')", "2"),
        ("indexof('abcd', 'x')", "-1"),
        ("substring('012345', 2)", "\"2345\""),
        ("substring('012345', 2.745)", "\"2345\""),
        ("substring('012345', 1, 3)", "\"12\""),
        ("substring('012345', -50, 50)", "\"012345\""),
        ("substring('012345', 3, 1)", "\"\""),
        ("substring(true, 1.2)", "\"rue\""),
        ("substring(false, -2.411E247)", "\"false\""),
        ("substring('abc', 'x')", ""),
        ("trim(' \t h i ')", "\"h i\""),
        ("ltrim(' h i ')", "\"h i \""),
        ("rtrim(' h i ')", "\" h i\""),
        ("lpad('hello', 2) + rpad(1, 3)", "\"  hello1   \""),
        ("length(lpad('', 5000))", "1000"),
        ("replace('abcdabcd', 'b', 'x')", "\"axcdaxcd\""),
        ("chr(65)", "\"A\""),
        ("chr(300)", ""),
        ("get('abc', 1)", "\"b\""),
        ("'it''s' + \"a \"\"b\"\"\" + ''''", r#""it'sa \"b\"'""#),
        ("upper('a', 'b')", ""),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn functions_of_numbers() {
    for (expression, expected) in [
        ("abs(-5)", "5"),
        ("abs('-5.123')", "5.123"),
        ("abs(true)", ""),
        ("ceil(1.2) + ceil(-1.2)", "1"),
        ("floor(1.2) + floor(-1.2)", "-1"),
        ("round(1.5)", "2"),
        ("Round(-1.5)", "-2"),
        ("round(-1.1)", "-1"),
        ("floor(1e300)", "1e+300"),
        ("mod(8, 3)", "2"),
        ("remainder(8.5, 3)", "2.5"),
        ("power(2, 5)", "32"),
        ("power(2, 0.5)", "1.4142135623730951"),
        ("sqrt(-1)", ""),
        ("sign(-7) + sign('0.0') + sign(13)", "0"),
        ("trunc(2.3456, 2)", "2.34"),
        ("exp(0) + cos(0)", "2"),
        ("log(100)", "2"),
        ("ln(0)", ""),
        ("atan2(1, 0)", "1.5707963267948966"),
        ("bitand(13, 5) + bitor(8, 5) + bitxor(13, '5.9')", "26"),
        ("bitnot(13)", "-14"),
        ("nanvl(missing, 3) + nanvl(8, 3)", "11"),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn functions_of_values_and_encodings() {
    for (expression, expected) in [
        ("get(['a', 'b'], '1')", "\"b\""),
        ("get([1], -1)", ""),
        ("get({'a-b': 7}, 'a-b')", "7"),
        ("get(*, 'key with space').x", "1"),
        ("get(1, 1)", ""),
        ("isNull(null)", "true"),
        ("isNull(missing)", "false"),
        ("isUndefined(floor([1, 2, 3]))", "true"),
        ("isUndefined(null)", "false"),
        ("encode('hello', 'base64')", "\"aGVsbG8=\""),
        ("encode('hello', 'rot13')", ""),
        ("decode('eyAidGVtcGVyYXR1cmUiOiAzMyB9Cg==', 'base64').temperature", "33"),
        ("decode('aGVsbG8=', 'base64')", "\"hello\""),
        ("decode('%', 'base64')", "null"),
        ("sha256('hello')", "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""),
        ("sha1('hello')", "\"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\""),
        ("sha256(missing)", ""),
    ] {
        check_value(expression, r#"{"key with space":{"x":1}}"#, expected);
    }
}

#[test]
fn functions_of_the_message() {
    for (expression, expected) in [
        ("topic()", "\"a/b/c\""),
        ("topic(1) + topic(3)", "\"ac\""),
        ("topic(0)", ""),
        ("topic(4)", ""),
        ("clientid()", "\"device-1\""),
        ("principal()", "\"c0ffee\""),
        ("accountid()", "\"123456789012\""),
        ("timestamp()", "1481825251155"),
        ("traceid()", "\"trace-1\""),
        ("sql_version()", "\"2016-03-23\""),
    ] {
        check_value(expression, "{}", expected);
    }
    let ingested = evaluate("SELECT VALUE topic() + topic(1)", V2015_10_08, "$aws/rules/my_rule/x/y", b"");
    assert_eq!(ingested, Outcome::Emit("\"x/yx\"".into()));
    let account = "123456789012".parse().unwrap();
    let input = Input {
        topic: "a",
        payload: b"",
        client_id: None,
        principal: None,
        account: &account,
        timestamp: Timestamp::from_millis(0),
        trace_id: "t",
    };
    let sql = "SELECT clientid() AS c, principal() AS p, traceid() AS t";
    let outcome = Statement::parse(sql, V2015_10_08).unwrap().evaluate(&input);
    assert_eq!(outcome, Outcome::Emit(r#"{"c":"n/a"}"#.into()));
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
        ("SELECT NewUUID()", 1, 8, "the function newuuid() is not served yet"),
        ("SELECT regexp_matches(a, 'b')", 1, 8, "the function regexp_matches() is not served yet"),
        ("SELECT (SELECT a FROM b) AS x", 1, 9, "a nested SELECT is not served yet"),
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

const GOOD: [&str; 5] = [
    "SELECT *, a.b[0].c AS x.y, 'it''s' + 1.5e3 FROM 'a/+/#' WHERE NOT a = 1 AND (b <> 2 OR c >= -3)",
    "SELECT CASE a WHEN 1 THEN 'x' ELSE null END AS r, cast(b AS int) AS i, topic(2) FROM \"t\"",
    "SELECT VALUE {'a': [1, 2.0, true], 'b': get(*, 'k').l} FROM $aws/events/#",
    "SELECT encode(*, 'base64') AS data, decode(a, 'base64').x AS y WHERE isUndefined(z) OR a % 2 = 0",
    "SELECT upper(concat(a, '-', clientid())) AS u, substring(a, 1, 2), round(b * 1.5) AS r FROM 'x'",
];

fn try_all(sql: &str) {
    for version in [V2015_10_08, V2016_03_23] {
        match Statement::parse(sql, version) {
            Ok(statement) => {
                let account = "123456789012".parse().unwrap();
                let input = Input {
                    topic: "a/b",
                    payload: br#"{"a":"x","b":2.5,"c":[1,{"d":null}]}"#,
                    client_id: None,
                    principal: None,
                    account: &account,
                    timestamp: Timestamp::from_millis(1),
                    trace_id: "",
                };
                if let Outcome::Emit(bytes) = statement.evaluate(&input) {
                    // Undefined is the empty string; all else is JSON.
                    let is_json = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
                    assert!(bytes.is_empty() || is_json, "{sql}: {bytes:?}");
                }
            }
            Err(err) => {
                let lines: Vec<&str> = sql.split('\n').collect();
                let line = lines.get(err.line - 1).expect("the line exists");
                assert!(err.column >= 1 && err.column <= line.chars().count() + 1, "{sql:?}: {err}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,60}", space in "[ \t\n]{0,2}") {
        try_all(&text);
        try_all(&format!("SELECT {space}{text}"));
        try_all(&format!("SELECT * FROM '{text}'\nWHERE{space} {text}"));
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
        try_all(&format!("{}{insert}{}", &good[..start], &good[end..]));
        try_all(&format!("{}{insert}{}", &good[..start], &GOOD[other][cut(GOOD[other], from)..]));
    }

    #[test]
    fn any_payload_is_answered(payload in "\\PC{0,40}", index in 0..GOOD.len()) {
        for sql in ["SELECT *, a.b AS c", GOOD[index]] {
            if let Ok(statement) = Statement::parse(sql, V2016_03_23) {
                let account = "123456789012".parse().unwrap();
                let input = Input {
                    topic: "a/b",
                    payload: payload.as_bytes(),
                    client_id: None,
                    principal: None,
                    account: &account,
                    timestamp: Timestamp::from_millis(1),
                    trace_id: "",
                };
                statement.evaluate(&input);
            }
        }
    }
}
