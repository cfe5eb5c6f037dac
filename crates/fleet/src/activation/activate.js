// Activates a certificate that just-in-time registration left as PENDING_ACTIVATION: a policy of its own, attached,
// then the status. Written for the AWS SDK v2, as such functions have been since 2016.
var AWS = require('aws-sdk');

exports.handler = function (event, context, callback) {
    var iot = new AWS.Iot({ region: process.env.AWS_REGION, apiVersion: '2015-05-28' });
    var arn = function (kind, name) {
        return ['arn', process.env.PARTITION, 'iot', process.env.AWS_REGION, event.awsAccountId, kind + '/' + name].join(':');
    };
    var policyName = 'Policy_' + event.certificateId;
    var policy = {
        Version: '2012-10-17',
        Statement: [
            { Effect: 'Allow', Action: 'iot:Connect', Resource: arn('client', '*') },
            { Effect: 'Allow', Action: ['iot:Publish', 'iot:Receive'], Resource: arn('topic', 'JITR/*') },
            { Effect: 'Allow', Action: 'iot:Subscribe', Resource: arn('topicfilter', 'JITR/*') }
        ]
    };
    console.log('activating ' + event.certificateId);
    iot.createPolicy({ policyName: policyName, policyDocument: JSON.stringify(policy) }, function (err) {
        // The event comes at least once: the policy may be there from an earlier delivery.
        if (err && err.code !== 'ResourceAlreadyExistsException') {
            return callback(err);
        }
        iot.attachPrincipalPolicy({ policyName: policyName, principal: arn('cert', event.certificateId) }, function (err) {
            if (err) {
                return callback(err);
            }
            iot.updateCertificate({ certificateId: event.certificateId, newStatus: 'ACTIVE' }, function (err) {
                if (err) {
                    return callback(err);
                }
                console.log('certificate ' + event.certificateId + ' is ACTIVE');
                callback(null, 'activated');
            });
        });
    });
};
