# CA certificates, device certificates, the registration code and tags, by boto3. `materials` stands before this: PEM texts.
# Asserts what AWS answers; prints one JSON object in the end, what the test goes on with.
import json

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

iot = boto3.client('iot', config=Config(retries={'max_attempts': 0}))
unchecked = boto3.client('iot', config=Config(parameter_validation=False, retries={'max_attempts': 0}))


def refused(call, code, status, words='', /, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said, got = error.response['Error'], error.response['ResponseMetadata']['HTTPStatusCode']
        assert (said['Code'], got) == (code, status) and words in said['Message'], (call.__name__, said, got)
        return error.response
    raise AssertionError((call.__name__, arguments, answer))


def pages(call, key, token, asked, **arguments):
    listed, lengths = [], []
    while True:
        answer = call(**arguments)
        listed += answer[key]
        lengths.append(len(answer[key]))
        if token not in answer:
            return listed, lengths
        arguments[asked] = answer[token]


def status_of(certificate_id):
    return iot.describe_certificate(certificateId=certificate_id)['certificateDescription']['status']


nobody = '0' * 64

# The registration code.
refused(iot.delete_registration_code, 'ResourceNotFoundException', 404)
first = iot.get_registration_code()['registrationCode']
assert iot.get_registration_code()['registrationCode'] == first
iot.delete_registration_code()
refused(iot.delete_registration_code, 'ResourceNotFoundException', 404)
assert iot.get_registration_code()['registrationCode'] != first

# CAs: two of one subject, with tags.
cas = []
for pem in materials['cas']:
    tags = [{'Key': 'line', 'Value': str(len(cas))}]
    answer = iot.register_ca_certificate(
        caCertificate=pem, certificateMode='SNI_ONLY', setAsActive=True, allowAutoRegistration=True, tags=tags)
    assert iot.list_tags_for_resource(resourceArn=answer['certificateArn'])['tags'] == tags
    cas.append(answer)
again = refused(iot.register_ca_certificate, 'ResourceAlreadyExistsException', 409,
                caCertificate=materials['cas'][0], certificateMode='SNI_ONLY')
assert again['resourceId'] == cas[0]['certificateId'] and again['resourceArn'] == cas[0]['certificateArn'], again

# Certificates of a CA.
leaves = materials['leaves']
register = dict(certificatePem=leaves[0], caCertificatePem=materials['cas'][0])
refused(iot.register_certificate, 'InvalidRequestException', 400, 'caCertificatePem', certificatePem=leaves[0])
refused(iot.register_certificate, 'CertificateStateException', 406,
        'No CA certificate exists for the given certificate', certificatePem=materials['stranger'])
refused(iot.register_certificate, 'CertificateStateException', 406,
        'Not allowed to register certificate with PENDING_ACTIVATION status', status='PENDING_ACTIVATION', **register)
refused(iot.register_certificate, 'CertificateValidationException', 400, '', certificatePem='no PEM')
refused(iot.register_certificate, 'CertificateValidationException', 400, 'not signed by',
        certificatePem=leaves[0], caCertificatePem=materials['cas'][1])
registered = [iot.register_certificate(status='ACTIVE', **register)]
registered += [iot.register_certificate(certificatePem=pem, caCertificatePem=materials['cas'][0]) for pem in leaves[1:]]
again = refused(iot.register_certificate, 'ResourceAlreadyExistsException', 409,
                'The certificate is already provisioned or registered', **register)
assert again['resourceId'] == registered[0]['certificateId'], again
ids = [one['certificateId'] for one in registered]
assert [status_of(one) for one in ids] == ['ACTIVE'] + ['INACTIVE'] * (len(ids) - 1)
described = iot.describe_certificate(certificateId=ids[0])['certificateDescription']
assert described['caCertificateId'] == cas[0]['certificateId'] and described['certificateMode'] == 'SNI_ONLY', described

# Two CAs of one subject and one key: nobody can tell which of them signed.
iot.register_ca_certificate(caCertificate=materials['renewed'], certificateMode='SNI_ONLY', setAsActive=True)
refused(iot.register_certificate, 'CertificateConflictException', 409, '', certificatePem=materials['of_renewed'])

listed, lengths = pages(iot.list_certificates_by_ca, 'certificates', 'nextMarker', 'marker',
                        caCertificateId=cas[0]['certificateId'], pageSize=2, ascendingOrder=True)
assert sorted(one['certificateId'] for one in listed) == sorted(ids) and lengths == [2, 2, 1], (listed, lengths)
assert set(listed[0]) == {'certificateArn', 'certificateId', 'status', 'certificateMode', 'creationDate'}, listed[0]
assert [one['creationDate'] for one in listed] == sorted(one['creationDate'] for one in listed)
backwards = iot.list_certificates_by_ca(caCertificateId=cas[0]['certificateId'])['certificates']
assert [one['certificateId'] for one in backwards] == [one['certificateId'] for one in listed][::-1]
assert iot.list_certificates_by_ca(caCertificateId=nobody)['certificates'] == []
refused(iot.list_certificates_by_ca, 'InvalidRequestException', 400, caCertificateId=nobody, marker='AAAA====')

# A certificate of nobody's CA.
alone = iot.register_certificate_without_ca(certificatePem=materials['stranger'], status='ACTIVE')
described = iot.describe_certificate(certificateId=alone['certificateId'])['certificateDescription']
assert described['certificateMode'] == 'SNI_ONLY' and 'caCertificateId' not in described, described
refused(iot.register_certificate_without_ca, 'ResourceAlreadyExistsException', 409, certificatePem=materials['stranger'])
refused(iot.register_certificate_without_ca, 'CertificateValidationException', 400, certificatePem='no PEM')

# Certificates of the server's own making.
made = iot.create_keys_and_certificate(setAsActive=True)
assert set(made) >= {'certificateArn', 'certificateId', 'certificatePem', 'keyPair'}, made.keys()
assert set(made['keyPair']) == {'PublicKey', 'PrivateKey'}
assert made['keyPair']['PrivateKey'].startswith('-----BEGIN RSA PRIVATE KEY-----')
assert status_of(made['certificateId']) == 'ACTIVE'
assert status_of(iot.create_keys_and_certificate()['certificateId']) == 'INACTIVE'
asked = [iot.create_certificate_from_csr(certificateSigningRequest=materials['csr']) for _ in range(2)]
assert asked[0]['certificateId'] != asked[1]['certificateId']
assert 'keyPair' not in asked[0] and status_of(asked[0]['certificateId']) == 'INACTIVE'
refused(iot.create_certificate_from_csr, 'InvalidRequestException', 400, 'signing request',
        certificateSigningRequest='no CSR')
refused(unchecked.create_certificate_from_csr, 'InvalidRequestException', 400, 'certificateSigningRequest',
        certificateSigningRequest='x' * 4097)
by_age, lengths = pages(iot.list_certificates, 'certificates', 'nextMarker', 'marker', pageSize=4)
assert len(by_age) == len(ids) + 5 and lengths == [4, 4, 2], lengths

# Deletion, in the order of AWS's checks.
everything = {'Version': '2012-10-17', 'Statement': [{'Effect': 'Allow', 'Action': 'iot:*', 'Resource': '*'}]}
policy = iot.create_policy(policyName='Everything', policyDocument=json.dumps(everything),
                           tags=[{'Key': 'team', 'Value': 'blue'}, {'Key': 'bare'}])
iot.attach_policy(policyName='Everything', target=registered[0]['certificateArn'])
refused(iot.delete_certificate, 'ResourceNotFoundException', 404, certificateId=nobody)
refused(iot.delete_certificate, 'CertificateStateException', 406, 'must be deactivated (not ACTIVE) before deletion',
        certificateId=ids[0], forceDelete=True)
iot.update_certificate(certificateId=ids[0], newStatus='INACTIVE')
refused(iot.delete_certificate, 'DeleteConflictException', 409,
        'Certificate policies must be detached before deletion (arn: ' + registered[0]['certificateArn'] + ')',
        certificateId=ids[0])
iot.delete_certificate(certificateId=ids[0], forceDelete=True)
refused(iot.describe_certificate, 'ResourceNotFoundException', 404, certificateId=ids[0])
iot.delete_certificate(certificateId=ids[1])
assert len(iot.list_certificates_by_ca(caCertificateId=cas[0]['certificateId'])['certificates']) == len(ids) - 2

refused(iot.delete_ca_certificate, 'CertificateStateException', 406, certificateId=cas[0]['certificateId'])
iot.update_ca_certificate(certificateId=cas[0]['certificateId'], newStatus='INACTIVE')
refused(iot.register_certificate, 'CertificateStateException', 406, 'INACTIVE', **register)
iot.delete_ca_certificate(certificateId=cas[0]['certificateId'])
refused(iot.delete_ca_certificate, 'ResourceNotFoundException', 404, 'Requested CA Certificate does not exist.',
        certificateId=cas[0]['certificateId'])
assert status_of(ids[2]) == 'INACTIVE', 'what the CA signed stays'

# Tags.
arn = policy['policyArn']
assert iot.list_tags_for_resource(resourceArn=arn)['tags'] == [{'Key': 'bare', 'Value': ''}, {'Key': 'team', 'Value': 'blue'}]
iot.tag_resource(resourceArn=arn, tags=[{'Key': 'team', 'Value': 'r\u00e9d'}, {'Key': 'a b', 'Value': '@'}])
iot.untag_resource(resourceArn=arn, tagKeys=['bare', 'never'])
assert iot.list_tags_for_resource(resourceArn=arn)['tags'] == [{'Key': 'a b', 'Value': '@'}, {'Key': 'team', 'Value': 'r\u00e9d'}]
refused(iot.tag_resource, 'InvalidRequestException', 400, 'aws:', resourceArn=arn, tags=[{'Key': 'aws:x', 'Value': ''}])
refused(iot.tag_resource, 'LimitExceededException', 410, '50', resourceArn=arn,
        tags=[{'Key': f'k{n}', 'Value': ''} for n in range(49)])
refused(iot.tag_resource, 'InvalidRequestException', 400, 'key', resourceArn=arn, tags=[{'Key': 'x' * 129}])
for call, more in [(iot.tag_resource, {'tags': []}), (iot.untag_resource, {'tagKeys': []}), (iot.list_tags_for_resource, {})]:
    refused(call, 'ResourceNotFoundException', 404, resourceArn=arn + 'Not', **more)
    refused(call, 'InvalidRequestException', 400, resourceArn='no ARN', **more)
rule = {'sql': "SELECT * FROM 'a'", 'actions': [
    {'lambda': {'functionArn': 'arn:aws:lambda:us-east-1:123456789012:function:f'}}]}
iot.create_topic_rule(ruleName='tagged', topicRulePayload=rule, tags='team=blue&shift=early%20one')
arn = iot.get_topic_rule(ruleName='tagged')['ruleArn']
assert iot.list_tags_for_resource(resourceArn=arn)['tags'] == [
    {'Key': 'shift', 'Value': 'early one'}, {'Key': 'team', 'Value': 'blue'}]
refused(iot.create_topic_rule, 'InvalidRequestException', 400, 'aws:', ruleName='x', topicRulePayload=rule, tags='aws:a=b')

print(json.dumps({'certificate': made['certificatePem'], 'key': made['keyPair']['PrivateKey'],
                  'arn': made['certificateArn'], 'issued': asked[0]['certificatePem']}))
