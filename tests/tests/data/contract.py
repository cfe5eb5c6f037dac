# For every operation in models/: each member left out, of the wrong type, too long, too short, out of its range, outside
# its enumeration or against its pattern, sent by botocore without checks of its own. Prints one JSON object: how many
# requests of each kind were sent for an operation, and which were not refused as AWS refuses them; and which operations did
# not refuse a role without rights.
# MODELS is the folder of the models; the test puts it in front.
import json
import re
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# No other mistake of a request hides the one that is meant, so a value must satisfy everything else in the model.
CANDIDATES = [
    'a', 'aa', 'a1', '1', '/', '/a/', 'a' * 12, '1' * 6, '1' * 12, 'a' * 16, 'a' * 20, 'a' * 64, 'o-' + 'a' * 12, 'v1', '\n',
    '$LATEST', 'lambda:InvokeFunction', '/mnt/a', 'us-east-1', 'https://a', 'a.b',
    'arn:aws:iam::123456789012:role/r', 'arn:aws:iot:us-east-1:123456789012:cert/' + 'a' * 64,
    'arn:aws:lambda:us-east-1:123456789012:function:f', 'arn:aws:lambda:us-east-1:123456789012:layer:l:1',
    'arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-' + 'a' * 17,
    'arn:aws:lambda:us-east-1:123456789012:capacity-provider:c',
    'arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-' + 'a' * 17,
    'arn:aws:lambda:us-east-1::runtime:' + 'a' * 20,
    'https://ingestion-a.a.sfdcnow.com/streams/a/a/event',
]
# What patterns forbid: tried in this order.
OFFENDERS = ['a b', '!', 'a!', '*', ':', 'a:b', '\u20ac', '\u0001', '{', '']
DEPTH_MAX = 7
INVALID = {
    'iot': 'InvalidRequestException', 'iot-data': 'InvalidRequestException', 'lambda': 'ValidationException',
    'logs': 'InvalidParameterException', 'iam': 'ValidationError', 'sts': 'ValidationError',
}
WRONG_TYPES = {
    'string': [{'a': 1}], 'integer': ['x', 1.5, 2 ** 40], 'long': ['x', 1.5], 'double': ['x'], 'float': ['x'],
    'boolean': ['x', 1], 'list': ['x', {'a': 1}], 'map': ['x', [1]], 'structure': ['x', [1]], 'blob': [5],
    'timestamp': ['x'],
}


def compiled(pattern):
    # Java's classes of Unicode properties, near enough for the values that are tried here.
    pattern = pattern.replace('\\p{L}', 'a-zA-Z').replace('\\p{Z}', ' ').replace('\\p{N}', '0-9')
    return re.compile(pattern)


