//! Calls to AWS in the styles that functions are written in.

use serde_json::{Value, json};

use crate::harness::{Harness, ROLE};

const ACTIVATION: &str = r#"
var AWS = require('aws-sdk');
exports.handler = function (event, context, callback) {
    var region = 'cn-north-1';
    var iot = new AWS.Iot({ region: region, apiVersion: '2015-05-28' });
    var certificateId = event.certificateId.toString();
    var name = `Policy_${certificateId}`;
    var document = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['iot:*'], Resource: '*' }] };
    var arn = `arn:aws-cn:iot:${region}:${event.awsAccountId}:cert/${certificateId}`;
    iot.createPolicy({ policyDocument: JSON.stringify(document), policyName: name }, (err, data) => {
        if (err && (!err.code || err.code !== 'ResourceAlreadyExistsException')) {
            console.log(err);
            callback(err, data);
            return;
        }
        console.log(data);
        iot.attachPrincipalPolicy({ policyName: name, principal: arn }, (err, data) => {
            if (err) { console.log(err); callback(err, data); return; }
            console.log(data);
            iot.updateCertificate({ certificateId: certificateId, newStatus: 'ACTIVE' }, (err, data) => {
                if (err) { console.log(err, err.stack); callback(err, data); }
                else {
                    console.log(data);
                    callback(null, 'Success, created, attached policy and activated the certificate ' + certificateId);
                }
            });
        });
    });
};
"#;

#[tokio::test]
async fn the_activation_function_runs_unchanged() {
    let harness = Harness::new();
    let run = harness.run(ACTIVATION, json!({ "certificateId": "abc", "awsAccountId": "123456789012" })).await;
    assert_eq!(run.result, Ok(json!("Success, created, attached policy and activated the certificate abc")), "{run:?}");
    assert_eq!(harness.operations(), ["iot:CreatePolicy", "iot:AttachPrincipalPolicy", "iot:UpdateCertificate"]);
    let calls = harness.calls.lock().expect("no panic");
    assert!(calls.iter().all(|call| call.session.role_arn == ROLE));
    assert_eq!(calls[2].input, json!({ "certificateId": "abc", "newStatus": "ACTIVE" }));
    assert_eq!(calls[1].input["principal"], "arn:aws-cn:iot:cn-north-1:123456789012:cert/abc");
}

/// Runs a script; `Ok` is its value, `Err` its error type and message.
async fn check(source: &str, expected: Result<Value, (&str, &str)>) {
    let run = Harness::new().run(source, json!({})).await;
    let result = run.result.clone().map_err(|error| (error["errorType"].clone(), error["errorMessage"].clone()));
    assert_eq!(result, expected.map_err(|(kind, text)| (json!(kind), json!(text))), "{source}\n{run:#?}");
}

#[tokio::test]
async fn version_2_in_all_its_styles() {
    let denied = "arn:aws-cn:iam::123456789012:role/activator is not authorized to perform: DeleteThing";
    for (body, expected) in [
        ("return (await new AWS.STS().getCallerIdentity().promise()).Account", Ok(json!("123456789012"))),
        (
            "return await new AWS.Iot().echo({ a: new Date(1500), b: Buffer.from('hi'), c: undefined, d: [1, null], e: { f: null } }).promise()",
            Ok(json!({ "a": 1.5, "b": "aGk=", "d": [1, null], "e": {} })),
        ),
        (
            "return await new Promise((resolve) => new AWS.Iot().echo({ x: 1 }).on('success', (r) => resolve(r.data)).send())",
            Ok(json!({ "x": 1 })),
        ),
        (
            "return await new Promise((resolve) => new AWS.Iot().deleteThing({}).on('error', (e) => resolve([e.code, e.statusCode, e.retryable])).send())",
            Ok(json!(["AccessDeniedException", 403, false])),
        ),
        (
            "try { await new AWS.Iot().deleteThing().promise() } catch (e) { return [e.name, e.code, e.requestId, e instanceof Error, e.time instanceof Date] }",
            Ok(json!(["AccessDeniedException", "AccessDeniedException", "r-2", true, true])),
        ),
        ("await new AWS.Iot().deleteThing({}).promise()", Err(("AccessDeniedException", denied))),
        (
            "AWS.config.update({ region: 'us-east-1' }); return new AWS.Iot().config.region + AWS.config.region",
            Ok(json!("us-east-1us-east-1")),
        ),
        (
            "return await Promise.all([1, 2, 3].map((n) => new AWS.IotData().echo({ n }).promise()))",
            Ok(json!([{ "n": 1 }, { "n": 2 }, { "n": 3 }])),
        ),
        (
            "const Iot = require('aws-sdk/clients/iot'); return await new Iot().echo({ ok: true }).promise()",
            Ok(json!({ "ok": true })),
        ),
    ] {
        check(&format!("const AWS = require('aws-sdk'); exports.handler = async () => {{ {body} }}"), expected).await;
    }
}

