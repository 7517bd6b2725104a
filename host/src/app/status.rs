//! `stoker status`: shows objects, their gateways and their problems.

mod cause;
mod problems;
mod render;
mod view;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde_json::json;
use stoker_api::GatewaySync;

use super::kubeconfig;
use crate::cli::{ObjectName, OutputFormat, StatusFlags};
use crate::cluster::api_errors::ApiError;
use crate::cluster::written::GuardedSync;
use view::ObjectView;

/// How often a terminal shows the objects again without a change, because ages change.
const REFRESH: Duration = Duration::from_secs(10);
/// Moves the cursor of a terminal to the start, and removes what is below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";
/// The number of objects in one answer of the API server.
const PAGE: u32 = 500;

pub(super) async fn run(flags: StatusFlags) -> Result<ExitCode> {
    let client = kubeconfig::clients(flags.kubeconfig.as_deref(), "")
        .await?
        .patient;
    // Removes the colours if the output is not a terminal, or if the variable `NO_COLOR` is set.
    let mut out = anstream::stdout();
    let shown = if flags.watch {
        let clear = std::io::stdout().is_terminal();
        follow(&client, &flags, clear, &mut out).await
    } else {
        show(&client, &flags, &mut out).await
    };
    match shown {
        // A reader that closes the pipe early, as `head` does, is not an error.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes the state of the objects once.
pub async fn show(client: &Client, flags: &StatusFlags, out: &mut impl Write) -> Result<()> {
    if let Some(ObjectName { name, .. }) = &flags.object {
        let api: Api<GatewaySync> = api(client, flags)?;
        let found = api.get(name).await.map_err(|error| {
            let namespace = api.namespace().unwrap_or_default();
            ApiError::of_request::<GatewaySync>(error, Some(&format!("{namespace}/{name}")))
        });
        return write(&[found?], flags, out);
    }
    let (objects, unreadable) = list(&api(client, flags)?).await?;
    write(&objects, flags, out)?;
    if unreadable > 0 {
        bail!("{unreadable} object(s) are not shown, because they cannot be read");
    }
    Ok(())
}

fn write(objects: &[GatewaySync], flags: &StatusFlags, out: &mut impl Write) -> Result<()> {
    let text = text(objects, flags, Timestamp::now())?;
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Returns an object, or logs why it cannot be read.
fn readable(object: GuardedSync) -> Option<GatewaySync> {
    let name = format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    );
    let logged = object.0.inspect_err(|invalid| {
        tracing::error!(
            object = name,
            error = stoker_report::without_values(&invalid.error),
            "the object cannot be read"
        );
    });
    logged.ok()
}

/// Returns the objects, and how many cannot be read.
async fn list(api: &Api<GuardedSync>) -> Result<(Vec<GatewaySync>, usize)> {
    let mut params = ListParams::default().limit(PAGE);
    let (mut objects, mut all) = (Vec::new(), 0);
    loop {
        let page = api.list(&params).await;
        let page = page.map_err(|error| ApiError::of_request::<GuardedSync>(error, None))?;
        all += page.items.len();
        objects.extend(page.items.into_iter().filter_map(readable));
        let token = page.metadata.continue_.filter(|token| !token.is_empty());
        let Some(token) = token else {
            let unreadable = all - objects.len();
            return Ok((objects, unreadable));
        };
        params = params.continue_token(&token);
    }
}

fn api<K>(client: &Client, flags: &StatusFlags) -> Result<Api<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let flag = flags.namespace();
    let object = flags.object.as_ref();
    let named = object.and_then(|object| object.namespace.as_deref());
    Ok(match (flag, named) {
        (Some(flag), Some(named)) if flag != named => {
            bail!("the object is in the namespace {named}, and not in {flag} as --namespace says")
        }
        (Some(namespace), _) | (None, Some(namespace)) => {
            Api::namespaced(client.clone(), namespace)
        }
        (None, None) if object.is_some() => Api::default_namespaced(client.clone()),
        (None, None) => Api::all(client.clone()),
    })
}

/// Writes the state of the objects after each change, until the watch or the output ends.
async fn follow(
    client: &Client,
    flags: &StatusFlags,
    clear: bool,
    out: &mut impl Write,
) -> Result<()> {
    let config = match &flags.object {
        Some(ObjectName { name, .. }) => {
            watcher::Config::default().fields(&format!("metadata.name={name}"))
        }
        None => watcher::Config::default(),
    };
    let events = watcher(api(client, flags)?, config).default_backoff();
    follow_events(events, flags, clear, out).await
}

async fn follow_events(
    events: impl Stream<Item = watcher::Result<Event<GuardedSync>>>,
    flags: &StatusFlags,
    clear: bool,
    out: &mut impl Write,
) -> Result<()> {
    let mut events = pin!(events);
    let mut objects = BTreeMap::new();
    let mut listed: Option<BTreeMap<_, GatewaySync>> = None;
    let place = |object: &GatewaySync| (object.namespace(), object.name_any());
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.reset();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = refresh.tick(), if clear => None,
        };
        match event {
            Some(Ok(Event::Init)) => listed = Some(BTreeMap::new()),
            Some(Ok(Event::InitApply(object))) => {
                let listed = listed.get_or_insert_default();
                listed.extend(readable(object).map(|object| (place(&object), object)));
            }
            Some(Ok(Event::InitDone)) => objects = listed.take().unwrap_or_default(),
            Some(Ok(Event::Apply(object))) => {
                // What is known of an object that cannot be read any more is not its state.
                objects.remove(&(object.namespace(), object.name_any()));
                objects.extend(readable(object).map(|object| (place(&object), object)));
            }
            Some(Ok(Event::Delete(object))) => {
                objects.remove(&(object.namespace(), object.name_any()));
            }
            // The watch is started again after a pause.
            Some(Err(error)) => {
                let error = ApiError::of_watch::<GuardedSync>(error);
                tracing::error!(error = %stoker_report::chain(&error), "the watch was interrupted");
                continue;
            }
            None if clear => {}
            None => return Ok(()),
        }
        if listed.is_none() {
            let all: Vec<_> = objects.values().cloned().collect();
            let text = text(&all, flags, Timestamp::now())?;
            let text = match (clear, flags.output) {
                (true, _) => format!("{CLEAR}{text}"),
                (false, OutputFormat::Json) => text,
                (false, OutputFormat::Text) => format!("{text}\n"),
            };
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
}

/// Returns the output about objects.
fn text(objects: &[GatewaySync], flags: &StatusFlags, now: Timestamp) -> Result<String> {
    let mut views: Vec<_> = objects
        .iter()
        .map(|one| ObjectView::new(one, now))
        .collect();
    views.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    Ok(match (flags.output, views.as_slice()) {
        (OutputFormat::Json, _) => {
            let document = json!({ "objects": views });
            format!("{}\n", serde_json::to_string(&document)?)
        }
        (OutputFormat::Text, [one]) if flags.object.is_some() => render::details(one, now),
        (OutputFormat::Text, all) => render::list(all, flags.namespace(), now),
    })
}

#[cfg(test)]
mod tests;
