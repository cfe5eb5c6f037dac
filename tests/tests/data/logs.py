# CloudWatch Logs as boto3 uses it: groups, streams, batches, reads in pages, patterns, retention, and what is refused. It
# asserts by itself and prints `{}` at the end.
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

logs = boto3.client('logs', config=Config(parameter_validation=False, retries={'total_max_attempts': 1}))
GROUP, STREAM = '/factory/line-1', 'press/7'


def refused(code, said, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, 400) and said in answer['Error']['Message'], (call, arguments, answer)
        return
    raise AssertionError(f'{call} {arguments} was not refused')


missing = 'ResourceNotFoundException'
refused(missing, 'log group', logs.create_log_stream, logGroupName=GROUP, logStreamName=STREAM)
refused(missing, 'log group', logs.delete_log_group, logGroupName=GROUP)
refused(missing, 'log group', logs.put_retention_policy, logGroupName=GROUP, retentionInDays=7)
refused('InvalidParameterException', 'logGroupName', logs.create_log_group, logGroupName='a b')
logs.create_log_group(logGroupName=GROUP)
refused('ResourceAlreadyExistsException', 'already exists', logs.create_log_group, logGroupName=GROUP)
for name in (STREAM, 'oven'):
    logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
refused('ResourceAlreadyExistsException', 'already exists', logs.create_log_stream, logGroupName=GROUP,
        logStreamName=STREAM)
names = [stream['logStreamName'] for page in logs.get_paginator('describe_log_streams').paginate(
    logGroupName=GROUP, PaginationConfig={'PageSize': 1}) for stream in page['logStreams']]
assert names == ['oven', STREAM], names

now = int(time.time() * 1000)
place = {'logGroupName': GROUP, 'logStreamName': STREAM}


def event(at, message):
    return {'timestamp': at, 'message': message}


refused(missing, 'log stream', logs.put_log_events, logGroupName=GROUP, logStreamName='none',
        logEvents=[event(now, 'x')])
refused('InvalidParameterException', 'chronological order', logs.put_log_events, **place,
        logEvents=[event(now, 'b'), event(now - 1, 'a')])
refused('InvalidParameterException', '24 hours', logs.put_log_events, **place,
        logEvents=[event(now - 25 * 3600 * 1000, 'a'), event(now, 'b')])
refused('InvalidParameterException', 'Upload too large', logs.put_log_events, **place,
        logEvents=[event(now, 'x' * 1_048_570)])
refused('InvalidParameterException', 'logEvents', logs.put_log_events, **place, logEvents=[])
lines = [event(now + n, f'{{"n": {n}, "level": "{"ERROR" if n % 2 else "INFO"}"}}') for n in range(5)]
answer = logs.put_log_events(**place, logEvents=lines, sequenceToken='ignored')
assert answer['nextSequenceToken'] and 'rejectedLogEventsInfo' not in answer, answer
# As many as a batch takes, in quotes that JSON has to escape.
logs.put_log_events(logGroupName=GROUP, logStreamName='oven', logEvents=[event(now, '"' * 70)] * 10_000)
answer = logs.put_log_events(**place, logEvents=[event(now - 15 * 24 * 3600 * 1000, 'old')])
assert answer['rejectedLogEventsInfo'] == {'tooOldLogEventEndIndex': 1}, answer
answer = logs.put_log_events(**place, logEvents=[event(now + 3 * 3600 * 1000, 'new')])
assert answer['rejectedLogEventsInfo'] == {'tooNewLogEventStartIndex': 0}, answer

# Reads.
read = logs.get_log_events(**place, startFromHead=True, limit=3)
assert [found['message'] for found in read['events']] == [line['message'] for line in lines[:3]], read
read = logs.get_log_events(**place, startFromHead=True, limit=3, nextToken=read['nextForwardToken'])
assert len(read['events']) == 2, read
again = logs.get_log_events(**place, nextToken=read['nextForwardToken'])
assert (again['events'], again['nextForwardToken']) == ([], read['nextForwardToken']), again
filtered = logs.get_paginator('filter_log_events')
for pattern, expected in [('{ $.level = "ERROR" }', [1, 3]), ('{ $.n >= 3 || $.n = 0 }', [0, 3, 4]),
                          ('"ERROR"', [1, 3]), ('level -ERROR', [0, 2, 4])]:
    pages = filtered.paginate(logGroupName=GROUP, logStreamNames=[STREAM], filterPattern=pattern,
                              PaginationConfig={'PageSize': 1})
    found = [found['timestamp'] - now for page in pages for found in page['events']]
    assert found == expected, (pattern, found)
refused('InvalidParameterException', 'not served', logs.filter_log_events, logGroupName=GROUP, filterPattern='[a, b]')
group = logs.describe_log_groups(logGroupNamePrefix=GROUP)['logGroups'][0]
assert group['storedBytes'] > 10_000 * (70 + 26), group

# Retention.
refused('InvalidParameterException', 'retentionInDays', logs.put_retention_policy, logGroupName=GROUP, retentionInDays=2)
logs.put_log_events(**place, logEvents=[event(now - 2 * 24 * 3600 * 1000, 'two days ago')])
logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
assert logs.describe_log_groups(logGroupNamePrefix=GROUP)['logGroups'][0]['retentionInDays'] == 1
assert not logs.filter_log_events(logGroupName=GROUP, filterPattern='"two days"')['events']

logs.delete_log_group(logGroupName=GROUP)
refused(missing, 'log group', logs.filter_log_events, logGroupName=GROUP)
assert not logs.describe_log_groups(logGroupNamePrefix=GROUP)['logGroups']

print('{}')
