//! Mutating admission webhooks: programs that change new objects before they are stored.
//!
//! They are called for objects that are created with POST, by the URL of their configuration. A configuration that needs
//! another operation or a Service is refused. An object that server-side apply creates is not reviewed.

mod call;
mod condition;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::Api;
use crate::body;
use crate::request::{Place, Request, Target};
use crate::resource::GroupResource;
use crate::selector::LabelSelector;
use crate::status::{Cause, Failure};

/// The group of the configurations.
pub(crate) const GROUP: &str = "admissionregistration.k8s.io";
const PLURAL: &str = "mutatingwebhookconfigurations";

/// Checks a configuration for what is not implemented.
pub(crate) fn check(configuration: &Value, causes: &mut Vec<Cause>) {
    for (index, webhook) in list(&configuration["webhooks"]).enumerate() {
        let at = format!("webhooks[{index}]");
        if !webhook["clientConfig"]["service"].is_null() {
            let why = "this server calls webhooks by their url only";
            causes.push(Cause::forbidden(format!("{at}.clientConfig.service"), why));
        }
        let operations = list(&webhook["rules"]).flat_map(|rule| list(&rule["operations"]));
        for operation in operations.filter(|operation| *operation != "CREATE") {
            let known = [json!("CREATE")];
            let field = format!("{at}.rules.operations");
            causes.push(Cause::unsupported(field, operation, &known));
        }
    }
}

/// Passes a request on, with the changes of the webhooks if it creates an object.
pub(crate) async fn review(api: &Api, mut request: Request) -> Result<Request, Failure> {
    let Target::Resource(place) = Target::parse(&request.path) else {
        return Ok(request);
    };
    let creates = request.method == "POST" && place.name.is_none() && !*api.outage.borrow();
    if !creates {
        return Ok(request);
    }
    let (webhooks, namespace) = matching(api, &place);
    if webhooks.is_empty() {
        return Ok(request);
    }
    let mut object = body::object(&request.content_type, &request.body)?;
    for webhook in webhooks {
        let selects = |selector: &str, object: &Value| {
            LabelSelector::of_object(&webhook[selector]).matches(object)
        };
        if selects("namespaceSelector", &namespace) && selects("objectSelector", &object) {
            mutate(&webhook, &place, &request, &mut object).await?;
        }
    }
    request.body = object.to_string().into_bytes();
    "application/json".clone_into(&mut request.content_type);
    Ok(request)
}

/// Returns the webhooks whose rules match a resource, and the namespace of the object.
fn matching(api: &Api, place: &Place) -> (Vec<Value>, Value) {
    api.store.with(|state| {
        let configurations = GroupResource::new(GROUP, PLURAL);
        let webhooks = state
            .list(&configurations, None)
            .flat_map(|(_, configuration)| list(&configuration["webhooks"]))
            .filter(|webhook| list(&webhook["rules"]).any(|rule| covers(rule, place)))
            .cloned()
            .collect();
        let key = crate::store::Key {
            resource: GroupResource::new("", "namespaces"),
            namespace: String::new(),
            name: place.namespace.clone().unwrap_or_default(),
        };
        let namespace = state.get(&key).map(|found| (**found).clone());
        (webhooks, namespace.unwrap_or_default())
    })
}

fn covers(rule: &Value, place: &Place) -> bool {
    let has =
        |field: &str, wanted: &str| list(&rule[field]).any(|value| value == "*" || value == wanted);
    let in_scope = match rule["scope"].as_str() {
        Some("Cluster") => place.namespace.is_none(),
        Some("Namespaced") => place.namespace.is_some(),
        _ => true,
    };
    in_scope
        && has("apiGroups", &place.group)
        && has("apiVersions", &place.version)
        && has("resources", &place.resource)
}

/// Lets one webhook change an object.
async fn mutate(
    webhook: &Value,
    place: &Place,
    request: &Request,
    object: &mut Value,
) -> Result<(), Failure> {
    let name = webhook["name"].as_str().unwrap_or_default();
    let is_ignored = webhook["failurePolicy"] == "Ignore";
    let question = question(place, request, object);
    let answered = match condition::hold(webhook, &question["request"]) {
        Ok(false) => return Ok(()),
        Ok(true) => call::ask(webhook, &question).await,
        Err(why) => Err(why),
    };
    let response = match answered.and_then(|answer| checked(answer, &question)) {
        Ok(response) => response,
        Err(error) if is_ignored => {
            tracing::warn!(
                webhook = name,
                error,
                "a webhook failed, and its policy ignores that"
            );
            return Ok(());
        }
        Err(error) => {
            let message =
                format!("Internal error occurred: failed calling webhook {name:?}: {error}");
            return Err(Failure::new(500, "InternalError", message));
        }
    };
    if response["allowed"] != true {
        return Err(denied(name, &response["status"]));
    }
    call::apply(&response, object).map_err(|why| {
        let message = format!("Internal error occurred: webhook {name:?}: {why}");
        Failure::new(500, "InternalError", message)
    })
}

fn question(place: &Place, request: &Request, object: &Value) -> Value {
    let kind = json!({
        "group": place.group,
        "version": place.version,
        "kind": object["kind"],
    });
    let resource = json!({
        "group": place.group,
        "version": place.version,
        "resource": place.resource,
    });
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": Uuid::new_v4().to_string(),
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": object["metadata"]["name"].as_str().unwrap_or_default(),
            "namespace": place.namespace,
            "operation": "CREATE",
            "userInfo": {},
            "object": object,
            "oldObject": null,
            "dryRun": request.query.get("dryRun").is_some(),
            "options": { "apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions" },
        },
    })
}

/// Returns the response of an answer to a question.
fn checked(mut answer: Value, question: &Value) -> Result<Value, String> {
    if answer["apiVersion"] != question["apiVersion"] || answer["kind"] != question["kind"] {
        return Err("the answer is not an AdmissionReview of admission.k8s.io/v1".to_owned());
    }
    if answer["response"]["uid"] != question["request"]["uid"] {
        return Err("the answer has another uid than the request".to_owned());
    }
    Ok(answer["response"].take())
}

/// Returns the refusal of a webhook.
fn denied(webhook: &str, status: &Value) -> Failure {
    let message = status["message"].as_str().unwrap_or("without explanation");
    let code = status["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code)).unwrap_or(403);
    let reason = if code == 403 { "Forbidden" } else { "" };
    let message = format!("admission webhook {webhook:?} denied the request: {message}");
    Failure::new(code, reason, message)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
