# IAM's roles and policies through boto3, from making to deleting: prints what was answered as one JSON object. A few
# operations of other services that no other script calls are at the end.
import io
import json
import zipfile

import boto3
from botocore.exceptions import ClientError

iam, iot, lambda_ = boto3.client('iam'), boto3.client('iot'), boto3.client('lambda')
told = {}


def code(call, **arguments):
    try:
        call(**arguments)
        return 'done'
    except ClientError as error:
        said = error.response['Error']
        return [said['Code'], error.response['ResponseMetadata']['HTTPStatusCode']]


def document(*actions):
    statement = {'Effect': 'Allow', 'Action': list(actions), 'Resource': '*'}
    return {'Version': '2012-10-17', 'Statement': [statement]}


def trust(service):
    return {'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow', 'Principal': {'Service': service}, 'Action': 'sts:AssumeRole'}]}


for name in ['first', 'second', 'third']:
    iam.create_role(RoleName=name, Path='/factory/', AssumeRolePolicyDocument=json.dumps(trust('lambda.amazonaws.com')))
pages = list(iam.get_paginator('list_roles').paginate(PathPrefix='/factory/', PaginationConfig={'PageSize': 2}))
told['roles'] = [[role['RoleName'] for role in page['Roles']] for page in pages]
iam.update_assume_role_policy(RoleName='first', PolicyDocument=json.dumps(trust('iot.amazonaws.com')))
told['trust'] = iam.get_role(RoleName='first')['Role']['AssumeRolePolicyDocument'] == trust('iot.amazonaws.com')

for name in ['a', 'b']:
    iam.put_role_policy(RoleName='first', PolicyName=name, PolicyDocument=json.dumps(document('iot:Publish')))
told['inline'] = iam.list_role_policies(RoleName='first')['PolicyNames']
told['inline document'] = iam.get_role_policy(RoleName='first', PolicyName='a')['PolicyDocument'] == document('iot:Publish')

arn = iam.create_policy(PolicyName='own', PolicyDocument=json.dumps(document('iot:*')))['Policy']['Arn']
told['policy exists'] = code(iam.create_policy, PolicyName='own', PolicyDocument=json.dumps(document('iot:*')))
told['malformed'] = code(iam.create_policy, PolicyName='bad', PolicyDocument='{}')
told['policy'] = [iam.get_policy(PolicyArn=arn)['Policy'][member] for member in ['PolicyName', 'DefaultVersionId']]
version = iam.get_policy_version(PolicyArn=arn, VersionId='v1')['PolicyVersion']
told['version'] = [version['Document'] == document('iot:*'), version['IsDefaultVersion']]
iam.attach_role_policy(RoleName='first', PolicyArn=arn)
iam.attach_role_policy(RoleName='first', PolicyArn='arn:aws:iam::aws:policy/AWSIoTDataAccess')
attached = iam.get_paginator('list_attached_role_policies').paginate(RoleName='first').build_full_result()
told['attached'] = [policy['PolicyName'] for policy in attached['AttachedPolicies']]
told['listed'] = [policy['PolicyName'] for policy in iam.list_policies(Scope='Local', OnlyAttached=True)['Policies']]

told['policy is attached'] = code(iam.delete_policy, PolicyArn=arn)
told['role has policies'] = code(iam.delete_role, RoleName='first')
iam.detach_role_policy(RoleName='first', PolicyArn=arn)
iam.detach_role_policy(RoleName='first', PolicyArn='arn:aws:iam::aws:policy/AWSIoTDataAccess')
told['not attached'] = code(iam.detach_role_policy, RoleName='first', PolicyArn=arn)
told['policy is free'] = code(iam.delete_policy, PolicyArn=arn)
for name in ['a', 'b']:
    iam.delete_role_policy(RoleName='first', PolicyName=name)
told['role is bare'] = code(iam.delete_role, RoleName='first')
told['no role'] = code(iam.get_role, RoleName='first')
told['no policy'] = code(iam.get_policy, PolicyArn=arn)

told['CAs'] = iot.list_ca_certificates(pageSize=1)['certificates']


def package(answer):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, 'w') as archive:
        archive.writestr('index.js', f'exports.handler = async () => {answer};')
    return packed.getvalue()


role = iam.get_role(RoleName='second')['Role']['Arn']
lambda_.create_function(FunctionName='f', Runtime='nodejs20.x', Handler='index.handler', Role=role,
                        Code={'ZipFile': package(1)})
first = lambda_.invoke(FunctionName='f')['Payload'].read()
lambda_.update_function_code(FunctionName='f', ZipFile=package(2))
told['updated'] = [first.decode(), lambda_.invoke(FunctionName='f')['Payload'].read().decode()]
print(json.dumps(told))
