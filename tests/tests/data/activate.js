// What a device's certificate needs after just-in-time registration: a policy, attached, and the status ACTIVE.
// In the callback style of the AWS SDK v2, as functions of that time are.
var AWS = require('aws-sdk');

exports.handler = function (event, context, callback) {
    console.log('event ' + JSON.stringify(event));
    var region = process.env.AWS_REGION;
    var partition = region.indexOf('cn-') === 0 ? 'aws-cn' : 'aws';
    var prefix = 'arn:' + partition + ':iot:' + region + ':' + event.awsAccountId + ':';
    var certificateArn = prefix + 'cert/' + event.certificateId;
    var policyName = 'Policy_' + event.certificateId;
    var policy = {
        Version: '2012-10-17',
        Statement: [
            { Effect: 'Allow', Action: ['iot:Connect'], Resource: prefix + 'client/*' },
            { Effect: 'Allow', Action: ['iot:Publish', 'iot:Receive'], Resource: prefix + 'topic/JITR/*' },
            { Effect: 'Allow', Action: ['iot:Subscribe'], Resource: prefix + 'topicfilter/JITR/*' }
        ]
    };
    var iot = new AWS.Iot({ region: region, apiVersion: '2015-05-28' });

    iot.createPolicy({ policyName: policyName, policyDocument: JSON.stringify(policy) }, function (error) {
        if (error && error.code !== 'ResourceAlreadyExistsException') {
            console.log(error.code + ': ' + error.message);
            return callback(error);
        }
        iot.attachPrincipalPolicy({ policyName: policyName, principal: certificateArn }, function (error) {
            if (error) {
                console.log(error.code + ': ' + error.message);
                return callback(error);
            }
            iot.updateCertificate({ certificateId: event.certificateId, newStatus: 'ACTIVE' }, function (error) {
                if (error) {
                    console.log(error.code + ': ' + error.message);
                    return callback(error);
                }
                console.log('activated ' + certificateArn);
                callback(null, 'activated ' + event.certificateId);
            });
        });
    });
};
