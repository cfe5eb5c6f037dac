//! `crates/api/src/generated/dispatch.rs`: from an operation's name to the verb.

use super::model::Model;
use super::names::{pascal, snake};

pub fn render(models: &[Model]) -> Result<String, String> {
    let served: Vec<&Model> =
        models.iter().filter(|model| model.operations.keys().any(|name| !model.pending.contains(name))).collect();
    let mut arms = String::new();
    let mut functions = String::new();
    for model in &served {
        let service = &model.service;
        let function = snake(service);
        arms.push_str(&format!("{service:?} => {function}(&services.{function}(), op, operation, input).await,\n"));
        functions.push_str(&format!(
            "async fn {function}(verbs: &{}, op: &Op, operation: &'static str, input: Value) \
             -> Result<Value, Error> {{\nmatch operation {{\n",
            pascal(&function)
        ));
        for (name, definition) in model.operations.iter().filter(|(name, _)| !model.pending.contains(*name)) {
            let verb = snake(name);
            let input = if definition.input.is_some() { ", parsed(input)?" } else { "" };
            functions.push_str(&format!("{name:?} => answered(verbs.{verb}(op{input}).await),\n"));
        }
        functions.push_str(&format!("_ => Err(unserved({service:?}, operation)),\n}}\n}}\n\n"));
    }
    let imports: String = served
        .iter()
        .map(|model| format!("use services::{}::{};\n", snake(&model.service), pascal(&snake(&model.service))))
        .collect();
    Ok(format!(
        "use serde_json::Value;\n{imports}use services::{{Error, Op, Services}};\n\n\
         use crate::dispatch::{{answered, parsed, unserved}};\n\n\
         /// Calls the verb of `operation`, whose input the tables have checked.\n\
         pub async fn dispatch(services: &Services, op: &Op, service: &'static str, operation: &'static str, \
         input: Value) -> Result<Value, Error> {{\nmatch service {{\n{arms}_ => Err(unserved(service, operation)),\n}}\n\
         }}\n\n{functions}"
    ))
}

pub fn render_modules(models: &[Model]) -> String {
    let mut text = String::from("use crate::model::Service;\n\npub mod dispatch;\n");
    for model in models {
        text.push_str(&format!("pub mod {};\n", snake(&model.service)));
    }
    text.push_str("\npub static SERVICES: &[&Service] = &[\n");
    for model in models {
        text.push_str(&format!("&{}::SERVICE,\n", snake(&model.service)));
    }
    text.push_str("];\n");
    text
}
