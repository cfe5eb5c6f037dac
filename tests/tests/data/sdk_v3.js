// One round with the AWS SDK for JavaScript v3; it prints what sdk_boto3.py prints.
'use strict';
const { IoTClient, CreatePolicyCommand, GetPolicyCommand, ListCertificatesCommand } = require('@aws-sdk/client-iot');
const { IoTDataPlaneClient, PublishCommand } = require('@aws-sdk/client-iot-data-plane');
const { LambdaClient, CreateFunctionCommand, GetFunctionCommand, InvokeCommand } = require('@aws-sdk/client-lambda');
const {
    IAMClient, AttachRolePolicyCommand, CreateRoleCommand, DeleteRoleCommand, GetRoleCommand, GetRolePolicyCommand,
    ListAttachedRolePoliciesCommand, PutRolePolicyCommand, paginateListRoles,
} = require('@aws-sdk/client-iam');
const { STSClient, AssumeRoleCommand, GetCallerIdentityCommand } = require('@aws-sdk/client-sts');
const {
    CloudWatchLogsClient, DescribeLogGroupsCommand, FilterLogEventsCommand,
} = require('@aws-sdk/client-cloudwatch-logs');
const { HttpRequest } = require('@smithy/protocol-http');
const { SignatureV4 } = require('@smithy/signature-v4');
const { Sha256 } = require('@aws-crypto/sha256-js');

const iot = new IoTClient(), lambda = new LambdaClient(), iam = new IAMClient(), sts = new STSClient();
const logs = new CloudWatchLogsClient();
const report = {};

const failure = (answer) => answer.then(() => ['', 200], (error) => [error.name, error.$metadata.httpStatusCode]);

async function fetched(url) {
    const answer = await fetch(url);
    return [answer.status, await answer.text()];
}

// A URL that asks who its maker is.
async function presigned(client) {
    const endpoint = new URL(process.env.AWS_ENDPOINT_URL);
    const signer = new SignatureV4({
        credentials: client.config.credentials, region: process.env.AWS_REGION, service: 'sts', sha256: Sha256 });
    const request = await signer.presign(new HttpRequest({
        method: 'GET', protocol: endpoint.protocol, hostname: endpoint.hostname, port: Number(endpoint.port), path: '/',
        query: { Action: 'GetCallerIdentity', Version: '2011-06-15' }, headers: { host: endpoint.host },
    }), { expiresIn: 60 });
    return `${endpoint.origin}/?${new URLSearchParams(request.query)}`;
}

async function main() {
    const identity = await sts.send(new GetCallerIdentityCommand());
    report.identity = identity.Arn;

    const allowed = {
        Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iot:GetPolicy', Resource: '*' }] };
    await iot.send(new CreatePolicyCommand({ policyName: 'Round', policyDocument: JSON.stringify(allowed) }));
    report.policy = JSON.parse((await iot.send(new GetPolicyCommand({ policyName: 'Round' }))).policyDocument);
    report['no policy'] = await failure(iot.send(new GetPolicyCommand({ policyName: 'NotThere' })));

    const data = new IoTDataPlaneClient();
    const published = await data.send(new PublishCommand({ topic: 'round/trip', qos: 1, payload: '{}' }));
    report.published = published.$metadata.httpStatusCode;
    report['bad topic'] = await failure(data.send(new PublishCommand({ topic: 'round/#', payload: '{}' })));

    const trust = { Version: '2012-10-17', Statement: [{
        Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com', AWS: identity.Account },
        Action: 'sts:AssumeRole' }] };
    const { Role: role } = await iam.send(
        new CreateRoleCommand({ RoleName: 'round', AssumeRolePolicyDocument: JSON.stringify(trust) }));
    const basic = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';
    await iam.send(new AttachRolePolicyCommand({ RoleName: 'round', PolicyArn: basic }));
    await iam.send(new PutRolePolicyCommand(
        { RoleName: 'round', PolicyName: 'rights', PolicyDocument: JSON.stringify(allowed) }));
    const read = (document) => JSON.parse(decodeURIComponent(document));
    report.trust = read((await iam.send(new GetRoleCommand({ RoleName: 'round' }))).Role.AssumeRolePolicyDocument);
    const inline = await iam.send(new GetRolePolicyCommand({ RoleName: 'round', PolicyName: 'rights' }));
    report['role policy'] = read(inline.PolicyDocument);
    const attached = await iam.send(new ListAttachedRolePoliciesCommand({ RoleName: 'round' }));
    report.attached = attached.AttachedPolicies;
    report.roles = [];
    for await (const page of paginateListRoles({ client: iam }, {})) {
        report.roles.push(...page.Roles.map((listed) => listed.RoleName));
    }
    report['no role'] = await failure(iam.send(new GetRoleCommand({ RoleName: 'notthere' })));
    report['role in use'] = await failure(iam.send(new DeleteRoleCommand({ RoleName: 'round' })));

    await lambda.send(new CreateFunctionCommand({
        FunctionName: 'round', Runtime: 'nodejs20.x', Handler: 'index.handler', Role: role.Arn,
        Code: { ZipFile: Buffer.from(process.env.PACKAGE, 'base64') } }));
    const invoked = await lambda.send(new InvokeCommand({ FunctionName: 'round', Payload: '{"number":21}' }));
    report.invoked = JSON.parse(Buffer.from(invoked.Payload).toString());
    report['no function'] = await failure(lambda.send(new GetFunctionCommand({ FunctionName: 'notthere' })));

    for (let attempt = 0; attempt < 200; attempt += 1) {
        const { logGroups } = await logs.send(new DescribeLogGroupsCommand());
        report['log groups'] = logGroups.map((group) => group.logGroupName);
        if (logGroups.length > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const missing = new FilterLogEventsCommand({ logGroupName: '/aws/lambda/notthere' });
    report['no log group'] = await failure(logs.send(missing));

    const url = await presigned(sts);
    let [status, body] = await fetched(url);
    report.presigned = [status, body.includes(report.identity)];
    [status, body] = await fetched(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'));
    report['presigned, changed'] = [status, body.includes('SignatureDoesNotMatch')];

    const assume = new AssumeRoleCommand({ RoleArn: role.Arn, RoleSessionName: 'v3' });
    const { Credentials: key } = await sts.send(assume);
    const pair = { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey };
    const credentials = { ...pair, sessionToken: key.SessionToken };
    const [sessionSts, sessionIot] = [new STSClient({ credentials }), new IoTClient({ credentials })];
    report.session = (await sessionSts.send(new GetCallerIdentityCommand())).Arn;
    report['session may'] = (await sessionIot.send(new GetPolicyCommand({ policyName: 'Round' }))).policyName;
    report['session may not'] = await failure(sessionIot.send(new ListCertificatesCommand()));
    [status, body] = await fetched(await presigned(sessionSts));
    report['session, presigned'] = [status, body.includes(report.session)];
    const withoutToken = new IoTClient({ credentials: pair });
    report['session without its token'] = await failure(withoutToken.send(new GetPolicyCommand({ policyName: 'Round' })));
    console.log(JSON.stringify(report));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
