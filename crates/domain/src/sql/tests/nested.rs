//! Nested SELECT over arrays and objects, and `transform`.

use super::{SKIPPED, Statement, V2016_03_23, check, check_value, over};

/// The message of AWS's page.
const READINGS: &str = r#"{"e":[{"n":"temperature","u":"Cel","t":1234,"v":22.5},{"n":"light","u":"lm","t":1235,"v":135},{"n":"acidity","u":"pH","t":1235,"v":7}],"o":{"a":1,"list":[{"x":1},{"x":2}]},"numbers":[1,2,3]}"#;

/// AWS's metric `ParseError`: only who looks into the payload finds that it is none.
#[test]
fn a_payload_that_is_no_json_is_told_where_somebody_looked() {
    for (sql, payload, is_unreadable) in [
        ("SELECT * FROM 'a'", "{", false),
        ("SELECT topic() AS t FROM 'a'", "{", false),
        ("SELECT encode(*, 'base64') AS b FROM 'a'", "{", false),
        ("SELECT b FROM 'a'", "{", true),
        ("SELECT * FROM 'a' WHERE b = 1", "", true),
        ("SELECT *, topic() AS t FROM 'a'", "no", true),
        ("SELECT b FROM 'a' WHERE b = 1", "{}", false),
    ] {
        let statement = Statement::parse(sql, V2016_03_23).unwrap();
        let evaluated = over("a", payload.as_bytes(), |input| statement.evaluate(input));
        assert_eq!(evaluated.is_unreadable, is_unreadable, "{sql} over {payload}");
    }
}

#[test]
fn selections_of_arrays() {
    for (columns, expected) in [
        ("(SELECT VALUE n FROM e) AS sensors", r#"{"sensors":["temperature","light","acidity"]}"#),
        ("(SELECT v FROM e WHERE n = 'temperature') AS temperature", r#"{"temperature":[{"v":22.5}]}"#),
        ("get((SELECT v FROM e WHERE n = 'temperature'), 0).v AS temperature", r#"{"temperature":22.5}"#),
        (
            "(SELECT n, v * 2 AS twice FROM e WHERE t > 1234) AS x",
            r#"{"x":[{"n":"light","twice":270},{"n":"acidity","twice":14}]}"#,
        ),
        ("(SELECT * FROM o.list) AS x", r#"{"x":[{"x":1},{"x":2}]}"#),
        ("(SELECT *, topic(1) AS t FROM o.list WHERE x = 1) AS x", r#"{"x":[{"x":1,"t":"a"}]}"#),
        ("(SELECT VALUE * FROM numbers) AS x", r#"{"x":[1,2,3]}"#),
        ("(SELECT VALUE a FROM o) AS x, (SELECT a FROM o) AS y", r#"{"x":1,"y":{"a":1}}"#),
        ("(SELECT (SELECT VALUE x FROM list) AS xs FROM o) AS x", r#"{"x":{"xs":[1,2]}}"#),
        ("(SELECT VALUE missing FROM e) AS x", r#"{"x":[]}"#),
        ("(SELECT v FROM missing) AS x, (SELECT v FROM o.a) AS y", "{}"),
        ("(SELECT VALUE n FROM e)[1] AS x", r#"{"x":"light"}"#),
        ("(SELECT VALUE encode(*, 'base64') FROM numbers) AS x", r#"{"x":["MQ==","Mg==","Mw=="]}"#),
    ] {
        check(&format!("SELECT {columns} FROM 'a/#'"), READINGS, expected);
    }
    check("SELECT o.a FROM 'a' WHERE get((SELECT VALUE v FROM e WHERE n = 'light'), 0) > 100", READINGS, r#"{"a":1}"#);
}

/// The examples of AWS's page.
#[test]
fn arrays_are_enriched() {
    let payload = r#"{"attributes":{"data1":1,"data2":2},"values":[{"a":3},{"b":4}]}"#;
    let nested = r#"{"data1":"example","data2":{"a":"first","b":"second","c":[{"x":{"n":5},"y":true},{"x":{"n":10},"y":false}]}}"#;
    for (expression, payload, expected) in [
        (
            "transform('enrichArray', attributes, values)",
            payload,
            r#"[{"a":3,"data1":1,"data2":2},{"b":4,"data1":1,"data2":2}]"#,
        ),
        (
            "transform('enrichArray', {'key': attributes.data1}, values)",
            payload,
            r#"[{"a":3,"key":1},{"b":4,"key":1}]"#,
        ),
        (
            "transform('enrichArray', (select a, b from data2), (select value c from data2))",
            nested,
            r#"[{"x":{"n":5},"y":true,"a":"first","b":"second"},{"x":{"n":10},"y":false,"a":"first","b":"second"}]"#,
        ),
        ("transform('other', attributes, values)", payload, ""),
        ("transform('enrichArray', values, attributes)", payload, ""),
        ("transform('enrichArray', attributes, [1])", payload, ""),
    ] {
        check_value(expression, payload, expected);
    }
}

/// The work of one evaluation is bounded, however many items there are.
#[test]
fn nested_selections_are_bounded() {
    let items = format!(r#"{{"e":[{}0]}}"#, "0,".repeat(60_000));
    check_value(&format!("(SELECT VALUE 1{} FROM e)", " + 1".repeat(200)), &items, SKIPPED);
    let patterns = format!(r#"{{"e":[{}"a"]}}"#, r#""a","#.repeat(1000));
    check_value("(SELECT VALUE regexp_matches('a', *) FROM e)", &patterns, SKIPPED);
    let large = format!(r#"{{"o":{{"k":"{}"}},"e":[{}{{}}]}}"#, "x".repeat(50_000), "{},".repeat(1000));
    check_value("transform('enrichArray', o, e)", &large, SKIPPED);
    let beyond = format!(r#"{{"o":{{"k":"{}"}},"e":[{{}},{{}},{{}}]}}"#, "x".repeat(50_000));
    check_value("transform('enrichArray', o, e)", &beyond, "");
}
