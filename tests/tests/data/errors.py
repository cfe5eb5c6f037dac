# What boto3 makes of the server's refusals: prints one JSON object, from a case's name to [code, HTTP status, message].
# Retries are off and boto3 checks no parameters, so that each request arrives as it is written here.
import io
import json
import os
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(service, **arguments):
    config = Config(parameter_validation=False, retries={'max_attempts': 0})
    return boto3.client(service, config=config, **arguments)


cases = {}


def case(name, call, **arguments):
    try:
        call(**arguments)
        cases[name] = ['', 200, '']
    except ClientError as error:
        said = error.response['Error']
        status = error.response['ResponseMetadata']['HTTPStatusCode']
        cases[name] = [said['Code'], status, said['Message']]


iot, lambda_, iam, logs, sts = (client(name) for name in ('iot', 'lambda', 'iam', 'logs', 'sts'))

key_id, secret = os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SECRET_ACCESS_KEY']
wrong_secret = {'aws_access_key_id': key_id, 'aws_secret_access_key': 'not-the-secret'}
unknown_key = {'aws_access_key_id': 'AKIAIOSFODNN7EXAMPLE', 'aws_secret_access_key': secret}
case('wrong secret, rest-json', client('iot', **wrong_secret).list_certificates)
case('wrong secret, query', client('sts', **wrong_secret).get_caller_identity)
case('wrong secret, json-1.1', client('logs', **wrong_secret).describe_log_groups)
case('unknown key, rest-json', client('iot', **unknown_key).list_certificates)
case('unknown key, query', client('iam', **unknown_key).get_role, RoleName='none')
case('unknown key, json-1.1', client('logs', **unknown_key).describe_log_groups)
case('wrong region', client('iot', region_name='eu-west-1').list_certificates)

case('unserved, rest-json', iot.list_billing_groups)
case('unserved, query', iam.list_users)
case('unserved, json-1.1', logs.describe_metric_filters)

case('missing field', iot.create_policy, policyName='NoDocument')
case('wrong type', iot.create_policy, policyName='Wrong', policyDocument=['a', 'list'])
case('bad name', iot.create_policy, policyName='a b', policyDocument='{}')

policy = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'iot:*', 'Resource': '*'}]}
case('policy is no JSON', iot.create_policy, policyName='Bad', policyDocument='{"Version": "2012-10-17",\n oops')
wrong = dict(policy, Statement=[{'Effect': 'Perhaps', 'Action': 'iot:*', 'Resource': '*'}])
case('policy has a wrong effect', iot.create_policy, policyName='Bad', policyDocument=json.dumps(wrong))
iot.create_policy(policyName='There', policyDocument=json.dumps(policy))
case('policy exists', iot.create_policy, policyName='There', policyDocument=json.dumps(policy))
case('no policy', iot.get_policy, policyName='NotThere')
case('no certificate', iot.describe_certificate, certificateId='0' * 64)
case('attach to nothing', iot.attach_policy, policyName='There', target='nothing')


def rule(sql):
    return {'sql': sql, 'actions': [{'lambda': {'functionArn': 'arn:aws:lambda:us-east-1:123456789012:function:f'}}]}


case('bad SQL', iot.create_topic_rule, ruleName='bad', topicRulePayload=rule("SELECT * FROM 'a/b' WHERE ="))
case('bad filter', iot.create_topic_rule, ruleName='bad', topicRulePayload=rule("SELECT * FROM 'a/#/b'"))
case('no rule', iot.get_topic_rule, ruleName='nothere')
case('CA that is none', iot.register_ca_certificate, caCertificate='no PEM', verificationCertificate='no PEM')

trust = {'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Principal': {'Service': 'lambda.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]}
iam.create_role(RoleName='there', AssumeRolePolicyDocument=json.dumps(trust))
case('role exists', iam.create_role, RoleName='there', AssumeRolePolicyDocument=json.dumps(trust))
case('no role', iam.get_role, RoleName='notthere')
case('role policy is no JSON', iam.put_role_policy, RoleName='there', PolicyName='p', PolicyDocument='{')

archive = io.BytesIO()
with zipfile.ZipFile(archive, 'w') as package:
    package.writestr('index.js', 'exports.handler = async () => 1;')
function = {'FunctionName': 'there', 'Runtime': 'nodejs20.x', 'Handler': 'index.handler',
            'Role': 'arn:aws:iam::123456789012:role/there', 'Code': {'ZipFile': archive.getvalue()}}
lambda_.create_function(**function)
case('function exists', lambda_.create_function, **function)
case('no function', lambda_.get_function, FunctionName='notthere')
case('invoke no function', lambda_.invoke, FunctionName='notthere', Payload=b'{}')
case('bad zip', lambda_.create_function, **dict(function, FunctionName='zip', Code={'ZipFile': b'PK no zip'}))
case('no such role', lambda_.create_function,
     **dict(function, FunctionName='role', Role='arn:aws:iam::123456789012:role/notthere'))
case('unknown runtime', lambda_.create_function, **dict(function, FunctionName='runtime', Runtime='cobol1.0'))
case('payload is no JSON', lambda_.invoke, FunctionName='there', Payload=b'{oops')
permission = {'FunctionName': 'there', 'StatementId': 'once', 'Action': 'lambda:InvokeFunction',
              'Principal': 'iot.amazonaws.com'}
lambda_.add_permission(**permission)
case('permission exists', lambda_.add_permission, **permission)
case('no log group', logs.filter_log_events, logGroupName='/aws/lambda/nothere')

print(json.dumps(cases))
