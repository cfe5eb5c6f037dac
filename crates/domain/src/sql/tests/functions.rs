//! Functions, group by group.

use super::{check_value, evaluate};
use crate::Timestamp;
use crate::sql::SqlVersion::V2015_10_08;
use crate::sql::{Input, Outcome, Statement};

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
        properties: &mqtt::packet::Properties::new(),
        seed: [7; 32],
    };
    let sql = "SELECT clientid() AS c, principal() AS p, traceid() AS t";
    let outcome = Statement::parse(sql, V2015_10_08).unwrap().evaluate(&input).outcome;
    assert_eq!(outcome, Outcome::Emit(r#"{"c":"n/a"}"#.into()));
}

#[test]
fn functions_of_patterns() {
    for (expression, expected) in [
        ("regexp_matches('aaaa', 'a{2,}')", "true"),
        ("regexp_matches('aaaa', 'b')", "false"),
        ("regexp_matches(12, '^\\d+$')", "true"),
        ("regexp_matches('é', '^\\w$')", "false"),
        ("regexp_matches('a b', '\\bb') AND regexp_matches('ABC', '(?i)b')", "true"),
        ("regexp_matches('a', '(')", ""),
        ("regexp_matches('a', '(?=a)')", ""),
        ("regexp_matches('a', '((a{100}){100}){100}')", ""),
        ("regexp_matches(missing, 'a')", ""),
        ("regexp_matches('a', missing)", ""),
        ("regexp_matches('x1', concat('[a-z]', '[0-9]'))", "true"),
        ("regexp_replace('abcd', 'bc', 'x')", "\"axd\""),
        ("regexp_replace('abcd', 'b(.*)d', '$1')", "\"ac\""),
        ("regexp_replace('a-b-c', '(\\w)-', '$1$1.')", "\"aa.bb.c\""),
        ("regexp_replace('abc', '(?<first>a)', '${first}${first}')", "\"aabc\""),
        ("regexp_replace('abc', '', '-')", "\"-a-b-c-\""),
        ("regexp_replace('ab', '(a)', '$10\\$')", "\"a0$b\""),
        ("regexp_replace('ab', 'a', '$1')", ""),
        ("regexp_replace('ab', 'a', '$')", ""),
        ("regexp_substr('hihihello', 'hi')", "\"hi\""),
        ("regexp_substr('hihihello', '(hi)*')", "\"hihi\""),
        ("regexp_substr('abc', 'x')", ""),
    ] {
        check_value(expression, "{}", expected);
    }
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    check_value("regexp_replace(a, 'x', a)", &large, super::SKIPPED);
}

/// The engine is linear in the text, times the states of the pattern; that product is what is bounded.
#[test]
fn patterns_are_bounded() {
    let payload = |text: &str, count: usize| format!(r#"{{"a":"{}","b":"[ab]{{0,200}}x"}}"#, text.repeat(count));
    let (long, short) = (payload("ab", 60_000), payload("a,b", 1000));
    for expression in [
        "regexp_matches(a, '[ab]{0,200}x')",
        "regexp_matches(a, '((a?){20}){10}b{20}c')",
        "regexp_matches(a, b)",
        "regexp_substr(a, '(([ab]{0,30})x){0,10}$')",
        "regexp_replace(a, '.*x|a', 'b')",
    ] {
        check_value(expression, &long, super::SKIPPED);
    }
    for (expression, expected) in [("regexp_matches(a, 'ab')", "true"), ("regexp_substr(a, '^[ab]{2}')", "\"ab\"")] {
        check_value(expression, &long, expected);
    }
    check_value("length(regexp_replace(a, ',', ';'))", &short, "3000");
    check_value("regexp_matches(a, '[ab]{0,200}x')", &short, "false");
    check_value("regexp_replace(a, '.*x|a', 'b')", &short, super::SKIPPED);
}

#[test]
fn functions_of_chance() {
    for (expression, expected) in [
        ("newuuid() = newuuid() OR rand() = rand()", "false"),
        ("regexp_matches(newuuid(), '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$')", "true"),
        ("rand() >= 0 AND rand() < 1", "true"),
        ("newuuid(1)", ""),
        ("md2('hello')", "\"a9046c73e00331af68917d3804f70655\""),
        ("md5('hello')", "\"5d41402abc4b2a76b9719d911017c592\""),
        ("md5(missing)", ""),
    ] {
        check_value(expression, "{}", expected);
    }
    // One seed, one outcome; and in a nested SELECT each item has its own.
    let sql = "SELECT VALUE [newuuid(), rand()]";
    assert_eq!(
        evaluate(sql, crate::sql::SqlVersion::V2016_03_23, "a", b""),
        evaluate(sql, crate::sql::SqlVersion::V2016_03_23, "a", b"")
    );
    check_value(
        "get((SELECT VALUE newuuid() FROM e), 0) = get((SELECT VALUE newuuid() FROM e), 1)",
        r#"{"e":[1,2]}"#,
        "false",
    );
}

#[test]
fn functions_of_times() {
    for (expression, expected) in [
        (
            "parse_time('yyyy.MM.dd G ''at'' HH:mm:ss z', 100000000, 'America/Belize')",
            "\"1970.01.01 AD at 21:46:40 CST\"",
        ),
        ("parse_time('yyyy', timestamp(), 'UTC')", "\"2016\""),
        ("parse_time('yyyy-MM-dd''T''HH:mm:ss.SSSZZ', 1481825251155)", "\"2016-12-15T18:07:31.155+00:00\""),
        (
            "parse_time('EEE, d MMM yy hh:mm a Z', 1481825251155, 'America/New_York')",
            "\"Thu, 15 Dec 16 01:07 PM -0500\"",
        ),
        (
            "parse_time('EEEE MMMM D x ww e K k h', 1481825251155, '+05:30')",
            "\"Thursday December 350 2016 50 4 11 23 11\"",
        ),
        ("parse_time(\"''yyyy\", 0)", "\"'1970\""),
        ("parse_time('yyyy', 0, 'Nowhere/City')", ""),
        ("parse_time('Q', 0)", ""),
        ("parse_time('yyyy', 'soon')", ""),
        ("parse_time('yyyy', 99999999999999999999)", ""),
        ("time_to_epoch('2020-04-03 09:45:18 UTC+01:00', 'yyyy-MM-dd HH:mm:ss VV')", "1585903518000"),
        ("time_to_epoch('18 December 2015', 'dd MMMM yyyy')", "1450396800000"),
        ("time_to_epoch('2007-12-03 10:15:30.592 America/Los_Angeles', 'yyyy-MM-dd HH:mm:ss.SSS z')", "1196705730592"),
        ("time_to_epoch('20161215180731', 'yyyyMMddHHmmss')", "1481825251000"),
        ("time_to_epoch('2016-12-15T18:07:31Z', 'yyyy-MM-dd''T''HH:mm:ssX')", "1481825251000"),
        ("time_to_epoch('2016-12-15T13:07:31-0500', 'yyyy-MM-dd''T''HH:mm:ssZ')", "1481825251000"),
        ("time_to_epoch('Thu 5 Jan 17 1:02 PM', 'EEE d MMM yy h:mm a')", "1483621320000"),
        ("time_to_epoch('2016 350', 'yyyy DDD')", "1481760000000"),
        ("time_to_epoch('2021-02-31', 'yyyy-MM-dd')", ""),
        ("time_to_epoch('2021-02', 'yyyy-MM')", ""),
        ("time_to_epoch('2021-02-03x', 'yyyy-MM-dd')", ""),
        ("time_to_epoch('x', 'yyyy-MM-dd')", ""),
        ("time_to_epoch('2021-02-03', \"yyyy-MM-dd'\")", ""),
    ] {
        check_value(expression, "{}", expected);
    }
}

#[test]
fn functions_of_properties() {
    use mqtt::packet::{Properties, Property};
    let properties: Properties = [
        Property::PayloadFormatIndicator(1),
        Property::ContentType("text/plain".to_owned()),
        Property::CorrelationData("cid".into()),
        Property::UserProperty(("k".to_owned(), "v1".to_owned())),
        Property::UserProperty(("o".to_owned(), "ov".to_owned())),
        Property::UserProperty(("k".to_owned(), "v2".to_owned())),
    ]
    .into_iter()
    .collect();
    let none = Properties::new();
    let account = "123456789012".parse().unwrap();
    for (expression, properties, expected) in [
        ("get_mqtt_property('content_type')", &properties, "\"text/plain\""),
        ("get_mqtt_property('format_indicator')", &properties, "\"UTF8_DATA\""),
        ("get_mqtt_property('format_indicator')", &none, "\"UNSPECIFIED_BYTES\""),
        ("get_mqtt_property('correlation_data')", &properties, "\"Y2lk\""),
        ("get_mqtt_property('response_topic')", &properties, ""),
        ("get_mqtt_property('other')", &properties, ""),
        ("get_user_properties('k')", &properties, r#"["v1","v2"]"#),
        ("get_user_properties('none')", &properties, ""),
        ("get_user_properties()", &properties, r#"[{"k":"v1"},{"o":"ov"},{"k":"v2"}]"#),
        ("get_user_properties()", &none, "[]"),
    ] {
        let input = Input {
            topic: "a",
            payload: b"{}",
            client_id: None,
            principal: None,
            account: &account,
            timestamp: Timestamp::from_millis(0),
            trace_id: "t",
            properties,
            seed: [0; 32],
        };
        let statement = Statement::parse(&format!("SELECT VALUE {expression}"), crate::sql::SqlVersion::V2016_03_23);
        assert_eq!(
            statement.unwrap().evaluate(&input).outcome,
            Outcome::Emit(expected.to_owned().into()),
            "{expression}"
        );
    }
}
