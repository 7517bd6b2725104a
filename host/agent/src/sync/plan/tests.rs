mod cases;
mod letter_case;
mod properties;

use serde_json::json;

use super::super::testing::{Node, Repository, Tree, file, make_plan, profile, read, sync};
use super::super::{Applied, AppliedFile, Operation};

fn repository(files: &[(&str, &str)]) -> Repository {
    let files = files.iter();
    Repository(
        files
            .map(|(path, content)| ((*path).to_owned(), file(content)))
            .collect::<Tree>(),
    )
}

#[test]
fn a_plan_says_what_the_gateway_must_scan() {
    let directory = tempfile::tempdir().unwrap();
    let source = repository(&[("projects/p/x", "1"), ("config/y", "2")]);
    for (mappings, projects, configuration) in [
        (
            json!([{"source": "projects", "destination": "projects"}]),
            true,
            false,
        ),
        (
            json!([{"source": "config", "destination": "config"}]),
            false,
            true,
        ),
        (json!([{"source": ".", "destination": "."}]), true, true),
        (
            json!([{"source": "config", "destination": "projects-old"}]),
            false,
            true,
        ),
        (json!([]), false, false),
    ] {
        let profile = profile(&json!({ "mappings": mappings }));
        let plan = make_plan(&source, &profile, directory.path(), &Applied::default()).unwrap();
        assert_eq!(
            (plan.changes_projects(), plan.changes_configuration()),
            (projects, configuration),
            "{mappings}"
        );
    }
}

#[test]
fn an_object_that_was_synced_is_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let mut applied = Applied::default();
    let source = repository(&[("a/x", "1"), ("a/y", "2")]);
    sync(&source, &profile, directory.path(), &mut applied).unwrap();
    // The objects have the same ids, but cannot be read.
    let text = serde_json::to_string(applied.files()).unwrap();
    let files: Vec<AppliedFile> = serde_json::from_str(&text).unwrap();
    let applied = Applied::from(files);
    let unreadable = Unreadable(source);
    let live = super::super::Live::read(directory.path(), applied).unwrap();
    let plan = super::plan(
        &unreadable,
        &profile,
        &super::super::testing::context(),
        live,
    )
    .unwrap();
    assert_eq!(plan.operations(), []);
}

struct Unreadable(Repository);

impl super::Source for Unreadable {
    fn entries(&self) -> Result<Vec<super::TreeEntry>, super::SourceError> {
        self.0.entries()
    }

    fn size(&self, entry: &super::TreeEntry) -> Result<u64, super::SourceError> {
        self.0.size(entry)
    }

    fn read(&self, entry: &super::TreeEntry) -> Result<Vec<u8>, super::SourceError> {
        Err(super::SourceError(
            format!("{} was read", entry.path).into(),
        ))
    }
}

