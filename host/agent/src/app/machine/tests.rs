use stoker_local_cluster::{FakeGateway, GitServer};
use tokio::sync::oneshot;

use super::*;

/// Runs the agent until the last report has a property, and returns the report.
async fn run_while(config: &MachineConfig, is_enough: impl Fn(&Report) -> bool) -> Report {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(run_until(config.clone(), async {
        drop(stopped.await);
    }));
    let read = || {
        let text = std::fs::read_to_string(config.state.join(STATUS_FILE));
        Report::parse(&text.unwrap_or_default())
    };
    let reached = async {
        while !is_enough(&read()) {
            assert!(!task.is_finished(), "the agent has ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .unwrap_or_else(|_| panic!("the last report is {:?}", read()));
    drop(stop);
    task.await.unwrap().unwrap();
    read()
}

#[tokio::test]
async fn a_ref_is_followed_and_a_restart_fetches_and_writes_nothing() {
    let git = GitServer::start().await.unwrap();
    let first = git.commit("main", "One").await.unwrap();
    let gateway = FakeGateway::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("data")).unwrap();
    std::fs::write(
        path("profile.yaml"),
        "mappings:\n- {source: plants/plant-1/config, destination: config}\n",
    )
    .unwrap();
    let text = format!(
        "repo: {}\nref: main\nprofile: {}\ndata: {}\nstate: {}\ngateway: {{port: {}}}\n",
        git.url(),
        path("profile.yaml").display(),
        path("data").display(),
        path("state").display(),
        gateway.port(),
    );
    std::fs::write(path("agent.yaml"), text).unwrap();
    let config = MachineConfig::read(&path("agent.yaml")).unwrap();

    let is_synced = |commit: String| {
        move |report: &Report| {
            report.synced_commit == commit
                && report.sync_status == crate::report::SyncStatus::Synced
        }
    };
    let report = run_while(&config, is_synced(first.to_string())).await;
    assert_eq!(report.files_changed, 2);
    assert!(path("data/config/tags/boiler.json").is_file());
    assert_eq!(gateway.scans(), ["projects", "config"]);

    let requests = git.requests();
    let before = report.last_sync_time.clone();
    let has_written = |report: &Report| report.files_changed == 0 && !report.history.is_empty();
    let report = run_while(&config, has_written).await;
    assert_eq!(report.history.len(), 2);
    assert!(report.last_sync_time >= before);
    // A lookup of the ref makes two requests, and nothing is fetched.
    assert_eq!(git.requests() - requests, 2);

    let second = git.commit("main", "Two").await.unwrap();
    let report = run_while(&config, is_synced(second.to_string())).await;
    assert_eq!(report.files_changed, 1);
}
