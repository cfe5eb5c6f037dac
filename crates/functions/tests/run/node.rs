//! What scripts find of Node.js. Expected texts of `format` are those of Node 20.

use serde_json::{Value, json};

use crate::harness::Harness;

async fn check_all(cases: &[(&str, Value)]) {
    let harness = Harness::new();
    for (body, expected) in cases {
        let run = harness.run(&format!("exports.handler = async (event, context) => {{ {body} }}"), json!({})).await;
        assert_eq!(run.result.as_ref(), Ok(expected), "{body}\n{run:?}");
    }
}

#[tokio::test]
async fn format_shows_values_as_node_does() {
    let cases = [
        ("1, 'a', true, null, undefined, 10n, Symbol('s')", "1 a true null undefined 10n Symbol(s)"),
        (
            "{ a: 1, b: 'x', c: [1, 'y'], d: { e: { f: { g: 1 } } } }",
            "{ a: 1, b: 'x', c: [ 1, 'y' ], d: { e: { f: [Object] } } }",
        ),
        ("[1, 2, 3], [], {}, [[]], [{}]", "[ 1, 2, 3 ] [] {} [ [] ] [ {} ]"),
        (
            "new Map([['a', { b: 1 }], [2, 'c']]), new Set([1, 'x'])",
            "Map(2) { 'a' => { b: 1 }, 2 => 'c' } Set(2) { 1, 'x' }",
        ),
        ("[undefined, null, , 3]", "[ undefined, null, <1 empty item>, 3 ]"),
        ("function named() {}, () => {}, class A {}", "[Function: named] [Function (anonymous)] [class A]"),
        ("new (class Point { constructor() { this.x = 1 } })()", "Point { x: 1 }"),
        (
            "Object.create(null), Object.assign(Object.create(null), { a: 1 })",
            "[Object: null prototype] {} [Object: null prototype] { a: 1 }",
        ),
        ("new Date(0), /x+/gi", "1970-01-01T00:00:00.000Z /x+/gi"),
        ("Buffer.from('hello'), new Uint8Array([1, 2])", "<Buffer 68 65 6c 6c 6f> Uint8Array(2) [ 1, 2 ]"),
        ("'%s is %d and %j', 'x', 42, { a: 1 }", "x is 42 and {\"a\":1}"),
        ("'%s', 'a', 'b', { c: 1 }", "a b { c: 1 }"),
        ("'100%', 1", "100% 1"),
        ("{ 'a-b': 1, 3: 2, get x() { return 1 } }", "{ '3': 2, 'a-b': 1, x: [Getter] }"),
        ("[\"it's\", 'a\"b\\'c', 'line\\nbreak']", "[ \"it's\", `a\"b'c`, 'line\\nbreak' ]"),
        (
            "{ certificateArn: 'arn:aws-cn:iot:cn-north-1:123456789012:cert/0123456789abcdef', certificateId: '0123456789abcdef' }",
            "{\n  certificateArn: 'arn:aws-cn:iot:cn-north-1:123456789012:cert/0123456789abcdef',\n  certificateId: '0123456789abcdef'\n}",
        ),
        (
            "{ a: 'x'.repeat(30), b: 'y'.repeat(30), c: { d: 1, e: [1, 2, 3] } }",
            "{\n  a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',\n  b: 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy',\n  c: { d: 1, e: [ 1, 2, 3 ] }\n}",
        ),
        ("[new Boolean(true), new String('s')], -0, [1.5, -0]", "[ [Boolean: true], [String: 's'] ] -0 [ 1.5, -0 ]"),
        (
            "{ a: { b: { c: {} } } }, { a: { b: { c: { d: 1 } } } }",
            "{ a: { b: { c: {} } } } { a: { b: { c: [Object] } } }",
        ),
        ("{ f() {}, g: async () => {} }", "{ f: [Function: f], g: [AsyncFunction: g] }"),
        (
            "Array.from({ length: 3 }, (_, i) => ({ id: i, name: 'thing' + i }))",
            "[\n  { id: 0, name: 'thing0' },\n  { id: 1, name: 'thing1' },\n  { id: 2, name: 'thing2' }\n]",
        ),
    ];
    let bodies: Vec<(String, Value)> =
        cases.iter().map(|(values, text)| (format!("return require('util').format({values})"), json!(text))).collect();
    let cases: Vec<(&str, Value)> = bodies.iter().map(|(body, text)| (body.as_str(), text.clone())).collect();
    check_all(&cases).await;
}

