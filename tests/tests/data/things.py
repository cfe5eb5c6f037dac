# The registry of things through boto3, and policies that ask for it: prints what was answered as one JSON object.
import json

import boto3
from botocore.exceptions import ClientError

iot = boto3.client('iot')
told = {}


def code(call, **arguments):
    try:
        call(**arguments)
        return 'done'
    except ClientError as error:
        said = error.response['Error']
        return [said['Code'], error.response['ResponseMetadata']['HTTPStatusCode']]


made = iot.create_thing(thingName='pump', attributePayload={'attributes': {'hall': '7'}})
told['again'] = iot.create_thing(thingName='pump', attributePayload={'attributes': {'hall': '7'}})['thingId'] == made['thingId']
told['differs'] = code(iot.create_thing, thingName='pump', attributePayload={'attributes': {'hall': '8'}})
iot.update_thing(thingName='pump', attributePayload={'attributes': {'floor': '2'}, 'merge': True})
described = iot.describe_thing(thingName='pump')
told['described'] = [described['attributes'], described['version'], described['defaultClientId']]
told['version'] = code(iot.update_thing, thingName='pump', expectedVersion=9)
told['missing'] = code(iot.describe_thing, thingName='none')
for number in range(5):
    iot.create_thing(thingName=f'n{number}', attributePayload={'attributes': {'odd': str(number % 2)}})
pages = iot.get_paginator('list_things').paginate(attributeName='odd', attributeValue='1', PaginationConfig={'PageSize': 1})
told['listed'] = [thing['thingName'] for page in pages for thing in page['things']]
told['all'] = len(iot.list_things()['things'])

certificate = iot.register_certificate_without_ca(certificatePem=PEM, status='ACTIVE')
arn = certificate['certificateArn']
iot.attach_thing_principal(thingName='pump', principal=arn)
told['principals'] = iot.list_thing_principals(thingName='pump')['principals'] == [arn]
told['principals, v2'] = iot.list_thing_principals_v2(thingName='pump')['thingPrincipalObjects'][0]['thingPrincipalType']
told['things'] = iot.list_principal_things(principal=arn)['things']
told['things, v2'] = iot.list_principal_things_v2(principal=arn)['principalThingObjects']
told['attached'] = code(iot.delete_thing, thingName='pump')
iot.detach_thing_principal(thingName='pump', principal=arn)
told['detached'] = code(iot.delete_thing, thingName='pump')
print(json.dumps(told))