#[tokio::test]
async fn version_3_by_require_and_by_import() {
    let body = "const client = new IoTClient({ region: 'cn-north-1' });
        const out = await client.send(new EchoCommand({ a: 1 }));
        try { await client.send(new DeleteThingCommand({})); }
        catch (e) { return [out.a, out.$metadata.httpStatusCode, e.name, e.$metadata.httpStatusCode, e instanceof AccessDeniedException]; }";
    let expected = Ok(json!([1, 200, "AccessDeniedException", 403, true]));
    check(
        &format!("const {{ IoTClient, EchoCommand, DeleteThingCommand, AccessDeniedException }} = require('@aws-sdk/client-iot'); exports.handler = async () => {{ {body} }}"),
        expected.clone(),
    )
    .await;
    let harness = Harness::new();
    let source = format!(
        "import {{ IoTClient, EchoCommand, DeleteThingCommand, AccessDeniedException }} from '@aws-sdk/client-iot';\nimport {{ join }} from 'node:path';\nimport names from './names.json';\nimport {{ four }} from './lib/four.mjs';\nexport const handler = async () => {{ if (join('a', names.b) !== 'a/c' || four !== 4) throw new Error('imports'); {body} }};"
    );
    let spec = harness
        .spec(&[("index.mjs", &source), ("names.json", r#"{"b":"c"}"#), ("lib/four.mjs", "export const four = 4;")])
        .await;
    let run = harness.invoke(&spec, json!({})).await;
    assert_eq!(run.result, expected.map_err(|_: (&str, &str)| Value::Null), "{run:#?}");
}

#[tokio::test]
async fn services_are_named_as_they_sign() {
    let harness = Harness::new();
    let run = harness
        .run(
            "const AWS = require('aws-sdk'); exports.handler = async () => {
                for (const name of ['Iot', 'IotData', 'Lambda', 'IAM', 'STS', 'CloudWatchLogs']) await new AWS[name]().echo().promise();
            }",
            json!({}),
        )
        .await;
    assert_eq!(run.result, Ok(Value::Null), "{run:?}");
    assert_eq!(harness.operations(), ["iot:Echo", "iot-data:Echo", "lambda:Echo", "iam:Echo", "sts:Echo", "logs:Echo"]);
}

/// Parameters become a tree in the server's memory: its values are counted before.
#[tokio::test]
async fn parameters_of_too_many_values_are_refused() {
    let harness = Harness::new();
    let script = r#"
        var AWS = require('aws-sdk');
        exports.handler = async () => {
            const input = { policyName: 'p', policyDocument: 'd', tags: new Array(200000).fill(0) };
            return new AWS.Iot().createPolicy(input).promise().then(() => 'fine', (error) => error.code);
        };
    "#;
    let run = harness.run(script, json!({})).await;
    assert_eq!(run.result, Ok(json!("SerializationException")), "{run:?}");
    assert_eq!(harness.operations(), Vec::<String>::new());
}

/// Pages of a list, a function that becomes active, a moment and bytes as the server marks them.
fn states() -> Harness {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Harness::with(move |call| match call.operation.as_str() {
        "ListPolicies" | "ListFunctions" => {
            let (given, token) =
                if call.operation == "ListPolicies" { ("marker", "nextMarker") } else { ("Marker", "NextMarker") };
            let page = call.input[given].as_str().unwrap_or("0").parse::<u32>().unwrap_or(9);
            let mut answer = json!({ "page": page, "size": call.input["pageSize"] });
            if page < 2 {
                answer[token] = json!((page + 1).to_string());
            }
            Ok(answer)
        }
        "GetFunction" => match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Ok(json!({ "Configuration": { "State": "Pending" } })),
            _ => Ok(json!({ "Configuration": { "State": "Active" } })),
        },
        "GetRole" => Err(functions::AwsCallError {
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
            status: 403,
            request_id: String::new(),
        }),
        "Invoke" => Ok(json!({ "Payload": { "\u{0}bytes": "eyJhIjoxfQ==" }, "at": { "\u{0}date": 1.5 } })),
        other => Err(functions::AwsCallError {
            code: "ThrottlingException".to_owned(),
            message: other.to_owned(),
            status: 400,
            request_id: String::new(),
        }),
    })
}

#[tokio::test]
async fn pages_states_dates_and_bytes_in_both_versions() {
    let v3 = |service: &str, names: &str, body: &str| {
        format!(
            "const {{ {names} }} = require('@aws-sdk/client-{service}'); exports.handler = async () => {{ {body} }};"
        )
    };
    let v2 = |body: &str| format!("const AWS = require('aws-sdk'); exports.handler = async () => {{ {body} }};");
    for (source, expected) in [
        (
            v3(
                "iot",
                "IoTClient, paginateListPolicies",
                "const all = []; for await (const page of paginateListPolicies({ client: new IoTClient({}), pageSize: 7 }, {})) all.push([page.page, page.size]); return all;",
            ),
            json!([[0, 7], [1, 7], [2, 7]]),
        ),
        (
            v3(
                "lambda",
                "Lambda, paginateListFunctions",
                "const all = []; for await (const page of paginateListFunctions({ client: new Lambda(), startingToken: '1' }, {})) all.push(page.page); return all;",
            ),
            json!([1, 2]),
        ),
        (
            v3(
                "lambda",
                "LambdaClient, waitUntilFunctionActiveV2",
                "return (await waitUntilFunctionActiveV2({ client: new LambdaClient(), maxWaitTime: 20, minDelay: 0.01 }, { FunctionName: 'f' })).state;",
            ),
            json!("SUCCESS"),
        ),
        (
            v3(
                "iam",
                "IAMClient, waitUntilRoleExists",
                "try { await waitUntilRoleExists({ client: new IAMClient(), maxWaitTime: 5 }, { RoleName: 'r' }); } catch (e) { return JSON.parse(e.message).state; }",
            ),
            json!("FAILURE"),
        ),
        (
            v3(
                "lambda",
                "Lambda, InvocationType, LogType, Runtime",
                "const a = await new Lambda().invoke({ FunctionName: 'f', InvocationType: InvocationType.RequestResponse, LogType: LogType.Tail }); return [a.Payload.transformToString(), JSON.parse(new TextDecoder().decode(a.Payload)).a, a.at.toISOString(), Runtime.nodejs20x];",
            ),
            json!(["{\"a\":1}", 1, "1970-01-01T00:00:01.500Z", "nodejs20.x"]),
        ),
        (
            v3(
                "iot",
                "IoT, IoTServiceException, ThrottlingException, ResourceNotFoundException",
                "try { await new IoT().describeThing({}); } catch (e) { return [e instanceof ThrottlingException, e instanceof IoTServiceException, e instanceof ResourceNotFoundException, e.name, e.$fault, e.$retryable.throttling, new ThrottlingException({ message: 'm' }).name]; }",
            ),
            json!([true, true, false, "ThrottlingException", "client", true, "ThrottlingException"]),
        ),
        (
            v2(
                "return (await new AWS.Lambda().waitFor('functionActiveV2', { FunctionName: 'f', $waiter: { delay: 0.01 } }).promise()).Configuration.State",
            ),
            json!("Active"),
        ),
        (
            v2(
                "return await new Promise((resolve) => new AWS.IAM().waitFor('roleExists', { RoleName: 'r' }, (error, data) => resolve([error.code, data])))",
            ),
            json!(["ResourceNotReady", null]),
        ),
        (
            v2("try { new AWS.Lambda().waitFor('nothing', {}) } catch (e) { return e.code }"),
            json!("StateNotFoundError"),
        ),
        (
            v2(
                "const a = await new AWS.Lambda().invoke({ FunctionName: 'f' }).promise(); return [Buffer.isBuffer(a.Payload), JSON.parse(a.Payload).a, a.at instanceof Date]",
            ),
            json!([true, 1, true]),
        ),
    ] {
        let run = states().run(&source, json!({})).await;
        assert_eq!(run.result, Ok(expected), "{source}\n{run:#?}");
    }
}