#[tokio::test]
async fn modules_of_node() {
    check_all(&[
        ("const c = require('crypto'); return [c.createHash('sha256').update('abc').digest('hex').slice(0, 8), c.createHash('sha1').update('a').update('bc').digest('base64'), c.createHmac('sha256', 'key').update('x').digest('hex').length]",
         json!(["ba7816bf", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", 64])),
        ("const c = require('node:crypto'); return [c.randomBytes(8).length, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/.test(c.randomUUID())]", json!([8, true])),
        ("return [Buffer.from('aGk', 'base64').toString(), Buffer.from('ÿü').toString('hex'), Buffer.from('0aff', 'hex').readUInt16BE(0), Buffer.concat([Buffer.from('a'), Buffer.from('b')]).toString(), Buffer.from('abc').slice(1).toString(), Buffer.isBuffer(Buffer.alloc(2)), Buffer.byteLength('ü')]",
         json!(["hi", "c3bfc3bc", 2815, "ab", "bc", true, 2])),
        ("return JSON.stringify(Buffer.from('a'))", json!("{\"type\":\"Buffer\",\"data\":[97]}")),
        ("const p = require('path'); return [p.join('/a', '..', 'b', 'c.txt'), p.basename('/x/y.js', '.js'), p.extname('a.b.c'), p.dirname('/a/b'), p.resolve('x'), p.relative('/a/b', '/a/c')]",
         json!(["/b/c.txt", "y", ".c", "/a", "/var/task/x", "../c"])),
        ("const q = require('querystring'); return [q.parse('a=1&b=%20x&a=2'), q.stringify({ a: [1, 2], b: 'x y' })]", json!([{ "a": ["1", "2"], "b": " x" }, "a=1&a=2&b=x%20y"])),
        ("const u = new URL('../d?x=1#h', 'https://user@Example.com:443/a/b/c'); u.searchParams.append('y', 'a b'); return [u.href, u.host, u.pathname, u.origin]",
         json!(["https://user@example.com/a/d?x=1&y=a+b#h", "example.com", "/a/d", "https://example.com"])),
        ("const E = require('events'); const e = new E(); let n = 0; e.once('x', (v) => n += v); e.emit('x', 2); e.emit('x', 2); return n", json!(2)),
        ("const util = require('util'); const E = require('events'); function Old() { E.call(this) } util.inherits(Old, E); let got; const o = new Old(); o.on('a', (v) => got = v); o.emit('a', 5); return [got, o instanceof E]", json!([5, true])),
        ("const { promisify } = require('util'); return [await promisify((a, cb) => cb(null, a + 1))(1), await promisify(setTimeout)(1, 'v')]", json!([2, "v"])),
        ("return [process.env.STAGE, process.env.AWS_REGION, process.env._HANDLER, process.version, process.platform, typeof process.env.AWS_SECRET_ACCESS_KEY, process.env.HOME === undefined]",
         json!(["factory", "cn-north-1", "index.handler", "v12.0.0", "linux", "undefined", true])),
        ("return [context.functionName, context.memoryLimitInMB, context.invokedFunctionArn, context.logGroupName, context.getRemainingTimeInMillis() > 1000 && context.getRemainingTimeInMillis() <= 3000, context.functionVersion]",
         json!(["activate", "128", "arn:aws-cn:lambda:cn-north-1:123456789012:function:activate", "/aws/lambda/activate", true, "$LATEST"])),
        ("return [typeof fetch, typeof host, typeof internal, typeof require('os').tmpdir()]", json!(["undefined", "undefined", "undefined", "string"])),
        ("try { require('fs').writeFileSync('/tmp/x', 'y') } catch (e) { return [e.code, require('fs').readFileSync(__filename, 'utf8').length > 10, require('fs').existsSync('/etc/passwd')] }", json!(["EROFS", true, false])),
        ("const assert = require('assert'); try { assert.deepStrictEqual({ a: [1] }, { a: [2] }) } catch (e) { return e.code }", json!("ERR_ASSERTION")),
        ("return structuredClone({ a: new Date(0), b: [1] })", json!({ "a": "1970-01-01T00:00:00.000Z", "b": [1] })),
    ])
    .await;
}

#[tokio::test]
async fn packages_of_several_files() {
    let harness = Harness::new();
    let spec = harness
        .spec(&[
            ("index.js", "#!/usr/bin/env node\nconst a = require('./lib'); const b = require('left'); const c = require('./data.json'); const { d } = require('@scope/pkg/d'); exports.handler = async () => [a.name, b, c.n, d, require('./lib') === a, a.cycle().name]"),
            ("lib/index.js", "exports.name = 'lib'; const other = require('./other'); exports.cycle = () => other.lib()"),
            ("lib/other.js", "const lib = require('.'); exports.lib = () => lib"),
            ("data.json", "{\"n\": 3}"),
            ("node_modules/left/package.json", "{\"main\": \"./dist/main\"}"),
            ("node_modules/left/dist/main.js", "module.exports = 'left'"),
            ("node_modules/@scope/pkg/d.js", "exports.d = 'd'"),
        ])
        .await;
    let run = harness.invoke(&spec, json!({})).await;
    assert_eq!(run.result, Ok(json!(["lib", "left", 3, "d", true, "lib"])), "{run:?}");
    let mut nested = harness
        .spec(&[
            ("package.json", "{\"type\":\"module\"}"),
            (
                "src/app.js",
                "export function run(event, context, callback) { callback(null, import.meta === undefined) }",
            ),
        ])
        .await;
    nested.handler = "src/app.run".to_owned();
    let run = harness.invoke(&nested, json!({})).await;
    assert_eq!(run.result, Ok(json!(false)), "{run:?}");
}
