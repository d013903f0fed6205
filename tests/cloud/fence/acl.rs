//! A network ACL before a real host: nothing remembers a connection, so what is not answered for is cut.

use super::super::acls::{Acl, entry};
use super::super::fake::{Fake, ID, KEY, State};
use super::{Scene, ends, ids};
use steadfast::cloud::tencent::Access;
use steadfast::cloud::{Fence, Miss, Shape};

/// Everything is open, by entries of somebody's own.
fn open() -> Acl {
    let all = |net: &str| entry("Accept", "all", "", net, "by hand");
    Acl { five: false, ingress: vec![all("0.0.0.0/0"), all("::/0")], egress: vec![all("0.0.0.0/0")] }
}

fn scene(translated: bool) -> Scene {
    let wall = translated.then(|| (String::new(), String::new(), true));
    Scene::new(1, State { acls: [("acl-1".to_owned(), open())].into(), wall, ..State::default() })
}

/// A step that lets in the lab's network to sshd, and lets nothing else out.
fn narrow(scene: &Scene) -> String {
    let net = format!("{}.0/24", scene.fleet.0.subnet);
    format!(
        "- id: subnet\n  network_acl: {{region: ap-guangzhou, acl: acl-1, allow: [{{port: 22, from: {net}}}], ping: false, egress: deny}}\n"
    )
}

fn acl(scene: &Scene) -> Acl {
    scene.set(|state| state.acls["acl-1"].clone())
}

#[test]
fn entries_are_replaced_with_their_answers_proven_and_taken_back() {
    let scene = scene(false);
    ends(&scene.fleet.inside("h1", "systemd-run --unit=web /usr/sbin/sshd -D -p 81 -o ListenAddress=0.0.0.0"), 0, "");
    let book = scene.book("acl.yml", "h1", &narrow(&scene));
    let net = format!("{}.0/24", scene.fleet.0.subnet);
    let plan = scene.with(&["check"], &book);
    ends(&plan, 2, &format!("network ACL acl-1 in accept tcp 22 {net}: absent → there"));
    ends(&plan, 2, &format!("out accept tcp 1024-65535 {net}: absent → there"));
    assert_eq!((scene.times("ModifyNetworkAclEntries"), acl(&scene)), (0, open()), "a check changes nothing");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !scene.reaches(81) {
        assert!(std::time::Instant::now() < deadline, "the second sshd does not listen");
    }

    ends(&scene.with(&["apply", "-y"], &book), 0, "changed=1");
    assert!(scene.reaches(22) && !scene.reaches(81), "the entries are real");
    assert_eq!((acl(&scene).ingress.len(), acl(&scene).egress.len()), (1, 1));
    ends(&scene.with(&["check"], &book), 0, "");
    ends(&scene.with(&["apply", "-y"], &book), 0, "ok=1");
    assert_eq!(scene.times("ModifyNetworkAclEntries"), 1, "applied twice, written once");

    // What somebody added since is theirs.
    let first = ids(&scene, "apply").remove(0);
    let ours = acl(&scene);
    let theirs = entry("Accept", "tcp", "8080", "192.0.2.7/32", "alice");
    scene.set(|state| state.acls.get_mut("acl-1").unwrap().ingress.push(theirs.clone()));
    ends(&scene.run(&["rollback", &first, "-y"]), 3, "it was changed since");
    assert_eq!(acl(&scene).ingress.last(), Some(&theirs));
    scene.set(|state| state.acls.insert("acl-1".into(), ours));
    ends(&scene.run(&["rollback", &first, "-y"]), 0, "changed=1");
    assert_eq!(acl(&scene), open(), "descriptions and all");
    assert!(scene.reaches(81));
}

#[test]
fn an_acl_that_cuts_the_way_in_is_put_back_also_by_the_run_after_one_that_died() {
    let scene = scene(true);
    let (book, inventory) = (scene.book("acl.yml", "h1", &narrow(&scene)), scene.fleet.inventory());
    ends(&scene.with(&["apply", "-y"], &book), 5, "no new login gets in at h1");
    assert_eq!(scene.times("ModifyNetworkAclEntries"), 2, "set, and put back");
    assert!(acl(&scene) == open() && scene.reaches(22));

    let words = ["apply", &book, "-i", &inventory, "-y"];
    let died = scene.call(&words).env("STEADFAST_DIE_AT", "order-set").output().unwrap();
    assert_eq!(crate::common::told(&died).code, -1);
    assert!(!scene.reaches(22), "nobody gets in");
    let harmless = scene.book("motd.yml", "h1", "- {id: motd, file: {path: /etc/motd, content: \"x\\n\"}}\n");
    let next = scene.with(&["apply", "-y"], &harmless);
    ends(&next, 4, "before network ACL acl-1 was proven: it is as it was found");
    assert!(acl(&scene) == open() && scene.reaches(22));
}

/// An ACL of the stand-in without any host, and the stand-in.
fn alone(acl: Acl) -> (Fake, Fence, tempfile::TempDir) {
    let fake = Fake::start(State { acls: [("acl-1".to_owned(), acl)].into(), ..State::default() });
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("id", ID), ("key", KEY)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let source = |name: &str| Some(format!("file:{}", dir.path().join(name).display()));
    let access =
        Access { secret_id: source("id"), secret_key: source("key"), token: None, endpoint: Some(fake.url.clone()) };
    let fence = Fence::NetworkAcl { region: "ap-guangzhou".into(), id: "acl-1".into(), access };
    (fake, fence, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_since_it_was_read_is_not_replaced() {
    let (fake, fence, _dir) = alone(open());
    let found = fence.look().await.unwrap();
    let none = Shape::Rules { ingress: vec![], egress: vec![] };
    fake.state.lock().unwrap().acls.get_mut("acl-1").unwrap().egress.push(entry(
        "Drop",
        "udp",
        "53",
        "192.0.2.9/32",
        "",
    ));
    assert!(matches!(fence.put(&found.version, &none).await, Err(Miss::Moved(_))));
    // No entry at all is one that drops everything: a side that is not sent would stay.
    let now = fence.look().await.unwrap();
    fence.put(&now.version, &none).await.unwrap();
    let after = fence.look().await.unwrap();
    assert!(after.shape.is(&none), "{}", after.shape.words());
    assert_eq!(fake.state.lock().unwrap().acls["acl-1"].ingress.len(), 1);
    fence.put(&after.version, &found.shape).await.unwrap();
    assert_eq!(fake.state.lock().unwrap().acls["acl-1"], open());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acl_of_five_parts_is_told_with_what_to_do_and_left_alone() {
    let (fake, fence, _dir) = alone(Acl { five: true, ..Acl::default() });
    let fault = fence.look().await.unwrap_err();
    let told = format!("{} {}", fault.what(), fault.cause().unwrap_or_default());
    for word in
        ["acl-1 is an ACL of five parts", "one by one", "put an ACL of three parts (TRIPLE)", "`security_group`"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
    let none = Shape::Rules { ingress: vec![], egress: vec![] };
    assert!(fence.put("", &none).await.is_err());
    assert!(!fake.state.lock().unwrap().heard.iter().any(|action| action.starts_with("Modify")));
}
