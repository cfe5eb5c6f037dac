// The walkthrough's function in the style of the AWS SDK v3, as a CommonJS module: one aggregated client, its methods and
// a paginator.
const { IoT, CertificateStatus, paginateListAttachedPolicies } = require('@aws-sdk/client-iot');

const iot = new IoT({ region: process.env.AWS_REGION });

exports.handler = async (event) => {
    const prefix = `arn:aws:iot:${process.env.AWS_REGION}:${event.awsAccountId}:`;
    const target = `${prefix}cert/${event.certificateId}`;
    const policyName = `Policy_${event.certificateId}`;
    const { certificateDescription } = await iot.describeCertificate({ certificateId: event.certificateId });
    if (certificateDescription.status !== CertificateStatus.PENDING_ACTIVATION) return;
    if (!(certificateDescription.creationDate instanceof Date)) throw new TypeError('creationDate is no date');
    const Statement = [
        { Effect: 'Allow', Action: 'iot:Connect', Resource: `${prefix}client/*` },
        { Effect: 'Allow', Action: ['iot:Publish', 'iot:Receive'], Resource: `${prefix}topic/JITR/*` },
        { Effect: 'Allow', Action: 'iot:Subscribe', Resource: `${prefix}topicfilter/JITR/*` }
    ];
    await iot.createPolicy({ policyName, policyDocument: JSON.stringify({ Version: '2012-10-17', Statement }) });
    await iot.attachPolicy({ policyName, target });
    const attached = [];
    for await (const page of paginateListAttachedPolicies({ client: iot }, { target })) {
        attached.push(...page.policies.map((policy) => policy.policyName));
    }
    if (attached.join() !== policyName) throw new RangeError(`attached are ${attached}`);
    await iot.updateCertificate({ certificateId: event.certificateId, newStatus: CertificateStatus.ACTIVE });
    console.log(`activated ${target}`);
};
