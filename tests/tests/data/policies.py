# IoT policies, their versions and attachments as boto3 uses them: what is answered, page by page, and what is refused.
# CERTIFICATE is the ARN of a registered certificate; the test puts it in front. It asserts by itself and prints `{}`.
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

iot = boto3.client('iot', config=Config(retries={'total_max_attempts': 1}))


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, status) and answer['Error']['Message'], (call, arguments, answer)
        return
    raise AssertionError(f'{call} {arguments} was not refused')


def document(effect):
    return json.dumps({'Version': '2012-10-17', 'Statement': [
        {'Effect': effect, 'Action': 'iot:Publish', 'Resource': '*'}]})


def pages(operation, member, **arguments):
    found = []
    for page in iot.get_paginator(operation).paginate(PaginationConfig={'PageSize': 2}, **arguments):
        assert len(page[member]) <= 2, page
        found += page[member]
    return found


names = [f'Policy{n}' for n in range(5)]
for name in names:
    iot.create_policy(policyName=name, policyDocument=document('Allow'))
assert [policy['policyName'] for policy in pages('list_policies', 'policies', ascendingOrder=True)] == names
assert [policy['policyName'] for policy in pages('list_policies', 'policies')] == names[::-1]

made = iot.create_policy_version(policyName='Policy0', policyDocument=document('Deny'))
assert (made['policyVersionId'], made['isDefaultVersion']) == ('2', False), made
made = iot.create_policy_version(policyName='Policy0', policyDocument=document('Deny'), setAsDefault=True)
assert (made['policyVersionId'], made['isDefaultVersion']) == ('3', True), made
for _ in range(2):
    iot.create_policy_version(policyName='Policy0', policyDocument=document('Deny'))
refused('VersionsLimitExceededException', 409, iot.create_policy_version, policyName='Policy0',
        policyDocument=document('Deny'))
refused('MalformedPolicyException', 400, iot.create_policy_version, policyName='Policy1', policyDocument='{')
listed = iot.list_policy_versions(policyName='Policy0')['policyVersions']
assert [(version['versionId'], version['isDefaultVersion']) for version in listed] == [
    ('5', False), ('4', False), ('3', True), ('2', False), ('1', False)], listed
assert all(version['createDate'].year >= 2020 for version in listed), listed
iot.set_default_policy_version(policyName='Policy0', policyVersionId='1')
version = iot.get_policy_version(policyName='Policy0', policyVersionId='1')
assert (version['isDefaultVersion'], version['policyDocument']) == (True, document('Allow')), version
assert iot.get_policy(policyName='Policy0')['defaultVersionId'] == '1'
refused('DeleteConflictException', 409, iot.delete_policy_version, policyName='Policy0', policyVersionId='1')
refused('ResourceNotFoundException', 404, iot.get_policy_version, policyName='Policy0', policyVersionId='9')
refused('ResourceNotFoundException', 404, iot.set_default_policy_version, policyName='None', policyVersionId='1')
refused('DeleteConflictException', 409, iot.delete_policy, policyName='Policy0')
for number in '2345':
    iot.delete_policy_version(policyName='Policy0', policyVersionId=number)

for name in names:
    iot.attach_policy(policyName=name, target=CERTIFICATE)
assert pages('list_targets_for_policy', 'targets', policyName='Policy1') == [CERTIFICATE]
assert pages('list_policy_principals', 'principals', policyName='Policy1') == [CERTIFICATE]
attached = pages('list_principal_policies', 'policies', principal=CERTIFICATE, ascendingOrder=True)
assert [policy['policyName'] for policy in attached] == names, attached
assert len(pages('list_attached_policies', 'policies', target=CERTIFICATE)) == 5
refused('DeleteConflictException', 409, iot.delete_policy, policyName='Policy1')
nobody = CERTIFICATE[:-64] + '0' * 64
refused('InvalidRequestException', 400, iot.detach_policy, policyName='Policy1', target=nobody)
refused('ResourceNotFoundException', 404, iot.detach_principal_policy, policyName='Policy1', principal=nobody)
refused('ResourceNotFoundException', 404, iot.list_principal_policies, principal=nobody)
refused('ResourceNotFoundException', 404, iot.list_policy_principals, policyName='None')
refused('ResourceNotFoundException', 404, iot.list_targets_for_policy, policyName='None')
refused('ResourceNotFoundException', 404, iot.list_policy_versions, policyName='None')
refused('InvalidRequestException', 400, iot.list_policies, marker='A')
for name in names[:3]:
    iot.detach_policy(policyName=name, target=CERTIFICATE)
for name in names[3:]:
    iot.detach_principal_policy(policyName=name, principal=CERTIFICATE)
for name in names:
    iot.delete_policy(policyName=name)
refused('ResourceNotFoundException', 404, iot.delete_policy, policyName='Policy0')
assert iot.list_policies()['policies'] == []
print('{}')
