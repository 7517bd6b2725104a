//! Files that are moved to another file system.

use super::super::super::root::Root;
use super::super::disk::{Disk, NewFile};
use super::*;

#[test]
fn a_file_is_copied_to_another_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let opened = Root::open(directory.path()).unwrap();
    let mut never = |_| Ok(());
    let mut disk = Disk::new(&opened, &mut never);
    let new = NewFile {
        path: "d/x",
        content: b"content",
        mode: 0o755,
        flushes: true,
    };
    disk.stage("0", &new).unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    std::fs::write(directory.path().join("d/.stoker-tmp-0"), "half").unwrap();
    let longest = format!("d/{}", "x".repeat(255));
    disk.copy_staged("0", &longest, 0o755).unwrap();
    disk.clear_staging().unwrap();
    assert_eq!(
        read(directory.path()),
        tree(&[(&longest, Node::File(b"content".to_vec(), true))])
    );
}

#[test]
fn a_failed_copy_to_another_file_system_leaves_nothing() {
    for failing in [Step::WriteFile, Step::SetMode, Step::Flush, Step::Rename] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("d")).unwrap();
        std::fs::write(directory.path().join("d/x"), "before").unwrap();
        let opened = Root::open(directory.path()).unwrap();
        let is_staged = std::cell::Cell::new(false);
        let mut fail = |step| {
            if is_staged.get() && step == failing {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        };
        let mut disk = Disk::new(&opened, &mut fail);
        let new = NewFile {
            path: "d/x",
            content: b"after",
            mode: 0o644,
            flushes: true,
        };
        disk.stage("0", &new).unwrap();
        is_staged.set(true);
        disk.copy_staged("0", "d/x", 0o644).unwrap_err();
        disk.clear_staging().unwrap();
        let expected = tree(&[("d/x", file("before"))]);
        assert_eq!(read(directory.path()), expected, "{failing:?}");
    }
}
