# One round with boto3: every served service, an error of each, a presigned URL, a role and its session.
# Prints one JSON object; the JavaScript scripts print the same.
import base64
import json
import os
import time
import urllib.error
import urllib.request

import boto3
from botocore.exceptions import ClientError

iot, lambda_, iam, logs, sts = (boto3.client(name) for name in ('iot', 'lambda', 'iam', 'logs', 'sts'))
report = {}


def failure(call, **arguments):
    try:
        call(**arguments)
        return ['', 200]
    except ClientError as error:
        return [error.response['Error']['Code'], error.response['ResponseMetadata']['HTTPStatusCode']]


def fetched(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as answer:
        return [answer.code, answer.read().decode()]


identity = sts.get_caller_identity()
report['identity'] = identity['Arn']

allowed = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'iot:GetPolicy', 'Resource': '*'}]}
iot.create_policy(policyName='Round', policyDocument=json.dumps(allowed))
report['policy'] = json.loads(iot.get_policy(policyName='Round')['policyDocument'])
report['no policy'] = failure(iot.get_policy, policyName='NotThere')

data = boto3.client('iot-data')
published = data.publish(topic='round/trip', qos=1, payload=b'{}')
report['published'] = published['ResponseMetadata']['HTTPStatusCode']
report['bad topic'] = failure(data.publish, topic='round/#', payload=b'{}')

trust = {'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Principal': {'Service': 'lambda.amazonaws.com', 'AWS': identity['Account']},
     'Action': 'sts:AssumeRole'}]}
role = iam.create_role(RoleName='round', AssumeRolePolicyDocument=json.dumps(trust))['Role']
basic = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole'
iam.attach_role_policy(RoleName='round', PolicyArn=basic)
iam.put_role_policy(RoleName='round', PolicyName='rights', PolicyDocument=json.dumps(allowed))
report['trust'] = iam.get_role(RoleName='round')['Role']['AssumeRolePolicyDocument']
report['role policy'] = iam.get_role_policy(RoleName='round', PolicyName='rights')['PolicyDocument']
report['attached'] = iam.list_attached_role_policies(RoleName='round')['AttachedPolicies']
report['roles'] = [listed['RoleName'] for page in iam.get_paginator('list_roles').paginate() for listed in page['Roles']]
report['no role'] = failure(iam.get_role, RoleName='notthere')
report['role in use'] = failure(iam.delete_role, RoleName='round')

lambda_.create_function(FunctionName='round', Runtime='nodejs20.x', Handler='index.handler', Role=role['Arn'],
                        Code={'ZipFile': base64.b64decode(os.environ['PACKAGE'])})
report['invoked'] = json.load(lambda_.invoke(FunctionName='round', Payload=json.dumps({'number': 21}))['Payload'])
report['no function'] = failure(lambda_.get_function, FunctionName='notthere')

for _ in range(200):
    report['log groups'] = [group['logGroupName'] for group in logs.describe_log_groups()['logGroups']]
    if report['log groups']:
        break
    time.sleep(0.02)
report['no log group'] = failure(logs.filter_log_events, logGroupName='/aws/lambda/notthere')

url = sts.generate_presigned_url('get_caller_identity', ExpiresIn=60, HttpMethod='GET')
status, body = fetched(url)
report['presigned'] = [status, report['identity'] in body]
status, body = fetched(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'))
report['presigned, changed'] = [status, 'SignatureDoesNotMatch' in body]

key = sts.assume_role(RoleArn=role['Arn'], RoleSessionName='boto3')['Credentials']
session = boto3.Session(aws_access_key_id=key['AccessKeyId'], aws_secret_access_key=key['SecretAccessKey'],
                        aws_session_token=key['SessionToken'])
report['session'] = session.client('sts').get_caller_identity()['Arn']
report['session may'] = session.client('iot').get_policy(policyName='Round')['policyName']
report['session may not'] = failure(session.client('iot').list_certificates)
status, body = fetched(session.client('sts').generate_presigned_url('get_caller_identity', HttpMethod='GET'))
report['session, presigned'] = [status, report['session'] in body]
without_token = boto3.Session(aws_access_key_id=key['AccessKeyId'], aws_secret_access_key=key['SecretAccessKey'])
report['session without its token'] = failure(without_token.client('iot').get_policy, policyName='Round')

print(json.dumps(report))
