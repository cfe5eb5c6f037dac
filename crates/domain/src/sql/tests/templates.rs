//! Substitution templates: text, payload, what is written.

use super::over;
use crate::sql::SqlVersion::V2016_03_23;
use crate::sql::{RenderError, Template};

fn render(text: &str, payload: &str) -> Result<String, RenderError> {
    let template = Template::parse(text, V2016_03_23).unwrap_or_else(|err| panic!("{text}: {err}"));
    over("a/b/c", payload.as_bytes(), |input| template.render(input))
}

#[test]
fn templates_are_filled_in() {
    let payload = r#"{"id":"x","n":{"v":[1,2]},"zero":0,"nothing":null}"#;
    for (text, expected) in [
        ("", ""),
        ("plain/topic", "plain/topic"),
        ("${topic()}/republish", "a/b/c/republish"),
        ("out/${id}", "out/x"),
        ("${ id }${id}", "xx"),
        ("$$aws/things/${topic(2)}/shadow/update", "$$aws/things/b/shadow/update"),
        ("${n.v[1] + zero}", "2"),
        ("${get({'a': '}'}, 'a')}!", "}!"),
        ("${n}", r#"{"v":[1,2]}"#),
        ("${CASE zero WHEN 0 THEN 'off' ELSE 'on' END}", "off"),
        ("a $ b } {", "a $ b } {"),
        ("${upper('${id}')}", "${ID}"),
    ] {
        assert_eq!(render(text, payload).as_deref(), Ok(expected), "{text}");
    }
    for (text, written) in
        [("out/${missing}", "missing"), ("${id}/${nothing }", "nothing"), ("${missing + 1}", "missing + 1")]
    {
        assert_eq!(render(text, payload), Err(RenderError::Undefined(written.to_owned())), "{text}");
    }
    assert_eq!(render("${id}", "no json"), Err(RenderError::Undefined("id".to_owned())));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    assert_eq!(render(&"${a}".repeat(1000), &large), Err(RenderError::TooLarge));
}

#[test]
fn what_is_no_template() {
    for (text, line, column, message) in [
        ("${", 1, 3, "expected an expression, found the end"),
        ("a/${id", 1, 7, "expected `}`, found the end"),
        ("a/${}", 1, 5, "expected an expression, found `}`"),
        ("${a b}", 1, 5, "expected `}`, found `b`"),
        ("x\n${a +}", 2, 6, "expected an expression, found `}`"),
    ] {
        let err = Template::parse(text, V2016_03_23).expect_err(text);
        assert_eq!((err.line, err.column), (line, column), "{text}: {err}");
        assert!(err.message.starts_with(message), "{text}: {err}");
    }
    for (text, constant) in [("a/b", Some("a/b")), ("", Some("")), ("${1}", None)] {
        assert_eq!(Template::parse(text, V2016_03_23).expect("a template").constant(), constant);
    }
}
