# Lambda's operations as boto3 uses them: what they answer, page by page, and what they refuse. It asserts by itself and
# prints `{}` at the end.
import base64
import io
import json
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(parameter_validation=False, retries={'total_max_attempts': 1})
iam, lambda_ = (boto3.client(name, config=config) for name in ('iam', 'lambda'))


def refused(code, status, said, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, status) and said in answer['Error']['Message'], (call, arguments, answer)
        return
    raise AssertionError(f'{call} {arguments} was not refused')


def status(answer):
    return answer['ResponseMetadata']['HTTPStatusCode']


def package(source):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as entries:
        entries.writestr('index.js', source)
    return archive.getvalue()


trust = {'Version': '2012-10-17', 'Statement': [
    {'Effect': 'Allow', 'Principal': {'Service': 'lambda.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]}
role = iam.create_role(RoleName='runs', AssumeRolePolicyDocument=json.dumps(trust))['Role']['Arn']
SOURCE = "exports.handler = async (event) => { console.log('stage ' + process.env.STAGE); return event; };"


def create(name, source=SOURCE):
    return lambda_.create_function(FunctionName=name, Runtime='nodejs20.x', Handler='index.handler', Role=role,
                                   Code={'ZipFile': package(source)})


for name in ('one', 'two', 'three'):
    create(name)
    lambda_.get_waiter('function_active_v2').wait(FunctionName=name)

# Lists, whole and in pages.
pages = list(lambda_.get_paginator('list_functions').paginate(PaginationConfig={'PageSize': 2}))
names = [[function['FunctionName'] for function in page['Functions']] for page in pages]
assert names == [['one', 'three'], ['two']], names

# Configuration, and the revision as a condition.
one = lambda_.get_function_configuration(FunctionName='one')
assert (one['State'], one['Timeout'], one['MemorySize']) == ('Active', 3, 128), one
refused('ResourceNotFoundException', 404, 'function:nothere', lambda_.get_function_configuration, FunctionName='nothere')
refused('PreconditionFailedException', 412, 'Revision Id', lambda_.update_function_configuration, FunctionName='one',
        Timeout=5, RevisionId='old')
updated = lambda_.update_function_configuration(FunctionName='one', Timeout=5, RevisionId=one['RevisionId'],
                                                Environment={'Variables': {'STAGE': 'test'}})
assert (updated['Timeout'], updated['LastUpdateStatus']) == (5, 'InProgress'), updated
lambda_.get_waiter('function_updated_v2').wait(FunctionName='one')
assert lambda_.get_function_configuration(FunctionName='one')['RevisionId'] != one['RevisionId']
refused('ResourceNotFoundException', 404, 'function:nothere', lambda_.update_function_configuration,
        FunctionName='nothere', Timeout=5)

refused('ValidationException', 400, 'less than or equal to 900', lambda_.update_function_configuration,
        FunctionName='one', Timeout=901)

# Permissions.
refused('ResourceNotFoundException', 404, 'does not exist', lambda_.get_policy, FunctionName='one')
lambda_.add_permission(FunctionName='one', StatementId='iot', Action='lambda:InvokeFunction',
                       Principal='iot.amazonaws.com')
policy = lambda_.get_policy(FunctionName='one')
assert [statement['Sid'] for statement in json.loads(policy['Policy'])['Statement']] == ['iot'], policy
refused('PreconditionFailedException', 412, 'Revision Id', lambda_.remove_permission, FunctionName='one',
        StatementId='iot', RevisionId=one['RevisionId'])
refused('ResourceNotFoundException', 404, 'Statement other', lambda_.remove_permission, FunctionName='one',
        StatementId='other')
assert status(lambda_.remove_permission(FunctionName='one', StatementId='iot', RevisionId=policy['RevisionId'])) == 204
refused('ResourceNotFoundException', 404, 'No policy', lambda_.remove_permission, FunctionName='one', StatementId='iot')

# Invocations of every type, the log's tail among them.
event = json.dumps({'n': 1}).encode()
answer = lambda_.invoke(FunctionName='one', Payload=event, LogType='Tail')
assert (status(answer), answer['StatusCode'], answer['ExecutedVersion']) == (200, 200, '$LATEST'), answer
assert json.load(answer['Payload']) == {'n': 1}
log = base64.b64decode(answer['LogResult']).decode()
assert 'START RequestId: ' in log and '\tstage test' in log and 'REPORT RequestId: ' in log, log
assert 'LogResult' not in lambda_.invoke(FunctionName='one', Payload=event)
dry = lambda_.invoke(FunctionName='one', InvocationType='DryRun')
assert (status(dry), dry['StatusCode']) == (204, 204), dry
left = lambda_.invoke(FunctionName='one', InvocationType='Event', Payload=event)
assert (status(left), left['StatusCode'], left['Payload'].read()) == (202, 202, b''), left
create('throws', "exports.handler = async () => { throw new TypeError('no'); };")
failed = lambda_.invoke(FunctionName='throws')
assert (status(failed), failed['FunctionError']) == (200, 'Unhandled'), failed
assert json.load(failed['Payload'])['errorType'] == 'TypeError'
refused('InvalidRequestContentException', 400, 'json', lambda_.invoke, FunctionName='one', Payload=b'{n}')
refused('ResourceNotFoundException', 404, 'function:nothere', lambda_.invoke, FunctionName='nothere')

# Event-invoke configurations.
arn = 'arn:aws:lambda:us-east-1:123456789012:function:'
refused('ResourceNotFoundException', 404, "doesn't have an EventInvokeConfig", lambda_.get_function_event_invoke_config,
        FunctionName='one')
refused('InvalidParameterValueException', 400, 'at least one', lambda_.put_function_event_invoke_config,
        FunctionName='one')
refused('InvalidParameterValueException', 400, "doesn't have permission", lambda_.put_function_event_invoke_config,
        FunctionName='one', DestinationConfig={'OnFailure': {'Destination': arn + 'two'}})
put = lambda_.put_function_event_invoke_config(FunctionName='one', MaximumRetryAttempts=0)
assert put['FunctionArn'] == arn + 'one:$LATEST', put
assert put['DestinationConfig'] == {'OnSuccess': {}, 'OnFailure': {}}, put
updated = lambda_.update_function_event_invoke_config(FunctionName='one', MaximumEventAgeInSeconds=60)
assert (updated['MaximumRetryAttempts'], updated['MaximumEventAgeInSeconds']) == (0, 60), updated
assert lambda_.get_function_event_invoke_config(FunctionName='one')['LastModified'] == updated['LastModified']
listed = lambda_.get_paginator('list_function_event_invoke_configs').paginate(FunctionName='one').build_full_result()
assert len(listed['FunctionEventInvokeConfigs']) == 1, listed
assert status(lambda_.delete_function_event_invoke_config(FunctionName='one')) == 204
refused('ResourceNotFoundException', 404, "doesn't have", lambda_.delete_function_event_invoke_config,
        FunctionName='one')

# The end.
assert status(lambda_.delete_function(FunctionName='one')) == 204
refused('ResourceNotFoundException', 404, 'function:one', lambda_.get_function, FunctionName='one')
refused('ResourceNotFoundException', 404, 'function:one', lambda_.delete_function, FunctionName='one')
refused('InvalidParameterValueException', 400, 'cannot be deleted', lambda_.delete_function, FunctionName='two',
        Qualifier='$LATEST')

print('{}')
