# Topic rules as boto3 uses them: made, replaced, switched off and on, listed page by page, and what is refused. Leaves a
# rule `relay` that republishes what comes to `in/+` at `out/` and the topic's second level. It asserts by itself and prints
# `{}`.
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

iam, iot, logs, sts = (
    boto3.client(name, config=Config(retries={'total_max_attempts': 1})) for name in ('iam', 'iot', 'logs', 'sts'))
account = sts.get_caller_identity()['Account']


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, status) and answer['Error']['Message'], (call, arguments, answer)
        return
    raise AssertionError(f'{call} {arguments} was not refused')


def payload(sql, *actions, **more):
    return {'sql': sql, 'actions': list(actions), 'awsIotSqlVersion': '2016-03-23', **more}


def republish(topic):
    return {'republish': {'roleArn': role, 'topic': topic, 'qos': 1}}


role = iam.create_role(RoleName='relay', AssumeRolePolicyDocument=json.dumps({
    'Version': '2012-10-17', 'Statement': [{
        'Effect': 'Allow', 'Principal': {'Service': 'iot.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]}))['Role']['Arn']
iam.put_role_policy(RoleName='relay', PolicyName='out', PolicyDocument=json.dumps({
    'Version': '2012-10-17', 'Statement': [{
        'Effect': 'Allow', 'Action': 'iot:Publish',
        'Resource': f'arn:aws:iot:{iot.meta.region_name}:{account}:topic/out/*'}]}))

iot.create_topic_rule(ruleName='relay', topicRulePayload=payload("SELECT * FROM 'nowhere'"))
refused('ResourceAlreadyExistsException', 409, iot.create_topic_rule, ruleName='relay',
        topicRulePayload=payload("SELECT * FROM 'nowhere'"))
refused('SqlParseException', 400, iot.replace_topic_rule, ruleName='relay', topicRulePayload=payload('SELECT'))
refused('InvalidRequestException', 400, iot.replace_topic_rule, ruleName='relay', topicRulePayload=payload(
    "SELECT * FROM 'a'", {'sqs': {'roleArn': role, 'queueUrl': 'https://queue'}}))
refused('InvalidRequestException', 400, iot.create_topic_rule, ruleName='other', topicRulePayload=payload(
    "SELECT * FROM 'a'", republish('$aws/events/x')))
for call in (iot.enable_topic_rule, iot.disable_topic_rule, iot.get_topic_rule):
    refused('UnauthorizedException', 401, call, ruleName='missing')
refused('UnauthorizedException', 401, iot.replace_topic_rule, ruleName='missing',
        topicRulePayload=payload("SELECT * FROM 'a'"))

relay = payload("SELECT *, topic(2) AS place FROM 'in/+'", republish('out/${topic(2)}'),
                errorAction=republish('out/errors'), description='relays')
iot.replace_topic_rule(ruleName='relay', topicRulePayload=relay)
rule = iot.get_topic_rule(ruleName='relay')['rule']
assert rule['actions'] == relay['actions'] and rule['errorAction'] == relay['errorAction'], rule
assert (rule['sql'], rule['description'], rule['ruleDisabled']) == (relay['sql'], 'relays', False), rule
iot.disable_topic_rule(ruleName='relay')
assert iot.get_topic_rule(ruleName='relay')['rule']['ruleDisabled'] is True
assert [rule['ruleName'] for rule in iot.list_topic_rules(ruleDisabled=True)['rules']] == ['relay']
iot.enable_topic_rule(ruleName='relay')
assert iot.get_topic_rule(ruleName='relay')['rule']['ruleDisabled'] is False
for n in range(4):
    iot.create_topic_rule(ruleName=f'rule{n}', topicRulePayload=payload(f"SELECT * FROM 'rule{n}'"))
pages = list(iot.get_paginator('list_topic_rules').paginate(PaginationConfig={'PageSize': 2}))
assert [len(page['rules']) for page in pages] == [2, 2, 1], pages
for n in range(4):
    iot.delete_topic_rule(ruleName=f'rule{n}')
print('{}')
