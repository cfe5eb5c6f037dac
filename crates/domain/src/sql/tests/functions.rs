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
    let outcome = Statement::parse(sql, V2015_10_08).unwrap().evaluate(&input);
    assert_eq!(outcome, Outcome::Emit(r#"{"c":"n/a"}"#.into()));
}