#[test]
fn a_changed_template_or_patch_is_applied_to_an_unchanged_object() {
    let directory = tempfile::tempdir().unwrap();
    let source = repository(&[("a/x.json", r#"{"n":"{{.Vars.n}}"}"#)]);
    let mut applied = Applied::default();
    for (value, patch, expected) in [
        ("1", "1", r#"{"n":"1","p":1}"#),
        ("2", "1", r#"{"n":"2","p":1}"#),
        ("2", "3", r#"{"n":"2","p":3}"#),
    ] {
        let profile = profile(&json!({"vars": {"n": value}, "mappings": [
            {"source": "a", "destination": "d", "template": true, "patches": [{"file": "*.json", "set": {"p": patch}}]},
        ]}));
        sync(&source, &profile, directory.path(), &mut applied).unwrap();
        let found = std::fs::read_to_string(directory.path().join("d/x.json")).unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_changed_file_is_written_again_in_spite_of_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let source = repository(&[("a/x", "1"), ("a/y", "2")]);
    let mut applied = Applied::default();
    sync(&source, &profile, directory.path(), &mut applied).unwrap();
    std::fs::write(directory.path().join("d/x"), "9").unwrap();
    let plan = make_plan(&source, &profile, directory.path(), &applied).unwrap();
    assert_eq!(
        plan.operations(),
        [Operation::Write {
            path: "d/x".into(),
            replaces: true
        }]
    );
}

#[test]
fn what_the_last_sync_left_makes_room_for_a_file_or_a_directory() {
    for destination in ["conf/app", "conf/app/"] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        let of = |type_: &str| {
            let slash = if type_ == "file" { "" } else { "/" };
            let destination = if destination.ends_with('/') && type_ == "dir" {
                "conf/app/"
            } else {
                "conf/app"
            };
            let mapping = json!({"source": format!("app{slash}"), "destination": destination});
            profile(&json!({ "mappings": [mapping] }))
        };
        let as_file = repository(&[("app", "1")]);
        let as_directory = repository(&[("app/x", "2"), ("app/b/y", "3")]);
        let mut applied = Applied::default();
        let mut step = |source: &Repository, type_: &str| {
            sync(source, &of(type_), data, &mut applied).unwrap();
            let record = applied.clone();
            let again = make_plan(source, &of(type_), data, &record).unwrap();
            assert_eq!(again.operations(), []);
            read(data)
        };
        assert_eq!(
            step(&as_file, "file"),
            repository(&[("conf/app", "1")]).0,
            "{destination}"
        );
        let expected = repository(&[("conf/app/x", "2"), ("conf/app/b/y", "3")]).0;
        assert_eq!(step(&as_directory, "dir"), expected, "{destination}");
        assert_eq!(
            step(&as_file, "file"),
            repository(&[("conf/app", "1")]).0,
            "{destination}"
        );
    }
}

#[test]
fn files_of_others_make_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let profile = profile(&json!({"excludePatterns": ["**/*.keep"], "mappings": [
        {"source": "app", "destination": "conf/app"},
    ]}));
    let mut applied = Applied::default();
    let as_directory = repository(&[("app/x", "2")]);
    sync(&as_directory, &profile, data, &mut applied).unwrap();
    for name in ["own", "own.keep"] {
        let own = data.join("conf/app").join(name);
        std::fs::write(&own, "9").unwrap();
        let before = read(data);
        let plan = make_plan(&repository(&[("app", "1")]), &profile, data, &applied);
        let error = plan.err().unwrap().to_string();
        assert!(
            error.starts_with("conf/app: a directory of the gateway is in the way"),
            "{error}"
        );
        assert_eq!(read(data), before);
        std::fs::remove_file(own).unwrap();
    }
    // A file that no sync has written is not deleted for a directory.
    std::fs::remove_dir_all(data.join("conf/app")).unwrap();
    std::fs::write(data.join("conf/app"), "9").unwrap();
    let plan = make_plan(&as_directory, &profile, data, &applied);
    let error = plan.err().unwrap().to_string();
    assert!(
        error.starts_with("conf/app: a file of the gateway is in the way"),
        "{error}"
    );
}

#[test]
fn a_file_that_others_have_changed_makes_no_room() {
    let profile = profile(&json!({"mappings": [{"source": "app", "destination": "conf/app"}]}));
    let as_file = repository(&[("app", "1")]);
    let as_directory = repository(&[("app/x", "2")]);
    for (from, to, changed, in_the_way) in [
        (&as_file, &as_directory, "conf/app", "a file"),
        (&as_directory, &as_file, "conf/app/x", "a directory"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        let mut applied = Applied::default();
        sync(from, &profile, data, &mut applied).unwrap();
        std::fs::write(data.join(changed), "9").unwrap();
        let plan = make_plan(to, &profile, data, &applied);
        let error = plan.err().unwrap().to_string();
        let expected = format!("conf/app: {in_the_way} of the gateway is in the way");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_an_error_in_a_source_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut source = repository(&[("a/x", "1"), ("b/y", "2")]);
    source.0.insert("b/\u{fffd}".to_owned(), Node::NotUtf8);
    for (from, excludes, is_refused) in [
        ("a", "", false),
        ("b", "", true),
        (".", "", true),
        ("b", "**/\u{fffd}*", false),
        ("b/\u{fffd}", "", true),
        ("b/y", "", false),
    ] {
        let profile = profile(&json!({"excludePatterns": [excludes], "mappings": [
            {"source": from, "destination": "d"},
        ]}));
        let plan = make_plan(&source, &profile, directory.path(), &Applied::default());
        let expected = is_refused.then(|| {
            "mapping[0]: the source has the path \"b/\u{fffd}\", which is not UTF-8".to_owned()
        });
        assert_eq!(
            plan.err().map(|error| error.to_string()),
            expected,
            "{from} {excludes}"
        );
    }
}

#[test]
fn a_template_that_is_not_utf_8_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let content = b"{\"a\":\"\xff{{.Ref}}\"}".to_vec();
    let source = Repository([("a.json".to_owned(), Node::File(content, false))].into());
    let profile = profile(&json!({"mappings": [
        {"source": "a.json", "destination": "a.json", "template": true},
    ]}));
    let plan = make_plan(&source, &profile, directory.path(), &Applied::default());
    let error = plan.err().unwrap().to_string();
    assert_eq!(error, "a.json: the file is not UTF-8");
}

#[test]
fn attributes_of_the_repository_are_not_applied() {
    let directory = tempfile::tempdir().unwrap();
    let source = repository(&[(".gitattributes", "*.txt eol=crlf"), ("a/x.txt", "1\n")]);
    let profile = profile(&json!({"mappings": [{"source": "a", "destination": "d"}]}));
    let plan = make_plan(&source, &profile, directory.path(), &Applied::default()).unwrap();
    assert_eq!(
        plan.messages(),
        [".gitattributes: eol=crlf is not applied to 1 file(s), such as a/x.txt"]
    );
}

#[test]
fn files_below_several_destinations_are_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    // The name of the second destination is between those of the first and of the third.
    let source = repository(&[("s/x", "1")]);
    let profile = profile(&json!({"maxDeletes": 0, "mappings": [
        {"source": "s", "destination": "a"},
        {"source": "s", "destination": "a-b"},
        {"source": "s", "destination": "a/b"},
    ]}));
    sync(&source, &profile, directory.path(), &mut Applied::default()).unwrap();
    std::fs::write(directory.path().join("a/b/stray"), "1").unwrap();
    let plan = make_plan(&source, &profile, directory.path(), &Applied::default()).unwrap();
    let found = plan.too_many_deletes().unwrap();
    assert_eq!((found.deletes, found.managed), (1, 4));
}

#[test]
fn the_gateway_s_directory_must_exist() {
    let applied = Applied::default();
    let missing = std::path::Path::new("/nonexistent/data");
    assert!(super::super::Live::read(missing, applied).is_err());
}
