//! The AWS door: routes, signatures, rest-json, query and json-1.1, error codes. It reads a request into the JSON object
//! of its operation's input, calls the verb in `services`, and puts the outcome in the protocol's words.
//! Knows nothing of the store and no rule of the business.

mod catalog;
mod dispatch;
mod errors;
mod form;
mod generated;
mod json;
mod json_1_1;
mod limits;
mod message;
mod model;
mod query;
mod rest_json;
mod route;
mod validation;
mod xml;
