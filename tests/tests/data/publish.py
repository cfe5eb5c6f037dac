# iot-data Publish as boto3 uses it, under both names that its requests are signed for. It asserts by itself and prints `{}`.
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(parameter_validation=False, retries={'total_max_attempts': 1})


def client(signing_name):
    made = boto3.client('iot-data', config=config)
    # Newer SDKs sign for iotdevicegateway.
    made._request_signer._signing_name = signing_name
    return made


def refused(code, status, **arguments):
    try:
        iot_data.publish(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, status) and answer['Error']['Message'], (arguments, answer)
        return
    raise AssertionError(f'{arguments} was not refused')


for name in ['iotdata', 'iotdevicegateway']:
    answer = client(name).publish(topic='JITR/from/boto3', qos=1, payload=json.dumps({'signed': name}))
    assert answer['ResponseMetadata']['HTTPStatusCode'] == 200, answer
iot_data = client('iotdata')
iot_data.publish(topic='JITR/from/boto3', qos=1, payload='properties', contentType='text/plain', responseTopic='a/b',
                 messageExpiry=60, payloadFormatIndicator='UTF8_DATA', correlationData='Yw==',
                 userProperties=[{'name': 'value'}, {'name': 'other'}])
iot_data.publish(topic='JITR/from/boto3', qos=0, payload=b'\xff\x00')
refused('InvalidRequestException', 400, topic='a/+', payload='x')
refused('InvalidRequestException', 400, topic='a', payload='x', qos=2)
refused('InvalidRequestException', 400, topic='1/2/3/4/5/6/7/8/9', payload='x')
refused('InvalidRequestException', 400, topic='a', payload='x', userProperties='{}')
refused('ForbiddenException', 403, topic='$aws/events/presence/connected/x', payload='x')
refused('RequestEntityTooLargeException', 413, topic='a', payload='x' * (128 * 1024 + 1))
iot_data.publish(topic='JITR/from/boto3', qos=1, payload='x' * (128 * 1024))
print('{}')
