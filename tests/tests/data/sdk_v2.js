// One round with the AWS SDK for JavaScript v2; it prints what sdk_boto3.py prints.
'use strict';
const AWS = require('aws-sdk');

const endpoint = process.env.AWS_ENDPOINT_URL;
const client = (name, options) => new AWS[name]({ endpoint, ...options });
const [iot, lambda, iam, logs, sts] = ['Iot', 'Lambda', 'IAM', 'CloudWatchLogs', 'STS'].map((name) => client(name));
const report = {};

const failure = (request) => request.promise().then(() => ['', 200], (error) => [error.code, error.statusCode]);

async function fetched(url) {
    const answer = await fetch(url);
    return [answer.status, await answer.text()];
}

async function main() {
    const identity = await sts.getCallerIdentity().promise();
    report.identity = identity.Arn;

    const allowed = {
        Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iot:GetPolicy', Resource: '*' }] };
    await iot.createPolicy({ policyName: 'Round', policyDocument: JSON.stringify(allowed) }).promise();
    report.policy = JSON.parse((await iot.getPolicy({ policyName: 'Round' }).promise()).policyDocument);
    report['no policy'] = await failure(iot.getPolicy({ policyName: 'NotThere' }));

    const data = client('IotData');
    const published = await data.publish({ topic: 'round/trip', qos: 1, payload: '{}' }).promise();
    report.published = published.$response.httpResponse.statusCode;
    report['bad topic'] = await failure(data.publish({ topic: 'round/#', payload: '{}' }));

    const trust = { Version: '2012-10-17', Statement: [{
        Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com', AWS: identity.Account },
        Action: 'sts:AssumeRole' }] };
    const { Role: role } = await iam.createRole(
        { RoleName: 'round', AssumeRolePolicyDocument: JSON.stringify(trust) }).promise();
    const basic = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';
    await iam.attachRolePolicy({ RoleName: 'round', PolicyArn: basic }).promise();
    await iam.putRolePolicy(
        { RoleName: 'round', PolicyName: 'rights', PolicyDocument: JSON.stringify(allowed) }).promise();
    const read = (document) => JSON.parse(decodeURIComponent(document));
    report.trust = read((await iam.getRole({ RoleName: 'round' }).promise()).Role.AssumeRolePolicyDocument);
    const inline = await iam.getRolePolicy({ RoleName: 'round', PolicyName: 'rights' }).promise();
    report['role policy'] = read(inline.PolicyDocument);
    report.attached = (await iam.listAttachedRolePolicies({ RoleName: 'round' }).promise()).AttachedPolicies;
    report.roles = (await iam.listRoles().promise()).Roles.map((listed) => listed.RoleName);
    report['no role'] = await failure(iam.getRole({ RoleName: 'notthere' }));
    report['role in use'] = await failure(iam.deleteRole({ RoleName: 'round' }));

    await lambda.createFunction({
        FunctionName: 'round', Runtime: 'nodejs20.x', Handler: 'index.handler', Role: role.Arn,
        Code: { ZipFile: Buffer.from(process.env.PACKAGE, 'base64') } }).promise();
    const invoked = await lambda.invoke({ FunctionName: 'round', Payload: '{"number":21}' }).promise();
    report.invoked = JSON.parse(invoked.Payload);
    report['no function'] = await failure(lambda.getFunction({ FunctionName: 'notthere' }));

    for (let attempt = 0; attempt < 200; attempt += 1) {
        const { logGroups } = await logs.describeLogGroups().promise();
        report['log groups'] = logGroups.map((group) => group.logGroupName);
        if (logGroups.length > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    report['no log group'] = await failure(logs.filterLogEvents({ logGroupName: '/aws/lambda/notthere' }));

    const url = sts.getCallerIdentity().presign(60);
    let [status, body] = await fetched(url);
    report.presigned = [status, body.includes(report.identity)];
    [status, body] = await fetched(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'));
    report['presigned, changed'] = [status, body.includes('SignatureDoesNotMatch')];

    const { Credentials: key } = await sts.assumeRole({ RoleArn: role.Arn, RoleSessionName: 'v2' }).promise();
    const credentials = new AWS.Credentials(key.AccessKeyId, key.SecretAccessKey, key.SessionToken);
    const session = (name) => client(name, { credentials });
    report.session = (await session('STS').getCallerIdentity().promise()).Arn;
    report['session may'] = (await session('Iot').getPolicy({ policyName: 'Round' }).promise()).policyName;
    report['session may not'] = await failure(session('Iot').listCertificates());
    [status, body] = await fetched(session('STS').getCallerIdentity().presign(60));
    report['session, presigned'] = [status, body.includes(report.session)];
    const withoutToken = client('Iot', { credentials: new AWS.Credentials(key.AccessKeyId, key.SecretAccessKey) });
    report['session without its token'] = await failure(withoutToken.getPolicy({ policyName: 'Round' }));
    console.log(JSON.stringify(report));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
