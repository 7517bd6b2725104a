use super::*;

/// A repository, a name that a sender gives, and whether it is the repository: leniently, and in full.
const CASES: &[(&str, &str, bool, bool)] = &[
    // Transports and spellings.
    ("https://github.com/o/r.git", "o/r", true, true),
    ("https://github.com/o/r.git", "O/R", true, true),
    (
        "https://github.com/o/r",
        "https://www.github.com/o/r/",
        true,
        true,
    ),
    (
        "https://github.com/o/r",
        "http://github.com:8080/o/r.git/",
        true,
        true,
    ),
    (
        "https://github.com/o/r",
        "git://GitHub.com/o/r.git",
        true,
        true,
    ),
    (
        "https://github.com/o/r",
        "git@github.com:o/r.git",
        true,
        true,
    ),
    (
        "git@github.com:o/r.git",
        "https://github.com./o/r",
        true,
        true,
    ),
    (
        "ssh://git@ssh.github.com:443/o/r.git",
        "https://github.com/o/r",
        true,
        true,
    ),
    (
        "ssh://git@altssh.gitlab.com:443/g/s/p.git",
        "https://gitlab.com/g/s/p",
        true,
        true,
    ),
    (
        "ssh://git@altssh.bitbucket.org:443/o/r.git",
        "https://bitbucket.org/o/r",
        true,
        true,
    ),
    (
        "https://user:token@h/o/r",
        "ssh://other@h:2222/o/r",
        true,
        true,
    ),
    ("https://h/My%20Group/r", "my group/r", true, true),
    ("https://h/o/r%2Egit", "o/r", true, true),
    // Azure DevOps.
    (
        "https://org@dev.azure.com/org/p/_git/r",
        "git@ssh.dev.azure.com:v3/org/p/r",
        true,
        true,
    ),
    (
        "https://dev.azure.com/org/p/_git/r",
        "https://org.visualstudio.com/p/_git/r",
        true,
        true,
    ),
    (
        "https://dev.azure.com/org/p/_git/r",
        "https://org.visualstudio.com/DefaultCollection/p/_git/r",
        true,
        true,
    ),
    (
        "https://dev.azure.com/org/p/_git/r",
        "org@vs-ssh.visualstudio.com:v3/org/p/r",
        true,
        true,
    ),
    (
        "https://dev.azure.com/org/_git/r",
        "https://dev.azure.com/org/r/_git/r",
        true,
        true,
    ),
    (
        "git@ssh.dev.azure.com:v3/org/My%20Project/r",
        "https://dev.azure.com/org/My%20Project/_git/r",
        true,
        true,
    ),
    (
        "org@vs-ssh.visualstudio.com:v3/org/My%20Project/r%201",
        "https://org.visualstudio.com/My%20Project/_git/r%201",
        true,
        true,
    ),
    (
        "https://org@dev.azure.com/org/My%20Project/_git/r",
        "git@SSH.dev.azure.com.:v3/org/My%20Project/r",
        true,
        true,
    ),
    (
        "git@ssh.dev.azure.com:v3/org/My%20Project/r",
        "My Project/r",
        true,
        false,
    ),
    (
        "git@ssh.dev.azure.com:v3/org/My%2520Project/r",
        "https://dev.azure.com/org/My%20Project/_git/r",
        false,
        false,
    ),
    (
        "git@h:org/My%20Project/r",
        "https://h/org/My%20Project/r",
        false,
        false,
    ),
    ("https://dev.azure.com/org/p/_git/r", "p/r", true, false),
    (
        "https://dev.azure.com/org/p/_git/r",
        "https://dev.azure.com/org/q/_git/r",
        false,
        false,
    ),
    (
        "https://dev.azure.com/org/p/_git/r",
        "https://other.visualstudio.com/p/_git/r",
        false,
        false,
    ),
    (
        "ssh://org@org.visualstudio.com:22/p/_ssh/r",
        "https://org.visualstudio.com/p/_git/r",
        true,
        true,
    ),
    (
        "https://dev.azure.com/org/p/_git/_full/r",
        "https://dev.azure.com/org/p/_git/r",
        true,
        true,
    ),
    (
        "https://org.visualstudio.com/p/_git/_optimized/r",
        "https://dev.azure.com/org/p/_git/r",
        true,
        true,
    ),
    (
        "https://dev.azure.com/org/p/_git/_full",
        "https://dev.azure.com/org/p/_git/r",
        false,
        false,
    ),
    // Azure DevOps Server.
    (
        "https://h/tfs/Collection/_git/r",
        "https://h/tfs/Collection/r/_git/r",
        true,
        true,
    ),
    (
        "ssh://h:22/tfs/Collection/p/_ssh/r",
        "https://h/tfs/Collection/p/_git/_full/r",
        true,
        true,
    ),
    (
        "https://h/tfs/Collection/p/_git/r",
        "https://h/tfs/Collection/_git/r",
        false,
        false,
    ),
    (
        "https://h/tfs/Collection/_git/p",
        "https://h/tfs/Collection/p/_git/r",
        false,
        false,
    ),
    // Bitbucket Data Center.
    (
        "https://h/scm/PRJ/repo.git",
        "ssh://git@h:7999/prj/repo.git",
        true,
        true,
    ),
    ("https://h/scm/PRJ/repo.git", "PRJ/repo", true, true),
    (
        "https://h/bitbucket/scm/PRJ/repo.git",
        "ssh://git@h:7999/prj/repo.git",
        true,
        true,
    ),
    (
        "ssh://git@h:7999/prj/repo.git",
        "https://h/a/b/scm/PRJ/repo.git",
        true,
        true,
    ),
    (
        "https://h/bitbucket/scm/PRJ/repo.git",
        "PRJ/repo",
        true,
        true,
    ),
    ("https://h/bitbucket/scm/PRJ/repo.git", "repo", true, false),
    (
        "https://h/bitbucket/scm/PRJ/repo.git",
        "Q/repo",
        false,
        false,
    ),
    // Projects in groups of the same name.
    (
        "https://h/one/scm/group/proj.git",
        "https://h/other/scm/group/proj.git",
        false,
        false,
    ),
    (
        "https://h/one/scm/group/proj.git",
        "https://h/group/proj.git",
        true,
        false,
    ),
    ("https://h/scm/repo", "scm/repo", true, true),
    // The last segments.
    ("https://h/gitlab/group/proj.git", "group/proj", true, false),
    ("http://127.0.0.1:4000/plant.git", "demo/plant", true, false),
    ("https://gerrit.h/a/plant", "plant", true, false),
    (
        "https://h/gitlab/group/proj",
        "https://h/group/proj",
        true,
        false,
    ),
    (
        "https://h/group/proj",
        "https://h/gitlab/group/proj",
        true,
        false,
    ),
    // The hosts of AWS CodeCommit for FIPS.
    (
        "https://git-codecommit-fips.us-east-2.amazonaws.com/v1/repos/r",
        "https://git-codecommit.us-east-2.amazonaws.com/v1/repos/r",
        true,
        true,
    ),
    (
        "ssh://KEY@git-codecommit.us-east-2.amazonaws.com/v1/repos/r",
        "https://git-codecommit-fips.us-east-2.amazonaws.com/v1/repos/r",
        true,
        true,
    ),
    (
        "https://git-codecommit-fips.us-east-2.amazonaws.com/v1/repos/r",
        "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/r",
        false,
        false,
    ),
    (
        "https://git-codecommit-fips.us-east-2.example.com/v1/repos/r",
        "https://git-codecommit.us-east-2.example.com/v1/repos/r",
        false,
        false,
    ),
    // Texts that programs read differently.
    ("https://h/o/r", "https://evil/#https://h/o/r", false, false),
    ("https://h/o/r", "https://evil/?https://h/o/r", false, false),
    ("https://h/o/r", "https://evil#@h/o/r", false, false),
    ("https://h/o/r", "https://evil?@h/o/r", false, false),
    ("https://h/o/r", "https://evil\\@h/o/r", false, false),
    ("https://h/o/r", "https:\\\\evil@h/o/r", false, false),
    ("https://h/o/r", "https:/evil@h/o/r", false, false),
    ("https://h/o/r", "https:evil@h/o/r", false, false),
    ("https://h/o/r", "https:///h/o/r", false, false),
    ("https://h/o/r", "//evil/o/r", false, false),
    ("https://h/o/r", "evil\\o/r", false, false),
    ("https://h/o/r", "https://evil/o/r", false, false),
    ("https://h/o/r", "https://h@evil/o/r", false, false),
    ("https://h/o/r", "https://h:443@evil/o/r", false, false),
    ("https://h/o/r", "https://h%2F@evil/o/r", false, false),
    ("https://h/o/r", "https://evil@h/o/r", true, true),
    ("https://h/o/r", "git@evil#@h:o/r", false, false),
    ("https://h/o/r", "git@evil:h:o/r", false, false),
    ("https://h/o/r", "git@evil:x@h/o/r", false, false),
    ("https://h/o/r", "file://h/o/r", false, false),
    ("https://h/o/r", "ext::sh -c x/o/r", false, false),
    ("https://h/o/r", "evil:x/o/r", false, false),
    ("https://h/o/r", "https://h/evil?o/r", false, false),
    ("https://h/o/r", "https://h/o/r?repository=x", false, false),
    ("https://h/o/r", "https://h/o/r#x", false, false),
    ("https://h/o/r", "https://h/x%2Fo%2Fr", false, false),
    ("https://h/o/r", "x%2Fo%2Fr", false, false),
    ("https://h/o/r", "https://h/x/../o/r", true, true),
    ("https://h/o/r", "o/./r", false, false),
    ("https://h/o/k", "o/\u{212a}", false, false),
    ("https://h/o/\u{c4}", "o/\u{e4}", true, true),
    ("https://h/o/.git", "o", true, true),
    // Other repositories.
    ("https://h/group/proj", "oup/proj", false, false),
    ("https://h/group/proj", "other/proj", false, false),
    ("https://h/group/proj", "group", false, false),
    ("https://h/group/proj", "group/proj/wiki", false, false),
    (
        "https://h/group/proj",
        "https://other/group/proj",
        false,
        false,
    ),
    ("https://h/group/proj", "https://h/other/proj", false, false),
    ("https://h/group/proj", "", false, false),
    ("https://h/group/proj", "//", false, false),
];

#[test]
fn a_repository_is_compared_by_its_host_and_path() {
    for (repo, name, is_lenient, is_full) in CASES {
        let repo = RepoUrl::parse(repo).unwrap();
        let found = (repo.is_named_by(name), repo.is_named_in_full_by(name));
        assert_eq!(found, (*is_lenient, *is_full), "{repo} {name}");
    }
}