class Model:
    def __init__(self, service):
        text = json.loads((Path(MODELS) / f'{service}.json').read_text())
        self.service, self.shapes = service, text['shapes']
        # A line of operations.txt is a service, an operation, and `pending` where its verb is still to come.
        lines = [line.split() for line in (Path(MODELS) / 'operations.txt').read_text().splitlines()]
        served = {line[1] for line in lines if len(line) == 2 and line[0] == service}
        self.operations = {name: one for name, one in text['operations'].items() if name in served}
        self.protocol = text['metadata']['protocol']

    def fits(self, shape, value):
        length_fits = shape.get('min', 0) <= len(value) <= shape.get('max', sys.maxsize)
        return length_fits and ('pattern' not in shape or compiled(shape['pattern']).fullmatch(value) is not None)

    def value(self, name):
        """The smallest that satisfies the shape."""
        shape = self.shapes[name]
        kind = shape['type']
        if kind == 'structure':
            return {member: self.value(shape['members'][member]['shape']) for member in shape.get('required', [])}
        if kind == 'list':
            return [self.value(shape['member']['shape'])] * shape.get('min', 0)
        if kind == 'map':
            return {}
        if kind == 'string':
            if 'enum' in shape:
                return shape['enum'][0]
            fitting = [value for value in CANDIDATES if self.fits(shape, value)]
            if not fitting:
                fitting = [value for value in ['a' * shape.get('min', 1)] if self.fits(shape, value)]
            assert fitting, f'{name}: no value fits {shape}; add one to CANDIDATES'
            return fitting[0]
        numbers = {'integer': int, 'long': int, 'double': float, 'float': float}
        if kind in numbers:
            return numbers[kind](shape.get('min', 1))
        return {'boolean': True, 'blob': b'a', 'timestamp': 0}[kind]

    def places(self, name, path=()):
        """Every member below a shape: its path, its reference, whether it is required."""
        shape = self.shapes[name]
        if len(path) >= DEPTH_MAX:
            return
        if shape['type'] == 'structure':
            for member, reference in shape.get('members', {}).items():
                here = path + (member,)
                yield here, reference, member in shape.get('required', [])
                yield from self.places(reference['shape'], here)
        elif shape['type'] == 'list':
            here = path + (0,)
            yield here, shape['member'], False
            yield from self.places(shape['member']['shape'], here)
        elif shape['type'] == 'map':
            here = path + (self.value(shape['key']['shape']),)
            yield here, shape['value'], False
            yield from self.places(shape['value']['shape'], here)

    def tree(self, root, path):
        """The smallest input that has a value at `path`, and the container of that value."""
        tree = node = self.value(root)
        name = root
        for at, step in enumerate(path):
            shape = self.shapes[name]
            reference = {'structure': lambda: shape['members'][step], 'list': lambda: shape['member'],
                         'map': lambda: shape['value']}[shape['type']]()
            name = reference['shape']
            if isinstance(node, list) and not node:
                node.append(self.value(name))
            elif isinstance(node, dict):
                node.setdefault(step, self.value(name))
            if at + 1 < len(path):
                node = node[step]
        return tree, node

    def mistakes(self, name):
        """Values against the shape, each with the kind of mistake and the words of the refusal."""
        shape = self.shapes[name]
        kind = shape['type']
        if kind == 'string' and 'enum' in shape:
            yield 'enumeration', 'NoSuchValue', 'must satisfy enum value set'
        elif kind == 'string':
            if 'max' in shape:
                yield 'too long', self.longer(shape), f"must have length less than or equal to {shape['max']}"
            if shape.get('min', 0) > 0:
                yield 'too short', 'a' * (shape['min'] - 1), f"must have length greater than or equal to {shape['min']}"
            if 'pattern' in shape:
                bounds = {key: value for key, value in shape.items() if key in ('min', 'max')}
                stretched = OFFENDERS + [text * 70 for text in OFFENDERS] + [' ' * shape.get('min', 1)]
                against = [text for text in stretched if self.fits(bounds, text) and not self.fits(shape, text)]
                if against:
                    yield 'pattern', against[0], 'must satisfy regular expression pattern'
        elif kind in ('integer', 'long', 'double', 'float'):
            if 'max' in shape and shape['max'] < 2 ** 31 - 1:
                yield 'too large', shape['max'] + 1, f"must have value less than or equal to {int(shape['max'])}"
            if 'min' in shape and shape['min'] > -2 ** 31:
                yield 'too small', shape['min'] - 1, f"must have value greater than or equal to {int(shape['min'])}"
        elif kind == 'list':
            element = self.value(shape['member']['shape'])
            if 'max' in shape:
                yield 'too long', [element] * (shape['max'] + 1), f"must have length less than or equal to {shape['max']}"
            if shape.get('min', 0) > 0:
                yield 'too short', [element] * (shape['min'] - 1), f"must have length greater than or equal to {shape['min']}"

    def longer(self, shape):
        """Too long, and if it can be, otherwise fine."""
        for text in ['a', '1', '/', '/' + 'a' * shape['max'] + '/', 'arn:aws:iam::123456789012:role/a']:
            text = (text + 'a' * shape['max'])[:shape['max'] + 1] if len(text) > 1 else text * (shape['max'] + 1)
            if self.fits({**shape, 'max': sys.maxsize}, text):
                return text
        return 'a' * (shape['max'] + 1)


def set_on_wire(model, operation, path):
    """Where a member lies in the body as sent, or None if it lies elsewhere."""
    name, keys = model.operations[operation]['input']['shape'], []
    root = model.shapes[name]
    for at, step in enumerate(path):
        shape = model.shapes[name]
        if shape['type'] == 'structure':
            reference = shape['members'][step]
            if at == 0 and reference.get('location') in ('uri', 'querystring', 'header', 'headers'):
                return None
            if not (at == 0 and root.get('payload') == step):
                keys.append(reference.get('locationName', step))
            elif model.shapes[reference['shape']]['type'] == 'blob':
                return None
        else:
            reference = shape['member'] if shape['type'] == 'list' else shape['value']
            keys.append(step)
        name = reference['shape']
    return keys


