//! Conditions, operators, CASE and cast.

use super::{SKIPPED, check, check_value, output};
use crate::sql::SqlVersion::{V2015_10_08, V2016_03_23};

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
