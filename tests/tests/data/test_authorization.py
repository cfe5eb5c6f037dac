# TestAuthorization and GetEffectivePolicies as boto3 calls them. CERTIFICATE is the ARN of a registered certificate that
# is attached to nothing; the test puts it in front. It asserts by itself and prints `{}`.
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

iot = boto3.client('iot', config=Config(retries={'total_max_attempts': 1}))
ARN = CERTIFICATE.split('cert/')[0]
ID = CERTIFICATE.split('/')[1]


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, status) and answer['Error']['Message'], (call, arguments, answer)
        return
    raise AssertionError(f'{call} {arguments} was not refused')


def policy(name, effect, action, resource, **condition):
    document = json.dumps({'Version': '2012-10-17', 'Statement': [
        {'Effect': effect, 'Action': action, 'Resource': resource, 'Condition': condition}]})
    iot.create_policy(policyName=name, policyDocument=document)
    return document


documents = {
    'Open': policy('Open', 'Allow', 'iot:*', '*'),
    'Own': policy('Own', 'Allow', ['iot:Publish', 'iot:Connect'],
                  [ARN + 'topic/${iot:Connection.Thing.ThingName}/*', ARN + 'client/${iot:ClientId}']),
    'Secret': policy('Secret', 'Deny', 'iot:Publish', ARN + 'topic/secret/*'),
    'Here': policy('Here', 'Allow', 'iot:Publish', '*', IpAddress={'aws:SourceIp': '10.0.0.0/8'}),
}
for name in ['Own', 'Secret']:
    iot.attach_policy(policyName=name, target=CERTIFICATE)


def info(action, *resources):
    return {'actionType': action, 'resources': [ARN + resource for resource in resources]}


def names(part):
    assert all(policy['policyArn'] == ARN + 'policy/' + policy['policyName'] for policy in part['policies']), part
    return [policy['policyName'] for policy in part['policies']]


def ask(*infos, **arguments):
    arguments.setdefault('principal', CERTIFICATE)
    results = iot.test_authorization(authInfos=list(infos), **arguments)['authResults']
    assert [result['authInfo'] for result in results] == list(infos), results
    return [
        (result['authDecision'], names(result['allowed']), names(result['denied']['explicitDeny']),
         names(result['denied']['implicitDeny']), result['missingContextValues'])
        for result in results
    ]


thing_name = 'iot:Connection.Thing.ThingName'
assert ask(info('CONNECT', 'client/pump')) == [
    ('IMPLICIT_DENY', [], [], ['Own', 'Secret'], ['iot:ClientId', thing_name])]
assert ask(info('CONNECT', 'client/pump'), info('CONNECT', 'client/other'), clientId='pump') == [
    ('ALLOWED', ['Own'], [], ['Secret'], [thing_name]),
    ('IMPLICIT_DENY', [], [], ['Own', 'Secret'], [thing_name])]
iot.create_thing(thingName='pump')
iot.attach_thing_principal(thingName='pump', principal=CERTIFICATE)
assert ask(info('PUBLISH', 'topic/pump/a'), clientId='pump', principal=ID) == [('ALLOWED', ['Own'], [], ['Secret'], [])]
# Each of several resources must be allowed.
assert ask(info('PUBLISH', 'topic/pump/a', 'topic/x/a'), clientId='pump') == [
    ('IMPLICIT_DENY', ['Own'], [], ['Own', 'Secret'], [])]
assert ask(info('PUBLISH', 'topic/secret/a'), policyNamesToAdd=['Open'], clientId='pump') == [
    ('EXPLICIT_DENY', ['Open'], ['Secret'], ['Own'], [])]
assert ask(info('PUBLISH', 'topic/secret/a'), policyNamesToAdd=['Open'], policyNamesToSkip=['Secret'], clientId='pump') == [
    ('ALLOWED', ['Open'], [], ['Own'], [])]
assert ask(info('PUBLISH', 'topic/x'), policyNamesToAdd=['Here'], policyNamesToSkip=['Own', 'Secret']) == [
    ('IMPLICIT_DENY', [], [], ['Here'], ['aws:SourceIp'])]
everything = [info('SUBSCRIBE', 'topicfilter/a/#'), info('RECEIVE', 'topic/a/b')]
assert [result[0] for result in ask(*everything, policyNamesToAdd=['Open'], clientId='pump')] == ['ALLOWED'] * 2

one = [info('CONNECT', 'client/pump')]
test = iot.test_authorization
refused('InvalidRequestException', 400, test, authInfos=one)
refused('InvalidRequestException', 400, test, authInfos=one, principal='us-east-1:5b8f9a3c-0000-4000-8000-000000000000')
refused('InvalidRequestException', 400, test, authInfos=one, principal=ARN + 'thinggroup/g')
refused('InvalidRequestException', 400, test, authInfos=one, principal=CERTIFICATE, cognitoIdentityPoolId='us-east-1:x')
refused('InvalidRequestException', 400, test, authInfos=[{'resources': ['*']}], principal=CERTIFICATE)
refused('InvalidRequestException', 400, test, authInfos=one * 11, principal=CERTIFICATE)
refused('ResourceNotFoundException', 404, test, authInfos=one, principal=CERTIFICATE[:-1] + ('0' if ID[-1] != '0' else '1'))
refused('ResourceNotFoundException', 404, test, authInfos=one, principal=CERTIFICATE, policyNamesToAdd=['NotThere'])
refused('LimitExceededException', 410, test, authInfos=[info('CONNECT', *['client/a'] * 101)], principal=CERTIFICATE)

effective = [
    {'policyName': name, 'policyArn': f'{ARN}policy/{name}', 'policyDocument': documents[name]}
    for name in ['Own', 'Secret']
]
get = iot.get_effective_policies
assert get(principal=CERTIFICATE)['effectivePolicies'] == effective
assert get(principal=CERTIFICATE, thingName='pump')['effectivePolicies'] == effective
assert get(thingName='pump')['effectivePolicies'] == []
refused('InvalidRequestException', 400, get)
refused('InvalidRequestException', 400, get, principal='us-east-1:5b8f9a3c-0000-4000-8000-000000000000')
refused('ResourceNotFoundException', 404, get, principal=CERTIFICATE, thingName='other')
print('{}')
