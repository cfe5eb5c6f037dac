// The walkthrough's function in the style of the AWS SDK v3, as an ES module.
import {
    AttachPolicyCommand, CreatePolicyCommand, IoTClient, ResourceAlreadyExistsException, UpdateCertificateCommand
} from '@aws-sdk/client-iot';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

const iot = new IoTClient({});

export const handler = async (event) => {
    const { Account, Arn } = await new STSClient({}).send(new GetCallerIdentityCommand({}));
    const prefix = `arn:aws:iot:${process.env.AWS_REGION}:${Account}:`;
    const certificateArn = `${prefix}cert/${event.certificateId}`;
    const policyName = `Policy_${event.certificateId}`;
    const policyDocument = JSON.stringify({
        Version: '2012-10-17',
        Statement: [
            { Effect: 'Allow', Action: ['iot:Connect'], Resource: `${prefix}client/*` },
            { Effect: 'Allow', Action: ['iot:Publish', 'iot:Receive'], Resource: `${prefix}topic/JITR/*` },
            { Effect: 'Allow', Action: ['iot:Subscribe'], Resource: `${prefix}topicfilter/JITR/*` }
        ]
    });
    const create = () => iot.send(new CreatePolicyCommand({ policyName, policyDocument }));
    await create();
    try {
        await create();
    } catch (error) {
        if (!(error instanceof ResourceAlreadyExistsException) || error.$metadata.httpStatusCode !== 409) throw error;
    }
    await iot.send(new AttachPolicyCommand({ policyName, target: certificateArn }));
    await iot.send(new UpdateCertificateCommand({ certificateId: event.certificateId, newStatus: 'ACTIVE' }));
    console.log(`activated ${certificateArn} as ${Arn}`);
};