class Session:
    def __init__(self, model, **credentials):
        config = Config(parameter_validation=False, retries={'max_attempts': 0})
        self.model, self.client, self.edit = model, boto3.client(model.service, config=config, **credentials), None
        self.client.meta.events.register('before-call', self.before_call)
        self.sent, self.wrong = {}, []

    def before_call(self, params, **_):
        if self.edit:
            self.edit(params)

    def call(self, operation, arguments):
        """Code, status and message of a refusal; an empty code for success."""
        try:
            self.client._make_api_call(operation, arguments)
            return '', 200, ''
        except ClientError as error:
            said = error.response['Error']
            return said['Code'], error.response['ResponseMetadata']['HTTPStatusCode'], said['Message']

    def expect(self, operation, kind, path, arguments, code, words, edit=None):
        self.edit = edit
        try:
            answer = self.call(operation, arguments)
        finally:
            self.edit = None
        of_operation = self.sent.setdefault(operation, {})
        of_operation[kind] = of_operation.get(kind, 0) + 1
        names = [step for step in path if isinstance(step, str)]
        named = names[-1][0].lower() + names[-1][1:] if names else ''
        if answer[0] != code or answer[1] != 400 or words not in answer[2] or named not in answer[2]:
            shown = '.'.join(map(str, path))
            self.wrong.append(f'{self.model.service} {operation}, {kind}: {shown}: wanted {code} 400 "{words}", '
                              f'got {answer[0]} {answer[1]} "{answer[2][:300]}"')

    def members(self, operation):
        model, root = self.model, self.model.operations[operation].get('input', {}).get('shape')
        if root is None:
            return
        for path, reference, required in model.places(root):
            location = reference.get('location') if len(path) == 1 else None
            self.constraints(operation, root, path, reference['shape'], required, location)
            self.types(operation, root, path, reference['shape'], location)

    def constraints(self, operation, root, path, name, required, location):
        model, code = self.model, INVALID[self.model.service]
        if required and location != 'uri':
            tree, node = model.tree(root, path)
            del node[path[-1]]
            # The query protocol cannot tell a structure without members from none at all.
            if tree_is_sent(model, tree, path):
                self.expect(operation, 'missing', path, tree, code, 'must not be null')
        for kind, value, words in model.mistakes(name):
            # An empty label is another route, an empty header or query parameter is none at all.
            if value in ('', []) and (location or model.protocol == 'query'):
                continue
            # A form says nothing of elements without members.
            if model.protocol == 'query' and isinstance(value, list) and {} in value:
                continue
            if location == 'header' and not all(' ' <= letter <= '~' for letter in str(value)):
                continue
            tree, node = model.tree(root, path)
            node[path[-1]] = value
            self.expect(operation, kind, path, tree, code, words)

    def types(self, operation, root, path, name, location):
        model = self.model
        kind = model.shapes[name]['type']
        tree, node = model.tree(root, path)
        if model.protocol == 'query':
            # Of a boolean botocore makes one of the two words.
            if kind in ('integer', 'long'):
                node[path[-1]] = 'x'
                self.expect(operation, 'wrong type', (), tree, 'MalformedInput', '')
            return
        if location == 'querystring' and kind in ('integer', 'long', 'boolean'):
            node[path[-1]] = 'x'
            self.expect(operation, 'wrong type', (), tree, 'SerializationException', '')
            return
        keys = set_on_wire(model, operation, path)
        if not keys:
            return
        for value in WRONG_TYPES[kind]:
            def edit(params, value=value):
                body = node_on_wire = json.loads(params['body'])
                for key in keys[:-1]:
                    node_on_wire = node_on_wire[key]
                node_on_wire[keys[-1]] = value
                params['body'] = json.dumps(body).encode()
            self.expect(operation, 'wrong type', (), tree, 'SerializationException', '', edit)


def tree_is_sent(model, tree, path):
    if model.protocol != 'query':
        return True
    node = tree
    for step in path[:-1]:
        node = node[step]
    return len(path) == 1 or bool(node)


def role_without_rights():
    account = boto3.client('sts').get_caller_identity()['Account']
    trust = {'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow', 'Principal': {'AWS': f'arn:aws:iam::{account}:root'}, 'Action': 'sts:AssumeRole'}]}
    role = boto3.client('iam').create_role(RoleName='without-rights', AssumeRolePolicyDocument=json.dumps(trust))
    keys = boto3.client('sts').assume_role(RoleArn=role['Role']['Arn'], RoleSessionName='nobody')['Credentials']
    return {'aws_access_key_id': keys['AccessKeyId'], 'aws_secret_access_key': keys['SecretAccessKey'],
            'aws_session_token': keys['SessionToken']}


# Who one is, may be asked by everybody. (GetCallerIdentity: no permissions are required)
UNRESTRICTED = {'GetCallerIdentity'}
# Service: the code and status of a refusal.
DENIED = {
    'iot': ('AccessDeniedException', 403), 'iot-data': ('ForbiddenException', 403),
    'lambda': ('AccessDeniedException', 403), 'logs': ('AccessDeniedException', 400),
    'iam': ('AccessDenied', 403), 'sts': ('AccessDenied', 403),
}


def not_denied(service, credentials):
    session = Session(Model(service), **credentials)
    for operation, definition in session.model.operations.items():
        root = definition.get('input', {}).get('shape')
        arguments = session.model.value(root) if root else {}
        if 'logGroupName' in session.model.shapes.get(root, {}).get('members', {}):
            # The model requires neither name nor ARN of the group; the service requires one, to know the resource.
            arguments['logGroupName'] = 'a'
        answer = session.call(operation, arguments)
        if operation not in UNRESTRICTED and answer[:2] != DENIED[service]:
            yield f'{service} {operation}: {answer}'


outcome = {'sent': {}, 'wrong': [], 'allowed': []}
credentials = role_without_rights()
for service in INVALID:
    session = Session(Model(service))
    for operation in session.model.operations:
        session.members(operation)
    outcome['sent'][service] = session.sent
    outcome['wrong'] += session.wrong
    outcome['allowed'] += not_denied(service, credentials)
print(json.dumps(outcome))
